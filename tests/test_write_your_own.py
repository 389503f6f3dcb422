"""The adapter in docs/write-your-own.md does what the page says."""

import json
import re
from contextlib import contextmanager
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest
from conftest import APP, one

PAGE = (Path(__file__).parent.parent / "docs/write-your-own.md").read_text()


class Browser:
    """Asks an application for what `work` returns, which gets the session."""

    def __init__(self, site, cookie=None):
        self.site, self.cookie = site, cookie

    def ask(self, work):
        def application(environ, start_response):
            answer = work(environ["session"])
            start_response("200 OK", [])
            return [json.dumps(answer).encode()]

        environ = {"HTTP_COOKIE": self.cookie} if self.cookie else {}
        setup_testing_defaults(environ)
        self.received = None
        self.site.application = application
        answer = b"".join(self.site(environ, self.receive))
        return json.loads(answer)

    def receive(self, _status, headers, _exc_info=None):
        for _, value in headers:
            self.cookie = self.received = value.split(";")[0]


class Pool:
    """One connection, and what was sent by it."""

    def __init__(self, connection):
        self.plain, self.sent = connection, []

    @contextmanager
    def connection(self):
        yield self

    def execute(self, statement, values):
        self.sent += re.findall(r"session_\w+", statement)[:1]
        return self.plain.execute(statement, values)


@pytest.fixture
def site(database, owner):
    module = {}
    exec(re.search(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)[1], module)
    return module["Sessions"](None, Pool(database.connect(APP)))


def test_a_visit_that_leaves_the_session_alone_sends_nothing(site, owner):
    browser = Browser(site)
    assert browser.ask(dict) == {}
    assert (browser.received, site.pool.sent) == (None, [])
    for unknown in "sid=unknown", "sid=", 'sid="\\000"', f"sid={'x' * 257}", "sid=é", 'sid="a', ";;=":
        assert Browser(site, unknown).ask(dict) == {}
    assert site.pool.sent == ["session_fetch"]
    assert one(owner, "SELECT count(*) FROM session") == 0


def test_one_statement_loads_and_one_saves_what_has_changed(site):
    browser = Browser(site)
    browser.ask(lambda session: session.update(cart=["umbrella"], seen=1))
    assert browser.received == browser.cookie
    site.pool.sent.clear()
    assert browser.ask(dict) == {"cart": ["umbrella"], "seen": 1}
    browser.ask(lambda session: session["cart"].append("hat"))
    browser.ask(lambda session: session.pop("seen"))
    assert site.pool.sent == ["session_fetch", "session_fetch", "session_patch", "session_fetch", "session_patch"]
    assert browser.received is None
    assert browser.ask(dict) == {"cart": ["umbrella", "hat"]}


def test_requests_at_the_same_time_lose_nothing_and_bring_nothing_back(site, owner):
    browser = Browser(site)
    browser.ask(lambda session: session.update(a=1))
    tab = Browser(site, browser.cookie)

    def while_the_other(work):
        def slowly(session):
            application = site.application
            tab.ask(work)
            site.application = application
            session["late"] = 1

        return slowly

    browser.ask(while_the_other(lambda session: session.update(b=2)))
    assert browser.ask(dict) == {"a": 1, "b": 2, "late": 1}
    browser.ask(while_the_other(site.logout))
    assert browser.received is None
    assert browser.ask(dict) == {}
    assert one(owner, "SELECT count(*) FROM session WHERE session_expiry > now()") == 0


def test_a_login_renews_the_id_and_keeps_the_cart_but_not_that_of_another_user(site, owner):
    browser = Browser(site)
    browser.ask(lambda session: session.update(cart=1))
    stolen = Browser(site, browser.cookie)

    def login(user):
        def work(session):
            session["before"] = 1
            site.login(session, user)
            session["user"] = user

        return work

    browser.ask(login(7))
    assert browser.cookie != stolen.cookie
    assert browser.ask(dict) == {"cart": 1, "before": 1, "user": 7}
    assert stolen.ask(dict) == {}
    browser.ask(login(8))
    assert browser.ask(dict) == {"user": 8}
    first = Browser(site)
    first.ask(login(8))
    assert first.ask(dict) == {"before": 1, "user": 8}
    assert one(owner, "SELECT count(*) FROM session_revoke_all('8')") == 2
    assert browser.ask(dict) == first.ask(dict) == {}
