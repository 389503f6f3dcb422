"""The way to the extension's functions: Django's own connection, with its transactions, wrappers and settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections


def alias() -> str:
    return getattr(settings, "SESSION_STORE_DATABASE", DEFAULT_DB_ALIAS)


def rows(sql: str, **parameters: Any) -> list[tuple]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def value(sql: str, **parameters: Any) -> Any:
    """The first column of the first row, None where there is none."""
    found = rows(sql, **parameters)
    return found[0][0] if found else None


def is_id(key: str | None) -> bool:
    """Whether it can be the id of a session; other ids are unknown, and need not be asked for."""
    return bool(key) and len(key) <= 256 and key.isascii() and key.isprintable()
