"""Faults of the provider that this comes from (docs/moving-in.md), which must not come back."""

from concurrent.futures import wait

import pytest
from conftest import APP, THREADS, expires_in, one

ZONES = ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns", "Asia/Kathmandu"]
EXPIRY = "SELECT session_expiry FROM session WHERE session_key = sha256(%s::bytea)"


@pytest.fixture
def owner(database):
    return database.connect()


def in_zone(database, zone):
    connection = database.connect(APP)
    connection.execute("SELECT set_config('TimeZone', %s, false)", (zone,))
    return connection


@pytest.mark.parametrize("writer", ZONES)
def test_time_zones_do_not_matter(database, owner, writer):
    client = in_zone(database, writer)
    client.execute("SELECT session_create('{}', 'live', '10 min'), session_create('{}', 'ended', '10 min')")
    left = "SELECT bool_and(session_expiry - now() BETWEEN interval '9 min' AND interval '11 min') FROM session"
    assert one(owner, left)
    expires_in(owner, "ended", "-1 s")
    for zone in ZONES:
        reader = in_zone(database, zone)
        assert reader.execute("SELECT session_exist('live'), session_exist('ended')").fetchone() == (True, False)
        assert one(reader, "SELECT expires_at FROM session_load('live')") == one(owner, EXPIRY, "live")
    assert one(owner, "SELECT session_gc()") == 1
    assert one(owner, "SELECT session_all()") == 1


def test_a_deadline_is_an_instant_whatever_the_zone_of_the_client(database, owner):
    for zone in ZONES:
        client = in_zone(database, zone)
        client.execute("SELECT session_create('{}', %s, '0', '2100-01-01 12:00+00')", (zone,))
    assert one(owner, "SELECT array_agg(DISTINCT session_expiry = '2100-01-01 12:00+00') FROM session") == [True]


def test_session_expiry_is_the_expiry_and_not_the_last_access(owner):
    owner.execute("SELECT session_create('{}', 's', '10 min')")
    assert one(owner, EXPIRY.replace("session_expiry", "session_expiry > now() + interval '599 s'", 1), "s")
    expires_in(owner, "s", "1 min")
    owner.execute("SELECT session_get('s')")
    assert one(owner, EXPIRY.replace("session_expiry", "session_expiry > now() + interval '599 s'", 1), "s")


def test_no_reader_gets_an_expired_session_that_was_not_collected(owner):
    owner.execute("""SELECT session_create('{"a": 1}', 's')""")
    expires_in(owner, "s", "-1 us")
    reads = "SELECT session_get('s'), session_get('s', 'a'), session_exist('s'), session_touch('s'), session_all()"
    assert owner.execute(reads).fetchone() == (None, None, False, None, 0)
    assert one(owner, "SELECT count(*) FROM session_live") == 0
    assert one(owner, "SELECT session_read('s')") == {}


def test_requests_of_one_visitor_that_save_different_keys_both_count(database, owner):
    owner.execute("SELECT session_create('{}', 's')")
    first, second = database.connect(APP), database.connect(APP)
    first.execute("BEGIN; SELECT session_set('s', 'first', '1')")
    waiting = database.later(second, "SELECT session_set('s', 'second', '2')")
    first.execute("COMMIT")
    waiting.result()
    assert one(owner, "SELECT session_get('s')") == {"first": 1, "second": 2}


def test_of_requests_that_save_the_whole_map_at_a_version_the_second_is_told(database, owner):
    owner.execute("SELECT session_create('{}', 's')")
    version = one(owner, "SELECT version FROM session_load('s')")
    first, second = database.connect(APP), database.connect(APP)
    first.execute("BEGIN")
    assert one(first, """SELECT session_release('s', '{"first": 1}', %s)""", version) == version + 1
    waiting = database.later(second, f"""SELECT session_release('s', '{{"second": 2}}', {version})""")
    first.execute("COMMIT")
    assert waiting.result() is None
    assert one(owner, "SELECT session_get('s')") == {"first": 1}


def test_regenerate_never_swallows_another_session(database, owner):
    owner.execute("""SELECT session_create('{"mine": 1}', 'mine'), session_create('{"theirs": 1}', 'theirs')""")
    client = database.connect(APP)
    with pytest.raises(Exception, match="a live session with this id exists"):
        client.execute("SELECT session_regenerate('mine', 'theirs')")
    both = owner.execute("SELECT session_get('mine'), session_get('theirs')").fetchone()
    assert both == ({"mine": 1}, {"theirs": 1})


def test_a_rolled_back_regenerate_leaves_the_session_where_it_was(database, owner):
    owner.execute("""SELECT session_create('{"a": 1}', 'old')""")
    client = database.connect(APP)
    client.execute("BEGIN; SELECT session_regenerate('old', 'new'); ROLLBACK")
    assert client.execute("SELECT session_get('old'), session_get('new')").fetchone() == ({"a": 1}, None)


def test_a_late_save_never_resurrects_a_session_that_was_destroyed_while_it_waited(database, owner):
    owner.execute("SELECT session_create('{}', 's')")
    logout, late = database.connect(APP), database.connect(APP)
    logout.execute("BEGIN; SELECT session_destroy('s')")
    save = database.later(late, """SELECT session_release('s', '{"late": 1}')""")
    logout.execute("COMMIT")
    assert save.result() is None
    assert one(owner, "SELECT count(*) FROM session") == 0


def test_collecting_uses_the_index_takes_what_it_is_told_and_waits_for_nobody(database, owner):
    owner.execute("SELECT session_create('{}', 's' || n) FROM generate_series(1, 100) n")
    owner.execute("UPDATE session SET session_expiry = now() - interval '1 s'")
    locker = database.connect()
    locker.execute("BEGIN; SELECT FROM session WHERE session_key = sha256('s1') FOR KEY SHARE")
    assert database.promptly(owner, "SELECT session_gc(10)") == 10
    assert database.promptly(owner, "SELECT session_gc()") == 89
    locker.execute("COMMIT")
    assert database.promptly(owner, "SELECT session_gc()") == 1
    definition = "SELECT indexdef FROM pg_indexes WHERE tablename = 'session' AND indexname = 'session_expiry'"
    assert "(session_expiry)" in one(owner, definition)


def test_collectors_at_once_share_the_work_without_error(database, owner):
    owner.execute("SELECT session_create() FROM generate_series(1, 2000)")
    owner.execute("UPDATE session SET session_expiry = now() - interval '1 s'")
    collectors = [database.connect() for _ in range(4)]
    running = [THREADS.submit(one, collector, "SELECT session_gc()") for collector in collectors]
    wait(running)
    assert sum(collected.result() for collected in running) + one(owner, "SELECT session_gc()") == 2000
