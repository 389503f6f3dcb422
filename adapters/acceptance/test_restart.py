"""The database, or the server itself, goes away and comes back."""

import itertools
import threading
import time

import httpx
import pytest

from applications import not_rolling, plain
from tests.conftest import APP, one, wait_until


class Load:
    """Tabs that set one key after the other, and look who they are, until the load ends."""

    def __init__(self, browser, tabs=4):
        self._browser = browser
        self._over = threading.Event()
        self.back = threading.Event()  # when the database is back
        self.acknowledged = set()
        self.failed_since = []  # of the requests that began when it was back
        self.logged_out = []
        self.since = 0
        self._tabs = [threading.Thread(target=self._work, args=[tab]) for tab in range(tabs)]

    def __enter__(self):
        for tab in self._tabs:
            tab.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        for tab in self._tabs:
            tab.join()

    def _work(self, tab):
        for number in itertools.count():
            if self._over.is_set():
                return
            back = self.back.is_set()
            key = f"key {tab} {number}"
            if self._ask(back, "POST", "/set", key=key, value="x"):
                self.acknowledged.add(key)
            who = self._ask(back, "GET", "/whoami")
            if who and who.json() != {"user": "ada"}:
                self.logged_out.append(who.text)
            self.since += back
            time.sleep(0.005)

    def _ask(self, back, *request, **parameters):
        """The answer, or None if it failed."""
        try:
            answer = self._browser.ask(*request, **parameters)
        except httpx.TransportError as error:
            answer = error
        if getattr(answer, "status_code", 0) == 200:
            return answer
        if back:
            self.failed_since.append(getattr(answer, "text", repr(answer)))
        return None


@pytest.mark.survives_errors
def test_a_restart_costs_at_most_the_requests_under_way(application, ada):
    cookie = ada.cookie
    with Load(ada) as load:
        wait_until(lambda: load.acknowledged)
        application.postgres.restart("immediate")
        wait_until(application.reaches_its_database)
        load.back.set()
        time.sleep(0.4)
        wait_until(lambda: load.since)
    application.reconnect()
    assert load.failed_since == []
    assert load.logged_out == []
    assert ada.cookie == cookie
    assert ada.user() == "ada"
    assert not load.acknowledged - ada.data().keys()


@pytest.mark.survives_errors
def test_while_the_database_is_away_nobody_is_taken_for_logged_out(application, ada):
    """Requests fail; or they wait for it, as PgBouncer and some pools have them, and are answered as ever."""
    cookie = ada.cookie
    application.postgres.stop("immediate")
    try:
        answers = [ada.later("GET", "/whoami"), ada.later("POST", "/set", key="cart", value="umbrella")]
        time.sleep(0.3)
    finally:
        application.postgres.start()
        application.reconnect()
    wait_until(application.reaches_its_database)
    for answer, right in zip([answer.result() for answer in answers], [{"user": "ada"}, {}], strict=True):
        assert answer.status_code == 500 or (answer.status_code, answer.json()) == (200, right)
        assert answer.status_code == 200 or "set-cookie" not in answer.headers
    assert ada.cookie == cookie
    assert ada.user() == "ada"
    assert ada.data() == {"cart": "umbrella"}


@not_rolling
@pytest.mark.survives_errors
def test_connections_that_ended_while_nobody_used_them_cost_no_request(application, ada):
    ada.everywhere("GET", [("/whoami", {})] * 8)
    query = "SELECT array_agg(pid) FROM pg_stat_activity WHERE usename = %s AND datname = current_database()"
    idle = one(application.owner, query, APP)
    application.owner.execute("SELECT pg_terminate_backend(pid, 10000) FROM unnest(%s) AS pid", [idle])
    ada.everywhere("POST", [("/set", {"key": str(tab), "value": "x"}) for tab in range(8)])
    assert ada.data() == {"cart": "umbrella"} | {str(tab): "x" for tab in range(8)}


@plain
def test_a_restart_of_the_server_logs_nobody_out(application, ada):
    application.stop()
    application.start()
    assert ada.user() == "ada"
    assert ada.data() == {"cart": "umbrella"}
