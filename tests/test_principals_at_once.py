"""Calls on the sessions of one principal that meet: who waits for whom, and what each sees then."""

import time

import pytest
from calls import outcome
from conftest import APP, THREADS, expires_in, is_past, one, wait_until
from principals import LEVELS, begin, handle_of, live, login
from surroundings import SURROUNDINGS

KEEPING_A_SNAPSHOT = LEVELS[1:]
ADVISORY = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"


# Who waits for a renewal

ENDING = {
    "session_revoke('own', '{handle}')": True,
    "(SELECT count(*) FROM session_revoke_others('own'))": 1,
    "(SELECT count(*) FROM session_revoke_all('ada', 'own'))": 1,
    "(SELECT count(*) FROM session_revoke_all('ada'))": 2,
    "session_revoke_handle('{handle}')": True,
}
BY_ID = {"session_destroy('s')": True, "session_set('s', 'k', '2') > 0": True, "session_bind('s', 'eve')": True}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("grace", ["0", "1 min"])
@pytest.mark.parametrize("call", ENDING)
def test_who_ends_a_session_that_is_being_renewed_ends_the_renewed_one(database, client, other, call, grace, level):
    login(client, "ada", "own", "s")
    statement = "SELECT " + call.format(handle=handle_of(client, "s"))
    begin(other, level)
    client.execute(f"BEGIN; SELECT session_regenerate('s', 'n', '{grace}')")
    waiting = database.later(other, statement)
    client.execute("COMMIT")
    if level == "read committed":
        assert waiting.result(timeout=10) == ENDING[call]
        other.execute("COMMIT")
    else:
        assert outcome(waiting.result, 10) == "40001"
        assert live(client, "own", "n") == ["own", "n"]
        other.execute("ROLLBACK")
        assert one(other, statement) == ENDING[call]
    assert live(client, "own", "s", "n") == ["own"] * (call != "(SELECT count(*) FROM session_revoke_all('ada'))")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("call", BY_ID)
def test_who_waits_for_a_renewal_that_leaves_the_id_acts_on_the_renewed_one(database, client, other, call, level):
    login(client, "ada", "s")
    begin(other, level)
    client.execute("BEGIN; SELECT session_regenerate('s', 'n', '1 min')")
    waiting = database.later(other, "SELECT " + call)
    client.execute("COMMIT")
    if level == "read committed":
        assert waiting.result(timeout=10) == BY_ID[call]
        other.execute("COMMIT")
    else:
        assert outcome(waiting.result, 10) == "40001"
        assert live(client, "n") == ["n"]
        other.execute("ROLLBACK")
        assert one(other, "SELECT " + call) == BY_ID[call]
    if "destroy" in call:
        assert live(client, "s", "n") == []
    else:
        found = client.execute("SELECT principal, data FROM session_load('n')").fetchone()
        assert found == (("eve", {}) if "bind" in call else ("ada", {"k": 2}))
        assert live(client, "s", "n") == (["n"] if "bind" in call else ["s", "n"])


@pytest.mark.parametrize("call, result", {
    "session_login('s', 'ada', must_exist => true)": None,
    "session_bind('s', 'ada')": False,
    "(SELECT count(*) FROM session_revoke_all('ada'))": 1,
    "(SELECT count(*) FROM session_revoke_others('own'))": 0,
}.items())  # fmt: skip
def test_a_session_that_expires_while_others_of_its_principal_are_waited_for_has_ended(
    database, owner, client, other, call, result
):
    login(client, "ada", "own", "s")
    expires_in(owner, "s", "1 s")
    client.execute("BEGIN; SELECT session_bind('own', 'ada')")
    waiting = database.later(other, "SELECT " + call)
    wait_until(lambda: is_past(owner, "s"))
    client.execute("COMMIT")
    assert waiting.result(timeout=10) == result


@pytest.mark.parametrize("change", [
    "session_login(NULL, 'ada', sid => 'new')", "session_login('visit', 'ada', sid => 'new')", "session_bind('visit', 'ada')",
])  # fmt: skip
@pytest.mark.parametrize("call, left", {
    "session_revoke_others('own')": ["own"], "session_revoke_all('ada', 'own')": ["own"], "session_revoke_all('ada')": [],
}.items())  # fmt: skip
def test_who_ends_all_sessions_waits_for_those_that_are_being_bound(database, client, other, call, left, change):
    login(client, "ada", "own")
    client.execute(f"SELECT session_create('{{}}', 'visit'); BEGIN; SELECT {change}")
    waiting = database.later(other, "SELECT count(*) FROM " + call)
    client.execute("COMMIT")
    assert waiting.result(timeout=10) == 2 - len(left)
    assert one(client, "SELECT count(*) FROM session_find('ada')") == len(left)
    assert live(client, "own") == left


def test_the_others_are_those_of_whom_the_session_belongs_to_when_the_wait_is_over(database, client, other):
    login(client, "ada", "own", "a")
    login(client, "eve", "e")
    client.execute("BEGIN; SELECT session_bind('own', 'eve')")
    waiting = database.later(other, "SELECT count(*) FROM session_revoke_others('own')")
    client.execute("COMMIT")
    assert waiting.result(timeout=10) == 1
    assert live(client, "own", "a", "e") == ["own", "a"]


@pytest.mark.parametrize("call, sqlstate_or_value", {"session_destroy('s')": False, "session_set('s', 'k', '2')": "P0002"}.items())
def test_who_waits_for_a_login_has_nothing_after_it(database, client, other, call, sqlstate_or_value):
    client.execute("SELECT session_create('{}', 's')")
    client.execute("BEGIN; SELECT session_login('s', 'ada', sid => 'n')")
    waiting = database.later(other, "SELECT " + call)
    client.execute("COMMIT")
    assert outcome(waiting.result, 10) == sqlstate_or_value
    assert one(client, "SELECT session_get('n')") == {}


@pytest.mark.parametrize("direct", ["on", "off"])
def test_who_waits_by_an_id_from_before_a_bind_has_nothing_although_the_session_is_as_it_was_again(database, owner, client, direct):
    client.execute("SELECT session_create('{}', 's'), session_regenerate('s', 'n', '1 min')")
    owner.execute(f"ALTER DATABASE {database.name} SET session_store.direct = {direct}")
    other, third = database.connect(APP), database.connect(APP)
    client.execute("BEGIN; SELECT session_bind('n', 'ada')")
    unbinding = database.later(third, "SELECT session_bind('n', NULL)")
    waiting = database.later(other, "SELECT session_set('s', 'k', '1')")
    client.execute("COMMIT")
    assert unbinding.result(timeout=10)
    assert outcome(waiting.result, 10) == "P0002"
    assert one(client, "SELECT session_get('n')") == {}


@pytest.mark.parametrize("grace", ["0", "1 min"])
def test_a_login_that_waits_for_a_renewal_to_the_same_id_is_refused(database, client, other, grace):
    """Whoever has the id from the renewal must not have the session after the login."""
    client.execute("SELECT session_create('{}', 's')")
    client.execute(f"BEGIN; SELECT session_regenerate('s', 'n', '{grace}')")
    waiting = database.later(other, "SELECT session_login('s', 'ada', sid => 'n')")
    client.execute("COMMIT")
    assert outcome(waiting.result, 10) == "23505"
    assert one(client, "SELECT principal FROM session_load('n')") is None


def test_no_login_takes_an_id_that_has_just_come_into_grace(database, client, other):
    """Another's session, begun and renewed in a transaction that the login waits for."""
    client.execute("SELECT session_create('{}', 's')")
    client.execute("BEGIN; SELECT session_create('{}', 'n'), session_regenerate('n', 'm', '1 min')")
    waiting = database.later(other, "SELECT session_login('s', 'ada', sid => 'n')")
    client.execute("COMMIT")
    assert outcome(waiting.result, 10) == "23505"
    assert one(client, "SELECT principal FROM session_load('n')") is None
    assert live(client, "s", "n", "m") == ["s", "n", "m"]


@pytest.mark.parametrize("call", ["session_login('s', 'ada')", "session_regenerate('s')", "session_login('s', 'ada', sid => 'n')"])
def test_a_session_that_ends_while_its_move_waits_is_begun_anew(database, client, other, call):
    client.execute("SELECT session_create('{\"k\": 1}', 's', deadline => clock_timestamp() + '0.5 s')")
    client.execute("BEGIN; SELECT session_merge('s', '{}')")
    waiting = database.later(other, "SELECT " + call)
    time.sleep(0.6)
    client.execute("ROLLBACK")
    assert one(client, "SELECT session_get(%s)", waiting.result(10)) == {}


# At once


def test_20_000_principals_do_not_fill_the_lock_table(database, owner, client, other):
    assert one(owner, "SHOW max_locks_per_transaction") == "64"
    other.execute("SELECT session_create('{}', 'other')")
    numbers = "generate_series(1, 20000) AS n"
    for statement in [
        f"SELECT count(session_login(NULL, 'p' || n)) FROM {numbers}",
        f"SELECT count(*) FROM {numbers}, session_revoke_all('p' || n)",
        f"SELECT count(*) FROM {numbers}, session_create('{{}}', 's' || n) AS sid WHERE session_bind(sid, 'p' || n)",
    ]:
        client.execute("BEGIN")
        assert one(client, statement) == 20_000
        assert one(client, ADVISORY) <= 1024
        other.execute("BEGIN; SELECT session_set('other', 'k', '1'), session_create(), session_regenerate('other', 'new')")
        assert one(other, "SELECT count(pg_advisory_xact_lock(n)) FROM generate_series(1, 1000) AS n") == 1000
        other.execute("ROLLBACK")
        client.execute("COMMIT")
        assert one(client, ADVISORY) == 0


def test_as_many_sessions_as_may_be_are_left_of_ten_logins_at_once(database, owner):
    clients = [database.connect(APP) for _ in range(10)]
    for number in range(20):
        statement, most = "SELECT session_login(NULL, %s, max_sessions => %s)", 1 + number % 4
        logins = [THREADS.submit(one, client, statement, f"p{number}", most) for client in clients]
        sids = [future.result(timeout=20) for future in logins]
        assert len(live(owner, *sids)) == most
        latest = "SELECT array_agg(handle ORDER BY authenticated_at DESC) FROM (SELECT * FROM session_find(%s)) AS found"
        assert len(one(owner, latest, f"p{number}")) == most


def test_of_too_many_sessions_those_used_last_are_kept(owner, client):
    login(client, "ada", "a", "b", "c", "d")
    for sid, left in ("a", "50 min"), ("b", "20 min"), ("c", "40 min"), ("d", "30 min"):
        expires_in(owner, sid, left)
    assert one(client, "SELECT session_get('b')") == {}
    assert one(client, "SELECT session_login(NULL, 'ada', sid => 'e', max_sessions => 3)") == "e"
    assert live(client, *"abcde") == ["a", "b", "e"]


def test_of_those_used_within_one_step_the_ones_authenticated_last_are_kept(client):
    login(client, "ada", *"abcdefgh")
    client.execute("SELECT session_set('b', 'k', '1'), session_set('d', 'k', '1')")  # rows move in the table
    assert one(client, "SELECT session_login(NULL, 'ada', sid => 'z', max_sessions => 4)") == "z"
    assert live(client, *"abcdefghz") == ["f", "g", "h", "z"]


@pytest.mark.parametrize("life", ["lifetime => '0'", "deadline => now() + '10 min'"])
def test_where_use_leaves_no_trace_those_authenticated_last_are_kept(owner, client, life):
    for sid in "abcd":
        client.execute(f"SELECT session_login(NULL, 'ada', sid => %s, {life})", (sid,))
    for sid, ago in ("a", "1 min"), ("b", "3 min"), ("c", "2 min"), ("d", "4 min"):
        owner.execute("UPDATE session SET authenticated_at = now() - %s::interval WHERE session_key = sha256(%s::bytea)", (ago, sid))
    client.execute("SELECT session_get('d'), session_get('b')")
    assert one(client, "SELECT session_login(NULL, 'ada', sid => 'e', max_sessions => 3)") == "e"
    assert live(client, *"abcde") == ["a", "c", "e"]


# Who does not wait


def test_no_handle_of_ones_own_is_waited_for(database, owner, client, other):
    login(client, "ada", "a", "b")
    login(client, "eve", "e")
    handle, own = handle_of(client, "a"), handle_of(client, "e")
    holder = database.connect(APP)
    holder.execute("BEGIN; SELECT session_bind('b', 'ada', '{}'), session_merge('a', '{}'), session_login('e', 'eve', sid => 'f')")
    for call, value in {
        f"session_revoke('e', '{handle}')": False, "session_revoke('a', 'no handle')": False, "session_revoke('a', '')": False,
        f"session_revoke('a', '{handle}x')": False, f"session_revoke('a', '{own}')": False, "session_revoke('a', NULL)": False,
        f"session_revoke('nobody', '{handle}')": False, "session_revoke('a', '00000000-0000-4000-8000-000000000000')": False,
        "(SELECT count(*) FROM session_devices('a'))": 2, "(SELECT count(*) FROM session_find('ada'))": 2,
        "(SELECT count(*) FROM session_find('eve'))": 1, "(SELECT count(*) FROM session_devices('e'))": 1,
    }.items():  # fmt: skip
        other.execute("BEGIN")
        assert database.promptly(other, "SELECT " + call) is value or value, call
        assert one(other, ADVISORY) == 0
        other.execute("COMMIT")


def test_one_session_is_revoked_without_an_advisory_lock(database, client, other):
    login(client, "ada", "a", "b")
    login(client, "eve", "e")
    handle = handle_of(client, "b")
    other.execute("BEGIN; SELECT session_login(NULL, 'ada', sid => 'c')")
    client.execute("BEGIN")
    assert database.promptly(client, "SELECT session_revoke('a', %s)", handle)
    assert one(client, ADVISORY) == 0
    client.execute("COMMIT")
    assert live(client, "a", "b") == ["a"]


# What was committed after a snapshot

AFTER_A_SNAPSHOT = {
    "(SELECT count(*) FROM session_revoke_all('ada{n}'))": 2,
    "(SELECT count(*) FROM session_revoke_all('ada{n}', 'own{n}'))": 1,
    "(SELECT count(*) FROM session_revoke_others('own{n}'))": 1,
    "session_revoke('own{n}', '{handle}')": True,
    "session_revoke_handle('{handle}')": True,
    "session_login('own{n}', 'ada{n}', sid => 'next{n}', max_sessions => 1)": "next{n}",
}
# Before it there are sessions of ada (early), of eve (hers) and of nobody (visit).
CHANGES = [
    "session_login(NULL, 'ada{n}', sid => 'late{n}')", "session_login('visit{n}', 'ada{n}', sid => 'late{n}')",
    "session_bind(session_create('{{}}', 'late{n}'), 'ada{n}')", "session_regenerate('early{n}', 'late{n}')",
    "session_regenerate('early{n}', 'late{n}', '1 min')", "session_login('early{n}', 'ada{n}', sid => 'late{n}')",
    "session_bind(session_regenerate('hers{n}', 'late{n}'), 'ada{n}')",
]  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("call", AFTER_A_SNAPSHOT)
def test_what_was_committed_after_the_snapshot_is_ended_or_refused(client, other, call, level):
    for n, change in enumerate(CHANGES):
        login(client, f"ada{n}", f"own{n}")
        client.execute(f"SELECT session_create('{{}}', 'visit{n}')")
        if "early" in change:
            login(client, f"ada{n}", f"early{n}")
        login(client, f"eve{n}", f"hers{n}")
        begin(other, level)
        client.execute("SELECT " + change.format(n=n))
        value = outcome(one, other, "SELECT " + call.format(n=n, handle=handle_of(client, f"late{n}")))
        if value == "40001":
            assert level in KEEPING_A_SNAPSHOT
            other.execute("ROLLBACK")
            assert live(client, f"late{n}"), change
        else:
            assert value == (f"next{n}" if "login" in call else AFTER_A_SNAPSHOT[call]), change
            other.execute("COMMIT")
            assert live(client, f"late{n}", f"early{n}") == [], change
            assert len(live(client, f"own{n}", f"next{n}")) == (AFTER_A_SNAPSHOT[call] != 2)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("change", ["session_login('s', 'ada', sid => 'own')", "session_regenerate('s', 'own', '1 min')"])
def test_the_session_that_is_to_be_kept_is_kept_or_the_call_refused(client, other, change, level):
    login(client, "ada", "s")
    begin(other, level)
    client.execute("SELECT " + change)
    value = outcome(one, other, "SELECT count(*) FROM session_revoke_all('ada', 'own')")
    assert value == (0 if level == "read committed" else "40001")
    other.execute("ROLLBACK")
    assert live(client, "own") == ["own"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("change", ["session_login(NULL, 'ada', sid => 'own')", "session_regenerate('s', 'own', '1 min')"])
@pytest.mark.parametrize("call", ["session_revoke('own', '{handle}')", "(SELECT count(*) FROM session_revoke_others('own'))"])
def test_who_asks_by_a_session_that_is_newer_than_the_snapshot_is_heard_or_refused(client, other, call, change, level):
    login(client, "ada", "s", "t")
    begin(other, level)
    client.execute("SELECT " + change)
    value = outcome(one, other, "SELECT " + call.format(handle=handle_of(client, "t")))
    other.execute("COMMIT" if value != "40001" else "ROLLBACK")
    assert live(client, "own", "t") == ["own"] if value != "40001" else level in KEEPING_A_SNAPSHOT
    assert value in (True, 1 if "regenerate" in change else 2, "40001")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("call", ["session_revoke('own', '{handle}')", "(SELECT count(*) FROM session_revoke_others('own'))"])
def test_who_asks_by_a_session_that_was_ended_after_the_snapshot_is_nobody(client, other, call, level):
    login(client, "ada", "own", "t")
    begin(other, level)
    client.execute("SELECT session_destroy('own')")
    value = outcome(one, other, "SELECT " + call.format(handle=handle_of(client, "t")))
    other.execute("ROLLBACK" if value == "40001" else "COMMIT")
    assert value in (False, 0) or value == "40001" and level in KEEPING_A_SNAPSHOT
    assert live(client, "t") == ["t"]


@pytest.mark.parametrize("level", KEEPING_A_SNAPSHOT)
def test_a_login_after_a_snapshot_without_what_was_ended_is_refused_or_begins_anew(client, other, level):
    client.execute("SELECT session_create('{\"cart\": 1}', 's')")
    begin(other, level)
    client.execute("SELECT session_bind('s', 'ada'); SELECT session_revoke_all('ada')")
    assert outcome(one, other, "SELECT session_login('s', 'ada', sid => 'n')") == "40001"
    other.execute("ROLLBACK")
    assert live(client, "s", "n") == []


# Tables that people have changed


@pytest.mark.parametrize("call", ["session_regenerate('s', 'n')", "session_regenerate('s', 'n', '1 min')", "session_login('s', 'ada', sid => 'n')"])
def test_a_renewal_that_moves_the_row_to_another_part_is_waited_for(database, owner, client, other, call):
    assert database.psql(SURROUNDINGS["descent: partitioned"].script).returncode == 0
    for _ in range(4):  # the new id may belong to the same part
        login(client, "ada", "s")
        client.execute(f"BEGIN; SELECT {call}")
        waiting = database.later(other, "SELECT count(*) FROM session_revoke_all('ada')")
        client.execute("COMMIT")
        assert waiting.result(timeout=10) == 1
        assert live(client, "s", "n") == []


@pytest.mark.parametrize("level", KEEPING_A_SNAPSHOT)
@pytest.mark.parametrize("call", ["session_login('s', 'ada')", "session_login('s', 'ada', sid => 'n')", "session_bind('s', 'ada')"])
def test_a_session_that_is_newer_than_the_snapshot_is_not_left_behind(client, other, call, level):
    begin(client, level)
    other.execute("""SELECT session_create('{"cart": 1}', 's')""")
    assert outcome(one, client, f"SELECT {call}") == "40001"
    client.execute("ROLLBACK")
    assert one(client, "SELECT session_get('s')") == {"cart": 1}


def test_a_rule_that_keeps_sessions_is_an_error_until_it_is_dropped(owner, client):
    login(client, "ada", "a", "b")
    owner.execute("CREATE RULE keep AS ON DELETE TO session DO INSTEAD NOTHING")
    for call in "session_revoke_all('ada')", "session_revoke_others('a')", "session_destroy('b')":
        assert outcome(one, client, f"SELECT {call}") == "09000"
    owner.execute("DROP RULE keep ON session")
    assert one(client, "SELECT session_destroy('b')") is True
    assert one(client, "SELECT count(*) FROM session_revoke_all('ada')") == 1
