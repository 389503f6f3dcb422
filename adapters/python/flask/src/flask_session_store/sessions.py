"""The session and its interface, in the manner of flask.sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

from flask import Flask, Request, Response
from flask.json.tag import TaggedJSONSerializer
from flask.sessions import SessionInterface, SessionMixin, session_json_serializer
from psycopg.errors import UntranslatableCharacter

from .content import Changes, Codec, Content
from .store import Device, Store, new_id

FLASHES = "_flashes"
PERMANENT = "_permanent"
MAX_LIFETIME = timedelta(days=68 * 365)  # of the extension


class TaggedCodec:
    """The types that Flask's own sessions keep: tuples, bytes, datetimes, UUIDs, Markup, whatever was registered."""

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self._serializer = serializer

    def encode(self, value: Any) -> str:
        return self._serializer.dumps(value)

    def decode(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._serializer.untag({key: self.decode(member) for key, member in value.items()})
        if isinstance(value, list):
            return [self.decode(member) for member in value]
        return value


class Session(SessionMixin):
    """Loaded when it is first looked at. Changes within its values are found when it is saved."""

    modified = False
    accessed = False

    def __init__(
        self, store: Store, codec: Codec, presented: str | None, slide: bool = True, permanent: bool = False
    ) -> None:
        self._store = store
        self._codec = codec
        self._presented = presented
        self._slide = slide
        self._permanent = permanent
        self._content: Content | None = None
        self._sid: str | None = None
        #: What the session was at when it was loaded.
        self.version = 0
        #: The ids of sessions that end when this one is saved.
        self.ending: list[str] = []
        #: Whether it has got another id in this request.
        self.renewed = False

    @property
    def touched(self) -> bool:
        """Whether anybody has looked at it, or cleared it."""
        return self._content is not None

    @property
    def content(self) -> Content:
        self.accessed = True
        if self._content is None:
            found = self._store.fetch(self._presented, self._slide) if self._presented else None
            self._sid, self.version = (found.sid, found.version) if found else (None, 0)
            self._content = Content(found.data if found else {}, self._codec)
        return self._content

    @property
    def sid(self) -> str | None:
        """The id of the stored session; None when there is none."""
        _ = self.content  # loads it
        return self._sid

    @property
    def new(self) -> bool:  # type: ignore[override]
        return self.sid is None

    @property
    def permanent(self) -> bool:
        return bool(self.get(PERMANENT, self._permanent))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self[PERMANENT] = bool(value)

    @property
    def is_empty(self) -> bool:
        """That a session is permanent is nothing to keep it for."""
        return not self.content.keys() - {PERMANENT}

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value
        self.modified = True

    def __delitem__(self, key: str) -> None:
        del self.content[key]
        self.modified = True

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)

    def __contains__(self, key: object) -> bool:
        return key in self.content

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {dict(self)!r}>"

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def pop(self, key: str, *default: Any) -> Any:
        if key == FLASHES and self.content.is_as_loaded(FLASHES):
            return self._pop_flashes()
        return super().pop(key, *default)

    def _pop_flashes(self) -> Any:
        """flask.get_flashed_messages() takes them at once, so that of several tabs one shows them."""
        assert self._sid is not None
        try:
            popped = self._store.pop(self._sid, FLASHES)
        except UntranslatableCharacter:  # a message with U+0000, which only the calls for whole sessions return
            return super().pop(FLASHES)
        self.content.forget(FLASHES)
        self.modified = True
        return [] if popped is None else self._codec.decode(popped)

    def clear(self) -> None:
        """Ends the session: what is put in afterwards begins another, with another id."""
        sid = self._presented if self._content is None else self._sid
        if sid:
            self.ending.append(sid)
        self.reset()
        self.modified = self.accessed = True

    def reset(self) -> None:
        """There is no stored session any more."""
        self._sid = None
        self._content = Content({}, self._codec)

    def moved(self, sid: str) -> None:
        """It has got another id."""
        self._sid = sid
        self.renewed = True


class Cookie(Enum):
    """What is to be done about the browser's."""

    LEAVE = "leave"
    SEND = "send"
    DELETE = "delete"


class SessionStoreInterface(SessionInterface):
    """Flask's settings for the cookie count. SESSION_STORE_LIFETIME is for sessions that are not permanent."""

    session_class = Session
    serializer: TaggedJSONSerializer = session_json_serializer

    def __init__(self, store: Store) -> None:
        self.store = store
        self.codec: Codec = TaggedCodec(self.serializer)

    def open_session(self, app: Flask, request: Request) -> Session:
        return self.session_class(
            self.store,
            self.codec,
            request.cookies.get(self.get_cookie_name(app)),
            slide=app.config["SESSION_REFRESH_EACH_REQUEST"],
            permanent=app.config.get("SESSION_PERMANENT", False),
        )

    def get_lifetime(self, app: Flask, session: Session) -> timedelta | None:
        """For how long the session may be idle; None for what the server has set."""
        lifetime = app.permanent_session_lifetime if session.permanent else app.config.get("SESSION_STORE_LIFETIME")
        if isinstance(lifetime, int):  # seconds, as in PERMANENT_SESSION_LIFETIME
            lifetime = timedelta(seconds=lifetime)
        return None if lifetime is None else min(lifetime, MAX_LIFETIME)

    def get_expiration_time(self, app: Flask, session: SessionMixin) -> datetime | None:
        assert isinstance(session, Session)
        lifetime = self.get_lifetime(app, session)
        return datetime.now(timezone.utc) + lifetime if session.permanent and lifetime else None

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        assert isinstance(session, Session)
        if session.accessed:
            response.vary.add("Cookie")
        if not session.touched:
            return
        if session.permanent and app.permanent_session_lifetime <= timedelta(0):
            session.clear()  # a lifetime of nothing is none, and to the extension no limit
        cookie = self._save(app, session)
        if cookie is not Cookie.LEAVE:
            response.vary.add("Cookie")
        if cookie is Cookie.SEND:
            assert session.sid is not None
            expires = self.get_expiration_time(app, session)
            response.set_cookie(self.get_cookie_name(app), session.sid, expires=expires, **self._cookie_options(app))
        elif cookie is Cookie.DELETE:
            response.delete_cookie(self.get_cookie_name(app), **self._cookie_options(app))

    def _save(self, app: Flask, session: Session) -> Cookie:
        ended = self._end_cleared(session)
        if session.sid is not None:
            return self._save_difference(app, session, session.sid)
        if not session.is_empty:
            sid, changes = new_id(), session.content.changes()
            self.store.create(sid, changes, self.get_lifetime(app, session))
            session.content.saved(changes)
            session.moved(sid)
            return Cookie.SEND
        # An id that reaches nothing says nothing about the cookie that the browser has by now.
        return Cookie.DELETE if ended else Cookie.LEAVE

    def _end_cleared(self, session: Session) -> bool:
        ended = self.store.destroy(*session.ending)
        session.ending.clear()
        return ended

    def _save_difference(self, app: Flask, session: Session, sid: str) -> Cookie:
        changes = session.content.changes()
        # A login is no visit that has left its session empty: its id was asked for.
        left_empty = changes.remove and session.is_empty and not session.renewed
        if left_empty and self.store.end(sid, session.version):
            session.reset()
            return Cookie.DELETE
        if changes:
            session.modified = True
        wanted = session.renewed or PERMANENT in changes or (session.permanent and self.should_set_cookie(app, session))
        if changes:
            if not self._patch(app, session, sid, changes):
                return Cookie.LEAVE
        elif wanted and not session.renewed and not self.store.exists(sid):
            return Cookie.LEAVE  # another request has renewed or ended it, whose cookie must stay
        return Cookie.SEND if wanted else Cookie.LEAVE

    def _patch(self, app: Flask, session: Session, sid: str, changes: Changes) -> bool:
        lifetime = self.get_lifetime(app, session)
        reset = lifetime is None and PERMANENT in changes
        sent = changes
        if any("\0" in key for key in changes.remove):  # SQL text, which names what is removed, cannot carry that
            if not self.store.replace(sid, session.content.whole()):
                return False
            sent = Changes({}, [])
        if alive := self.store.patch(sid, sent, lifetime, reset_lifetime=reset):
            session.content.saved(changes)
        return alive

    def _cookie_options(self, app: Flask) -> dict[str, Any]:
        options = {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
        }
        if hasattr(SessionInterface, "get_cookie_partitioned"):  # from Flask 3.1 on
            options["partitioned"] = self.get_cookie_partitioned(app)
        return options

    # What Flask has no name for

    def regenerate(self, session: Session) -> bool:
        """Gives the session another id. False when it has ended, or is yet to begin."""
        sid = self.store.regenerate(session.sid) if session.sid else None
        if sid:
            session.moved(sid)
        return sid is not None

    def login(
        self,
        app: Flask,
        session: Session,
        principal: object,
        attributes: Mapping[str, Any] | None = None,
        max_sessions: int | None = None,
    ) -> bool:
        """Renews the id and binds the session to the user. False, and nothing done, when it has ended meanwhile."""
        if principal is None:
            raise TypeError("a session is bound to somebody, not to None")
        self._end_cleared(session)
        changes = session.content.changes()
        if session.sid and changes:
            self._patch(app, session, session.sid, changes)  # before, so that a change of user takes nothing along
        lifetime = self.get_lifetime(app, session)
        found = self.store.login(session.sid, str(principal), attributes, max_sessions, lifetime)
        if found is None:
            return False
        if session.sid:
            session.content.reload(found.data)
        session.version = found.version
        session.moved(found.sid)
        return True

    def devices(self, session: Session) -> list[Device]:
        return self.store.devices(session.sid) if session.sid else []

    def revoke(self, session: Session, handle: str) -> bool:
        return bool(session.sid) and self.store.revoke(session.sid, handle)  # type: ignore[arg-type]

    def revoke_others(self, session: Session) -> int:
        return self.store.revoke_others(session.sid) if session.sid else 0
