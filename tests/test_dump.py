"""What pg_dump keeps of the table when people have added something, and what a dump of parts has: docs/operations.md."""

import pytest
from conftest import APP, one
from keeping import dump_and_restore
from psycopg import errors

UPLOAD = """
    CREATE TABLE upload (
        session_key bytea NOT NULL REFERENCES session ON UPDATE CASCADE ON DELETE CASCADE, file text NOT NULL
    );
    CREATE INDEX ON upload (session_key);
    GRANT SELECT, INSERT ON upload TO app"""
ADDED = {
    "index": "CREATE INDEX added ON session (created_at)",
    "check": "ALTER TABLE session ADD CONSTRAINT added CHECK (version > 0)",
    "trigger": """CREATE TRIGGER added BEFORE UPDATE ON session
                  FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
    "rule": "CREATE RULE added AS ON DELETE TO session DO ALSO NOTIFY ended",
    "policy": "CREATE POLICY added ON session USING (true)",
    "statistics": "CREATE STATISTICS added ON lifetime, version FROM session",
    "default": "ALTER TABLE session ALTER lifetime SET DEFAULT 5",
    "storage parameter": "ALTER TABLE session SET (fillfactor = 50)",
    "comment": "COMMENT ON TABLE session IS 'mine'",
    "owner": "ALTER TABLE session OWNER TO app",
}
# What is different from a table as the extension makes it.
DESCRIBED = """
    SELECT ARRAY(SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = oid ORDER BY 1),
        ARRAY(SELECT conname FROM pg_constraint WHERE conrelid = pg_class.oid ORDER BY 1),
        ARRAY(SELECT tgname FROM pg_trigger WHERE tgrelid = pg_class.oid ORDER BY 1),
        ARRAY(SELECT rulename FROM pg_rewrite WHERE ev_class = pg_class.oid ORDER BY 1),
        ARRAY(SELECT polname FROM pg_policy WHERE polrelid = pg_class.oid ORDER BY 1),
        ARRAY(SELECT stxname FROM pg_statistic_ext WHERE stxrelid = pg_class.oid ORDER BY 1),
        ARRAY(SELECT adnum FROM pg_attrdef WHERE adrelid = pg_class.oid ORDER BY 1),
        reloptions, obj_description(oid, 'pg_class'), relowner::regrole::text
    FROM pg_class WHERE oid = 'session'::regclass"""


@pytest.fixture
def target(server):
    """Where a dump is restored."""
    target = server.create_database()
    yield target
    target.drop()


def restore(source, target, *options):
    dump_and_restore(source, target, ["--format=custom", *options])
    return target.connect()


def live(connection, schema="public"):
    return one(connection, f"SELECT {schema}.session_get('s')")


def test_a_table_that_references_sessions_comes_back_with_them(database, target):
    owner = database.connect()
    owner.execute(UPLOAD)
    owner.execute("""SELECT session_put('s', '{"a": 1}'); INSERT INTO upload VALUES (sha256('s'), 'photo.jpg')""")
    restored = restore(database, target)
    restored.execute("GRANT USAGE ON SCHEMA public TO app")
    app = target.connect(APP)
    of_session = "SELECT file FROM upload WHERE session_key = sha256(%s::text::bytea)"
    assert live(app) == {"a": 1}
    assert one(app, "SELECT session_regenerate('s', 'n')") == "n"
    assert one(app, of_session, "n") == "photo.jpg"
    assert one(app, "SELECT session_destroy('n')")
    assert one(app, "SELECT count(*) FROM upload") == 0


def test_without_the_sessions_the_rows_that_reference_them_must_stay_behind_too(database, target):
    owner = database.connect()
    owner.execute(UPLOAD)
    owner.execute("SELECT session_put('s', '{}'); INSERT INTO upload VALUES (sha256('s'), 'photo.jpg')")
    restored = restore(database, target, "--exclude-table-data=session", "--exclude-table-data=upload")
    assert one(restored, "SELECT count(*) FROM session") == one(restored, "SELECT count(*) FROM upload") == 0


def test_rows_that_reference_no_session_cannot_be_restored(database, target):
    owner = database.connect()
    owner.execute(UPLOAD)
    owner.execute("SELECT session_put('s', '{}'); INSERT INTO upload VALUES (sha256('s'), 'photo.jpg')")
    with pytest.raises(RuntimeError, match="upload_session_key_fkey"):
        restore(database, target, "--exclude-table-data=session")


@pytest.mark.parametrize("statement", ADDED.values(), ids=ADDED)
def test_what_is_added_to_the_table_itself_does_not_come_back(database, target, statement):
    owner = database.connect()
    as_made = owner.execute(DESCRIBED).fetchone()
    owner.execute("SELECT session_put('s', '{}')")
    owner.execute(statement)
    assert owner.execute(DESCRIBED).fetchone() != as_made
    restored = restore(database, target)
    assert restored.execute(DESCRIBED).fetchone() == as_made
    assert live(restored) == {}


def test_with_an_added_column_no_session_comes_back_unless_it_is_there_already(database, target):
    owner = database.connect()
    owner.execute("ALTER TABLE session ADD COLUMN tenant text")
    owner.execute("SELECT session_put('s', '{}')")
    with pytest.raises(RuntimeError, match='column "tenant" of relation "session" does not exist'):
        restore(database, target)
    connection = target.connect()
    assert one(connection, "SELECT count(*) FROM session") == 0
    connection.execute("ALTER TABLE session ADD COLUMN tenant text")
    assert live(restore(database, target)) == {}


def test_a_former_owner_keeps_privileges_and_the_restored_table_awaits_being_handed_over(database, target):
    owner = database.connect()
    owner.execute("SELECT session_put('s', '{}'); ALTER TABLE session OWNER TO app")
    restored = restore(database, target)
    restored.execute("GRANT CREATE ON SCHEMA public TO app")
    app = target.connect(APP)
    app.execute("CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    app.execute("CREATE TRIGGER theirs BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION theirs()")
    with pytest.raises(errors.InsufficientPrivilege):
        restored.execute("SELECT session_set('s', 'a', '1')")
    assert live(restored) == {}
    restored.execute("ALTER TABLE session OWNER TO app")
    restored.execute("SELECT session_set('s', 'a', '1')")
    assert live(restored) == {"a": 1}


@pytest.fixture
def with_parts(bare_database):
    """The extension in a schema of its own, and a table elsewhere."""
    owner = bare_database.connect()
    owner.execute("CREATE SCHEMA web; CREATE EXTENSION session_store SCHEMA web; CREATE TABLE account ()")
    owner.execute("SELECT web.session_put('s', '{}')")
    return bare_database


@pytest.mark.parametrize("options", [["-n", "web"], ["-t", "web.session"]], ids=" ".join)
def test_a_dump_of_its_schema_or_table_has_the_rows_only(with_parts, target, options):
    owner = target.connect()
    owner.execute("CREATE SCHEMA web" if "-t" in options else "SELECT")
    with pytest.raises(RuntimeError, match='relation "web.session" does not exist'):
        restore(with_parts, target, *options)
    owner.execute("DROP SCHEMA IF EXISTS web; CREATE SCHEMA web; CREATE EXTENSION session_store SCHEMA web")
    assert live(restore(with_parts, target, "-t", "web.session"), "web") == {}


@pytest.mark.parametrize("options", [["-n", "web"], ["-t", "web.session"]], ids=" ".join)
def test_a_dump_of_parts_can_include_the_extension(with_parts, target, options):
    target.connect().execute("CREATE SCHEMA web" if "-t" in options else "SELECT")
    assert live(restore(with_parts, target, "-e", "session_store", *options), "web") == {}


@pytest.mark.parametrize("options", [["-n", "public"], ["-t", "account"]], ids=" ".join)
def test_a_dump_of_other_parts_has_nothing_of_it(with_parts, target, options):
    target.connect().execute("DROP SCHEMA public CASCADE" if "-n" in options else "SELECT")
    restored = restore(with_parts, target, *options)
    assert one(restored, "SELECT to_regclass('account')") == "account"
    assert one(restored, "SELECT count(*) FROM pg_extension WHERE extname = 'session_store'") == 0


def test_a_dump_without_its_schema_has_the_extension_only(with_parts, target):
    with pytest.raises(RuntimeError, match='schema "web" does not exist'):
        restore(with_parts, target, "-N", "web")
    target.connect().execute("CREATE SCHEMA web")
    assert one(restore(with_parts, target, "-N", "web"), "SELECT count(*) FROM web.session") == 0
