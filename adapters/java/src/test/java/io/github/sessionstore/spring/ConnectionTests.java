package io.github.sessionstore.spring;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

import com.zaxxer.hikari.HikariDataSource;
import org.junit.jupiter.api.Test;

import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.support.TransactionTemplate;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Whatever the pool does, a session that was saved is saved.
 */
class ConnectionTests {

	private static final int AT_ONCE = 4;

	private static SessionStoreSession saved(SessionStoreRepository repository) {
		SessionStoreSession session = repository.createSession();
		session.setAttribute("cart", "umbrella");
		repository.save(session);
		return session;
	}

	@Test
	void aPoolWithoutAutocommitKeepsWhatWasSaved() {
		try (HikariDataSource pool = Database.pool(Database.port())) {
			pool.setAutoCommit(false);
			SessionStoreSession session = saved(Database.repository(pool));
			assertThat(Database.exists(session.getId())).isTrue();
			assertThat(new JdbcTemplate(pool).<Boolean>execute((java.sql.Connection c) -> c.getAutoCommit())).isFalse();
		}
	}

	@Test
	void aTransactionOfTheCallerIsLeftAlone() {
		try (HikariDataSource pool = Database.pool(Database.port())) {
			TransactionTemplate transactions = new TransactionTemplate(new DataSourceTransactionManager(pool));
			TransactionTemplate apart = new TransactionTemplate(transactions.getTransactionManager());
			apart.setPropagationBehavior(TransactionDefinition.PROPAGATION_NOT_SUPPORTED);
			JdbcTemplate jdbc = new JdbcTemplate(pool);
			SessionStoreRepository repository = new SessionStoreRepository(pool, apart);
			SessionStoreSession session = transactions.execute((status) -> {
				jdbc.execute("CREATE TEMPORARY TABLE mine ()");
				SessionStoreSession made = saved(repository);
				assertThat(Database.exists(made.getId())).isTrue();
				assertThat(pool.getHikariPoolMXBean().getActiveConnections()).isEqualTo(1);
				jdbc.execute("SELECT FROM mine");
				status.setRollbackOnly();
				return made;
			});
			assertThat(Database.exists(session.getId())).isTrue();
		}
	}

	@Test
	void connectionsThatEndedWhileNobodyUsedThemCostNoRequest() throws Exception {
		ExecutorService tabs = Executors.newFixedThreadPool(AT_ONCE);
		try (HikariDataSource pool = Database.pool(Database.port())) {
			SessionStoreRepository repository = Database.repository(pool);
			SessionStoreSession session = saved(repository);
			for (int round = 0; round < 3; round++) {
				atOnce(tabs, () -> new JdbcTemplate(pool).execute("SELECT pg_sleep(0.1)"));
				Database.OWNER.queryForList(
						"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = ?",
						System.getenv("PGUSER"));
				atOnce(tabs, () -> {
					SessionStoreSession found = repository.findById(session.getId());
					found.setAttribute(Thread.currentThread().getName(), "x");
					repository.save(found);
				});
			}
			assertThat(repository.findById(session.getId()).getAttributeNames()).hasSize(1 + AT_ONCE);
		}
		finally {
			tabs.shutdownNow();
		}
	}

	@Test
	void connectionsThatEndedWithoutAWordCostNoRequest() throws Exception {
		try (TripCounter proxy = new TripCounter(); HikariDataSource pool = Database.pool(proxy.port())) {
			SessionStoreRepository repository = Database.repository(pool);
			SessionStoreSession session = saved(repository);
			for (int round = 0; round < 3; round++) {
				assertThat(repository.findById(session.getId())).isNotNull();
				proxy.cut();
			}
			assertThat(repository.findById(session.getId())).isNotNull();
		}
	}

	private static void atOnce(ExecutorService tabs, Runnable task) throws Exception {
		List<Future<?>> underWay = new ArrayList<>();
		for (int tab = 0; tab < AT_ONCE; tab++) {
			underWay.add(tabs.submit(task));
		}
		for (Future<?> one : underWay) {
			one.get();
		}
	}

}
