"""Expired sessions disappear by themselves: what a sweep does, and what can be seen of it."""

import random
import re
import threading

import psycopg
import pytest
from conftest import APP, EXTENDED, Server, expires_in, is_past, one, wait_until
from psycopg.types.json import Jsonb
from sweeping import (
    EVERY_SECOND, PRELOADED, add_expired, add_live, apply, create_template, expired, extend, gate, live, stats,
    wait_for_sweeps, wait_until_swept,
)  # fmt: skip

preload = pytest.mark.parametrize("preload", [{}, PRELOADED], ids=["started by a call", "preloaded"])


@pytest.fixture(scope="module")
def cluster():
    """Sweeps every second, in small batches."""
    cluster = Server(**EVERY_SECOND, session_store__gc_batch_size=5).start()
    cluster.create_roles()
    create_template(cluster)
    yield cluster
    cluster.stop("immediate")


@pytest.fixture
def database(cluster):
    database = cluster.create_database(template=EXTENDED)
    yield database
    database.drop()


@pytest.fixture
def owner(database):
    """Has made the one call that sweeping needs."""
    owner = database.connect()
    owner.execute("SELECT session_create()")
    return owner


# The beginning


@preload
def test_expired_sessions_disappear_by_themselves_and_in_silence(new_server, preload):
    cluster = new_server(**EVERY_SECOND, **preload)
    _, owner = extend(cluster)
    add_live(owner, 30)
    add_expired(owner, 30)
    wait_until_swept(owner)
    add_expired(owner, 40)
    wait_until_swept(owner)
    assert live(owner) == 30
    wait_until(lambda: stats(owner).total_rows == 70)
    assert not re.search("session_store[ :]|background worker", cluster.log_text())


def test_a_call_by_a_role_without_privileges_is_enough(cluster, database):
    add_expired(database.connect(), 3)
    database.connect(APP).execute("SELECT session_start()")
    wait_until_swept(database.connect())


def test_the_extension_created_and_used_in_one_transaction(new_server):
    database = new_server(**EVERY_SECOND).create_database()
    owner = database.connect(autocommit=False)
    owner.execute("CREATE EXTENSION session_store")
    owner.execute("SELECT session_create()")
    add_expired(owner, 3)
    owner.commit()
    owner.autocommit = True
    wait_until_swept(owner)


@preload
def test_a_second_database_is_found_long_before_the_next_round(new_server, preload):
    cluster = new_server(session_store__gc_interval="1h", **preload)
    later = cluster.create_database()
    _, first = extend(cluster)
    wait_for_sweeps(first, 1 if stats(first).sweeps == 0 else 0)
    second = later.connect()
    second.execute("CREATE EXTENSION session_store")
    add_expired(second, 3)
    second.execute("SELECT session_create()")
    wait_until_swept(second, 10)


@pytest.mark.long
def test_within_about_a_minute_as_installed(new_server):
    _, owner = extend(new_server(session_store__gc_interval="60s"))
    wait_for_sweeps(owner, 1 if stats(owner).sweeps == 0 else 0)
    add_expired(owner, 3)
    wait_until_swept(owner, 70)


# Batches


def log_batches(owner):
    owner.execute("""
        CREATE TABLE batch (number serial, rows bigint, transaction xid8 DEFAULT pg_current_xact_id());
        CREATE FUNCTION log_batch() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.batch (rows) SELECT count(*) FROM gone; RETURN NULL; END $$;
        CREATE TRIGGER log_batch AFTER DELETE ON session REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION log_batch()""")  # fmt: skip


def batches(owner):
    by_transaction = "SELECT sum(rows)::int AS rows, min(number) AS number FROM batch GROUP BY transaction"
    return one(owner, f"SELECT array_agg(rows ORDER BY number) FROM ({by_transaction}) AS batch")


def test_batches_are_transactions_of_the_size_that_is_set_also_in_mid_sweep(new_server):
    cluster = new_server(**EVERY_SECOND, session_store__gc_batch_size=7)
    database, owner = extend(cluster)
    log_batches(owner)
    with gate(database, owner, "expired17") as reached:
        add_expired(owner, 100)
        reached()
        assert batches(owner) == [7, 7], "what is done is committed"
        assert expired(owner) == 86
        apply(cluster, session_store__gc_batch_size=50)
    wait_until_swept(owner)
    assert batches(owner) == [7, 7, 7, 50, 29]


def test_ids_that_sessions_had_go_when_their_grace_is_over(database, owner):
    owner.execute("""
        INSERT INTO session_moved
        SELECT sha256('old' || i::text::bytea), sha256('new'), now(), now(), now() + CASE WHEN i > 3 THEN '-1 s' ELSE '1 min' END::interval
        FROM generate_series(1, 23) AS i""")
    wait_until(lambda: one(owner, "SELECT count(*) FROM session_moved") == 3)
    add_expired(owner, 3)
    wait_until_swept(owner)
    wait_for_sweeps(owner, 1)
    assert stats(owner).total_rows == 3, "they are no sessions"
    assert one(owner, "SELECT count(*) FROM session_moved") == 3
    # While somebody holds that table sessions go all the same.
    other = database.connect(autocommit=False)
    other.execute("LOCK session_moved")
    add_expired(owner, 3)
    wait_until_swept(owner)
    wait_until(lambda: stats(owner).last_error)
    assert "lock timeout" in stats(owner).last_error


@pytest.mark.parametrize("lock", ["UPDATE", "KEY SHARE"])
def test_locked_rows_are_skipped_and_collected_next_time(database, owner, lock):
    other = database.connect(autocommit=False)
    owner.execute("SELECT session_put('locked', '{}')")
    expires_in(owner, "locked", "0.5 s")
    other.execute(f"SELECT FROM session WHERE session_key = sha256('locked') FOR {lock}")
    wait_until(lambda: expired(owner) == 1)
    add_expired(owner, 20)
    wait_until(lambda: expired(owner) == 1)
    wait_for_sweeps(owner, 2)
    assert stats(owner).expired_waiting == 1
    assert stats(owner).last_error is None
    other.commit()
    wait_until_swept(owner)


def test_the_index_finds_what_has_expired(database, owner):
    add_live(owner, 50)
    owner.execute("VACUUM ANALYZE session")  # 3 pages: a planner that may would read them all
    figures = """
        SELECT seq_scan, n_tup_del, pg_stat_get_numscans('session_expiry'::regclass)
        FROM pg_stat_user_tables WHERE relname = 'session'"""
    owner.execute("SELECT pg_stat_force_next_flush()")
    before = owner.execute(figures).fetchone()
    add_expired(owner, 50)
    wait_until(lambda: owner.execute(figures).fetchone()[1] == before[1] + 50)
    after = owner.execute(figures).fetchone()
    assert after[0] == before[0], "sequential scans"
    assert after[2] > before[2]


def test_a_sweep_does_not_wait_for_synchronous_replication(new_server):
    cluster = new_server(**EVERY_SECOND)
    database, owner = extend(cluster)
    owner.execute("SET synchronous_commit = local")
    apply(cluster, synchronous_standby_names="nobody")
    add_expired(owner, 3)
    wait_until_swept(owner)
    wait_for_sweeps(owner, 2)


HOSTILE = [
    "default_transaction_isolation = 'repeatable read'",
    "default_transaction_isolation = serializable",
    "default_transaction_read_only = on",
    "enable_indexscan = off",
    "search_path = ''",
]


@pytest.mark.parametrize("setting", HOSTILE)
def test_settings_of_the_database_do_not_keep_it_from_sweeping(database, owner, setting):
    owner.execute(f"ALTER DATABASE {database.name} SET {setting}")
    other = database.connect(autocommit=False, options="-c default_transaction_read_only=off -c search_path=public")
    with gate(database, owner, "expired3") as reached:
        add_expired(owner, 20)
        reached()
        locked = database.later(other, "LOCK TABLE session IN EXCLUSIVE MODE")
    locked.result(timeout=10)
    # The next batch waits for that lock. What is revived meanwhile is not an error for it.
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'session'::regclass"
    wait_until(lambda: one(owner, query) == 1)
    other.execute("UPDATE session SET session_expiry = now() + interval '1 h' WHERE session_key = sha256('expired7')")
    other.commit()
    wait_until_swept(owner)
    assert live(owner, "expired") == 1
    wait_for_sweeps(owner, 1)
    assert stats(owner).last_error is None


# Clients at the same time


def test_sweeps_and_session_gc_meet_without_harm(database, owner):
    add_live(owner, 500)
    collected, stop = [], threading.Event()

    def collect(connection):
        while not stop.is_set():
            collected.append(one(connection, "SELECT session_gc(%s)", random.choice([None, 3, 50])))

    threads = [threading.Thread(target=collect, args=(database.connect(),)) for _ in range(2)]
    before = stats(owner)
    for thread in threads:
        thread.start()
    for number in range(30):
        add_expired(owner, 100, f"round{number} ")
        if number % 3 == 0:
            wait_for_sweeps(owner, 1)
    stop.set()
    for thread in threads:
        thread.join()
    wait_until_swept(owner)
    wait_for_sweeps(owner, 1)
    after = stats(owner)
    assert sum(collected) + after.total_rows - before.total_rows == 3_000, "each row counts once"
    assert after.last_error is None
    assert live(owner) == 500


@pytest.fixture
def busy(database, owner):
    """Sweeps that never rest."""
    stop = threading.Event()

    def feed(connection):
        number = 0
        while not stop.is_set():
            number += 1
            add_expired(connection, 2_000, f"food{number} ")
            wait_until(lambda: expired(connection) < 2_000 or stop.is_set())

    thread = threading.Thread(target=feed, args=(database.connect(),))
    thread.start()
    yield
    stop.set()
    thread.join()


def test_what_is_saved_while_the_sweeper_looks_survives(database, owner, busy):
    failures = []

    def work(connection, god, name):
        try:
            for number in range(250):
                sid, data = f"{name}-{number % 10}", Jsonb({"n": number})
                connection.execute("SELECT session_put(%s, %s)", (sid, Jsonb({"n": -number})))
                expires_in(god, sid, random.choice(["-1 s", "-1 s", "0.2 ms", "2 ms", "20 ms"]))
                # Gone, or live and then saved: nothing between.
                version = one(connection, "SELECT session_release(%s, %s, lifetime => '1 h')", sid, data)
                if version is None:
                    assert one(connection, "SELECT session_exist(%s)", sid) is False
                    connection.execute("SELECT session_put(%s, %s)", (sid, data))
                elif number % 2:
                    assert one(connection, "SELECT session_touch(%s, '2 h') IS NOT NULL", sid)
                assert one(connection, "SELECT session_get(%s)", sid) == {"n": number}
        except (psycopg.Error, AssertionError) as failure:
            failures.append(failure)

    threads = [
        threading.Thread(target=work, args=(database.connect(APP), database.connect(), f"client{i}")) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    wait_for_sweeps(owner, 2)
    for i in range(4):
        for last in range(240, 250):
            assert one(owner, "SELECT session_get(%s)", f"client{i}-{last % 10}") == {"n": last}
    assert stats(owner).last_error is None


def test_a_session_revived_behind_the_sweepers_back_survives(database, owner):
    """The sweep has the row's address, and stands before it."""
    with gate(database, owner, "expired10") as reached, database.connect(autocommit=False) as other:
        add_expired(other, 10)
        other.execute("SELECT session_put('phoenix', '{}')")
        expires_in(other, "phoenix", "-1 s")
        other.commit()
        reached()
        assert one(owner, "SELECT session_exist('phoenix')") is False
        assert is_past(owner, "phoenix"), "still there"
        owner.execute("SELECT session_put('phoenix', '{\"a\": 1}')")
    wait_for_sweeps(owner, 2)
    assert expired(owner) == 0
    assert one(owner, "SELECT session_get('phoenix')") == {"a": 1}
