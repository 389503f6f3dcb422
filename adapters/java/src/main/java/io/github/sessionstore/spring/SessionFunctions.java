package io.github.sessionstore.spring;

import java.nio.charset.StandardCharsets;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.sessionstore.spring.SessionAttributes.Changes;

import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.jdbc.CannotGetJdbcConnectionException;
import org.springframework.jdbc.core.JdbcOperations;
import org.springframework.jdbc.core.RowMapper;
import org.springframework.transaction.support.TransactionOperations;

/**
 * The functions of the extension. Each call is one statement, and a transaction of its
 * own.
 */
final class SessionFunctions {

	/** More than a pool has connections that have ended while nobody used them. */
	private static final int ATTEMPTS = 50;

	private static final long LONGEST_LIFETIME = Duration.ofDays(68 * 365).toSeconds();

	private static final int LONGEST_PRINCIPAL = 256;

	private static final String FETCH = "SELECT data FROM session_fetch(?::text) WHERE data IS NOT NULL";

	private static final String DETAILS = """
			SELECT created_at, nullif(expires_at, 'infinity') - lifetime AS last_seen, extract(epoch FROM lifetime) AS lifetime
			FROM session_load(?::text, slide => false)""";

	private static final String LIFETIME = "make_interval(secs => ?::float8)";

	private static final String CREATE = "SELECT session_save(?::text, ?::text, 0, " + LIFETIME + ")";

	private static final String CREATE_BOUND = "SELECT session_patch(session_login(NULL, ?::text, ?::jsonb, ?::text, "
			+ "lifetime => " + LIFETIME + "), ?::text)";

	private static final String RENEWED = "session_regenerate(?::text, ?::text, must_exist => true)";

	private static final String LOGGED_IN = "session_login(?::text, ?::text, ?::jsonb, ?::text, must_exist => true)";

	private static final String BOUND = "CASE WHEN session_bind(%s, ?::text, ?::jsonb) THEN ?::text END";

	private static final String PATCH = "SELECT session_patch(%s, ?::text, ?::text[], " + LIFETIME + ")";

	private static final String DESTROY = "SELECT session_destroy(?::text)";

	private static final String POP = "SELECT session_pop(?::text, ?::text)";

	private static final String FIND = """
			SELECT handle, data, created_at, last_seen, extract(epoch FROM lifetime) AS lifetime
			FROM session_find(?::text)""";

	private static final String DEVICES_OF_PRINCIPAL = """
			SELECT handle, handle = (SELECT handle FROM session_devices(?::text) WHERE is_this) AS is_this,
				attributes, created_at, authenticated_at, last_seen
			FROM session_find(?::text) ORDER BY last_seen, authenticated_at""";

	private static final String DEVICES = "SELECT * FROM session_devices(?::text)";

	private static final String REVOKE = "SELECT session_revoke(?::text, ?::text)";

	private static final String REVOKE_OTHERS = "SELECT session_revoke_others(?::text)";

	private static final String REVOKE_ALL = "SELECT session_revoke_all(?::text)";

	/** Whosever it is: this reads the whole table. */
	private static final String REVOKE_HANDLE = "SELECT session_revoke_handle(?::text)";

	/**
	 * By the index on principals, for which it needs a session of the same one. Nobody
	 * sees that, for it ends within the statement.
	 */
	private static final String REVOKE_OF_PRINCIPAL = """
			WITH made AS MATERIALIZED (SELECT session_login(NULL, ?::text) AS sid),
				done AS MATERIALIZED (SELECT sid, session_revoke(sid, ?::text) AS revoked FROM made)
			SELECT revoked FROM done WHERE session_destroy(sid)""";

	private final JdbcOperations jdbc;

	private final TransactionOperations transactions;

	SessionFunctions(JdbcOperations jdbc, TransactionOperations transactions) {
		this.jdbc = jdbc;
		this.transactions = transactions;
	}

	/**
	 * Returns the attributes, and keeps the session alive; {@code null} if there is none.
	 */
	Map<String, JsonNode> fetch(String id) {
		return isPossible(id) ? first(FETCH, (row, number) -> Json.readObject(row.getString(1)), id) : null;
	}

	SessionDetails details(String id) {
		return first(DETAILS, (row, number) -> details(row), id);
	}

	/**
	 * Begins a session.
	 * @param id its id
	 * @param attributes its attributes
	 * @param lifetime its lifetime
	 * @param binding whose it is, or {@code null} for nobody's
	 * @return false if there is a session with this id
	 */
	boolean create(String id, Changes attributes, Duration lifetime, Binding binding) {
		String json = Json.write(attributes.patch());
		String version = (binding == null) ? value(CREATE, id, json, seconds(lifetime))
				: value(CREATE_BOUND, binding.principal(), binding.attributes(), id, seconds(lifetime), json);
		return version != null;
	}

	/**
	 * Saves what has changed.
	 * @param id the session's id so far
	 * @param newId the one that it gets, which can be the same
	 * @param binding whose it becomes, or {@code null} if that does not change
	 * @param changes what has changed
	 * @param lifetime its lifetime, or {@code null} for the one that it has
	 * @return false if there is no such session any more
	 */
	boolean update(String id, String newId, Binding binding, Changes changes, Duration lifetime) {
		List<Object> arguments = new ArrayList<>();
		String session = session(id, newId, binding, arguments);
		arguments.add(Json.write(changes.patch()));
		arguments.add(changes.removed().toArray(String[]::new));
		arguments.add(seconds(lifetime));
		return value(PATCH.formatted(session), arguments.toArray()) != null;
	}

	/** The expression for the session, by its new id, once that is done. */
	private static String session(String id, String newId, Binding binding, List<Object> arguments) {
		boolean renewed = !newId.equals(id);
		arguments.add(id);
		if (renewed && binding != null && binding.principal() != null) {
			Collections.addAll(arguments, binding.principal(), binding.attributes(), newId);
			return LOGGED_IN;
		}
		if (renewed) {
			arguments.add(newId);
		}
		String session = renewed ? RENEWED : "?::text";
		if (binding == null) {
			return session;
		}
		Collections.addAll(arguments, binding.principal(), binding.attributes(), newId);
		return BOUND.formatted(session);
	}

	boolean destroy(String id) {
		return isPossible(id) && isTrue(value(DESTROY, id));
	}

	JsonNode pop(String id, String attributeName) {
		String json = isPossible(id) ? value(POP, id, attributeName) : null;
		return (json != null) ? Json.read(json) : null;
	}

	<T> List<T> find(String principal, RowMapper<T> mapper) {
		return isPossiblePrincipal(principal) ? query(FIND, mapper, principal) : List.of();
	}

	static SessionDetails details(ResultSet row) throws SQLException {
		return SessionDetails.of(instant(row, "created_at"), instant(row, "last_seen"), row.getLong("lifetime"));
	}

	/** The longest unused first. */
	List<Device> devicesOf(String principal, String currentId) {
		if (!isPossiblePrincipal(principal)) {
			return List.of();
		}
		return query(DEVICES_OF_PRINCIPAL, SessionFunctions::device, isPossible(currentId) ? currentId : null,
				principal);
	}

	List<Device> devices(String id) {
		return isPossible(id) ? query(DEVICES, SessionFunctions::device, id) : List.of();
	}

	private static Device device(ResultSet row, int number) throws SQLException {
		String attributes = row.getString("attributes");
		return new Device(row.getString("handle"), row.getBoolean("is_this"),
				(attributes != null) ? Json.readMap(attributes) : Map.of(), instant(row, "created_at"),
				instant(row, "authenticated_at"), instant(row, "last_seen"));
	}

	boolean revoke(String id, String handle) {
		return isPossible(id) && isPossible(handle) && isTrue(value(REVOKE, id, handle));
	}

	boolean revokeOf(String principal, String handle) {
		return isPossiblePrincipal(principal) && isPossible(handle)
				&& isTrue(value(REVOKE_OF_PRINCIPAL, principal, handle));
	}

	boolean revokeHandle(String handle) {
		return isPossible(handle) && isTrue(value(REVOKE_HANDLE, handle));
	}

	List<String> revokeOthers(String id) {
		return isPossible(id) ? query(REVOKE_OTHERS, (row, number) -> row.getString(1), id) : List.of();
	}

	List<String> revokeAll(String principal) {
		return isPossiblePrincipal(principal) ? query(REVOKE_ALL, (row, number) -> row.getString(1), principal)
				: List.of();
	}

	private static Instant instant(ResultSet row, String column) throws SQLException {
		OffsetDateTime time = row.getObject(column, OffsetDateTime.class);
		return (time != null) ? time.toInstant() : null;
	}

	/** The database has 0 for no limit, Spring Session what is negative. */
	private static String seconds(Duration lifetime) {
		if (lifetime == null) {
			return null;
		}
		double seconds = Math.max(lifetime.toMillis(), 1) / 1000.0;
		return lifetime.isNegative() ? "0" : String.valueOf(Math.min(seconds, LONGEST_LIFETIME));
	}

	/**
	 * Whether a session can have this id. Another is unknown without asking, and SQL text
	 * could not carry some.
	 */
	private static boolean isPossible(String id) {
		return id != null && !id.isEmpty() && id.length() <= 256 && id.chars().allMatch((c) -> c >= ' ' && c <= '~');
	}

	private static boolean isPossiblePrincipal(String principal) {
		return principal != null && !principal.isEmpty() && principal.indexOf('\0') < 0
				&& principal.getBytes(StandardCharsets.UTF_8).length <= LONGEST_PRINCIPAL;
	}

	private static boolean isTrue(String value) {
		return "t".equals(value);
	}

	private String value(String statement, Object... arguments) {
		return first(statement, (row, number) -> row.getString(1), arguments);
	}

	private <T> T first(String statement, RowMapper<T> mapper, Object... arguments) {
		List<T> rows = query(statement, mapper, arguments);
		return rows.isEmpty() ? null : rows.get(0);
	}

	private <T> List<T> query(String statement, RowMapper<T> mapper, Object... arguments) {
		for (int attempt = 1;; attempt++) {
			try {
				return this.transactions
					.execute((status) -> this.jdbc.query(statement, (prepared) -> set(prepared, arguments), mapper));
			}
			catch (DataAccessResourceFailureException ex) {
				if (attempt == ATTEMPTS || !isLostConnection(ex)) {
					throw ex;
				}
			}
		}
	}

	/** All as text, also nulls, so that a prepared statement stays good for the next. */
	private static void set(PreparedStatement prepared, Object[] arguments) throws SQLException {
		for (int i = 0; i < arguments.length; i++) {
			if (arguments[i] instanceof String[] array) {
				prepared.setArray(i + 1, prepared.getConnection().createArrayOf("text", array));
			}
			else {
				prepared.setString(i + 1, (String) arguments[i]);
			}
		}
	}

	/**
	 * Whether a pooled connection turned out to have ended, as all have when the server
	 * was restarted. The pool drops it, and the statement is said again. If it had been
	 * done, and only its answer was lost, a login or a renewal finds no session, and a
	 * value that was taken is gone.
	 */
	private static boolean isLostConnection(DataAccessResourceFailureException ex) {
		return !(ex instanceof CannotGetJdbcConnectionException) && ex.getCause() instanceof SQLException cause
				&& cause.getSQLState() != null
				&& (cause.getSQLState().startsWith("08") || cause.getSQLState().startsWith("57P"));
	}

	/** Whose a session becomes, nobody's without a principal, and a JSON object. */
	record Binding(String principal, String attributes) {
	}

}
