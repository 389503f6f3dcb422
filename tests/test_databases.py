"""Several databases, encodings, schemas; dump and restore; coming and going of the extension under live connections."""

import pytest
from conftest import APP, OWNER, one
from keeping import LOAD, dump_and_restore, fill, rows
from psycopg import errors


def test_two_databases_of_a_cluster_are_independent(server, database):
    other = server.create_database(template="extended")
    here, there = database.connect(APP), other.connect(APP)
    here.execute("""SELECT session_create('{"here": 1}', 's')""")
    assert one(there, "SELECT session_get('s')") is None
    there.execute("""SELECT session_create('{"there": 1}', 's')""")
    here.execute("SELECT session_destroy('s')")
    assert one(there, "SELECT session_get('s')") == {"there": 1}
    other.drop()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_a_database_that_is_not_utf8_is_refused(server, encoding):
    database = server.create_database(options=f"ENCODING '{encoding}' TEMPLATE template0")
    with pytest.raises(errors.FeatureNotSupported) as refused:
        database.connect(client_encoding="utf8").execute("CREATE EXTENSION session_store")
    diag = refused.value.diag
    assert diag.message_primary == "extension session_store needs a database in encoding UTF8"
    assert diag.message_detail == f"This database has encoding {encoding}."
    assert "TEMPLATE template0" in diag.message_hint
    database.drop()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_client_of_another_encoding_gets_text_in_its_own(database, encoding):
    client = database.connect(APP, client_encoding=encoding)
    client.execute(r"""SELECT session_create('{"name": "\u00e9"}', 's')""")
    get = "SELECT (session_get('s') ->> 'name')::text"
    received = client.execute(get).pgresult.get_value(0, 0)
    assert received == "é".encode("latin1" if encoding == "LATIN1" else "utf8")


@pytest.mark.parametrize("schema", ["public", "web", '"We b"'])
@pytest.mark.parametrize("options", [["--format=plain"], ["--format=custom"], ["--format=plain", "--inserts"]])
def test_dump_and_restore_keep_the_sessions(server, bare_database, options, schema):
    owner = bare_database.connect()
    owner.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION session_store SCHEMA {schema}")
    fill(owner, schema)
    before = owner.execute(LOAD).fetchall()
    assert len(before) == 3
    stored = rows(owner, schema)
    restored = server.create_database()
    dump_and_restore(bare_database, restored, options)
    connection, new_owner = restored.connect(APP), restored.connect()
    assert rows(new_owner, schema) == stored
    assert new_owner.execute(f"SELECT sweeps, total_rows FROM {schema}.session_sweep").fetchall() == [(0, 0)]
    new_owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO app")
    connection.execute(f"SET search_path = {schema}")
    assert connection.execute(LOAD).fetchall() == before
    connection.execute("SELECT session_set('live', 'n', '2')")
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute("SELECT session_all()")
    restored.drop()


CATALOGS = [
    "pg_class", "pg_proc", "pg_type", "pg_attribute", "pg_constraint", "pg_index", "pg_depend", "pg_description",
    "pg_rewrite", "pg_init_privs", "pg_extension", "pg_trigger", "pg_namespace", "pg_default_acl",
]  # fmt: skip


def test_drop_extension_removes_everything(bare_database):
    owner = bare_database.connect()

    def count():
        return {catalog: one(owner, f"SELECT count(*) FROM {catalog}") for catalog in CATALOGS}

    before = count()
    owner.execute("CREATE EXTENSION session_store")
    owner.execute("SELECT session_create(), session_start('s')")
    assert count() != before
    owner.execute("DROP EXTENSION session_store")
    assert count() == before


def test_kept_plans_follow_the_extension_to_another_schema(database):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create('{}', 's')")
    life = "SELECT {0}.session_get('s'), {0}.session_set('s', 'a', '1'), {0}.session_exist('s')"
    client.execute(life.format("public"))
    owner.execute("DROP EXTENSION session_store; CREATE SCHEMA web; GRANT USAGE ON SCHEMA web TO app")
    with pytest.raises(errors.UndefinedFunction):
        client.execute(life.format("public"))
    owner.execute("CREATE EXTENSION session_store SCHEMA web")
    assert one(client, "SELECT web.session_get('s')") is None
    client.execute("SELECT web.session_create('{}', 's')")
    assert client.execute(life.format("web")).fetchone()[2] is True
    owner.execute("DROP EXTENSION session_store; CREATE EXTENSION session_store SCHEMA web")
    client.execute("SELECT web.session_create('{}', 's')")
    assert client.execute(life.format("web")).fetchone()[2] is True


@pytest.mark.parametrize("in_transaction", [False, True])
def test_kept_plans_follow_a_schema_that_another_connection_renames(bare_database, in_transaction):
    owner, client = bare_database.connect(), bare_database.connect(APP)
    owner.execute("CREATE SCHEMA web; GRANT USAGE ON SCHEMA web TO app; CREATE EXTENSION session_store SCHEMA web")
    life = "SELECT {0}.session_set('s', 'a', '1'), {0}.session_touch('s', '2 h'), {0}.session_get('s')"
    client.execute("SELECT web.session_create('{}', 's')")
    client.execute(life.format("web"))
    if in_transaction:
        client.execute("BEGIN")
        client.execute(life.format("web"))
    owner.execute("ALTER SCHEMA web RENAME TO shop")
    assert client.execute(life.format("shop")).fetchone()[2] == {"a": 1}
    if in_transaction:
        client.execute("COMMIT")
    owner.execute("CREATE SCHEMA web; CREATE TABLE web.session (a int)")  # in the old place, to be left alone
    assert one(client, "SELECT shop.session_get('s')") == {"a": 1}


def test_a_new_owner_of_the_table_is_the_one_whose_rights_count(database):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create('{}', 's')")
    owner.execute("DROP ROLE IF EXISTS keeper; CREATE ROLE keeper; GRANT USAGE ON SCHEMA public TO keeper")
    owner.execute("ALTER TABLE session OWNER TO keeper")
    client.execute("SELECT session_set('s', 'a', '1')")
    owner.execute("REVOKE ALL ON session FROM keeper")
    with pytest.raises(errors.InsufficientPrivilege):
        client.execute("SELECT session_set('s', 'a', '2')")
    owner.execute("GRANT ALL ON session TO keeper")
    assert one(client, "SELECT session_get('s')") == {"a": 1}
    owner.execute(f"ALTER TABLE session OWNER TO {OWNER}; DROP OWNED BY keeper; DROP ROLE keeper")


# Settings of a database or a role


@pytest.fixture
def landlord(server, database):
    """A connection of a role that owns the database and is no superuser."""
    owner = database.connect()
    owner.execute("CREATE ROLE landlord LOGIN")
    owner.execute(f"ALTER DATABASE {database.name} OWNER TO landlord")
    yield database.connect("landlord")
    owner.execute(f"ALTER DATABASE {database.name} OWNER TO {OWNER}; DROP ROLE landlord")


def lifetime_of_a_new_session(database):
    return str(one(database.connect(APP), "SELECT lifetime FROM session_load(session_create())"))


def test_the_owner_of_a_database_sets_its_lifetime_after_any_call_of_ours(database, landlord):
    setting = f"ALTER DATABASE {database.name} SET session_store.max_lifetime = '2 h'"
    with pytest.raises(errors.InsufficientPrivilege):
        landlord.execute(setting)
    landlord.execute("SELECT session_new_id()")
    landlord.execute(setting)
    assert lifetime_of_a_new_session(database) == "2:00:00"


def test_a_role_has_a_lifetime_of_its_own(database):
    owner = database.connect()
    owner.execute(f"ALTER ROLE {APP} IN DATABASE {database.name} SET session_store.max_lifetime = '3 h'")
    assert lifetime_of_a_new_session(database) == "3:00:00"
    assert one(owner, "SELECT lifetime FROM session_load(session_create())").total_seconds() == 3600


@pytest.mark.parametrize("setting", ["absolute_lifetime", "expiry_granularity", "max_size"])
def test_limits_are_for_superusers(database, landlord, setting):
    landlord.execute("SELECT session_new_id()")
    for statement in ("SET", f"ALTER DATABASE {database.name} SET"):
        with pytest.raises(errors.InsufficientPrivilege):
            landlord.execute(f"{statement} session_store.{setting} = 1")


def test_a_misspelt_setting_is_refused_once_the_library_is_loaded(database):
    client = database.connect(APP)
    client.execute("SELECT session_new_id()")
    with pytest.raises(errors.InvalidName):
        client.execute("SET session_store.max_lifetim = '1 h'")


def test_the_view_and_a_dump_work_before_the_library_is_loaded(database):
    database.connect().execute("""SELECT session_create('{"a": 1}')""")
    fresh = database.connect()
    with pytest.raises(errors.UndefinedObject):
        fresh.execute("SHOW session_store.max_lifetime")
    assert one(fresh, "SELECT data FROM session_live") == {"a": 1}


def test_instances_that_all_create_the_extension_when_they_start(bare_database):
    """With the lock that docs/install.md shows; without it all but one would fail."""
    at_start = """
        BEGIN;
        SELECT pg_advisory_xact_lock(hashtext('session_store'));
        CREATE EXTENSION IF NOT EXISTS session_store;
        COMMIT;
        SELECT length(session_create())"""
    connections = [bare_database.connect() for _ in range(8)]
    starts = [bare_database.begin(connection, at_start) for connection in connections]
    assert all(start.exception(timeout=60) is None for start in starts)
    assert [one(connection, "SELECT session_all()") for connection in connections] == [8] * 8
    plain = bare_database.connect(APP)
    plain.execute("CREATE EXTENSION IF NOT EXISTS session_store")  # needs no privilege where it is there
