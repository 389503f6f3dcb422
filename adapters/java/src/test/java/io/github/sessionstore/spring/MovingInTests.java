package io.github.sessionstore.spring;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.BiFunction;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.zaxxer.hikari.HikariDataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import org.springframework.core.convert.support.GenericConversionService;
import org.springframework.core.io.ClassPathResource;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.init.ResourceDatabasePopulator;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.context.SecurityContextImpl;
import org.springframework.security.jackson2.SecurityJackson2Modules;
import org.springframework.session.FindByIndexNameSessionRepository;
import org.springframework.session.Session;
import org.springframework.session.jdbc.JdbcIndexedSessionRepository;
import org.springframework.transaction.support.TransactionTemplate;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Sessions that Spring Session JDBC has made go on.
 */
class MovingInTests {

	private final String user = "user " + UUID.randomUUID();

	private final HikariDataSource pool = Database.pool(Database.port());

	private final JdbcTemplate jdbc = new JdbcTemplate(this.pool);

	@BeforeEach
	void makeTables() {
		dropTables();
		new ResourceDatabasePopulator(new ClassPathResource("org/springframework/session/jdbc/schema-postgresql.sql"))
			.execute(this.pool);
	}

	@AfterEach
	void close() {
		dropTables();
		this.pool.close();
	}

	private void dropTables() {
		this.jdbc.execute("DROP TABLE IF EXISTS spring_session, spring_session_attributes");
	}

	private JdbcIndexedSessionRepository before() {
		return new JdbcIndexedSessionRepository(this.jdbc,
				new TransactionTemplate(new DataSourceTransactionManager(this.pool)));
	}

	/** Says what it does to a session, and saves that with either repository. */
	private static <S extends Session> String save(FindByIndexNameSessionRepository<S> sessions,
			BiFunction<Session, Object, Object> change, Object value) {
		S session = sessions.createSession();
		change.apply(session, value);
		sessions.save(session);
		return session.getId();
	}

	private static Object logIn(Session session, Object name) {
		session.setAttribute("SPRING_SECURITY_CONTEXT",
				new SecurityContextImpl(UsernamePasswordAuthenticationToken.authenticated(name, null, List.of())));
		session.setAttribute("cart", new ArrayList<>(List.of("umbrella", 2)));
		session.setAttribute("text", "ü");
		session.setMaxInactiveInterval(Duration.ofHours(8));
		return session;
	}

	private void isLoggedIn(SessionStoreRepository after, String id) {
		SessionStoreSession session = after.findById(id);
		assertThat(session.<SecurityContext>getAttribute("SPRING_SECURITY_CONTEXT").getAuthentication().getName())
			.isEqualTo(this.user);
		assertThat(session.<List<Object>>getAttribute("cart")).containsExactly("umbrella", 2);
		assertThat(session.<String>getAttribute("text")).isEqualTo("ü");
		assertThat(session.getMaxInactiveInterval()).isEqualTo(Duration.ofHours(8));
		assertThat(Database.principal(id)).isEqualTo(this.user);
	}

	@Test
	void nobodyIsLoggedOut() {
		JdbcIndexedSessionRepository before = before();
		String loggedIn = save(before, MovingInTests::logIn, this.user);
		String visitor = save(before, (session, none) -> session, null);
		String forEver = save(before, (session, seconds) -> {
			session.setMaxInactiveInterval(Duration.ofSeconds(-1));
			return session;
		}, null);
		String expired = save(before, MovingInTests::logIn, this.user);
		this.jdbc.update("UPDATE spring_session SET expiry_time = 0 WHERE session_id = ?", expired);
		assertThat(this.jdbc.queryForObject(Readme.block("sql", 0), Integer.class)).isEqualTo(3);
		SessionStoreRepository after = Database.repository(this.pool);
		isLoggedIn(after, loggedIn);
		assertThat(after.findById(visitor).getAttributeNames()).isEmpty();
		assertThat(after.findById(visitor).getMaxInactiveInterval()).isEqualTo(Duration.ofMinutes(30));
		assertThat(after.findById(forEver).getMaxInactiveInterval()).isNegative();
		assertThat(after.findById(expired)).isNull();
		assertThat(this.jdbc.queryForObject(Readme.block("sql", 0), Integer.class)).isZero();
		assertThat(after.revokeAll(this.user)).hasSize(1);
	}

	@Test
	void norWhoseSessionIsJson() {
		ObjectMapper mapper = new ObjectMapper();
		mapper.registerModules(SecurityJackson2Modules.getModules(getClass().getClassLoader()));
		JdbcIndexedSessionRepository before = before();
		before.setConversionService(json(mapper));
		String loggedIn = save(before, MovingInTests::logIn, this.user);
		String statement = Readme.block("sql", 0)
			.replaceAll("json_build_object\\(.*E'.n', ''\\)\\)", "convert_from(attribute_bytes, 'UTF8')::json");
		assertThat(this.jdbc.queryForObject(statement, Integer.class)).isEqualTo(1);
		SessionStoreRepository after = Database.repository(this.pool);
		after.setAttributeSerializer(new JsonAttributeSerializer(mapper));
		isLoggedIn(after, loggedIn);
		assertThat(after.findById(loggedIn).<Object>getAttribute("cart")).isInstanceOf(ArrayList.class);
	}

	private static GenericConversionService json(ObjectMapper mapper) {
		GenericConversionService service = new GenericConversionService();
		service.addConverter(Object.class, byte[].class, (value) -> {
			try {
				return mapper.writeValueAsBytes(value);
			}
			catch (Exception ex) {
				throw new IllegalStateException(ex);
			}
		});
		service.addConverter(byte[].class, Object.class, (bytes) -> {
			try {
				return mapper.readValue(bytes, Object.class);
			}
			catch (Exception ex) {
				throw new IllegalStateException(ex);
			}
		});
		return service;
	}

}
