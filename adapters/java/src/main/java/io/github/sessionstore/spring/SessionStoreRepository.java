package io.github.sessionstore.spring;

import java.time.Duration;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.WeakHashMap;

import javax.sql.DataSource;

import com.fasterxml.jackson.databind.JsonNode;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpSession;

import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.session.DelegatingIndexResolver;
import org.springframework.session.FindByIndexNameSessionRepository;
import org.springframework.session.FlushMode;
import org.springframework.session.IndexResolver;
import org.springframework.session.MapSession;
import org.springframework.session.PrincipalNameIndexResolver;
import org.springframework.session.SaveMode;
import org.springframework.session.Session;
import org.springframework.session.SessionIdGenerator;
import org.springframework.session.UuidSessionIdGenerator;
import org.springframework.transaction.support.TransactionOperations;
import org.springframework.util.Assert;
import org.springframework.util.ClassUtils;
import org.springframework.util.StringUtils;

/**
 * Keeps sessions in PostgreSQL, by the extension session_store. The database ends those
 * that nobody uses; there is no clean-up job.
 * <p>
 * The ids of sessions are not stored, only digests of them. So
 * {@link #findByPrincipalName(String)} has handles in their place, which begin with
 * {@value #HANDLE_PREFIX}: sessions can be looked at and deleted by them, but never be
 * loaded with {@link #findById(String)}.
 */
public class SessionStoreRepository implements FindByIndexNameSessionRepository<SessionStoreSession> {

	/**
	 * What the handles in the place of ids begin with.
	 */
	public static final String HANDLE_PREFIX = "handle:";

	private static final Set<String> INDEXED = Set.of(PRINCIPAL_NAME_INDEX_NAME, "SPRING_SECURITY_CONTEXT");

	private final SessionFunctions functions;

	/**
	 * By the ids that sessions are to get, those by which the database knows them yet.
	 */
	private final Map<String, String> renewals = Collections.synchronizedMap(new WeakHashMap<>());

	private final ThreadLocal<Request> request = new ThreadLocal<>();

	private Duration defaultMaxInactiveInterval = MapSession.DEFAULT_MAX_INACTIVE_INTERVAL;

	private IndexResolver<Session> indexResolver = new DelegatingIndexResolver<>(new PrincipalNameIndexResolver<>());

	private boolean indexesAnyAttribute;

	private PrincipalAttributesResolver principalAttributesResolver;

	private AttributeSerializer attributeSerializer = new JdkAttributeSerializer(ClassUtils.getDefaultClassLoader());

	private FlushMode flushMode = FlushMode.ON_SAVE;

	private SaveMode saveMode = SaveMode.ON_SET_ATTRIBUTE;

	private SessionIdGenerator sessionIdGenerator = UuidSessionIdGenerator.getInstance();

	/**
	 * Creates a repository.
	 * @param dataSource the database
	 * @param transactionOperations what keeps the transaction of a caller apart
	 */
	public SessionStoreRepository(DataSource dataSource, TransactionOperations transactionOperations) {
		Assert.notNull(dataSource, "dataSource must not be null");
		Assert.notNull(transactionOperations, "transactionOperations must not be null");
		this.functions = new SessionFunctions(new JdbcTemplate(new AutocommitDataSource(dataSource)),
				transactionOperations);
	}

	/**
	 * Sets for how long new sessions last without being used.
	 * @param defaultMaxInactiveInterval the time, 30 minutes unless set; negative for
	 * ever
	 */
	public void setDefaultMaxInactiveInterval(Duration defaultMaxInactiveInterval) {
		Assert.notNull(defaultMaxInactiveInterval, "defaultMaxInactiveInterval must not be null");
		this.defaultMaxInactiveInterval = defaultMaxInactiveInterval;
	}

	/**
	 * Sets what finds out whose a session is.
	 * @param indexResolver the resolver, a {@link PrincipalNameIndexResolver} unless set
	 */
	public void setIndexResolver(IndexResolver<Session> indexResolver) {
		Assert.notNull(indexResolver, "indexResolver cannot be null");
		this.indexResolver = indexResolver;
		this.indexesAnyAttribute = true;
	}

	/**
	 * Sets what finds out what to keep beside the principal of a session.
	 * @param principalAttributesResolver the resolver
	 */
	public void setPrincipalAttributesResolver(PrincipalAttributesResolver principalAttributesResolver) {
		this.principalAttributesResolver = principalAttributesResolver;
	}

	/**
	 * Sets how values are kept.
	 * @param attributeSerializer the serializer, a {@link JdkAttributeSerializer} unless
	 * set
	 */
	public void setAttributeSerializer(AttributeSerializer attributeSerializer) {
		Assert.notNull(attributeSerializer, "attributeSerializer must not be null");
		this.attributeSerializer = attributeSerializer;
	}

	/**
	 * Sets when changes are saved.
	 * @param flushMode the mode, {@link FlushMode#ON_SAVE} unless set
	 */
	public void setFlushMode(FlushMode flushMode) {
		Assert.notNull(flushMode, "flushMode must not be null");
		this.flushMode = flushMode;
	}

	/**
	 * Sets which attributes are looked at for changes.
	 * @param saveMode the mode, {@link SaveMode#ON_SET_ATTRIBUTE} unless set
	 */
	public void setSaveMode(SaveMode saveMode) {
		Assert.notNull(saveMode, "saveMode must not be null");
		this.saveMode = saveMode;
	}

	/**
	 * Sets what makes ids.
	 * @param sessionIdGenerator the generator, of UUIDs unless set
	 */
	public void setSessionIdGenerator(SessionIdGenerator sessionIdGenerator) {
		Assert.notNull(sessionIdGenerator, "sessionIdGenerator cannot be null");
		this.sessionIdGenerator = sessionIdGenerator;
	}

	@Override
	public SessionStoreSession createSession() {
		SessionStoreSession session = SessionStoreSession.begin(this, this.sessionIdGenerator.generate(),
				attributes(Map.of()), this.defaultMaxInactiveInterval);
		if (flushesImmediately()) {
			session.save();
		}
		return session;
	}

	/**
	 * Saves what has changed. It does nothing if the session has ended meanwhile.
	 * @param session the session
	 */
	@Override
	public void save(SessionStoreSession session) {
		session.save();
	}

	/**
	 * Loads a session and keeps it alive.
	 * @param id its id
	 * @return the session, or {@code null} if there is none
	 */
	@Override
	public SessionStoreSession findById(String id) {
		Request current = this.request.get();
		if (current != null && current.response.isCommitted() && current.sessions.containsKey(id)) {
			return current.sessions.get(id);
		}
		Map<String, JsonNode> stored = this.functions.fetch(id);
		SessionStoreSession session = (stored != null) ? SessionStoreSession.load(this, id, attributes(stored)) : null;
		if (current != null && session != null) {
			current.sessions.put(id, session);
		}
		return session;
	}

	void beginRequest(ServletResponse response) {
		this.request.set(new Request(response));
	}

	/** Spring Session's request, which knows the session. */
	void serve(HttpServletRequest request) {
		this.request.get().served = request;
	}

	/**
	 * Returns the session of the request that this thread serves.
	 * @return the session, or {@code null} if there is none, or no
	 * {@link SessionStoreRepositoryFilter} around the request
	 */
	public HttpSession getCurrentSession() {
		Request current = this.request.get();
		return (current != null && current.served != null) ? current.served.getSession(false) : null;
	}

	void endRequest() {
		this.request.remove();
	}

	/**
	 * Ends a session.
	 * @param id its id, or a handle in its place, for which the database reads the whole
	 * table
	 */
	@Override
	public void deleteById(String id) {
		if (id.startsWith(HANDLE_PREFIX)) {
			this.functions.revokeHandle(handle(id));
		}
		else {
			this.functions.destroy(storedId(id));
		}
	}

	/**
	 * Finds the sessions of a principal.
	 * @param indexName {@link #PRINCIPAL_NAME_INDEX_NAME}: there is no other index
	 * @param indexValue the principal
	 * @return the sessions, which cannot be changed, by their handles
	 */
	@Override
	public Map<String, SessionStoreSession> findByIndexNameAndIndexValue(String indexName, String indexValue) {
		if (!PRINCIPAL_NAME_INDEX_NAME.equals(indexName)) {
			return Collections.emptyMap();
		}
		Map<String, SessionStoreSession> sessions = new LinkedHashMap<>();
		this.functions.find(indexValue, (row, number) -> {
			String json = row.getString("data"); // null if it is not JSON
			SessionAttributes attributes = attributes((json != null) ? Json.readObject(json) : Map.of());
			String handle = HANDLE_PREFIX + row.getString("handle");
			return SessionStoreSession.find(handle, attributes, SessionFunctions.details(row));
		}).forEach((session) -> sessions.put(session.getId(), session));
		return sessions;
	}

	/**
	 * Takes an attribute out of a session, at once: of parallel requests one gets it.
	 * @param id the id of the session
	 * @param attributeName the name of the attribute
	 * @param <T> its type
	 * @return the value, or {@code null} if there is none
	 */
	@SuppressWarnings("unchecked")
	public <T> T popAttribute(String id, String attributeName) {
		JsonNode value = this.functions.pop(storedId(id), attributeName);
		SessionStoreSession loaded = (this.request.get() != null) ? this.request.get().find(id) : null;
		if (loaded != null) {
			loaded.forget(attributeName);
		}
		return (value != null) ? (T) this.attributeSerializer.deserialize(value) : null;
	}

	/**
	 * Returns the sessions of the same principal, this one first, then those that were
	 * used last. A login of this request counts when the session is saved.
	 * @param id the id of a session
	 * @return none if it is nobody's
	 */
	public List<Device> findDevices(String id) {
		return this.functions.devices(storedId(id));
	}

	/**
	 * Returns the sessions of a principal, the longest unused first.
	 * @param principalName the principal
	 * @param currentId the id of the session that is the current one, if it is one of
	 * these
	 * @return the sessions
	 */
	public List<Device> findDevices(String principalName, String currentId) {
		return this.functions.devicesOf(principalName, storedId(currentId));
	}

	/**
	 * Ends another session of the same principal.
	 * @param id the id of a session
	 * @param handle the handle of the other
	 * @return whether there was such a session
	 */
	public boolean revoke(String id, String handle) {
		return this.functions.revoke(storedId(id), handle(handle));
	}

	/**
	 * Ends a session of a principal, by whom the database finds it fast.
	 * @param principalName the principal
	 * @param handle the handle of the session
	 * @return whether there was such a session
	 */
	public boolean revokeOf(String principalName, String handle) {
		return this.functions.revokeOf(principalName, handle(handle));
	}

	/**
	 * Ends all other sessions of the same principal: when the password changes.
	 * @param id the id of the session that stays
	 * @return the handles of what has ended
	 */
	public List<String> revokeOthers(String id) {
		return this.functions.revokeOthers(storedId(id));
	}

	/**
	 * Ends all sessions of a principal.
	 * @param principalName the principal
	 * @return the handles of what has ended
	 */
	public List<String> revokeAll(String principalName) {
		return this.functions.revokeAll(principalName);
	}

	private String storedId(String id) {
		return this.renewals.getOrDefault(id, id);
	}

	private static String handle(String handle) {
		return handle.startsWith(HANDLE_PREFIX) ? handle.substring(HANDLE_PREFIX.length()) : handle;
	}

	private SessionAttributes attributes(Map<String, JsonNode> stored) {
		return new SessionAttributes(this.attributeSerializer, stored);
	}

	SessionFunctions functions() {
		return this.functions;
	}

	SaveMode getSaveMode() {
		return this.saveMode;
	}

	boolean flushesImmediately() {
		return this.flushMode == FlushMode.IMMEDIATE;
	}

	boolean isIndexed(String attributeName) {
		return this.indexesAnyAttribute || INDEXED.contains(attributeName);
	}

	String principalOf(Session session) {
		String principal = this.indexResolver.resolveIndexesFor(session).get(PRINCIPAL_NAME_INDEX_NAME);
		return StringUtils.hasLength(principal) ? principal : null;
	}

	String principalAttributesOf(Session session) {
		return (this.principalAttributesResolver != null)
				? Json.write(this.principalAttributesResolver.resolveAttributesFor(session)) : null;
	}

	SessionDetails detailsOf(String id) {
		SessionDetails details = this.functions.details(id);
		return (details != null) ? details : SessionDetails.asOfNow(this.defaultMaxInactiveInterval);
	}

	/**
	 * Remembers the id so far, in case that somebody calls by the new one before it is
	 * saved.
	 */
	String generateId(String storedId) {
		String id = this.sessionIdGenerator.generate();
		if (storedId != null) {
			this.renewals.put(id, storedId);
		}
		return id;
	}

	void renewed(String id) {
		this.renewals.remove(id);
	}

	/** What is known of this thread's request. */
	private static final class Request {

		private final ServletResponse response;

		/** What it has loaded, by the ids that it asked for. */
		private final Map<String, SessionStoreSession> sessions = new HashMap<>();

		private HttpServletRequest served;

		Request(ServletResponse response) {
			this.response = response;
		}

		/** The one that has the id now. */
		SessionStoreSession find(String id) {
			return this.sessions.values()
				.stream()
				.filter((session) -> session.getId().equals(id))
				.findAny()
				.orElse(null);
		}

	}

}
