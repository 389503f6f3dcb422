"""Every kind of call, for tests that put something around the table or beside it.

Each is on a session that holds {"k": 1}; its id stands for %s, as a literal. As few of them as possible return an id, a
version or a time, so that what they return can be compared.
"""

from typing import NamedTuple

from conftest import expires_in, one
from psycopg import errors

HELD = {"k": 1}


class Call(NamedTuple):
    call: str
    value: object
    left: dict | None  # what the session holds afterwards; None if it is there no more

    def on(self, sid):
        return "SELECT " + self.call.replace("%s", f"'{sid}'")


# They keep the session alive and change nothing.
READS = {
    "get": Call("session_get(%s)", HELD, HELD),
    "get_key": Call("session_get(%s, 'k')", 1, HELD),
    "load": Call("data FROM session_load(%s)", HELD, HELD),
    "fetch": Call("data FROM session_fetch(%s)", HELD, HELD),
    "read": Call("session_read(%s)", HELD, HELD),
    "start": Call("data FROM session_start(%s)", HELD, HELD),
    "touch": Call("session_touch(%s) IS NOT NULL", True, HELD),
    "devices": Call("count(*) FROM session_devices(%s)", 0, HELD),
}
# They only look.
LOOKS = {
    "exist": Call("session_exist(%s)", True, HELD),
    "peek": Call("data FROM session_load(%s, false)", HELD, HELD),
    "glance": Call("data FROM session_fetch(%s, false)", HELD, HELD),
}
# They change a session or end it. Some are for roles that were granted the application's calls.
CHANGES = {
    "set": Call("session_set(%s, 'n', '2') > 0", True, HELD | {"n": 2}),
    "merge": Call("session_merge(%s, '{\"n\": 2}', '{k}') > 0", True, {"n": 2}),
    "delete": Call("session_delete(%s, 'k')", True, {}),
    "flush": Call("session_flush(%s) > 0", True, {}),
    "release": Call("session_release(%s, '{\"n\": 2}') > 0", True, {"n": 2}),
    "save": Call("session_save(%s, '{\"n\": 2}') > 0", True, {"n": 2}),
    "patch": Call("session_patch(%s, '{\"n\": 2}', '{k}') > 0", True, {"n": 2}),
    "pop": Call("session_pop(%s, 'k')", 1, {}),
    "release_raw": Call("session_release_raw(%s, 'raw') > 0", True, {"opaque": "raw"}),
    "put": Call("session_put(%s, '{\"n\": 2}') > 0", True, {"n": 2}),
    "put_raw": Call("session_put_raw(%s, 'raw') > 0", True, {"opaque": "raw"}),
    "touch_for": Call("session_touch(%s, '2 h') > now() + interval '119 min'", True, HELD),
    "read_for": Call("session_read(%s, '2 h')", HELD, HELD),
    "merge_for": Call("session_merge(%s, '{\"n\": 2}', '{k}', '2 h') > 0", True, {"n": 2}),
    "renew": Call("session_get(session_regenerate(%s))", HELD, None),
    "move": Call("session_regenerate(%s, 'moved') IS NOT NULL", True, None),
    "login": Call("session_get(session_login(%s, 'ada'))", HELD, None),
    "bind": Call("session_bind(%s, 'ada')", True, HELD),
    "destroy": Call("session_destroy(%s)", True, None),
}
# They begin a session, whatever there is.
CREATES = {
    "create": "session_create()",
    "create_raw": "session_create_raw('raw')",
    "create_as": "session_create('{}', 'new')",
    "start_new": "sid FROM session_start('unknown')",
    "read_new": "session_read('new')",
    "read_raw_new": "session_read_raw('new')",
    "release_new": "session_release('new', '{}', 0)",
    "save_new": "session_save('new', '{}', 0)",
    "release_raw_new": "session_release_raw('new', 'raw', 0)",
    "put_new": "session_put('new', '{}')",
    "put_raw_new": "session_put_raw('new', 'raw')",
    "renew_missing": "session_regenerate('unknown')",
    "login_missing": "session_login('unknown', 'ada')",
    "login_missing_as": "session_login('unknown', 'ada', sid => 'new')",
    "move_missing": "session_regenerate('unknown', 'new')",
}
ON_A_SESSION = READS | LOOKS | CHANGES
WRITES = {name: call.call for name, call in CHANGES.items()} | CREATES


def create(owner, sid):
    owner.execute("SELECT session_create('{\"k\": 1}', %s)", (sid,))
    return sid


def create_due(owner, sid):
    """A session of one hour that was last used 50 minutes ago: the next read slides it."""
    create(owner, sid)
    expires_in(owner, sid, "10 min")
    return sid


def has_slid(owner, sid):
    query = "SELECT session_expiry > now() + interval '59 min' FROM session WHERE session_key = sha256(%s::bytea)"
    return one(owner, query, sid.encode())


def content(owner, sid):
    """What a session holds, None if there is none."""
    opaque = "jsonb_build_object('opaque', convert_from(payload, 'UTF8'))"
    return one(owner, f"SELECT coalesce(data, {opaque}) FROM session_load(%s, false)", sid)


def outcome(call, *arguments):
    """What it returns, or its SQLSTATE."""
    try:
        return call(*arguments)
    except errors.Error as error:
        return error.sqlstate
