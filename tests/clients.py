"""Clients that make random calls and write down what they did, for the model to judge."""

import time

import psycopg
from model import SAVED, UNKNOWN, Call, Failure
from psycopg.types.json import Jsonb

DEADLINE = "deadline => clock_timestamp() + make_interval(secs => %s)"
STATEMENTS = {
    "get": "session_get(%s)",
    "get_key": "session_get(%s, %s)",
    "load": "data, version FROM session_load(%s)",
    "fetch": "data, version FROM session_fetch(%s)",
    "peek": "data, version FROM session_load(%s, false)",
    "exist": "session_exist(%s)",
    "whose": "coalesce(principal, '') FROM session_load(%s, false)",
    "touch": f"session_touch(%s, {DEADLINE}) IS NOT NULL",
    "keep": "session_touch(%s, deadline => 'infinity') IS NOT NULL",
    "set": "session_set(%s, %s, to_jsonb(%s::int))",
    "merge": "session_merge(%s, %s, %s)",
    "patch": "session_patch(%s, %s::jsonb::json, %s)",
    "delete": "session_delete(%s, %s)",
    "pop": "session_pop(%s, %s)",
    "flush": "session_flush(%s)",
    "release": "session_release(%s, %s)",
    "release_at": "session_release(%s, %s, %s)",
    "save_at": "session_save(%s, %s::jsonb::json, %s)",
    "save_new": "session_save(%s, %s::jsonb::json, 0)",
    "put": f"session_put(%s, %s, {DEADLINE})",
    "create": f"session_create(sid => %s, data => %s, {DEADLINE})",
    "read": "session_read(%s)",
    "start": "data, version, sid, is_new FROM session_start(%s)",
    "regenerate": "session_regenerate(%s, %s)",
    "renew": "session_regenerate(%s, %s, '5 min')",
    "login": "session_login(%s, %s, sid => %s)",
    "bind": "session_bind(%s, %s)",
    "unbind": "session_bind(%s, NULL)",
    "revoke_all": "count(*) FROM session_revoke_all(%s)",
    "destroy": "session_destroy(%s)",
    "gc": "session_gc() FROM (SELECT %s::text) AS no_session",
}
RETURN_THE_VERSION = ["set", "merge", "patch", "flush", "release", "release_at", "save_at", "save_new", "put"]


class Client:
    """A connection, and the calls that were made over it."""

    def __init__(self, number, connection, strict=False):
        self.number = number
        self.strict = strict
        self.calls = []
        self.versions = {}  # that it saw last
        self.use(connection)

    def use(self, connection):
        connection.prepare_threshold = 1
        connection.execute("SELECT set_config('session_store.strict', %s, false)", (str(self.strict),))
        self.connection = connection

    def call(self, name, sid, *arguments):
        """Makes a call and keeps it; false if the connection broke meanwhile."""
        statement = "SELECT " + STATEMENTS[name]
        parameters = [sid, *(as_parameter(argument) for argument in arguments)]
        value, version = UNKNOWN, None
        invoked = time.monotonic()
        try:
            value, version = self._answer(name, self.connection.execute(statement, parameters).fetchone())
        except psycopg.Error as error:
            if error.sqlstate and not error.sqlstate.startswith("57P"):  # neither broken nor shut down
                value = Failure(error.sqlstate)
        returned = time.monotonic()
        self.calls.append(Call(self.number, name, sid, arguments, self.strict, invoked, returned, value, version))
        return value != UNKNOWN

    def _answer(self, name, row):
        if row is None:
            return None, None
        value, *others = (frozenset(column.items()) if isinstance(column, dict) else column for column in row)
        if name in RETURN_THE_VERSION:
            return (value and SAVED), value
        version, *others = others or [None]
        return ((others[0], value, others[1]) if others else value), version

    def random_call(self, random, sids, new_sids, principals, generate=True):
        """Any call, on any of these sessions and principals; a renewal leads to one of the new ids or, maybe, a
        generated one."""
        name = random.choices(list(WEIGHTS), WEIGHTS.values())[0]
        sid = random.choice(principals if name == "revoke_all" else sids)
        if name in ("release_at", "save_at") and sid not in self.versions:
            name = "load"
        if name == "start" and not generate:
            name = "get"
        new = random.choice([new for new in new_sids if new != sid] + [None] * (2 * generate))
        known = self.call(name, sid, *arguments_of(name, random, new, principals, self.versions.get(sid)))
        if self.calls[-1].version:
            self.versions[sid] = self.calls[-1].version
        return known


WEIGHTS = dict.fromkeys(STATEMENTS, 2) | dict.fromkeys(["set", "release_at"], 6)
WEIGHTS |= dict.fromkeys(["load", "regenerate", "renew", "create", "read", "put", "login", "bind"], 4)


def arguments_of(name, random, new, principals, version):
    key = random.choice("ab")
    data = frozenset({key: random.randrange(1000), random.choice("ab"): 0}.items())
    seconds = random.choice([None] * 6 + [0.005, 0.02])
    return {
        "get_key": (key,),
        "touch": (seconds,),
        "set": (key, random.randrange(3)),
        "merge": (data, (random.choice("ab"),)),
        "patch": (data, (random.choice("ab"),)),
        "delete": (key,),
        "pop": (key,),
        "release": (data,),
        "release_at": (data, version),
        "save_at": (data, version),
        "save_new": (data,),
        "put": (data, seconds),
        "create": (data, seconds),
        "regenerate": (new,),
        "renew": (new,),
        "login": (random.choice(principals), new),
        "bind": (random.choice(principals),),
    }.get(name, ())


def as_parameter(argument):
    if isinstance(argument, frozenset):
        return Jsonb(dict(argument))
    return list(argument) if isinstance(argument, tuple) else argument
