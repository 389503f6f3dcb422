"""Flask sessions in PostgreSQL, by the extension session_store."""

from .extension import SessionStore, devices, login, regenerate, revoke, revoke_all, revoke_others
from .sessions import Session, SessionStoreInterface
from .store import Device, Store

__all__ = [
    "Device",
    "Session",
    "SessionStore",
    "SessionStoreInterface",
    "Store",
    "devices",
    "login",
    "regenerate",
    "revoke",
    "revoke_all",
    "revoke_others",
]
