"""Under REPEATABLE READ and SERIALIZABLE the functions behave as hand-written SQL would."""

import pytest
from conftest import APP, one
from psycopg import errors

SNAPSHOT_LEVELS = pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
WRITES = [
    "SELECT session_set('s', 'mine', '1')",
    """SELECT session_merge('s', '{"mine": 1}')""",
    "SELECT session_delete('s', 'old')",
    "SELECT session_flush('s')",
    """SELECT session_release('s', '{"mine": 1}')""",
    """SELECT session_put('s', '{"mine": 1}')""",
    "SELECT session_touch('s', '2 hours')",
    "SELECT session_destroy('s')",
    "SELECT session_regenerate('s', 'new')",
]


@pytest.fixture
def first(database):
    return database.connect(APP)


@pytest.fixture
def second(database):
    database.connect().execute("""SELECT session_create('{"old": 1}', 's')""")
    return database.connect(APP)


def test_read_committed_sees_what_others_committed_in_between(first, second):
    first.execute("BEGIN")
    assert one(first, "SELECT session_get('s')") == {"old": 1}
    second.execute("SELECT session_set('s', 'old', '2')")
    assert one(first, "SELECT session_get('s')") == {"old": 2}
    second.execute("SELECT session_destroy('s')")
    assert one(first, "SELECT session_get('s')") is None


@SNAPSHOT_LEVELS
def test_a_snapshot_keeps_seeing_what_it_saw(first, second, level):
    first.execute(f"BEGIN ISOLATION LEVEL {level}")
    assert one(first, "SELECT session_get('s')") == {"old": 1}
    second.execute("SELECT session_set('s', 'old', '2')")
    assert one(first, "SELECT session_get('s')") == {"old": 1}
    second.execute("SELECT session_destroy('s')")
    second.execute("SELECT session_create('{}', 'unseen')")
    assert one(first, "SELECT session_get('s')") == {"old": 1}
    assert one(first, "SELECT session_exist('unseen')") is False
    first.execute("COMMIT")
    assert one(first, "SELECT session_get('s')") is None


@SNAPSHOT_LEVELS
def test_a_snapshot_sees_its_own_writes(first, second, level):
    first.execute(f"BEGIN ISOLATION LEVEL {level}")
    first.execute("SELECT session_set('s', 'mine', '1')")
    assert one(first, "SELECT session_get('s')") == {"old": 1, "mine": 1}
    query = "SELECT session_get('s', 'mine') FROM session_set('s', 'mine', '2')"
    assert one(first, query) == 2


@SNAPSHOT_LEVELS
@pytest.mark.parametrize("change", ["SELECT session_set('s', 'old', '2')", "SELECT session_destroy('s')"])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_to_what_changed_since_the_snapshot_is_40001(first, second, level, change, write):
    first.execute(f"BEGIN ISOLATION LEVEL {level}")
    assert one(first, "SELECT session_exist('s')")
    second.execute(change)
    with pytest.raises(errors.SerializationFailure):
        first.execute(write)
    first.execute("ROLLBACK")


@SNAPSHOT_LEVELS
@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_waits_for_a_change_is_40001_when_it_commits(database, first, second, level, write):
    first.execute(f"BEGIN ISOLATION LEVEL {level}")
    second.execute("BEGIN; SELECT session_set('s', 'old', '2')")
    waiting = database.later(first, write)
    second.execute("COMMIT")
    with pytest.raises(errors.SerializationFailure):
        waiting.result()


@SNAPSHOT_LEVELS
@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_waits_for_a_change_goes_on_when_it_rolls_back(database, first, second, level, write):
    first.execute(f"BEGIN ISOLATION LEVEL {level}")
    second.execute("BEGIN; SELECT session_set('s', 'theirs', '2')")
    waiting = database.later(first, write)
    second.execute("ROLLBACK")
    assert waiting.result()
    first.execute("COMMIT")
    assert "theirs" not in (one(second, "SELECT session_get('s')") or {})


def doctors(connection):
    return [one(connection, "SELECT session_get(%s, 'on_call')", sid) for sid in ("alice", "bob")]


@pytest.fixture
def rota(first, second):
    for sid in ("alice", "bob"):
        first.execute("""SELECT session_create('{"on_call": true}', %s)""", (sid,))


def both_leave(first, second, level):
    """The textbook's write skew: each may leave while the other is on call."""
    for connection in (first, second):
        connection.execute(f"BEGIN ISOLATION LEVEL {level}")
        assert doctors(connection) == [True, True]
    first.execute("SELECT session_set('alice', 'on_call', 'false')")
    second.execute("SELECT session_set('bob', 'on_call', 'false')")
    first.execute("COMMIT")
    second.execute("COMMIT")


def test_serializable_detects_write_skew_between_sessions(rota, first, second):
    with pytest.raises(errors.SerializationFailure):
        both_leave(first, second, "SERIALIZABLE")
    second.execute("ROLLBACK")
    assert doctors(first) == [False, True]


def test_repeatable_read_does_not(rota, first, second):
    both_leave(first, second, "REPEATABLE READ")
    assert doctors(first) == [False, False]


def test_serializable_detects_skew_on_sessions_that_do_not_exist(first, second):
    for connection, absent in ((first, "b"), (second, "a")):
        connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        assert one(connection, "SELECT session_exist(%s)", absent) is False
    first.execute("SELECT session_create('{}', 'a')")
    second.execute("SELECT session_create('{}', 'b')")
    first.execute("COMMIT")
    with pytest.raises(errors.SerializationFailure):
        second.execute("COMMIT")
