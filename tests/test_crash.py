"""Crashes under load, with durable commits: what was acknowledged is there afterwards, and what was destroyed is not.

Each client calls on sessions of its own, one call after the other, so that the model says what must be there; the call
that a crash cut off has happened wholly, or not at all. In one session they count together, each under its own key.
"""

import copy
import math
import os
import random
import secrets
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from clients import Client
from conftest import APP, LONG, THREADS, one, wait_until
from model import UNKNOWN, Session, State, outcomes
from sweeping import extend, wait_until_up

CLIENTS = 6
CRASHES = 20 if LONG else 2
CALLS = 3000 if LONG else 1000  # between two crashes
SEED = os.environ.get("SESSION_STORE_SEED") or secrets.token_hex(4)  # set it to have the same calls again
SEGMENT = 16 << 20  # bytes of a WAL file
DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    # Every read slides, which does not wait for the disk. That must not rub off on the writes that follow, ...
    "session_store.expiry_granularity": "0",
    # ... which nobody is to make durable in their place.
    "wal_writer_delay": "10s",
    "session_store.gc_interval": "1s",
    "checkpoint_timeout": "1h",
    "max_wal_size": "4GB",
}


class Load:
    """Clients that call without a pause, until they are told to stop or the server is gone."""

    def __init__(self, database):
        self.clients = [Client(number, database.connect(APP)) for number in range(CLIENTS)]
        # In which of these the sessions of a client are.
        self.states = [{State().with_session("shared", Session())} for _ in self.clients]
        self.figures = {"calls": 0, "of them destroys": 0, "cut off": 0}

    def start(self):
        self._stopping = threading.Event()
        self._running = [THREADS.submit(self._work, client) for client in self.clients]

    def _work(self, client):
        calls = random.Random(f"{SEED} {client.number} {self.figures['calls']}")
        connected, sids, principals = True, sids_of(client), [f"{client.number}{name}" for name in ("ada", "eve")]
        while connected and not self._stopping.is_set():
            if calls.random() < 0.2:
                connected = client.call("set", "shared", str(client.number), calls.randrange(1 << 30))
            else:
                connected = client.random_call(calls, sids, sids, principals, generate=False)

    def wait_for(self, calls):
        wanted = self.made() + calls
        wait_until(lambda: self.made() >= wanted or any(worker.done() for worker in self._running), 120)

    def wait_for_answers(self, begun_by):
        """To every call that had begun by then."""
        wait_until(lambda: all(client.calls[-1].invoked > begun_by for client in self.clients))

    def made(self):
        return sum(len(client.calls) for client in self.clients)

    def stop(self):
        self._stopping.set()
        self.wait_for_end()

    def wait_for_end(self):
        """Waits until every client is told to stop or cut off; raises what went wrong in one."""
        for worker in self._running:
            worker.result(timeout=60)

    def check(self, database, acknowledged_by=math.inf, begun_by=math.inf):
        """The states that explain what each client finds, if that is what it left.

        Only calls that were not acknowledged by the one time may be missing, the last ones first, and only those that
        had begun by the other may be there.
        """
        with database.connect() as connection:
            return [
                self._check(client, states, sessions_left(client, connection), acknowledged_by, begun_by)
                for client, states in zip(self.clients, self.states)
            ]

    def _check(self, client, states, left, acknowledged_by, begun_by):
        calls = [*client.calls, None]  # it goes on
        acknowledged = sum(call.value != UNKNOWN and call.returned <= acknowledged_by for call in calls[:-1])
        explanations = set()
        for count, call in enumerate(calls):
            if count >= acknowledged:
                explanations |= follow(states, left)
            if call is None or call.invoked > begun_by:
                break
            states = follow(states, [call])
            assert states, f"SESSION_STORE_SEED={SEED}: there is no such answer: {call}"
        assert explanations, f"SESSION_STORE_SEED={SEED}: lost around {calls[max(acknowledged - 20, 0) : count + 1]}: {left}"
        return explanations

    def go_on(self, database, states):
        """Goes on from there, after a crash."""
        for client in self.clients:
            acknowledged = [call for call in client.calls if call.value != UNKNOWN]
            self.figures["calls"] += len(acknowledged)
            self.figures["of them destroys"] += sum(call.name == "destroy" and call.value for call in acknowledged)
            self.figures["cut off"] += len(client.calls) - len(acknowledged)
            client.calls, client.versions = [], {}
            client.use(database.connect(APP))
        self.states = states


def sids_of(client):
    return [f"{client.number}{letter}" for letter in "abcd"]


def sessions_left(client, connection):
    """What there is of a client's sessions, as answers to calls."""
    reader = Client(client.number, connection)
    for sid in sids_of(client):
        reader.call("whose", sid)
    for sid in [*sids_of(client), "shared"]:
        reader.call("peek", sid)
    own = frozenset(pair for pair in reader.calls[-1].value if pair[0] == str(client.number))
    reader.calls[-1] = reader.calls[-1]._replace(value=own, version=None)
    return reader.calls


def follow(states, calls):
    for call in calls:
        states = {after for state in states for after in outcomes(state, call)}
    return states


@pytest.fixture
def cluster(new_server):
    return new_server(**DURABLE)


@pytest.fixture
def database(cluster):
    database, owner = extend(cluster)
    owner.execute("SELECT session_store_grant('app')")
    owner.execute("SELECT session_create('{}', 'shared')")
    return database


@pytest.fixture
def load(database):
    load = Load(database)
    yield load
    print(f"{CLIENTS} clients, {CRASHES} crashes: {load.figures}")


def kill_a_backend(cluster, load):
    """The postmaster then ends all others and recovers."""
    os.kill(random.choice(load.clients).connection.info.backend_pid, signal.SIGKILL)
    load.wait_for_end()
    wait_until_up(cluster).close()


def stop_at_once(cluster, load):
    cluster.crash()
    load.wait_for_end()
    cluster.start()


@pytest.mark.parametrize("crash", [kill_a_backend, stop_at_once])
def test_after_a_crash_everything_acknowledged_is_there(cluster, database, load, crash):
    for _ in range(CRASHES):
        load.start()
        load.wait_for(CALLS)
        crash(cluster, load)
        load.go_on(database, load.check(database))


# A power cut. What was written and not yet flushed is in the kernel's memory, and there it would survive everything
# that can be done to the server's processes. So a disk is put together on which nothing is but what was flushed: the
# data files as they were just after a checkpoint, and the log since then up to the position to which the server had
# flushed it, the rest blank. Real disks may keep more, but what they keep of the data files has been flushed to the log
# before. The processes are stopped while files are copied, so that the copy is of one moment.


def test_after_a_power_cut_everything_acknowledged_is_there(cluster, database, load):
    load.start()
    load.wait_for(CALLS)
    database.connect().execute("CHECKPOINT")
    base = cluster.directory / "base"
    with frozen(cluster):
        cluster.run("cp", "-a", cluster.data, base)
    for _ in range(CRASHES):
        load.wait_for(CALLS)
        acknowledged_by = time.monotonic()
        flushed = flushed_to(database)
        disk = cluster.directory / "disk"
        cluster.run("cp", "-a", base, disk)
        with frozen(cluster):
            begun_by = time.monotonic()
            cluster.run("cp", "-a", "-T", cluster.data / "pg_wal", disk / "pg_wal")
        load.wait_for_answers(begun_by)
        blank(disk / "pg_wal", flushed)
        with started_from(disk, cluster) as survivor:
            database_there = copy.copy(database)
            database_there.server = survivor
            load.check(database_there, acknowledged_by, begun_by)
        cluster.run("rm", "-r", disk)
    load.stop()
    load.go_on(database, load.check(database))


@contextmanager
def frozen(cluster):
    """No process of the server runs."""
    postmaster = int((cluster.data / "postmaster.pid").read_text().split()[0])
    stopped = []

    def stop(pid):
        os.kill(pid, signal.SIGSTOP)
        stopped.insert(0, pid)
        wait_until(lambda: process(pid)[0] in "TZ")

    try:
        stop(postmaster)  # first: now it starts no others
        for pid in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
            if process(pid)[1] == postmaster:
                stop(pid)
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def process(pid):
    """State and parent; see proc(5)."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "Z", 0
    return state, int(parent)


def flushed_to(database):
    with database.connect() as connection:
        return int(one(connection, "SELECT pg_current_wal_flush_lsn() - '0/0'"))


def blank(wal, end):
    """Takes away what comes after a position in the log."""
    for file in wal.iterdir():
        if len(file.name) != 24:
            continue
        begin = (int(file.name[8:16], 16) << 32) + int(file.name[16:], 16) * SEGMENT
        if begin + SEGMENT > end:
            with file.open("r+b") as segment:
                segment.truncate(max(end - begin, 0))
                segment.truncate(SEGMENT)


@contextmanager
def started_from(data, cluster):
    """A server on a copy of the data."""
    survivor = copy.copy(cluster)
    survivor.data, survivor.log, survivor.port = data, data.with_suffix(".log"), None
    (data / "postmaster.pid").unlink()
    survivor.start()
    try:
        yield survivor
    finally:
        survivor.stop("immediate")


# Without a crash: what tells that the disk was waited for.

SLIDE = "SELECT session_get('shared')"
WRITES = [
    "SELECT session_set('shared', 'n', '{n}')",
    "SELECT session_create('{{}}', 'new{n}')",
    "SELECT session_regenerate('new{n}', 'moved{n}')",
    "SELECT session_destroy('moved{n}')",
    "SELECT session_touch('shared', '{n} hours')",
    "BEGIN; SELECT session_get('shared'); SELECT session_set('shared', 'n', '-{n}'); COMMIT",
    "BEGIN; SELECT session_get('shared'); INSERT INTO business VALUES ({n}); COMMIT",
    "INSERT INTO business VALUES ({n})",
]


@pytest.mark.direct
def test_a_slide_alone_does_not_wait_for_the_disk_and_every_write_does(cluster, database):
    cluster.configure(session_store__gc_interval="0", autovacuum="off")
    cluster.restart()
    client = database.connect()
    client.execute("CREATE TABLE business (n int)")

    def is_flushed_after(statement):
        for part in statement.split("; "):
            client.execute(part)
        return one(client, "SELECT pg_current_wal_insert_lsn() = pg_current_wal_flush_lsn()")

    for statement in WRITES:
        flushed = [(is_flushed_after(SLIDE), is_flushed_after(statement.format(n=n))) for n in range(1, 6)]
        slides, writes = zip(*flushed)
        # The server itself writes to the log, or flushes it, now and then.
        assert not all(slides)
        assert any(writes), statement
