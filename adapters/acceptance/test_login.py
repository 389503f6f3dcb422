"""Login: the id is renewed, the session bound, and what is under way meanwhile does no harm."""

import pytest

from browsers import WAIT, let_it_load
from expectations import Differs


def is_dead(application, cookie):
    """Whether nobody has a session with a cookie."""
    thief = application.browser("a thief's", presents=cookie)
    return thief.data() == {} and thief.user() is None


def test_a_login_renews_the_id_and_binds_the_session_to_the_user(application, visitor):
    before = visitor.cookie
    visitor.post("/login", user="ada")
    assert visitor.cookie != before
    assert visitor.user() == "ada"
    assert visitor.data() == {"cart": "umbrella"}
    assert is_dead(application, before)
    assert application.alone("principal") == "ada"
    assert application.alone("attributes") == {"browser": "Firefox"}


def test_a_login_needs_no_session_before_it(application, browser):
    browser.post("/login", user="ada")
    assert browser.user() == "ada"
    assert browser.data() == {}
    assert application.alone("principal") == "ada"


def test_the_session_stays_the_users_when_it_is_written(application, ada):
    ada.post("/set", key="size", value="L")
    ada.post("/unset", key="cart")
    assert application.alone("principal") == "ada"
    assert application.alone("attributes") == {"browser": "Firefox"}


def test_another_login_of_the_same_user_keeps_what_the_session_has(application, ada):
    before = ada.cookie
    ada.post("/login", user="ada")
    assert ada.cookie != before
    assert ada.data() == {"cart": "umbrella"}
    assert is_dead(application, before)
    assert application.alone("principal") == "ada"


def test_a_login_of_another_user_takes_nothing_along(application, ada):
    before = ada.cookie
    ada.post("/login", user="eve")
    assert ada.user() == "eve"
    assert ada.data() == {}
    assert is_dead(application, before)
    assert application.alone("principal") == "eve"


def test_a_request_with_the_old_cookie_that_ends_after_the_login_changes_nothing(application, visitor):
    before = visitor.cookie
    late = visitor.later("POST", "/set", key="late", value="x", wait=WAIT)
    let_it_load()
    visitor.post("/login", user="ada")
    renewed = visitor.cookie
    assert late.result().status_code < 500
    assert visitor.cookie == renewed != before
    assert visitor.user() == "ada"
    assert visitor.data() == {"cart": "umbrella"}
    assert is_dead(application, before)
    assert application.rows() == 1


def test_neither_does_one_that_had_nothing_to_change(application, visitor):
    before = visitor.cookie
    late = visitor.later("POST", "/set", key="cart", value="umbrella", wait=WAIT)
    let_it_load()
    visitor.post("/login", user="ada")
    renewed = visitor.cookie
    assert late.result().status_code < 500
    if application.differs(Differs.LATE_ANSWER_SENDS_OLD_COOKIE):
        assert visitor.cookie == before
        visitor = application.browser(presents=renewed)
    assert visitor.cookie == renewed != before
    assert visitor.user() == "ada"
    assert visitor.data() == {"cart": "umbrella"}
    assert is_dead(application, before)
    assert application.rows() == 1


@pytest.mark.parametrize("path", ["/untouched", "/session", "/whoami", "/devices", "/flash"])
def test_nor_does_one_that_comes_with_the_old_cookie_after_the_login(application, visitor, path):
    """Its answer may be the last that the browser gets."""
    before = visitor.cookie
    visitor.post("/login", user="ada")
    tab = application.browser(presents=before)
    answer = tab.ask("GET", path)
    assert answer.status_code == 200
    if application.differs(Differs.UNKNOWN_COOKIE_IS_TAKEN_AWAY):
        assert tab.cookie is None
    elif not application.differs(Differs.COOKIE_WITHOUT_SESSION):
        assert "set-cookie" not in answer.headers
    assert application.rows() == 1


def test_a_login_keeps_what_was_set_while_it_was_under_way(application, visitor):
    before = visitor.cookie
    login = visitor.later("POST", "/login", user="ada", wait=WAIT)
    let_it_load()
    visitor.post("/set", key="meanwhile", value="x")
    assert login.result().status_code == 200
    assert visitor.user() == "ada"
    assert visitor.data() == {"cart": "umbrella", "meanwhile": "x"}
    assert is_dead(application, before)
    assert application.rows() == 1


def test_two_logins_at_once_leave_the_user_logged_in(application, visitor):
    before = visitor.cookie
    logins = [visitor.later("POST", "/login", user="ada", wait=wait) for wait in (WAIT, WAIT // 2)]
    assert 200 in {login.result().status_code for login in logins}
    assert visitor.user() == "ada"
    assert is_dead(application, before)
    assert application.rows("principal IS DISTINCT FROM 'ada'") == 0
