"""Django sessions in the PostgreSQL extension session_store: SESSION_ENGINE = "django_session_store"."""

from .devices import (
    Device,
    adevices,
    arevoke,
    arevoke_all,
    arevoke_others,
    devices,
    revoke,
    revoke_all,
    revoke_others,
)
from .sessions import SessionStore

__all__ = [
    "Device",
    "SessionStore",
    "adevices",
    "arevoke",
    "arevoke_all",
    "arevoke_others",
    "devices",
    "revoke",
    "revoke_all",
    "revoke_others",
]
