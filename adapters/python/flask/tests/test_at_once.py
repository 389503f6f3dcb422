"""Requests of one browser at the same time, each in a thread of the server."""

import pytest


@pytest.fixture
def visitor(served):
    browser = served()
    browser.post("/set", cart="umbrella")
    return browser


@pytest.fixture
def held(app):
    """Begins a request that has loaded its session; later() lets it go on, and waits for its answer."""

    def hold(browser, method, path, **parameters):
        under_way = browser.later(method, path, hold="yes", **parameters)
        assert app.gate.reached.acquire(timeout=10)

        def later():
            app.gate.open.set()
            return under_way.result()

        return later

    return hold


def test_twenty_parallel_requests_that_each_set_another_key_all_keep_it(app, visitor):
    keys = {f"key{tab}": f"value {tab}" for tab in range(20)}
    under_way = [visitor.later("POST", "/set", **{key: keys[key]}, hold="yes") for key in keys]
    for _ in keys:
        assert app.gate.reached.acquire(timeout=10)
    app.gate.open.set()
    assert [request.result() for request in under_way] == [{}] * 20
    assert visitor.get("/session") == {"cart": "umbrella"} | keys


def test_a_key_that_one_tab_removes_stays_removed_when_others_save(visitor, held):
    visitor.post("/set", a=1, b=1)
    late = held(visitor, "POST", "/set", b=2)
    visitor.post("/unset", key="a")
    late()
    assert visitor.get("/session") == {"cart": "umbrella", "b": "2"}


def test_a_logout_wins_over_a_late_save(visitor, held, table):
    late = held(visitor, "POST", "/set", late="x")
    visitor.post("/logout")
    assert late() == {}
    assert visitor.cookie is None
    assert table.rows() == 0


def test_a_logout_wins_over_a_late_login(visitor, held, table):
    late = held(visitor, "POST", "/login", user="ada")
    visitor.post("/logout")
    assert late() == {"done": False}
    assert visitor.cookie is None
    assert table.rows() == 0


def test_a_logout_wins_over_a_late_renewal(visitor, held, table):
    late = held(visitor, "POST", "/regenerate")
    visitor.post("/logout")
    assert late() == {"done": False}
    assert visitor.cookie is None
    assert table.rows() == 0


@pytest.mark.parametrize("method, path", [("POST", "/set"), ("POST", "/unset"), ("GET", "/session"), ("GET", "/flash")])
@pytest.mark.parametrize("permanent", ["no", "yes"])
def test_an_answer_after_the_login_loses_nothing_and_leaves_its_cookie(
    visitor, served, held, table, method, path, permanent
):
    """Of a permanent session every answer would send the cookie again."""
    visitor.post("/flash", message="x")
    visitor.post(f"/permanent/{permanent}")
    before = visitor.cookie
    late = held(visitor, method, path, key="cart")
    visitor.post("/login", user="ada")
    renewed = visitor.cookie
    late()
    assert visitor.cookie == renewed != before
    assert visitor.get("/session") == {"cart": "umbrella", "user": "ada"}
    assert table.rows() == 1
    assert table.value("principal") == "ada"
    thief = served()
    thief.cookie = before
    assert thief.get("/session") == {}


def test_a_login_keeps_what_was_set_while_it_was_under_way(visitor, held, table):
    login = held(visitor, "POST", "/login", user="ada")
    visitor.post("/set", meanwhile="x")
    assert login() == {"done": True}
    assert visitor.get("/session") == {"cart": "umbrella", "meanwhile": "x", "user": "ada"}
    assert table.rows() == 1


def test_of_two_logins_at_once_one_is_made_and_its_cookie_stays(app, visitor, table):
    logins = [visitor.later("POST", "/login", user="ada", hold="yes") for _ in range(2)]
    for _ in logins:
        assert app.gate.reached.acquire(timeout=10)
    app.gate.open.set()
    assert sorted(login.result()["done"] for login in logins) == [False, True]
    assert visitor.get("/session") == {"cart": "umbrella", "user": "ada"}
    assert table.rows() == 1


def test_of_parallel_tabs_one_shows_a_flash_message(app, visitor):
    visitor.post("/flash", message="saved")
    under_way = [visitor.later("GET", "/flash", hold="yes") for _ in range(6)]
    for _ in under_way:
        assert app.gate.reached.acquire(timeout=10)
    app.gate.open.set()
    shown = [answer for request in under_way for answer in request.result()["messages"]]
    assert shown == [["note", "saved"]]
    assert visitor.get("/flash") == {"messages": []}
    assert visitor.get("/session") == {"cart": "umbrella"}
