"""Flask-Login beside this package, as the README has it."""

import pytest
from flask import Flask, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

import flask_session_store
from flask_session_store import SessionStore


class User(UserMixin):
    def __init__(self, name):
        self.id = name


@pytest.fixture
def app():
    app = Flask(__name__)
    app.testing = True
    app.config["SECRET_KEY"] = "for Flask-Login's own cookie"
    SessionStore(app)
    LoginManager(app).user_loader(User)

    @app.post("/login/<name>")
    def log_in(name):
        user = User(name)
        flask_session_store.login(user.get_id())
        login_user(user, remember=True)
        return {}

    @app.post("/logout")
    def log_out():
        session.clear()
        logout_user()
        return {}

    @app.get("/")
    def index():
        return {"user": current_user.get_id(), "keys": [key for key in session if key == "cart"]}

    @app.post("/cart")
    def cart():
        session["cart"] = 1
        return {}

    return app


def test_its_users_are_the_principals(app, client, table):
    client.post("/cart")
    client.post("/login/ada")
    assert client.get("/").json == {"user": "ada", "keys": ["cart"]}
    assert table.value("principal") == "ada"
    client.post("/login/eve")
    assert client.get("/").json == {"user": "eve", "keys": []}
    assert table.value("principal") == "eve"
    assert table.rows() == 1


def test_its_logout_ends_the_session_and_forgets_its_own_cookie(app, client, table):
    client.post("/login/ada")
    client.post("/logout")
    assert client.get("/").json == {"user": None, "keys": []}
    assert table.rows() == 0
    assert client.get_cookie("remember_token") is None
