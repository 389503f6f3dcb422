"""No call leaves the connection changed: no setting, no role, no snapshot, whatever a trigger does meanwhile."""

import pytest
from calls import LOOKS, READS, WRITES, create_due
from conftest import APP, one

SETTINGS = "SELECT name, setting, source FROM pg_settings ORDER BY name"
STATE = """
    SELECT current_user, session_user, current_schemas(true)::text, pg_backend_pid(),
        (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql),
        (SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = pg_backend_pid())"""
CALLS = {name: call.call for name, call in (READS | LOOKS).items()} | WRITES
CALLS |= {"gc": "session_gc()", "all": "session_all()", "new_id": "session_new_id()"}

# What a trigger sets for the rest of the transaction: as it is, and otherwise.
SET = {
    "synchronous_commit": ("on", "off"),
    "enable_seqscan": ("on", "off"),
    "plan_cache_mode": ("auto", "force_custom_plan"),
    "lock_timeout": ("0", "1min"),
    "search_path": ('"$user", public', "pg_catalog"),
    "session_store.max_lifetime": ("1h", "2h"),
}
TRIGGER = """
    CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS
        $do$ BEGIN {body}; RETURN coalesce(NEW, OLD); END $do$;
    CREATE TRIGGER act BEFORE INSERT OR UPDATE OR DELETE ON session FOR EACH ROW EXECUTE FUNCTION act()"""
OWNERS = ["owner", "keeper"]
owners = pytest.mark.parametrize("role", OWNERS, ids=["superuser", "plain"])


@pytest.fixture
def owner(database):
    owner = database.connect()
    for sid in ("s", "unslid"):
        create_due(owner, sid)
    owner.execute("SELECT session_store_grant('app')")
    return owner


@pytest.fixture
def trap(database, owner):
    """Puts a trigger on the table: trap(body, "owner" or "keeper", a plain role to whom the table is handed over)."""

    def put(body, whose):
        who = owner
        if whose == "keeper":
            keeper = database.create_role("keeper")
            owner.execute(f"ALTER TABLE session OWNER TO {keeper}")
            who = database.connect(keeper)
        who.execute(TRIGGER.format(body=body))

    return put


@pytest.fixture
def client(database):
    client = database.connect(APP, prepare_threshold=None)
    client.execute("DO 'BEGIN END'; SELECT session_get('unknown')")  # libraries have settings of their own
    return client


def known(connection):
    settings = {name: values for name, *values in connection.execute(SETTINGS)}
    return settings | {"state": connection.execute(STATE).fetchone()}


def changed(before, connection):
    after = known(connection)
    return {name: (before.get(name), value) for name, value in after.items() if before.get(name) != value}


@pytest.mark.parametrize("put_on", ["nothing", "owner", "keeper"])
def test_no_call_changes_a_setting(owner, client, trap, put_on):
    if put_on != "nothing":
        trap("PERFORM 1", put_on)
    client.execute("SET statement_timeout = '1min'; SELECT session_set('unslid', 'n', '1')")
    before, changes = known(client), {}
    for name, call in CALLS.items():
        statement = f"SELECT {call}".replace("%s", "'s'")
        owner.execute("DELETE FROM session")
        create_due(owner, "s")
        client.execute(statement)
        alone = changed(before, client)
        owner.execute("DELETE FROM session")
        create_due(owner, "s")
        client.execute("BEGIN; SET LOCAL work_mem = '5MB'")
        inside = known(client)
        client.execute(statement)
        within = changed(inside, client)
        client.execute("SAVEPOINT a; SELECT session_touch('s'), session_put('s', '{}'); ROLLBACK TO a")
        within |= changed(inside, client)
        client.execute("COMMIT")
        found = alone | within | changed(before, client)
        if found:
            changes[name] = found
    assert changes == {}


@owners
@pytest.mark.parametrize("setting", SET)
def test_what_a_trigger_sets_ends_with_the_transaction(client, trap, setting, role):
    body = "; ".join(f"PERFORM set_config('{setting}', '{value}', true)" for value in reversed(SET[setting]))
    trap(body, role)
    before = known(client)
    for call in "session_get('s')", "session_set('s', 'k', '2')", "session_destroy('s')":
        client.execute(f"SELECT {call}")
        assert changed(before, client) == {}


@owners
@pytest.mark.parametrize("call", ["session_get('s')", "session_set('s', 'k', '2')"])
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK", "ROLLBACK TO a; COMMIT", "RELEASE a; COMMIT"])
def test_what_triggers_set_ends_with_the_block(client, trap, call, end, role):
    body = "; ".join(f"PERFORM set_config('{setting}', '{other}', true)" for setting, (_, other) in SET.items())
    trap(body, role)
    before = known(client)
    client.execute(f"BEGIN; SAVEPOINT a; SELECT {call}; {end}")
    assert changed(before, client) == {}


@owners
@pytest.mark.parametrize("level", ["on", "local", "off"])
def test_a_commit_is_as_durable_as_its_connection_says(owner, client, trap, role, level):
    """In a slide's transaction, too, if it has a trigger that might have written something of its own."""
    owner.execute("CREATE TABLE seen (level text); GRANT ALL ON seen TO PUBLIC")
    trap("INSERT INTO public.seen VALUES (current_setting('synchronous_commit'))", role)
    client.execute(f"SET synchronous_commit = {level}")
    client.execute("SELECT session_get('s')")
    assert one(owner, "SELECT level FROM seen") == level
    assert one(client, "SHOW synchronous_commit") == level


def test_an_error_in_a_call_changes_no_setting(client, trap):
    trap("RAISE EXCEPTION 'no'", "owner")
    before = known(client)
    for call in [*WRITES.values(), READS["get"].call]:
        call = call.replace("%s", "'s'")
        client.execute(f"DO $$ BEGIN PERFORM {call}; EXCEPTION WHEN raise_exception THEN NULL; END $$")
        assert changed(before, client) == {}
        client.execute("BEGIN; SAVEPOINT a; SELECT session_get('s'); ROLLBACK TO a; COMMIT")
        assert changed(before, client) == {}
