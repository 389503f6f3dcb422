"""Whom sessions belong to: what binding changes and what it does not, and when they were seen last."""

import time

import pytest
from calls import outcome
from conftest import APP, expires_in, one
from principals import handle_of, live, login
from test_damaged import DOCUMENT, damaged

ROW = "SELECT principal, attributes, authenticated_at, handle FROM session WHERE session_key = sha256(%s::bytea)"


# When a session was used, and when it ends


def test_the_absolute_lifetime_counts_from_the_authentication(owner):
    def age(column, hours):
        owner.execute(f"UPDATE session SET {column} = now() - make_interval(mins => (%s * 60)::int)", (hours,))

    owner.execute("SELECT session_create('{}', 's', '0')")
    owner.execute("SET session_store.absolute_lifetime = '8h'")
    age("created_at", 7.9)
    assert one(owner, "SELECT expires_at = created_at + '8 h'::interval FROM session_load('s')")
    owner.execute("SELECT session_login('s', 'ada', sid => 'n')")
    by_authentication = "SELECT expires_at = authenticated_at + '8 h'::interval FROM session_load('n')"
    assert one(owner, by_authentication)
    age("created_at", 20)
    assert one(owner, by_authentication)
    # The same principal's bind is no authentication; another login, or another principal, is.
    age("authenticated_at", 7)
    for call, hours in ("session_bind('n', 'ada')", 1), ("session_set('n', 'k', '1')", 1), ("session_touch('n', '2 days')", 1):
        owner.execute("SELECT " + call)
        left = one(owner, "SELECT extract(epoch FROM expires_at - now()) / 3600 FROM session_load('n')")
        assert hours - 0.01 < left <= hours
    owner.execute("SELECT session_bind('n', 'eve')")
    assert one(owner, by_authentication)
    age("authenticated_at", 7)
    owner.execute("SELECT session_login('n', 'eve', sid => 'm'), session_regenerate('m', 'n', '1 min')")
    assert one(owner, by_authentication)
    age("authenticated_at", 8.1)
    assert live(owner, "n", "m") == []
    assert one(owner, "SELECT count(*) FROM session_find('eve')") == 0
    assert one(owner, "SELECT count(*) FROM session_revoke_all('eve')") == 0
    assert one(owner, "SELECT count(*) FROM session") == 0


SEEN_AGO = "SELECT extract(epoch FROM clock_timestamp() - last_seen) FROM session_devices('own') WHERE handle = %s"


@pytest.mark.parametrize("call", ["session_get('s')", "session_set('s', 'k', '1')", "session_touch('s')", "session_regenerate('s', 'n')"])
def test_use_moves_when_a_session_was_seen_last(owner, client, call):
    login(client, "ada", "own", "s")
    handle = handle_of(client, "s")
    expires_in(owner, "s", "50 min")
    assert 600 <= one(client, SEEN_AGO, handle) < 605
    assert one(client, "SELECT session_exist('s')")
    assert one(client, SEEN_AGO, handle) >= 600
    client.execute("SELECT " + call)
    assert 0 <= one(client, SEEN_AGO, handle) < 5


def test_within_a_step_use_writes_nothing_and_nobody_was_seen_in_the_future(owner, client):
    login(client, "ada", "own", "s")
    handle, row = handle_of(client, "s"), "SELECT ctid, xmin::text FROM session WHERE session_key = sha256('s')"
    expires_in(owner, "s", "1 h 70 s")  # beyond the step in which this test may end
    before = owner.execute(row).fetchone()
    for _ in range(5):
        assert one(client, "SELECT session_get('s')") == {}
        assert 0 <= one(client, SEEN_AGO, handle) < 5
        assert one(client, "SELECT last_seen <= statement_timestamp() FROM session_find('ada') WHERE handle = %s", handle)
    assert owner.execute(row).fetchone() == before


@pytest.mark.parametrize("life", ["lifetime => '0'", "deadline => now() + '10 min'", "'0', now() + '10 min'"])
def test_where_use_does_not_move_the_end_nobody_knows_when_it_was(client, life):
    client.execute(f"SELECT session_touch(session_login(NULL, 'ada', sid => 's'), {life})")
    for sessions in "session_devices('s')", "session_find('ada')":
        assert client.execute(f"SELECT last_seen FROM {sessions}").fetchall() == [(None,)]


def test_where_an_absolute_lifetime_caps_the_end_nobody_knows_when_it_was(owner):
    owner.execute("SET session_store.absolute_lifetime = '30 min'")
    login(owner, "ada", "s")
    assert owner.execute("SELECT last_seen FROM session_devices('s')").fetchall() == [(None,)]


# A change of principal takes nothing along

BEGINNING = [
    "session_create('{}', 's')", "session_create_raw('raw', 's')", "session_save('s', '{}', 0)", "session_release('s', '{}', 0)",
    "session_release_raw('s', 'raw', 0)", "session_put('s', '{}')", "session_put_raw('s', 'raw')", "session_read('s')",
    "session_read_raw('s')", "session_regenerate('unknown', 's')", "session_regenerate('another', 's')",
]  # fmt: skip


@pytest.mark.parametrize("call", BEGINNING)
def test_a_session_that_begins_in_an_expired_row_is_nobodys(owner, client, call):
    client.execute("SELECT session_login(NULL, 'ada', '{\"a\": 1}', 's'), session_create('{}', 'another')")
    expires_in(owner, "s", "0")
    client.execute("SELECT " + call)
    assert owner.execute(ROW, ("s",)).fetchone() == (None, None, None, None)
    assert one(client, "SELECT count(*) FROM session_revoke_all('ada')") == 0
    assert live(client, "s") == ["s"]


def test_one_that_starts_under_an_expired_id_has_another_and_is_nobodys(owner, client):
    client.execute("SELECT session_login(NULL, 'ada', '{\"a\": 1}', 's')")
    expires_in(owner, "s", "0")
    sid = one(client, "SELECT sid FROM session_start('s')")
    assert owner.execute(ROW, (sid,)).fetchone() == (None, None, None, None)


@pytest.mark.parametrize("call", ["session_login(NULL, 'eve', sid => 's')", "session_login('s', 'eve', sid => 'n')"])
def test_a_login_into_an_expired_row_or_from_one_takes_nothing_along(owner, client, call):
    client.execute("SELECT session_login(NULL, 'ada', '{\"a\": 1}', 's'), session_set('s', 'k', '1')")
    before = owner.execute(ROW, ("s",)).fetchone()
    expires_in(owner, "s", "0")
    sid = one(client, "SELECT " + call)
    principal, attributes, authenticated_at, handle = owner.execute(ROW, (sid,)).fetchone()
    assert (principal, attributes) == ("eve", None)
    assert authenticated_at > before[2] and handle not in (None, before[3])
    assert one(client, "SELECT session_get(%s)", sid) == {}
    assert one(owner, "SELECT authenticated_at = created_at FROM session_load(%s)", sid)


@pytest.mark.parametrize("call", [
    "session_put('s', '{\"k\": 2}')", "session_put_raw('s', 'raw')", "session_put('s', '{}', '2 h')", "session_save('s', '{}')",
    "session_read('s', '2 h')", "session_flush('s')", "session_release_raw('s', 'raw')", "session_touch('s', '2 h')",
])  # fmt: skip
def test_a_write_to_a_live_session_keeps_whom_it_belongs_to(owner, client, call):
    client.execute("SELECT session_login(NULL, 'ada', '{\"a\": 1}', 's'), session_set('s', 'k', '1')")
    before = owner.execute(ROW, ("s",)).fetchone()
    client.execute("SELECT " + call)
    assert owner.execute(ROW, ("s",)).fetchone() == before


def test_attributes_are_what_the_call_gives(client):
    attributes = "SELECT attributes FROM session_load(%s)"
    client.execute("SELECT session_login(NULL, 'ada', '{\"a\": 1}', 's')")
    for call, sid, left in [
        ("session_regenerate('s', 't')", "t", {"a": 1}), ("session_login('t', 'ada', sid => 's')", "s", None),
        ("session_bind('s', 'ada', '{\"b\": 1}')", "s", {"b": 1}), ("session_bind('s', 'ada')", "s", None),
        ("session_login('s', 'eve', '{\"c\": 1}', 't')", "t", {"c": 1}), ("session_bind('t', 'ada')", "t", None),
        ("session_bind('t', 'ada', '{}')", "t", {}), ("session_bind('t', NULL, '{\"d\": 1}')", "t", None),
    ]:  # fmt: skip
        client.execute("SELECT " + call)
        assert one(client, attributes, sid) == left, call


@pytest.mark.parametrize("binding", ["session_bind('three', 'ada')", "session_login('three', 'ada', sid => 'four')"])
@pytest.mark.parametrize("grace", ["0", "1 min"])
@pytest.mark.parametrize("back_to", ["one", "two", "three"])
def test_an_id_from_before_a_bind_stays_dead_also_when_the_session_is_nobodys_and_gets_it_back(client, binding, grace, back_to):
    client.execute("SELECT session_create('{}', 'one')")
    for old, new in ("one", "two"), ("two", "three"):
        client.execute("SELECT session_regenerate(%s, %s, '5 min')", (old, new))
    assert live(client, "one", "two", "three") == ["one", "two", "three"]
    client.execute("SELECT " + binding)
    at = "three" if "bind" in binding else "four"
    assert live(client, "one", "two", "three", "four") == [at]
    client.execute("SELECT session_bind(%s, NULL)", (at,))
    assert live(client, "one", "two", "three", "four") == [at]
    if back_to != at:
        client.execute("SELECT session_regenerate(%s, %s, %s)", (at, back_to, grace))
        dead = {"one", "two", "three", "four"} - {back_to} - ({at} if grace != "0" else set())
        assert live(client, *dead) == []
        client.execute("SELECT session_regenerate(%s, 'five', %s)", (back_to, grace))
        assert live(client, *dead) == []


# However many and whatever they hold


def test_damaged_content_keeps_nobody_from_seeing_and_ending_sessions(owner, client):
    client.execute("SELECT session_login(NULL, 'ada', sid => 's')")
    owner.execute("SELECT session_save('s', %s)", (DOCUMENT,))
    stored = one(owner, "SELECT session_data FROM session")
    rows = [bytes_ for bytes_, _ in damaged(stored)][:: 5]
    owner.execute("SELECT session_login(NULL, 'ada', sid => 's' || n) FROM generate_series(1, %s) AS n", (len(rows),))
    with owner.cursor() as cursor:
        change = "UPDATE session SET session_data = %s WHERE session_key = sha256(('s' || %s)::bytea)"
        cursor.executemany(change, [(row, str(number)) for number, row in enumerate(rows, 1)])
    client.execute("""SELECT session_save('s', '{"k": "a\\u0000b"}')""")
    found = client.execute("SELECT data, payload FROM session_find('ada')").fetchall()
    assert len(found) == len(rows) + 1 > 100
    assert sum(row == (None, None) for row in found) > 50
    assert one(client, "SELECT count(*) FROM session_devices('s')") == len(found)
    assert one(client, "SELECT count(*) FROM session_devices('s1')") == len(found)
    assert one(client, "SELECT data IS NULL AND payload IS NULL FROM session_find('ada') WHERE handle = %s", handle_of(client, "s"))
    # Another principal finds nothing of it.
    assert one(client, "SELECT session_bind('s', 'eve')") and one(client, "SELECT session_get('s')") == {}
    assert one(client, "SELECT session_bind('s1', 'eve')") and one(client, "SELECT session_get('s1')") == {}
    assert one(client, "SELECT session_revoke('s2', %s)", handle_of(client, "s3"))
    assert one(client, "SELECT count(*) FROM session_revoke_others('s2')") == len(found) - 4
    assert one(client, "SELECT count(*) FROM session_revoke_all('ada')") == 1


def test_2_000_sessions_of_one_principal_end_in_one_call(client):
    client.execute("SELECT session_login(NULL, 'ada', sid => 's' || n) FROM generate_series(1, 2000) AS n")
    login(client, "eve", "e")
    handles = {handle for (handle,) in client.execute("SELECT handle FROM session_devices('s1')")}
    others = {handle for (handle,) in client.execute("SELECT session_revoke_others('s7')")}
    assert len(handles) == 2000 and handles - others == {handle_of(client, "s7")}
    client.execute("SELECT session_login(NULL, 'ada') FROM generate_series(1, 1999) AS n")
    handles = {handle for (handle,) in client.execute("SELECT handle FROM session_find('ada')")}
    assert len(handles) == 2000
    assert {handle for (handle,) in client.execute("SELECT session_revoke_all('ada')")} == handles
    assert one(client, "SELECT session_all()") == 1


def test_among_others_and_wherever_changes_have_moved_them_all_of_a_principal_end(client):
    client.execute(
        "SELECT session_login(NULL, (ARRAY['ada', 'eve', 'bob'])[n % 3 + 1], sid => 's' || n) FROM generate_series(1, 3000) AS n"
    )
    client.execute("SELECT session_set('s' || n, 'a', to_jsonb(repeat('x', n % 900))) FROM generate_series(1, 3000, 2) AS n")
    client.execute("SELECT session_regenerate('s' || n, 't' || n) FROM generate_series(1, 3000, 5) AS n")
    client.execute("SELECT session_destroy('s' || n) FROM generate_series(2, 3000, 7) AS n")
    handles = {handle for (handle,) in client.execute("SELECT handle FROM session_find('ada')")}
    left = one(client, "SELECT session_all()") - len(handles)
    assert {handle for (handle,) in client.execute("SELECT session_revoke_all('ada')")} == handles
    assert one(client, "SELECT count(*) FROM session_find('ada')") == 0
    assert one(client, "SELECT session_all()") == left > 1500


INDEXES = {
    "none": "",
    "of the bytes, downwards": "CREATE INDEX ON session (principal DESC, created_at)",
    "with another order": 'CREATE INDEX ON session (principal COLLATE "POSIX")',
    "for patterns": "CREATE INDEX ON session (principal text_pattern_ops)",
    "of some": "CREATE INDEX ON session (principal) WHERE deadline IS NOT NULL",
    "of none": "CREATE INDEX ON session (principal) WHERE principal IS NULL",
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_whatever_index_there_is_all_sessions_end(owner, client, index):
    login(client, "ada", "a", "b", "c")
    login(client, "Ada", "d")
    client.execute("SELECT session_create('{}', 'e')")
    assert one(client, "SELECT count(*) FROM session_revoke_others('a')") == 2
    owner.execute(f"DROP INDEX session_principal; {index}")
    login(client, "ada", "b", "c")
    handle = handle_of(client, "b")
    assert one(client, "SELECT session_revoke('a', %s)", handle) is True
    assert sorted(client.execute("SELECT session_revoke_all('ada')").fetchall()) != []
    assert live(client, "a", "b", "c", "d", "e") == ["d", "e"]


def test_of_many_sessions_too_many_end_at_once_also_those_without_a_handle(owner, client):
    login(client, "ada", *[f"s{number}" for number in range(3000)])
    owner.execute("UPDATE session SET handle = NULL WHERE session_key < '\\x80'")
    began = time.monotonic()
    assert one(client, "SELECT session_login(NULL, 'ada', sid => 'last', max_sessions => 2)") == "last"
    assert time.monotonic() - began < 20  # one by one it would take minutes
    assert one(client, "SELECT count(*) FROM session_devices('last')") == 2


def test_a_principal_that_no_call_would_take_ends_like_any_other(owner, client):
    login(client, "ada", "a", "b")
    owner.execute("UPDATE session SET principal = repeat('x', 300)")
    assert one(client, "SELECT count(*) FROM session_revoke_others('a')") == 1
    assert live(client, "a", "b") == ["a"]


def test_a_device_shows_its_use_at_once_and_its_end_as_it_is(owner, client):
    login(client, "ada", "a")
    expires_in(owner, "a", "30 min")
    seen = "SELECT clock_timestamp() - last_seen < interval '3 min', expires_at FROM session_devices('a')"
    assert client.execute(seen).fetchone()[0] is True
    owner.execute("SET session_store.absolute_lifetime = '10 min'")
    capped = "SELECT d.expires_at = l.expires_at FROM session_devices('a') AS d, session_load('a', false) AS l"
    assert one(owner, capped) is True


def test_who_is_unbound_after_its_time_was_up_ends(owner, client):
    login(client, "ada", "a", "b")
    owner.execute("UPDATE session SET created_at = now() - interval '20 h'")
    owner.execute("SET session_store.absolute_lifetime = '8 h'")
    assert one(owner, "SELECT session_bind('a', NULL)") is False
    assert live(owner, "a", "b") == ["b"]
    assert one(owner, "SELECT session_expiry < now() FROM session WHERE principal IS NULL") is True


def test_the_grant_names_roles_and_schemas_of_any_name(bare_database):
    owner = bare_database.connect()
    owner.execute('CREATE SCHEMA "100 %s%%"; CREATE EXTENSION session_store SCHEMA "100 %s%%"; SET search_path = "100 %s%%"')
    owner.execute("CREATE FUNCTION session_login(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    owner.execute(f"SELECT session_store_grant('{APP}')")
    granted = "SELECT bool_and(has_function_privilege(%s, oid, 'EXECUTE')) FROM pg_proc WHERE proname IN ('session_login', 'session_clear')"
    assert one(owner, granted, APP) is True
    for role in "NULL", "0", "4294967295":
        assert outcome(owner.execute, f"SELECT session_store_grant({role})") == "42704"
