"""Throwaway servers and databases.

The programs are the private copy of PostgreSQL that ./pg_test.sh made; it also removes whatever a test leaves behind.
"""

import os
import pickle
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

try:
    PG_BIN = Path(os.environ["SESSION_STORE_PG_BIN"])
    RUN = Path(os.environ["SESSION_STORE_RUN"])
except KeyError:
    pytest.exit("run the tests with ./pg_test.sh (arguments for pytest after --)", returncode=2)

LONG = bool(os.environ.get("SESSION_STORE_LONG"))
DIRECT = os.environ.get("SESSION_STORE_DIRECT") != "off"  # off: every row is read and written by SQL
KEEP = "SESSION_STORE_KEEP" in os.environ and "PYTEST_XDIST_WORKER" not in os.environ  # ./pg_test.sh --keep
KEPT = RUN / "kept"  # where the server is that goes on afterwards
OWNER = "owner"  # superuser
APP = "app"  # may log in, and has no privilege on anything of the extension
EXTENDED = "extended"  # template database that has the extension
THREADS = ThreadPoolExecutor(64)
# How the servers are to differ from the others in this run: "debug_discard_caches=1 wal_consistency_checking=all".
SETTINGS = dict(setting.split("=", 1) for setting in os.environ.get("SESSION_STORE_SETTINGS", "").split())
# What PostgreSQL built with assertions, replay with wal_consistency_checking, and valgrind say when something is wrong.
# Each begins with a fixed text, for what is searched may be megabytes.
ALARMS = re.compile(
    rb"^TRAP: [^\n]*|inconsistent page found[^\n]*|VALGRINDERROR-BEGIN.*?(?:VALGRINDERROR-END|\Z)", re.M | re.S
)


def clean_environment(**extra):
    """The caller's environment without what would change the answers of the server or of psql."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "RUST_", "LC_"))}
    return kept | {"LC_ALL": "C", "PGCLIENTENCODING": "UTF8"} | extra


def program(name, bin=PG_BIN):
    """A program of the server's own version; psql alone may be missing there."""
    private = bin / name
    return str(private) if private.exists() else name


STARTED = []  # every server
SEEN = {}  # how much of each log file alarms() has read


class Server:
    """A cluster of its own in a directory of its own, listening on a Unix socket and on 127.0.0.1."""

    DEFAULTS = {
        "fsync": "off",
        "listen_addresses": "127.0.0.1",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        # Tests of expired rows would lose them to the background worker; its own tests set this.
        "session_store.gc_interval": "0",
    }
    if not DIRECT:
        DEFAULTS |= {"session_store.direct": "off"}

    def __init__(self, bin=PG_BIN, initdb=(), directory=None, **settings):
        self.bin = bin
        self.directory = directory or Path(tempfile.mkdtemp(prefix="server", dir=RUN))
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.password = secrets.token_hex(16)  # over TCP; other users of the machine can reach that port
        self.port = None
        self.environment = {}  # of the server, from its next start on
        self._as_server = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(os.environ.get("SESSION_STORE_SERVER_USER", "postgres"))
            self._as_server = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        self._initdb(initdb)
        ours = SETTINGS if bin == PG_BIN else {}  # an older PostgreSQL may not have them
        self.configure(**self.DEFAULTS | ours | {"unix_socket_directories": str(self.directory)} | settings)

    def _initdb(self, options):
        password = self.directory / "password"
        password.write_text(self.password)
        password.chmod(0o644)  # the directory is closed already
        self.run(
            "initdb", f"--username={OWNER}", "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}",
            "--encoding=UTF8", "--locale=C", "--no-sync", "-D", self.data, *options,
        )  # fmt: skip

    def run(self, name, *arguments, check=True, **options):
        """Runs a program of PostgreSQL as the user who owns the server processes."""
        command = [program(name, self.bin), *map(str, arguments)]
        options = {"cwd": self.directory, "env": clean_environment(), "capture_output": True, "text": True} | options
        done = subprocess.run(command, stdin=subprocess.DEVNULL, **self._as_server, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def configure(self, **settings):
        """Adds to postgresql.conf; the last value of a setting wins. Takes effect with reload() or restart()."""
        with open(self.data / "postgresql.conf", "a") as conf:
            for name, value in settings.items():
                quoted = str(value).replace("'", "''")
                conf.write(f"{name.replace('__', '.')} = '{quoted}'\n")  # session_store__strict: no dots in keywords

    def start(self):
        instead = ("-p", os.environ["SESSION_STORE_POSTGRES"]) if "SESSION_STORE_POSTGRES" in os.environ else ()
        if self not in STARTED:
            STARTED.append(self)
        for _ in range(3):  # somebody else may take the port in between
            self.port = self.port or free_port()
            # Not through pipes: the server would inherit them and keep them open.
            started = self.run(
                "pg_ctl", "start", "-w", "-s", "-D", self.data, "-l", self.log, "-o", f"-p {self.port}",
                *instead, check=False, capture_output=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=clean_environment(**self.environment),
            )  # fmt: skip
            if started.returncode == 0:
                return self
            self.port = None
        raise RuntimeError("the server does not start:\n" + self.log_text())

    def stop(self, mode="fast"):
        self.run("pg_ctl", "stop", "-w", "-s", "-m", mode, "-D", self.data)

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def crash(self):
        """Ends every process at once, without a checkpoint: the next start() has to recover."""
        self.stop("immediate")

    def reload(self):
        self.run("pg_ctl", "reload", "-s", "-D", self.data)

    def promote(self):
        self.run("pg_ctl", "promote", "-w", "-s", "-D", self.data)

    def log_text(self, since=0):
        """The server log from a position that len(log_text()) gave earlier."""
        return self.log.read_text(errors="replace")[since:] if self.log.exists() else ""

    def address(self, dbname="postgres", user=OWNER, tcp=False):
        """Keyword arguments that psycopg, psycopg2 and, but for dbname, asyncpg understand."""
        where = {"host": "127.0.0.1", "password": self.password} if tcp else {"host": str(self.directory)}
        return where | {"port": self.port, "user": user, "dbname": dbname}

    def uri(self, dbname="postgres", user=OWNER):
        return f"postgresql://{user}:{self.password}@127.0.0.1:{self.port}/{dbname}"

    def connect(self, dbname="postgres", user=OWNER, tcp=False, autocommit=True, **options):
        return psycopg.connect(**self.address(dbname, user, tcp), autocommit=autocommit, **options)

    def psql(self, script, dbname="postgres", user=OWNER, arguments=("-X", "-q"), **environment):
        """Runs a script by psql's standard input; standard error is in stdout, in its place."""
        where = {"PGHOST": str(self.directory), "PGPORT": str(self.port), "PGUSER": user, "PGDATABASE": dbname}
        return subprocess.run(
            [program("psql", self.bin), *arguments], input=script, env=clean_environment(**where, **environment),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )  # fmt: skip

    def create_roles(self):
        with self.connect() as owner:
            owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(APP), self.password))

    def create_database(self, name=None, template="template1", options=""):
        """A new database; options as in CREATE DATABASE, for example "ENCODING 'LATIN1' TEMPLATE template0"."""
        name = name or "test_" + secrets.token_hex(4)
        if "TEMPLATE" not in options:
            options = f"TEMPLATE {template} {options}"
        with self.connect() as owner:
            owner.execute(sql.SQL("CREATE DATABASE {} " + options).format(sql.Identifier(name)))
        return Database(self, name)


class Database:
    """A database and the connections that a test opened to it."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self._roles = []
        self._connections = []
        self._running = []

    def connect(self, user=OWNER, **options):
        """A psycopg connection, autocommit unless said otherwise, closed at the end of the test."""
        connection = self.server.connect(self.name, user, **options)
        self._connections.append(connection)
        return connection

    def address(self, user=OWNER, tcp=False):
        return self.server.address(self.name, user, tcp)

    def uri(self, user=OWNER):
        return self.server.uri(self.name, user)

    def psql(self, script, user=OWNER, **options):
        return self.server.psql(script, self.name, user, **options)

    def later(self, connection, query, *arguments):
        """Starts a statement that has to wait for another transaction: a future of its value."""
        value = self.begin(connection, query, *arguments)
        with self.server.connect() as watcher:
            blockers = "SELECT cardinality(pg_blocking_pids(%s))"
            wait_until(lambda: value.done() or one(watcher, blockers, connection.info.backend_pid))
        if value.done():
            pytest.fail(f"did not wait: {value.exception() or value.result()!r}")
        return value

    def promptly(self, connection, query, *arguments):
        """The value of a statement that must not wait for another transaction."""
        return self.begin(connection, query, *arguments).result(timeout=10)

    def begin(self, *statement):
        """Starts a statement: a future of its value."""
        self._running.append(THREADS.submit(one, *statement))
        return self._running[-1]

    def create_role(self, name):
        """A plain role that goes with the database; its name."""
        name = f"{name}_of_{self.name}"
        with self.server.connect(self.name) as owner:
            owner.execute(f"CREATE ROLE {name} LOGIN; GRANT CREATE ON SCHEMA public TO {name}")
        self._roles.append(name)
        return name

    def drop(self):
        with self.server.connect() as owner:
            owner.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))
            while self._roles:
                owner.execute(f"DROP ROLE {self._roles.pop()}")
        self.close()

    def close(self):
        wait(self._running)  # closing a connection under a thread that uses it crashes the driver
        for connection in self._connections:
            connection.close()


class Pooler:
    """PgBouncer in transaction mode, for the role app, with so many connections to the server."""

    def __init__(self, server, dbname, connections):
        installed = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
        if not installed:
            pytest.skip("PgBouncer is missing: Debian's package pgbouncer")
        directory = server.directory / f"pooler_{dbname}"
        directory.mkdir()
        program = shutil.copy(installed, directory)  # its processes are known by that, as the servers' are
        self.port = free_port()
        self._server, self._dbname = server, dbname
        settings = {
            "listen_addr": "127.0.0.1", "unix_socket_dir": "", "listen_port": self.port,
            "auth_type": "scram-sha-256", "auth_file": directory / "users",
            "pool_mode": "transaction", "default_pool_size": connections, "logfile": directory / "log",
            "server_login_retry": "0.05",  # seconds that it does not try again to reach a server that was away
        }  # fmt: skip
        pooling = "\n".join(f"{name} = {value}" for name, value in settings.items())
        there = f"{dbname} = host={server.directory} port={server.port}"
        (directory / "ini").write_text(f"[databases]\n{there}\n[pgbouncer]\n{pooling}\n")
        (directory / "users").write_text(f'"{APP}" "{server.password}"\n')
        if server._as_server:
            for path in directory, *directory.iterdir():
                shutil.chown(path, server._as_server["user"], server._as_server["group"])
        # It writes to its log, too.
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        where = {"cwd": directory, "env": clean_environment()}
        self._process = subprocess.Popen([program, directory / "ini"], **silent, **where, **server._as_server)
        wait_until(self._listens)

    def address(self):
        """Keyword arguments for psycopg."""
        return self._server.address(self._dbname, APP, tcp=True) | {"port": self.port}

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self._process.terminate()
        self._process.wait()


def one(connection, query, *arguments):
    """The first column of a statement's first row."""
    cursor = connection.execute(query, arguments or None)
    row = cursor.fetchone() if cursor.description else None
    return row and row[0]


def wait_until(condition, seconds=20, pause=0.01):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(pause)


def expires_in(owner, sid, interval):
    """Moves the end of a session: time passes without anybody sleeping."""
    moved = owner.execute(
        "UPDATE session SET session_expiry = clock_timestamp() + %s::interval WHERE session_key = sha256(%s::bytea)",
        (interval, sid.encode()),
    )
    assert moved.rowcount == 1


def is_past(owner, sid):
    query = "SELECT session_expiry <= clock_timestamp() FROM session WHERE session_key = sha256(%s::bytea)"
    return one(owner, query, sid.encode())


def alarms():
    """By server: what its logs got since the last look that must not happen whatever is tested."""
    found = {}
    for server in STARTED:
        for file in server.log, *server.data.glob("log/*"):  # the latter are the logging collector's
            seen = SEEN.get(file, 0)
            if file.exists() and file.stat().st_size > seen:
                with file.open("rb") as opened:
                    opened.seek(seen)
                    added = opened.read()
                SEEN[file] = seen + len(added)
                for alarm in ALARMS.findall(added):
                    found.setdefault(server, []).append(alarm.decode(errors="replace"))
    return found


@pytest.fixture(scope="session", autouse=True)
def no_alarm_at_the_end():
    """Set up first, so that by its end every server has stopped."""
    yield
    assert not list(alarms().values())


@pytest.fixture(autouse=True)
def no_alarm():
    yield
    found = alarms()
    for server in found:  # most come with a crash, which the tests that follow need not see
        if (server.data / "postmaster.pid").exists():
            server.restart("immediate")
    assert not list(found.values())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def server():
    """The server that most tests share. A test that stops or configures one uses new_server."""
    server = take_over() or shared_server()
    yield server
    if KEEP:
        leave(server)
    else:
        server.stop("immediate")


def shared_server():
    server = Server(directory=KEPT if KEEP else None).start()
    server.create_roles()
    extended = server.create_database(EXTENDED)
    extended.connect().execute("CREATE EXTENSION session_store").connection.close()
    with server.connect() as owner:
        owner.execute(f"ALTER DATABASE {EXTENDED} IS_TEMPLATE true ALLOW_CONNECTIONS false")
    return server


def leave(server):
    """For the next run, as it was when it was new."""
    with server.connect() as owner:
        names = "SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1', %s)"
        for (name,) in owner.execute(names, (EXTENDED,)).fetchall():
            owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        roles = "SELECT rolname FROM pg_roles WHERE oid >= 16384 AND rolname <> %s"
        for (name,) in owner.execute(roles, (APP,)).fetchall():
            owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    (KEPT / "is-kept").write_bytes(pickle.dumps(server))


def take_over():
    """The server of the run before, unless that did not come to its end."""
    if not KEEP or not (KEPT / "is-kept").exists():
        return None
    server = pickle.loads((KEPT / "is-kept").read_bytes())
    (KEPT / "is-kept").unlink()
    STARTED.append(server)
    SEEN[server.log] = server.log.stat().st_size
    if server.run("pg_ctl", "status", "-D", server.data, check=False).returncode != 0:  # the machine was restarted
        server.start()
    return server


@pytest.fixture
def new_server():
    """Makes servers of the test's own: new_server(wal_level="logical"), started, with the role app."""
    servers = []

    def make(**settings):
        servers.append(Server(**settings).start())
        servers[-1].create_roles()
        return servers[-1]

    yield make
    for server in servers:
        if (server.data / "postmaster.pid").exists():
            server.stop("immediate")


@pytest.fixture
def database(server):
    """A fresh database with the extension."""
    # The files of PostgreSQL's caches come along.
    database = server.create_database(template=EXTENDED, options="STRATEGY file_copy")
    yield database
    database.drop()


@pytest.fixture
def owner(database):
    """The owner's connection to that database, in which the application has its rights."""
    owner = database.connect()
    owner.execute("SELECT session_store_grant('app')")
    return owner


@pytest.fixture
def client(database, owner):
    """The application's connection."""
    return database.connect(APP)


@pytest.fixture
def other(database, owner):
    """Another one."""
    return database.connect(APP)


@pytest.fixture
def bare_database(server):
    """A fresh database without the extension."""
    database = server.create_database()
    yield database
    database.drop()


def pytest_collection_modifyitems(items):
    long = pytest.mark.skip(reason="takes minutes: ./pg_test.sh --long")
    direct = pytest.mark.skip(reason="about the direct way to a row, which is off")
    for item in items:
        if item.get_closest_marker("long") and not LONG:
            item.add_marker(long)
        if item.get_closest_marker("direct") and not DIRECT:
            item.add_marker(direct)
    # Those that wait most come first: while one process has them, the others have something to do.
    items.sort(key=lambda item: not item.path.name.startswith("test_worker"))


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; runs with ./pg_test.sh --long only")
    config.addinivalue_line("markers", "direct: what holds only where the table is plain and is reached without SQL")
