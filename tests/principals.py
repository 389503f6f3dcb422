"""What tests of principals share."""

from conftest import one

LEVELS = ["read committed", "repeatable read", "serializable"]


def login(client, principal, *sids):
    for sid in sids:
        assert one(client, "SELECT session_login(NULL, %s, sid => %s)", principal, sid) == sid


def handle_of(client, sid):
    return one(client, "SELECT handle FROM session_devices(%s) WHERE is_this", sid)


def live(client, *sids):
    return [sid for sid in sids if one(client, "SELECT session_exist(%s)", sid)]


def begin(client, level):
    """A transaction whose snapshot, if it keeps one, is taken."""
    client.execute(f"BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM pg_class")
