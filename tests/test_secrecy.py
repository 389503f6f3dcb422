"""No message of ours lets a session id or value into the server log, whatever the driver does."""

import psycopg
import psycopg2
import pytest
from conftest import THREADS, one, wait_until
from failures import ARGUMENTS, CHANGES, CREATE, CREATES, EVERY, SID, VALUE, failures, functions
from psycopg import errors
from sweeping import EVERY_SECOND

FIELDS = [name for name in dir(psycopg.errors.Diagnostic) if not name.startswith("_")]

QUIET = "SET log_statement = none; SET log_min_error_statement = error; SET log_min_messages = debug1;"
TALKATIVE = (
    "SET log_statement = none; SET log_min_error_statement = debug5; SET log_min_messages = debug1;"
    "SET log_error_verbosity = verbose; SET log_parameter_max_length_on_error = -1;"
)


class Interpolating:
    """psycopg2 writes the arguments into the statement, as Django does."""

    def __init__(self, database):
        self.connection = psycopg2.connect(**database.address())
        self.connection.autocommit = True

    def execute(self, query, arguments=None):
        with self.connection.cursor() as cursor:
            cursor.execute(query, arguments)


class Dynamic(Interpolating):
    """Dynamic SQL in PL/pgSQL has a statement of its own, which the context of an error shows."""

    def execute(self, query, arguments=None):
        with self.connection.cursor() as cursor:
            if arguments:
                query = f"DO $do$ BEGIN EXECUTE $x${cursor.mogrify(query, arguments).decode()}$x$; END $do$"
            cursor.execute(query)


def extended(database):
    """psycopg 3 sends the arguments apart; the log can show them as the portal's parameters."""
    return database.connect()


def client_side(database):
    """psycopg 3 can interpolate, too."""
    return database.connect(cursor_factory=psycopg.ClientCursor)


def shown(error):
    return {name: getattr(error.diag, name, None) for name in FIELDS}


@pytest.mark.parametrize("log", [QUIET, TALKATIVE], ids=["quiet", "talkative"])
@pytest.mark.parametrize("client", [Interpolating, Dynamic, extended, client_side], ids=lambda client: client.__name__.lower())
def test_no_error_of_ours_shows_a_session_id_or_value(server, database, client, log):
    connection, tried = client(database), 0
    connection.execute(log)
    before = len(server.log_text())
    for message, preparation, call in failures(database.connect()):
        connection.execute("BEGIN")
        connection.execute(CREATE)
        if preparation:
            connection.execute(preparation)
        with pytest.raises((psycopg.Error, psycopg2.Error)) as raised:
            connection.execute(call, ARGUMENTS)
            pytest.fail(f"{call} does not fail: {message}")
        fields = shown(raised.value)
        assert fields["message_primary"] == message, call
        assert fields["message_hint"]
        if client in (Dynamic, extended):
            del fields["context"]  # written by PL/pgSQL or the portal, to the client that sent the statement
        assert "Secret" not in str(fields)
        connection.execute("ROLLBACK; RESET session_store.max_size")
        tried += 1
    logged = server.log_text(before)
    assert tried > 160
    assert logged.count("ERROR:  ") == tried
    assert "Secret" not in logged, logged


@pytest.mark.parametrize("log", [QUIET, TALKATIVE], ids=["quiet", "talkative"])
def test_errors_of_others_keep_their_statement_in_the_log(server, database, log):
    client = Interpolating(database)
    client.execute(log)
    client.execute(f"SELECT session_create('{{}}', '{SID}')")
    before = len(server.log_text())
    for call in (f"SELECT session_set('{SID}', NULL, '1')", "SELECT 1 / 0 AS mine"):
        with pytest.raises(psycopg2.Error):
            client.execute(call)
    assert "STATEMENT:  SELECT 1 / 0 AS mine" in server.log_text(before)


def test_reading_and_sliding_log_nothing(server, database):
    client = Interpolating(database)
    client.execute(TALKATIVE)
    client.execute(f"SELECT session_create('{VALUE}', '{SID}')")
    client.execute("UPDATE session SET session_expiry = now() + interval '10 min'")
    before = len(server.log_text())
    client.execute(f"SELECT session_get('{SID}'), session_load('{SID}'), session_touch('{SID}')")
    client.execute(f"SELECT session_set('{SID}', 'k', '1')")
    assert server.log_text(before) == ""


# What PostgreSQL says within a call


def logged_for(server, before):
    logged = server.log_text(before)
    assert "Secret" not in logged, logged
    return logged


@pytest.mark.parametrize("client", [Interpolating, Dynamic, client_side], ids=lambda client: client.__name__.lower())
def test_a_call_that_waits_in_vain_hides_its_statement_whatever_it_waits_for(server, database, client):
    connection, locker = client(database), database.connect()
    connection.execute(f"{CREATE}; SET lock_timeout = 1")
    calls = functions(database.connect())
    before, tried = len(server.log_text()), 0
    for lock, names in ("LOCK TABLE session", EVERY), ("SELECT FROM session FOR UPDATE", CHANGES - CREATES):
        locker.execute(f"BEGIN; {lock}")
        for function in calls:
            if function.name in names:
                with pytest.raises((errors.LockNotAvailable, psycopg2.errors.LockNotAvailable)):
                    connection.execute(function.call(), ARGUMENTS)
                    pytest.fail(f"{function.name} does not wait: {lock}")
                tried += 1
        locker.execute("ROLLBACK")
    assert logged_for(server, before).count("canceling statement due to lock timeout") == tried


def test_a_statement_that_fails_later_is_shown_again(server, database):
    client, locker = Interpolating(database), database.connect()
    client.execute(f"SELECT session_create('{{}}', '{SID}'); SET lock_timeout = 1")
    locker.execute("BEGIN; SELECT FROM session FOR UPDATE")
    before = len(server.log_text())
    client.execute(f"DO $$ BEGIN PERFORM session_set('{SID}', 'k', '1'); EXCEPTION WHEN lock_not_available THEN END $$")
    for call in f"session_set('{SID}', 'k', '1')", f"session_get('{SID}')", "1 / 0 AS mine":
        try:
            client.execute(f"SELECT {call}")
        except psycopg2.Error:
            pass
    assert "STATEMENT:  SELECT 1 / 0 AS mine" in logged_for(server, before)


def test_a_long_wait_is_logged_without_its_statement(server, database):
    client, locker = Interpolating(database), database.connect()
    client.execute(f"SELECT session_create('{{}}', '{SID}')")
    client.execute("SET log_lock_waits = on; SET deadlock_timeout = 10; SET lock_timeout = 500")
    locker.execute("BEGIN; SELECT FROM session FOR UPDATE")
    before = len(server.log_text())
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        client.execute(f"SELECT session_set('{SID}', 'k', '1')")
    assert "still waiting for ShareLock" in logged_for(server, before)


def test_a_deadlock_is_reported_without_the_statements(server, database):
    one_way, other_way = Interpolating(database), database.connect(cursor_factory=psycopg.ClientCursor)
    one_way.execute(f"SELECT session_create('{{}}', '{SID}'), session_create('{{}}', 'Secret-too')")
    one_way.execute(f"SET deadlock_timeout = '1 h'; BEGIN; SELECT session_set('{SID}', 'k', '1')")
    other_way.execute("SET deadlock_timeout = 10; BEGIN; SELECT session_set('Secret-too', 'k', '1')")
    before = len(server.log_text())
    waiting = THREADS.submit(one_way.execute, "SELECT session_set('Secret-too', 'k', '2')")
    with database.connect() as watcher:
        pid = one_way.connection.info.backend_pid
        wait_until(lambda: one(watcher, "SELECT cardinality(pg_blocking_pids(%s))", pid))
    with pytest.raises(errors.DeadlockDetected):
        other_way.execute("SELECT session_set(%s, 'k', '2')", (SID,))
    waiting.result(timeout=10)
    logged = logged_for(server, before)
    assert "deadlock detected" in logged
    assert "waits for ShareLock on transaction" in logged


def test_a_call_that_is_terminated_hides_its_statement(server, database):
    client, locker, owner = Interpolating(database), database.connect(), database.connect()
    client.execute(f"SELECT session_create('{{}}', '{SID}')")
    locker.execute("BEGIN; SELECT FROM session FOR UPDATE")
    before = len(server.log_text())
    waiting = THREADS.submit(client.execute, f"SELECT session_set('{SID}', 'k', '1')")
    pid = client.connection.info.backend_pid
    wait_until(lambda: one(owner, "SELECT cardinality(pg_blocking_pids(%s))", pid))
    owner.execute("SELECT pg_terminate_backend(%s)", (pid,))
    with pytest.raises(psycopg2.Error):
        waiting.result(timeout=10)
    assert "FATAL:  terminating connection" in logged_for(server, before)


def test_a_trigger_that_has_something_to_say_is_heard_without_the_statement(server, database):
    client = Interpolating(database)
    client.execute(f"SELECT session_create('{{}}', '{SID}')")
    client.execute("""
        CREATE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE LOG $$hello$$; RETURN NEW; END';
        CREATE TRIGGER talk BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION talk()""")
    before = len(server.log_text())
    client.execute(f"SELECT session_set('{SID}', 'k', '1')")
    client.execute("ALTER TABLE session DISABLE TRIGGER talk; UPDATE session SET session_expiry = now() + interval '1 min'")
    client.execute("ALTER TABLE session ENABLE TRIGGER talk")
    client.execute(f"SELECT session_get('{SID}')")  # slides at commit
    assert logged_for(server, before).count("hello") == 2


def test_the_word_that_no_worker_can_be_had_comes_without_the_statement(new_server):
    cluster = new_server(**EVERY_SECOND, max_worker_processes="1")
    database = cluster.create_database()
    database.connect().execute("CREATE EXTENSION session_store")
    Interpolating(database).execute(f"SELECT session_create('{{}}', '{SID}')")
    assert "no background worker slot is free" in logged_for(cluster, 0)
