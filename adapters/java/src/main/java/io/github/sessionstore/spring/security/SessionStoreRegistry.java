package io.github.sessionstore.spring.security;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.function.Function;

import io.github.sessionstore.spring.Device;
import io.github.sessionstore.spring.SessionStoreRepository;
import io.github.sessionstore.spring.SessionStoreSession;
import jakarta.servlet.http.HttpSession;

import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.session.SessionInformation;
import org.springframework.security.web.context.HttpSessionSecurityContextRepository;
import org.springframework.session.FindByIndexNameSessionRepository;
import org.springframework.session.security.SpringSessionBackedSessionRegistry;

/**
 * Spring Security's view of the sessions, for "maximum sessions". The database does not
 * know their ids, so that all but the one of the current request have handles in their
 * place. {@link SessionInformation#expireNow()} ends a session at once: its next request
 * has none.
 */
public class SessionStoreRegistry extends SpringSessionBackedSessionRegistry<SessionStoreSession> {

	private final SessionStoreRepository repository;

	public SessionStoreRegistry(SessionStoreRepository repository) {
		super(repository);
		this.repository = repository;
	}

	@Override
	public List<SessionInformation> getAllSessions(Object principal, boolean includeExpiredSessions) {
		String name = name(principal);
		HttpSession current = this.repository.getCurrentSession();
		String currentId = (current != null) ? current.getId() : null;
		List<SessionInformation> sessions = new ArrayList<>();
		for (Device device : this.repository.findDevices(name, currentId)) {
			String id = device.current() ? currentId : SessionStoreRepository.HANDLE_PREFIX + device.handle();
			Instant lastRequest = (device.lastAccessedTime() != null) ? device.lastAccessedTime()
					: device.authenticatedTime();
			sessions.add(new RevocableSessionInformation(name, id, lastRequest,
					() -> this.repository.revokeOf(name, device.handle())));
		}
		return sessions;
	}

	/**
	 * Returns what is known of a session. The one of the current request has been loaded,
	 * so that the database is not asked.
	 */
	@Override
	public SessionInformation getSessionInformation(String sessionId) {
		HttpSession current = this.repository.getCurrentSession();
		if (current != null && current.getId().equals(sessionId)) {
			return information(sessionId, current::getAttribute, Instant.ofEpochMilli(current.getLastAccessedTime()));
		}
		SessionStoreSession session = this.repository.findById(sessionId);
		return (session != null) ? information(sessionId, session::getAttribute, session.getLastAccessedTime()) : null;
	}

	private SessionInformation information(String id, Function<String, Object> attributes, Instant lastRequest) {
		return new RevocableSessionInformation(principalOf(attributes), id, lastRequest,
				() -> this.repository.deleteById(id));
	}

	private static String principalOf(Function<String, Object> attributes) {
		if (attributes.apply(FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME) instanceof String name) {
			return name;
		}
		Object context = attributes.apply(HttpSessionSecurityContextRepository.SPRING_SECURITY_CONTEXT_KEY);
		boolean isAuthenticated = context instanceof SecurityContext known && known.getAuthentication() != null;
		return isAuthenticated ? ((SecurityContext) context).getAuthentication().getName() : "";
	}

	private static final class RevocableSessionInformation extends SessionInformation {

		private static final long serialVersionUID = 1L;

		private final transient Runnable revocation;

		RevocableSessionInformation(String principal, String sessionId, Instant lastRequest, Runnable revocation) {
			super(principal, sessionId, Date.from(lastRequest));
			this.revocation = revocation;
		}

		@Override
		public void expireNow() {
			super.expireNow();
			this.revocation.run();
		}

	}

}
