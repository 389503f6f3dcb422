package io.github.sessionstore.spring;

import java.net.URI;
import java.util.List;
import java.util.Map;

import javax.sql.DataSource;

import com.zaxxer.hikari.HikariDataSource;

import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.transaction.support.TransactionOperations;

/**
 * The database of the tests: as the application sees it, and what its owner sees in the
 * table.
 */
public final class Database {

	public static final JdbcTemplate OWNER = new JdbcTemplate(owner());

	private static final String LIVE = "session_expiry > clock_timestamp()";

	static {
		// A connection that idled is checked by asking over it, which is not to be
		// counted.
		System.setProperty("com.zaxxer.hikari.aliveBypassWindowMs", "600000");
	}

	private Database() {
	}

	private static DataSource owner() {
		URI address = URI.create(System.getenv("OWNER_URL"));
		String[] user = address.getUserInfo().split(":");
		return new DriverManagerDataSource(url(address.getPort()), user[0], user[1]);
	}

	public static String url(int port) {
		return "jdbc:postgresql://127.0.0.1:" + port + "/" + System.getenv("PGDATABASE") + "?sslmode=disable";
	}

	public static int port() {
		return Integer.parseInt(System.getenv("PGPORT"));
	}

	public static HikariDataSource pool(int port) {
		HikariDataSource pool = new HikariDataSource();
		pool.setJdbcUrl(url(port));
		pool.setUsername(System.getenv("PGUSER"));
		pool.setPassword(System.getenv("PGPASSWORD"));
		pool.setMaximumPoolSize(4);
		return pool;
	}

	public static SessionStoreRepository repository(DataSource pool) {
		return new SessionStoreRepository(pool, TransactionOperations.withoutTransaction());
	}

	/** A column of a session's row; null if there is no live one. */
	public static <T> T column(String id, String column, Class<T> type) {
		String query = "SELECT " + column + " FROM session WHERE session_key = sha256(?::bytea) AND " + LIVE;
		List<T> found = OWNER.queryForList(query, type, id);
		return found.isEmpty() ? null : found.get(0);
	}

	public static boolean exists(String id) {
		return column(id, "true", Boolean.class) != null;
	}

	public static String principal(String id) {
		return column(id, "principal", String.class);
	}

	/** Where the row is: another place after each write. */
	public static String place(String id) {
		return column(id, "(ctid, xmin)::text", String.class);
	}

	public static Map<String, Object> content(String id) {
		return Json.readMap(column(id, "session_decode(session_data)::text", String.class));
	}

	public static long rows() {
		return OWNER.queryForObject("SELECT count(*) FROM session", Long.class);
	}

	public static void clear() {
		OWNER.execute("DELETE FROM session");
	}

	/** Ends move by whole minutes, and the first use in the next one is written. */
	public static void awaitEarlyInAMinute() throws InterruptedException {
		while (!OWNER.queryForObject("SELECT extract(second FROM clock_timestamp()) < 55", Boolean.class)) {
			Thread.sleep(200);
		}
	}

}
