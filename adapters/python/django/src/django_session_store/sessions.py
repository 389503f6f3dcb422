"""The session engine."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, CreateError, SessionBase, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils import timezone
from django.utils.crypto import get_random_string

from . import database
from .content import content_of, difference, to_text

LONGEST = 68 * 365.25 * 86400  # seconds: no lifetime is longer

# An absolute end is reckoned by the server's clock, and not from the beginning of a long transaction as now() would be.
LIFE = "%(lifetime)s::interval, coalesce(statement_timestamp() + %(remaining)s::interval, 'infinity')"
CREATE = f"session_save(%(sid)s, %(data)s::text, 0, {LIFE})"
REPLACE = f"session_save(%(sid)s, %(data)s::text, NULL, {LIFE})"
PATCH = f"session_patch(%(sid)s, %(data)s::text, %(remove)s::text[], {LIFE})"
EXTEND = f"session_touch(%(sid)s, {LIFE})"
KEEP = "session_touch(%(sid)s)"
BIND = "session_bind(%(sid)s, %(principal)s, %(attributes)s::jsonb)"
# session_pop() is an error where the value holds U+0000. So: hold the row, look, remove; each needs the one before it.
TAKE = """
    WITH held AS MATERIALIZED (SELECT session_patch(%(sid)s, '{}'::text) AS version),
    found AS MATERIALIZED (
        SELECT data::text
        FROM held
        CROSS JOIN LATERAL session_fetch(CASE WHEN version IS NOT NULL THEN %(sid)s END, slide => false)
    )
    SELECT data, session_patch(%(sid)s, '{}'::text, ARRAY[%(name)s]) FROM found"""

NOT_KNOWN = ""  # which is nobody's principal


class SessionStore(SessionBase):
    """One statement to load, one to save. A save sends what differs, so that requests at the same time lose nothing."""

    # What a login adds for the list of the user's devices; the receiver of user_logged_in sets it.
    login_attributes: dict[str, Any] | None = None

    _stored: str | None = None  # the JSON text that the next save is compared with; without it everything is replaced
    _bound_to: str | None = NOT_KNOWN  # whose the stored session is
    _unknown = False  # the id that the browser sent belongs to no session
    _new_key: str | None = None  # an id of cycle_key() under which nothing is stored yet

    @property
    def _content(self):
        return content_of(self.serializer)

    def _validate_session_key(self, key: str | None) -> bool:
        return super()._validate_session_key(key) and database.is_id(key)

    def _get_new_session_key(self) -> str:
        """Random enough that asking whether it is in use would be a wasted trip; the save would notice."""
        return get_random_string(32, VALID_KEY_CHARS)

    def is_empty(self) -> bool:
        """Django deletes the cookie of an empty session. An unknown id alone is no reason for that: a login may have
        renewed it, and this answer, if it comes after the login's, would delete the new cookie."""
        if settings.SESSION_SAVE_EVERY_REQUEST:
            self._get_session()  # or the middleware would find that the id is unknown when it is about to save
        elif self._unknown:
            return False
        return super().is_empty()

    def clear(self) -> None:
        super().clear()
        self._stored = None
        self._unknown = False

    def exists(self, session_key: str | None) -> bool:
        return database.is_id(session_key) and database.value("SELECT session_exist(%(sid)s)", sid=session_key)

    def load(self) -> dict:
        found = self.session_key and database.rows(
            "SELECT data::text FROM session_fetch(%(sid)s, slide => false)", sid=self.session_key
        )
        if not found:
            self._session_key = None
            self._unknown = True
            return {}
        text = found[0][0]
        try:
            values = self._content.load(text)
        except Exception:  # as in SessionBase.decode(): what cannot be read is an empty session
            return {}
        if not hasattr(self, "_session_cache"):
            self._stored = text
            self._bound_to = principal_of(values)
        return values

    def create(self) -> None:
        self._session_key = self._get_new_session_key()
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            return self.create()
        values = self._get_session(no_load=must_create)
        if self.session_key is None:  # it was loaded just now, and is unknown
            raise UpdateError
        creating = must_create or self.session_key == self._new_key
        stored = self._content.dump(values)
        principal = principal_of(values)
        if not self._write(creating, stored, principal):
            raise CreateError if creating else UpdateError
        self._stored = to_text(stored)
        self._bound_to = principal
        self.login_attributes = self._new_key = None

    def _write(self, creating: bool, stored: dict[str, Any], principal: str | None) -> bool:
        """Content, expiry, and whose session it is, in one statement. Whether it was saved."""
        parameters = self._life() | {"sid": self.session_key, "principal": principal, "remove": []}
        call, data = CREATE, stored
        if not creating:
            call, data, parameters["remove"] = self._change(stored, principal, idle=bool(parameters["lifetime"]))
        bound_to = None if creating else self._bound_to
        sql = f"SELECT {call}"
        if principal != bound_to or (principal and self.login_attributes is not None):
            sql = bind_and(call, creating)
            parameters["attributes"] = to_text(self.login_attributes) if self.login_attributes and principal else None
        return database.value(sql, data=to_text(data), **parameters) is not None

    def _change(self, stored: dict[str, Any], principal: str | None, idle: bool) -> tuple[str, dict, list[str]]:
        """The call that makes the stored session what this one is, its data, and the keys that it removes."""
        changes_hands = principal and self._bound_to and principal != self._bound_to  # which empties it
        if self._stored is None or changes_hands:
            return REPLACE, stored, []
        patch, remove = difference(json.loads(self._stored), stored)
        remove = [key for key in remove if key.startswith(self._content.prefix)]
        if any("\0" in key for key in remove):  # an array of text cannot hold that
            return REPLACE, stored, []
        if patch or remove:
            return PATCH, patch, remove
        return EXTEND if idle else KEEP, {}, []

    def _life(self) -> dict[str, Any]:
        """An idle lifetime, which starts anew with each save, or the absolute end that set_expiry() was given."""
        expiry = self._session_cache.get("_session_expiry")
        if isinstance(expiry, (datetime, str)):
            remaining = self.get_expiry_date(expiry=expiry) - timezone.now()
        else:
            seconds = self.get_expiry_age(expiry=expiry)
            if seconds > 0:
                return {"lifetime": timedelta(seconds=min(seconds, LONGEST)), "remaining": None}
            remaining = timedelta(seconds=seconds)
        return {"lifetime": timedelta(0), "remaining": remaining}

    def take(self, key: str, default: Any = None) -> Any:
        """As pop(), but at once: of requests at the same time one alone gets the value. For one-time tokens, and for
        messages that are shown once."""
        if self.session_key in (None, self._new_key):  # nothing is stored
            return self.pop(key, default)
        self.accessed = True
        (name,) = json.loads(to_text(self._content.dump({key: None})))
        if "\0" in name:  # which SQL text cannot hold
            return self.pop(key, default)
        text = database.value(TAKE, sid=self.session_key, name=name)
        self._forget(key, name)
        stored = json.loads(text) if text else {}
        if name not in stored:
            return default
        (value,) = self._content.load(to_text({name: stored[name]})).values()
        return value

    async def atake(self, key: str, default: Any = None) -> Any:
        return await sync_to_async(self.take)(key, default)

    def _forget(self, key: str, name: str) -> None:
        """What the stored session has no more the next save need not remove."""
        if hasattr(self, "_session_cache"):
            self._session_cache.pop(key, None)
        if self._stored is not None:
            self._stored = to_text({k: v for k, v in json.loads(self._stored).items() if k != name})

    def delete(self, session_key: str | None = None) -> None:
        key = self.session_key if session_key is None else session_key
        if database.is_id(key):
            database.value("SELECT session_destroy(%(sid)s)", sid=key)

    def cycle_key(self) -> None:
        """The session moves to a new id at once; what this request has changed follows when it is saved."""
        self._session_key = self._renewed_key() or self._key_to_begin_with()
        self.modified = True

    def _renewed_key(self) -> str | None:
        if self.session_key in (None, self._new_key):  # nothing is stored
            self._get_session()
            return None
        key = database.value("SELECT session_regenerate(%(sid)s, must_exist => true)", sid=self.session_key)
        if key is None:
            if self._bound_to:
                raise SessionInterrupted("The session ended before its key could be renewed.")
            # A visitor who logs in shall not fail because of that, but what the session held stays ended.
            self._session_cache = {}
        return key

    def _key_to_begin_with(self) -> str:
        """The first save creates the session, so that a login that fails after this leaves nothing behind."""
        self._new_key = self._get_new_session_key()
        return self._new_key

    async def acycle_key(self) -> None:
        await sync_to_async(self.cycle_key)()

    @classmethod
    def clear_expired(cls) -> None:
        """Nothing to do: the extension removes expired sessions in the background."""


def principal_of(values: dict) -> str | None:
    user = values.get(SESSION_KEY)
    return None if user in (None, "") else str(user)


def bind_and(call: str, creating: bool) -> str:
    """A statement that saves and binds. It binds first, so that it takes its locks in the order in which
    session_revoke_all() does; what it creates nobody else can wait for."""
    if creating:
        return (
            f"WITH saved AS MATERIALIZED (SELECT {call} AS version)"
            f" SELECT version, CASE WHEN version IS NOT NULL THEN {BIND} END FROM saved"
        )
    return f"WITH bound AS MATERIALIZED (SELECT {BIND} AS live) SELECT {call} FROM bound WHERE live"
