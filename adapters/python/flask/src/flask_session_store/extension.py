"""The Flask extension, and what views call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flask import Flask, current_app, session

from .moving_in import import_flask_session
from .sessions import Session, SessionStoreInterface
from .store import Device, IdleConnections, Store


class SessionStore:
    """Has an application keep its sessions in PostgreSQL: SessionStore(app), or init_app(app) later."""

    interface_class: type[SessionStoreInterface] = SessionStoreInterface

    def __init__(self, app: Flask | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        app.config.setdefault("SESSION_STORE_POOL", None)
        app.config.setdefault("SESSION_STORE_CONNINFO", "")
        app.config.setdefault("SESSION_STORE_LIFETIME", None)
        connections = app.config["SESSION_STORE_POOL"] or IdleConnections(app.config["SESSION_STORE_CONNINFO"])
        app.session_interface = self.interface_class(Store(connections))
        app.extensions["session_store"] = self
        app.cli.add_command(import_flask_session)


def _interface() -> SessionStoreInterface:
    return cast(SessionStoreInterface, current_app.session_interface)


def _session() -> Session:
    return session._get_current_object()  # type: ignore[attr-defined, no-any-return]


def login(principal: object, attributes: Mapping[str, Any] | None = None, *, max_sessions: int | None = None) -> bool:
    """Renews the session's id and binds it to the user, whose others it ends beyond max_sessions.

    False, and nothing done, if another request has ended or renewed the session since this one loaded it.
    """
    return _interface().login(current_app, _session(), principal, attributes, max_sessions)


def regenerate() -> bool:
    """Gives the session another id, at a change of privilege that is no login."""
    return _interface().regenerate(_session())


def devices() -> list[Device]:
    """The sessions of the user whose this one is, this one first."""
    return _interface().devices(_session())


def revoke(handle: str) -> bool:
    """Ends one of them."""
    return _interface().revoke(_session(), handle)


def revoke_others() -> int:
    """Ends all of them but this one: at a change of the password. How many."""
    return _interface().revoke_others(_session())


def revoke_all(principal: object) -> int:
    """Ends all sessions of a user: when a password is reset, or an account closed. How many."""
    return _interface().store.revoke_all(str(principal))
