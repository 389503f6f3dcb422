"""Writes that bypass the executor keep to what it would have kept to, and leave no index behind."""

import threading

import psycopg
import pytest
from conftest import APP, THREADS, one, wait_until
from psycopg import errors
from test_table import NOTE, TRIGGER


def plans(owner):
    """The statements on the table that this connection has kept plans of."""
    contexts = owner.execute("SELECT ident FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource'").fetchall()
    return {text.split()[0] for (text,) in contexts if text and "public.session " in text}


CALLS = """
    SELECT session_start(); SELECT session_create(sid => 's'); SELECT session_put('t', '{}');
    SELECT session_set('s', 'a', '1'); SELECT session_touch('s', '2 h'); SELECT session_release('t', '{"a": 1}');
    SELECT session_regenerate('t', 'u'); SELECT session_regenerate(session_create()); SELECT session_get('s')"""


@pytest.mark.direct
def test_the_table_as_it_was_made_takes_no_plan(database):
    owner = database.connect()
    owner.execute(CALLS)
    assert plans(owner) == set()
    owner.execute("ALTER TABLE session ADD CHECK (version > 0)")
    owner.execute("DELETE FROM session")
    owner.execute(CALLS)
    assert plans(owner) >= {"INSERT", "UPDATE"}


# What makes a table another than plain, and what takes it away again.
PASSING = {
    "a trigger": (f"{NOTE}; {TRIGGER}", "DROP TRIGGER note ON session"),
    "a foreign key": (
        "CREATE TABLE cart (session_key bytea REFERENCES session ON DELETE CASCADE)",
        "DROP TABLE cart",
    ),
    "a rule": (
        "CREATE RULE note AS ON UPDATE TO session DO ALSO NOTIFY note",
        "DROP RULE note ON session",
    ),
    "row security": (
        "ALTER TABLE session ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE session DISABLE ROW LEVEL SECURITY",
    ),
    "a check": (
        "ALTER TABLE session ADD CONSTRAINT positive CHECK (version > 0)",
        "ALTER TABLE session DROP CONSTRAINT positive",
    ),
    "a child": ("CREATE TABLE child () INHERITS (session)", "DROP TABLE child"),
    "an index": ("CREATE INDEX more ON session ((version + 1))", "DROP INDEX more"),
    "a unique index": ("CREATE UNIQUE INDEX more ON session (version, session_key)", "DROP INDEX more"),
    "an identity": ("ALTER TABLE session REPLICA IDENTITY FULL", "ALTER TABLE session REPLICA IDENTITY DEFAULT"),
}


@pytest.mark.direct
@pytest.mark.parametrize("come, go", PASSING.values(), ids=PASSING)
def test_a_table_that_is_plain_again_takes_no_plan_again(database, come, go):
    owner, before = database.connect(), database.connect()
    before.execute(CALLS)
    owner.execute(come)
    between = database.connect()
    between.execute("DELETE FROM session")
    between.execute(CALLS)
    assert plans(between) >= {"INSERT", "UPDATE"}
    owner.execute(go)
    owner.execute("DELETE FROM session")
    before.execute(CALLS)
    assert plans(before) == set()
    owner.execute("DELETE FROM session")
    after = database.connect()
    after.execute(CALLS)
    assert plans(after) == set()


@pytest.fixture
def keeper(database):
    """A plain role that owns the table."""
    owner, role = database.connect(), f"keeper_of_{database.name}"
    owner.execute(f"CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}; ALTER TABLE session OWNER TO {role}")
    yield role
    owner.execute(f"ALTER TABLE session OWNER TO owner; DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    "right, call",
    [
        ("INSERT", "session_create()"), ("INSERT", "session_start()"), ("UPDATE", "session_regenerate('s')"),
        ("UPDATE", "session_set('s', 'a', '1')"), ("SELECT", "session_get('s')"), ("SELECT", "session_regenerate('s')"),
    ],
)  # fmt: skip
def test_one_right_that_the_owner_lost_is_missed(database, keeper, right, call):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create(sid => 's'), session_regenerate(session_create())")
    owner.execute(f"REVOKE {right} ON session FROM {keeper}")
    with pytest.raises(errors.InsufficientPrivilege):
        client.execute(f"SELECT {call}")


@pytest.mark.parametrize("what", ["session WHERE (lifetime <= 7200)", "session (session_data)"])
@pytest.mark.parametrize("call", ["session_set('s', 'a', '2')", "session_touch('s', '3 h')", "session_regenerate('s')"])
def test_a_publication_that_cannot_follow_updates_refuses_them(database, what, call):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create('{}', 's'), session_set('s', 'a', '1')")
    owner.execute(f"CREATE PUBLICATION sessions FOR TABLE {what}")
    with pytest.raises(errors.InvalidColumnReference):
        client.execute(f"SELECT {call}")


@pytest.mark.parametrize("call", ["session_start(lifetime => '3 h')", "session_create(lifetime => '3 h')"])
def test_a_rule_that_came_while_a_call_waited_for_the_table_is_kept(database, call):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_start()")
    owner.execute("CREATE TABLE plan (seconds integer PRIMARY KEY); INSERT INTO plan VALUES (3600)")
    owner.execute("BEGIN; ALTER TABLE session ADD FOREIGN KEY (lifetime) REFERENCES plan")
    started = database.later(client, f"SELECT {call}")
    owner.execute("COMMIT")
    with pytest.raises(errors.ForeignKeyViolation):
        started.result()


@pytest.mark.direct
@pytest.mark.parametrize("again", [False, True], ids=["", "looked up again"])
def test_a_slide_is_given_up_when_a_trigger_has_come_since_the_read(database, again):
    """Nobody else's code runs at a commit."""
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create(sid => 's')")
    owner.execute("UPDATE session SET session_expiry = session_expiry - interval '5 min'")
    before = one(owner, "SELECT session_expiry FROM session")
    owner.execute(NOTE)
    client.execute("BEGIN; SELECT session_get('s')")
    owner.execute(TRIGGER)
    if again:
        client.execute("SELECT session_exist('other')")
    client.execute("COMMIT")
    assert one(owner, "SELECT session_expiry FROM session") == before
    assert one(owner, "SELECT count(*) FROM seen") == 0
    client.execute("SELECT session_get('s')")
    assert one(owner, "SELECT session_expiry FROM session") > before
    assert one(owner, "SELECT count(*) FROM seen") == 1


def test_a_table_altered_back_by_a_savepoint_is_written_as_it_is(database):
    owner = database.connect()
    owner.execute(NOTE)
    seen = "SELECT count(*) FROM seen"
    owner.execute("BEGIN; SELECT session_create(sid => 's')")
    owner.execute(TRIGGER)
    owner.execute("SELECT session_regenerate('s', 't'), session_create()")
    assert one(owner, seen) == 2
    owner.execute("SAVEPOINT a; DROP TRIGGER note ON session; SELECT session_create(); ROLLBACK TO a")
    owner.execute("SELECT session_regenerate('t', 's'), session_create()")
    assert one(owner, seen) == 4
    owner.execute(f"DROP TRIGGER note ON session; SAVEPOINT b; {TRIGGER}; SELECT session_create()")
    assert one(owner, seen) == 5
    owner.execute("ROLLBACK TO b; SELECT session_create(), session_regenerate('s'); COMMIT")
    assert one(owner, seen) == 4


CHURN = """
    REINDEX TABLE CONCURRENTLY session; VACUUM FULL session; VACUUM session;
    CREATE INDEX CONCURRENTLY more ON session (version, session_key);
    CLUSTER session USING session_expiry; DROP INDEX CONCURRENTLY more;
    ALTER TABLE session ADD note int; ALTER TABLE session DROP note;
    ALTER TABLE session ADD CONSTRAINT one CHECK (true); ALTER TABLE session DROP CONSTRAINT one"""


def test_indexes_are_whole_after_the_table_was_rebuilt_under_writes(database):
    owner, stop, made = database.connect(), threading.Event(), []
    if not one(owner, "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'"):
        pytest.skip("this PostgreSQL comes without contrib")
    owner.execute("""
        CREATE EXTENSION amcheck;
        CREATE INDEX ON session ((session_decode(session_data) ->> 'a'));
        CREATE INDEX ON session (version) WHERE lifetime > 3600;
        CREATE INDEX ON session USING brin (created_at, session_expiry) WITH (pages_per_range = 1);
        CREATE INDEX ON session USING gin (session_decode(session_data))""")

    def write(number):
        with database.server.connect(database.name, APP) as client:
            while not stop.is_set():
                data = psycopg.types.json.Jsonb({"a": number, "b": "x" * (3000 if number else 30)})
                sid = one(client, "SELECT session_regenerate(session_create(%s, lifetime => '2 h'))", data)
                with client.transaction():
                    client.execute("SELECT session_set(%s, 'a', '2')", (sid,))
                    made.append(one(client, "SELECT session_regenerate(session_regenerate(%s))", sid))

    writers = [THREADS.submit(write, number) for number in range(3)]
    wait_until(lambda: len(made) > 20)
    try:
        for statement in CHURN.split(";") * 2:
            owner.execute(statement)
    finally:
        stop.set()
    for writer in writers:
        writer.result(timeout=60)
    assert one(owner, "SELECT count(*) FROM unnest(%s::text[]) AS sid WHERE session_exist(sid)", made) == len(made)
    owner.execute("""
        SELECT bt_index_check(indexrelid, true) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = 'session'::regclass AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree')""")
    assert owner.execute("SELECT * FROM verify_heapam('session')").fetchall() == []
