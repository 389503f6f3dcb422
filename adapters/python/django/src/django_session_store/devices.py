"""The sessions of one user: list them, end one, the others, or all."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest
from django.utils.module_loading import import_string

from . import database
from .sessions import SessionStore


class Device(NamedTuple):
    handle: str
    is_this: bool
    attributes: dict[str, Any]
    created_at: datetime
    authenticated_at: datetime
    last_seen: datetime | None  # None where use does not move the expiry
    expires_at: datetime | None  # None where there is no end, which only another program can have set


def devices(request: HttpRequest) -> list[Device]:
    """The live sessions of the user whose session the request has, that one first; none if nobody is logged in."""
    found = database.rows(
        "SELECT handle, is_this, attributes::text, created_at, authenticated_at, last_seen,"
        " nullif(expires_at, 'infinity') FROM session_devices(%(sid)s)",
        sid=request.session.session_key,
    )
    return [
        Device(handle, is_this, json.loads(attributes or "{}"), *times) for handle, is_this, attributes, *times in found
    ]


def revoke(request: HttpRequest, handle: str) -> bool:
    """Ends one of them. False for a handle that is none of theirs."""
    if not database.is_id(handle):
        return False
    return database.value("SELECT session_revoke(%(sid)s, %(handle)s)", sid=request.session.session_key, handle=handle)


def revoke_others(request: HttpRequest) -> list[str]:
    """Ends all of them but the request's own; the handles of those that ended."""
    found = database.rows("SELECT session_revoke_others(%(sid)s)", sid=request.session.session_key)
    return [handle for (handle,) in found]


def revoke_all(user: Model, keep: HttpRequest | None = None) -> list[str]:
    """Ends all sessions of a user, but that of the request to keep: in the transaction that changes the password."""
    found = database.rows(
        "SELECT session_revoke_all(%(principal)s, %(keep)s)",
        principal=user._meta.pk.value_to_string(user),  # as login() writes it into the session
        keep=keep.session.session_key if keep else None,
    )
    return [handle for (handle,) in found]


adevices = sync_to_async(devices)
arevoke = sync_to_async(revoke)
arevoke_others = sync_to_async(revoke_others)
arevoke_all = sync_to_async(revoke_all)


def browser(request: HttpRequest) -> dict[str, Any]:
    """What a list of devices shows unless SESSION_STORE_ATTRIBUTES names another function."""
    return {"browser": request.META.get("HTTP_USER_AGENT", "").replace("\0", "")[:255]}


def describe_login(sender: Any, request: HttpRequest | None, **kwargs: Any) -> None:
    """A receiver of user_logged_in. The session is bound when it is saved, along with the user in its content."""
    session = getattr(request, "session", None)
    if isinstance(session, SessionStore):
        attributes = getattr(settings, "SESSION_STORE_ATTRIBUTES", browser)
        if isinstance(attributes, str):
            attributes = import_string(attributes)
        session.login_attributes = attributes(request) if attributes else None
