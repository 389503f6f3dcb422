"""Sessions that have to survive a dump, an upgrade or a change of the server's version, and what to compare."""

import psycopg
from conftest import expires_in

# All that a client can know of them, by their ids; what came with a later version is NULL.
LOAD = "SELECT jsonb_strip_nulls(to_jsonb(load)) FROM unnest('{live,raw,expired,renewed}'::text[]) sid, session_load(sid, false) load ORDER BY sid"


def fill(owner, schema="public"):
    """Three live sessions, one with all that a session can have, and one that is expired."""
    owner.execute(f"SET search_path = {schema}")
    owner.execute("""SELECT session_create('{"cart": [1.50, "é"]}', 'live', '2 h', '2100-01-01')""")
    owner.execute("SELECT session_set('live', 'n', '1')")
    owner.execute(r"SELECT session_create_raw('\x00ff', 'raw', '0')")
    if owner.execute("SELECT to_regproc('session_bind')").fetchone()[0]:
        owner.execute("""SELECT session_bind('live', 'alice', '{"device": "laptop"}')""")
    else:
        owner.execute("UPDATE session SET principal = 'alice' WHERE session_key = sha256('live')")
    owner.execute("SELECT session_create('{}', 'expired')")
    expires_in(owner, "expired", "-1 s")
    # The id of before a renewal, where the version can keep it alive.
    owner.execute("SELECT session_create('{}', 'renewed')")
    if owner.execute("SELECT to_regclass('session_moved')").fetchone()[0]:
        owner.execute("SELECT session_regenerate('renewed', grace => '5 min')")
    owner.execute("UPDATE session_sweep SET sweeps = 7, total_rows = 70")


def rows(owner, schema="public"):
    """The table, as it is stored."""
    return owner.execute(f"SELECT jsonb_strip_nulls(to_jsonb(session)) FROM {schema}.session ORDER BY session_key").fetchall()


def dump_and_restore(source, target, options):
    """By the programs of the server that the database comes to, as PostgreSQL recommends."""
    server, dump = target.server, target.server.directory / "dump"
    server.run("pg_dump", *options, f"--file={dump}", f"--dbname={conninfo(source)}")
    if "--format=custom" in options:
        server.run("pg_restore", "--exit-on-error", f"--dbname={conninfo(target)}", dump)
    else:
        done = target.psql(dump.read_text(), arguments=("-X", "-q", "-v", "ON_ERROR_STOP=1"))
        assert done.returncode == 0, done.stdout


def conninfo(database):
    return psycopg.conninfo.make_conninfo(**database.address())
