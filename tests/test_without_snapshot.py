"""Calls from where PostgreSQL has no active snapshot: after the COMMIT of a procedure or DO block, before a query.

An assignment to a domain evaluates its CHECK there.
"""

import pytest
from calls import CHANGES, HELD, LOOKS, READS, content, create, create_due, has_slid
from conftest import APP, OWNER, one

# What is assigned: the id of the session.
SID = "PL/pgSQL function inline_code_block line 1 at GET DIAGNOSTICS"
ASSIGN = """DO $$ DECLARE x pg_temp.d := 'init'; BEGIN {end}; GET DIAGNOSTICS x = PG_CONTEXT; END $$"""
CALLS = {name: call for name, call in (READS | LOOKS | CHANGES).items() if " FROM " not in call.call}
OTHERS = {
    "create": "session_create()",
    "create_raw": "session_create_raw('raw')",
    "create_as": "session_create('{}', 'new')",
    "create_raw_as": "session_create_raw('raw', 'new')",
    "read_new": "session_read('new')",
    "put_new": "session_put('new', '{}')",
    "put_raw_new": "session_put_raw('new', 'raw')",
    "renew_missing": "session_regenerate('unknown')",
    "gc": "session_gc()",
    "all": "session_all()",
    "new_id": "session_new_id()",
}

roles = pytest.mark.parametrize("role", [OWNER, APP])


def assign(client, condition, end="COMMIT"):
    client.execute(f"CREATE DOMAIN pg_temp.d AS text CHECK (VALUE = 'init' OR {condition})")
    client.execute(ASSIGN.format(end=end))


@roles
@pytest.mark.parametrize("call", CALLS)
def test_calls_on_a_session_work(database, owner, role, call):
    create_due(owner, SID)
    client = database.connect(role)
    assign(client, f"({CALLS[call].call}) IS NOT NULL".replace("%s", "VALUE"))
    assert content(owner, SID) == CALLS[call].left
    if call in READS:
        assert has_slid(owner, SID)
    assert one(client, "SELECT session_exist('unknown')") is False


@roles
@pytest.mark.parametrize("call", OTHERS)
def test_other_calls_work(database, owner, role, call):
    client = database.connect(role)
    assign(client, f"({OTHERS[call]}) IS NOT NULL")
    assert one(owner, "SELECT count(*) FROM session") == (call not in ("gc", "all", "new_id"))
    assert one(client, "SELECT session_exist('unknown')") is False


@roles
@pytest.mark.parametrize("call", ["session_get(VALUE)", "session_set(VALUE, 'k', '2')"])
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "PERFORM session_get('s'); COMMIT"])
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "trigger"])
def test_after_whatever_end_of_a_transaction(database, owner, role, call, end, plain):
    if not plain:
        owner.execute("""
            CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER act BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION act()""")
    create_due(owner, SID)
    create(owner, "s")
    client = database.connect(role)
    assign(client, f"({call}) IS NOT NULL", end)
    assert content(owner, SID) == (HELD if "get" in call else {"k": 2})
    assert has_slid(owner, SID)


def test_large_sessions_are_read_there_too(database, owner):
    """What is stored out of line is fetched with a snapshot of its own."""
    owner.execute("ALTER TABLE session ALTER COLUMN session_data SET STORAGE EXTERNAL")
    owner.execute("SELECT session_create(jsonb_build_object('k', repeat('x', 100000)), %s)", (SID,))
    client = database.connect(APP)
    assign(client, "length(session_get(VALUE) ->> 'k') = 100000 AND length(session_get(VALUE, 'k') ->> 0) = 100000")
    assert one(client, "SELECT session_exist('unknown')") is False
