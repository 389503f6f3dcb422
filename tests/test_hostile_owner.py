"""The owner of the table may be a plain role (ALTER TABLE session OWNER TO …). What it puts on the table acts with its
own rights: neither the sweeper, which is superuser, nor whoever calls has anything to fear from it."""

import pytest
from conftest import APP, EXTENDED, Server, one, wait_until
from psycopg import errors
from sweeping import EVERY_SECOND, add_expired, create_template, expired, stats, wait_until_swept

# note() writes down who runs it, and tries to become more than that. The planner computes an immutable function.
NOTE = """
    CREATE TABLE noted (trap text, who name, application text DEFAULT current_setting('application_name'));
    GRANT ALL ON noted TO PUBLIC;
    CREATE FUNCTION write_down(trap text) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.noted VALUES (trap, current_user);
        SET ROLE owner;
        ALTER ROLE keeper SUPERUSER;
        RETURN 1;
    EXCEPTION WHEN insufficient_privilege OR invalid_parameter_value THEN
        INSERT INTO public.noted VALUES (trap, current_user);
        RETURN 1;
    END $$;
    CREATE FUNCTION note(trap text, value bigint DEFAULT 1) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        'BEGIN RETURN public.write_down(trap); END';
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM public.note(TG_ARGV[0]); RETURN coalesce(NEW, OLD); END'"""

EVENT = "INSERT OR UPDATE OR DELETE ON session"
ON_A_DELETE = {
    "before": f"CREATE TRIGGER t1 BEFORE {EVENT} FOR EACH ROW EXECUTE FUNCTION note('before')",
    "after": f"CREATE TRIGGER t2 AFTER {EVENT} FOR EACH ROW EXECUTE FUNCTION note('after')",
    "statement": f"CREATE TRIGGER t3 AFTER {EVENT} EXECUTE FUNCTION note('statement')",
    "constraint": f"CREATE CONSTRAINT TRIGGER t4 AFTER {EVENT} FOR EACH ROW EXECUTE FUNCTION note('constraint')",
    "when": f"CREATE TRIGGER t5 AFTER {EVENT} FOR EACH ROW WHEN (note('when') = 0) EXECUTE FUNCTION note('never')",
    "constant": "CREATE INDEX ON session (note('constant'))",
    "rule": "CREATE RULE r AS ON DELETE TO session DO ALSO SELECT note('rule', 2)",
}
ON_A_CHANGE = ON_A_DELETE | {
    "expression": "CREATE INDEX ON session (note('expression', version))",
    "predicate": "CREATE INDEX ON session (version) WHERE note('predicate', version) > 0",
    "default": "ALTER TABLE session ADD extra int DEFAULT note('default')",
    "generated": "ALTER TABLE session ADD extra int GENERATED ALWAYS AS (note('generated', version)) STORED",
    "check": "ALTER TABLE session ADD CHECK (note('check', version) > 0)",
    "view": """ALTER TABLE session RENAME TO real;
        CREATE VIEW session AS SELECT *, ctid FROM real WHERE note('view') > 0""",
    "partition": """ALTER TABLE session RENAME CONSTRAINT session_key TO old; ALTER TABLE session RENAME TO real;
        CREATE TABLE session (LIKE real, CONSTRAINT session_key PRIMARY KEY (session_key)) PARTITION BY HASH (session_key);
        CREATE TABLE part PARTITION OF session (CHECK (note('partition', version) > 0)) FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        INSERT INTO session SELECT * FROM real""",
}  # fmt: skip

SWEEPER = "session_store"  # its application_name
CREATING = ["session_read('new')", "session_start()"]  # by INSERT ON CONFLICT, which no view takes
NOT_FOR_ALL = ["session_all()", "session_gc()"]
CALLS = [
    "session_put('s', '{}')", "session_set('s', 'k', '1')", "session_get('s')", "session_touch('s', '2 h')",
    "session_regenerate('s', 'u')", "session_regenerate('u', 's')", *CREATING, "session_destroy('new')", *NOT_FOR_ALL,
]  # fmt: skip


@pytest.fixture(scope="module")
def cluster():
    """Sweeps every second, once a call has been made."""
    cluster = Server(**EVERY_SECOND).start()
    cluster.create_roles()
    create_template(cluster)
    with cluster.connect() as owner:
        owner.execute("CREATE ROLE keeper LOGIN")
    yield cluster
    cluster.stop("immediate")


@pytest.fixture
def database(cluster):
    database = cluster.create_database(template=EXTENDED)
    yield database
    database.drop()


@pytest.fixture
def owner(database):
    """The superuser who handed the table to keeper."""
    owner = database.connect()
    owner.execute("GRANT ALL ON SCHEMA public TO keeper; ALTER TABLE session OWNER TO keeper")
    owner.execute("SELECT session_create('{}', 's')")
    return owner


@pytest.fixture
def keeper(database, owner):
    keeper = database.connect("keeper")
    keeper.execute(NOTE)
    return keeper


def who_ran(keeper, trap=None, application=None):
    assert not one(keeper, "SELECT rolsuper FROM pg_roles WHERE rolname = 'keeper'"), "keeper has become superuser"
    query = """SELECT array_agg(DISTINCT who::text) FROM noted
        WHERE coalesce(trap = %s, true) AND coalesce(application = %s, true)"""
    return one(keeper, query, trap, application)


# In calls


@pytest.mark.parametrize("trap", ON_A_CHANGE)
def test_what_the_owner_puts_on_the_table_runs_as_the_owner_whoever_calls(database, owner, keeper, trap):
    for statement in ON_A_CHANGE[trap].split(";"):
        keeper.execute(statement)
    keeper.execute("TRUNCATE noted")
    for client in owner, database.connect(APP):
        for call in CALLS:
            if call in NOT_FOR_ALL and client is not owner or call in CREATING and trap == "view":
                continue
            client.execute(f"SELECT {call}")
            assert one(client, "SELECT current_user") == client.info.user
    assert who_ran(owner, trap) == ["keeper"]
    assert who_ran(owner) == ["keeper"]


def test_row_security_of_the_owner_is_not_even_asked(database, owner, keeper):
    keeper.execute("ALTER TABLE session ENABLE ROW LEVEL SECURITY; ALTER TABLE session FORCE ROW LEVEL SECURITY")
    keeper.execute("CREATE POLICY p ON session USING (note('policy') > 1) WITH CHECK (note('policy') > 1)")
    keeper.execute("TRUNCATE noted")
    for call in CALLS:
        owner.execute(f"SELECT {call}")
    add_expired(owner, 3)
    wait_until_swept(owner)
    assert who_ran(owner) is None


def test_a_foreign_table_in_place_of_the_table_is_an_error_of_its_own(database, owner, keeper):
    owner.execute("CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing")
    owner.execute("ALTER TABLE session RENAME TO real; CREATE FOREIGN TABLE session () INHERITS (real) SERVER nowhere")
    for call in "session_get('s')", "session_set('s', 'k', '1')", "session_gc()":
        with pytest.raises(errors.ObjectNotInPrerequisiteState):
            owner.execute(f"SELECT {call}")
    owner.execute("DROP FOREIGN TABLE session; ALTER TABLE real RENAME TO session")
    assert one(owner, "SELECT session_get('s')") == {}


# What acts later, with the rights of whoever is there then

LATER = {
    "deferred trigger": f"""CREATE CONSTRAINT TRIGGER t AFTER {EVENT} INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION note('deferred')""",
    "temporary table": "CREATE TEMPORARY TABLE orders (id int)",
    "cursor": "DECLARE c CURSOR WITH HOLD FOR SELECT note('cursor')",
    "prepared statement": "PREPARE p AS SELECT note('prepared')",
    "role": "SET ROLE owner",
    "session authorization": "SET SESSION AUTHORIZATION owner",
}


def set_trap(keeper, statement):
    if "TRIGGER" not in statement:
        keeper.execute(f"""
            CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS
                $do$ BEGIN EXECUTE $${statement}$$; RETURN coalesce(NEW, OLD); END $do$""")
        statement = f"CREATE TRIGGER t BEFORE {EVENT} FOR EACH ROW EXECUTE FUNCTION act()"
    keeper.execute(statement)
    keeper.execute("TRUNCATE noted")


@pytest.mark.parametrize("later", LATER)
def test_what_would_act_later_as_somebody_else_is_refused(owner, keeper, later):
    set_trap(keeper, LATER[later])
    with pytest.raises(errors.InsufficientPrivilege):
        owner.execute("SELECT session_set('s', 'k', '1')")
    assert who_ran(owner) in (None, ["keeper"])
    keeper.execute("DROP TRIGGER t ON session")
    owner.execute("SELECT session_set('s', 'k', '1')")


def test_a_setting_that_the_owner_changes_in_a_call_ends_with_it(owner, keeper):
    set_trap(keeper, "SET search_path = hostile; SET session_store.max_lifetime = 1")
    before = one(owner, "SHOW search_path")
    owner.execute("BEGIN; SET LOCAL work_mem = '3MB'; SELECT session_set('s', 'k', '1'); SAVEPOINT a")
    owner.execute("SELECT session_set('s', 'k', '2'); ROLLBACK TO a")
    assert (one(owner, "SHOW work_mem"), one(owner, "SHOW search_path")) == ("3MB", before)
    owner.execute("COMMIT")
    assert one(owner, "SHOW search_path") == before
    assert one(owner, "SHOW session_store.max_lifetime") == "1h"


def test_foreign_keys_work_and_deferred_ones_where_the_owner_is_superuser(database, owner, keeper):
    keeper.execute("CREATE TABLE cart (session_key bytea REFERENCES session ON DELETE CASCADE)")
    keeper.execute("INSERT INTO cart SELECT session_key FROM session")
    database.connect(APP).execute("SELECT session_destroy('s')")
    assert one(owner, "SELECT count(*) FROM cart") == 0
    owner.execute("ALTER TABLE session OWNER TO owner")
    owner.execute("CREATE TABLE strict (session_key bytea REFERENCES session DEFERRABLE INITIALLY DEFERRED)")
    owner.execute("SELECT session_create('{}', 's'); INSERT INTO strict SELECT session_key FROM session")
    with pytest.raises(errors.ForeignKeyViolation):
        owner.execute("SELECT session_destroy('s')")


# Sweeps

LONG = pytest.mark.long


def test_what_the_owner_puts_on_the_table_runs_as_the_owner_in_a_sweep(keeper):
    for statement in ON_A_DELETE.values():
        keeper.execute(statement)
    keeper.execute("TRUNCATE noted")
    add_expired(keeper, 3)  # not as superuser, who would already fall for the index that the planner computes
    wait_until_swept(keeper)
    for trap in ON_A_DELETE:
        assert who_ran(keeper, trap, SWEEPER) == ["keeper"], trap
    assert who_ran(keeper) == ["keeper"]


@pytest.mark.parametrize("later", ["deferred trigger", pytest.param("temporary table", marks=LONG), pytest.param("role", marks=LONG)])
def test_what_would_act_later_as_the_superuser_fails_the_sweep(cluster, owner, keeper, later):
    add_expired(owner, 3)
    wait_until_swept(owner)
    set_trap(keeper, LATER[later])
    mark = len(cluster.log_text())
    keeper.execute("ALTER TABLE session DISABLE TRIGGER USER")
    add_expired(owner, 3)
    keeper.execute("ALTER TABLE session ENABLE TRIGGER USER")
    wait_until(lambda: stats(owner).last_error)
    assert "within security-" in stats(owner).last_error
    assert expired(owner) == 3
    assert who_ran(owner) in (None, ["keeper"])
    keeper.execute("DROP TRIGGER t ON session")
    wait_until_swept(owner)
    assert "sweeping failed: cannot" in cluster.log_text(mark)


def test_the_figures_of_sweeps_are_kept_although_their_table_is_not_the_owners(owner, keeper):
    before = stats(owner).total_rows
    add_expired(owner, 3)
    wait_until(lambda: stats(owner).total_rows == before + 3)
    assert stats(owner).last_error is None


def test_commands_in_a_sweep_fire_event_triggers_as_the_owner(owner, keeper):
    owner.execute("""
        CREATE FUNCTION public.note_command() RETURNS event_trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM public.write_down(tg_tag); END';
        CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION note_command()""")
    keeper.execute("ALTER TABLE session ADD made text")
    set_trap(keeper, "CREATE TABLE IF NOT EXISTS public.made (id int)")
    keeper.execute("DROP TRIGGER t ON session; CREATE TRIGGER t BEFORE DELETE ON session EXECUTE FUNCTION act()")
    keeper.execute("TRUNCATE noted")
    add_expired(owner, 3)
    wait_until_swept(owner)
    assert who_ran(owner, "CREATE TABLE") == ["keeper"]
    owner.execute("DROP EVENT TRIGGER e")


# Columns that are not what they were

WRONG = {
    "an address of a row": """ALTER TABLE session RENAME TO real;
        CREATE VIEW session AS SELECT *, 77::bigint AS ctid FROM real""",
    "content in a view": """ALTER TABLE session RENAME TO real; CREATE VIEW session AS SELECT session_key, session_expiry,
        created_at, version, lifetime, deadline, principal, 77::bigint AS session_data FROM real""",
    "content": """ALTER TABLE session RENAME TO real; CREATE TABLE session (LIKE real INCLUDING ALL);
        ALTER TABLE session ALTER session_data TYPE bigint USING 77""",
    "key": """ALTER TABLE session RENAME TO real; CREATE TABLE session (LIKE real INCLUDING ALL);
        ALTER TABLE session DROP CONSTRAINT session_session_key_check;
        ALTER TABLE session ALTER session_key TYPE "char" USING 'a'""",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_columns_of_other_types_are_an_error_and_never_a_crash(cluster, database, owner, keeper, wrong):
    client = database.connect(APP)
    client.execute("SELECT session_get('s'), session_set('s', 'k', '1')")
    mark = len(cluster.log_text())
    for statement in WRONG[wrong].split(";"):
        keeper.execute(statement)
    for call in "session_get('s')", "session_set('s', 'k', '1')", "session_destroy('s')", "session_start('s')":
        with pytest.raises(errors.DatatypeMismatch) as refused:
            client.execute(f"SELECT {call}")
        assert "not those of extension session_store" in refused.value.diag.message_primary
    if wrong == "an address of a row":  # which only sweeps read
        wait_until(lambda: "sweeping failed: the columns" in cluster.log_text(mark))
    keeper.execute(f"DROP {'VIEW' if 'VIEW' in WRONG[wrong] else 'TABLE'} session; ALTER TABLE real RENAME TO session")
    assert one(client, "SELECT session_get('s')") == {"k": 1}
    assert "signal 11" not in cluster.log_text(mark)
