"""Logout, and what else ends a session."""

from flask import flash, get_flashed_messages, session

from flask_session_store import login


def test_clear_ends_the_session_and_takes_the_cookie_away(client, table):
    client.post("/set?a=1")
    sid = client.get_cookie("session").value
    client.post("/logout")
    assert table.rows() == 0
    assert client.get_cookie("session") is None
    client.set_cookie("session", sid)
    assert client.get("/session").json == {}


def test_what_is_put_in_after_clear_begins_another_session(bare_app, table):
    client = bare_app.test_client()

    @bare_app.post("/set")
    def put():
        session["a"] = 1
        return {}

    @bare_app.post("/logout")
    def logout():
        session.clear()
        flash("Goodbye")
        return {}

    @bare_app.get("/")
    def index():
        return {"data": list(session), "messages": get_flashed_messages()}

    client.post("/set")
    before = client.get_cookie("session").value
    client.post("/logout")
    assert client.get_cookie("session").value != before
    assert client.get("/").json == {"data": ["_flashes"], "messages": ["Goodbye"]}
    assert table.rows() == 1


def test_a_session_that_is_left_empty_ends(client, table):
    client.post("/set?a=1&b=2")
    client.post("/permanent/yes")
    client.post("/unset?key=a")
    assert table.rows() == 1
    client.post("/unset?key=b")
    assert table.rows() == 0
    assert client.get_cookie("session") is None


def test_a_login_that_takes_the_last_value_out_ends_no_session(bare_app, table):
    client = bare_app.test_client()

    @bare_app.post("/visit")
    def visit():
        session["next"] = "/"
        return {}

    @bare_app.post("/login")
    def log_in():
        login("ada")
        return {"next": session.pop("next")}

    client.post("/visit")
    client.post("/login")
    assert table.value("principal") == "ada"
    assert client.get_cookie("session")


def test_one_into_which_another_request_put_something_stays(app, served):
    browser = served()
    browser.post("/set", a=1)
    under_way = browser.later("POST", "/unset", key="a", hold="yes")
    app.gate.reached.acquire()
    browser.post("/set", b=2)
    app.gate.open.set()
    under_way.result()
    assert browser.get("/session") == {"b": "2"}


def test_showing_the_last_flash_message_ends_no_session(client, table):
    client.post("/flash?message=hello")
    assert client.get("/flash").json == {"messages": [["note", "hello"]]}
    assert client.get("/flash").json == {"messages": []}
    assert table.rows() == 1


def test_a_flash_message_may_hold_any_character(client):
    client.post("/flash?message=%00")
    assert client.get("/flash").json == {"messages": [["note", "\0"]]}
    assert client.get("/flash").json == {"messages": []}


def test_a_message_flashed_and_shown_in_one_request_is_gone(bare_app):
    client = bare_app.test_client()

    @bare_app.get("/<number>")
    def index(number):
        flash(number)
        return get_flashed_messages()

    assert client.get("/1").json == ["1"]
    assert client.get("/2").json == ["2"]
