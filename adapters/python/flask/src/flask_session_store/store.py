"""The calls of the extension session_store that a web framework needs. Knows no framework."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import psycopg
from psycopg.rows import tuple_row

from .content import Changes

FETCH = "SELECT data::text, version FROM session_fetch(%s, %s)"
EXIST = "SELECT session_exist(%s)"
CREATE = "SELECT session_save(%s, %s::text, 0, %s::interval) IS NOT NULL"
REPLACE = "SELECT session_save(%s, %s::text, NULL) IS NOT NULL"
PATCH = "SELECT session_patch(%s, %s::text, %s::text[], %s::interval) IS NOT NULL"
# The setting is defined once the connection has called a function of the extension.
PATCH_AND_RESET_LIFETIME = """
    SELECT session_patch(%s, %s::text, %s::text[], current_setting('session_store.max_lifetime')::interval) IS NOT NULL
    FROM session_exist('')"""
# A deadline that has come ends a session at once, and a save at a version is made only if it is still at it.
END = "SELECT session_save(%s, '{}'::text, %s, NULL, now()) IS NOT NULL"
DESTROY = "SELECT count(*) FROM unnest(%s::text[]) AS ending (sid) WHERE session_destroy(sid)"
POP = "SELECT session_pop(%s, %s)::text"
REGENERATE = "SELECT session_regenerate(%s, must_exist => true)"
BIND = "SELECT session_bind(%s, %s)"
# Without a session one begins; one that has ended meanwhile does not.
LOGIN = """
    SELECT sid, data::text, version
    FROM CAST(%s AS text) AS old
    CROSS JOIN LATERAL session_login(
        old, %s, %s::jsonb, max_sessions => %s, must_exist => old IS NOT NULL, lifetime => %s::interval
    ) AS login (sid)
    CROSS JOIN LATERAL session_fetch(sid)"""
DEVICES = """
    SELECT handle, is_this, attributes, created_at, authenticated_at, last_seen, nullif(expires_at, 'infinity')
    FROM session_devices(%s)"""
REVOKE = "SELECT session_revoke(%s, %s)"
REVOKE_OTHERS = "SELECT count(*) FROM session_revoke_others(%s)"
REVOKE_ALL = "SELECT count(*) FROM session_revoke_all(%s)"
COUNT = "SELECT session_all()"


class Stored(NamedTuple):
    """A session as it was found: its values as parsed from JSON, and the version that it is at."""

    sid: str
    data: dict[str, Any]
    version: int


@dataclass(frozen=True)
class Device:
    """One of the sessions of a user, as session_devices describes it."""

    handle: str
    is_this: bool
    attributes: dict[str, Any] | None
    created_at: datetime
    authenticated_at: datetime
    last_seen: datetime | None
    expires_at: datetime | None


class Connections(Protocol):
    """Where connections come from, such as a psycopg_pool.ConnectionPool."""

    def connection(self) -> AbstractContextManager[psycopg.Connection[Any]]: ...


class IdleConnections:
    """As many connections as there are threads that have needed one at the same time, opened when they do.

    Each belongs to the process that opened it: a server may load the application, and then fork its workers. Two of
    them over one connection would read each other's answers, and so the sessions of others.
    """

    def __init__(self, conninfo: str = "") -> None:
        self._conninfo = conninfo
        self._idle: deque[tuple[int, psycopg.Connection[Any]]] = deque()
        self.close = weakref.finalize(self, close_all, self._idle)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self._take()
        try:
            yield connection
        finally:
            if connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                self._idle.append((os.getpid(), connection))
            else:
                connection.close()

    def _take(self) -> psycopg.Connection[Any]:
        while True:
            try:
                process, connection = self._idle.pop()
            except IndexError:
                return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
            if process != os.getpid():
                continue  # not closed either: that would end it for the other process
            if not has_news(connection):
                return connection
            connection.close()


def close_all(idle: deque[tuple[int, psycopg.Connection[Any]]]) -> None:
    while idle:
        process, connection = idle.pop()
        if process == os.getpid():
            connection.close()


def has_news(connection: psycopg.Connection[Any]) -> bool:
    """A server says something to an idle connection when it ends it: found without asking over the network."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return bool(selector.select(0))


def new_id() -> str:
    return secrets.token_urlsafe(32)


def is_possible(sid: str) -> bool:
    """Whether a session can have this id; another is unknown without asking, and SQL text could not carry some."""
    return 0 < len(sid) <= 256 and sid.isascii() and sid.isprintable()


class Store:
    """Each call is one statement, a transaction of its own. Ids that no session can have are unknown to all of them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def fetch(self, sid: str, slide: bool = True) -> Stored | None:
        rows = self._rows(FETCH, sid, slide) if is_possible(sid) else []
        # Without data it holds an opaque payload, which somebody else must have put there.
        return Stored(sid, json.loads(rows[0][0]), rows[0][1]) if rows and rows[0][0] is not None else None

    def exists(self, sid: str) -> bool:
        return is_possible(sid) and bool(self._value(EXIST, sid))

    def create(self, sid: str, changes: Changes, lifetime: timedelta | None = None) -> bool:
        """Begins a session. Without a lifetime it gets the server's, session_store.max_lifetime."""
        return bool(self._value(CREATE, sid, changes.json(), lifetime))

    def replace(self, sid: str, whole: Changes) -> bool:
        """Saves all that there is, over what anybody has saved; False when the session has ended."""
        return bool(self._value(REPLACE, sid, whole.json()))

    def patch(
        self, sid: str, changes: Changes, lifetime: timedelta | None = None, reset_lifetime: bool = False
    ) -> bool:
        """Saves what has changed; False when the session has ended. Without a lifetime it keeps the one it has."""
        if reset_lifetime:
            return bool(self._value(PATCH_AND_RESET_LIFETIME, sid, changes.json(), changes.remove))
        return bool(self._value(PATCH, sid, changes.json(), changes.remove, lifetime))

    def end(self, sid: str, version: int) -> bool:
        """Ends the session unless somebody has changed it since this version."""
        return bool(self._value(END, sid, version))

    def destroy(self, *sids: str) -> bool:
        """Ends the sessions. Whether one was live."""
        possible = [sid for sid in sids if is_possible(sid)]
        return bool(possible) and bool(self._value(DESTROY, possible))

    def pop(self, sid: str, key: str) -> Any:
        """Takes a value, parsed from JSON, out of the session; None if another request was faster."""
        text = self._value(POP, sid, key)
        return None if text is None else json.loads(text)

    def regenerate(self, sid: str) -> str | None:
        """The session's new id; None when it has ended."""
        found: str | None = self._value(REGENERATE, sid)
        return found

    def bind(self, sid: str, principal: str) -> bool:
        """Makes the session the principal's, without another id; False when it has ended."""
        return bool(self._value(BIND, sid, principal))

    def login(
        self,
        sid: str | None,
        principal: str,
        attributes: Mapping[str, Any] | None = None,
        max_sessions: int | None = None,
        lifetime: timedelta | None = None,
    ) -> Stored | None:
        """Renews the id and binds the session, or a new one without an id; None when it has ended."""
        details = None if attributes is None else json.dumps(dict(attributes))
        rows = self._rows(LOGIN, sid, principal, details, max_sessions, lifetime)
        return Stored(rows[0][0], json.loads(rows[0][1]), rows[0][2]) if rows else None

    def devices(self, sid: str) -> list[Device]:
        return [Device(*row) for row in self._rows(DEVICES, sid)]

    def revoke(self, sid: str, handle: str) -> bool:
        return "\0" not in handle and bool(self._value(REVOKE, sid, handle))

    def revoke_others(self, sid: str) -> int:
        return int(self._value(REVOKE_OTHERS, sid))

    def revoke_all(self, principal: str) -> int:
        return int(self._value(REVOKE_ALL, principal))

    def count(self) -> int:
        return int(self._value(COUNT))

    def _value(self, statement: str, *parameters: Any) -> Any:
        return self._rows(statement, *parameters)[0][0]

    def _rows(self, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        with self._connections.connection() as connection, autocommit(connection):
            cursor = connection.cursor(row_factory=tuple_row)
            # PgBouncer hands each transaction to another server connection, which has not prepared anything.
            return cursor.execute(statement, parameters, prepare=False).fetchall()


@contextmanager
def autocommit(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """In a pool of the application connections may begin transactions: two more trips for each statement."""
    before = connection.autocommit
    if not before:
        connection.autocommit = True
    try:
        yield
    finally:
        if not before and not connection.closed:
            connection.autocommit = False
