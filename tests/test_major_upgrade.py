"""From one major version of PostgreSQL to another, by pg_dump and by pg_upgrade."""

import os
import re
from pathlib import Path

import pytest
from conftest import APP, OWNER, Database, Server, one
from described import assert_same, described
from keeping import LOAD, dump_and_restore, fill, rows
from psycopg import errors
from sweeping import EVERY_SECOND, PRELOADED, STARTED, add_expired, apply, wait_until_swept
from test_upgrade import RELEASED, install_scripts

OLD_PG_BIN = Path(os.environ.get("SESSION_STORE_OLD_PG_BIN", "/nowhere"))
CHECKED = ["--data-checksums"]  # both or none, and the default is not the same everywhere
# Without these, which pg_upgrade does not carry over, it means the same.
NO_MORE_THAN_DEFAULT = re.compile(rf"initial privileges: table .* \{{{OWNER}=arwdDxtm?/{OWNER}\}}")

pytestmark = pytest.mark.skipif(
    not OLD_PG_BIN.is_dir(), reason="takes two majors: ./pg_test.sh --pg 18 --upgrade-from 15"
)


@pytest.fixture
def old(new_server):
    """A server of the old version."""
    install_scripts(OLD_PG_BIN)
    return new_server(bin=OLD_PG_BIN, initdb=CHECKED)


def filled(cluster, schema="public", which=""):
    database = cluster.create_database("shop")
    owner = database.connect()
    owner.execute(f"""
        CREATE SCHEMA IF NOT EXISTS {schema};
        CREATE EXTENSION session_store SCHEMA {schema} {which};
        GRANT USAGE ON SCHEMA {schema} TO {APP}""")
    fill(owner, schema)
    owner.execute(f"GRANT EXECUTE ON FUNCTION session_gc(bigint) TO {APP}")
    return database


def check(database, before, stored, schema="public"):
    """All sessions are there, the application can use them, and its grants are what they were."""
    owner, client = database.connect(), database.connect(APP)
    assert rows(owner, schema) == stored
    client.execute(f"SET search_path = {schema}")
    assert client.execute(LOAD).fetchall() == before
    client.execute("SELECT session_set('live', 'n', '2')")
    assert client.execute("SELECT session_get('live', 'n'), session_gc()").fetchone() == (2, 1)
    with pytest.raises(errors.InsufficientPrivilege):
        client.execute("SELECT session_all()")
    with pytest.raises(errors.InsufficientPrivilege):
        client.execute("SELECT * FROM session")


def check_catalog(database, schema="public"):
    """The extension is what it would be if it had been created here."""
    fresh = database.server.create_database()
    created = fresh.connect()
    created.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION session_store SCHEMA {schema}")
    created.execute(f"GRANT EXECUTE ON FUNCTION {schema}.session_gc(bigint) TO {APP}")
    lines, wanted = (
        [line for line in described(owner) if not NO_MORE_THAN_DEFAULT.match(line)]
        for owner in (database.connect(), created)
    )
    assert_same(lines, wanted, "upgraded")
    fresh.drop()


def test_the_servers_are_of_different_versions(old, server):
    versions = [one(cluster.connect(), "SHOW server_version_num") for cluster in (old, server)]
    assert int(versions[0]) // 10000 < int(versions[1]) // 10000


@pytest.mark.parametrize("schema", ["public", "web"])
@pytest.mark.parametrize("options", [["--format=plain"], ["--format=custom"]], ids=["plain", "custom"])
def test_dump_and_restore(server, old, schema, options):
    source, target = filled(old, schema), server.create_database()
    owner = source.connect()
    owner.execute(f"SET search_path = {schema}")
    before, stored = owner.execute(LOAD).fetchall(), rows(owner, schema)
    assert len(before) == 3
    dump_and_restore(source, target, options)
    check(target, before, stored, schema)
    check_catalog(target, schema)
    # The statistics of sweeps begin anew.
    assert target.connect().execute(f"SELECT sweeps, total_rows FROM {schema}.session_sweep").fetchall() == [(0, 0)]
    target.drop()


def suit(owner, server):
    """Takes out of a database what the builds of the servers do not have in common, whatever is in it.

    A server without lz4 cannot take over a column that is compressed with it. And 15.20 writes a number among the
    options of every column of every table, which the pg_upgrade of an 18 that is older than it, such as 18.6, takes for
    an option that it should set, and fails.
    """
    methods = one(server.connect(), "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
    if "lz4" not in methods:
        owner.execute("ALTER TABLE session ALTER session_data SET COMPRESSION default")
    owner.execute("SET allow_system_table_mods = on")
    owner.execute("""
        UPDATE pg_attribute SET attoptions = (
            SELECT array_agg(option) FROM unnest(attoptions) AS option WHERE option NOT LIKE 'pg_attver=%')
        WHERE attoptions IS NOT NULL""")


@pytest.mark.parametrize("settings", [{}, PRELOADED], ids=["not preloaded", "preloaded"])
@pytest.mark.parametrize("version", [None, *RELEASED], ids=lambda version: version or "newest")
def test_pg_upgrade(server, old, settings, version):
    source = filled(old, which=f"VERSION '{version}'" if version else "")
    owner = source.connect()
    before, stored = owner.execute(LOAD).fetchall(), rows(owner)
    assert len(before) == 3
    suit(owner, server)
    old.stop()
    # The servers that pg_upgrade starts would sweep, and tell of it.
    settings = settings | EVERY_SECOND | {"log_min_messages": "debug1"}
    old.configure(**settings)
    new = Server(initdb=CHECKED, **settings)
    new.run("pg_upgrade", "--retain", "-b", old.bin, "-B", new.bin, "-d", old.data, "-D", new.data, "-U", OWNER)
    logs = [log.read_text() for log in new.data.glob("pg_upgrade_output.d/*/log/pg_upgrade_server.log")]
    assert "starting PostgreSQL" in logs[0] and not STARTED.search(logs[0])

    new.configure(session_store__gc_interval="0")
    new.start()
    try:
        database = Database(new, "shop")
        owner = database.connect()
        assert owner.execute("SELECT sweeps, total_rows FROM session_sweep").fetchall() == [(7, 70)]
        check(database, before, stored)
        owner.execute("ALTER EXTENSION session_store UPDATE")
        check_catalog(database)
        add_expired(owner, 3)
        apply(new, **EVERY_SECOND)
        database.connect(APP).execute("SELECT session_create()")
        wait_until_swept(owner)
    finally:
        new.stop("immediate")
