"""Cookies that reach no session: none of them is an error, and none becomes the id of a new session."""

import hashlib
import re
from datetime import timedelta
from urllib.parse import unquote

import pytest

from applications import not_rolling
from expectations import Differs

LIVE = "session_expiry > clock_timestamp()"


SIGNATURE = 44  # in base64, of a cookie that Rust's crate signs: the id comes behind it


def ids_in(cookie):
    """What the id may be, whether the framework encodes or signs it or not."""
    value = unquote(cookie.partition("=")[2] if isinstance(cookie, str) else "")
    return {value, value.removeprefix("s:"), value[SIGNATURE:]} | set(re.split(r"[.:]", value))


def tampered(cookie):
    """Other in one place near the beginning, in the id, and as long."""
    middle = cookie.index("=") + 8
    return cookie[:middle] + ("0" if cookie[middle] != "0" else "1") + cookie[middle + 1 :]


def tampered_at_the_end(cookie):
    """Other in the signature, if there is one."""
    return cookie[:-3] + ("A" if cookie[-3] != "A" else "B") + cookie[-2:]


def reaches_nothing(application, cookie):
    """And another is not put in its place by an answer that only says so."""
    live = application.rows(LIVE)
    browser = application.browser(presents=cookie)
    for path, nothing in ("/session", {"data": {}}), ("/whoami", {"user": None}), ("/devices", {"devices": []}):
        answer = browser.ask("GET", path)
        assert (answer.status_code, answer.json()) == (200, nothing)
        if not application.differs(Differs.COOKIE_WITHOUT_SESSION):
            assert browser.cookie == cookie or browser.cookie is None  # it may be taken away
    assert application.rows(LIVE) == live


def is_not_adopted(application, cookie, path="/set", **parameters):
    """A session that begins in a browser with it has another id."""
    presented = [hashlib.sha256(id.encode()).hexdigest() for id in ids_in(cookie)]
    under_it = f"{LIVE} AND encode(session_key, 'hex') = ANY('{{{','.join(presented)}}}')"
    live, before = application.rows(LIVE), application.rows(under_it)
    browser = application.browser(presents=cookie)
    browser.post(path, **parameters or {"key": "cart", "value": "boots"})
    assert browser.cookie not in (cookie, None)
    assert browser.data() == ({"cart": "boots"} if path == "/set" else {})
    assert browser.user() == parameters.get("user")
    assert application.rows(LIVE) == live + 1
    assert application.rows(under_it) == before


def test_a_cookie_whose_session_has_expired_reaches_nothing(application, ada):
    cookie = ada.cookie
    application.expires_in(timedelta(seconds=-1))
    reaches_nothing(application, cookie)
    is_not_adopted(application, cookie)
    is_not_adopted(application, cookie, "/login", user="eve")


def test_a_cookie_whose_session_is_gone_reaches_nothing(application, ada):
    cookie = ada.cookie
    application.owner.execute("DELETE FROM session")
    reaches_nothing(application, cookie)
    is_not_adopted(application, cookie)
    is_not_adopted(application, cookie, "/login", user="eve")


@pytest.mark.parametrize("tamper", [tampered, tampered_at_the_end])
def test_a_tampered_cookie_reaches_nothing(application, ada, tamper):
    cookie = tamper(ada.cookie)
    reaches_nothing(application, cookie)
    is_not_adopted(application, cookie)
    assert (ada.user(), ada.data()) == ("ada", {"cart": "umbrella"})


@not_rolling
@pytest.mark.parametrize(
    "value",
    [
        "0123456789abcdef" * 4, "Made-Up_" * 5, "", "a", "x" * 3000, "%00", "a%00b", "%ff%fe", "%ED%A0%80",
        b"\xff\xfe", "ü", "'; DROP TABLE session; --", '"quoted"', "a.b.c", "s%3Aa.b", "%", "s%3A", "null",
    ],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
def test_a_made_up_cookie_reaches_nothing(application, ada, value):
    name = application.cookie_name
    cookie = f"{name}={value}" if isinstance(value, str) else name.encode() + b"=" + value
    if value == "%" and application.differs(Differs.MALFORMED_COOKIE_IS_AN_ERROR):
        assert application.browser(presents=cookie).ask("GET", "/session").status_code == 500
        assert application.rows() == 1
    else:
        reaches_nothing(application, cookie)
        is_not_adopted(application, cookie)
    assert (ada.user(), ada.data()) == ("ada", {"cart": "umbrella"})


def test_a_digest_from_the_table_is_no_cookie(application, ada):
    digest = application.alone("encode(session_key, 'hex')")
    cookie = f"{application.cookie_name}={digest}"
    reaches_nothing(application, cookie)
    is_not_adopted(application, cookie)


def test_the_table_holds_no_id_but_its_digest(application, ada):
    ids = ids_in(ada.cookie)
    assert application.alone("session_key") in [hashlib.sha256(id.encode()).digest() for id in ids]
    text = application.alone("session::text || encode(session_data, 'escape')")
    moved = application.owner.execute("SELECT m::text FROM session_moved AS m").fetchall()
    whole = text + str(moved)
    assert not [id for id in ids if len(id) >= 16 and (id in whole or id.encode().hex() in whole)]
