"""Every call against every other, the first in a transaction that is still open when the second comes.

Whether the first commits or rolls back: what both return and what is left is what one after the other would have given.
None waits for ever, and none fails that would not fail alone.
"""

import pytest
from conftest import APP, THREADS, one, wait_until
from psycopg import errors

# Of live sessions there are s and other, x has expired, and n and m are free.
BEGIN = """
    DELETE FROM session;
    SELECT session_create('{"old": 1}', 's'), session_create('{"other": 1}', 'other'), session_create('{}', 'x');
    UPDATE session SET version = 1000;
    UPDATE session SET session_expiry = now() - interval '1 s' WHERE session_key = sha256('x')"""
CALLS = [
    "session_start('s')",
    "session_start('x')",
    "session_create('{\"new\": 1}')",
    "session_create('{\"new\": 1}', 's')",
    "session_create('{\"new\": 1}', 'n')",
    "session_create('{\"new\": 1}', 'x')",
    "session_read('s')",
    "session_read('n')",
    "session_read('x')",
    "session_load('s')",
    "session_fetch('s')",
    "session_get('s')",
    "session_exist('s')",
    "session_exist('n')",
    "session_touch('s')",
    "session_touch('s', '2 hours')",
    "session_touch('s', deadline => now())",
    "session_set('s', 'a', '1')",
    "session_set('s', 'a', '2')",
    "session_set('s', 'b', '3')",
    "session_set('s', 'old', '1')",  # changes nothing
    "session_set('n', 'a', '4')",
    "session_set('x', 'a', '5')",
    "session_merge('s', '{\"a\": 6}', '{old}')",
    "session_delete('s', 'old')",
    "session_flush('s')",
    "session_release('s', '{\"saved\": 1}')",
    "session_release('s', '{\"saved\": 2}', 1000)",
    "session_release('s', '{\"saved\": 3}', 1000)",
    "session_release_raw('s', 'raw')",
    "session_release('x', '{\"saved\": 4}')",
    "session_put('s', '{\"put\": 1}')",
    "session_put('n', '{\"put\": 2}')",
    "session_put('n', '{\"put\": 3}')",
    "session_put('x', '{\"put\": 4}')",
    "session_regenerate('s')",
    "session_regenerate('s', 'n')",
    "session_regenerate('s', 'm')",
    "session_regenerate('s', 'x')",
    "session_regenerate('s', 'other')",
    "session_regenerate('other', 's')",
    "session_regenerate('other', 'n')",
    "session_regenerate('n', 'm')",
    "session_destroy('s')",
    "session_destroy('n')",
    "session_destroy('x')",
    "session_gc() >= 0",  # it skips what the other has locked, so that the count may differ
    "session_all()",
]
LEFT = """
    SELECT coalesce(sid, 'generated'), convert_from(session_data, 'LATIN1'), version, lifetime
    FROM session
    LEFT JOIN unnest('{s,other,n,m,x}'::text[]) AS sid ON session_key = sha256(sid::bytea)
    WHERE session_expiry > clock_timestamp()
    ORDER BY 1, 2"""


@pytest.fixture
def clients(database):
    database.connect().execute("GRANT EXECUTE ON FUNCTION session_gc(bigint), session_all() TO app")
    return database.connect(APP), database.connect(APP)


def answer(connection, call):
    """What a call returns, but for what differs each time: versions that are clock times, generated ids."""
    try:
        value = one(connection, f"SELECT to_jsonb({call})")
    except (errors.UniqueViolation, errors.NoDataFound, errors.WrongObjectType, errors.SerializationFailure) as error:
        return error.sqlstate
    if isinstance(value, dict) and "sid" in value:  # session_start
        value = [plain(value[name]) for name in ("sid", "data", "version", "is_new")]
    elif isinstance(value, dict) and "version" in value:  # session_load, session_fetch
        value = value["data"], plain(value["version"])
    return str(plain(value))


def plain(value):
    if isinstance(value, str):
        return "an id" if len(value) == 64 else "a time" if value.startswith("20") else value
    return "new" if isinstance(value, int) and value > 1e12 else value


def left(owner):
    return [tuple(map(plain, row)) for row in owner.execute(LEFT)]


def in_turn(owner, clients, *calls):
    owner.execute(BEGIN)
    return [answer(client, call) for client, call in zip(clients, calls)], left(owner)


def at_once(owner, watcher, clients, first, second, end):
    """The second call comes while the first one's transaction is open, which ends when the second waits or is done."""
    owner.execute(BEGIN)
    clients[0].execute("BEGIN")
    answered = answer(clients[0], first)
    later = THREADS.submit(answer, clients[1], second)
    is_blocked = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
    wait_until(lambda: later.done() or one(watcher, is_blocked, clients[1].info.backend_pid), pause=0)
    clients[0].execute(end)
    return [answered, later.result(timeout=20)], left(owner)


@pytest.mark.parametrize("level", ["READ COMMITTED", pytest.param("REPEATABLE READ", marks=pytest.mark.long)])
@pytest.mark.parametrize("first", CALLS)
def test_two_calls_at_once_are_as_good_as_one_after_the_other(database, clients, first, level):
    owner, watcher = database.connect(), database.connect()
    for client in clients:
        client.execute(f"SET default_transaction_isolation = '{level}'")
    for second in CALLS:
        one_way = in_turn(owner, clients, first, second)
        values, sessions = in_turn(owner, clients[::-1], second, first)
        expected = [one_way, (values[::-1], sessions)]
        if level == "REPEATABLE READ":  # refused is as good as not called
            values, sessions = in_turn(owner, clients[:1], first)
            expected.append((values + ["40001"], sessions))
        assert at_once(owner, watcher, clients, first, second, "COMMIT") in expected, second
        (_, value), sessions = at_once(owner, watcher, clients, first, second, "ROLLBACK")
        assert ([value], sessions) == in_turn(owner, clients[1:], second), second
