"""Login, renewal and devices."""

import pytest

import flask_session_store
from application import make_application


def cookie_of(client):
    return client.get_cookie("session").value


def is_dead(app, sid):
    thief = app.test_client()
    thief.set_cookie("session", sid)
    return thief.get("/session").json == {}


def test_a_login_renews_the_id_and_binds_the_session(app, client, table):
    client.post("/set?cart=umbrella")
    before = cookie_of(client)
    assert client.post("/login?user=ada", headers={"User-Agent": "Firefox"}).json == {"done": True}
    assert cookie_of(client) != before
    assert is_dead(app, before)
    assert client.get("/session").json == {"cart": "umbrella", "user": "ada"}
    assert table.value("principal") == "ada"
    assert table.value("attributes") == {"browser": "Firefox"}


def test_after_a_login_everywhere_means_everywhere(app, client, table):
    client.post("/set?cart=umbrella")
    client.post("/login?user=ada")
    table.execute("SELECT session_revoke_all('ada')")
    assert client.get("/session").json == {}


def test_a_login_without_a_session_begins_one(client, table):
    client.post("/login?user=ada")
    assert table.value("principal") == "ada"
    assert client.get("/session").json == {"user": "ada"}


def test_where_the_server_is_strict_everything_works_the_same(table):
    client = make_application(SESSION_STORE_CONNINFO="options='-c session_store.strict=on'").test_client()
    assert client.post("/login?user=ada").json == {"done": True}
    client.post("/set?cart=umbrella")
    assert client.post("/regenerate").json == {"done": True}
    client.post("/login?user=ada")
    assert client.get("/session").json == {"user": "ada", "cart": "umbrella"}
    assert table.rows() == 1


def test_a_login_of_another_user_takes_nothing_along(app, client, table):
    client.post("/login?user=ada")
    client.post("/set?cart=umbrella")
    client.post("/append?value=x")
    client.post("/login?user=eve&remember=yes")
    assert client.get("/session").json == {"user": "eve"}
    assert table.value("principal") == "eve"


def test_what_was_set_before_a_login_in_the_same_request_goes_the_same_way(bare_app, table):
    from flask import session

    @bare_app.post("/<user>")
    def view(user):
        held = session.setdefault("held", [])
        session["before"] = user
        flask_session_store.login(user)
        held.append(user)
        return dict(session)

    client = bare_app.test_client()
    assert client.post("/ada").json == {"held": ["ada"], "before": "ada"}
    assert client.post("/ada").json == {"held": ["ada", "ada"], "before": "ada"}
    assert client.post("/eve").json == {}
    assert table.execute("SELECT principal, session_decode(session_data) FROM session").fetchall() == [("eve", {})]


def test_a_login_keeps_what_this_request_and_another_have_set_before_it(bare_app, table):
    from flask import session

    @bare_app.post("/begin")
    def begin():
        session["cart"] = [1]
        return {}

    @bare_app.post("/login")
    def view():
        session["cart"].append(2)
        session["before"] = 1
        table.execute("""SELECT session_merge(%s, '{"meanwhile": 1}')""", session.sid)
        flask_session_store.login("ada")
        session["after"] = 1
        return dict(session)

    client = bare_app.test_client()
    client.post("/begin")
    expected = {"cart": [1, 2], "before": 1, "meanwhile": 1, "after": 1}
    assert client.post("/login").json == expected
    assert table.value("session_decode(session_data)") == expected


def test_principals_are_text_and_never_none(bare_app, table):
    @bare_app.post("/int")
    def number():
        flask_session_store.login(42)
        return {}

    @bare_app.post("/none")
    def none():
        with pytest.raises(TypeError):
            flask_session_store.login(None)
        return {}

    bare_app.testing = True
    bare_app.test_client().post("/none")
    assert table.rows() == 0
    bare_app.test_client().post("/int")
    assert table.value("principal") == "42"


def test_clear_and_login_in_one_request_ends_the_session_before(bare_app, table):
    from flask import session

    @bare_app.post("/<user>")
    def view(user):
        session.clear()
        session["user"] = user
        flask_session_store.login(user)
        return {}

    client = bare_app.test_client()
    client.post("/ada")
    client.post("/eve")
    assert table.execute("SELECT principal, session_decode(session_data) FROM session").fetchall() == [
        ("eve", {"user": "eve"})
    ]


def test_as_many_sessions_as_the_application_allows(bare_app, table):
    @bare_app.post("/")
    def view():
        flask_session_store.login("ada", max_sessions=2)
        return {}

    for _ in range(4):
        bare_app.test_client().post("/")
    assert table.rows() == 2


def test_regenerate_moves_the_session_and_keeps_its_user(app, client, table):
    client.post("/login?user=ada")
    before = cookie_of(client)
    assert client.post("/regenerate").json == {"done": True}
    assert cookie_of(client) != before
    assert is_dead(app, before)
    assert client.get("/session").json == {"user": "ada"}
    assert table.value("principal") == "ada"


def test_there_is_nothing_to_regenerate_without_a_session(client, table):
    assert client.post("/regenerate").json == {"done": False}
    assert table.rows() == 0


def test_devices_are_listed_and_revoked(app, client):
    phone, tablet, stranger = app.test_client(), app.test_client(), app.test_client()
    for device, name in (client, "laptop"), (phone, "phone"), (tablet, "tablet"):
        device.post("/login?user=ada", headers={"User-Agent": name})
    stranger.post("/login?user=eve", headers={"User-Agent": "another"})
    devices = client.get("/devices").json
    assert devices[0][:2] == [True, "laptop"]
    assert {name for _, name, _ in devices} == {"laptop", "phone", "tablet"}
    handles = {name: handle for _, name, handle in devices}
    assert stranger.post(f"/revoke?handle={handles['phone']}").json == {"revoked": False}
    assert client.post(f"/revoke?handle={handles['phone']}").json == {"revoked": True}
    assert client.post("/revoke?handle=nonsense%00").json == {"revoked": False}
    assert phone.get("/session").json == {}
    assert client.post("/revoke_others").json == {"revoked": 1}
    assert tablet.get("/session").json == {}
    assert client.get("/session").json == {"user": "ada"}
    assert stranger.get("/session").json == {"user": "eve"}


def test_nobody_has_no_devices(client):
    assert client.get("/devices").json == []
    client.post("/set?a=1")
    assert client.get("/devices").json == []
    assert client.post("/revoke?handle=x").json == {"revoked": False}
    assert client.post("/revoke_others").json == {"revoked": 0}


def test_a_device_whose_session_has_no_end_has_none(table):
    app = make_application(SESSION_STORE_LIFETIME=0)
    client = app.test_client()
    client.post("/login?user=ada")
    assert table.value("session_expiry = 'infinity'")
    assert [name for _, name, _ in client.get("/devices").json] == [client.environ_base["HTTP_USER_AGENT"]]


def test_all_sessions_of_a_user_end(app, client, table):
    for _ in range(3):
        app.test_client().post("/login?user=7")
    with app.app_context():
        assert flask_session_store.revoke_all(7) == 3
    assert table.rows() == 0
