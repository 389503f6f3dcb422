"""While the table is rewritten, rebuilt, altered or moved, its sessions are there and no acknowledged write is lost."""

import re
import time

import pytest
from churn import Churn
from conftest import APP, THREADS, one
from matrix import SOUND, is_available
from psycopg import Error, errors

SECONDS = 1.5
CHANGES = {
    "reindexed concurrently": ["REINDEX TABLE CONCURRENTLY session"],
    "reindexed": ["REINDEX TABLE session"],
    "clustered": ["CLUSTER session USING session_expiry", "CLUSTER session USING session_key"],
    "vacuumed in full": ["VACUUM FULL session"],
    "made unlogged and back": ["ALTER TABLE session SET UNLOGGED", "ALTER TABLE session SET LOGGED"],
    "rewritten with a column": ["ALTER TABLE session ADD n float DEFAULT random()", "ALTER TABLE session DROP n"],
    "given a trigger and rid of it": [
        "CREATE TRIGGER t BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "DROP TRIGGER t ON session",
    ],
    "given an index and rid of it": [
        "CREATE INDEX CONCURRENTLY i ON session ((session_decode(session_data) ->> 'n'))",
        "DROP INDEX CONCURRENTLY i",
    ],
    "handed over and back": ["ALTER TABLE session OWNER TO app", "ALTER TABLE session OWNER TO owner"],
}


def check(owner, churn):
    assert not churn.failures, "\n".join(churn.failures)
    assert not churn.lost()
    assert len(churn.kept) > 3
    if is_available(owner, "amcheck"):
        owner.execute("CREATE EXTENSION amcheck SCHEMA pg_catalog")
        assert not [message for _, message in owner.execute(SOUND) if message]


@pytest.mark.parametrize("name", CHANGES)
def test_no_session_is_missed_and_no_write_is_lost_while_the_table_is(database, name):
    owner = database.connect()
    with Churn(database) as churn:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not churn.failures:
            for statement in CHANGES[name]:
                owner.execute(statement)
                time.sleep(0.005)
    check(owner, churn)


@pytest.mark.long
def test_no_session_is_missed_and_no_write_is_lost_under_pg_repack(database):
    owner = database.connect()
    if not is_available(owner, "pg_repack"):
        pytest.skip("this PostgreSQL comes without pg_repack, which Debian has")
    owner.execute("CREATE EXTENSION pg_repack")
    address = database.address()
    where = ["-h", address["host"], "-p", address["port"], "-U", address["user"], "-d", database.name]
    # Not under a snapshot: to one from before, the copy is what it was when the rows were copied, also by hand.
    with Churn(database, snapshots=False) as churn:
        for _ in range(20):
            database.server.run("pg_repack", *where, "--table=public.session")
    check(owner, churn)


# The schema and the extension itself

MISSING = 'the table "session" of extension session_store is missing'


def is_told(error):
    """Whether an error is ours, or the parser's, to which a function is gone before or after it was found."""
    message = error.diag.message_primary
    own = isinstance(error, errors.UndefinedTable) and message == MISSING
    parsers = isinstance(error, errors.UndefinedFunction) or message.startswith("cache lookup failed for function ")
    return own or parsers or isinstance(error, errors.SerializationFailure)


def test_no_write_is_lost_while_the_schema_gets_another_name(bare_database):
    owner = bare_database.connect()
    owner.execute("CREATE SCHEMA one; CREATE EXTENSION session_store SCHEMA one; GRANT USAGE ON SCHEMA one TO app")
    with Churn(bare_database, is_told, options="-c search_path=one,two") as churn:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not churn.failures:
            owner.execute("ALTER SCHEMA one RENAME TO two")
            time.sleep(0.005)
            owner.execute("ALTER SCHEMA two RENAME TO one")
            time.sleep(0.005)
    owner.execute("SET search_path = one")
    check(owner, churn)


CALLS = [
    "session_put('s', '{}')", "session_get('s')", "session_set('s', 'k', '1')", "session_start('s')",
    "session_read('s')", "session_load('s')", "session_touch('s', '2 h')", "session_release('s', '{}')",
    "session_exist('s')", "session_regenerate('s', 't')", "session_create()", "session_create('{}', 's')",
    "session_destroy('t')",
]  # fmt: skip
BECAUSE_OF_THE_CALLS = "P0002", "23505"


def test_who_meets_an_extension_that_is_dropped_and_created_is_told_so_or_answered(bare_database):
    owner, told, answered = bare_database.connect(), [], []
    owner.execute("CREATE EXTENSION session_store")
    end = time.monotonic() + 2 * SECONDS

    def goes_on():
        return time.monotonic() < end or len(answered) <= 100  # a slow machine takes longer

    def work(number):
        with bare_database.server.connect(bare_database.name, APP, autocommit=number > 0) as client:
            client.execute("SET statement_timeout = '30s'")
            while goes_on():
                for call in CALLS:
                    try:
                        client.execute(f"SELECT {call}".replace("'s'", f"'s{number}'").replace("'t'", f"'t{number}'"))
                        answered.append(call)
                    except Error as error:
                        told.append(error)
                        client.rollback()
                client.commit()

    working = [THREADS.submit(work, number) for number in range(4)]
    while goes_on():
        owner.execute("DROP EXTENSION session_store")
        owner.execute("CREATE EXTENSION session_store")
    for client in working:
        client.result(timeout=60)
    others = [error for error in told if not is_told(error) and error.sqlstate not in BECAUSE_OF_THE_CALLS]
    assert not {(error.sqlstate, re.sub(r"\d+", "N", str(error))) for error in others}
    assert one(owner, "SELECT session_read('s')") is not None
