"""Sweeps that last: they share the time with other databases, and give way to who wants the database to itself."""

import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import EXTENDED, Server, one, wait_until
from sweeping import (
    add_expired, complaints, create_template, expired, extend, stall, stats, wait_until_swept, workers,
)  # fmt: skip

ROWS = 20_000
"""One at a time, with a rest of a millisecond each: more than twenty seconds."""

RARELY = {"session_store.gc_interval": "1h"}


@pytest.fixture(scope="module")
def cluster():
    """Sweeps row by row, and only when it is told to reload: what goes on by itself is a sweep that was left."""
    cluster = Server(**RARELY, session_store__gc_batch_size=1).start()
    cluster.create_roles()
    create_template(cluster)
    extend(cluster, name="resident")[1].close()
    yield cluster
    cluster.stop("immediate")


@pytest.fixture
def create(cluster):
    databases = []

    def create():
        databases.append(cluster.create_database(template=EXTENDED))
        owner = databases[-1].connect()
        owner.execute("SELECT session_create()")
        wait_until(lambda: stats(owner).sweeps)
        return databases[-1], owner

    yield create
    for database in databases:
        database.drop()


def begin_long_sweep(cluster, owner, rows=ROWS):
    add_expired(owner, rows)
    cluster.reload()
    wait_until(lambda: expired(owner) < rows)


# Commands that want the database to themselves; PostgreSQL waits five seconds for others to be gone.


@pytest.mark.parametrize(
    "command", ["DROP DATABASE {0}", "CREATE DATABASE {0}_copy TEMPLATE {0}", "ALTER DATABASE {0} RENAME TO {0}_copy"]
)
def test_a_command_gets_its_database_in_mid_sweep(cluster, create, command):
    database, owner = create()
    begin_long_sweep(cluster, owner)
    mark = len(cluster.log_text())
    owner.close()
    with cluster.connect() as admin:
        try:
            begun = time.monotonic()
            admin.execute(command.format(database.name))
            assert time.monotonic() - begun < 4.5
            assert not complaints(cluster.log_text(mark)) and "FATAL" not in cluster.log_text(mark)
        finally:
            admin.execute(f"DROP DATABASE IF EXISTS {database.name}_copy WITH (FORCE)")


def test_a_sweep_that_gave_way_to_a_command_goes_on(cluster, create):
    database, owner = create()
    begin_long_sweep(cluster, owner)
    owner.close()
    with cluster.connect() as admin:
        admin.execute(f"CREATE DATABASE {database.name}_copy TEMPLATE {database.name}")
        admin.execute(f"DROP DATABASE {database.name}_copy WITH (FORCE)")
    owner = database.connect()
    left = expired(owner)
    assert 0 < left < ROWS
    wait_until(lambda: expired(owner) < left, 3)
    assert stats(owner).last_error is None


def test_rows_that_take_long_do_not_keep_a_command_waiting(new_server):
    """A trigger that asks another server, for example."""
    cluster = new_server(session_store__gc_interval="1s")
    database, owner = extend(cluster)
    owner.execute("""
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN OLD; END $$;
        CREATE TRIGGER slow BEFORE DELETE ON session FOR EACH ROW EXECUTE FUNCTION slow()""")
    add_expired(owner, 1_000)
    wait_until(lambda: expired(owner) < 1_000)
    owner.close()
    with cluster.connect() as admin:
        admin.execute(f"CREATE DATABASE copy TEMPLATE {database.name}")
        with cluster.connect("copy") as copy:
            assert 0 < expired(copy) < 1_000, "what is done is committed"
        admin.execute(f"DROP DATABASE {database.name}")


def test_a_database_that_a_command_holds_keeps_no_other_waiting(cluster, create):
    (held, owner), (_, other) = create(), create()
    add_expired(owner, 3)
    owner.close()
    with cluster.connect(autocommit=False) as admin:
        admin.execute(f"ALTER DATABASE {held.name} RENAME TO {held.name}_moved")  # a copy being made holds it, too
        add_expired(other, 3)
        cluster.reload()
        wait_until_swept(other, 5)
        cluster.reload()
        time.sleep(1)
        with cluster.connect() as watcher:
            assert not workers(watcher, "sweeper"), "none waits for the command"
        admin.rollback()
    wait_until_swept(held.connect(), 5)


# Sharing


def test_a_sweeper_leaves_after_three_seconds_and_another_goes_on(cluster, create):
    _, owner = create()
    before = stats(owner).sweeps
    begin_long_sweep(cluster, owner)
    seen = {}

    def has_left_three_times():
        now = stats(owner)
        seen[now.sweeps] = now
        return now.sweeps >= before + 3

    wait_until(has_left_three_times)
    for number in range(before + 1, before + 3):
        this, following = seen[number], seen[number + 1]
        assert timedelta(seconds=2.9) < this.last_duration < timedelta(seconds=4)
        assert following.last_start - this.last_start - this.last_duration < timedelta(seconds=2), "it goes on soon"
        assert following.total_rows == this.total_rows + following.last_rows and following.last_rows > 100
    assert seen[before + 3].last_error is None


def test_what_was_left_is_removed_to_the_end(cluster, create):
    _, owner = create()
    before = stats(owner)
    begin_long_sweep(cluster, owner, 4_000)
    wait_until_swept(owner, 60)
    wait_until(lambda: stats(owner).total_rows == before.total_rows + 4_000, 10)
    assert stats(owner).sweeps > before.sweeps + 1
    after = stats(owner).sweeps
    time.sleep(1)
    assert stats(owner).sweeps == after, "then there is nothing to go on with"


def test_a_long_sweep_lets_other_databases_have_their_turn(cluster, create):
    (_, first), (_, second), (_, short) = create(), create(), create()
    begin_long_sweep(cluster, first)
    add_expired(second, ROWS)
    add_expired(short, 3)
    cluster.reload()
    wait_until_swept(short, 10)
    assert expired(first) > 0
    turns = {owner: stats(owner).sweeps for owner in (first, second)}
    wait_until(lambda: all(stats(owner).sweeps >= turns[owner] + 2 for owner in turns), 30)
    assert expired(first) > 0 and expired(second) > 0


def test_rows_that_are_locked_are_no_reason_to_stay(cluster, create):
    database, owner = create()
    add_expired(owner, ROWS)
    with database.connect(autocommit=False) as other:
        other.execute("SELECT FROM session FOR UPDATE")
        before = stats(owner).sweeps
        cluster.reload()
        wait_until(lambda: stats(owner).sweeps > before, 10)
        after = stats(owner).sweeps
        time.sleep(5)
        assert stats(owner).sweeps <= after + 1
        assert expired(owner) == ROWS


@pytest.mark.long
def test_a_sweep_that_hangs_keeps_other_databases_waiting_for_a_minute_only(new_server):
    cluster = new_server(session_store__gc_interval="1s", session_store__gc_batch_size=10)
    database, owner = extend(cluster)
    _, other = extend(cluster)
    pid = stall(database, owner, "expired25", seconds=600)
    add_expired(other, 3)
    wait_until_swept(other, 75)
    assert pid not in workers(owner, "sweeper")
    assert re.search(r"terminating the sweeper of database \d+, which did not end within", cluster.log_text())


# Memory


def test_memory_that_cannot_be_had_is_an_error(new_server):
    cluster = new_server(session_store__gc_interval="1s")
    database, owner = extend(cluster)
    holder = database.connect(autocommit=False)
    add_expired(owner, 300_000)
    waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'session'::regclass"
    for kilobytes in range(4_000, 8_500, 500):
        holder.execute("LOCK TABLE session")
        wait_until(lambda: one(owner, waiting))
        sweeper = one(owner, waiting)
        size = int(re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{sweeper}/status").read_text())[1])
        cluster.run("prlimit", "--pid", sweeper, f"--as={(size + kilobytes) * 1024}")
        holder.commit()
        wait_until(lambda: "terminated by signal" in cluster.log_text() or sweeper not in workers(owner, "sweeper"))
        assert "terminated by signal" not in cluster.log_text(), f"with {kilobytes} kB to spare"
    assert "sweeping failed: out of memory" in cluster.log_text()
    wait_until_swept(owner, 60)
