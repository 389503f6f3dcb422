"""Ids that no session can have: absent wherever a session is looked up, refused only where one would begin under them.

So an adapter passes on whatever a browser sent.
"""

import asyncio

import asyncpg
import psycopg
import psycopg2
import pytest
from calls import outcome
from conftest import APP, EXTENDED, one

IDS = {
    "NULL": None,
    "empty": "",
    "too long": "x" * 257,
    "not ASCII": "naïve",
    "a blank that is not ASCII": "alice\u00a0",
    "an emoji": "😀",
    "a tab": "alice\t",
    "two lines": "alice\nbob",
    "a control character": "\x01",
    "DEL": "\x7f",
}
GENERATED = "a new id"

# What each call gives; the id stands for $1. The first two pages are for every id, the last for those that are given.
LOOKED_UP = {
    "session_exist($1)": False,
    "session_get($1)": None,
    "session_get($1, 'k')": None,
    "(SELECT count(*) FROM session_load($1))": 0,
    "(SELECT count(*) FROM session_load($1, false))": 0,
    "(SELECT count(*) FROM session_fetch($1))": 0,
    "(SELECT count(*) FROM session_fetch($1, false))": 0,
    "session_touch($1)": None,
    "session_touch($1, '1 h', 'infinity')": None,
    "session_set($1, 'k', '1')": "P0002",
    "session_merge($1, '{}')": "P0002",
    "session_merge($1, '{\"k\": 1}', '{l}', '1 h')": "P0002",
    "session_delete($1, 'k')": "P0002",
    "session_flush($1)": "P0002",
    "session_pop($1, 'k')": None,
    "session_release($1, '{}')": None,
    "session_release($1, '{}', 1)": None,
    "session_release_raw($1, 'raw')": None,
    "session_release_raw($1, 'raw', 1)": None,
    "session_save($1, '{}')": None,
    "session_save($1, '{}', 1)": None,
    "session_patch($1, '{}')": None,
    "session_patch($1, '{\"k\": 1}', '{l}', '1 h')": None,
    "session_destroy($1)": False,
    "session_login($1, 'ada', must_exist => true)": None,
    "session_login($1, 'ada', sid => 'other', must_exist => true)": None,
    "session_bind($1, 'ada')": False,
    "session_bind($1, NULL)": False,
    "(SELECT count(*) FROM session_devices($1))": 0,
    "session_revoke($1, '00000000-0000-4000-8000-000000000000')": False,
    "(SELECT count(*) FROM session_revoke_others($1))": 0,
    "(SELECT count(*) FROM session_revoke_all('ada', $1))": 0,
    "session_attach($1)": None,
    "session_regenerate($1, must_exist => true)": None,
    "session_regenerate($1, 'other', must_exist => true)": None,
    "session_regenerate($1, '', must_exist => true)": None,
}
STRICT = {
    "session_read($1)": None,
    "(SELECT count(*) FROM session_read_raw($1))": 0,
    "session_regenerate($1)": "P0002",
    "session_regenerate($1, 'other')": "P0002",
    "session_login($1, 'ada')": "P0002",
}
BEGUN = {
    "(SELECT sid FROM session_start($1))": GENERATED,
    "session_regenerate($1)": GENERATED,
    "session_regenerate($1, 'other')": "other",
    "session_login($1, 'ada')": GENERATED,
    "session_login($1, 'ada', sid => 'other')": "other",
}
REFUSED = dict.fromkeys(
    [
        "session_read($1)", "(SELECT count(*) FROM session_read_raw($1))", "session_put($1, '{}')",
        "session_put_raw($1, 'raw')", "session_release($1, '{}', 0)", "session_release_raw($1, 'raw', 0)",
        "session_save($1, '{}', 0)",
    ],
    "22023",
)  # fmt: skip
GIVEN = {
    "session_create('{}', $1)": "22023",
    "session_create_raw('raw', $1)": "22023",
    "session_regenerate('alice', $1)": "22023",
    "session_login('alice', 'ada', sid => $1)": "22023",
}
GENERATES = dict.fromkeys(GIVEN, GENERATED)

every_id = pytest.mark.parametrize("sid", IDS.values(), ids=IDS)


@pytest.fixture(scope="module")
def database(server):
    database = server.create_database(template=EXTENDED)
    yield database
    database.drop()


@pytest.fixture
def client(database):
    with database.connect() as owner:
        owner.execute(f"TRUNCATE session; SELECT session_store_grant('{APP}')")
        owner.execute("""SELECT session_create('{"k": 1}', 'alice')""")
    return database.connect(APP, cursor_factory=psycopg.RawCursor)


def answers(client, calls, sid):
    return {call: answer(client, call, sid) for call in calls}


def answer(client, call, sid):
    value = outcome(one_of, client, call, sid)
    return GENERATED if isinstance(value, str) and len(value) == 64 else value


def one_of(client, call, sid):
    # Undone, so that each call finds the same.
    with client.transaction(force_rollback=True):
        return client.execute(f"SELECT {call}", (sid,)).fetchone()[0]


@every_id
def test_it_is_absent_wherever_a_session_is_looked_up(client, sid):
    assert answers(client, LOOKED_UP, sid) == LOOKED_UP
    assert answers(client, BEGUN, sid) == BEGUN
    client.execute("SET session_store.strict = on")
    assert answers(client, LOOKED_UP, sid) == LOOKED_UP
    strict = STRICT if sid is not None else STRICT | {"session_login($1, 'ada')": GENERATED}  # nobody presented one
    assert answers(client, STRICT, sid) == strict


@every_id
def test_it_is_refused_where_a_session_would_begin_under_it(client, sid):
    given = GENERATES if sid is None else GIVEN
    assert answers(client, REFUSED, sid) == REFUSED
    assert answers(client, given, sid) == given


def test_after_all_that_there_is_what_there_was(database, client):
    for sid in IDS.values():
        for call in LOOKED_UP | REFUSED | GIVEN:
            if sid is not None or call not in GIVEN:
                outcome(client.execute, f"SELECT {call}", (sid,))
    with database.connect() as owner:
        assert one(owner, "SELECT count(*) FROM session") == 1
        assert one(owner, "SELECT session_get('alice')") == {"k": 1}


def test_every_function_that_takes_an_id_is_called(database):
    with database.connect() as owner:
        functions = {name for (name,) in owner.execute("""
            SELECT proname FROM pg_proc
            WHERE proname LIKE 'session%' AND proargnames && '{sid,oldsid,presented}' AND proargmodes IS NULL
                OR (proargnames[1:pronargs] && '{sid,oldsid,presented}' AND proname LIKE 'session%')""")}
    called = " ".join(LOOKED_UP | STRICT | BEGUN | REFUSED | GIVEN)
    assert [name for name in functions if f"{name}(" not in called] == []


def test_each_driver_may_pass_it_on(database, client):
    """As text and as binary, prepared and not, as a parameter and as a literal."""
    for sid in IDS.values():
        for options in {}, {"binary": True}, {"prepare": True}:
            assert client.execute("SELECT session_exist($1)", (sid,), **options).fetchone() == (False,)
    with psycopg2.connect(**database.address(APP)) as connection, connection.cursor() as cursor:
        for sid in IDS.values():
            cursor.execute("SELECT session_exist(%s)", (sid,))
            assert cursor.fetchone() == (False,)

    async def ask():
        address = database.address(APP) | {"database": database.name}
        connection = await asyncpg.connect(
            host=address["host"], port=address["port"], user=address["user"], database=database.name
        )
        found = [await connection.fetchval("SELECT session_exist($1)", sid) for sid in IDS.values()]
        await connection.close()
        return found

    assert asyncio.run(ask()) == [False] * len(IDS)


@pytest.mark.parametrize("bytes_, is_binary", [(b"\xff", 0), (b"\xff", 1), (b"a\0b", 1), (b"\xed\xa0\x80", 0)])
def test_what_is_no_text_is_refused_by_postgresql_itself(client, bytes_, is_binary):
    TEXT = 25
    result = client.pgconn.exec_params(b"SELECT session_exist($1)", [bytes_], [TEXT], [is_binary])
    assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"22021"
