"""Logout is final."""

from browsers import WAIT, let_it_load


def test_a_logout_ends_the_session(application, ada):
    before = ada.cookie
    ada.post("/logout")
    assert ada.user() is None
    assert ada.data() == {}
    assert application.rows() == 0
    thief = application.browser("a thief's", presents=before)
    assert thief.user() is None
    assert thief.data() == {}


def test_after_a_logout_a_new_session_begins_under_another_id(application, ada):
    before = ada.cookie
    ada.post("/logout")
    ada.post("/set", key="cart", value="boots")
    assert ada.cookie not in (before, None)
    assert ada.data() == {"cart": "boots"}
    assert application.alone("principal") is None


def test_a_logout_without_a_session_does_nothing(application, browser):
    browser.post("/logout")
    assert application.rows() == 0


def test_a_logout_ends_no_other_session(application, ada):
    other = application.browser("Safari")
    other.post("/login", user="ada")
    other.post("/logout")
    assert ada.user() == "ada"
    assert ada.data() == {"cart": "umbrella"}


def test_a_logout_wins_over_a_late_save(application, ada):
    before = ada.cookie
    late = [ada.later("POST", "/set", key=f"late {tab}", value="x", wait=WAIT) for tab in range(3)]
    late.append(ada.later("POST", "/unset", key="cart", wait=WAIT))
    let_it_load()
    ada.post("/logout")
    assert all(answer.result().status_code < 500 for answer in late)
    assert ada.user() is None
    assert ada.data() == {}
    assert application.browser(presents=before).user() is None
    assert application.rows() == 0


def test_a_late_login_brings_nothing_back_of_what_a_logout_ended(application, ada):
    before = ada.cookie
    login = ada.later("POST", "/login", user="ada", wait=WAIT)
    let_it_load()
    ada.post("/logout")
    assert login.result().status_code < 500
    assert ada.data() == {}
    assert application.browser(presents=before).user() is None
