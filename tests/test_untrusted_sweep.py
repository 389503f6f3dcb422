"""Sweeps of a superuser's table that has code of a plain role on it."""

import pytest
from calls import outcome
from conftest import EXTENDED, Server, one, wait_until
from sweeping import EVERY_SECOND, add_expired, create_template, expired, stats, wait_until_swept
from test_untrusted_code import CODE, ELSEWHERE, EXPRESSIONS, QUIET, TRIGGERS, ran_as_superuser

# Of these the deletion runs what its author wrote; the others only concern whoever plans it.
RUNS = TRIGGERS | {name: ELSEWHERE[name] for name in ("rule", "rule to a table", "partition")}
IS_PLANNED = {name: EXPRESSIONS[name] for name in ("constant", "statistics")}


@pytest.fixture(scope="module")
def cluster():
    """Sweeps every second, once a call has been made."""
    cluster = Server(**EVERY_SECOND).start()
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
    owner = database.connect()
    owner.execute(QUIET)
    owner.execute("ALTER TABLE session SET (autovacuum_enabled = false)")
    return owner


@pytest.fixture
def dbo(database, owner):
    """A connection of a plain role that owns the table for a while."""
    role = database.create_role("dbo")
    owner.execute(f"ALTER TABLE session OWNER TO {role}")
    dbo = database.connect(role)
    dbo.execute(CODE)
    return dbo


def trapped(owner, dbo, trap):
    """What has expired, in a table that is the superuser's again; and sweeps, which a first call begins."""
    for statement in trap.split(";"):
        dbo.execute(statement)
    add_expired(dbo, 3)
    dbo.execute("ALTER SEQUENCE ran RESTART; ALTER SEQUENCE ran_as_superuser RESTART")
    owner.execute("ALTER TABLE session OWNER TO owner")
    outcome(owner.execute, "SELECT session_touch('unknown', '1 h')")  # which may be refused, by SQL


@pytest.mark.parametrize("trap", RUNS)
def test_a_sweep_is_refused_and_says_so(cluster, owner, dbo, trap):
    mark = len(cluster.log_text())
    trapped(owner, dbo, RUNS[trap])
    wait_until(lambda: stats(owner).last_error or not expired(owner))
    assert not ran_as_superuser(dbo)
    assert expired(owner) == 3
    assert f"sweeping failed: {stats(owner).last_error}" in cluster.log_text(mark)
    owner.execute("DROP FUNCTION note(), note(anyelement) CASCADE")
    wait_until_swept(owner)
    assert not ran_as_superuser(dbo)


@pytest.mark.parametrize("trap", IS_PLANNED)
def test_a_sweep_does_not_run_it_while_planning_either(owner, dbo, trap):
    trapped(owner, dbo, IS_PLANNED[trap])
    # The view of the statistics looks at the sessions, and would run it for the superuser who asks.
    wait_until(lambda: one(owner, "SELECT last_error IS NOT NULL OR sweeps > 1 FROM session_sweep"))
    assert not ran_as_superuser(dbo)


def test_a_table_handed_over_to_the_author_is_swept(owner, dbo):
    trapped(owner, dbo, TRIGGERS["before"])
    owner.execute(f"ALTER TABLE session OWNER TO {dbo.info.user}")
    wait_until_swept(owner)
    assert not ran_as_superuser(dbo)
    assert one(dbo, "SELECT last_value FROM ran") == 3
