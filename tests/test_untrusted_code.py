"""The table belongs to a superuser, and code of a plain role is on it: that never runs with the superuser's rights.

pg_restore leaves exactly that behind of a table that was handed over. Writes are refused until somebody decides; reads
go on, and keep nothing alive.
"""

import pytest
from calls import CHANGES, CREATES, LOOKS, READS, WRITES, create, create_due, has_slid, outcome
from conftest import APP, DIRECT, expires_in, one
from keeping import dump_and_restore
from psycopg import errors

# All of it belongs to dbo, a plain role, but for quiet(). Sequences, unlike tables, tell of what was undone, too.
CODE = """
    CREATE SEQUENCE ran; CREATE SEQUENCE ran_as_superuser;
    CREATE FUNCTION tell() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
        PERFORM nextval('public.ran');
        IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            PERFORM nextval('public.ran_as_superuser');
        END IF;
        RETURN 1;
    END $$;
    CREATE FUNCTION note(anyelement) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN public.tell(); END';
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM public.tell(); RETURN coalesce(NEW, OLD); END';
    CREATE FUNCTION noted(bigint, bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
        'BEGIN RETURN public.tell(); END';
    CREATE OPERATOR ### (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = noted)"""
QUIET = "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
ANY = "INSERT OR UPDATE OR DELETE ON"
TRIGGERS = {
    "before": f"CREATE TRIGGER t BEFORE {ANY} session FOR EACH ROW EXECUTE FUNCTION note()",
    "after": f"CREATE TRIGGER t AFTER {ANY} session FOR EACH ROW EXECUTE FUNCTION note()",
    "statement": f"CREATE TRIGGER t BEFORE {ANY} session FOR EACH STATEMENT EXECUTE FUNCTION note()",
    "constraint": f"CREATE CONSTRAINT TRIGGER t AFTER {ANY} session FOR EACH ROW EXECUTE FUNCTION note()",
    "deferred": f"""CREATE CONSTRAINT TRIGGER t AFTER {ANY} session DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION note()""",
    "when": f"CREATE TRIGGER t AFTER {ANY} session FOR EACH ROW WHEN (note(1) = 0) EXECUTE FUNCTION quiet()",
}
EXPRESSIONS = {
    "index": "CREATE INDEX ON session (note(version))",
    "constant": "CREATE INDEX ON session (note(1))",
    "predicate": "CREATE INDEX ON session (version) WHERE note(version) > 0",
    "operator": "CREATE INDEX ON session ((version OPERATOR(public.###) 0))",
    "exclusion": "ALTER TABLE session ADD EXCLUDE (session_key WITH =) WHERE (note(version) > 0)",
    "check": "ALTER TABLE session ADD CHECK (note(version) > 0)",
    "unvalidated": "ALTER TABLE session ADD CHECK (note(version) > 0) NOT VALID",
    "generated": "ALTER TABLE session ADD n bigint GENERATED ALWAYS AS (note(version)) STORED",
    "statistics": "CREATE STATISTICS stat ON (note(1)), version FROM session",
    "default": "ALTER TABLE session ADD n bigint; ALTER TABLE session ALTER n SET DEFAULT note(1)",
    "domain": "CREATE DOMAIN odd AS bigint CHECK (note(VALUE) > 0); ALTER TABLE session ADD n odd DEFAULT 1",
}
RULES = "; ".join(f"CREATE RULE r{e} AS ON {e} TO session DO ALSO ACTION" for e in ("INSERT", "UPDATE", "DELETE"))
ELSEWHERE = {
    "rule": RULES.replace("ACTION", "SELECT note(1)"),
    "rule to a table": f"""CREATE TABLE his (n int); {RULES.replace("ACTION", "INSERT INTO his VALUES (1)")};
        CREATE TRIGGER t BEFORE INSERT ON his FOR EACH ROW EXECUTE FUNCTION note()""",
    "partition": f"""ALTER TABLE session RENAME CONSTRAINT session_key TO old; ALTER TABLE session RENAME TO real;
        CREATE TABLE session (LIKE real, CONSTRAINT session_key PRIMARY KEY (session_key))
            PARTITION BY HASH (session_key);
        CREATE TABLE part PARTITION OF session FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        INSERT INTO session SELECT * FROM real;
        CREATE TRIGGER t BEFORE {ANY} part FOR EACH ROW EXECUTE FUNCTION note()""",
    "child": f"""CREATE TABLE child () INHERITS (session);
        WITH moved AS (DELETE FROM ONLY session RETURNING *) INSERT INTO child SELECT * FROM moved;
        CREATE TRIGGER t BEFORE {ANY} child FOR EACH ROW EXECUTE FUNCTION note()""",
    "view": """ALTER TABLE session RENAME TO real;
        CREATE VIEW session AS SELECT *, ctid FROM real WHERE note(version) > 0""",
}  # fmt: skip
TRAPS = TRIGGERS | EXPRESSIONS | ELSEWHERE
# In these calls it would not run, so that they may go either way.
EXEMPT = dict.fromkeys(EXPRESSIONS, {"destroy", "gc"}) | {
    "generated": {"destroy", "gc", "touch_for", "renew", "move"},
    "statistics": {*WRITES, "gc"},
    "default": {*CHANGES, "gc"},
    "domain": {*CHANGES, "gc"},
    "child": {*CREATES},
    "view": {*WRITES, *READS, *LOOKS, "gc"},
}


@pytest.fixture
def owner(database):
    owner = database.connect()
    owner.execute(f"{QUIET}; SELECT session_store_grant('{APP}')")
    owner.execute("ALTER TABLE session SET (autovacuum_enabled = false)")  # ANALYZE would run what indexes call
    return owner


@pytest.fixture
def dbo(database, owner):
    """A connection of a plain role that owns the table for a while."""
    role = database.create_role("dbo")
    owner.execute(f"ALTER TABLE session OWNER TO {role}")
    dbo = database.connect(role)
    dbo.execute(CODE)
    return dbo


@pytest.fixture
def set_trap(owner, dbo):
    """What dbo puts on the table; then the table is the superuser's again."""

    def put(trap):
        for statement in trap.split(";"):
            dbo.execute(statement)
        dbo.execute("ALTER SEQUENCE ran RESTART; ALTER SEQUENCE ran_as_superuser RESTART")
        owner.execute("ALTER TABLE session OWNER TO owner")

    return put


def ran_as_superuser(connection):
    return one(connection, "SELECT is_called FROM ran_as_superuser")


def refusal(connection, statement):
    """How a call went, as far as a trap is concerned."""
    try:
        connection.execute(statement)
    except errors.InsufficientPrivilege as error:
        return "refused" if error.diag.message_hint else "no hint"
    except errors.Error as error:
        return error.sqlstate
    return "done"


@pytest.mark.parametrize("trap", TRAPS)
def test_writes_are_refused_and_reads_go_on(database, owner, dbo, set_trap, trap):
    for name in READS | LOOKS | CHANGES:
        create_due(owner, name)
    create(owner, "expired")
    expires_in(owner, "expired", "-1 s")
    set_trap(TRAPS[trap])
    client, exempt = database.connect(APP), EXEMPT.get(trap, set())
    writes = {name: refusal(client, f"SELECT {call}".replace("%s", f"'{name}'")) for name, call in WRITES.items()}
    writes["gc"] = refusal(owner, "SELECT session_gc()")
    reads = {name: outcome(one, client, call.on(name)) for name, call in (READS | LOOKS).items()}
    counted = outcome(one, owner, "SELECT session_all()")
    assert not ran_as_superuser(dbo)
    assert {name: how for name, how in writes.items() if how != "refused" and name not in exempt} == {}
    refused = set() if DIRECT else {"42501"}  # which the planner might run
    wrong = {name for name, value in reads.items() if value != (READS | LOOKS)[name].value and value not in refused}
    assert not wrong or trap == "view"
    assert counted in ("42501", len(READS | LOOKS | CHANGES)) or exempt
    assert not any(has_slid(owner, name) for name in READS) or trap == "statistics"  # which a slide does not look at


@pytest.mark.parametrize("trap", TRIGGERS | {"index": EXPRESSIONS["index"], "rule": ELSEWHERE["rule"]})
def test_writes_work_again_when_it_is_gone_or_its_owner_has_the_table(database, owner, dbo, set_trap, trap):
    client = database.connect(APP)
    client.execute("SELECT session_put('s', '{}')")
    set_trap(TRAPS[trap])
    assert refusal(client, "SELECT session_put('s', '{\"k\": 0}')") == "refused"
    owner.execute(f"ALTER TABLE session OWNER TO {dbo.info.user}")
    assert refusal(client, "SELECT session_put('s', '{\"k\": 1}')") == ("no hint" if trap == "deferred" else "done")
    owner.execute("ALTER TABLE session OWNER TO owner; DROP FUNCTION note(), note(anyelement) CASCADE")
    assert refusal(client, "SELECT session_put('s', '{\"k\": 2}')") == "done"
    assert not ran_as_superuser(dbo)


def test_who_owns_the_code_is_asked_anew_when_it_changes(database, owner, dbo, set_trap):
    set_trap(TRIGGERS["before"])
    other = database.create_role("other")
    client, write = database.connect(APP), "SELECT session_put('s', jsonb_build_object('n', random()))"
    changes = {
        f"ALTER FUNCTION note() OWNER TO {other}": "refused",
        "ALTER FUNCTION note() OWNER TO owner": "done",
        f"ALTER FUNCTION note() OWNER TO {dbo.info.user}": "refused",
        f"ALTER ROLE {dbo.info.user} SUPERUSER": "done",
        f"ALTER ROLE {dbo.info.user} NOSUPERUSER": "refused",
        "ALTER TABLE session DISABLE TRIGGER t": "done",
        "ALTER TABLE session ENABLE REPLICA TRIGGER t": "refused",
        "ALTER TABLE session ENABLE ALWAYS TRIGGER t": "refused",
        "DROP TRIGGER t ON session": "done",
    }
    assert {change: (owner.execute(change), refusal(client, write))[1] for change in changes} == changes


def test_code_of_superusers_and_of_postgresql_itself_is_trusted(database, owner):
    create_due(owner, "s")
    for statement in [
        "CREATE TRIGGER t1 BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE TRIGGER t2 AFTER UPDATE ON session FOR EACH ROW EXECUTE FUNCTION quiet()",
        "CREATE INDEX ON session ((session_decode(session_data) ->> 'k'))",
        "ALTER TABLE session ADD CHECK (octet_length(session_data) < 10000)",
    ]:
        owner.execute(statement)
    client = database.connect(APP)
    assert one(client, "SELECT session_get('s')") == {"k": 1}
    assert has_slid(owner, "s")
    client.execute("SELECT session_set('s', 'k', '2'), session_create(), session_destroy('s')")


def test_foreign_keys_of_a_plain_role_act_with_its_own_rights(database, owner, dbo):
    create(owner, "s")
    dbo.execute("CREATE TABLE cart (session_key bytea REFERENCES session ON DELETE CASCADE ON UPDATE CASCADE)")
    dbo.execute("INSERT INTO cart SELECT session_key FROM session")
    dbo.execute("CREATE TRIGGER t BEFORE UPDATE OR DELETE ON cart FOR EACH ROW EXECUTE FUNCTION note()")
    owner.execute("ALTER TABLE session OWNER TO owner")
    client = database.connect(APP)
    assert one(client, "SELECT session_destroy(session_regenerate('s'))")
    assert dbo.execute("SELECT count(*) FROM cart").fetchone() == (0,)
    assert not ran_as_superuser(dbo)
    assert one(dbo, "SELECT last_value FROM ran") == 2


def test_a_restored_table_gives_nobody_superuser(server, database, owner, dbo):
    """Of a handed-over table, that is: ownership is not in the dump, the grants of the former owner are."""
    role = dbo.info.user
    for name in READS | CHANGES:
        create(owner, name)
    restored = server.create_database()
    try:
        dump_and_restore(database, restored, ["--format=custom"])
        restored.connect().execute(f"GRANT CREATE ON SCHEMA public TO {role}")
        client = restored.connect(APP)
        restored.connect(role).execute(
            f"""CREATE FUNCTION escalate() RETURNS trigger LANGUAGE plpgsql AS
                $do$ BEGIN EXECUTE 'ALTER ROLE {role} SUPERUSER'; RETURN coalesce(NEW, OLD); END $do$;
            CREATE TRIGGER escalate BEFORE {ANY} session FOR EACH ROW EXECUTE FUNCTION escalate()"""
        )
        writes = {name: refusal(client, f"SELECT {call}".replace("%s", f"'{name}'")) for name, call in WRITES.items()}
        assert not one(owner, "SELECT rolsuper FROM pg_roles WHERE rolname = %s", role)
        assert writes == dict.fromkeys(WRITES, "refused")
        assert {name: one(client, call.on(name)) for name, call in READS.items()} == {
            name: call.value for name, call in READS.items()
        }
        restored.connect().execute(f"ALTER TABLE session OWNER TO {role}")
        assert refusal(client, "SELECT session_create()") == "no hint", "it runs, as whom it belongs to"
    finally:
        owner.execute(f"ALTER ROLE {role} NOSUPERUSER")
        restored.drop()
