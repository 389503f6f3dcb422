package io.github.sessionstore.spring;

import com.zaxxer.hikari.HikariDataSource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/**
 * A pool whose round trips are counted.
 */
abstract class CountedTrips {

	static TripCounter counter;

	static HikariDataSource pool;

	@BeforeAll
	static void connect() throws Exception {
		counter = new TripCounter();
		pool = Database.pool(counter.port());
	}

	@AfterAll
	static void disconnect() throws Exception {
		pool.close();
		counter.close();
	}

}
