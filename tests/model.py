"""What calls do to sessions when they come one after the other: the documentation's rules, short enough to be believed.

A session id leads to a session or to none: to the one that has it, or to the one that had it before renewals with a
grace, which lasts longer than any history. `step` says what may follow when a call takes effect and returns what it
did. What a call does not tell is kept open: the version of a session that changed since somebody saw it, and the moment
at which a session with a deadline ends.
"""

import math
from itertools import product
from typing import NamedTuple

NEVER = (math.inf, math.inf)


class Failure(NamedTuple):
    sqlstate: str


NO_SESSION = Failure("P0002")
EXISTS = Failure("23505")
SERIALIZATION = Failure("40001")
DEADLOCK = Failure("40P01")
SAVED = "saved"  # in place of the version that such a call returns, which is kept apart
UNKNOWN = "unknown"  # the connection broke before the answer came


class Session(NamedTuple):
    data: frozenset = frozenset()  # of pairs of key and value
    version: int = 0  # as it was seen last, or 0
    changed: bool = True  # since then
    ends: tuple = NEVER  # at some time between these two
    born: tuple = ()  # the call that began it: another one under the same id is another session
    principal: str | None = None  # whom it belongs to

    def holding(self, pairs):
        """A write that changes nothing leaves the version."""
        data = frozenset(pairs)
        return self if data == self.data else self._replace(data=data, changed=True)

    def bound_to(self, principal):
        """From another principal it takes nothing along."""
        emptied = self.holding(()) if self.principal not in (None, principal) else self
        return emptied._replace(principal=principal)

    def seen(self, version):
        """The session, if it can have this version."""
        can_have = version > self.version if self.changed else version == self.version
        return self._replace(version=version, changed=False) if can_have else None


class Call(NamedTuple):
    client: int
    name: str
    sid: str
    arguments: tuple  # hashable: data as a frozenset of pairs
    strict: bool
    invoked: float
    returned: float
    value: object
    version: int | None = None  # that it returned

    def may_find(self, session):
        """What counts is when the statement began; a session without a deadline is there, or it is not."""
        if session is None or self.invoked > session.ends[1]:
            return [None]
        return [session] if self.returned < session.ends[0] else [session, None]

    def born(self):
        return self.client, self.invoked

    def end(self, seconds):
        """When a session ends that gets a deadline so many seconds after this call."""
        return NEVER if seconds is None else (self.invoked + seconds, self.returned + seconds)


class State(NamedTuple):
    sessions: frozenset = frozenset()  # of pairs of sid and Session
    looked: frozenset = frozenset()  # calls that are half done, see regenerate()
    moved: frozenset = frozenset()  # of (old sid, new sid, who was born): renewals with a grace

    def with_session(self, sid, session):
        others = {pair for pair in self.sessions if pair[0] != sid}
        return self._replace(sessions=frozenset(others | ({(sid, session)} if session else set())))

    def reach(self, sid):
        """The id of the session that this one leads to, and the session; itself and None if to none."""
        sessions, at, born = dict(self.sessions), sid, None
        while at not in sessions:
            ways = [(new, who) for old, new, who in self.moved if old == at and born in (None, who)]
            if not ways:
                return sid, None
            ((at, born),) = ways
        found = sessions[at]
        return (at, found) if born in (None, found.born) else (sid, None)

    def with_moved(self, old, new, session):
        """After this the old id leads there; what led there before stays dead, and does with session None."""
        others = {way for way in self.moved if way[1] != new}
        ours = {(old, new, session.born)} if session else set()
        return self._replace(moved=frozenset({way for way in others if not ours or way[0] != old} | ours))


# A rule takes the call, the live session or None, and the arguments; it gives the value and the session that is left.


def get_key(_, session, key):
    return session and dict(session.data).get(key), session


def set_key(_, session, key, value):
    return SAVED, session.holding((dict(session.data) | {key: value}).items())


def merge(_, session, patch, remove):
    kept = {key: value for key, value in session.data if key not in remove}
    return SAVED, session.holding((kept | dict(patch)).items())


def delete(_, session, key):
    data = dict(session.data)
    return data.pop(key, None) is not None, session.holding(data.items())


def release(_, session, data):
    return SAVED, session.holding(data)


def release_at(_, session, data, version):
    """Whoever knows the session's version has seen it, so that one that changed since is at another."""
    if session.changed or session.version != version:
        return None, session
    return SAVED, session.holding(data)


def save_new(call, session, data):
    return (None, session) if session else (SAVED, Session(data, born=call.born()))


def pop(_, session, key):
    data = dict(session.data)
    return data.pop(key, None), session.holding(data.items())


def put(call, session, data, seconds):
    return SAVED, (session or Session(born=call.born())).holding(data)._replace(ends=call.end(seconds))


def create(call, session, data, seconds):
    return (EXISTS, session) if session else (call.sid, Session(data, ends=call.end(seconds), born=call.born()))


def touch(call, session, seconds):
    return True, session if seconds is None else session._replace(ends=call.end(seconds))


def read(call, session):
    session = session or (None if call.strict else Session(born=call.born()))
    return session and session.data, session


def whose(_, session):
    return session and (session.principal or ""), session


RULES = {
    "get": lambda _, session: (session and session.data, session),
    "get_key": get_key,
    "load": lambda _, session: (session and session.data, session),
    "fetch": lambda _, session: (session and session.data, session),
    "peek": lambda _, session: (session and session.data, session),
    "exist": lambda _, session: (session is not None, session),
    "whose": whose,
    "touch": touch,
    "keep": lambda _, session: (True, session._replace(ends=NEVER)),
    "set": set_key,
    "merge": merge,
    "patch": merge,
    "delete": delete,
    "pop": pop,
    "flush": lambda _, session: (SAVED, session.holding(frozenset())),
    "release": release,
    "release_at": release_at,
    "save_at": release_at,
    "save_new": save_new,
    "put": put,
    "create": create,
    "read": read,
    "destroy": lambda _, session: (True, None),
    "bind": lambda _, session, principal: (True, session.bound_to(principal)),
    "unbind": lambda _, session: (True, session._replace(principal=None)),
}
# What comes of those that need a live session when there is none.
WITHOUT_SESSION = dict.fromkeys(["set", "merge", "delete", "flush"], NO_SESSION)
WITHOUT_SESSION |= dict.fromkeys(["patch", "pop", "release", "release_at", "save_at"])
WITHOUT_SESSION |= {"touch": False, "keep": False, "destroy": False, "bind": False, "unbind": False}
RENEWALS = ["regenerate", "renew", "login"]  # without a grace, with one, and with a principal


def only_looks(call):
    """Whether the call leaves every state as it is; a version that is seen is a change."""
    return call.name in ("get", "get_key", "exist", "whose") or isinstance(call.value, Failure) and call.name not in RENEWALS


def step(state, call):
    """Yields each state that may follow, and whether the call is done."""
    if call.name == "gc" or call.value in (SERIALIZATION, DEADLOCK):
        yield state, True  # no live session is touched
        return
    if call.name == "revoke_all":
        yield from revoke_all(state, call)
        return
    at, found = state.reach(call.sid)
    if call.name == "start":
        yield from start(state, call, at, found)
    elif call.name in RENEWALS:
        yield from regenerate(state, call, at, found)
    else:
        for session in call.may_find(found):
            if session is None and call.name in WITHOUT_SESSION:
                value, left = WITHOUT_SESSION[call.name], None
            else:
                value, left = RULES[call.name](call, session, *call.arguments)
            if session is None and left is None:
                left = found  # one that is ending: another call may have begun before its end
            elif session is None:
                at = call.sid
            yield from answered(state, call, value, at, left)


def outcomes(state, call):
    """The states that may follow when nothing comes in between."""
    for following, done in step(state, call):
        yield from [following] if done else outcomes(following, call)


def answered(state, call, value, at, left):
    if call.version is not None:
        left = left and left.seen(call.version)
    if call.value == UNKNOWN or value == call.value and (left or call.version is None):
        before = dict(state.sessions).get(at)
        if left and before and left.principal not in (None, before.principal):
            state = state.with_moved(None, at, None)  # who knew an id before has nothing after it
        yield state.with_session(at, left), True


def revoke_all(state, call):
    """Ends the sessions of a principal at one moment, as many as are counted; one that is ending may be."""
    theirs = [(sid, session) for sid, session in state.sessions if session.principal == call.sid]
    found = [call.may_find(session) for _, session in theirs]
    least, most = sum(None not in may for may in found), sum(may != [None] for may in found)
    if call.value == UNKNOWN or not isinstance(call.value, Failure) and least <= call.value <= most:
        yield state._replace(sessions=state.sessions - set(theirs)), True


def start(state, call, at, found):
    sid, data, is_new = call.value if isinstance(call.value, tuple) and len(call.value) == 3 else (None, None, None)
    for session in call.may_find(found):
        if session and (sid, data, is_new) == (call.sid, session.data, False) and session.seen(call.version):
            yield state.with_session(at, session.seen(call.version)), True
        if session is None and is_new and data == frozenset() and sid not in dict(state.sessions):
            yield state.with_session(sid, Session(born=call.born()).seen(call.version)), True


def regenerate(state, call, at, found):
    """The id is call.sid, the new one the argument, or None if it is to be generated.

    Moving a session takes effect at one moment. Where there is none to move, the call looks, and begins the empty
    session a moment later. With a grace, what was moved from this id before is not moved again. A login binds it.
    """
    *principal, new = call.arguments
    new, is_renewal = new or call.value, call.name == "renew"
    _, taken = state.reach(new)
    for session, target in product(call.may_find(found), call.may_find(taken)):
        if target and call.value in (EXISTS, UNKNOWN):
            yield state, True
        if call in state.looked:
            if target is None and call.value in (new, UNKNOWN):
                began = state._replace(looked=state.looked - {call})
                yield began.with_session(new, Session(born=call.born(), principal=(principal or [None])[0])), True
        elif session is None and call.strict:  # also where the new id is taken, which is as true
            if call.value in (NO_SESSION, UNKNOWN):
                yield state, True
        elif session and is_renewal and at != call.sid:
            if call.value in (call.sid, UNKNOWN):
                yield state, True
        elif session is None:
            if call.value in (new, UNKNOWN):  # whatever the new id leads to now
                yield state._replace(looked=state.looked | {call}), False
        elif target is None and call.value in (new, UNKNOWN):
            bound = session.bound_to(*principal) if principal else session
            moved = state.with_session(at, None).with_session(new, bound)
            yield moved.with_moved(at, new, session if is_renewal else None), True
