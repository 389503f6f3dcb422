"""A session class for CherryPy over the core of this package, for CherryPy's own tests."""

import json
import threading
from datetime import timedelta
from typing import ClassVar

from cherrypy.lib import sessions

from flask_session_store.content import Content
from flask_session_store.store import IdleConnections, Store


class JsonCodec:
    encode = staticmethod(json.dumps)

    @staticmethod
    def decode(value):
        return value


class Known:
    """The live ones of the ids that began in this process; the database itself has no ids to list."""

    def __init__(self, store):
        self._store = store
        self._ids = []

    def __iter__(self):
        return iter([sid for sid in self._ids if self._store.exists(sid)])

    def keys(self):
        return list(self)

    def add(self, sid):
        self._ids.append(sid)

    def clear(self):
        self._store.destroy(*self._ids)


class StoredSession(sessions.Session):
    store = Store(IdleConnections())
    cache = Known(store)
    locks: ClassVar[dict] = {}

    def _exists(self):
        return self.store.exists(self.id)

    def _load(self):
        found = self.store.fetch(self.id)
        self._is_live = found is not None
        self._stored = Content(found.data if found else {}, JsonCodec)
        return (dict(self._stored), self.now() + timedelta(days=1)) if found else None

    def _save(self, expiration_time):
        for key in set(self._stored) - set(self._data):
            del self._stored[key]
        self._stored.update(self._data)
        changes, lifetime = self._stored.changes(), expiration_time - self.now()
        if self._is_live:
            if changes:
                self.store.patch(self.id, changes, lifetime)
        elif self.store.create(self.id, changes, lifetime):
            self.cache.add(self.id)

    def _delete(self):
        self.store.destroy(self.id)

    def _regenerate(self):
        """CherryPy deletes the session, and saves its values under another id later; here it moves."""
        moved = self.store.regenerate(self.id) if self.id else None
        if moved is None:
            return super()._regenerate()
        self.cache.add(moved)
        was_locked = self.locked
        if was_locked:
            self.release_lock()
        self.id = moved
        if was_locked:
            self.acquire_lock()

    def __len__(self):
        return self.store.count()

    def acquire_lock(self):
        self.locked = True
        self.locks.setdefault(self.id, threading.RLock()).acquire()

    def release_lock(self):
        self.locks[self.id].release()
        self.locked = False

    def clean_up(self):
        for sid, lock in list(self.locks.items()):
            if not self.store.exists(sid) and lock.acquire(blocking=False):
                self.locks.pop(sid)
                lock.release()
