"""What happens to the background workers while extensions and databases come and go."""

import time

import pytest
from conftest import EXTENDED, Server, one, wait_until
from sweeping import (
    EVERY_SECOND, PRELOADED, add_expired, complaints, create_template, expired, extend, gate, let_go, stall, starts,
    stats, wait_for_launcher, wait_for_sweeps, wait_until_swept, workers,
)  # fmt: skip

SLOW = EVERY_SECOND | {"session_store.gc_batch_size": "10"}


@pytest.fixture(scope="module")
def cluster():
    """Sweeps every second, in small batches; has one database that is there throughout."""
    cluster = Server(**SLOW).start()
    cluster.create_roles()
    create_template(cluster)
    extend(cluster, name="resident")[1].close()
    yield cluster
    cluster.stop("immediate")


@pytest.fixture
def database(cluster):
    database = cluster.create_database(template=EXTENDED)
    database.connect().execute("SELECT session_create()").connection.close()
    yield database
    database.drop()


@pytest.fixture
def watcher(cluster):
    with cluster.connect() as watcher:
        yield watcher


# Extensions


def test_drop_and_create_extension_between_sweeps(database, watcher):
    owner = database.connect()
    wait_for_sweeps(owner, 1)
    owner.execute("SELECT session_create()")
    owner.execute("DROP EXTENSION session_store")
    served = """
        SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = objid
        WHERE locktype = 'advisory' AND objsubid = 3 AND datname = %s"""
    wait_until(lambda: one(watcher, served, database.name) == 0)
    time.sleep(8)  # meanwhile the launcher asks that database less and less often
    owner.execute("CREATE EXTENSION session_store")
    add_expired(owner, 3)
    owner.execute("SELECT session_create()")  # by a connection that has seen the first one served
    wait_until_swept(owner, 3)


def test_drop_and_create_extension_during_a_sweep(cluster, database):
    mark = len(cluster.log_text())
    owner = database.connect()
    with gate(database, owner, "expired15") as reached:
        add_expired(owner, 30)
        reached()
        dropped = database.later(owner, "DROP EXTENSION session_store")
    dropped.result(timeout=5)
    owner.execute("DROP FUNCTION trap(); CREATE EXTENSION session_store; SELECT session_create()")
    add_expired(owner, 3)
    wait_until_swept(owner)
    assert not complaints(cluster.log_text(mark))


def test_drop_and_create_extension_again_and_again(cluster, database):
    """At any moment of a sweep."""
    mark = len(cluster.log_text())
    owner = database.connect()
    for number in range(25):
        add_expired(owner, 500)
        begun = time.monotonic()
        wait_until(lambda: expired(owner) < 500 or time.monotonic() > begun + 0.4)
        owner.execute("DROP EXTENSION session_store; CREATE EXTENSION session_store; SELECT session_create()")
    add_expired(owner, 3)
    wait_until_swept(owner)
    assert not complaints(cluster.log_text(mark))


def test_a_launcher_that_nobody_needs_leaves_and_comes_back(new_server):
    cluster = new_server(**EVERY_SECOND)
    database, owner = extend(cluster)
    wait_until(lambda: workers(owner, "launcher"))
    wait_for_sweeps(owner, 1)
    owner.execute("DROP EXTENSION session_store")
    wait_until(lambda: not workers(owner, "launcher"))
    mark = len(cluster.log_text())
    # Also a connection that has seen the database served.
    for connection in [database.connect(), owner]:
        connection.execute("CREATE EXTENSION session_store")
        add_expired(connection, 3)
        connection.execute("SELECT session_create()")
        wait_until_swept(connection)
        connection.execute("DROP EXTENSION session_store")
        wait_until(lambda: not workers(owner, "launcher"))
    assert "session_store" not in cluster.log_text(mark)


def test_a_preloaded_launcher_stays(new_server):
    cluster = new_server(**EVERY_SECOND, **PRELOADED)
    with cluster.connect() as watcher:
        launcher = wait_for_launcher(watcher)
        time.sleep(4)
        assert workers(watcher, "launcher") == [launcher]


# Databases


def test_commands_on_databases_are_not_blocked(cluster, database):
    """None of them bears a connection to the database; PostgreSQL waits five seconds for it to go."""
    name, mark = database.name, len(cluster.log_text())
    with cluster.connect() as owner:
        for number in range(4):
            owner.execute(f"CREATE DATABASE copy{number} TEMPLATE {name}")
            owner.execute(f"ALTER DATABASE {name} RENAME TO {name}_{number}")
            name = f"{name}_{number}"
            owner.execute(f"DROP DATABASE copy{number}")
        renamed = cluster.connect(name)
        add_expired(renamed, 3)
        wait_until_swept(renamed)
        renamed.close()
        owner.execute(f"ALTER DATABASE {name} RENAME TO {database.name}")
    assert not complaints(cluster.log_text(mark))


@pytest.mark.parametrize(
    "command", ["DROP DATABASE {0}", "CREATE DATABASE {0}_copy TEMPLATE {0}", "ALTER DATABASE {0} RENAME TO {0}_copy"]
)
def test_a_command_on_a_database_in_mid_sweep_waits_for_its_end(cluster, database, watcher, command):
    owner = database.connect()
    pid = stall(database, owner, "expired25", seconds=1.5)
    owner.close()
    try:
        watcher.execute(command.format(database.name))
        assert pid not in workers(watcher, "sweeper")
    finally:
        watcher.execute(f"DROP DATABASE IF EXISTS {database.name}_copy WITH (FORCE)")


def test_drop_database_with_force_in_mid_sweep(cluster, database, watcher):
    owner = database.connect()
    pid = stall(database, owner, "expired25")
    begun = time.monotonic()
    watcher.execute(f"DROP DATABASE {database.name} WITH (FORCE)")
    assert time.monotonic() - begun < 2
    assert pid not in workers(watcher, "sweeper")
    with cluster.connect("resident") as resident:
        add_expired(resident, 3)
        wait_until_swept(resident)


def test_a_database_that_refuses_connections_is_left_alone(cluster, database, watcher):
    owner = database.connect()
    with cluster.connect("resident") as resident:
        watcher.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
        wait_for_sweeps(resident, 2)  # one may have been on its way
        mark = len(cluster.log_text())
        add_expired(owner, 3)
        wait_for_sweeps(resident, 3)
        assert expired(owner) == 3
        watcher.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")
        wait_until_swept(owner)
        assert not [line for line in cluster.log_text(mark).splitlines() if "FATAL" in line or "ERROR" in line]


def test_a_hundred_databases_without_the_extension_cost_little(new_server):
    cluster = new_server(**EVERY_SECOND, log_min_messages="debug1", max_wal_size="4GB")
    _, owner = extend(cluster)
    with cluster.connect() as admin:
        admin.execute("CREATE DATABASE small STRATEGY file_copy")
        for number in range(100):
            admin.execute(f"CREATE DATABASE other{number} STRATEGY file_copy")
    mark, before = len(cluster.log_text()), stats(owner).sweeps
    rounds = 12
    wait_for_sweeps(owner, rounds, 40)
    count = starts(cluster.log_text(mark))[1] - (stats(owner).sweeps - before)
    # Found within a round, then after 1, 2, 4, 8… of them.
    assert count <= 103 * 5, f"{count} sweepers in {rounds} rounds"
    mark = len(cluster.log_text())
    wait_for_sweeps(owner, 4, 20)
    assert starts(cluster.log_text(mark))[1] <= 103 * 1.5
    add_expired(owner, 3)
    wait_until_swept(owner, 5)


# Sweepers


def test_a_sweeper_that_is_terminated_leaves_the_rest_to_the_next(database):
    owner = database.connect()
    pid = stall(database, owner, "expired25")
    assert expired(owner) == 5
    assert one(owner, "SELECT pg_terminate_backend(%s, 2000)", pid)
    assert expired(owner) == 5
    let_go(owner)
    wait_until_swept(owner)


def test_a_sweeper_that_is_cancelled_says_so(database):
    owner = database.connect()
    pid = stall(database, owner, "expired25")
    owner.execute("SELECT pg_cancel_backend(%s)", (pid,))
    wait_until(lambda: pid not in workers(owner, "sweeper"))
    let_go(owner)
    wait_until_swept(owner)
    assert "user request" in stats(owner).last_error
