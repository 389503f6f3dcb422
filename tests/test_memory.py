"""Calls leave nothing behind in a backend's memory, between transactions or within one.

With --long each kind of call is made a million times.
"""

import pytest
from conftest import EXTENDED, LONG, one

KB = 1024
BOUND = 1536 * KB  # allocators keep some; 100,000 leaks of 16 bytes would show, with --long a million of 2
CALLS_EACH = 1_000_000 if LONG else 100_000
WRITES_EACH = 1_000_000 if LONG else 20_000
BATCH = 5_000
# PostgreSQL itself remembers each row that a transaction changes again: for a million writes there are as many.
SESSIONS = 1_000_000 if LONG else 20_000

IDS = f"(SELECT n, 's' || n % {SESSIONS} AS sid FROM generate_series(FIRST, LAST) n) ids"


def block(statement):
    """Each call in a subtransaction, its error caught."""
    return f"""DO $$ DECLARE sid text; BEGIN
        FOR n IN FIRST..LAST LOOP
            sid := 's' || n % {SESSIONS};
            BEGIN {statement}; EXCEPTION WHEN OTHERS THEN NULL; END;
        END LOOP;
    END $$"""


READS = {
    "reads": f"SELECT count(session_get(sid)) FROM {IDS}",
    "reads of a key": f"SELECT count(session_get(sid, 'a')) FROM {IDS}",
    "loads": f"SELECT count(data) FROM {IDS}, session_load(sid)",
    "starts": f"SELECT count(version) FROM {IDS}, session_start(ids.sid)",
    "reads in subtransactions": block("PERFORM session_get(sid)"),
    "reads that are undone": block("PERFORM session_get(sid); RAISE 'undone'"),
    "errors": block("PERFORM session_set('unknown', 'a', '1')"),
    "errors of other kinds": block("""CASE n % 5
        WHEN 0 THEN PERFORM session_get('damaged');
        WHEN 1 THEN PERFORM session_get('opaque');
        WHEN 2 THEN PERFORM session_create('{}', sid);
        WHEN 3 THEN PERFORM session_set(sid, 'a', to_jsonb(repeat('x', 2000)));
        ELSE PERFORM session_put(sid, '[]');
    END CASE"""),
}
WRITES = {
    "writes": f"SELECT count(session_set(sid, 'n', to_jsonb(n + LAST))) FROM {IDS}",
    "merges": f"""SELECT count(session_merge(sid, jsonb_build_object('b', n + LAST), '{{n}}')) FROM {IDS}""",
    "saves": f"""SELECT count(session_release(sid, jsonb_build_object('a', 1, 'c', n + LAST))) FROM {IDS}""",
    "writes that are undone": block("PERFORM session_set(sid, 'u', to_jsonb(n)); RAISE 'undone'"),
}
LIVES = {
    "lives": f"""SELECT count(*) FILTER (WHERE session_destroy(session_regenerate(session_create('{{"a": 1}}'))))
        FROM {IDS}""",
    # In subtransactions that commit, whose number PostgreSQL keeps to the end of the transaction.
    "writes in subtransactions": block("PERFORM session_set(sid, 'n', to_jsonb(n + LAST))"),
    "slides": f"""DO $$ BEGIN
        FOR n IN FIRST / 50 .. LAST / 50 - 1 LOOP
            UPDATE session SET session_expiry = now() + interval '40 min' FROM generate_series(1, 50) i
                WHERE session_key = sha256(('s' || i)::bytea);
            COMMIT;
            PERFORM session_get('s' || i) FROM generate_series(1, 50) i;
            COMMIT;
        END LOOP;
    END $$""",
}


def resident(connection):
    with open(f"/proc/{connection.info.backend_pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    # Not shared memory, of which a backend touches more and more.
    return int(fields["RssAnon"].split()[0]) * KB


@pytest.fixture(scope="module")
def database(server):
    database = server.create_database(template=EXTENDED)
    with database.connect() as owner:
        owner.execute("""SELECT session_create('{"a": [1, 2.5, "x"], "n": 0}', 's')""")
        copies = f"""INSERT INTO session (session_key, session_data, session_expiry, created_at, version, lifetime)
            SELECT sha256(('s' || n)::bytea), session_data, now() + interval '50 min', created_at, version, 3600 * 10
            FROM session, generate_series(0, {SESSIONS - 1}) n"""  # an expiry that reads move
        owner.execute(copies)
        owner.execute("SELECT session_put_raw('opaque', ''), session_put('damaged', '{}')")
        owner.execute(r"UPDATE session SET session_data = '\xff' WHERE session_key = sha256('damaged')")
        owner.execute("VACUUM ANALYZE session")
    yield database
    database.drop()


@pytest.fixture
def connection(database):
    with database.connect() as connection:
        connection.execute("SET session_store.max_size = 1000")
        yield connection


def growth(connection, call, calls):
    """How much memory grows by so many calls, after a few that make room for what is kept."""
    before = None
    for first in range(0, calls + 3 * BATCH, BATCH):
        if first == 3 * BATCH:
            before = resident(connection)
        batch = call.replace("FIRST", str(first)).replace("LAST", str(first + BATCH - 1))
        done = one(connection, batch)
        assert done in (None, BATCH)
    return resident(connection) - before


def kinds(calls):
    return pytest.mark.parametrize("call", calls.values(), ids=calls)


@pytest.mark.timeout(900)
@kinds(READS | WRITES | LIVES)
def test_memory_does_not_grow_from_call_to_call(connection, call):
    assert growth(connection, call, CALLS_EACH if call in READS.values() else WRITES_EACH) < BOUND


@pytest.mark.timeout(900)
@kinds(READS | WRITES)
def test_memory_does_not_grow_within_a_transaction(connection, call):
    connection.execute("BEGIN")
    assert growth(connection, call, CALLS_EACH if call in READS.values() else WRITES_EACH - 3 * BATCH) < BOUND
    connection.execute("ROLLBACK")


@pytest.mark.timeout(900)
def test_memory_does_not_grow_from_statement_to_statement(connection):
    def calls(times):
        for n in range(times):
            one(connection, "SELECT session_get(%s)", f"s{n % SESSIONS}")

    calls(2_000)
    before = resident(connection)
    calls(CALLS_EACH // 10)
    assert resident(connection) - before < BOUND
