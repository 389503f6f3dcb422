"""Rules and triggers that see a write, add to it, or take it away."""

import pytest
from calls import CHANGES, CREATES, HELD, READS, WRITES, create, create_due, has_slid, outcome
from conftest import APP, expires_in, one
from psycopg import errors

SEEN = "CREATE TABLE seen (op text); GRANT ALL ON seen TO app"
ALSO = {
    event: f"CREATE RULE also_{event} AS ON {event} TO session DO ALSO INSERT INTO seen VALUES ('{event}')"
    for event in ("INSERT", "UPDATE", "DELETE")
}
ALL = "; ".join(ALSO.values())
NULL = """CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER undo BEFORE {} ON session FOR EACH ROW EXECUTE FUNCTION undo()"""
INSTEAD = "CREATE RULE undo AS ON {} TO session DO INSTEAD NOTHING"
ELSEWHERE = """CREATE TABLE other (LIKE session);
    CREATE RULE undo AS ON {} TO session DO INSTEAD DELETE FROM other WHERE version = 0"""
EVENTS = dict.fromkeys(CHANGES, "UPDATE") | dict.fromkeys(CREATES, "INSERT") | {"destroy": "DELETE"}

rules = pytest.mark.parametrize("rules", [*ALSO.values(), ALL], ids=[*ALSO, "all"])


@pytest.fixture
def owner(database):
    owner = database.connect()
    owner.execute(f"{SEEN}; SELECT session_store_grant('app')")
    return owner


@pytest.fixture
def client(database):
    return database.connect(APP)


# What they add


@rules
def test_every_call_works_beside_rules(owner, client, rules):
    for name in READS | CHANGES:
        create_due(owner, name)
    owner.execute(rules)
    values = {name: outcome(one, client, call.on(name)) for name, call in (READS | CHANGES).items()}
    assert values == {name: call.value for name, call in (READS | CHANGES).items()}
    assert all(has_slid(owner, name) for name in READS)
    for name, call in CREATES.items():
        owner.execute("DELETE FROM session; TRUNCATE seen")
        assert outcome(one, client, f"SELECT {call}") is not None, name
        assert one(owner, "SELECT count(*) FROM session") == 1, name
        assert one(owner, "SELECT count(*) FROM seen") == ("also_INSERT" in rules), name


@rules
def test_an_id_that_is_taken_is_refused_beside_rules_as_ever(owner, client, rules):
    create(owner, "s")
    create(owner, "other")
    owner.execute(rules)
    for call in "session_create('{}', 's')", "session_create_raw('', 's')", "session_regenerate('other', 's')":
        with pytest.raises(errors.UniqueViolation) as refused:
            client.execute(f"SELECT {call}")
        assert refused.value.diag.message_primary == "a live session with this id exists"
    with pytest.raises(errors.UniqueViolation):
        client.execute("SELECT session_regenerate('unknown', 's')")
    assert one(client, "SELECT session_read('s')") == HELD
    assert one(client, "SELECT session_put('s', '{}') > 0")
    assert one(owner, "SELECT session_get('other')") == HELD


@rules
def test_an_id_that_has_expired_is_free_beside_rules_as_ever(owner, client, rules):
    calls = ["create_as", "read_new", "put_new", "put_raw_new", "move_missing"]
    create(owner, "new")
    owner.execute(rules)
    for name in calls:
        expires_in(owner, "new", "-1 s")
        assert outcome(one, client, f"SELECT {CREATES[name]}") not in (None, "23505", "40001", "0A000"), name
        assert one(owner, "SELECT count(*) FROM session_live") == 1, name


# What the second returns after waiting for the first, if that committed and if it rolled back.
BOTH = {
    "session_create('{\"n\": 2}', 'new')": ("23505", "new"),
    "session_read('new')": ({"n": 1}, {}),
    "session_put('new', '{\"n\": 2}') > 0": (True, True),
    "session_regenerate('other', 'new')": ("23505", "new"),
    "session_regenerate('unknown', 'new')": ("23505", "new"),
}


@rules
def test_of_two_who_begin_a_session_at_once_the_second_waits_beside_rules_as_ever(database, owner, client, rules):
    owner.execute(rules)
    second, values = database.connect(APP), {}
    for call in BOTH:
        for end in "COMMIT", "ROLLBACK":
            owner.execute("DELETE FROM session")
            create(owner, "other")
            client.execute("BEGIN; SELECT session_create('{\"n\": 1}', 'new')")
            waiting = database.later(second, f"SELECT {call}")
            client.execute(end)
            values.setdefault(call, []).append(outcome(waiting.result))
    assert values == {call: list(both) for call, both in BOTH.items()}


@rules
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_what_an_older_snapshot_cannot_see_is_40001_beside_rules_as_ever(database, owner, client, rules, level):
    owner.execute(rules)
    second = database.connect(APP)
    for call in "session_create('{}', 'new')", "session_read('new')", "session_put('new', '{}')":
        second.execute(f"BEGIN ISOLATION LEVEL {level}; SELECT 1")
        client.execute("SELECT session_create('{}', 'new')")
        assert outcome(one, second, f"SELECT {call}") == "40001"
        second.execute("ROLLBACK")
        client.execute("SELECT session_destroy('new')")


# What they take away


undoes = pytest.mark.parametrize(
    "undo", [NULL, INSTEAD, ELSEWHERE], ids=["trigger", "instead nothing", "instead other"]
)


def error(client, statement):
    with pytest.raises(errors.Error) as raised:
        client.execute(statement)
    diag = raised.value.diag
    return diag.sqlstate, diag.message_primary, diag.message_hint is not None


@undoes
@pytest.mark.parametrize("event", ["INSERT", "UPDATE", "DELETE"])
def test_a_write_that_is_taken_away_is_an_error_of_its_own(owner, client, undo, event):
    create_due(owner, "s")
    before = owner.execute("SELECT session FROM session").fetchall()
    owner.execute(undo.format(event))
    calls = {name: f"SELECT {call}".replace("%s", "'s'") for name, call in WRITES.items() if EVENTS[name] == event}
    suppressed = "09000", 'a trigger or rule on table "session" suppressed the write', True
    assert {name: error(client, call) for name, call in calls.items()} == dict.fromkeys(calls, suppressed)
    assert owner.execute("SELECT session FROM session").fetchall() == before


@undoes
def test_a_slide_that_is_taken_away_is_none(owner, client, undo):
    create_due(owner, "s")
    owner.execute(undo.format("UPDATE"))
    assert {name: outcome(one, client, call.on("s")) for name, call in READS.items()} == {
        name: call.value for name, call in READS.items()
    }
    assert not has_slid(owner, "s")


@pytest.mark.parametrize("undo", [NULL, INSTEAD], ids=["trigger", "instead nothing"])
def test_collecting_comes_to_an_end_where_nothing_may_be_deleted(owner, undo):
    create(owner, "s")
    expires_in(owner, "s", "-1 s")
    owner.execute(undo.format("DELETE"))
    owner.execute("SET statement_timeout = '5s'")
    assert outcome(one, owner, "SELECT session_gc()") in (0, "09000")
    assert one(owner, "SELECT count(*) FROM session") == 1


def test_a_row_that_others_changed_meanwhile_is_not_taken_for_one_taken_away(database, owner, client):
    owner.execute("""
        CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END';
        CREATE TRIGGER pass BEFORE INSERT OR UPDATE OR DELETE ON session FOR EACH ROW EXECUTE FUNCTION pass()""")
    second = database.connect(APP)
    changes = {
        "session_set('s', 'n', '2') > 0": True,
        "session_release('s', '{}') > 0": True,
        "session_put('s', '{}') > 0": True,
        "session_touch('s', '3 h') IS NOT NULL": True,
        "session_regenerate('s', 'new')": "new",
        "session_destroy('s')": True,
    }
    for call, value in changes.items():
        create(owner, "s")
        client.execute("BEGIN; SELECT session_set('s', 'k', '5'), session_touch('s', '2 h')")
        waiting = database.later(second, f"SELECT {call}")
        client.execute("COMMIT")
        assert outcome(waiting.result) == value
        owner.execute("SELECT session_destroy('s'), session_destroy('new')")
