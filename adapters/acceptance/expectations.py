"""Where a framework does otherwise than the tests expect, and its own code is why.

Each exception names the framework's file and function. A test that meets one does not skip: it asserts what happens
instead, so that an exception that is no longer true fails.
"""

from enum import Enum
from typing import NamedTuple


class Differs(Enum):
    """What may be otherwise."""

    COOKIE_WITHOUT_SESSION = "a visit that needs no session gets a cookie, of which the database knows nothing"
    LATE_ANSWER_SENDS_OLD_COOKIE = "a request that changes nothing and ends after a login sends the cookie from before"
    MALFORMED_COOKIE_IS_AN_ERROR = "a cookie with a percent sign that encodes nothing is answered by an error"
    IDLE_LIMIT_FOR_REMEMBERED = "a remembered session ends as soon as others when nobody uses it"
    UNKNOWN_COOKIE_IS_TAKEN_AWAY = "a visit with an id that is unknown, perhaps since a login, takes the cookie away"
    READS_SLIDE = "a visit that only looks moves the session's end, without the option for it"


class Because(NamedTuple):
    reason: str
    ways: tuple[str, ...] = ("plain", "rolling", "pooled")


EXCEPTIONS = {
    "actix": {
        Differs.IDLE_LIMIT_FOR_REMEMBERED: Because(
            "actix-session, config.rs, PersistentSession: one lifetime for the cookies and sessions of all"
        ),
    },
    "beego": {
        Differs.COOKIE_WITHOUT_SESSION: Because(
            "server/web/session/session.go, Manager.SessionStart: chooses an id and sends it before the handler runs"
        ),
        Differs.MALFORMED_COOKIE_IS_AN_ERROR: Because(
            "server/web/session/session.go, Manager.getSid: an error of url.QueryUnescape is one of the session"
        ),
        Differs.READS_SLIDE: Because(
            "server/web/session/postgres/sess_postgresql.go, SessionStore.SessionRelease: every request moves the end"
        ),
        Differs.LATE_ANSWER_SENDS_OLD_COOKIE: Because(
            "server/web/session/session.go, Manager.SessionStart: sends no cookie again, so that an application that "
            "wants it does so itself, here without asking whether the session is still there",
            ways=("rolling",),
        ),
    },
    "django": {
        Differs.UNKNOWN_COOKIE_IS_TAKEN_AWAY: Because(
            "contrib/sessions/middleware.py, SessionMiddleware.process_response: with the option for rolling cookies it "
            "deletes that of an empty session, or else saves one",
            ways=("rolling",),
        ),
    },
    "express": {
        Differs.READS_SLIDE: Because(
            "express-session, index.js, shouldTouch: the store's touch is called for each request that changes nothing"
        ),
        Differs.LATE_ANSWER_SENDS_OLD_COOKIE: Because(
            "express-session, index.js, shouldSetCookie: the cookie goes with the headers, before the store is asked",
            ways=("rolling",),
        ),
    },
    "fastify": {
        Differs.LATE_ANSWER_SENDS_OLD_COOKIE: Because(
            "@fastify/session, index.js, onSend: the cookie is set before the store is asked to save",
            ways=("rolling",),
        ),
    },
    "php": {
        Differs.READS_SLIDE: Because(
            "ext/session/session.c, php_session_save_current_state: every request that changes nothing has the end moved"
        ),
    },
    "scs": {
        Differs.IDLE_LIMIT_FOR_REMEMBERED: Because(
            "data.go, SessionManager.Commit: IdleTimeout, which is what rolls cookies, bounds every session",
            ways=("rolling",),
        ),
    },
    "spring": {
        Differs.READS_SLIDE: Because(
            "SessionRepositoryFilter.java, SessionRepositoryRequestWrapper.getSession: sets the last access each time, as "
            "the servlet specification wants it"
        ),
    },
}


def reason(framework, way, differs):
    """Why this framework's server, run this way, does it otherwise; None if it does not."""
    because = EXCEPTIONS.get(framework, {}).get(differs)
    return because.reason if because and way in because.ways else None
