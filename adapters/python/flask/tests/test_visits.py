"""What a visit leaves behind, and what it costs."""

import pytest

from flask_session_store.store import is_possible, new_id


def cookie_of(client):
    cookie = client.get_cookie("session")
    return cookie.value if cookie else None


@pytest.mark.parametrize("path", ["/nothing", "/session", "/flash", "/devices"])
def test_a_visit_that_keeps_nothing_leaves_neither_row_nor_cookie(client, table, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert table.rows() == 0


def test_that_sessions_are_to_be_permanent_begins_none(client, table):
    assert "Set-Cookie" not in client.post("/permanent/yes").headers
    assert table.rows() == 0


@pytest.mark.parametrize(
    "cookie",
    [new_id(), "", "a", "x" * 257, "x" * 3000, "nul\0", "tab\t", "\xff", "ü", '"quoted"', "\\000", "a b", "'--"],
    ids=ascii,
)
def test_an_unknown_cookie_is_neither_adopted_nor_replaced_nor_taken_away(bare_app, table, cookie):
    from flask import session

    @bare_app.get("/look")
    def look():
        return {"new": session.new, "data": dict(session)}

    @bare_app.post("/clear")
    def clear():
        session.clear()
        return {}

    @bare_app.post("/set")
    def put():
        session["a"] = 1
        return {}

    client = bare_app.test_client(use_cookies=False)
    environ = {"HTTP_COOKIE": f"session={cookie}"}
    answer = client.get("/look", environ_overrides=environ)
    assert answer.json == {"new": True, "data": {}}
    assert "Set-Cookie" not in answer.headers
    assert "Set-Cookie" not in client.post("/clear", environ_overrides=environ).headers
    assert table.rows() == 0
    sent = client.post("/set", environ_overrides=environ).headers["Set-Cookie"]
    assert cookie == "" or not sent.startswith(f"session={cookie};")
    assert table.rows() == 1


def test_ids_that_no_session_can_have_are_not_asked_for(counted):
    for cookie in "x" * 257, "ü", "nul\0":
        client = counted.test_client(use_cookies=False)
        client.get("/session", environ_overrides={"HTTP_COOKIE": f"session={cookie}"})
        assert not is_possible(cookie)
    assert counted.trips() == 0


def test_a_session_of_somebody_elses_bytes_is_unknown(client, table):
    sid = table.execute("SELECT session_create_raw('bytes')").fetchone()[0]
    client.set_cookie("session", sid)
    assert client.get("/session").json == {}
    client.post("/set?a=1")
    assert cookie_of(client) != sid


def test_a_request_asks_once_to_load_and_once_to_save_what_changed(counted):
    client = counted.test_client()
    client.get("/session")
    assert counted.trips() == 0
    client.post("/set?a=1")
    assert counted.trips() == 1
    client.get("/nothing")
    assert counted.trips() == 0
    client.get("/session")
    assert counted.trips() == 1
    client.post("/set?a=2")
    assert counted.trips() == 2
    client.post("/set?a=2")
    assert counted.trips() == 1
    client.post("/append?value=x")
    assert counted.trips() == 2
    client.post("/login?user=ada")
    assert counted.trips() == 3  # loads, renews and binds, saves who it is
    client.post("/logout")
    assert counted.trips() == 1


def test_a_visit_that_only_looks_writes_nothing(client, table, early_in_a_minute):
    client.post("/set?a=1")
    before = table.place()
    for path in "/nothing", "/session", "/flash", "/devices":
        client.get(path)
    client.post("/set?a=1")
    assert table.place() == before


def test_answers_vary_by_the_cookie_if_the_session_was_looked_at(client):
    assert "Vary" not in client.get("/nothing").headers
    assert client.get("/session").headers["Vary"] == "Cookie"
    assert client.post("/set?a=1").headers["Vary"] == "Cookie"
    assert client.post("/logout").headers["Vary"] == "Cookie"


def test_flasks_test_client_opens_sessions(client):
    with client.session_transaction() as session:
        session["a"] = (1, 2)
    with client.session_transaction() as session:
        assert session["a"] == (1, 2)


def test_several_applications_by_one_extension():
    from flask import Flask

    from flask_session_store import SessionStore, SessionStoreInterface

    extension = SessionStore()
    for name in "one", "two":
        app = Flask(name)
        extension.init_app(app)
        assert isinstance(app.session_interface, SessionStoreInterface)
