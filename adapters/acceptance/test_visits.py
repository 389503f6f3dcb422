"""What a visit leaves behind, and what it finds."""

import pytest

from applications import not_rolling
from expectations import Differs
from tests.conftest import one, wait_until


def cookies_set(answer):
    return answer.headers.get_list("set-cookie")


@pytest.mark.parametrize("path", ["/untouched", "/session", "/whoami", "/flash", "/devices"])
def test_a_visit_that_keeps_nothing_leaves_neither_cookie_nor_row(application, browser, path):
    answer = browser.ask("GET", path)
    assert answer.status_code == 200
    assert bool(cookies_set(answer)) == bool(application.differs(Differs.COOKIE_WITHOUT_SESSION))
    assert application.rows() == 0


@pytest.fixture
def early_in_a_minute(application):
    """Ends move by whole minutes, and the first use in the next one is written."""
    wait_until(lambda: one(application.owner, "SELECT extract(second FROM clock_timestamp()) < 55"))


def test_a_visit_that_only_looks_writes_nothing(application, early_in_a_minute, ada):
    written = application.alone("(ctid, xmin)")
    for path in "/untouched", "/session", "/whoami", "/flash", "/devices":
        ada.get(path)
    assert application.alone("(ctid, xmin)") == written


def test_setting_what_is_there_already_writes_nothing(application, early_in_a_minute, ada):
    written = application.alone("(ctid, xmin)")
    ada.post("/set", key="cart", value="umbrella")
    assert application.alone("(ctid, xmin)") == written


def test_what_was_set_is_there_until_it_is_unset(visitor):
    visitor.post("/set", key="size", value="L")
    assert visitor.data() == {"cart": "umbrella", "size": "L"}
    visitor.post("/set", key="size", value="XL")
    visitor.post("/unset", key="cart")
    assert visitor.data() == {"size": "XL"}
    visitor.post("/unset", key="size")
    assert visitor.data() == {}
    visitor.post("/set", key="size", value="S")
    assert visitor.data() == {"size": "S"}


@not_rolling
@pytest.mark.parametrize(
    "text",
    ["", " ", "ü€😀", "\"'\\`", "<b>&amp;</b>", "null", "{}", "a\tb\nc", "\x00", "x" * 4000],
    ids=lambda text: ascii(text)[:20],
)
def test_text_comes_back_as_it_was(browser, text):
    browser.post("/set", key="text", value=text)
    browser.post("/set", key="other", value="x")
    assert browser.data() == {"text": text, "other": "x"}


def test_browsers_have_sessions_of_their_own(application, visitor):
    other = application.browser("Safari")
    other.post("/set", key="cart", value="boots")
    assert other.cookie != visitor.cookie
    assert visitor.data() == {"cart": "umbrella"}
    assert other.data() == {"cart": "boots"}
    assert application.rows() == 2
