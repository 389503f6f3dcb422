"""ALTER EXTENSION session_store UPDATE from every released version, and the library on a schema not yet updated.

The install scripts of the released versions are in sql/released.
"""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import APP, PG_BIN, THREADS, one
from described import assert_same, described
from keeping import LOAD, fill, rows
from psycopg import errors
from sweeping import EVERY_SECOND, add_expired, add_live, expired, live, stats, wait_for_sweeps, wait_until_swept
from test_golden import TOPICS, check_topic, marked
from test_table import life

ROOT = Path(__file__).parent.parent
SCRIPTS = {path.stem.removeprefix("session_store--"): path for path in (ROOT / "sql/released").glob("*.sql")}
RELEASED = sorted(SCRIPTS)

# Golden tests that call what released versions did not have before their schema is updated, or that create the newest one.
NEWER = {"arguments", "catalog", "damaged", "expired", "grace", "manager", "pop", "principals", "privilege_matrix", "privileges", "schema", "view"}


def install_scripts(bin=PG_BIN):
    share = subprocess.run([bin / "pg_config", "--sharedir"], capture_output=True, text=True, check=True).stdout.strip()
    for script in SCRIPTS.values():
        shutil.copy(script, f"{share}/extension")


@pytest.fixture(scope="module", params=RELEASED)
def version(request):
    install_scripts()
    return request.param


@pytest.fixture(scope="module")
def old_template(server, version):
    """A template database that has the extension as that version made it."""
    template = server.create_database("extended_" + version)
    template.connect().execute(f"CREATE EXTENSION session_store VERSION '{version}'").connection.close()
    yield template
    template.drop()


@pytest.fixture
def old_database(server, old_template):
    database = server.create_database(template=f'"{old_template.name}"')
    yield database
    database.drop()


# What was released


def test_released_scripts_are_not_edited():
    listed = {}
    for line in (ROOT / "sql/released/SHA256SUMS").read_text().splitlines():
        checksum, name = line.split("  ")
        listed[name] = checksum
    for name, checksum in listed.items():
        assert hashlib.sha256((ROOT / "sql/released" / name).read_bytes()).hexdigest() == checksum, name
    assert {script.name for script in SCRIPTS.values()} == {name for name in listed if "/" not in name}


def test_the_script_of_every_version_in_the_changelog_is_kept():
    dated = re.findall(r"^## \[(.+)\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert sorted(dated) == RELEASED


# The update


@pytest.mark.parametrize("schema", ["public", '"We b"'])
def test_an_update_ends_with_a_fresh_install_and_all_sessions(server, version, bare_database, schema):
    fresh = server.create_database()
    for database, which in (fresh, ""), (bare_database, f"VERSION '{version}'"):
        database.connect().execute(f"""
            CREATE SCHEMA IF NOT EXISTS {schema};
            CREATE EXTENSION session_store SCHEMA {schema} {which};
            GRANT USAGE ON SCHEMA {schema} TO app""")
    owner, client = bare_database.connect(), bare_database.connect(APP)
    fill(owner, schema)
    client.execute(f"SET search_path = {schema}")
    client.execute("SELECT session_create(jsonb_build_object('text', repeat('x', 100000)), 'large')")  # compressed
    before, stored = client.execute(LOAD).fetchall(), rows(owner, schema)
    assert len(before) == 3

    owner.execute("ALTER EXTENSION session_store UPDATE")
    assert_same(described(owner), described(fresh.connect()), "updated")
    assert rows(owner, schema) == stored
    for connection in client, bare_database.connect(APP):
        connection.execute(f"SET search_path = {schema}")
        assert connection.execute(LOAD).fetchall() == before
        assert one(connection, "SELECT session_get('large', 'text')") == "x" * 100000
    client.execute("SELECT session_set('live', 'n', '2'), session_destroy('raw')")
    fresh.drop()


def test_requests_go_on_during_an_update(old_database):
    owner = old_database.connect()
    owner.execute("SELECT session_create('{}', 's')")
    clients = [old_database.connect(APP, prepare_threshold=0) for _ in range(4)]
    is_updated = []

    def requests(number):
        done = after = 0
        while after < 20:
            after += bool(is_updated)
            clients[number].execute("SELECT session_set('s', %s, to_jsonb(%s))", (f"key{number}", done))
            assert one(clients[number], "SELECT session_get('s', %s)", f"key{number}") == done
            sid = one(clients[number], "SELECT sid FROM session_start()")
            assert one(clients[number], "SELECT session_destroy(session_regenerate(%s))", sid)
            done += 1
        return done

    running = [THREADS.submit(requests, number) for number in range(len(clients))]
    try:
        while one(owner, "SELECT count(*) FROM jsonb_object_keys(session_get('s'))") < len(clients):
            pass
        owner.execute("ALTER EXTENSION session_store UPDATE")
    finally:
        is_updated.append(True)
    last = {f"key{number}": run.result(timeout=60) - 1 for number, run in enumerate(running)}
    assert one(owner, "SELECT session_get('s')") == last


def test_an_update_that_is_rolled_back_leaves_the_old_version(old_database, version):
    owner = old_database.connect()
    before = described(owner)
    owner.execute("BEGIN; ALTER EXTENSION session_store UPDATE; SELECT session_create(); ROLLBACK")
    assert_same(described(owner), before, "rolled back")
    assert one(owner, "SELECT session_exist(session_create())")


def test_another_table_of_a_name_that_came_later_is_left_alone(old_database):
    """Neither its rows nor its columns mean anything to the new library, and the update asks for the name."""
    owner = old_database.connect()
    planter = old_database.connect(old_database.create_role("planter"))
    owner.execute("SELECT session_create('{\"k\": 1}', 'mine')")
    for columns in "moved_key, session_key, created_at, moved_at, valid_until", "moved_key":
        planter.execute(f"""
            CREATE TABLE session_moved AS SELECT {columns} FROM (VALUES (sha256('unknown'), sha256('mine'), now(), now(), 'infinity'::timestamptz))
            AS planted (moved_key, session_key, created_at, moved_at, valid_until)""")
        with old_database.connect(APP) as client:
            assert client.execute("SELECT session_get('unknown'), session_exist('unknown')").fetchone() == (None, False)
            assert one(client, "SELECT sid FROM session_start('unknown')") != "unknown"
            assert one(client, "SELECT session_create('{}', 'unknown')") == "unknown"
            assert one(client, "SELECT session_destroy('unknown')")
        with pytest.raises(errors.DuplicateTable) as refused:
            owner.execute("ALTER EXTENSION session_store UPDATE")
        assert "Rename" in refused.value.diag.message_hint
        planter.execute("DROP TABLE session_moved")
    owner.execute("ALTER EXTENSION session_store UPDATE")


def test_whoever_has_the_sessions_can_dump_them_after_the_update(old_database):
    keeper = old_database.create_role("keeper")
    old_database.connect().execute(f"ALTER TABLE session OWNER TO {keeper}; ALTER EXTENSION session_store UPDATE")
    old_database.server.run("pg_dump", "--data-only", "--table=session*", f"--dbname={old_database.uri()}", f"--role={keeper}")
    with old_database.connect(APP) as client:
        client.execute("SELECT session_create('{\"k\": 1}', 's'), session_regenerate('s', 'n', '1 min')")
        assert one(client, "SELECT session_get('s', 'k')") == 1


# Functions that were replaced


def test_grants_are_kept_and_go_into_a_dump(old_database):
    owner = old_database.connect()
    keeper = old_database.create_role("keeper")
    odd = f'"100 % of {old_database.name}"'
    owner.execute(f"""
        CREATE ROLE {odd};
        GRANT EXECUTE ON FUNCTION session_merge(text, jsonb, text[]) TO {odd};
        REVOKE EXECUTE ON FUNCTION session_read(text) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION session_read(text) TO app WITH GRANT OPTION;
        GRANT EXECUTE ON FUNCTION session_merge(text, jsonb, text[]) TO {keeper};
        ALTER FUNCTION session_start(text, interval, timestamptz) OWNER TO {keeper}""")
    owner.execute("ALTER EXTENSION session_store UPDATE")

    def may(role, function):
        return one(owner, "SELECT bool_and(has_function_privilege(%s, oid, 'EXECUTE')) FROM pg_proc WHERE proname = %s",
                   role, function)  # fmt: skip

    assert may(odd.strip('"'), "session_merge")
    assert may(APP, "session_read") and not may(keeper, "session_read") and may(keeper, "session_merge")
    assert one(owner, "SELECT has_function_privilege('app', oid, 'EXECUTE WITH GRANT OPTION') FROM pg_proc WHERE proname = 'session_read'")
    assert one(owner, "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'session_start'") == keeper
    dump = old_database.server.run("pg_dump", "--schema-only", old_database.uri()).stdout
    assert re.search("REVOKE ALL ON FUNCTION public.session_read.* FROM PUBLIC", dump)
    assert re.search("GRANT ALL ON FUNCTION public.session_read.* TO app WITH GRANT OPTION", dump)
    owner.execute(f"DROP OWNED BY {odd}; DROP ROLE {odd}")


def test_other_functions_of_these_names_are_left_alone(old_database):
    owner = old_database.connect()
    keeper = old_database.create_role("keeper")
    planter = old_database.connect(keeper)
    for name in "session_start", "session_fetch", "session_read", "session_regenerate", "session_merge":
        planter.execute(f"CREATE FUNCTION {name}(boolean) RETURNS text SECURITY DEFINER RETURN current_user")
    owner.execute("REVOKE EXECUTE ON FUNCTION session_read(text) FROM PUBLIC")
    owner.execute("ALTER EXTENSION session_store UPDATE")
    assert one(planter, "SELECT session_merge(true)") == one(planter, "SELECT session_read(true)") == keeper
    kept = "SELECT has_function_privilege('app', 'session_read(text, interval, timestamptz)', 'EXECUTE')"
    assert one(owner, kept) is False


def test_default_privileges_of_the_database_neither_give_nor_take(old_database):
    owner = old_database.connect()
    keeper = old_database.create_role("keeper")
    owner.execute(f"""
        GRANT EXECUTE ON FUNCTION session_merge(text, jsonb, text[]) TO app;
        ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO {keeper};
        REVOKE EXECUTE ON FUNCTION session_regenerate(text, text) FROM PUBLIC""")
    owner.execute("ALTER EXTENSION session_store UPDATE")
    may = "SELECT array_agg(proname::text ORDER BY proname) FROM pg_proc WHERE proname = ANY (%s) AND has_function_privilege(%s, oid, 'EXECUTE')"
    replaced = ["session_merge", "session_read", "session_regenerate", "session_start"]
    assert one(owner, may, replaced, keeper) == ["session_merge", "session_read", "session_start"]
    assert one(owner, may, replaced, APP) == ["session_merge", "session_read", "session_start"]
    owner.execute(f"""
        ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE EXECUTE ON FUNCTIONS FROM {keeper}""")


def test_what_depends_on_them_makes_the_update_fail_with_a_hint(old_database):
    owner = old_database.connect()
    owner.execute("CREATE VIEW visitors AS SELECT * FROM session_start()")
    before = described(owner)
    with pytest.raises(errors.DependentObjectsStillExist) as refused:
        owner.execute("ALTER EXTENSION session_store UPDATE")
    assert "Drop what depends on it, update" in refused.value.diag.message_hint
    assert "view visitors" in refused.value.diag.message_detail
    assert_same(described(owner), before, "refused")
    owner.execute("DROP VIEW visitors; ALTER EXTENSION session_store UPDATE")


SIGNATURES = """
    SELECT prosrc, concat_ws(' ', proretset, pronargs, proargtypes::regtype[],
        coalesce(proallargtypes::regtype[]::text, (
            SELECT array_agg(type ORDER BY place)::regtype[]::text FROM (
                SELECT type, ordinality - 100 AS place FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS a (type)
                UNION ALL SELECT atttypid, attnum FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0
            ) AS columns)),
        CASE WHEN typrelid = 0 THEN prorettype::regtype END)
    FROM pg_proc JOIN pg_type AS t ON t.oid = prorettype JOIN pg_depend ON objid = pg_proc.oid AND deptype = 'e'
    WHERE probin IS NOT NULL"""


def test_what_depends_on_the_column_makes_the_update_fail_with_a_hint(old_database):
    owner = old_database.connect()
    owner.execute("CREATE VIEW mine AS SELECT principal FROM session")
    with pytest.raises(errors.FeatureNotSupported) as refused:
        owner.execute("ALTER EXTENSION session_store UPDATE")
    assert "Drop what depends on it" in refused.value.diag.message_hint
    owner.execute("DROP VIEW mine; ALTER EXTENSION session_store UPDATE")


def test_columns_of_a_name_that_came_later_are_left_alone(old_database):
    owner = old_database.connect()
    owner.execute("""ALTER TABLE session ADD COLUMN handle text, ADD COLUMN attributes jsonb DEFAULT '{"mine": 1}'""")
    with old_database.connect(APP) as client:
        client.execute("SELECT session_create('{}', 's'), session_set('s', 'k', '1'), session_regenerate('s', 'n')")
        assert one(client, "SELECT session_get('n', 'k')") == 1
    assert one(owner, "SELECT attributes FROM session") == {"mine": 1}


def test_a_symbol_never_gets_other_arguments_or_another_result(database, old_database):
    """A backend that still runs the old library may meet the new catalog: what it does not have is an error there."""
    old, new = (dict(any.connect().execute(SIGNATURES).fetchall()) for any in (old_database, database))
    kept = old.keys() & new.keys()
    assert len(kept) > 15
    record = lambda signature: signature.replace(" record", "")  # noqa: E731
    assert {symbol: record(old[symbol]) for symbol in kept} == {symbol: record(new[symbol]) for symbol in kept}


# Before the update


@pytest.mark.parametrize(
    "version, topic",
    [
        pytest.param(version, topic, marks=marked(topic))
        for version in RELEASED
        for topic in TOPICS
        if topic not in NEWER
    ],
    indirect=["version"],
)
def test_golden_before_the_update(old_database, version, topic):
    check_topic(old_database, topic)


def test_a_session_lives_before_and_after_the_update(old_database):
    owner, client = old_database.connect(), old_database.connect(APP)
    for sid in "before", "after":
        client.execute("""SELECT session_create('{"a": 1}', %s)""", (sid,))
    life(client, "before")
    owner.execute("ALTER EXTENSION session_store UPDATE")
    life(client, "after")


def test_sweeps_and_their_statistics_before_and_after_the_update(new_server, version):
    cluster = new_server(**EVERY_SECOND)
    database = cluster.create_database()
    owner = database.connect()
    owner.execute(f"CREATE EXTENSION session_store VERSION '{version}'")
    add_live(owner, 5)
    for round in 1, 2:
        add_expired(owner, 10)
        owner.execute("SELECT session_create()")
        wait_until_swept(owner)
        wait_for_sweeps(owner, 1)
        assert stats(owner).total_rows == 10 * round
        assert stats(owner).launcher_running and stats(owner).last_error is None
        owner.execute("ALTER EXTENSION session_store UPDATE")
    assert (live(owner), expired(owner)) == (5, 0)


# The comparison

CHANGES = {
    "a function's cost": "ALTER FUNCTION session_get(text) COST 5",
    "a function's rows": "ALTER FUNCTION session_load(text, boolean) ROWS 7",
    "a function's strictness": "ALTER FUNCTION session_get(text) STRICT",
    "a function's volatility": "ALTER FUNCTION session_decode(bytea) STABLE",
    "a function's settings": "ALTER FUNCTION session_all() SET work_mem = '1MB'",
    "a function's symbol": """
        CREATE OR REPLACE FUNCTION session_new_id() RETURNS text LANGUAGE c PARALLEL SAFE
        AS '$libdir/session_store', 'session_get_wrapper'""",
    "a default": """
        CREATE OR REPLACE FUNCTION session_touch(sid text, lifetime interval = '1 s', deadline timestamptz = NULL)
        RETURNS timestamptz LANGUAGE c AS '$libdir/session_store', 'session_touch_wrapper'""",
    "a function's owner": "ALTER FUNCTION session_get(text) OWNER TO app",
    "a function's grants": "GRANT EXECUTE ON FUNCTION session_all() TO PUBLIC",
    "a function's comment": "COMMENT ON FUNCTION session_all() IS 'x'",
    "a function too many": "CREATE FUNCTION f() RETURNS int RETURN 1; ALTER EXTENSION session_store ADD FUNCTION f()",
    "a function too few": "ALTER EXTENSION session_store DROP FUNCTION session_init(interval)",
    "a column": "ALTER TABLE session ADD COLUMN note text",
    "a column's default": "ALTER TABLE session ALTER lifetime SET DEFAULT 0",
    "a column's storage": "ALTER TABLE session ALTER session_data SET STORAGE EXTERNAL",
    "a column's comment": "COMMENT ON COLUMN session.version IS NULL",
    "a table's options": "ALTER TABLE session SET (fillfactor = 80)",
    "a toast table's options": "ALTER TABLE session SET (toast.autovacuum_enabled = false)",
    "a table's grants": "GRANT SELECT ON session TO app",
    "a column's grants": "GRANT SELECT (version) ON session TO app",
    "row security": "ALTER TABLE session ENABLE ROW LEVEL SECURITY",
    "a constraint": "ALTER TABLE session ADD CHECK (version > 0)",
    "a constraint's name": "ALTER TABLE session RENAME CONSTRAINT session_lifetime_check TO x",
    "an index": "DROP INDEX session_principal",
    "an index's options": "ALTER INDEX session_expiry SET (deduplicate_items = off)",
    "an index's columns": "DROP INDEX session_expiry; CREATE INDEX session_expiry ON session (session_expiry, version)",
    "a trigger": """
        CREATE TRIGGER t BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
    "a view": "CREATE OR REPLACE VIEW session_live AS SELECT *, 1 AS one FROM session_live",
    "a view's grants": "REVOKE SELECT ON session_store_stats FROM pg_monitor",
    "what a dump includes": "UPDATE pg_extension SET extconfig = NULL, extcondition = NULL WHERE extconfig IS NOT NULL",
    "initial privileges": "DELETE FROM pg_init_privs WHERE objoid = 'session_store_stats'::regclass",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_comparison_sees(database, change):
    owner = database.connect()
    before = described(owner)
    owner.execute(change)
    assert described(owner) != before


def test_the_comparison_sees_no_difference_where_there_is_none(server, database):
    other = server.create_database(template="template0")
    other.connect().execute("CREATE EXTENSION session_store")
    assert described(other.connect()) == described(database.connect())
    other.drop()
