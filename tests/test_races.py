"""Two requests meet: the second call comes while the first one's transaction is open. Each row of docs/concurrency.md."""

import pytest
from conftest import APP, EXTENDED, expires_in, is_past, one, wait_until
from psycopg import errors

OLD = {"old": 1}
OTHER = {"other": 1}
VERSION = "a version"
NEW_ID = "a new id"

SET = "session_set('s', 'k', '1')"
MERGE = "session_merge('s', '{\"k\": 1}', '{old}')"
PATCH = "session_patch('s', '{\"j\": 2}')"
POP = "session_pop('s', 'old')"
DELETE = "session_delete('s', 'old')"
FLUSH = "session_flush('s')"
RELEASE = "session_release('s', '{\"saved\": 1}')"
RELEASE_AT = "session_release('s', '{\"saved\": 1}', 1000)"
PUT = "session_put('s', '{\"put\": 1}')"
TOUCH = "session_touch('s', '2 hours') IS NOT NULL"
CREATE = "session_create('{\"new\": 1}', 's')"
READ = "session_read('s')"
RENEW = "session_regenerate('s')"
MOVE = "session_regenerate('s', 'n')"
LEAVE = "session_regenerate('s', 'n', '1 min')"
DESTROY = "session_destroy('s')"
CREATE_N = "session_create('{\"new\": 1}', 'n')"
PUT_N = "session_put('n', '{\"put\": 1}')"
CREATE_X = "session_create('{\"new\": 1}', 'x')"
GC = "session_gc()"
# What changes nothing locks all the same.
HOLD = "session_merge('s', '{}')"
SAME = "session_set('s', 'old', '1')"

# First, second, what the second returns after waiting for the first one's commit, and the sessions then.
WAITING = [
    # The same key, and different ones.
    (SET, "session_set('s', 'k', '2')", VERSION, {"s": OLD | {"k": 2}}),
    (SET, "session_set('s', 'j', '2')", VERSION, {"s": OLD | {"k": 1, "j": 2}}),
    (SET, "session_merge('s', '{\"j\": 2}', '{k}')", VERSION, {"s": OLD | {"j": 2}}),
    (MERGE, "session_set('s', 'j', '2')", VERSION, {"s": {"k": 1, "j": 2}}),
    (SET, DELETE, True, {"s": {"k": 1}}),
    (DELETE, DELETE, False, {"s": {}}),
    (FLUSH, SET, VERSION, {"s": {"k": 1}}),
    (SET, FLUSH, VERSION, {"s": {}}),
    (RELEASE, SET, VERSION, {"s": {"saved": 1, "k": 1}}),
    (TOUCH, SET, VERSION, {"s": OLD | {"k": 1}}),
    (SET, PATCH, VERSION, {"s": OLD | {"k": 1, "j": 2}}),
    (PATCH, SET, VERSION, {"s": OLD | {"j": 2, "k": 1}}),
    (SET, POP, 1, {"s": {"k": 1}}),
    (POP, POP, None, {"s": {}}),
    # Whole saves.
    (SET, RELEASE, VERSION, {"s": {"saved": 1}}),
    (RELEASE, "session_release('s', '{\"later\": 1}')", VERSION, {"s": {"later": 1}}),
    (SET, RELEASE_AT, None, {"s": OLD | {"k": 1}}),
    (RELEASE_AT, "session_release('s', '{\"late\": 1}', 1000)", None, {"s": {"saved": 1}}),
    (TOUCH, RELEASE_AT, VERSION, {"s": {"saved": 1}}),
    (SET, PUT, VERSION, {"s": {"put": 1}}),
    (SET, "session_save('s', '{\"saved\": 1}', 1000)", None, {"s": OLD | {"k": 1}}),
    # The end of a session.
    (SET, DESTROY, True, {}),
    (RELEASE, DESTROY, True, {}),
    (TOUCH, DESTROY, True, {}),
    (DESTROY, SET, "P0002", {}),
    (DESTROY, MERGE, "P0002", {}),
    (DESTROY, DELETE, "P0002", {}),
    (DESTROY, FLUSH, "P0002", {}),
    (DESTROY, RELEASE, None, {}),
    (DESTROY, RELEASE_AT, None, {}),
    (DESTROY, TOUCH, False, {}),
    (DESTROY, DESTROY, False, {}),
    (DESTROY, PUT, VERSION, {"s": {"put": 1}}),
    (DESTROY, CREATE, "s", {"s": {"new": 1}}),
    (DESTROY, PATCH, None, {}),
    (DESTROY, POP, None, {}),
    (DESTROY, "session_save('s', '{\"late\": 1}')", None, {}),
    (DESTROY, "session_save('s', '{\"first\": 1}', 0)", VERSION, {"s": {"first": 1}}),
    (DESTROY, MOVE, "n", {"n": {}}),
    (DESTROY, "session_regenerate('s', 'n', must_exist => true)", None, {}),
    # A write that changes nothing, by what it holds and by what it waits for.
    (HOLD, SET, VERSION, {"s": OLD | {"k": 1}}),
    (HOLD, SAME, 1000, {"s": OLD}),
    (HOLD, HOLD, 1000, {"s": OLD}),
    (HOLD, RELEASE_AT, VERSION, {"s": {"saved": 1}}),
    (HOLD, PUT, VERSION, {"s": {"put": 1}}),
    (HOLD, TOUCH, True, {"s": OLD}),
    (HOLD, DESTROY, True, {}),
    (HOLD, MOVE, "n", {"n": OLD}),
    (SAME, SET, VERSION, {"s": OLD | {"k": 1}}),
    (SAME, DESTROY, True, {}),
    ("session_delete('s', 'none')", SET, VERSION, {"s": OLD | {"k": 1}}),
    ("session_release('s', '{\"old\": 1}')", SET, VERSION, {"s": OLD | {"k": 1}}),
    ("session_put('s', '{\"old\": 1}')", SET, VERSION, {"s": OLD | {"k": 1}}),
    (SET, HOLD, VERSION, {"s": OLD | {"k": 1}}),
    (SET, SAME, VERSION, {"s": OLD | {"k": 1}}),
    (DESTROY, HOLD, "P0002", {}),
    (DESTROY, SAME, "P0002", {}),
    (DESTROY, "session_release('s', '{\"old\": 1}')", None, {}),
    (DESTROY, "session_put('s', '{\"old\": 1}')", VERSION, {"s": OLD}),
    (MOVE, HOLD, "P0002", {"n": OLD}),
    # A new id.
    (SET, MOVE, "n", {"n": OLD | {"k": 1}}),
    (RELEASE, RENEW, NEW_ID, {NEW_ID: {"saved": 1}}),
    (MOVE, SET, "P0002", {"n": OLD}),
    (MOVE, MERGE, "P0002", {"n": OLD}),
    (MOVE, RELEASE, None, {"n": OLD}),
    (MOVE, TOUCH, False, {"n": OLD}),
    (MOVE, DESTROY, False, {"n": OLD}),
    (MOVE, PUT, VERSION, {"n": OLD, "s": {"put": 1}}),
    (MOVE, CREATE, "s", {"n": OLD, "s": {"new": 1}}),
    (MOVE, RENEW, NEW_ID, {"n": OLD, NEW_ID: {}}),
    (MOVE, "session_regenerate('s', 'm')", "m", {"n": OLD, "m": {}}),
    (MOVE, MOVE, "23505", {"n": OLD}),
    # With a grace: whoever has waited under the old id means the session that it reaches.
    (LEAVE, SET, VERSION, {"n": OLD | {"k": 1}}),
    (LEAVE, MERGE, VERSION, {"n": {"k": 1}}),
    (LEAVE, HOLD, 1000, {"n": OLD}),
    (LEAVE, PATCH, VERSION, {"n": OLD | {"j": 2}}),
    (LEAVE, POP, 1, {"n": {}}),
    (LEAVE, RELEASE, VERSION, {"n": {"saved": 1}}),
    (LEAVE, RELEASE_AT, VERSION, {"n": {"saved": 1}}),
    (LEAVE, TOUCH, True, {"n": OLD}),
    (LEAVE, DESTROY, True, {}),
    (LEAVE, PUT, VERSION, {"n": {"put": 1}}),
    (LEAVE, CREATE, "23505", {"n": OLD}),
    (LEAVE, "session_save('s', '{\"late\": 1}', 0)", None, {"n": OLD}),
    (LEAVE, "session_read('s', '2 h')", OLD, {"n": OLD}),
    (LEAVE, RENEW, NEW_ID, {NEW_ID: OLD}),
    (LEAVE, "session_regenerate('s', 'm')", "m", {"m": OLD}),
    (LEAVE, "session_regenerate('s', 'm', '1 min')", "s", {"n": OLD}),
    (LEAVE, "session_regenerate('s', grace => '1 min', must_exist => true)", "s", {"n": OLD}),
    (LEAVE, LEAVE, "s", {"n": OLD}),
    (LEAVE, MOVE, "23505", {"n": OLD}),
    (LEAVE, CREATE_N, "23505", {"n": OLD}),
    (LEAVE, "session_regenerate('other', 'n')", "23505", {"n": OLD}),
    (SET, LEAVE, "n", {"n": OLD | {"k": 1}}),
    (MOVE, LEAVE, "23505", {"n": OLD}),
    (MOVE, "session_regenerate('s', 'm', '1 min', true)", None, {"n": OLD}),
    (DESTROY, "session_regenerate('s', 'm', '1 min', true)", None, {}),
    # A session begins under an id.
    (CREATE_N, CREATE_N, "23505", {"s": OLD, "n": {"new": 1}}),
    (PUT_N, CREATE_N, "23505", {"s": OLD, "n": {"put": 1}}),
    (MOVE, CREATE_N, "23505", {"n": OLD}),
    (CREATE_N, "session_save('n', '{\"late\": 1}', 0)", None, {"s": OLD, "n": {"new": 1}}),
    (CREATE_X, "session_save('x', '{\"late\": 1}', 0)", None, {"s": OLD, "x": {"new": 1}}),
    ("session_save('n', '{\"new\": 1}', 0)", CREATE_N, "23505", {"s": OLD, "n": {"new": 1}}),
    ("session_read('n')", CREATE_N, "23505", {"s": OLD, "n": {}}),
    ("session_read('n')", "session_read('n')", {}, {"s": OLD, "n": {}}),
    (CREATE_N, "session_read('n')", {"new": 1}, {"s": OLD, "n": {"new": 1}}),
    (MOVE, "session_read('n')", OLD, {"n": OLD}),
    (CREATE_N, PUT_N, VERSION, {"s": OLD, "n": {"put": 1}}),
    (PUT_N, "session_put('n', '{\"later\": 1}')", VERSION, {"s": OLD, "n": {"later": 1}}),
    (CREATE_N, MOVE, "23505", {"s": OLD, "n": {"new": 1}}),
    (MOVE, "session_regenerate('other', 'n')", "23505", {"n": OLD}),
    (CREATE_X, CREATE_X, "23505", {"s": OLD, "x": {"new": 1}}),
    ("session_read('x')", "session_read('x')", {}, {"s": OLD, "x": {}}),
    # The row of an expired session goes.
    (GC, CREATE_X, "x", {"s": OLD, "x": {"new": 1}}),
    (GC, "session_read('x')", {}, {"s": OLD, "x": {}}),
    (GC, "session_save('x', '{\"first\": 1}', 0)", VERSION, {"s": OLD, "x": {"first": 1}}),
    (GC, "session_put('x', '{\"put\": 1}')", VERSION, {"s": OLD, "x": {"put": 1}}),
    (GC, "session_regenerate('s', 'x')", "x", {"x": OLD}),
    (GC, "session_destroy('x')", False, {"s": OLD}),
    ("session_destroy('x')", CREATE_X, "x", {"s": OLD, "x": {"new": 1}}),
    ("session_destroy('x')", "session_read('x')", {}, {"s": OLD, "x": {}}),
    ("session_destroy('x')", "session_destroy('x')", False, {"s": OLD}),
]  # fmt: skip
# In these the second does not wait; what it returns, and the sessions when both are done.
PROMPT = [
    (SET, "session_get('s')", OLD, {"s": OLD | {"k": 1}}),
    (SET, READ, OLD, {"s": OLD | {"k": 1}}),
    (SET, "session_touch('s') IS NOT NULL", True, {"s": OLD | {"k": 1}}),
    (HOLD, "session_get('s')", OLD, {"s": OLD}),
    (HOLD, READ, OLD, {"s": OLD}),
    (HOLD, "session_exist('s')", True, {"s": OLD}),
    (HOLD, "session_touch('s') IS NOT NULL", True, {"s": OLD}),
    (HOLD, "(SELECT sid FROM session_start('s'))", "s", {"s": OLD}),
    (MOVE, "session_get('s')", OLD, {"n": OLD}),
    (LEAVE, "session_get('s')", OLD, {"n": OLD}),
    (LEAVE, READ, OLD, {"n": OLD}),
    (LEAVE, "session_get('n')", None, {"n": OLD}),
    (DESTROY, "session_get('s')", OLD, {}),
    (DESTROY, "session_touch('s') IS NOT NULL", True, {}),
    (DESTROY, READ, OLD, {}),
    (DESTROY, "(SELECT sid FROM session_start('s'))", "s", {}),
    ("session_start('s')", "(SELECT sid FROM session_start('s'))", "s", {"s": OLD}),
    ("session_start('s')", DESTROY, True, {}),
    ("session_start('made-up')", "(SELECT sid FROM session_start('made-up'))", NEW_ID, {"s": OLD, NEW_ID: {}}),
    ("session_start('x')", "(SELECT sid FROM session_start('x'))", NEW_ID, {"s": OLD, NEW_ID: {}}),
    # Before the commit there is no session under the new id.
    (CREATE_N, "session_set('n', 'k', '1')", "P0002", {"s": OLD, "n": {"new": 1}}),
    (CREATE_N, "session_release('n', '{}')", None, {"s": OLD, "n": {"new": 1}}),
    (MOVE, "session_destroy('n')", False, {"n": OLD}),
    (MOVE, "session_get('n')", None, {"n": OLD}),
    # Collecting waits for nobody, and what has expired is absent.
    (GC, GC, 0, {"s": OLD}),
    (GC, "session_touch('x', '2 hours') IS NOT NULL", False, {"s": OLD}),
    (GC, "session_release('x', '{}')", None, {"s": OLD}),
    (GC, "session_set('x', 'k', '1')", "P0002", {"s": OLD}),
    (GC, SET, VERSION, {"s": OLD | {"k": 1}}),
    (SET, GC, 1, {"s": OLD | {"k": 1}}),
    (TOUCH, GC, 1, {"s": OLD}),
    (CREATE_X, GC, 0, {"s": OLD, "x": {"new": 1}}),
    ("session_destroy('x')", GC, 0, {"s": OLD}),
]  # fmt: skip
STRICT = [
    (DESTROY, RENEW, "P0002", {}),
    (DESTROY, MOVE, "P0002", {}),
    (MOVE, RENEW, "P0002", {"n": OLD}),
    (MOVE, "session_regenerate('s', 'm')", "P0002", {"n": OLD}),
    (MOVE, MOVE, "P0002", {"n": OLD}),
]


# With a snapshot from before the first call's commit. More of these: test_isolation.py.
SINCE_THE_SNAPSHOT = [
    (CREATE_N, CREATE_N, "40001"),
    (CREATE_N, PUT_N, "40001"),
    (CREATE_N, "session_read('n')", "40001"),
    (CREATE_N, MOVE, "23505"),
    (CREATE_N, "session_regenerate('m', 'n')", "40001"),
    (MOVE, CREATE_N, "40001"),
    (MOVE, "session_regenerate('other', 'n')", "23505"),
    (MOVE, CREATE, "s"),
    (MOVE, SET, "40001"),
    (MOVE, RELEASE, "40001"),
    (MOVE, RENEW, "40001"),
    (MOVE, DESTROY, "40001"),
    (LEAVE, "session_get('s')", OLD),
    (LEAVE, "session_get('n')", None),
    (LEAVE, SET, "40001"),
    (LEAVE, CREATE, "40001"),
    (LEAVE, "session_save('s', '{}', 0)", "40001"),
    (LEAVE, PUT, "40001"),
    (LEAVE, READ, OLD),
    (LEAVE, RENEW, "40001"),
    (LEAVE, "session_regenerate('s', 'm', '1 min')", "40001"),
    (LEAVE, "session_regenerate('other', 's')", "23505"),
    (LEAVE, DESTROY, "40001"),
    (DESTROY, CREATE, "s"),
    (DESTROY, PUT, "40001"),
    (DESTROY, READ, OLD),
    (CREATE_N, "session_set('n', 'k', '1')", "P0002"),
    (CREATE_N, "session_release('n', '{}')", None),
    (CREATE_N, "session_destroy('n')", False),
    (CREATE_X, CREATE_X, "40001"),
    (CREATE_X, GC, "40001"),
    (GC, GC, "40001"),
    (GC, CREATE_X, "x"),
    (GC, "session_read('x')", {}),
    (GC, "session_destroy('x')", "40001"),
    (GC, "session_regenerate('s', 'x')", "40001"),
]

LIVE = "SELECT session_key, data FROM session_live"
HANDLES = "SELECT encode(sha256(sid::bytea), 'hex'), sid FROM unnest('{s,other,x,n,m}'::text[]) AS sid"


@pytest.fixture(scope="module")
def database(server):
    """One for all, which is quicker; each test begins with the sessions of its own."""
    database = server.create_database(template=EXTENDED)
    database.connect().execute("GRANT EXECUTE ON FUNCTION session_gc(bigint) TO app")
    yield database
    database.drop()


@pytest.fixture(scope="module")
def clients(database):
    return database.connect(), database.connect(APP), database.connect(APP)


@pytest.fixture
def owner(clients):
    """Live are s and other; x has expired; n and m are free."""
    owner = clients[0]
    owner.execute("DELETE FROM session; DELETE FROM session_moved")
    owner.execute("""SELECT session_create('{"old": 1}', 's'), session_create('{"other": 1}', 'other')""")
    owner.execute("""SELECT session_create('{"gone": 1}', 'x'); UPDATE session SET version = 1000""")
    expires_in(owner, "x", "-1 s")
    yield owner
    for client in clients:
        client.rollback()
        client.execute("RESET ALL")


@pytest.fixture
def first(owner, clients):
    return clients[1]


@pytest.fixture
def second(owner, clients):
    return clients[2]


def sessions(owner):
    names = dict(owner.execute(HANDLES).fetchall())
    return {names.get(handle, NEW_ID): data for handle, data in owner.execute(LIVE)}


def plain(value):
    if isinstance(value, str) and len(value) == 64:
        return NEW_ID
    return VERSION if isinstance(value, int) and value > 1000 else value


def value_of(future):
    try:
        return plain(future.result(timeout=10))
    except errors.Error as error:
        return error.sqlstate


def name(argument):
    return argument.replace("session_", "") if isinstance(argument, str) else ""


def pairs(cases):
    return pytest.mark.parametrize("one_call, other_call, value, left", cases, ids=name)


@pairs(WAITING)
def test_the_second_waits_for_the_first(database, owner, first, second, one_call, other_call, value, left):
    first.execute(f"BEGIN; SELECT {one_call}")
    waiting = database.later(second, f"SELECT {other_call}")
    first.execute("COMMIT")
    assert value_of(waiting) == value
    assert sessions(owner) == left | {"other": OTHER}


@pairs(PROMPT)
def test_the_second_does_not_wait(database, owner, first, second, one_call, other_call, value, left):
    first.execute(f"BEGIN; SELECT {one_call}")
    assert value_of(database.begin(second, f"SELECT {other_call}")) == value
    first.execute("COMMIT")
    assert sessions(owner) == left | {"other": OTHER}


@pairs(STRICT)
def test_strictly_a_session_that_is_gone_has_no_successor(
    database, owner, first, second, one_call, other_call, value, left
):
    second.execute("SET session_store.strict = on")
    test_the_second_waits_for_the_first(database, owner, first, second, one_call, other_call, value, left)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("one_call, other_call, value", SINCE_THE_SNAPSHOT, ids=name)
def test_with_an_older_snapshot(database, owner, first, second, level, one_call, other_call, value):
    second.execute(f"BEGIN ISOLATION LEVEL {level}; SELECT 1")
    first.execute(f"SELECT {one_call}")
    before = sessions(owner)
    assert value_of(database.begin(second, f"SELECT {other_call}")) == value
    second.execute("ROLLBACK")
    assert sessions(owner) == before


@pytest.mark.parametrize("call", [SET, RELEASE, RELEASE_AT, PUT, TOUCH, MOVE, "session_flush('s')"], ids=name)
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_collecting_spares_a_session_that_is_being_extended(database, owner, first, second, call, end):
    assert one(owner, f"SELECT {GC}") == 1
    expires_in(owner, "s", "300 ms")
    first.execute(f"BEGIN; SELECT {call}")
    wait_until(lambda: is_past(owner, "s"))
    assert database.promptly(second, f"SELECT {GC}") == 0
    first.execute(end)
    assert one(second, f"SELECT {GC}") == (end == "ROLLBACK")
    assert len(sessions(owner)) == (2 if end == "COMMIT" else 1)


@pytest.mark.parametrize("call", ["session_regenerate('s', 'x')", "session_login('s', 'ada', sid => 'x')"])
def test_way_is_made_for_a_renewal_also_where_an_expired_session_was_being_written(database, owner, first, second, call):
    owner.execute("SELECT session_store_grant('app')")
    owner.execute("BEGIN; UPDATE session SET version = version + 1 WHERE session_key = sha256('x')")
    waiting = database.later(second, f"SELECT {call}")
    owner.execute("COMMIT")
    assert waiting.result() == "x"
    assert one(first, "SELECT session_get('x')") == OLD
