"""For how long a cookie and its session last."""

from datetime import timedelta

import pytest

from applications import HOUR
from browsers import life_of_cookie
from expectations import Differs

# An idle lifetime ends late by up to a minute; a cookie may count from when the request began.
LATE = 65


def lasts(seconds, expected):
    return expected - 10 <= seconds <= expected + LATE


@pytest.mark.parametrize(("path", "parameters"), [("/set", {"key": "a", "value": "b"}), ("/login", {"user": "ada"})])
def test_cookie_and_session_last_as_long_as_the_server_says(application, browser, path, parameters):
    answer = browser.ask("POST", path, **parameters)
    assert lasts(life_of_cookie(answer), HOUR)
    assert lasts(application.seconds_left(), HOUR)


@pytest.fixture
def remembered(application):
    """For how long a user who is to be remembered is so."""
    return HOUR if application.differs(Differs.IDLE_LIMIT_FOR_REMEMBERED) else 30 * 24 * HOUR


def test_a_user_who_is_to_be_remembered_is_so_for_30_days(application, visitor, remembered):
    answer = visitor.ask("POST", "/login", user="ada", remember="yes")
    assert lasts(life_of_cookie(answer), remembered)
    assert lasts(application.seconds_left(), remembered)


def test_a_remembered_session_stays_so_when_it_is_used(application, visitor, remembered):
    visitor.post("/login", user="ada", remember="yes")
    for answer in visitor.ask("POST", "/set", key="size", value="L"), visitor.ask("GET", "/session"):
        assert answer.status_code == 200
        assert lasts(application.seconds_left(), remembered)
        if "set-cookie" in answer.headers:
            assert lasts(life_of_cookie(answer), remembered)
    assert visitor.data() == {"cart": "umbrella", "size": "L"}


def test_who_is_remembered_is_not_when_logging_in_without(application, visitor):
    visitor.post("/login", user="ada", remember="yes")
    visitor.post("/logout")
    answer = visitor.ask("POST", "/login", user="ada")
    assert lasts(life_of_cookie(answer), HOUR)
    assert lasts(application.seconds_left(), HOUR)


def test_a_visit_that_only_looks_moves_the_end_only_if_cookies_roll(application, ada):
    """With the option the cookie is sent again, too."""
    cookie = ada.cookie
    application.expires_in(timedelta(minutes=10))
    answer = ada.ask("GET", "/session")
    rolling = application.way == "rolling"
    assert ("set-cookie" in answer.headers) == rolling
    assert ada.cookie == cookie
    if rolling:
        assert lasts(life_of_cookie(answer), HOUR)
    moves = rolling or application.differs(Differs.READS_SLIDE)
    assert lasts(application.seconds_left(), HOUR if moves else 600)


def test_a_session_near_its_end_is_there_until_it_ends(application, ada):
    application.expires_in(timedelta(seconds=5))
    assert ada.user() == "ada"
    application.expires_in(timedelta(milliseconds=-1))
    assert ada.user() is None
