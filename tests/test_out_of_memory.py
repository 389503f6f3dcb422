"""Memory that cannot be had is 53200 and nothing else: the connection, and with it the server, lives on.

A backend's address space is limited to more than it has and less than a call takes, step by step, so that now this
and now that request for memory is the first to be refused.
"""

import re

import psycopg
import pytest
from conftest import EXTENDED, LONG, one

MB = 1024 * 1024
STEPS = 100 if LONG else 10

KEYS = 300_000
ITEMS = 16 * MB - 8  # small integers, each a byte in the table and twelve in a jsonb
DOCUMENTS = {
    "small": """SELECT '{"k": 1}'::jsonb""",
    "keys": f"SELECT jsonb_object_agg('key' || n, n) FROM generate_series(1, {KEYS}) n",
    "text": f"SELECT jsonb_build_object('k', repeat('x', {15 * MB}))",
    "numbers": """SELECT jsonb_build_object('k', jsonb_agg(('-' || repeat('7', 100000 + n) || '.5')::jsonb))
        FROM generate_series(1, 20) n""",
}
STORED = {
    "items": b"\xa1\x61k\x9a" + ITEMS.to_bytes(4, "big") + bytes(ITEMS),
    "foreign": b"\xba" + KEYS.to_bytes(4, "big") + b"".join(b"\x66%06d\x01" % n for n in range(KEYS, 0, -1)),
}
PAYLOAD = 16 * MB - 5

# Each for some of the sessions above.
READS = {
    "SELECT session_get('SID') IS NOT NULL": ["keys", "items", "foreign"],
    "SELECT session_get('SID', 'k') IS NOT NULL": ["items", "numbers"],
    "SELECT version FROM session_start('SID')": ["keys"],
    "SELECT version FROM session_load('SID')": ["items", "payload"],
    "SELECT version FROM session_fetch('SID')": ["keys", "items", "numbers", "payload"],
    "SELECT session_read('SID') IS NOT NULL": ["text"],
    "SELECT session_exist('SID')": ["payload"],
    "SELECT data IS NOT NULL FROM session_live WHERE session_key = encode(sha256('SID'), 'hex')": ["items"],
}
WRITES = {
    "SELECT session_touch('SID', '2h')": ["payload"],
    "SELECT session_set('SID', 'new', '1')": ["keys", "foreign"],
    "SELECT session_set('small', 'k', document) FROM given WHERE name = 'SID'": ["keys", "text", "numbers"],
    "SELECT session_merge('small', document) FROM given WHERE name = 'SID'": ["keys", "text"],
    "SELECT session_merge('SID', '{}', keys) FROM removed": ["keys", "foreign"],
    "SELECT session_delete('SID', 'k')": ["items"],
    "SELECT session_flush('SID')": ["payload"],
    "SELECT session_release('payload', document) FROM given WHERE name = 'SID'": ["keys", "text"],
    "SELECT session_put('small', document) FROM given WHERE name = 'SID'": ["keys", "text"],
    "SELECT session_put('unknown', document) FROM given WHERE name = 'SID'": ["keys"],
    "SELECT session_create(document) FROM given WHERE name = 'SID'": ["text"],
    "SELECT session_create_raw(payload) FROM given WHERE name = 'SID'": ["payload"],
    "SELECT session_release_raw('keys', payload) FROM given WHERE name = 'SID'": ["payload"],
    "SELECT session_put_raw('small', payload) FROM given WHERE name = 'SID'": ["payload"],
    "SELECT session_regenerate('SID')": ["payload"],
    "SELECT session_destroy('SID')": ["payload"],
}


@pytest.fixture(scope="module")
def database(server):
    database = server.create_database(template=EXTENDED)
    with database.connect() as owner:
        owner.execute(f"ALTER DATABASE {database.name} SET session_store.max_size = '16MB'")
        # Every read moves the expiry.
        owner.execute(f"ALTER DATABASE {database.name} SET session_store.expiry_granularity = 0")
    with database.connect() as owner:
        owner.execute("CREATE TABLE given (name text, document jsonb, payload bytea)")
        for name, document in DOCUMENTS.items():
            owner.execute(f"INSERT INTO given VALUES (%s, ({document}))", (name,))
        owner.execute("INSERT INTO given VALUES ('payload', NULL, decode(repeat('07', %s), 'hex'))", (PAYLOAD,))
        owner.execute("SELECT session_put(name, document) FROM given WHERE document IS NOT NULL")
        owner.execute("SELECT session_put_raw(name, payload) FROM given WHERE payload IS NOT NULL")
        for name, stored in STORED.items():
            key = one(owner, "SELECT sha256(%s::bytea) FROM session_put(%s, '{}')", name, name)
            owner.execute("UPDATE session SET session_data = %s WHERE session_key = %s", (stored, key))
        keys = "SELECT array_agg('key' || n) AS keys FROM generate_series(1, %s) n"
        owner.execute(f"CREATE TABLE removed AS {keys}", (KEYS,))
        owner.execute("VACUUM ANALYZE")
    yield database
    database.drop()


def address_space(connection):
    """What a backend has, and the most that it has had."""
    with open(f"/proc/{connection.info.backend_pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return [int(fields[name].split()[0]) * 1024 for name in ("VmSize", "VmPeak")]


def limit_address_space(database, connection, size):
    # As the server's user, who may.
    database.server.run("prlimit", f"--pid={connection.info.backend_pid}", f"--as={size}:")


def outcome(database, statement, room="unlimited"):
    """The SQLSTATE of a statement in a connection that may take so much more memory, and how much it took."""
    with database.connect() as connection:
        connection.execute("SELECT session_put('warm', '{}'), session_get('warm')")
        before, _ = address_space(connection)
        limit_address_space(database, connection, room if room == "unlimited" else before + room)
        try:
            connection.execute(statement)
            sqlstate = None
        except (psycopg.errors.OutOfMemory, psycopg.errors.InvalidParameterValue) as error:
            sqlstate = error.sqlstate
        _, most = address_space(connection)
        limit_address_space(database, connection, "unlimited")
        connection.rollback()
        assert one(connection, "SELECT session_get('warm')") == {}
        return sqlstate, most - before


def fails_until_it_succeeds(database, statement):
    """Whether a statement is 53200 or succeeds however much memory there is, and both of it if it takes much."""
    before = len(database.server.log_text())
    _, needed = outcome(database, statement)
    rooms = [needed * step // STEPS for step in range(STEPS)] + [needed + 2 * MB]
    sqlstates = [outcome(database, statement, room)[0] for room in rooms]
    assert "terminated by signal" not in database.server.log_text(before)
    return sqlstates[-1] is None and ("53200" in sqlstates or needed < MB)


def of_sessions(calls):
    named = [(re.search(r"session_\w+", call)[0], call, sid) for call, sids in calls.items() for sid in sids]
    return [pytest.param(call.replace("SID", sid), id=f"{name} {sid}") for name, call, sid in named]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("call", of_sessions(READS))
def test_a_read_without_memory_is_an_error(database, call):
    assert fails_until_it_succeeds(database, call)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("call", of_sessions(WRITES))
def test_a_write_without_memory_is_an_error(database, call):
    assert fails_until_it_succeeds(database, f"BEGIN; {call}; ROLLBACK")


@pytest.mark.parametrize("call", ["session_regenerate('small', sid)", "session_create('{}', sid)", "session_read(sid)"])
def test_an_id_that_no_session_can_have_is_refused_before_it_is_copied(database, call):
    before = len(database.server.log_text())
    statement = f"SELECT {call} FROM repeat('x', 64 << 20) AS sid"
    sqlstates = {outcome(database, statement, room * MB)[0] for room in range(0, 160, 16)}
    assert sqlstates == {"53200", "22023"}
    assert "terminated by signal" not in database.server.log_text(before)
