"""An application that has its sessions in Flask-Session's SQLAlchemy table, and changes over to this package."""

import os
import pickle
from datetime import datetime, timezone

import pytest
from flask import Flask, session
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy

from flask_session_store import SessionStore, revoke_all

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def application(**config):
    app = Flask(__name__)
    app.testing = True
    app.config.update(SECRET_KEY="secret", **config)

    @app.post("/")
    def put():
        session.update(user="ada", cart=["umbrella", {"n": 1}], raw=b"\0\xff", none=None)
        return {}

    @app.get("/")
    def get():
        found = dict(session)
        return {"user": found.get("user"), "cart": found.get("cart"), "permanent": session.permanent, "new": not found}

    return app


@pytest.fixture
def before():
    """Makes the application as it was."""
    apps = []
    yield lambda **config: apps.append(with_flask_session(**config)) or apps[-1]
    for app in apps:
        with app.app_context():
            app.config["SESSION_SQLALCHEMY"].engine.dispose()


def with_flask_session(**config):
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    app = application(SQLALCHEMY_DATABASE_URI=url, SESSION_TYPE="sqlalchemy", **config)
    app.config["SESSION_SQLALCHEMY"] = SQLAlchemy(app)
    Session(app)
    return app


@pytest.fixture(autouse=True)
def no_table(table):
    table.execute("DROP TABLE IF EXISTS sessions")
    yield
    table.execute("DROP TABLE IF EXISTS sessions")


def after(**config):
    app = application(**config)
    SessionStore(app)
    return app


@pytest.mark.parametrize(
    "config", [{}, {"SESSION_SERIALIZATION_FORMAT": "json"}, {"SESSION_USE_SIGNER": True}], ids=str
)
@pytest.mark.filterwarnings("ignore:The 'use_signer':DeprecationWarning")
def test_nobody_is_logged_out(table, before, config):
    old = before(**config)
    browsers = [old.test_client() for _ in range(3)]
    for browser in browsers:
        browser.post("/")
    new = after(**config)
    done = new.test_cli_runner().invoke(args=["import-flask-session"])
    assert (done.exit_code, done.output) == (0, "imported 3 sessions\n")
    for browser in browsers:
        cookie = browser.get_cookie("session").value
        here = new.test_client()
        here.set_cookie("session", cookie)
        assert here.get("/").json == {"user": "ada", "cart": ["umbrella", {"n": 1}], "permanent": True, "new": False}
    assert table.lifetime() == new.permanent_session_lifetime
    again = new.test_cli_runner().invoke(args=["import-flask-session"])
    assert (again.exit_code, again.output) == (0, "imported 0 sessions\n")


def test_sessions_become_those_of_their_users(table, before):
    before().test_client().post("/")
    new = after()
    new.test_cli_runner().invoke(args=["import-flask-session", "--principal", "user"])
    assert table.value("principal") == "ada"
    with new.app_context():
        assert revoke_all("ada") == 1


def test_expired_sessions_stay_behind(table, before):
    old = before()
    browser = old.test_client()
    browser.post("/")
    table.execute("UPDATE sessions SET expiry = now() AT TIME ZONE 'UTC' - interval '1 second'")
    assert after().test_cli_runner().invoke(args=["import-flask-session"]).output == "imported 0 sessions\n"


def test_old_pickles_and_what_cannot_be_read(table, before):
    before()
    insert = "INSERT INTO sessions (session_id, data, expiry) VALUES (%s, %s, now() + interval '1 day')"
    table.execute(insert, "session:pickled", pickle.dumps({"user": "ada", "when": WHEN, "pair": (1, b"2")}))
    table.execute(insert, "session:object", pickle.dumps({"user": object()}))
    table.execute(insert, "session:broken", b"\xc1broken")
    table.execute(insert, "session:0large", pickle.dumps({"user": "x" * 1_500_000}))
    new = after()
    done = new.test_cli_runner().invoke(args=["import-flask-session"])
    assert done.exit_code == 1
    assert "imported 1 sessions" in done.output
    assert "3 sessions could not be taken over" in done.output
    client = new.test_client()
    client.set_cookie("session", "pickled")
    with client.session_transaction() as found:
        assert found["user"] == "ada" and found["when"] == WHEN and found["pair"] == (1, b"2")
