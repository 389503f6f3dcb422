"""The sessions of one user: on which devices they are, and how one ends the others."""

import pytest

from browsers import WAIT, let_it_load


@pytest.fixture
def devices(application):
    """Three browsers of ada's, in the order of their logins."""
    browsers = [application.browser(name) for name in ("Firefox", "Safari", "ada's phone")]
    for browser in browsers:
        browser.post("/login", user="ada")
    return browsers


@pytest.fixture
def eve(application):
    eve = application.browser("eve's")
    eve.post("/login", user="eve")
    return eve


def listed(browser):
    return browser.get("/devices")["devices"]


def handle_of(browser):
    return next(device["handle"] for device in listed(browser) if device["is_this"])


def users(browsers):
    return [browser.user() for browser in browsers]


def test_all_devices_are_listed_with_their_browsers(devices, eve):
    for browser in devices:
        device, *others = listed(browser)
        assert device["is_this"] and not any(other["is_this"] for other in others)
        assert device["attributes"] == {"browser": browser.name}
        names = [device["attributes"]["browser"] for device in listed(browser)]
        assert sorted(names) == sorted(browser.name for browser in devices)
        assert all(device["last_seen"] and device["handle"] for device in listed(browser))
    assert [device["attributes"] for device in listed(eve)] == [{"browser": "eve's"}]


def test_no_devices_are_listed_for_nobody(visitor):
    assert listed(visitor) == []


def test_a_handle_is_no_cookie(application, devices):
    thief = application.browser("a thief's", presents=f"{application.cookie_name}={handle_of(devices[0])}")
    assert thief.user() is None


def test_a_device_that_is_revoked_is_out_and_no_other(devices, eve):
    assert devices[0].post("/revoke", handle=handle_of(devices[1])) == {"revoked": True}
    assert users([*devices, eve]) == ["ada", None, "ada", "eve"]
    assert [device["attributes"]["browser"] for device in listed(devices[2])] == ["ada's phone", "Firefox"]


def test_nobody_can_revoke_the_device_of_another(application, visitor, devices, eve):
    for browser in visitor, devices[0], application.browser("a thief's"):
        for handle in handle_of(eve), "", "made up", "00000000-0000-4000-8000-000000000000":
            assert browser.post("/revoke", handle=handle) == {"revoked": False}
    assert users([*devices, eve]) == ["ada", "ada", "ada", "eve"]


def test_the_other_devices_are_revoked_together(devices, eve):
    assert devices[1].post("/revoke_others") == {"revoked": 2}
    assert users([*devices, eve]) == [None, "ada", None, "eve"]
    assert devices[1].post("/revoke_others") == {"revoked": 0}


def test_a_change_of_the_password_ends_also_what_is_under_way_elsewhere(application, devices):
    late = [browser.later("POST", "/set", key="late", value="x", wait=WAIT) for browser in devices[1:]]
    let_it_load()
    assert devices[0].post("/revoke_others") == {"revoked": 2}
    assert all(answer.result().status_code < 500 for answer in late)
    assert users(devices) == ["ada", None, None]
    assert devices[0].data() == {}
    assert application.rows() == 1


def test_a_user_whom_the_database_revokes_is_out(application, devices, eve):
    """Whatever the framework's login did, its sessions are found by the user."""
    ended = application.owner.execute("SELECT session_revoke_all('ada')").fetchall()
    assert len(ended) == 3
    assert users([*devices, eve]) == [None, None, None, "eve"]
    assert application.rows() == 1


def test_who_was_revoked_can_log_in_again(application, devices):
    application.owner.execute("SELECT session_revoke_all('ada')")
    before = devices[0].cookie
    devices[0].post("/login", user="ada")
    assert devices[0].cookie != before
    assert devices[0].user() == "ada"
    assert len(listed(devices[0])) == 1
