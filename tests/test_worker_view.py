"""What a DBA sees of the background workers, and the settings by which they are steered."""

import re
import time
from datetime import timedelta

import psycopg
import pytest
from conftest import APP, EXTENDED, Server, one, wait_until
from psycopg import errors
from sweeping import (
    EVERY_SECOND, PRELOADED, add_expired, add_live, apply, create_template, expired, extend, gate, stats,
    wait_for_sweeps, wait_until_swept, workers,
)  # fmt: skip


@pytest.fixture(scope="module")
def cluster():
    """Sweeps every second."""
    cluster = Server(**EVERY_SECOND).start()
    cluster.create_roles()
    create_template(cluster)
    yield cluster
    cluster.stop("immediate")


@pytest.fixture
def swept(cluster):
    database = cluster.create_database(template=EXTENDED)
    yield database
    database.drop()


@pytest.fixture
def owner(swept):
    owner = swept.connect()
    owner.execute("SELECT session_create()")
    return owner


def test_the_activity_of_launcher_and_sweeper_is_shown(swept, owner):
    query = "SELECT datname, application_name, state, query FROM pg_stat_activity WHERE backend_type = %s"
    with gate(swept, owner, "expired5") as reached:
        add_expired(owner, 10)
        reached()
        sweepers = owner.execute(query, ("session_store sweeper",)).fetchall()
        assert sweepers == [(swept.name, "session_store", "active", "removing expired sessions, 0 so far")]
        [(datname, _, _, activity)] = owner.execute(query, ("session_store launcher",)).fetchall()
        assert datname is None
        assert activity
    wait_until(lambda: not workers(owner, "sweeper", swept.name))


def test_the_figures_of_a_sweep(owner):
    wait_for_sweeps(owner, 1)
    first = stats(owner)
    assert first.launcher_running is True
    assert first.sweeping_enabled is True
    assert (first.last_rows, first.total_rows, first.last_error, first.last_error_at) == (0, 0, None, None)
    assert first.expired_waiting == 0
    begun = one(owner, "SELECT clock_timestamp()")
    add_live(owner, 50)
    add_expired(owner, 70)
    wait_until(lambda: stats(owner).last_rows == 70)
    after = stats(owner)
    assert begun < after.last_start < one(owner, "SELECT clock_timestamp()")
    assert timedelta() < after.last_duration < timedelta(seconds=5)
    assert (after.total_rows, after.expired_waiting) == (70, 0)
    assert after.sweeps > first.sweeps
    add_expired(owner, 5)
    wait_until(lambda: stats(owner).last_rows == 5)
    assert stats(owner).total_rows == 75
    assert 0 <= stats(owner).live_estimate <= 200
    wait_until(lambda: owner.execute("ANALYZE session") and stats(owner).live_estimate == 51)


def test_a_failure_is_kept_and_does_not_end_sweeping(cluster, owner):
    mark = len(cluster.log_text())
    owner.execute("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON session FOR EACH ROW EXECUTE FUNCTION refuse()""")
    begun = one(owner, "SELECT clock_timestamp()")
    add_expired(owner, 40)
    wait_until(lambda: stats(owner).last_error)
    failed = stats(owner)
    assert failed.last_error == "not today"
    assert failed.last_error_at > begun
    assert failed.expired_waiting == 40
    assert re.search("WARNING:  session_store: .*not today", cluster.log_text(mark))
    wait_for_sweeps(owner, 1)  # they go on
    owner.execute("DROP FUNCTION refuse() CASCADE")
    wait_until_swept(owner)
    wait_until(lambda: stats(owner).total_rows == 40)
    assert stats(owner).last_error == "not today"
    last = stats(owner).last_error_at
    wait_for_sweeps(owner, 1)
    assert stats(owner).last_error_at == last


def test_a_table_that_was_renamed_is_not_a_crash(swept, owner):
    owner.execute("ALTER TABLE session RENAME TO elsewhere")
    time.sleep(2.5)
    owner.execute("ALTER TABLE elsewhere RENAME TO session")
    swept.connect().execute("SELECT session_create()")
    add_expired(owner, 3)
    wait_until_swept(owner)
    assert stats(owner).last_error is None


def test_monitoring_reads_the_view_and_others_do_not(cluster, swept, owner):
    role = "watcher_" + swept.name
    owner.execute(f"CREATE ROLE {role} LOGIN IN ROLE pg_monitor")
    wait_for_sweeps(owner, 1)
    with cluster.connect(swept.name, role) as watcher:
        assert stats(watcher) == stats(owner) or stats(watcher).sweeps
        assert stats(watcher).launcher_running
        with pytest.raises(errors.InsufficientPrivilege):
            watcher.execute("SELECT FROM session")
    with pytest.raises(errors.InsufficientPrivilege):
        stats(swept.connect(APP))
    with swept.connect() as last:
        last.execute(f"DROP ROLE {role}")


def test_the_view_is_cheap(database):
    """Of the server that does not sweep."""
    owner = database.connect()
    add_live(owner, 30_000)
    add_expired(owner, 11_000)
    owner.execute("SELECT pg_stat_force_next_flush()")  # else what was inserted is counted after the ANALYZE once more
    owner.execute("ANALYZE session")
    view = stats(owner)
    assert (view.launcher_running, view.sweeping_enabled) == (False, False)
    assert (view.sweeps, view.total_rows, view.last_start) == (0, 0, None)
    assert view.expired_waiting == 10_000
    assert 28_000 < view.live_estimate <= 31_000
    owner.execute("DELETE FROM session WHERE session_expiry < now() - interval '59 s'")
    add_live(owner, 70_000, "more")
    owner.execute("VACUUM ANALYZE session")
    plan = "\n".join(line for (line,) in owner.execute("EXPLAIN SELECT * FROM session_store_stats"))
    assert "using session_expiry" in plan
    assert not re.search(r"Seq Scan on session\b", plan), plan


def test_each_sweep_that_removed_something_is_one_line_at_debug1(new_server):
    cluster = new_server(**EVERY_SECOND, log_min_messages="debug1")
    _, owner = extend(cluster)
    wait_for_sweeps(owner, 1)
    for count in (25, 3):
        add_expired(owner, count)
        wait_until(lambda: stats(owner).last_rows == count)
    wait_for_sweeps(owner, 2)
    lines = re.findall(r"DEBUG:  (session_store: .*)", cluster.log_text())
    assert lines == ["session_store: removed 25 expired sessions", "session_store: removed 3 expired sessions"]


@pytest.mark.parametrize("preload", [{}, PRELOADED], ids=["started by a call", "preloaded"])
def test_interval_0_stops_sweeping_and_the_view_says_so(new_server, preload):
    cluster = new_server(**EVERY_SECOND, **preload)
    _, owner = extend(cluster)
    wait_for_sweeps(owner, 1)
    apply(cluster, session_store__gc_interval="0")
    wait_until(lambda: stats(owner).sweeping_enabled is False)
    wait_until(lambda: not workers(owner, "sweeper"))
    before = stats(owner).sweeps
    add_expired(owner, 3)
    time.sleep(2.5)
    assert (expired(owner), stats(owner).sweeps) == (3, before)
    apply(cluster, session_store__gc_interval="1s")
    wait_until(lambda: stats(owner).sweeping_enabled)
    wait_until_swept(owner)


def test_interval_0_stops_a_sweep_in_the_middle(new_server):
    cluster = new_server(**EVERY_SECOND, session_store__gc_batch_size=10)
    database, owner = extend(cluster)
    with gate(database, owner, "expired15") as reached:
        add_expired(owner, 100)
        reached()
        time.sleep(1.2)  # the round has lasted longer than the interval
        apply(cluster, session_store__gc_interval="0")
    wait_until(lambda: stats(owner).total_rows == 20)
    time.sleep(2.5)
    assert expired(owner) == 80
    assert stats(owner).launcher_running


def test_sweeping_switched_on_later_needs_no_restart(new_server):
    cluster = new_server()
    _, owner = extend(cluster)
    add_expired(owner, 3)
    assert not stats(owner).launcher_running
    apply(cluster, session_store__gc_interval="1s")
    owner.execute("SELECT session_create()")
    wait_until_swept(owner)


def test_an_interval_can_be_cut_short_while_waiting(new_server):
    cluster = new_server(session_store__gc_interval="1h")
    _, owner = extend(cluster)
    wait_until(lambda: stats(owner).sweeps)
    apply(cluster, session_store__gc_interval="1s")
    wait_for_sweeps(owner, 2)


def test_what_a_role_may_not_set(swept):
    with pytest.raises(psycopg.Error) as refused:
        swept.connect().execute("LOAD 'session_store'; SET session_store.gc_interval = 5")
    assert refused.value.sqlstate == "55P02"
