"""An id in grace is the session that it reaches, in every call and while requests race; when it is over it is nobody's."""

import random
import time

import psycopg
import pytest
from calls import outcome
from conftest import APP, OWNER, THREADS, one
from test_impossible_ids import BEGUN, LOOKED_UP, REFUSED, STRICT, answer

CALLS = LOOKED_UP | BEGUN | STRICT | REFUSED | {
    "session_read($1, '2 h')": None,
    "session_release($1, '{}', 1000)": None,
    "session_save($1, '{}', 1000)": None,
    "session_release_raw($1, 'raw', 1000)": None,
    "session_create('{}', $1)": None,
    "session_create_raw('raw', $1)": None,
    "session_regenerate('other', $1)": None,
    "session_regenerate('other', $1, '1 min')": None,
    "session_regenerate($1, 'another')": None,
    "session_get(session_regenerate($1))": None,
    "session_login('other', 'ada', sid => $1)": None,
    "session_login($1, 'eve')": None,
    "session_bind($1, 'eve')": None,
}  # fmt: skip
# They give $1 to the other session.
CHOSEN = ("session_regenerate('other', $1", "session_login('other', 'ada', sid => $1")
# There is no other device of ada.
FINDS_NO_OTHER = {call for call in LOOKED_UP if "session_revoke" in call}
TAKES_AN_ID = "SELECT DISTINCT proname FROM pg_proc WHERE proargnames && '{sid,oldsid,presented}' AND prokind = 'f'"


@pytest.fixture
def client(database):
    with database.connect() as owner:
        owner.execute("""SELECT session_create('{"k": 1}', 'old'), session_create('{}', 'other'), session_bind('old', 'ada')""")
        owner.execute(f"SELECT session_store_grant('{APP}')")
        owner.execute("UPDATE session SET version = 1000; SELECT session_regenerate('old', 'new', '5 min')")
    return database.connect(APP, cursor_factory=psycopg.RawCursor)


def end_grace(database, *sids):
    with database.connect() as owner:
        over = "UPDATE session_moved SET valid_until = now() WHERE moved_key = ANY (SELECT sha256(s::bytea) FROM unnest(%s::text[]) AS s)"
        assert owner.execute(over, (list(sids),)).rowcount == len(sids)


def test_every_function_that_takes_an_id_is_among_them(client):
    functions = {name for (name,) in client.execute(TAKES_AN_ID)}
    assert {name for name in functions if any(name + "(" in call for call in CALLS)} == functions


@pytest.mark.parametrize("strict", ["off", "on"])
def test_every_call_does_with_it_what_it_does_with_the_new_one(database, client, strict):
    client.execute(f"SET session_store.strict = {strict}")
    for call in CALLS:
        by_the_old, by_the_new = answer(client, call, "old"), answer(client, call, "new")
        if call == "(SELECT sid FROM session_start($1))":
            assert (by_the_old, by_the_new) == ("old", "new")
        else:
            assert (call, by_the_old) == (call, by_the_new)
        assert call in FINDS_NO_OTHER or by_the_new not in ("P0002", False), call
    end_grace(database, "old")
    for call in CALLS:
        expected = answer(client, call, "nobody")
        if call in ("session_create('{}', $1)", "session_create_raw('raw', $1)") or call.startswith(CHOSEN):
            assert (answer(client, call, "old"), expected) == ("old", "nobody")
        elif isinstance(expected, int) and expected > 1000:  # the version of a session that began now
            assert answer(client, call, "old") > 1000
        else:
            assert (call, answer(client, call, "old")) == (call, expected)


def test_what_is_written_by_it_is_written_to_the_session(client):
    for call in [
        "session_set('old', 'a', '1')", "session_merge('old', '{\"b\": 2}')", "session_patch('old', '{\"c\": 3}')",
        "session_release('old', session_get('old') || '{\"d\": 4}', (SELECT version FROM session_fetch('old')))",
        "session_put('old', session_get('old') || '{\"e\": 5}')",
    ]:  # fmt: skip
        client.execute(f"SELECT {call}")
    assert one(client, "SELECT session_get('new')") == {"k": 1, "a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    assert one(client, "SELECT session_touch('old', '9 h') - now()").total_seconds() > 9 * 3600
    assert one(client, "SELECT lifetime FROM session_load('new')").total_seconds() == 9 * 3600


@pytest.mark.parametrize("renewals", [1, 2, 50])
def test_who_planted_an_id_before_a_renewal_without_a_grace_has_nothing_after_it(client, renewals):
    sids = ["new"]
    for _ in range(renewals):
        sids.append(one(client, "SELECT session_regenerate($1, grace => '5 min')", sids[-1]))
    for sid in sids:
        assert one(client, "SELECT session_get($1, 'k')", sid) == 1
    kept = one(client, "SELECT session_regenerate($1)", random.choice(sids))
    for sid in ["old", *sids]:
        assert one(client, "SELECT session_get($1, 'k')", sid) is None
        assert outcome(one, client, "SELECT session_set($1, 'k', '2')", sid) == "P0002"
    assert one(client, "SELECT session_get($1, 'k')", kept) == 1


def test_who_knew_an_id_before_a_login_has_nothing_when_the_session_is_nobodys_at_that_place_again(client):
    client.execute("""SELECT session_create('{}', 'before'), session_regenerate('before', 'n', '1 min'),
                             session_login('n', 'ada', sid => 'm'), session_login('m', 'ada', sid => 'n')""")
    assert one(client, "SELECT session_bind('n', NULL)")
    assert not one(client, "SELECT session_exist('before')")


def test_an_id_from_before_a_login_that_the_owner_wrote_leads_nowhere(database, client):
    update = "UPDATE session SET principal = 'ada', authenticated_at = clock_timestamp(), handle = gen_random_uuid()"
    database.connect(OWNER).execute(update)
    assert one(client, "SELECT session_exist('new')")
    assert not one(client, "SELECT session_exist('old')")


def test_a_look_up_that_hits_does_not_go_near_it(client):
    """Nor does a write: the table of the ids that sessions had is not even locked."""
    touched = "SELECT count(*) FROM pg_locks WHERE relation = 'session_moved'::regclass"
    with client.transaction():
        for call in [
            "session_get('new')", "session_exist('new')", "session_start('new')", "session_read('new')",
            "session_set('new', 'k', '2')", "session_release('new', '{}', NULL)", "session_touch('new', '2 h')",
            "session_create()", "session_start(NULL)", "session_regenerate('new')",
        ]:  # fmt: skip
            client.execute(f"SELECT {call}")
            assert one(client, touched) == 0, call
        client.execute("SELECT session_get('nobody')")
        assert one(client, touched) > 0


def test_an_older_snapshot_reads_by_the_id_that_it_knows(database, client):
    reader = database.connect(APP)
    reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    client.execute("SELECT session_regenerate('new', 'newer', '5 min'), session_set('newer', 'k', '2')")
    assert reader.execute("SELECT session_get('old', 'k'), session_get('new', 'k')").fetchone() == (1, 1)
    assert one(reader, "SELECT session_get('newer', 'k')") is None
    reader.execute("COMMIT")
    assert one(reader, "SELECT session_get('old', 'k')") == 2


def test_six_renewals_at_once_end_with_one_id_that_lives_on(database, client):
    clients = [database.connect(APP) for _ in range(6)]
    for number in range(30):
        sid = f"s{number}"
        client.execute("SELECT session_create('{}', $1)", (sid,))
        renewals = [THREADS.submit(one, c, "SELECT session_regenerate(%s, grace => '1 min')", sid) for c in clients]
        new = {renewal.result(timeout=20) for renewal in renewals} - {sid}
        assert len(new) == 1
        # One that comes late, with the cookie of before or of after.
        assert one(client, "SELECT session_regenerate($1, grace => '1 min')", sid) == sid
        assert one(client, "SELECT session_exist($1)", new.pop())


def test_eight_clients_that_renew_read_and_write_one_session_lose_nothing(database, client):
    cookie, seconds = ["new"], 10
    deadline = time.monotonic() + seconds

    def work(number):
        rng, connection, written, renewed = random.Random(number), database.connect(APP), 0, 0
        while time.monotonic() < deadline:
            sid, action = cookie[0], rng.random()
            if action < 0.1:
                sent = one(connection, "SELECT session_regenerate(%s, grace => '5 min', must_exist => true)", sid)
                assert sent is not None
                if sent != sid:  # else another request has set the cookie
                    cookie[0], renewed = sent, renewed + 1
            elif action < 0.4:
                value = one(connection, "SELECT session_get(%s, %s)", sid, str(number))
                assert value == (written or None)
            else:
                written += 1
                assert one(connection, "SELECT session_set(%s, %s, to_jsonb(%s))", sid, str(number), written)
        return written, renewed

    results = [future.result(timeout=60) for future in [THREADS.submit(work, number) for number in range(8)]]
    assert sum(renewed for _, renewed in results) > 20
    saved = one(client, "SELECT session_get($1)", cookie[0])
    assert saved == {"k": 1} | {str(number): written for number, (written, _) in enumerate(results)}
    with database.connect() as owner:
        assert one(owner, "SELECT count(*) FROM session") == 2  # the other is "other"


def test_a_session_that_is_created_while_its_id_is_renewed_does_not_hide_the_one_that_is_reached(database, client):
    creators = [database.connect(APP) for _ in range(4)]
    calls = [
        "session_create('{}', %s)", "session_save(%s, '{}', 0)", "session_read(%s)::text", "session_put(%s, '{\"k\": 1}')",
    ]  # fmt: skip
    for number in range(100):
        sid = f"s{number}"
        client.execute("SELECT session_create('{\"k\": 1}', $1)", (sid,))
        waiting = [
            THREADS.submit(outcome, one, creator, f"SELECT {call}", sid)
            for creator, call in zip(creators, calls, strict=True)
        ]
        new = one(client, "SELECT session_regenerate($1, grace => '1 min')", sid)
        created, saved, read, put = [future.result(timeout=20) for future in waiting]
        assert (created, saved, read) == ("23505", None, '{"k": 1}') and isinstance(put, int)
        assert one(client, "SELECT session_destroy($1)", sid)
        assert not one(client, "SELECT session_exist($1)", new)
        with database.connect() as owner:
            assert one(owner, "SELECT count(*) FROM session") == 2


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_one_from_before_the_snapshot_is_taken_and_no_conflict(client, level):
    calls = {"session_save($1, '{}', 0)": None, "session_release_raw($1, 'raw', 0)": None, "session_create('{}', $1)": "23505"}
    for call, expected in calls.items():
        for before in "SELECT 1", "SELECT session_create('{}', 'own'), session_regenerate('own', 'own too', '1 min')":
            client.execute(f"BEGIN ISOLATION LEVEL {level}; {before}")
            assert outcome(one, client, f"SELECT {call}", "own" if "own" in before else "old") == expected
            client.execute("ROLLBACK")


def test_a_refused_first_save_adds_nothing_that_others_could_wait_for_or_triggers_see(database, client):
    owner, other = database.connect(), database.connect(APP)
    owner.execute("""
        CREATE TABLE seen (what text);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
            AS 'BEGIN INSERT INTO seen VALUES (TG_OP); RETURN NULL; END';
        CREATE TRIGGER see AFTER INSERT OR DELETE ON session FOR EACH ROW EXECUTE FUNCTION see()""")
    client.execute("BEGIN")
    assert one(client, "SELECT session_save('old', '{}', 0)") is None
    assert database.promptly(other, "SELECT session_save('old', '{}', 0)") is None
    client.execute("COMMIT")
    assert one(owner, "SELECT count(*) FROM seen") == 0


WAITING = {
    "session_destroy('old')": False, "session_set('old', 'k', '2')": "P0002", "session_touch('old', '9 h') IS NULL": True,
    "session_release('old', '{}')": None, "session_regenerate('old', 'stolen', must_exist => true)": None,
    "session_regenerate('old', 'stolen', '1 min', true)": None, "session_pop('old', 'k')": None,
}  # fmt: skip


@pytest.mark.parametrize("call", WAITING)
def test_a_grace_that_ends_while_the_session_is_waited_for_has_ended(database, client, call):
    with database.connect() as owner:
        owner.execute("UPDATE session_moved SET valid_until = clock_timestamp() + '1.5 s'")
    holder = database.connect(APP)
    holder.execute("BEGIN; SELECT session_merge('new', '{}')")
    waiting = database.later(client, f"SELECT {call}")
    time.sleep(1.6)
    holder.execute("COMMIT")
    assert outcome(waiting.result, 10) == WAITING[call]
    assert one(client, "SELECT session_get('new', 'k')") == 1
    assert one(client, "SELECT lifetime FROM session_load('new')").total_seconds() == 3600


@pytest.mark.parametrize("way", ["directly", "by SQL"])
def test_a_session_that_the_id_does_not_reach_any_more_when_it_was_waited_for_is_not_held(database, client, way):
    owner, holder = database.connect(), database.connect(APP)
    if way == "by SQL":
        owner.execute("""
            CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER nothing AFTER UPDATE ON session FOR EACH ROW EXECUTE FUNCTION nothing()""")
    holder.execute("BEGIN; SELECT session_bind('new', 'eve')")
    client.execute("BEGIN")
    waiting = database.later(client, "SELECT session_touch('old', '9 h') IS NULL")
    holder.execute("COMMIT")
    assert waiting.result(10)
    free = "WITH free AS (SELECT FROM session FOR UPDATE SKIP LOCKED) SELECT count(*) FROM free"
    assert one(owner, free) == one(owner, "SELECT count(*) FROM session")


def test_a_renewal_that_moves_nothing_holds_the_session(database, client):
    client.execute("BEGIN")
    assert one(client, "SELECT session_regenerate('old', grace => '1 min')") == "old"
    waiting = database.later(database.connect(APP), "SELECT session_destroy('new')")
    assert one(client, "SELECT session_set('old', 'k', '2') > 0")
    client.execute("COMMIT")
    assert waiting.result(10)


def test_it_comes_back_as_it_came_whatever_new_id_is_asked_for(client):
    for new in "new", "other", "another":
        assert one(client, "SELECT session_regenerate('old', $1, '1 min')", new) == "old"
    assert one(client, "SELECT session_exist('another')") is False


@pytest.mark.parametrize("change", ["ALTER TABLE session SET (fillfactor = 80)", "ALTER TABLE session SET UNLOGGED"])
@pytest.mark.parametrize("table", ["session", "session_moved"])
def test_a_statement_from_before_a_rewrite_and_a_renewal_finds_the_session(database, client, change, table):
    owner = database.connect()
    owner.execute("SELECT pg_advisory_lock(7)")
    gated = "FROM (SELECT pg_advisory_xact_lock_shared(7) OFFSET 0) AS gate"
    calls = ["session_get('new', 'k')", "session_exist('new')", "(session_start('new')).sid", "session_set('new', 'a', '1') > 0"]
    waiting = [database.later(database.connect(APP), f"SELECT {call} {gated}") for call in calls]
    owner.execute(change.replace("session", table))
    owner.execute("SELECT session_regenerate('new', 'newer', '5 min')")
    owner.execute("SELECT pg_advisory_unlock(7)")
    assert [future.result(10) for future in waiting] == [1, True, "new", True]
    assert one(owner, "SELECT count(*) FROM session") == 2


# What stands around its table


def test_a_look_up_waits_for_its_table_to_be_rewritten_and_looks_anew(database, client):
    owner = database.connect()
    owner.execute("BEGIN; ALTER TABLE session_moved SET UNLOGGED")
    reading = database.later(client, "SELECT session_get('old', 'k')")
    owner.execute("COMMIT")
    assert reading.result(timeout=10) == 1


def test_it_may_have_an_owner_and_triggers_of_its_own(database, client):
    role, owner = database.create_role("keeper"), database.connect()
    owner.execute("CREATE TABLE seen (who name)")
    owner.execute(f"GRANT INSERT ON seen TO {role}; GRANT TRIGGER ON session_moved TO {role}")
    with database.connect(role) as other:
        other.execute("""
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN INSERT INTO seen VALUES (current_user); RETURN NEW; END';
            CREATE TRIGGER note AFTER INSERT ON session_moved FOR EACH ROW EXECUTE FUNCTION note()""")
    # His code would run as superuser.
    assert outcome(one, client, "SELECT session_regenerate('new', 'newer', '1 min')") == "42501"
    assert one(client, "SELECT session_get('old', 'k')") == 1
    assert one(client, "SELECT session_exist('newer')") is False
    owner.execute(f"ALTER TABLE session_moved OWNER TO {role}")
    assert one(client, "SELECT session_regenerate('new', 'newer', '1 min')") == "newer"
    assert one(owner, "SELECT who FROM seen") == role
    assert [one(client, "SELECT session_get($1, 'k')", sid) for sid in ("old", "new", "newer")] == [1, 1, 1]
    owner.execute("DROP TRIGGER note ON session_moved; DROP FUNCTION note()")


def test_a_write_that_a_trigger_suppresses_moves_nothing(database, client):
    with database.connect() as owner:
        owner.execute("""
            CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
            CREATE TRIGGER undo BEFORE INSERT ON session_moved FOR EACH ROW EXECUTE FUNCTION undo()""")
    assert outcome(one, client, "SELECT session_regenerate('new', 'newer', '1 min')") == "09000"
    assert one(client, "SELECT session_exist('new')")


def test_what_stands_around_its_table_does_not_keep_sessions_from_being_collected(database, client):
    owner, holder = database.connect(), database.connect()
    owner.execute("UPDATE session SET session_expiry = now()")
    holder.execute("BEGIN; LOCK TABLE session_moved IN SHARE MODE")
    owner.execute("SET lock_timeout = '100 ms'")
    assert one(owner, "SELECT session_gc()") == 2


def test_without_its_table_no_id_leads_anywhere_and_none_is_left_behind(database, client):
    """As where the catalog is still an older version's."""
    with database.connect() as owner:
        owner.execute("ALTER TABLE session_moved RENAME TO elsewhere")
    assert one(client, "SELECT session_get('old')") is None
    assert outcome(one, client, "SELECT session_regenerate('new', 'newer', '1 min')") == "42P01"
    assert one(client, "SELECT session_regenerate('new', 'newer')") == "newer"
    assert one(client, "SELECT session_create('{}', 'old')") == "old"


def test_its_schema_may_be_renamed(database, client):
    assert one(client, "SELECT session_get('old', 'k')") == 1
    with database.connect() as owner:
        owner.execute("ALTER SCHEMA public RENAME TO \"We're here\"")
    client.execute("SET search_path = \"We're here\"")
    assert one(client, "SELECT session_get('old', 'k')") == 1
    assert one(client, "SELECT session_regenerate('new', 'newer', '1 min')") == "newer"
    assert one(client, "SELECT session_get('old', 'k')") == 1

