"""A write holds its session until the transaction ends, also when it changes nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from calls import create_due, has_slid, outcome
from conftest import APP, EXTENDED, one, wait_until

# On a session with that content, which each leaves as it is.
K, EMPTY = '{"k": 1}', "{}"
NOTHING = {
    "set": ("session_set('s', 'k', '1')", K),
    "merge of nothing": ("session_merge('s', '{}')", K),
    "merge of the same": ("session_merge('s', '{\"k\": 1}')", K),
    "merge without what is not there": ("session_merge('s', '{}', '{absent}')", K),
    "delete": ("session_delete('s', 'absent') IS NOT NULL", K),
    "flush": ("session_flush('s')", EMPTY),
    "release": ("session_release('s', '{\"k\": 1}')", K),
    "release at a version": ("session_release('s', '{\"k\": 1}', 1000)", K),
    "put": ("session_put('s', '{\"k\": 1}')", K),
    "touch": ("session_touch('s', '1 h') IS NOT NULL", K),
}
GONE = dict.fromkeys(NOTHING, "P0002") | {"release": None, "release at a version": None, "touch": False}
nothings = pytest.mark.parametrize("nothing", NOTHING)


WATCH = """
    CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER watch AFTER UPDATE ON session FOR EACH ROW EXECUTE FUNCTION watch()"""


@pytest.fixture(scope="module", params=["plain", "watched"])
def database(server, request):
    """One for all, which is quicker; each test begins with the sessions of its own."""
    database = server.create_database(template=EXTENDED)
    if request.param == "watched":
        database.connect().execute(WATCH)
    yield database
    database.drop()


@pytest.fixture(scope="module")
def clients(database):
    return [database.connect(), *(database.connect(APP) for _ in range(10))]


@pytest.fixture
def owner(clients):
    clients[0].execute("DELETE FROM session")
    yield clients[0]
    for client in clients:
        client.rollback()


@pytest.fixture
def other(database, owner):
    """Another connection of the owner's."""
    with database.server.connect(database.name) as connection:
        yield connection


@pytest.fixture
def first(owner, clients):
    return clients[1]


@pytest.fixture
def second(owner, clients):
    return clients[2]


def begin(owner, nothing):
    """The session, and the call that changes nothing of it."""
    call, data = NOTHING[nothing]
    owner.execute("SELECT session_create(%s, 's')", (data,))
    owner.execute("UPDATE session SET version = 1000")
    return f"SELECT {call}"


@nothings
@pytest.mark.parametrize("itself", [False, True], ids=["a change", "itself"])
def test_others_wait_for_it(database, owner, first, second, nothing, itself):
    call = begin(owner, nothing)
    first.execute("BEGIN")
    assert one(first, call)
    waiting = database.later(second, call if itself else "SELECT session_destroy('s')")
    first.execute("COMMIT")
    assert waiting.result()


@nothings
def test_what_it_left_as_it_was_stays_so_until_its_transaction_ends(database, owner, first, second, nothing):
    call = begin(owner, nothing)
    first.execute("BEGIN")
    before = one(first, "SELECT (session_load('s', false)).data")
    assert one(first, call)
    waiting = database.later(second, "SELECT session_put('s', '{\"k\": 2}')")
    assert one(first, "SELECT session_get('s')") == before
    first.execute("COMMIT")
    assert waiting.result()
    assert one(first, "SELECT session_get('s')") == {"k": 2}


@nothings
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "block"])
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_it_waits_for_an_open_destroy(database, owner, first, second, nothing, alone, end):
    call = begin(owner, nothing)
    first.execute("BEGIN; SELECT session_destroy('s')")
    if not alone:
        second.execute("BEGIN")
    waiting = database.later(second, call)
    first.execute(end)
    value = outcome(waiting.result)
    second.execute("COMMIT")
    if end == "ROLLBACK" or nothing == "put":
        assert value not in (None, False, "P0002")
        assert one(owner, "SELECT session_exist('s')")
    else:
        assert value == GONE[nothing]
        assert one(owner, "SELECT count(*) FROM session") == 0


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "block"])
def test_it_waits_for_an_open_write_and_then_changes_what_that_left(database, owner, first, second, alone):
    """What it finds at first is no longer what there is."""
    keep = {"set": {"k": 1, "n": 5}, "merge of the same": {"k": 1, "n": 5}, "release": {"k": 1}, "put": {"k": 1}}
    for nothing, left in keep.items():
        call = begin(owner, nothing)
        first.execute("BEGIN; SELECT session_merge('s', '{\"k\": 2, \"n\": 5}')")
        second.execute("SELECT 1" if alone else "BEGIN")
        waiting = database.later(second, call)
        first.execute("COMMIT")
        assert waiting.result() > 1001
        second.execute("COMMIT")
        assert one(owner, "SELECT session_get('s')") == left
        owner.execute("SELECT session_destroy('s')")


@nothings
def test_ten_transactions_that_hold_a_session_count_to_ten(owner, clients, nothing):
    call = begin(owner, nothing)
    owner.execute("SELECT session_create('{\"n\": 0}', 'counter')")

    def count(connection):
        connection.execute("BEGIN")
        connection.execute(call)
        n = one(connection, "SELECT session_get('counter', 'n')")
        connection.execute("SELECT pg_sleep(0.01)")
        connection.execute("SELECT session_set('counter', 'n', to_jsonb(%s::int))", (n + 1,))
        connection.execute("COMMIT")

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(count, clients[1:]))
    assert one(owner, "SELECT session_get('counter', 'n')") == 10


# Transactions that nobody began with BEGIN: the call, and then something that waits for an advisory lock.
WAIT = "pg_advisory_xact_lock_shared(7)"


def in_pipeline(connection, call):
    with connection.pipeline():
        connection.execute(call)
        connection.execute(f"SELECT {WAIT}")


def in_one_statement(connection, call):
    connection.execute(f"SELECT held.*, {WAIT} FROM ({call} OFFSET 0) AS held")


def in_one_message(connection, call):
    connection.execute(f"{call}; SELECT {WAIT}")


def in_a_block_of_code(connection, call):
    connection.execute(f"DO $$ BEGIN PERFORM {call.removeprefix('SELECT ')}; PERFORM {WAIT}; END $$")


def in_a_function(connection, call):
    connection.execute(
        f"CREATE OR REPLACE FUNCTION pg_temp.hold() RETURNS void LANGUAGE sql AS $$ {call}; SELECT {WAIT} $$"
    )
    connection.execute("SELECT pg_temp.hold()")


@pytest.mark.parametrize("way", [in_pipeline, in_one_statement, in_one_message, in_a_block_of_code, in_a_function])
@pytest.mark.parametrize("nothing", ["set", "merge of nothing"])
def test_others_wait_for_it_where_more_follows(database, owner, first, second, way, nothing):
    call = begin(owner, nothing)
    owner.execute("SELECT pg_advisory_lock(7)")
    with ThreadPoolExecutor(1) as thread:
        holding = thread.submit(way, first, call)
        waits = "SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE pid = %s"
        try:
            wait_until(lambda: holding.done() or one(owner, waits, first.info.backend_pid))
            waiting = database.later(second, "SELECT session_set('s', 'k', '2') > 0")
        finally:
            owner.execute("SELECT pg_advisory_unlock(7)")
        holding.result()
        assert waiting.result()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("change", ["session_set('s', 'n', '5')", "session_destroy('s')"])
def test_with_an_older_snapshot_it_is_40001_like_any_write(owner, first, second, level, change):
    states = {}
    for nothing in NOTHING:
        call = begin(owner, nothing)
        first.execute(f"BEGIN ISOLATION LEVEL {level}; SELECT session_exist('s')")
        second.execute(f"SELECT {change}")
        states[nothing] = outcome(one, first, call)
        first.execute("ROLLBACK")
        owner.execute("DELETE FROM session")
    assert states == dict.fromkeys(NOTHING, "40001")


def test_a_savepoint_rolled_back_lets_the_session_go(database, owner, first, second):
    for nothing in NOTHING:
        call = begin(owner, nothing)
        first.execute("BEGIN; SAVEPOINT a")
        first.execute(call)
        first.execute("ROLLBACK TO a")
        assert database.promptly(second, "SELECT session_destroy('s')")
        first.execute("COMMIT")


def test_rows_that_refer_to_the_session_do_not_stand_in_the_way(database, owner, first, other):
    for nothing in NOTHING:
        call = begin(owner, nothing)
        other.execute("BEGIN; SELECT FROM session FOR KEY SHARE")
        assert database.promptly(first, call)
        assert database.promptly(first, "SELECT session_set('s', 'n', '5') > 0")
        other.execute("COMMIT; SELECT session_destroy('s')")


@pytest.mark.direct
@pytest.mark.parametrize("database", ["plain"], indirect=True)
@pytest.mark.parametrize(
    "protocol", [{}, {"binary": True}, {"prepare": True}], ids=["simple", "extended", "prepared"]
)
def test_alone_it_writes_nothing_for_nobody_could_tell(owner, first, protocol):
    row = "SELECT ctid::text, xmin::text, xmax::text, pg_snapshot_xmax(pg_current_snapshot())::text FROM session"

    def writes(call):
        before = owner.execute(row).fetchone()
        first.execute(call, **protocol)
        return before != owner.execute(row).fetchone()

    for nothing in NOTHING:
        call = begin(owner, nothing)
        if nothing != "merge of nothing":
            # Unless the grid's next step begins, or others take a transaction id.
            assert not all(writes(call) for _ in range(5)), nothing
        owner.execute("DELETE FROM session")


# The transaction's own locks and its slides

STRENGTHS = ["KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE"]
OWN = {
    "before": "SELECT FROM session FOR {}; SELECT session_get('s')",
    "after": "SELECT session_get('s'); SELECT FROM session FOR {}",
    "released": "SAVEPOINT a; SELECT FROM session FOR {}; RELEASE a; SELECT session_get('s')",
    "rolled back": "SAVEPOINT a; SELECT FROM session FOR {}; ROLLBACK TO a; SELECT session_get('s')",
    "within": "SELECT FROM session FOR {}; SAVEPOINT a; SELECT session_get('s'); RELEASE a",
}


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("way", OWN)
def test_a_session_that_the_transaction_itself_holds_slides_as_it_was_promised(owner, way, strength):
    create_due(owner, "s")
    owner.execute(f"BEGIN; {OWN[way].format(strength)}")
    promised = one(owner, "SELECT expires_at FROM session_load('s')")
    owner.execute("COMMIT")
    assert one(owner, "SELECT session_expiry FROM session") == promised
    assert has_slid(owner, "s")


@pytest.mark.parametrize("strength", STRENGTHS)
def test_others_who_hold_it_too_are_not_waited_for(database, owner, other, strength):
    create_due(owner, "s")
    other.execute("BEGIN; SELECT FROM session FOR KEY SHARE")
    if strength != "UPDATE":
        owner.execute(f"BEGIN; SELECT FROM session FOR {strength}")
        assert database.promptly(owner, "SELECT session_get('s')") == {"k": 1}
        database.promptly(owner, "COMMIT")
        assert has_slid(owner, "s")
    else:
        other.execute("SELECT FROM session FOR UPDATE")
        assert database.promptly(owner, "SELECT session_get('s')") == {"k": 1}
        assert not has_slid(owner, "s")
    other.execute("COMMIT")
