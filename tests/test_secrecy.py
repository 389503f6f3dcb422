"""No error of ours lets a session id or value into the server log, whatever the driver does."""

import psycopg
import psycopg2
import pytest

SID = "Secret-sid"
VALUE = '{"k": "Secret-value"}'
DEEP = '{"a": ' + "[" * 200 + '"Secret-value"' + "]" * 200 + "}"

# Message, what makes it happen, the call. The error list of src/error.rs, but for two that no client can provoke:
# a jsonb that is not PostgreSQL's, and a server without random numbers.
ERRORS = [
    ("key must not be null", "", "SELECT session_set(%(sid)s, NULL, %(value)s)"),
    ("sid must not be null", "", "SELECT session_set(NULL, %(sid)s, %(value)s)"),
    ("invalid session id", "", "SELECT session_set(%(sid)s || 'é', 'k', %(value)s)"),
    ("lifetime is out of range", "", "SELECT session_put(%(sid)s, %(value)s, '-1 s')"),
    ("max_lifetime is out of range", "", "SELECT session_init('-1 s'), %(sid)s, %(value)s"),
    ("max_rows must not be negative", "", "SELECT session_gc(-1), %(sid)s, %(value)s"),
    ("data must be a JSON object", "", "SELECT session_put(%(sid)s, jsonb_build_array(%(value)s::jsonb))"),
    ("patch must be a JSON object", "", "SELECT session_merge(%(sid)s, jsonb_build_array(%(value)s::jsonb))"),
    ("session data is nested too deeply", "", "SELECT session_put(%(sid)s, %(deep)s)"),
    ("session data is too large", "SET session_store.max_size = 1", "SELECT session_put(%(sid)s, %(value)s)"),
    ("there is no live session with this id", "", "SELECT session_set('other' || %(sid)s, 'k', %(value)s)"),
    (
        "there is no live session with this id",
        "SET session_store.strict = on",
        "SELECT session_regenerate('other' || %(sid)s, %(value)s)",
    ),
    ("a live session with this id exists", "", "SELECT session_create(%(value)s, %(sid)s)"),
    (
        "a live session with this id exists",
        "SELECT session_create('{}', 'other')",
        "SELECT session_regenerate('other', %(sid)s), %(value)s",
    ),
    ("the new session id is the old one", "", "SELECT session_regenerate(%(sid)s, %(sid)s), %(value)s"),
    (
        "the session holds an opaque payload, not keys and values",
        f"SELECT session_put_raw('{SID}', '')",
        "SELECT session_set(%(sid)s, 'k', %(value)s)",
    ),
    (
        "the stored data of this session cannot be read",
        r"UPDATE session SET session_data = '\xff'",
        "SELECT session_get(%(sid)s), %(value)s",
    ),
    (
        "cannot change sessions in a read-only transaction",
        "SET TRANSACTION READ ONLY",
        "SELECT session_set(%(sid)s, 'k', %(value)s)",
    ),
    (
        'the table "session" of extension session_store is missing',
        "ALTER TABLE session RENAME TO elsewhere",
        "SELECT session_set(%(sid)s, 'k', %(value)s)",
    ),
    (
        "could not change the session because of concurrent changes",
        """CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER undo BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION undo()""",
        "SELECT session_set(%(sid)s, 'k', %(value)s)",
    ),
]
ARGUMENTS = {"sid": SID, "value": VALUE, "deep": DEEP}
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


def shown(error):
    return {name: getattr(error.diag, name, None) for name in FIELDS}


@pytest.mark.parametrize("log", [QUIET, TALKATIVE], ids=["quiet", "talkative"])
@pytest.mark.parametrize("client", [Interpolating, Dynamic, extended], ids=lambda client: client.__name__.lower())
def test_no_error_of_ours_shows_a_session_id_or_value(server, database, client, log):
    for message, preparation, call in ERRORS:
        connection = client(database)
        connection.execute(log)
        connection.execute(f"BEGIN; SELECT session_create('{{}}', '{SID}')")
        if preparation:
            connection.execute(preparation)
        before = len(server.log_text())
        with pytest.raises((psycopg.Error, psycopg2.Error)) as raised:
            connection.execute(call, ARGUMENTS)
        logged = server.log_text(before)
        fields = shown(raised.value)
        assert fields["message_primary"] == message
        assert fields["message_hint"]
        assert f"ERROR:  {message}" in logged.replace(f" {fields['sqlstate']}:", "")
        assert "Secret" not in logged, logged
        if client is not Interpolating:
            del fields["context"]  # written by PL/pgSQL or the portal, to the client that sent the statement
        assert "Secret" not in str(fields)
        connection.execute("ROLLBACK")


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


def test_errors_that_postgresql_raises_within_a_call_hide_the_statement_and_later_ones_do_not(server, database):
    client, locker = Interpolating(database), database.connect()
    client.execute(f"SELECT session_create('{{}}', '{SID}'); SET lock_timeout = 1")
    locker.execute("BEGIN; SELECT FROM session FOR UPDATE")
    before = len(server.log_text())
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        client.execute(f"SELECT session_set('{SID}', 'k', '1')")
    logged = server.log_text(before)
    assert "lock timeout" in logged and "Secret" not in logged
    client.execute(f"DO $$ BEGIN PERFORM session_set('{SID}', 'k', '1'); EXCEPTION WHEN lock_not_available THEN END $$")
    with pytest.raises(psycopg2.Error):
        client.execute("SELECT 1 / 0 AS mine")
    assert "STATEMENT:  SELECT 1 / 0 AS mine" in server.log_text(before)
