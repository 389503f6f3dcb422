package io.github.sessionstore.spring;

import java.sql.Connection;
import java.sql.SQLException;

import javax.sql.DataSource;

import org.springframework.jdbc.datasource.DelegatingDataSource;

/**
 * Connections on which each statement is a transaction. Some pools are told otherwise,
 * and would undo what was saved.
 */
final class AutocommitDataSource extends DelegatingDataSource {

	AutocommitDataSource(DataSource dataSource) {
		super(dataSource);
	}

	@Override
	public Connection getConnection() throws SQLException {
		Connection connection = super.getConnection();
		if (!connection.getAutoCommit()) {
			connection.setAutoCommit(true); // the pool takes that back
		}
		return connection;
	}

}
