"""Clients that use sessions while something is done to the table, and know what they are owed."""

import contextlib
import threading

from conftest import APP, THREADS, one, wait_until
from psycopg import Error, errors


class Churn:
    """Several clients at work until the block ends; what they were promised, and what went wrong."""

    def __init__(self, database, allowed=lambda error: False, snapshots=True, **options):
        self.database = database
        self.allowed = allowed  # errors that may be told instead of an answer
        self.options = options
        self.kept = {}  # by id, the number that its session holds
        self.failures = []
        self.rounds = 0
        self.added = 0  # to the session that all share
        self._works = [self.visit] * 3 + [self.add] + [self.look] * snapshots
        self._stop = threading.Event()

    def __enter__(self):
        with self.database.connect(APP, **self.options) as client:
            one(client, """SELECT session_put('shared', '{"n": 0}', '0')""")
        self._running = [THREADS.submit(self.work, work) for work in self._works]
        wait_until(lambda: self.rounds > 3 or self.failures)
        return self

    def __exit__(self, *raised):
        self._stop.set()
        for running in self._running:
            running.result(timeout=60)

    def work(self, work):
        with self.database.server.connect(self.database.name, APP, **self.options) as client:
            client.execute("SET statement_timeout = '30s'")
            while not self._stop.is_set() and len(self.failures) < 20:
                try:
                    work(client)
                except Exception as error:
                    if not (isinstance(error, Error) and self.allowed(error)):
                        self.failures.append(f"{type(error).__name__}: {error}")
                    client.rollback()

    def visit(self, client):
        """A session from its beginning to its end, or to where it is kept."""
        number = self.rounds
        self.rounds += 1
        sid = one(client, "SELECT session_create('{}', lifetime => '0')")
        for value in range(3):
            one(client, "SELECT session_set(%s, 'n', to_jsonb(%s::int))", sid, value)
            check(client, value, "session_get(%s, 'n')", sid)
        check(client, False, "is_new FROM session_start(%s)", sid)
        renewed = one(client, "SELECT session_regenerate(%s)", sid)
        check(client, False, "session_exist(%s)", sid)
        check(client, True, "session_release(%s, jsonb_build_object('n', %s::int)) IS NOT NULL", renewed, number)
        check(client, {"n": number}, "data FROM session_load(%s)", renewed)
        if number % 2 == 0:
            self.kept[renewed] = number
            return
        check(client, True, "session_destroy(%s)", renewed)
        check(client, None, "session_get(%s)", renewed)

    def add(self, client):
        """By the lock that lasts for a transaction."""
        with client.transaction():
            one(client, "SELECT session_merge('shared', '{}')")
            check(client, self.added, "session_get('shared', 'n')")
            one(client, "SELECT session_set('shared', 'n', to_jsonb(%s::int))", self.added + 1)
        self.added += 1

    def look(self, client):
        """By a snapshot, from which nothing may be missing without a word."""
        known = list(self.kept.items())[-5:]
        with contextlib.suppress(errors.SerializationFailure), client.transaction():
            client.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            client.execute("SELECT FROM pg_class LIMIT 1")
            for sid, number in known:
                check(client, number, "session_get(%s, 'n')", sid)

    def lost(self):
        """Sessions that are not what clients were told that they are."""
        with self.database.connect(APP, **self.options) as client:
            found = {sid: one(client, "SELECT session_get(%s, 'n')", sid) for sid in self.kept}
            shared = one(client, "SELECT session_get('shared', 'n')")
        lost = [f"{sid}: {found[sid]} instead of {number}" for sid, number in self.kept.items() if found[sid] != number]
        return lost + ([f"shared: {shared} instead of {self.added}"] if shared != self.added else [])


def check(client, wanted, call, *arguments):
    got = one(client, f"SELECT {call}", *arguments)
    assert got == wanted, f"{call} gave {got!r} instead of {wanted!r}"
