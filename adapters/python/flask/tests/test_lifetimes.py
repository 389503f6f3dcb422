"""For how long cookies and sessions last."""

from datetime import datetime, timedelta, timezone
from http.cookies import SimpleCookie

import pytest
from werkzeug.http import parse_date

from application import make_application

HOUR = timedelta(hours=1)
MONTH = timedelta(days=31)


def cookie_lasts(answer):
    """None: until the browser is closed."""
    expires = SimpleCookie(answer.headers["Set-Cookie"])["session"]["expires"]
    return parse_date(expires) - datetime.now(timezone.utc) if expires else None


def nearly(lifetime):
    return pytest.approx(lifetime.total_seconds(), abs=70)


def expires_in(table, interval):
    table.execute("UPDATE session SET session_expiry = now() + %s::interval", interval)


def seconds_left(table):
    return float(table.value("extract(epoch FROM session_expiry - now())"))


def test_a_session_lasts_until_the_browser_is_closed_and_an_hour_idle(client, table):
    assert cookie_lasts(client.post("/set?a=1")) is None
    assert table.lifetime() == HOUR


def test_a_permanent_one_lasts_as_flask_says(app, client, table):
    client.post("/set?a=1")
    answer = client.post("/permanent/yes")
    assert cookie_lasts(answer).total_seconds() == nearly(MONTH)
    assert table.lifetime() == MONTH
    app.config["PERMANENT_SESSION_LIFETIME"] = 600
    answer = client.post("/set?a=2")
    assert cookie_lasts(answer).total_seconds() == nearly(timedelta(minutes=10))
    assert table.lifetime() == timedelta(minutes=10)


def test_one_that_is_no_longer_permanent_lasts_as_any_other(client, table):
    client.post("/set?a=1")
    client.post("/permanent/yes")
    assert cookie_lasts(client.post("/permanent/no")) is None
    assert table.lifetime() == HOUR


@pytest.mark.parametrize("lifetime", [timedelta(minutes=20), 1200])
def test_the_idle_lifetime_is_an_option(table, lifetime):
    client = make_application(SESSION_STORE_LIFETIME=lifetime).test_client()
    assert cookie_lasts(client.post("/set?a=1")) is None
    assert table.lifetime() == timedelta(minutes=20)
    client.post("/permanent/yes")
    client.post("/permanent/no")
    assert table.lifetime() == timedelta(minutes=20)


def test_sessions_can_be_permanent_unless_they_say_otherwise(table):
    client = make_application(SESSION_PERMANENT=True).test_client()
    assert cookie_lasts(client.post("/set?a=1")).total_seconds() == nearly(MONTH)
    assert table.lifetime() == MONTH
    assert cookie_lasts(client.post("/permanent/no")) is None


def test_a_remembered_login_is_permanent(client, table):
    answer = client.post("/login?user=ada&remember=yes")
    assert cookie_lasts(answer).total_seconds() == nearly(MONTH)
    assert table.lifetime() == MONTH


def test_a_cookie_that_lasts_until_the_browser_is_closed_is_sent_once(client):
    assert "Set-Cookie" in client.post("/set?a=1").headers
    assert "Set-Cookie" not in client.post("/set?a=2").headers
    assert "Set-Cookie" not in client.get("/session").headers


def test_with_the_option_a_visit_that_looks_renews_cookie_and_session(counted, table):
    client = counted.test_client()
    client.post("/set?a=1")
    client.post("/permanent/yes")
    expires_in(table, "10 min")
    counted.trips()
    assert cookie_lasts(client.get("/session")).total_seconds() == nearly(MONTH)
    assert counted.trips() == 2  # loads, and asks whether the id is still the one
    assert seconds_left(table) == nearly(MONTH)
    assert "Set-Cookie" not in client.get("/nothing").headers


def test_without_the_option_only_a_change_does(table):
    client = make_application(SESSION_REFRESH_EACH_REQUEST=False).test_client()
    client.post("/set?a=1")
    client.post("/permanent/yes")
    expires_in(table, "10 min")
    assert "Set-Cookie" not in client.get("/session").headers
    assert seconds_left(table) == nearly(timedelta(minutes=10))
    assert cookie_lasts(client.post("/set?a=2")).total_seconds() == nearly(MONTH)
    assert seconds_left(table) == nearly(MONTH)
    client.post("/append?value=1")
    assert "Set-Cookie" in client.post("/append?value=2").headers, "a change within a value is one, too"


def test_an_expired_session_is_absent(client, table):
    client.post("/set?a=1")
    expires_in(table, "-1 second")
    assert client.get("/session").json == {}


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1)])
def test_a_permanent_lifetime_of_nothing_ends_the_session(app, client, table, lifetime):
    client.post("/set?a=1")
    app.config["PERMANENT_SESSION_LIFETIME"] = lifetime
    client.post("/permanent/yes")
    assert table.rows() == 0
    assert client.get_cookie("session") is None


def test_a_lifetime_of_a_century_is_possible(app, client, table):
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(days=36525)
    client.post("/set?a=1")
    client.post("/permanent/yes")
    assert table.lifetime() > timedelta(days=60 * 365)


def test_flasks_settings_make_the_cookie(table):
    client = make_application(
        SESSION_COOKIE_NAME="id", SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_PATH="/a"
    ).test_client()
    sent = client.post("/set?a=1").headers["Set-Cookie"]
    assert sent.startswith("id=")
    assert {"Secure", "HttpOnly", "Path=/a", "SameSite=Strict"} <= set(sent.split("; "))


def test_an_interface_of_ones_own_gives_other_lifetimes(table):
    from flask import Flask, session

    from flask_session_store import SessionStore, SessionStoreInterface

    class Interface(SessionStoreInterface):
        def get_lifetime(self, app, session):
            return timedelta(days=90) if session.get("robot") else super().get_lifetime(app, session)

    class Extension(SessionStore):
        interface_class = Interface

    app = Flask(__name__)
    Extension(app)

    @app.get("/")
    def index():
        session["robot"] = True
        return ""

    app.test_client().get("/")
    assert table.lifetime() == timedelta(days=90)
