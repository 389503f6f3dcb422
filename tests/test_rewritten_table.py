"""ALTER TABLE rewrites the table while a call waits, or just before: no session is missed, none begins in its place.

What a rewrite leaves is invisible to every snapshot from before it. TRUNCATE is PostgreSQL's own affair.
"""

import threading
import time

import pytest
from calls import ON_A_SESSION, content, create, outcome
from conftest import APP, THREADS, expires_in, one, wait_until

REWRITES = {
    "unlogged": "ALTER TABLE session SET UNLOGGED",
    "logged": "ALTER TABLE session SET LOGGED",
    "another column": "ALTER TABLE session ADD COLUMN drawn float8 DEFAULT random()",
    "another type": "ALTER TABLE session ALTER COLUMN version TYPE bigint USING version + 0",
    "clustered": "CLUSTER session USING session_expiry",
}
LEVELS = ["REPEATABLE READ", "SERIALIZABLE"]
# The statement has its snapshot, and calls when the gate opens.
GATE = "pg_advisory_xact_lock_shared(7)"
COUNTS = {"session_all()": 2, "session_gc()": 1}

rewrites = pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)
levels = pytest.mark.parametrize("level", LEVELS)


@pytest.fixture
def rewriter(database, owner):
    """Who has changed the table, and not yet committed: rewriter(statement)."""
    connection = database.connect()

    def begin(rewrite):
        if "SET LOGGED" in rewrite:
            owner.execute("ALTER TABLE session SET UNLOGGED")
        connection.execute(f"BEGIN; {rewrite}")
        return connection

    return begin


@pytest.fixture
def client(database):
    """Makes clients that have called before."""

    def connect():
        connection = database.connect(APP)
        connection.execute("SELECT session_get('unknown')")
        return connection

    return connect


def gated(call):
    columns, _, source = call.removeprefix("SELECT ").partition(" FROM ")
    source = f", LATERAL {source}" if source else ""
    return f"SELECT {columns} FROM (SELECT {GATE} OFFSET 0) AS gate{source}"


@rewrites
def test_calls_that_wait_for_the_table_find_their_sessions(database, owner, rewriter, client, rewrite):
    for name in ON_A_SESSION:
        create(owner, name)
    clients = {name: client() for name in ON_A_SESSION}
    rewriting = rewriter(rewrite)
    waiting = {name: database.later(clients[name], call.on(name)) for name, call in ON_A_SESSION.items()}
    rewriting.execute("COMMIT")
    assert_found(owner, waiting)


@rewrites
def test_calls_of_a_statement_that_began_before_find_their_sessions(database, owner, rewriter, client, rewrite):
    for name in ON_A_SESSION:
        create(owner, name)
    keeper, clients = database.connect(), {name: client() for name in ON_A_SESSION}
    keeper.execute("SELECT pg_advisory_lock(7)")
    waiting = {name: database.later(clients[name], gated(call.on(name))) for name, call in ON_A_SESSION.items()}
    rewriter(rewrite).execute("COMMIT")
    keeper.execute("SELECT pg_advisory_unlock(7)")
    assert_found(owner, waiting)


def assert_found(owner, futures):
    values = {name: outcome(future.result) for name, future in futures.items()}
    assert values == {name: call.value for name, call in ON_A_SESSION.items()}
    left = {name: content(owner, name) for name in ON_A_SESSION}
    assert left == {name: call.left for name, call in ON_A_SESSION.items()}
    destroyed = {"destroy"}
    assert one(owner, "SELECT count(*) FROM session") == len(ON_A_SESSION) - len(destroyed)
    assert content(owner, "moved") == {"k": 1}


@rewrites
@pytest.mark.parametrize("call", COUNTS)
def test_what_counts_or_collects_misses_no_row_either(database, owner, rewriter, client, rewrite, call):
    keeper, waits, began = database.connect(), client(), client()
    keeper.execute("SELECT pg_advisory_lock(7)")
    for connection in (waits, began):
        owner.execute("DELETE FROM session")
        for sid in ("a", "b", "expired"):
            create(owner, sid)
        expires_in(owner, "expired", "-1 s")
        if connection is began:
            counted = database.later(began, gated(f"SELECT {call}"))
            rewriting = rewriter(rewrite.replace("drawn", "again"))
            rewriting.execute("COMMIT")
            keeper.execute("SELECT pg_advisory_unlock(7)")
        else:
            rewriting = rewriter(rewrite)
            counted = database.later(waits, f"SELECT {call}")
            rewriting.execute("COMMIT")
        assert counted.result() == COUNTS[call]


INVISIBLE = [name for name in REWRITES if name != "clustered"]  # which keeps what older snapshots see


@levels
@pytest.mark.parametrize("rewrite", [REWRITES[name] for name in INVISIBLE], ids=INVISIBLE)
@pytest.mark.parametrize("waits", [False, True], ids=["done before", "waited for"])
def test_with_an_older_snapshot_a_session_that_cannot_be_seen_is_40001(
    database, owner, rewriter, client, level, rewrite, waits
):
    """Never absent, and never begun anew."""
    create(owner, "s")
    clients = {name: client() for name in ON_A_SESSION}
    for connection in clients.values():
        connection.execute(f"BEGIN ISOLATION LEVEL {level}; SELECT 1")
    rewriting = rewriter(rewrite)
    if waits:
        calls = {name: database.later(clients[name], call.on("s")) for name, call in ON_A_SESSION.items()}
        rewriting.execute("COMMIT")
    else:
        rewriting.execute("COMMIT")
        calls = {name: database.begin(clients[name], call.on("s")) for name, call in ON_A_SESSION.items()}
    assert {name: outcome(call.result) for name, call in calls.items()} == dict.fromkeys(ON_A_SESSION, "40001")
    for connection in clients.values():
        connection.execute("ROLLBACK")
    assert one(owner, "SELECT count(*) FROM session") == 1
    assert one(owner, "SELECT session_get('s')") == {"k": 1}


@levels
def test_with_an_older_snapshot_and_the_same_table_an_unknown_session_is_absent(owner, client, level):
    reader = client()
    reader.execute(f"BEGIN ISOLATION LEVEL {level}; SELECT 1")
    create(owner, "s")
    owner.execute("VACUUM session")
    assert one(reader, "SELECT session_exist('s')") is False
    assert one(reader, "SELECT session_get('unknown')") is None
    assert one(reader, "SELECT is_new FROM session_start('unknown')")
    reader.execute("COMMIT")


@levels
def test_a_transaction_that_begins_after_the_rewrite_knows_all_sessions(owner, rewriter, client, level):
    create(owner, "s")
    reader = client()
    rewriter(REWRITES["unlogged"]).execute("COMMIT")
    reader.execute(f"BEGIN ISOLATION LEVEL {level}")
    assert one(reader, "SELECT session_get('s')") == {"k": 1}
    assert one(reader, "SELECT is_new FROM session_start('unknown')")
    reader.execute("COMMIT")


def test_clients_find_what_they_made_however_often_the_table_is_rewritten(database, owner):
    stop, missed, rounds = threading.Event(), [], []

    def work(number):
        with database.server.connect(database.name, APP) as connection:
            while not stop.is_set():
                sid = one(connection, "SELECT session_create('{\"k\": 1}')")
                steps = [
                    ("SELECT session_get(%s, 'k')", 1), ("SELECT session_set(%s, 'k', '2') > 0", True),
                    ("SELECT session_get(%s, 'k')", 2), ("SELECT is_new FROM session_start(%s)", False),
                    ("SELECT session_get(session_regenerate(%s), 'k')", 2), ("SELECT session_exist(%s)", False),
                ]  # fmt: skip
                for query, expected in steps:
                    value = outcome(one, connection, query, sid)
                    if value != expected:
                        missed.append((query, value))
                rounds.append(number)

    workers = [THREADS.submit(work, number) for number in range(6)]
    try:
        wait_until(lambda: len(rounds) > 20)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for rewrite in REWRITES["unlogged"], REWRITES["logged"], REWRITES["another type"]:
                owner.execute(rewrite)
    finally:
        stop.set()
    for worker in workers:
        worker.result(timeout=60)
    assert missed == []
