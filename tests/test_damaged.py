"""A stored session cut at every length, and with every byte changed: a valid answer or XX001, for that session alone.

A byte that becomes zero is valid text that jsonb cannot hold: 22P05. With --long a byte is changed to every other.
"""

import json
from contextlib import closing

import pytest
from conftest import APP, EXTENDED, LONG, one

DOCUMENT = """{"n": null, "t": true, "f": false, "s": "text", "": "é", "i": -300, "big": 12345678901234567890123456789,
    "d": 1.50, "a": [1, [], {}, "x"], "o": {"k": {"l": [0.001]}}}"""
BYTES = range(256) if LONG else (0x00, 0x17, 0x40, 0x5F, 0x7F, 0x80, 0x9F, 0xA1, 0xC2, 0xC4, 0xF7, 0xFB, 0xFF)

PREPARATION = """
    CREATE TABLE damaged (sid text, bytes bytea, is_cut boolean, decoded jsonb);
    GRANT SELECT ON damaged TO app;
    CREATE FUNCTION outcome(call text, sid text, OUT state text, OUT answer text) LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE 'SELECT ' || call USING sid INTO answer;
        state := '00000';
    EXCEPTION WHEN OTHERS THEN
        state := SQLSTATE;
    END $$
"""


def damaged(stored):
    for length in range(len(stored)):
        yield stored[:length], True
    for at, byte in enumerate(stored):
        for other in {*BYTES, byte ^ 0x01, byte ^ 0x20, byte ^ 0x80, (byte + 1) % 256} - {byte}:
            yield stored[:at] + bytes([other]) + stored[at + 1 :], False


@pytest.fixture(scope="module")
def damages(server):
    database = server.create_database(template=EXTENDED)
    owner = database.connect()
    owner.execute(PREPARATION)
    owner.execute("SELECT session_create(%s, 'whole')", (DOCUMENT,))
    stored = one(owner, "SELECT session_data FROM session")
    rows = [(f"s{n}", *damage) for n, damage in enumerate(damaged(stored))]
    assert len(rows) > 1000
    with owner.cursor() as cursor:
        cursor.executemany("INSERT INTO damaged VALUES (%s, %s, %s)", rows)
    owner.execute("UPDATE damaged SET decoded = session_decode(bytes)")
    owner.execute("SELECT session_create('{}', sid) FROM damaged")
    owner.execute("UPDATE session SET session_data = bytes FROM damaged WHERE session_key = sha256(sid::bytea)")
    yield database
    database.drop()


@pytest.fixture(params=[APP])
def client(damages, request):
    """In a transaction that leaves no trace. Afterwards the session that is whole is as it was."""
    with closing(damages.connect(request.param, autocommit=False)) as client:
        yield client
        assert one(client, "SELECT session_get('whole') = %s::jsonb", DOCUMENT)
        assert one(client, "SELECT session_set('whole', 'n', '1') > 0")


as_owner = pytest.mark.parametrize("client", ["owner"], indirect=True)


def each(client, call, then="NULL"):
    """What the call does to each session: id, whether it is sound or cut, SQLSTATE, answer, what is then to be seen."""
    query = "SELECT sid, decoded IS NOT NULL, is_cut, state, answer FROM damaged, outcome(%s, sid)"
    done = client.execute(query, (call,)).fetchall()
    later = dict(client.execute(f"SELECT sid, {then} FROM damaged").fetchall())
    return [(*row, later[row[0]]) for row in done]


@pytest.mark.parametrize("call", ["session_get($1)", "session_read($1)", "(session_load($1)).data"])
def test_reading_gives_what_is_there_or_xx001(client, call):
    states = set()
    for sid, is_sound, is_cut, state, answer, decoded in each(client, call, "decoded::text"):
        assert answer == decoded, sid
        assert state in ({"00000"} if is_sound else {"XX001"} if is_cut else {"XX001", "22P05"}), sid
        states.add(state)
    assert states == {"00000", "XX001", "22P05"}


@pytest.mark.parametrize("call", ["(session_fetch($1)).data", "(session_start($1)).data"])
def test_text_is_what_is_there_or_xx001(client, call):
    for sid, is_sound, is_cut, state, answer, decoded in each(client, call, "decoded"):
        assert state == ("00000" if is_sound else "XX001") or not is_cut and "\\u0000" in answer, sid
        assert not is_sound or json.loads(answer) == decoded, sid


@pytest.mark.parametrize("key", ["n", "d", "", "o", "absent"])
def test_reading_a_key_gives_its_value_or_xx001(client, key):
    expected = f"(decoded -> '{key}')::text"
    for sid, is_sound, is_cut, state, answer, value in each(client, f"session_get($1, '{key}')", expected):
        assert state == "XX001" or not is_cut and state in ("00000", "22P05"), sid
        if is_sound:
            assert (state, answer) == ("00000", value), sid


@pytest.mark.parametrize("call, key, value", [
    ("session_set($1, 'd', '1')", "d", "1"),
    ("session_set($1, 'absent', '1')", "absent", "1"),
    ("session_delete($1, 'd')", "d", None),
    ("session_merge($1, '{\"i\": 7}', '{n,d}')", "i", "7"),
])  # fmt: skip
def test_a_key_is_written_or_nothing_is(client, call, key, value):
    wrote = 0
    then = f"(outcome('session_get($1, ''{key}'')', sid)).answer"
    for sid, is_sound, is_cut, state, _, later in each(client, call, then):
        assert state == "XX001" and not is_sound or state == "00000" and not is_cut, sid
        if state == "00000":
            assert later == value, sid
            wrote += 1
    assert 100 < wrote


@pytest.mark.parametrize("call, then, expected", [
    ("session_destroy($1)", "session_exist(sid)::text", "false"),
    ("session_release($1, '{\"a\": 1}')", "session_get(sid)::text", '{"a": 1}'),
    ("session_put($1, '{\"a\": 1}')", "session_get(sid)::text", '{"a": 1}'),
    ("session_flush($1)", "session_get(sid)::text", "{}"),
    ("session_put_raw($1, '\\x07')", "encode((session_load(sid)).payload, 'hex')", "07"),
    ("session_touch($1, '1 day', 'infinity')", "session_exist(sid)::text", "true"),
    ("session_regenerate($1, 'new-' || $1)", "session_exist('new-' || sid)::text", "true"),
])  # fmt: skip
def test_what_needs_no_content_works(client, call, then, expected):
    for sid, _, _, state, _, later in each(client, call, then):
        assert (state, later) == ("00000", expected), sid


@as_owner
def test_the_view_shows_the_sound_ones_and_null_for_the_others(client):
    damaged, sound = client.execute("SELECT count(*) - count(decoded), count(decoded) FROM damaged").fetchone()
    assert damaged > 300 < sound
    rows = client.execute("SELECT count(*) - count(data), count(data) FROM session_live").fetchone()
    assert rows == (damaged, sound + 1)
    assert one(client, "SELECT session_all()") == damaged + sound + 1


@as_owner
def test_they_are_collected_when_they_expire(client):
    client.execute("UPDATE session SET session_expiry = '2000-01-01' WHERE session_key <> sha256('whole')")
    assert one(client, "SELECT count(*) FROM session_live") == 1
    assert one(client, "SELECT session_gc()") == one(client, "SELECT count(*) FROM damaged")
