"""The checker of histories explains what may be, and notices what must not be: each history here is made by hand."""

import pytest
from linearizability import unexplained
from model import EXISTS, NO_SESSION, SAVED, Call, Failure, State, only_looks, step


def call(begin, end, name, *arguments, value=None, version=None, sid="s", strict=False):
    return Call(0, name, sid, arguments, strict, begin, end, value, version)


def data(**pairs):
    return frozenset(pairs.items())


CREATED = call(0, 1, "create", data(), None, value="s")
SET_A = call(2, 5, "set", "a", 1, value=SAVED, version=7)
SET_B = call(3, 6, "set", "b", 2, value=SAVED, version=8)
DESTROYED = call(2, 5, "destroy", value=True)
MOVED = call(2, 5, "regenerate", "t", value="t")
LOADED = call(1, 2, "load", value=data(), version=7)
SAVED_A = call(2, 5, "release_at", data(a=1), 7, value=SAVED, version=8)
RENEWED = call(2, 5, "renew", "t", value="t")
SHORT = call(0, 1, "create", data(), 10, value="s")
LOGGED_IN = call(2, 5, "login", "ada", "t", value="t")
HELD = call(0, 1, "create", data(a=1), None, value="s")


def whose(begin, value, sid="s"):
    return call(begin, begin + 0.5, "whose", value=value, sid=sid)


def revoked(begin, end, count, principal="ada"):
    return call(begin, end, "revoke_all", value=count, sid=principal)


def got(begin, value, sid="s"):
    return call(begin, begin + 0.5, "get", value=value, sid=sid)


GOOD = {
    "overlapping writes, one order": [CREATED, SET_A, SET_B, call(7, 8, "get", value=data(a=1, b=2))],
    "a read during a write, before it": [CREATED, SET_A, call(3, 4, "get", value=data())],
    "a read during a write, after it": [CREATED, SET_A, call(3, 4, "get", value=data(a=1))],
    "a save before the destroy": [CREATED, DESTROYED, call(3, 6, "release", data(a=1), value=SAVED, version=7)],
    "a save after the destroy": [CREATED, DESTROYED, call(3, 6, "release", data(a=1))],
    "a save at a version that is no longer": [CREATED, LOADED, SAVED_A, call(3, 6, "release_at", data(b=1), 7)],
    "a read by either id during the move": [
        CREATED, MOVED, call(3, 3.5, "exist", value=True, sid="t"), call(4, 4.5, "exist", value=False)],
    "a read that creates after the destroy": [
        CREATED, DESTROYED, call(3, 6, "read", value=data()), call(7, 8, "exist", value=True)],
    "an empty session begun a moment after looking": [
        call(0, 9, "regenerate", "t", value="t"), call(2, 3, "create", data(), None, value="s"),
        call(4, 5, "exist", value=False, sid="t"), call(10, 11, "get", value=data(), sid="t")],
    "an empty session begun under an id that was taken when it looked": [
        call(0, 1, "create", data(), None, value="t", sid="t"), call(2, 9, "regenerate", "t", value="t"),
        call(3, 4, "create", data(), None, value="s"), call(5, 6, "destroy", value=True, sid="t"),
        call(10, 11, "get", value=data(), sid="s"), call(10, 11, "get", value=data(), sid="t")],
    "a session that ends meanwhile": [
        SHORT, call(9, 12, "exist", value=False), call(9, 12, "exist", value=True),
        call(9, 12, "set", "a", 1, value=NO_SESSION)],
    "a move that was refused for either reason": [
        CREATED, MOVED, call(6, 7, "regenerate", "t", value=EXISTS, strict=True),
        call(6, 7, "regenerate", "t", value=NO_SESSION, strict=True)],
    "a session under both ids for a while": [
        CREATED, RENEWED, call(6, 7, "set", "a", 1, value=SAVED, version=7), call(8, 9, "get", value=data(a=1), sid="t"),
        call(8, 9, "create", data(), None, value=EXISTS), call(8, 9, "regenerate", "s", value=EXISTS, sid="t")],
    "two that renew one id": [
        CREATED, RENEWED, call(2, 5, "renew", "u", value="s"), call(8, 9, "exist", value=False, sid="u")],
    "a renewal without a grace ends the chain": [
        CREATED, RENEWED, call(6, 7, "renew", "u", value="u", sid="t"), call(8, 9, "exist", value=True),
        call(10, 11, "regenerate", "v", value="v"), call(12, 13, "exist", value=False), call(12, 13, "exist", value=False, sid="t"),
        call(12, 13, "exist", value=False, sid="u"), call(12, 13, "exist", value=True, sid="v")],
    "another session under the last id": [
        CREATED, RENEWED, call(6, 7, "destroy", value=True), call(8, 9, "create", data(), None, value="t", sid="t"),
        call(10, 11, "exist", value=False), call(10, 11, "create", data(), None, value="s")],
    "a login that moves a session and keeps what is in it": [
        HELD, LOGGED_IN, whose(6, None), whose(6, "ada", "t"), got(7, data(a=1), "t")],
    "a login that begins a session": [LOGGED_IN, whose(6, "ada", "t"), got(7, data(), "t")],
    "a session that is moved and kept keeps its principal": [
        HELD, LOGGED_IN, call(6, 7, "renew", "u", value="u", sid="t"), call(8, 9, "put", data(b=1), None, value=SAVED, version=7, sid="u"),
        whose(10, "ada", "t"), got(11, data(b=1), "t")],
    "from another principal nothing is taken along": [
        HELD, LOGGED_IN, call(6, 7, "load", value=data(a=1), version=7, sid="t"), call(8, 9, "bind", "eve", value=True, sid="t"),
        call(10, 11, "load", value=data(), version=8, sid="t"), whose(12, "eve", "t")],
    "nobody's session keeps what is in it": [
        HELD, LOGGED_IN, call(6, 7, "unbind", value=True, sid="t"), whose(8, "", "t"), got(9, data(a=1), "t"),
        call(10, 11, "bind", "eve", value=True, sid="t"), got(12, data(a=1), "t")],
    "who knew an id before a bind": [
        CREATED, RENEWED, call(6, 7, "bind", "ada", value=True, sid="s"), whose(8, None), whose(8, "ada", "t")],
    "a session begun anew is nobody's": [
        CREATED, call(2, 3, "bind", "ada", value=True), call(4, 5, "destroy", value=True), call(6, 7, "read", value=data()), whose(8, "")],
    "a login before a log out everywhere": [LOGGED_IN, revoked(3, 6, 1), whose(7, None, "t")],
    "a login after a log out everywhere": [LOGGED_IN, revoked(3, 6, 0), whose(7, "ada", "t")],
    "one that is ending is counted or not": [
        SHORT, call(2, 3, "bind", "ada", value=True), revoked(9, 12, 0), call(13, 14, "exist", value=False)],
    "a conflict": [CREATED, call(2, 3, "set", "a", 1, value=Failure("40001")), call(4, 5, "get", value=data())],
}  # fmt: skip
BAD = {
    "a lost update": [CREATED, SET_A, SET_B, call(7, 8, "get", value=data(b=2))],
    "a lost update between saves at one version": [
        CREATED, LOADED, SAVED_A, call(3, 6, "release_at", data(b=1), 7, value=SAVED, version=8)],
    "a write that is half there": [
        CREATED, call(2, 5, "merge", data(a=1, b=1), ("c",), value=SAVED, version=7), call(6, 7, "get", value=data(a=1))],
    "a resurrection": [CREATED, DESTROYED, call(6, 7, "release", data(a=1), value=SAVED, version=7)],
    "a resurrection by a save that began before": [
        CREATED, DESTROYED, call(3, 6, "release", data(a=1), value=SAVED, version=7), call(7, 8, "exist", value=True)],
    "a resurrection under the old id": [CREATED, MOVED, call(6, 7, "exist", value=True)],
    "a session under both ids": [
        CREATED, MOVED, call(3, 3.5, "exist", value=True, sid="t"), call(4, 4.5, "exist", value=True)],
    "an id in grace that leads nowhere": [CREATED, RENEWED, call(6, 7, "exist", value=False)],
    "an id that reaches a session after a renewal without a grace": [
        CREATED, RENEWED, call(6, 7, "regenerate", "u", value="u", sid="t"), call(8, 9, "exist", value=True)],
    "an id in grace that is given away": [CREATED, RENEWED, call(6, 7, "create", data(), None, value="s")],
    "two that renew one id to two": [CREATED, RENEWED, call(2, 5, "renew", "u", value="u")],
    "an id that reaches another session": [
        CREATED, RENEWED, call(6, 7, "destroy", value=True), call(8, 9, "create", data(), None, value="t", sid="t"),
        call(10, 11, "exist", value=True)],
    "a stale read": [CREATED, SET_A, call(6, 7, "get", value=data())],
    "a read that goes back": [
        CREATED, SET_A, call(3, 3.5, "get", value=data(a=1)), call(4, 4.5, "get", value=data())],
    "two that create one id": [CREATED, call(0, 1, "create", data(), None, value="s")],
    "a create refused for no reason": [call(0, 1, "create", data(), None, value=EXISTS)],
    "two that carry a session on": [
        CREATED, SET_A, call(7, 9, "regenerate", "t", value="t"), call(7, 9, "regenerate", "u", value="u"),
        call(10, 11, "get", value=data(a=1), sid="t"), call(10, 11, "get", value=data(a=1), sid="u")],
    "two destroys that find it": [CREATED, DESTROYED, DESTROYED._replace(client=1)],
    "a version that a change leaves": [CREATED, LOADED, call(2, 3, "set", "a", 1, value=SAVED, version=7)],
    "a version that grows without a change": [CREATED, LOADED, call(3, 4, "load", value=data(), version=8)],
    "an id adopted from the client": [call(0, 1, "start", value=("s", data(), True), version=7)] * 2,
    "a session that ends early": [SHORT, call(2, 9, "exist", value=False)],
    "a session that outlives its end": [SHORT, call(12, 13, "exist", value=True)],
    "a strict read that creates": [call(0, 1, "read", value=data(), strict=True)],
    "a login that loses what is in it": [HELD, LOGGED_IN, got(6, data(), "t")],
    "a session that loses its principal": [HELD, LOGGED_IN, call(6, 7, "renew", "u", value="u", sid="t"), whose(8, "", "u")],
    "what another principal left": [HELD, LOGGED_IN, call(6, 7, "bind", "eve", value=True, sid="t"), got(8, data(a=1), "t")],
    "what another principal left, by its version": [
        HELD, LOGGED_IN, call(6, 7, "load", value=data(a=1), version=7, sid="t"), call(8, 9, "bind", "eve", value=True, sid="t"),
        call(10, 11, "load", value=data(), version=7, sid="t")],
    "an id from before a login": [CREATED, RENEWED, call(6, 7, "login", "ada", "u", value="u", sid="t"), whose(8, "ada", "t")],
    "an id from before a bind": [CREATED, RENEWED, call(6, 7, "bind", "ada", value=True), whose(8, "ada")],
    "an id from before a bind when the session is nobody's again": [
        CREATED, RENEWED, call(6, 7, "bind", "ada", value=True), call(8, 9, "unbind", value=True, sid="t"), whose(10, "")],
    "a login that survives": [LOGGED_IN, revoked(6, 7, 1), whose(8, "ada", "t")],
    "a login that survives uncounted": [LOGGED_IN, revoked(6, 7, 0), whose(8, "ada", "t")],
    "a login that is counted and survives": [LOGGED_IN, revoked(3, 6, 1), whose(7, "ada", "t")],
    "another's session ended": [LOGGED_IN, revoked(6, 7, 0, "eve"), whose(8, None, "t")],
    "a session that inherits": [
        CREATED, call(2, 3, "bind", "ada", value=True), call(4, 5, "destroy", value=True), call(6, 7, "read", value=data()), whose(8, "ada")],
}  # fmt: skip


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_the_checker_explains(history):
    assert unexplained(history, State(), step, only_looks) is None


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_the_checker_notices(history):
    assert unexplained(history, State(), step, only_looks)
