"""A role that may call the functions gets no further than their results, whatever it sets, shadows, locks or asks for."""

import base64
import hashlib

import psycopg
import pytest
from conftest import APP, OWNER, expires_in, is_past, one
from psycopg import errors
from sweeping import EVERY_SECOND, PRELOADED, add_expired, extend, stats, wait_until_swept

LIMITS = {
    "session_store.absolute_lifetime": "2h",
    "session_store.expiry_granularity": "30s",
    "session_store.max_size": "2kB",
}
STEERING = {"session_store.gc_interval": "1h", "session_store.gc_batch_size": "77"}


@pytest.fixture
def owner(database):
    return database.connect()


@pytest.fixture
def client(database):
    return database.connect(APP)


# Settings


@pytest.mark.parametrize("preload", [{}, PRELOADED], ids=["loaded by a call", "preloaded"])
def test_a_strangers_settings_bend_no_limit_whenever_they_are_made(new_server, preload):
    """Before the library is loaded nobody knows its settings, and everybody may set them."""
    cluster = new_server(**LIMITS | STEERING | preload)
    database, owner = extend(cluster)

    def in_force(client):
        client.execute("SELECT session_new_id()")
        return {name: one(client, f"SHOW {name}") for name in LIMITS | STEERING}

    for name in LIMITS | STEERING:
        for statement in f"SET {name} = 5", f"SET LOCAL {name} = 5", f"SELECT set_config('{name}', '5', false)":
            client = database.connect(APP, autocommit=False)
            try:
                client.execute(statement)
            except (errors.InsufficientPrivilege, errors.CantChangeRuntimeParam):
                assert preload
                continue
            assert in_force(client) == LIMITS | STEERING
            client.commit()
            assert in_force(client) == LIMITS | STEERING
    # What is in a connection's options would stay when it is refused later, in place of what is configured.
    for name in LIMITS:
        with pytest.raises(psycopg.Error) as refused:
            in_force(database.connect(APP, options=f"-c {name}=5"))
        assert f'permission denied to set parameter "{name}"' in str(refused.value)
    allowed = database.connect(APP, options="-c session_store.max_lifetime=5 -c session_store.strict=on")
    assert in_force(allowed) == LIMITS | STEERING
    assert one(allowed, "SHOW session_store.max_lifetime") == "5s"
    superuser = database.connect(options="-c session_store.absolute_lifetime=1d")
    assert in_force(superuser)["session_store.absolute_lifetime"] == "1d"
    client = database.connect(APP)
    for statement in f"ALTER ROLE {APP} SET", f"ALTER ROLE {APP} IN DATABASE {database.name} SET", "ALTER SYSTEM SET":
        with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedObject)):
            client.execute(f"{statement} session_store.max_size = 5")
    # And they hold: this one counts for everybody.
    client.execute("SELECT session_create('{}', 's', '1 d')")
    assert one(client, "SELECT expires_at <= created_at + interval '2 h' FROM session_load('s')")
    with pytest.raises(errors.ProgramLimitExceeded):
        client.execute("SELECT session_set('s', 'k', to_jsonb(repeat('x', 3000)))")


def test_what_a_stranger_may_set_concerns_its_own_new_sessions_alone(database, owner, client):
    client.execute("SELECT session_new_id()")
    for setting in "max_lifetime = '1s'", "strict = on":
        client.execute(f"ALTER ROLE {APP} IN DATABASE {database.name} SET session_store.{setting}")
    owner.execute("SELECT session_create('{}', 's')")
    stranger = database.connect(APP)
    stranger.execute("SELECT session_touch('s'), session_get('s')")
    assert one(owner, "SELECT lifetime FROM session_load('s')").total_seconds() == 3600
    assert one(owner, "SELECT session_read('new')") == {}
    assert one(stranger, "SELECT session_read('other')") is None


def test_the_right_to_set_a_limit_can_be_granted(database, owner, client):
    owner.execute(f"SELECT session_new_id(); GRANT SET ON PARAMETER session_store.max_size TO {APP}")
    try:
        client.execute("SET session_store.max_size = 5")  # also before the library is loaded
        client.execute("SELECT session_new_id()")
        assert one(client, "SHOW session_store.max_size") == "5B"
        client.execute("SET session_store.max_size = 7")
        with pytest.raises(errors.ProgramLimitExceeded):
            client.execute("""SELECT session_create('{"too": "large"}')""")
    finally:
        owner.execute(f"REVOKE SET ON PARAMETER session_store.max_size FROM {APP}")


# Names

LIFE = [
    ("SELECT public.session_put('s', '{}') IS NULL", False),
    ("SELECT public.session_set('s', 'k', '1') IS NULL", False),
    ("SELECT public.session_get('s', 'k')::pg_catalog.text", "1"),
    ("SELECT public.session_regenerate('s', 't')", "t"),
    ("SELECT is_new FROM public.session_start('t')", False),
    ("SELECT public.session_destroy('t')", True),
    ("SELECT public.session_exist('t')", False),
]


def test_what_a_stranger_puts_into_its_temporary_schema_is_not_found(client):
    """Types and relations there come first even where search_path does not name it; functions and operators by it."""
    for name in "bytea", "timestamptz", "int4", "int8", "text", "tid", "interval":
        client.execute(f'CREATE DOMAIN pg_temp."{name}" AS pg_catalog.int4 CHECK (false)')
    for name in "session", "session_live", "pg_locks", "pg_extension", "session_key":
        client.execute(f"CREATE TEMPORARY TABLE {name} (a pg_catalog.int4)")
    client.execute("""
        CREATE FUNCTION pg_temp.trap(pg_catalog.bytea, pg_catalog.bytea) RETURNS pg_catalog.bool LANGUAGE plpgsql
            AS 'BEGIN RAISE $$trapped$$; END';
        CREATE OPERATOR pg_temp.= (LEFTARG = pg_catalog.bytea, RIGHTARG = pg_catalog.bytea, FUNCTION = pg_temp.trap);
        CREATE FUNCTION pg_temp.statement_timestamp() RETURNS pg_catalog.timestamptz LANGUAGE plpgsql
            AS 'BEGIN RAISE $$trapped$$; END';
        CREATE CAST (pg_temp.session AS pg_catalog.bytea) WITH INOUT AS IMPLICIT""")
    for path in "pg_temp, public, pg_catalog", "''", "pg_catalog, public":
        client.execute(f"SET search_path = {path}")
        for call, value in LIFE:
            assert one(client, call) == value


@pytest.mark.parametrize("role", ["an operator", "an aggregate", "a cast", "a default"])
def test_a_call_by_another_name_is_the_same_call(owner, client, role):
    """Where PostgreSQL, and not a statement, names the function."""
    owner.execute("SELECT session_create('{\"k\": 1}', 's')")
    owner.execute(f"GRANT CREATE ON SCHEMA public TO {APP}")
    if role == "an operator":
        client.execute("CREATE OPERATOR public.#> (LEFTARG = text, RIGHTARG = text, FUNCTION = session_get)")
        assert one(client, "SELECT 's'::text OPERATOR(public.#>) 'k'::text") == 1
    elif role == "an aggregate":
        client.execute("CREATE AGGREGATE renew(text, interval, boolean) (SFUNC = session_regenerate, STYPE = text, INITCOND = 's')")
        assert one(client, "SELECT renew(sid, '0', true ORDER BY sid) FROM unnest('{t,u,v}'::text[]) AS sid") == "v"
        assert one(client, "SELECT session_get('v', 'k')") == 1
    elif role == "a cast":
        client.execute("CREATE DOMAIN public.sid AS text; CREATE TYPE public.cookie AS (sid text)")
        client.execute("CREATE FUNCTION public.load(cookie) RETURNS jsonb RETURN session_get(($1).sid)")
        client.execute("CREATE CAST (cookie AS jsonb) WITH FUNCTION public.load(cookie)")
        assert one(client, "SELECT ROW('s')::public.cookie::jsonb") == {"k": 1}
    else:
        client.execute("CREATE TABLE visit (sid text DEFAULT session_create('{\"k\": 2}'), n int)")
        sid = one(client, "INSERT INTO visit (n) VALUES (1) RETURNING sid")
        assert one(client, "SELECT session_get(%s, 'k')", sid) == 2


# Whom a call acts as


def test_the_caller_is_itself_again_within_a_function_of_a_superuser(owner, client):
    owner.execute(f"""
        CREATE FUNCTION trusted(sid text) RETURNS name[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
        DECLARE who name[] := ARRAY[current_user];
        BEGIN
            PERFORM public.session_set(sid, 'k', '1');
            who := who || current_user;
            BEGIN
                PERFORM public.session_set('nobody', 'k', '1');
            EXCEPTION WHEN no_data_found THEN
                who := who || current_user;
            END;
            RETURN who;
        END $$;
        CREATE FUNCTION lowered(sid text) RETURNS jsonb SECURITY DEFINER RETURN session_get(sid);
        ALTER FUNCTION lowered OWNER TO {APP}""")
    client.execute("SELECT session_create('{}', 's')")
    assert one(client, "SELECT trusted('s')") == [OWNER] * 3
    assert one(client, "SELECT current_user") == APP
    assert one(owner, "SELECT lowered('s')") == {"k": 1}
    assert one(owner, "SELECT current_user") == OWNER


@pytest.mark.parametrize("change", ["SET ROLE app", "SET SESSION AUTHORIZATION app"])
def test_a_transaction_that_changes_its_role_slides_all_the_same(owner, change):
    owner.execute("SELECT session_create('{}', 'a'), session_create('{}', 'b')")
    for sid in "a", "b":
        expires_in(owner, sid, "1 min")
    owner.execute(f"BEGIN; SELECT session_get('a'); {change}; SELECT session_get('b')")
    with pytest.raises(errors.InsufficientPrivilege):
        owner.execute("SAVEPOINT s; SELECT FROM session")
    owner.execute("ROLLBACK TO s; COMMIT")
    assert one(owner, "SELECT current_user") == APP
    owner.execute("RESET ROLE; RESET SESSION AUTHORIZATION")
    assert one(owner, "SELECT bool_and(session_expiry > now() + interval '59 min') FROM session")


def test_a_prepared_statement_and_a_cursor_follow_the_role(owner):
    owner.execute("SELECT session_create('{\"k\": 1}', 's')")
    owner.execute("PREPARE by_function AS SELECT session_get('s'); PREPARE by_table AS SELECT FROM session")
    owner.execute("EXECUTE by_function; EXECUTE by_table")
    owner.execute(f"SET ROLE {APP}")
    assert one(owner, "EXECUTE by_function") == {"k": 1}
    with pytest.raises(errors.InsufficientPrivilege):
        owner.execute("EXECUTE by_table")
    owner.execute("RESET ROLE; BEGIN; DECLARE c CURSOR FOR SELECT session_get('s'), current_user")
    owner.execute(f"SET ROLE {APP}")
    assert owner.execute("FETCH c").fetchone() == ({"k": 1}, APP)
    owner.execute("COMMIT")


def test_parallel_workers_have_the_library_and_no_more_rights(server, database, owner):
    forced = "debug_parallel_query" if one(owner, "SHOW server_version_num") >= "160000" else "force_parallel_mode"
    owner.execute("CREATE TABLE copy AS SELECT '\\xa1616b01'::bytea AS data FROM generate_series(1, 1000)")
    owner.execute(f"GRANT SELECT ON copy TO {APP}")
    client = database.connect(APP, options=f"-c {forced}=on -c parallel_setup_cost=0 -c min_parallel_table_scan_size=0")
    client.execute("SELECT session_create('{\"k\": 1}', 's')")
    query = "SELECT count(session_decode(data)), count(DISTINCT session_new_id()) FROM copy"
    assert "Gather" in str(client.execute(f"EXPLAIN {query}").fetchall())
    assert client.execute(query).fetchone() == (1000, 1000)
    # What touches the table is for the leader alone.
    query = "SELECT sum((session_get('s', 'k'))::int) FROM copy"
    assert "Gather" not in str(client.execute(f"EXPLAIN {query}").fetchall())
    assert one(client, query) == 1000


def test_event_triggers_see_the_extension_come_and_go_and_can_refuse_it(bare_database):
    owner = bare_database.connect()
    owner.execute("""
        CREATE TABLE seen (tag text, who name);
        CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO public.seen VALUES (tg_tag, current_user);
            IF current_setting('test.refuse', true) = 'yes' THEN RAISE 'refused'; END IF;
            IF to_regproc('public.session_put') IS NOT NULL THEN PERFORM public.session_put('ddl', '{}'); END IF;
        END $$;
        CREATE EVENT TRIGGER see ON ddl_command_end EXECUTE FUNCTION see();
        SET test.refuse = yes""")
    with pytest.raises(errors.RaiseException):
        owner.execute("CREATE EXTENSION session_store")
    assert one(owner, "SELECT count(*) FROM pg_extension WHERE extname = 'session_store'") == 0
    owner.execute("SET test.refuse = no; CREATE EXTENSION session_store")
    owner.execute("ALTER TABLE session SET (fillfactor = 80)")
    assert one(owner, "SELECT session_exist('ddl')")
    assert one(owner, "SELECT count(*) FROM seen WHERE tag = 'CREATE EXTENSION'") == 1
    owner.execute("DROP EXTENSION session_store")


# What the table shows


def test_what_the_table_shows_is_no_session_id(owner, client):
    client.execute("SELECT session_create('{\"k\": 1}', 'secret')")
    digest = hashlib.sha256(b"secret").digest()
    key, handle = one(owner, "SELECT session_key FROM session"), one(owner, "SELECT session_key FROM session_live")
    assert (key, handle) == (digest, digest.hex())
    spellings = [digest.hex(), digest.hex().upper(), f"\\x{digest.hex()}", base64.b64encode(digest).decode(),
        base64.urlsafe_b64encode(digest).decode().rstrip("="), hashlib.sha256(digest).hexdigest()]  # fmt: skip
    for sid in spellings:
        assert one(client, "SELECT session_get(%s)", sid) is None
        assert one(client, "SELECT session_load(%s)", sid) is None
        assert one(client, "SELECT session_exist(%s)", sid) is False
        assert one(client, "SELECT session_destroy(%s)", sid) is False
        assert one(client, "SELECT session_touch(%s)", sid) is None
        assert one(client, "SELECT is_new AND sid <> %s FROM session_start(%s)", sid, sid)
        with pytest.raises(errors.NoDataFound):
            client.execute("SELECT session_set(%s, 'k', '2')", (sid,))
        new = one(client, "SELECT session_regenerate(%s)", sid)
        assert one(client, "SELECT session_get(%s)", new) == {}
    assert one(client, "SELECT session_get(convert_from(%s, 'LATIN1'))", digest) is None
    assert one(client, "SELECT session_get('secret')") == {"k": 1}


# Locks

BEACONS = [
    "pg_advisory_lock(1936028531, 0)", "pg_advisory_lock(1936028531, 1)", "pg_advisory_lock_shared(1936028531, 0)",
    "pg_advisory_lock(1936028531, oid::int) FROM pg_database WHERE datname = current_database()",
    "pg_advisory_lock(1936028531::bigint << 32)", "pg_advisory_xact_lock(1936028531, 3)",
    "pg_advisory_lock((1936028531::bigint << 32) + oid::int) FROM pg_database",
]  # fmt: skip


def test_no_lock_of_sql_is_taken_for_a_launcher_or_keeps_one_away(database, owner, new_server):
    client = database.connect(APP)
    for lock in BEACONS:
        client.execute(f"SELECT {lock}")
    owner.execute("SELECT session_create()")
    assert not stats(owner).launcher_running
    cluster = new_server(**EVERY_SECOND)
    swept = cluster.create_database()
    client = swept.connect(APP)
    for lock in BEACONS:
        client.execute(f"SELECT {lock}")
    owner = swept.connect()
    owner.execute("CREATE EXTENSION session_store")
    add_expired(owner, 3)
    owner.execute("SELECT session_create()")
    wait_until_swept(owner)
    assert stats(owner).launcher_running


@pytest.mark.parametrize("lock", ["LOCK TABLE session IN ACCESS SHARE MODE", "SELECT FROM session FOR KEY SHARE"])
def test_a_stranger_cannot_lock_the_table_or_its_rows(client, lock):
    client.execute("BEGIN; SELECT session_create('{}', 's')")
    with pytest.raises(errors.InsufficientPrivilege):
        client.execute(lock)


def test_a_session_kept_locked_harms_its_own_writers_alone(database, owner, client):
    client.execute("SELECT session_create('{}', 'mine'), session_create('{}', 'other')")
    client.execute("BEGIN; SELECT session_set('mine', 'k', '1')")
    other = database.connect(APP)
    assert database.promptly(other, "SELECT session_set('other', 'k', '1') > 0")
    assert database.promptly(other, "SELECT session_get('mine')") == {}
    assert database.promptly(other, "SELECT session_start('mine')")
    expires_in(owner, "other", "-1 s")
    assert is_past(owner, "other")
    assert database.promptly(owner, "SELECT session_gc()") == 1
    client.execute("ROLLBACK")
