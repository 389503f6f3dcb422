"""What happens to the background workers while processes end, and servers restart, crash or are standbys."""

import os
import re
import signal
import time

import psycopg
import pytest
from conftest import THREADS, one, wait_until
from psycopg import errors
from sweeping import (
    EVERY_SECOND, PRELOADED, add_expired, add_live, expired, extend, let_go, live, stall, standby_of, stats,
    wait_for_launcher, wait_for_sweeps, wait_until_swept, wait_until_up, workers,
)  # fmt: skip

ALONE = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
preload = pytest.mark.parametrize("preload", [{}, PRELOADED], ids=["started by a call", "preloaded"])
SLOW = EVERY_SECOND | {"session_store.gc_batch_size": "10"}


def wait_until_alone(cluster):
    with cluster.connect() as last:
        wait_until(lambda: one(last, ALONE) == 0)


# Processes


@preload
def test_a_launcher_that_is_terminated_comes_back(new_server, preload):
    cluster = new_server(**EVERY_SECOND, **preload)
    database, owner = extend(cluster)
    launcher = wait_for_launcher(owner)
    wait_for_sweeps(owner, 1)
    begun = time.monotonic()
    assert one(owner, "SELECT pg_terminate_backend(%s, 2000)", launcher)
    assert not stats(owner).launcher_running
    wait_for_launcher(owner, launcher, 10)
    assert time.monotonic() - begun < 8
    add_expired(owner, 3)
    wait_until_swept(owner)
    # In the middle of a sweep, which goes on: two at a time do no harm.
    pid = stall(database, owner, "again20")
    launcher = wait_for_launcher(owner)
    assert one(owner, "SELECT pg_terminate_backend(%s, 2000)", launcher)
    assert pid in workers(owner, "sweeper")
    wait_for_launcher(owner, launcher, 10)
    let_go(owner)
    wait_until_swept(owner)


@preload
def test_the_end_of_a_launcher_is_nothing_to_alarm_anybody(new_server, preload):
    """Whoever watches the log for FATAL hears of no shutdown, and of no pg_terminate_backend."""
    cluster = new_server(session_store__gc_interval="1h", **preload)
    database, owner = extend(cluster)
    add_expired(owner, 3)
    cluster.reload()
    wait_until_swept(owner)
    launcher = wait_for_launcher(owner)
    wait_until(lambda: not workers(owner, "sweeper"))
    swept = stats(owner).sweeps
    assert one(owner, "SELECT pg_terminate_backend(%s, 2000)", launcher)
    assert f'background worker "session_store launcher" (PID {launcher}) exited with exit code 1' in cluster.log_text()
    launcher = wait_for_launcher(owner, launcher, 10)
    wait_until(lambda: stats(owner).sweeps > swept)  # its first sweep, and for an hour its last
    wait_until(lambda: not workers(owner, "sweeper"))
    owner.close()  # what the server says to a client that is there is another matter
    wait_until_alone(cluster)
    cluster.stop("fast")
    wait_until(lambda: "database system is shut down" in cluster.log_text())
    assert not re.search("FATAL|ERROR|WARNING", cluster.log_text())


@preload
def test_a_launcher_leaves_in_mid_sweep_when_it_is_told_to(new_server, preload):
    cluster = new_server(**SLOW, **preload)
    database, owner = extend(cluster)
    pid = stall(database, owner, "expired25")
    launcher = wait_for_launcher(owner)
    begun = time.monotonic()
    assert one(owner, "SELECT pg_terminate_backend(%s, 2000)", launcher)
    assert time.monotonic() - begun < 1
    assert pid in workers(owner, "sweeper")
    assert "FATAL" not in cluster.log_text()
    launcher = wait_for_launcher(owner, launcher, 10)
    owner.close()
    cluster.stop("fast")
    assert not re.search(f"\\[{launcher}\\] .*FATAL|session_store launcher.*administrator", cluster.log_text())


@preload
def test_kill_9_of_a_sweeper_in_mid_batch(new_server, preload):
    cluster = new_server(**SLOW, **preload)
    database, owner = extend(cluster)
    add_live(owner, 50)
    pid = stall(database, owner, "expired25")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError):
        wait_until(lambda: one(owner, "SELECT 1") != 1)
    wait_until_up(cluster).close()
    owner = database.connect()
    wait_for_launcher(owner)
    let_go(owner)
    wait_until_swept(owner)
    assert live(owner) == 50
    assert stats(owner).launcher_running


@preload
def test_a_fast_shutdown_in_mid_sweep_takes_less_than_two_seconds(new_server, preload):
    cluster = new_server(**SLOW, **preload)
    database, owner = extend(cluster)
    stall(database, owner, "expired25")
    begun = time.monotonic()
    cluster.stop("fast")
    assert time.monotonic() - begun < 2
    cluster.start()
    owner = database.connect()
    assert expired(owner) == 5


# Servers


def test_after_a_restart_a_preloaded_launcher_needs_no_call(new_server):
    cluster = new_server(**EVERY_SECOND, **PRELOADED)
    database, owner = extend(cluster)
    cluster.restart()
    owner = database.connect()
    add_expired(owner, 3)
    wait_until_swept(owner)


def test_after_a_restart_the_first_call_starts_a_launcher(new_server):
    cluster = new_server(**EVERY_SECOND)
    database, owner = extend(cluster)
    cluster.restart()
    owner = database.connect()
    add_expired(owner, 3)
    time.sleep(1.5)
    assert not stats(owner).launcher_running
    assert expired(owner) == 3
    owner.execute("SELECT session_start()")
    wait_until_swept(owner)


def test_many_first_calls_at_once_start_one_launcher(new_server):
    cluster = new_server(**EVERY_SECOND)
    database, owner = extend(cluster)
    cluster.restart()
    connections = [database.connect() for _ in range(24)]
    list(THREADS.map(lambda connection: connection.execute("SELECT session_create()"), connections))
    owner = connections[0]
    add_expired(owner, 3)
    wait_until_swept(owner)
    wait_until(lambda: len(workers(owner, "launcher")) == 1)
    assert "session_store:" not in cluster.log_text()


@preload
def test_a_full_worker_table_is_one_line_in_the_log(new_server, preload):
    cluster = new_server(**EVERY_SECOND, **preload, max_worker_processes="1")  # which logical replication has
    database, owner = extend(cluster)
    add_expired(owner, 3)
    for _ in range(20):
        owner.execute("SELECT session_create()")
        with cluster.connect(database.name) as request:  # as an application without a pool
            request.execute("SELECT session_create()")
    assert one(owner, "SELECT session_gc()") == 3
    assert not stats(owner).launcher_running
    # Preloading, it is PostgreSQL that says so.
    assert cluster.log_text().count("max_worker_processes") == 1


@preload
def test_no_place_for_a_sweeper_is_one_line_in_the_log(new_server, preload):
    cluster = new_server(**EVERY_SECOND, **preload, max_worker_processes="2")
    database, owner = extend(cluster)
    add_expired(owner, 3)
    wait_until(lambda: "no background worker slot" in cluster.log_text())
    for _ in range(12):
        time.sleep(0.5)
        database.connect().execute("SELECT session_create()").connection.close()
    assert one(owner, "SELECT session_gc()") == 3
    assert cluster.log_text().count("no background worker slot") == 1


@preload
def test_a_standby_runs_nothing_until_it_is_promoted(new_server, preload):
    primary = new_server(session_store__gc_interval="0", **preload)
    database, owner = extend(primary)
    add_expired(owner, 3)
    add_live(owner, 3)
    primary.configure(**EVERY_SECOND)
    standby = standby_of(primary)
    try:
        with standby.connect(database.name) as reader:
            for _ in range(10):
                with standby.connect(database.name) as client, pytest.raises(errors.ReadOnlySqlTransaction):
                    client.execute("SELECT session_create()")
            time.sleep(2)
            assert not workers(reader, "launcher") + workers(reader, "sweeper")
            assert not stats(reader).launcher_running
            assert expired(reader) == 3
            standby.promote()
            if not preload:
                reader.execute("SELECT session_create()")
            wait_until_swept(reader)
            assert live(reader) == 3
            assert len(workers(reader, "launcher")) == 1
    finally:
        standby.stop("immediate")
