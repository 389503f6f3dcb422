"""The first save of a session: by version 0 or by get-or-create, one of many at once creates it."""

import time

import pytest
from calls import create_due, has_slid
from conftest import APP, THREADS, expires_in, one

SAVES = {
    "release": "session_release('s', jsonb_build_object('by', %s::int), 0)",
    "save": "session_save('s', json_build_object('by', %s::int), 0)",
    "release_raw": "session_release_raw('s', %s::text::bytea, 0)",
}
READS = {
    "read": "session_read('s')::text",
    "read_raw": "version::text FROM session_read_raw('s')",
}


def at_once(clients, call):
    """What each client gets from its call."""
    calls = [THREADS.submit(call, client, number) for number, client in enumerate(clients)]
    return [call.result(timeout=30) for call in calls]


@pytest.mark.parametrize("call", SAVES.values(), ids=SAVES)
def test_of_ten_that_save_a_new_session_at_once_one_does(database, call):
    clients = [database.connect(APP) for _ in range(10)]
    with database.connect() as owner:
        for _ in range(20):
            versions = at_once(clients, lambda client, number: one(client, f"SELECT {call}", number))
            winner = [(number, version) for number, version in enumerate(versions) if version]
            assert len(winner) == 1
            payload = None if call is SAVES["release_raw"] else {"by": winner[0][0]}
            data, raw, version = owner.execute("SELECT data, payload, version FROM session_load('s')").fetchone()
            assert (data, version) == (payload, winner[0][1])
            assert payload or raw == str(winner[0][0]).encode()
            owner.execute("SELECT session_destroy('s')")


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_of_sixteen_first_visits_under_one_id_all_get_one_session(database, call):
    clients = [database.connect(APP) for _ in range(16)]
    with database.connect() as owner:
        for _ in range(20):
            assert len(set(at_once(clients, lambda client, _: one(client, f"SELECT {call}")))) == 1
            assert one(owner, "SELECT count(*) FROM session") == 1
            owner.execute("SELECT session_destroy('s')")


@pytest.mark.parametrize("call", SAVES.values(), ids=SAVES)
def test_at_version_0_a_live_session_is_left_alone(database, call):
    client = database.connect(APP)
    client.execute("SELECT session_create('{\"k\": 1}', 's')")
    before = one(client, "SELECT version FROM session_fetch('s')")
    assert one(client, f"SELECT {call}", 7) is None
    assert client.execute("SELECT data, version FROM session_fetch('s')").fetchone() == ({"k": 1}, before)


@pytest.mark.parametrize("call", SAVES.values(), ids=SAVES)
def test_at_version_0_an_expired_session_is_none_and_leaves_nothing_behind(database, call):
    owner = database.connect()
    owner.execute("SELECT session_create('{\"k\": 1}', 's', '2 h', '2100-01-01')")
    before = one(owner, "SELECT version FROM session_fetch('s')")
    expires_in(owner, "s", "-1 s")
    assert one(owner, f"SELECT {call}", 7) > before
    life = "SELECT lifetime = '1 h', deadline, created_at > now() - interval '1 min' FROM session_load('s')"
    assert owner.execute(life).fetchone() == (True, None, True)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("call", SAVES.values(), ids=SAVES)
def test_a_first_save_waits_for_one_that_is_under_way(database, call, end):
    first, second = database.connect(APP), database.connect(APP)
    first.execute("BEGIN")
    assert one(first, f"SELECT {call}", 1)
    waiting = database.later(second, f"SELECT {call}", 2)
    first.execute(end)
    assert bool(waiting.result()) == (end == "ROLLBACK")


def test_the_next_save_is_at_the_version_of_the_first(database):
    client = database.connect(APP)
    version = 0
    for number in range(3):
        before, version = version, one(client, "SELECT session_release('s', to_jsonb(%s::json), %s)", f'{{"n": {number}}}', version)
        assert version > before
    assert one(client, "SELECT session_get('s', 'n')") == 2


def test_a_life_given_with_the_first_save_is_the_sessions(database):
    client = database.connect(APP)
    calls = [
        "session_release('s0', '{}', 0, '2 h', '2100-01-01')", "session_release_raw('s1', 'raw', 0, '2 h', '2100-01-01')",
        "session_read('s2', '2 h', '2100-01-01')", "session_read_raw('s3', '2 h', '2100-01-01')",
    ]  # fmt: skip
    client.execute(f"SELECT {', '.join(calls)}")
    lives = "SELECT lifetime::text, extract(year FROM deadline) FROM generate_series(0, 3) n, session_load('s' || n)"
    assert set(client.execute(lives)) == {("02:00:00", 2100)}


def test_get_or_create_changes_the_life_of_a_session_that_is_there_only_if_one_is_given(database):
    client = database.connect(APP)
    client.execute("SELECT session_create('{}', 'map', '2 h'), session_create_raw('raw', 'raw', '2 h')")
    life = "SELECT lifetime::text FROM session_load(%s)"
    for sid, read in ("map", "session_read"), ("raw", "session_read_raw"):
        client.execute(f"SELECT {read}(%s)", (sid,))
        assert one(client, life, sid) == "02:00:00"
        client.execute(f"SELECT {read}(%s, '3 h')", (sid,))
        assert one(client, life, sid) == "03:00:00"


def test_an_opaque_session_is_begun_with_nothing_and_found_with_what_was_saved(database):
    client = database.connect(APP)
    payload, version = client.execute("SELECT * FROM session_read_raw('s')").fetchone()
    assert payload == b""
    saved = one(client, "SELECT session_release_raw('s', 'raw', %s)", version)
    assert client.execute("SELECT * FROM session_read_raw('s')").fetchone() == (b"raw", saved)
    sid, data, started, is_new, payload = client.execute("SELECT * FROM session_start('s')").fetchone()
    assert (sid, data, started, is_new, payload) == ("s", None, saved, False, b"raw")
    assert client.execute("SELECT data, payload FROM session_start()").fetchone() == ({}, None)


PAST = "now() - interval '1 day'"


@pytest.mark.parametrize("call", [
    f"session_read('s', deadline => {PAST})", f"payload FROM session_read_raw('s', deadline => {PAST})",
    "session_read('s', '0', statement_timestamp())", f"session_save('s', '{{}}', 0, NULL, {PAST}) > 0",
])  # fmt: skip
def test_a_session_that_begins_after_its_deadline_is_absent_at_once(database, call):
    client = database.connect(APP)
    assert one(client, f"SELECT {call}") in ({}, b"", True)
    assert not one(client, "SELECT session_exist('s')")


LATER = {
    "session_save('s', '{\"b\": 1}', 0) > 0": True,
    "session_create('{\"b\": 1}', 's')": "s",
    "session_read('s')": {},
    "session_read('s', '2 h')": {},
}


@pytest.mark.parametrize("call", LATER)
def test_what_ended_while_a_first_save_waited_for_it_is_none(database, call):
    first, second = database.connect(APP), database.connect(APP)
    first.execute("BEGIN")
    first.execute("SELECT session_save('s', '{\"a\": 1}', 0, '0', clock_timestamp() + interval '1 s')")
    waiting = database.later(second, f"SELECT {call}")
    time.sleep(1.1)
    first.execute("COMMIT")
    assert waiting.result() == LATER[call]
    assert one(second, "SELECT session_exist('s')")


@pytest.mark.parametrize("call", SAVES.values(), ids=SAVES)
def test_at_version_0_a_live_session_is_kept_alive(database, call):
    owner = database.connect()
    create_due(owner, "s")
    assert one(owner, f"SELECT {call}", 7) is None
    assert has_slid(owner, "s")
