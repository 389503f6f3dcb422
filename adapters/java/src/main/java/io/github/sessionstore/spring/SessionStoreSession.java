package io.github.sessionstore.spring;

import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.Set;

import io.github.sessionstore.spring.SessionAttributes.Changes;
import io.github.sessionstore.spring.SessionFunctions.Binding;

import org.springframework.dao.DuplicateKeyException;
import org.springframework.session.Session;

/**
 * A session of {@link SessionStoreRepository}.
 */
public final class SessionStoreSession implements Session {

	/** A last access so long ago is meant, and not the beginning of a slow request. */
	private static final Duration LONG_AGO = Duration.ofSeconds(1);

	private final SessionStoreRepository repository;

	private final SessionAttributes attributes;

	private String id;

	/** By which the database knows it; null before it is created. */
	private String storedId;

	/** It has ended, and no save brings it back. */
	private boolean ended;

	/** Null until somebody asks. */
	private SessionDetails details;

	private Instant lastAccessedTime;

	/** How long ago that was when it was set. */
	private Duration idle = Duration.ZERO;

	private Duration maxInactiveInterval;

	private boolean lifetimeSet;

	private boolean principalSet;

	private String principalAttributes;

	private SessionStoreSession(SessionStoreRepository repository, String id, String storedId,
			SessionAttributes attributes, SessionDetails details) {
		this.repository = repository;
		this.id = id;
		this.storedId = storedId;
		this.attributes = attributes;
		this.details = details;
	}

	static SessionStoreSession begin(SessionStoreRepository repository, String id, SessionAttributes attributes,
			Duration maxInactiveInterval) {
		return new SessionStoreSession(repository, id, null, attributes, SessionDetails.asOfNow(maxInactiveInterval));
	}

	static SessionStoreSession load(SessionStoreRepository repository, String id, SessionAttributes attributes) {
		return new SessionStoreSession(repository, id, id, attributes, null);
	}

	/** It can be looked at, but not be saved: nobody knows its id. */
	static SessionStoreSession find(String handle, SessionAttributes attributes, SessionDetails details) {
		return new SessionStoreSession(null, handle, handle, attributes, details);
	}

	@Override
	public String getId() {
		return this.id;
	}

	@Override
	public String changeSessionId() {
		this.id = repository().generateId(this.storedId);
		return this.id;
	}

	@Override
	@SuppressWarnings("unchecked")
	public <T> T getAttribute(String attributeName) {
		return (T) this.attributes.get(attributeName);
	}

	@Override
	public Set<String> getAttributeNames() {
		return this.attributes.names();
	}

	@Override
	public void setAttribute(String attributeName, Object attributeValue) {
		boolean isIndexed = repository().isIndexed(attributeName);
		this.principalSet |= isIndexed;
		this.attributes.set(attributeName, attributeValue);
		if (isIndexed && attributeValue != null) {
			this.principalAttributes = this.repository.principalAttributesOf(this);
		}
		flushIfRequired();
	}

	@Override
	public void removeAttribute(String attributeName) {
		setAttribute(attributeName, null);
	}

	@Override
	public Instant getCreationTime() {
		return details().creationTime();
	}

	@Override
	public void setLastAccessedTime(Instant lastAccessedTime) {
		Instant now = Instant.now();
		this.lastAccessedTime = lastAccessedTime.isAfter(now) ? now : lastAccessedTime;
		this.idle = Duration.between(this.lastAccessedTime, now);
		flushIfRequired();
	}

	@Override
	public Instant getLastAccessedTime() {
		return (this.lastAccessedTime != null) ? this.lastAccessedTime : details().lastAccessedTime();
	}

	@Override
	public void setMaxInactiveInterval(Duration interval) {
		this.maxInactiveInterval = interval;
		this.lifetimeSet = true;
		flushIfRequired();
	}

	@Override
	public Duration getMaxInactiveInterval() {
		return (this.maxInactiveInterval != null) ? this.maxInactiveInterval : details().maxInactiveInterval();
	}

	@Override
	public boolean isExpired() {
		Duration interval = getMaxInactiveInterval();
		return !interval.isNegative() && !getLastAccessedTime().isAfter(Instant.now().minus(interval));
	}

	private SessionDetails details() {
		if (this.details == null) {
			this.details = this.repository.detailsOf(this.storedId);
		}
		return this.details;
	}

	private void flushIfRequired() {
		if (repository().flushesImmediately()) {
			save();
		}
	}

	private SessionStoreRepository repository() {
		if (this.repository == null) {
			throw new UnsupportedOperationException(
					"A session that was found by its principal can be read and deleted, but not be changed");
		}
		return this.repository;
	}

	void save() {
		if (!this.ended && repository() != null) {
			if (this.storedId == null) {
				create();
			}
			else {
				update();
			}
		}
	}

	private void create() {
		if (isExpired()) {
			return;
		}
		Changes changes = this.attributes.changes(this.repository.getSaveMode());
		String principal = this.repository.principalOf(this);
		Binding binding = (principal != null) ? new Binding(principal, this.principalAttributes) : null;
		if (!this.repository.functions().create(this.id, changes, getMaxInactiveInterval(), binding)) {
			throw new DuplicateKeyException("There is a session with the new id already");
		}
		saved(changes);
	}

	private void update() {
		if (isToEnd()) {
			this.repository.functions().destroy(this.storedId);
			end();
			return;
		}
		Changes changes = this.attributes.changes(this.repository.getSaveMode());
		Binding binding = binding(changes);
		if (binding != null) {
			// What is stored may have been dropped: then all that was set is a change.
			changes = this.attributes.changes(this.repository.getSaveMode());
		}
		if (changes.isEmpty() && binding == null && !isRenewed() && !this.lifetimeSet) {
			return;
		}
		Duration lifetime = this.lifetimeSet ? this.maxInactiveInterval : null;
		if (this.repository.functions().update(this.storedId, this.id, binding, changes, lifetime)) {
			saved(changes);
		}
		else {
			end();
		}
	}

	/** Whether the caller has meant it to end, by the times that it has set. */
	private boolean isToEnd() {
		if (this.lifetimeSet && this.maxInactiveInterval.isZero()) {
			return true;
		}
		return this.idle.compareTo(LONG_AGO) > 0 && !getMaxInactiveInterval().isNegative()
				&& this.idle.compareTo(getMaxInactiveInterval()) >= 0;
	}

	private boolean isRenewed() {
		return !this.id.equals(this.storedId);
	}

	/** Whose the session becomes; null if that stays, and nobody logs in anew. */
	private Binding binding(Changes changes) {
		if (!this.principalSet && changes.names().noneMatch(this.repository::isIndexed)) {
			return null;
		}
		String principal = this.repository.principalOf(this);
		// Not of what was loaded, which may have been changed in its place.
		String before = this.repository.principalOf(load(this.repository, this.storedId, this.attributes.stored()));
		boolean isOther = !Objects.equals(principal, before);
		if (isOther && principal != null && this.principalAttributes == null) {
			this.principalAttributes = this.repository.principalAttributesOf(this);
		}
		if (isOther && principal != null && before != null) {
			this.attributes.forgetStored(); // as the database will
		}
		boolean isLogin = principal != null && isRenewed();
		return (isOther || isLogin) ? new Binding(principal, this.principalAttributes) : null;
	}

	/** It has been taken out of the database. */
	void forget(String attributeName) {
		this.attributes.forget(attributeName);
	}

	private void saved(Changes changes) {
		this.attributes.saved(changes);
		this.repository.renewed(this.id);
		this.storedId = this.id;
		this.lifetimeSet = false;
		this.principalSet = false;
		this.principalAttributes = null;
	}

	/** It keeps its id, so that the answer sets no cookie. */
	private void end() {
		this.ended = true;
		this.id = this.storedId;
	}

}
