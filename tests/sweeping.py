"""What the tests of the background workers share."""

import re
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
from conftest import EXTENDED, OWNER, Server, one, wait_until

EVERY_SECOND = {"session_store.gc_interval": "1s"}
PRELOADED = {"shared_preload_libraries": "session_store"}
STARTED = re.compile('starting background worker process "session_store (launcher|sweeper)"')

ADD = """
    INSERT INTO session (session_expiry, created_at, version, lifetime, session_key, session_data)
    SELECT clock_timestamp() + %s::interval, clock_timestamp() - interval '2 h', 1, 3600,
        sha256((%s || i)::bytea), '\\xa0'
    FROM generate_series(1, %s) AS i"""

# The sweep stops at the row that stop_at() marks: in the middle of a batch, with rows of it deleted.
TRAP = """
    CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {wait}; RETURN OLD; END $$;
    CREATE TRIGGER trap BEFORE DELETE ON session FOR EACH ROW
        WHEN (OLD.session_key = sha256('{name}'::bytea)) EXECUTE FUNCTION trap()"""


def extend(cluster, **options):
    """A database with the extension, and a connection that has called it once."""
    database = cluster.create_database(**options)
    owner = database.connect()
    owner.execute("CREATE EXTENSION session_store")
    owner.execute("SELECT session_create()")
    return database, owner


def create_template(cluster):
    """For databases that are quicker to make."""
    extended = cluster.create_database(EXTENDED)
    with extended.connect() as owner:
        owner.execute("CREATE EXTENSION session_store")
    with cluster.connect() as owner:
        owner.execute(f"ALTER DATABASE {EXTENDED} IS_TEMPLATE true ALLOW_CONNECTIONS false")


def add_expired(owner, count, name="expired"):
    owner.execute(ADD, ("-1 min", name, count))


def add_live(owner, count, name="live"):
    owner.execute(ADD, ("1 h", name, count))


def expired(owner):
    return one(owner, "SELECT count(*) FROM session WHERE session_expiry <= clock_timestamp()")


def live(owner, name="live"):
    query = "SELECT count(*) FROM session, generate_series(1, 10000) AS i WHERE session_key = sha256((%s || i)::bytea)"
    return one(owner, query, name)


def wait_until_swept(owner, seconds=20):
    wait_until(lambda: expired(owner) == 0, seconds)


def stats(connection):
    with connection.cursor(row_factory=psycopg.rows.namedtuple_row) as cursor:
        return cursor.execute("SELECT * FROM session_store_stats").fetchone()


def wait_for_sweeps(owner, count, seconds=20):
    """Waits until so many more sweeps have come to their end."""
    before = stats(owner).sweeps
    wait_until(lambda: stats(owner).sweeps >= before + count, seconds)


def workers(connection, kind, datname=None):
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = %s AND (%s::text IS NULL OR datname = %s)"
    return [pid for (pid,) in connection.execute(query, ("session_store " + kind, datname, datname))]


def wait_for_launcher(connection, other_than=0, seconds=20):
    def found():
        pids = workers(connection, "launcher")
        return len(pids) == 1 and pids[0] != other_than

    wait_until(found, seconds)
    return workers(connection, "launcher")[0]


def starts(log):
    """How many launchers and how many sweepers were started; needs log_min_messages = debug1."""
    kinds = STARTED.findall(log)
    return kinds.count("launcher"), kinds.count("sweeper")


def complaints(log):
    return [line for line in log.splitlines() if any(word in line for word in ("WARNING:", "ERROR:", "PANIC:"))]


def apply(cluster, **settings):
    """Sets and reloads; on return every process has been told."""
    cluster.configure(**settings)
    cluster.reload()

    def is_in_force():
        with cluster.connect() as fresh:  # started after the signals were sent
            fresh.execute("LOAD 'session_store'")
            query = "SELECT %s IN (setting, current_setting(name)) FROM pg_settings WHERE name = %s"
            return all(one(fresh, query, str(value), name.replace("__", ".")) for name, value in settings.items())

    wait_until(is_in_force)


@contextmanager
def gate(database, owner, name):
    """Stops every sweep at the row `name` until the block ends; yields a function that waits for one to stop there."""
    keeper = database.connect()
    keeper.execute("SELECT pg_advisory_lock(7)")
    owner.execute(TRAP.format(name=name, wait="PERFORM pg_advisory_xact_lock_shared(7)"))
    try:
        yield lambda: wait_for_stopped(database, "advisory")
    finally:
        keeper.close()


def asleep(seconds):
    """A statement of PL/pgSQL that sleeps; PERFORM may leave that to a parallel worker."""
    return f"IF pg_sleep({seconds}) IS NULL THEN END IF"


def stall(database, owner, name, seconds=60):
    """Has sweeps stop for a while at the row `name`, which is added last; the sweeper's pid when one is there."""
    owner.execute(TRAP.format(name=name, wait=asleep(seconds)))
    add_expired(owner, int(re.search(r"\d+$", name)[0]), name.rstrip("0123456789"))
    return wait_for_stopped(database, "PgSleep")


def let_go(owner):
    """Ends what stall() began, and the sweepers that it holds."""
    owner.execute("SET lock_timeout = '200ms'")

    def is_gone():
        owner.execute("SELECT pg_terminate_backend(%s, 1000)", (next(iter(workers(owner, "sweeper")), 0),))
        try:
            owner.execute("DROP FUNCTION IF EXISTS trap() CASCADE")
            return True
        except psycopg.errors.LockNotAvailable:
            return False

    wait_until(is_gone)


def wait_for_stopped(database, event):
    query = """
        SELECT pid FROM pg_stat_activity
        WHERE backend_type = 'session_store sweeper' AND datname = %s AND wait_event = %s"""
    with database.server.connect() as watcher:
        wait_until(lambda: one(watcher, query, database.name, event))
        return one(watcher, query, database.name, event)


def wait_until_up(cluster, seconds=20):
    """Waits until the server takes connections, after a crash; a connection."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = cluster.connect()
            connection.execute("SELECT")
            return connection
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the server does not come back"
            time.sleep(0.02)


def standby_of(primary):
    """A streaming standby, started."""
    standby = object.__new__(Server)
    standby.__dict__ |= primary.__dict__
    standby.directory = Path(primary.run("mktemp", "-d", primary.directory / "standbyXXXX").stdout.strip())
    standby.data, standby.log, standby.port = standby.directory / "data", standby.directory / "log", None
    primary.run(
        "pg_basebackup", "-D", standby.data, "-R", "--checkpoint=fast", "-h", primary.directory, "-p", primary.port,
        "-U", OWNER,
    )  # fmt: skip
    standby.configure(unix_socket_directories=str(standby.directory))
    return standby.start()
