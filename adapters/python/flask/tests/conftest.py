"""A database in the environment (PGHOST …, OWNER_URL), and an application served by real threads."""

import os
import tempfile
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from flask import Flask
from psycopg_pool import ConnectionPool
from werkzeug.serving import make_server

from application import make_application
from browser import Browser
from flask_session_store import SessionStore
from flask_session_store.store import IdleConnections


@pytest.fixture(scope="session")
def database():
    with psycopg.connect(os.environ["OWNER_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def no_sessions(request):
    if os.environ.get("OWNER_URL"):
        request.getfixturevalue("database").execute("DELETE FROM session")


class Table:
    """The live sessions that the database has."""

    def __init__(self, connection):
        self._connection = connection

    def rows(self):
        return self.value("count(*)")

    def value(self, column):
        (value,) = self._connection.execute(f"SELECT {column} FROM session WHERE session_expiry > now()").fetchone()
        return value

    def lifetime(self):
        return self.value("make_interval(secs => lifetime)")

    def place(self):
        """Another one after each write."""
        return self.value("(ctid, xmin)::text")

    def execute(self, statement, *parameters):
        return self._connection.execute(statement, parameters)


@pytest.fixture
def table(database):
    return Table(database)


@pytest.fixture
def early_in_a_minute(database):
    """Ends move by whole minutes, and the first use in the next one is written."""
    while not database.execute("SELECT extract(second FROM clock_timestamp()) < 55").fetchone()[0]:
        time.sleep(0.2)


@pytest.fixture
def app():
    return make_application()


@pytest.fixture
def client(app):
    return app.test_client()


class CountedConnections:
    """Counts the trips to the server by what libpq receives."""

    def __init__(self, connections):
        self._connections = connections
        self._trace = tempfile.TemporaryFile("w+b")  # noqa: SIM115 closed with the fixture

    @contextmanager
    def connection(self):
        with self._connections.connection() as connection:
            connection.pgconn.trace(self._trace.fileno())
            try:
                yield connection
            finally:
                connection.pgconn.untrace()

    def trips(self):
        """Since it was asked last."""
        self._trace.seek(0)
        trips = self._trace.read().count(b"\tReadyForQuery\t")
        self._trace.seek(0)
        self._trace.truncate()
        return trips

    def close(self):
        self._connections.close()
        self._trace.close()


@pytest.fixture(params=["ours", "pool"])
def counted(request):
    """An application, and the count of its trips."""
    connections = CountedConnections(
        IdleConnections() if request.param == "ours" else ConnectionPool(min_size=1, open=True)
    )
    app = make_application(SESSION_STORE_POOL=connections)
    app.trips = connections.trips
    yield app
    connections.close()


@pytest.fixture
def served(app):
    """The application behind a server with a thread for each request: browsers of it."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield lambda: Browser(server.port)
    server.shutdown()
    thread.join()


@pytest.fixture
def bare_app():
    app = Flask("bare")
    SessionStore(app)
    return app
