"""Calls leave nothing behind in a backend's memory, between transactions or within one."""

import pytest
from conftest import one

KB = 1024
BOUND = 1536 * KB  # allocators keep some; 100,000 leaks of 16 bytes would show

CALLS = {
    "reads": "SELECT count(session_get('s' || n % 1000)) FROM generate_series(1, 10000) n",
    "reads of a key": "SELECT count(session_get('s' || n % 1000, 'a')) FROM generate_series(1, 10000) n",
    "loads": "SELECT count(data) FROM generate_series(1, 10000) n, session_load('s' || n % 1000)",
    "starts": "SELECT count(sid) FROM generate_series(1, 10000) n, session_start('s' || n % 1000)",
    "plpgsql": "DO $$ BEGIN FOR n IN 1..10000 LOOP PERFORM session_get('s' || n % 1000); END LOOP; END $$",
    "writes": "SELECT count(session_set('s' || n % 1000, 'n', to_jsonb(n))) FROM generate_series(1, 1000) n",
    "merges": """SELECT count(session_merge('s' || n % 1000, '{"b": "x"}', '{n}')) FROM generate_series(1, 1000) n""",
    "errors": """DO $$ BEGIN
        FOR n IN 1..5000 LOOP
            BEGIN PERFORM session_set('unknown', 'a', '1'); EXCEPTION WHEN no_data_found THEN NULL; END;
        END LOOP;
    END $$""",
}


def resident(connection):
    with open(f"/proc/{connection.info.backend_pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    # Not shared memory, of which a backend touches more and more.
    return int(fields["RssAnon"].split()[0]) * KB


@pytest.fixture
def connection(database):
    connection = database.connect()
    data = '{"a": [1, 2.5, "x"], "n": 0}'
    connection.execute("SELECT session_create(%s, 's' || n) FROM generate_series(0, 999) n", (data,))
    connection.execute("UPDATE session SET session_expiry = now() + interval '10 min'")  # so that reads slide
    return connection


def growth(connection, call, times):
    for _ in range(3):
        connection.execute(call)
    before = resident(connection)
    for _ in range(times):
        connection.execute(call)
    return resident(connection) - before


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_memory_does_not_grow_from_call_to_call(connection, call):
    """200,000 calls of each kind of read, 20,000 writes, 100,000 errors."""
    assert growth(connection, call, 20) < BOUND


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_memory_does_not_grow_within_a_transaction(connection, call):
    """100,000 reads, 10,000 writes or 50,000 errors in one transaction."""
    connection.execute("BEGIN")
    assert growth(connection, call, 10) < BOUND
    connection.execute("COMMIT")


def test_memory_does_not_grow_from_statement_to_statement(connection):
    def calls():
        for n in range(2000):
            one(connection, "SELECT session_get(%s)", f"s{n % 1000}")

    calls()
    before = resident(connection)
    for _ in range(5):
        calls()
    assert resident(connection) - before < BOUND
