"""Where connections come from, and what a restart of the database costs."""

import os

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from application import make_application
from flask_session_store.store import IdleConnections


def end_connections(table):
    """What a restart of the server does to those who are connected."""
    table.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app'")


def backends(table):
    return table.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'").fetchone()[0]


def test_connections_that_the_server_has_ended_are_replaced(app, client, table):
    client.post("/set?a=1")
    for _ in range(3):
        end_connections(table)
        assert client.get("/session").json == {"a": "1"}


def test_a_connection_lost_in_the_middle_costs_that_request_only(app, client, table):
    client.post("/set?a=1")
    connections = app.session_interface.store._connections
    app.testing = False

    def cut():
        with connections.connection() as connection:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(psycopg.OperationalError):
        cut()
    assert client.get("/session").json == {"a": "1"}


def test_as_many_connections_as_are_needed_at_once(app, served, table):
    end_connections(table)
    browser = served()
    browser.post("/set", a=1)
    for number in range(5):
        browser.post("/set", a=number)
    assert backends(table) == 1


def test_without_its_database_the_application_says_so_and_logs_nobody_out(client):
    client.post("/set?a=1")
    app = make_application(SESSION_STORE_CONNINFO="host=127.0.0.1 port=1")
    app.testing = False
    other = app.test_client()
    other.set_cookie("session", client.get_cookie("session").value)
    answer = other.get("/session")
    assert answer.status_code == 500
    assert "Set-Cookie" not in answer.headers
    assert other.get("/nothing").status_code == 200


def backend(connections):
    with connections.connection() as connection:
        return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


@pytest.mark.filterwarnings("ignore:.*deleted while still open:ResourceWarning", "ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_has_connections_of_its_own():
    """As workers of gunicorn --preload and uWSGI are: over a common one they would read each other's sessions."""
    connections = IdleConnections()
    before = backend(connections)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(backend(connections)).encode())
            connections.close()
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading) as answer:
        assert int(answer.read()) != before
    assert backend(connections) == before, "the connection goes on where it was opened"
    connections.close()


@pytest.mark.parametrize("kwargs", [{}, {"autocommit": True, "row_factory": dict_row}], ids=["plain", "special"])
def test_a_pool_of_the_application_is_used_and_left_as_it_was(table, kwargs):
    with ConnectionPool(min_size=1, max_size=2, kwargs=kwargs, check=ConnectionPool.check_connection) as pool:
        pool.wait()
        client = make_application(SESSION_STORE_POOL=pool).test_client()
        client.post("/set?a=1")
        client.post("/login?user=ada")
        assert client.get("/session").json == {"a": "1", "user": "ada"}
        with pool.connection() as connection:
            assert connection.autocommit == kwargs.get("autocommit", False)
        end_connections(table)
        assert client.get("/session").json == {"a": "1", "user": "ada"}


def test_statements_are_not_prepared(app, client, table):
    """PgBouncer gives each transaction to another connection of the server."""
    for number in range(12):
        client.post(f"/set?a={number}")
    with app.session_interface.store._connections.connection() as connection:
        assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_a_server_that_has_said_something_is_not_asked_again():
    connections = IdleConnections()
    with connections.connection() as first:
        pass
    with connections.connection() as second:
        assert second is first
    first.pgconn.send_query(b"SELECT 1")  # an answer arrives while it idles
    import time

    time.sleep(0.2)
    with connections.connection() as third:
        assert third is not first
    connections.close()
