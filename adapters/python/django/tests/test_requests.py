"""Requests at the same time, through a real server."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import LiveServerTestCase, TransactionTestCase, override_settings

from django_session_store import SessionStore, revoke_all

from .support import COOKIE, Browser, about, live_sessions, scalar
from .urls import hold

SIGN_IN = "/sign_in?name=ada&password=secret"


class Requests(LiveServerTestCase):
    def setUp(self):
        self.user = get_user_model().objects.create_user("ada", password="secret")
        self.addCleanup(scalar, "SELECT session_clear()")
        self.threads = ThreadPoolExecutor(20)
        self.addCleanup(self.threads.shutdown)
        self.addCleanup(setattr, hold, "here", None)

    def held(self, browser, path):
        """A request that has loaded its session, and a function that lets it go on and returns its answer."""
        arrived, go_on = threading.Event(), threading.Event()

        def wait():
            arrived.set()
            go_on.wait(30)

        hold.here = wait
        answer = self.threads.submit(browser.get, path)
        self.assertTrue(arrived.wait(30))
        hold.here = None

        def finish():
            go_on.set()
            return answer.result()

        return finish

    def visitor(self):
        browser = Browser(self)
        browser.get("/write?cart=umbrella")
        return browser

    def test_twenty_requests_at_once_that_each_set_another_key_keep_all(self):
        browser = self.visitor()
        hold.here = threading.Barrier(20, timeout=30).wait
        answers = self.threads.map(lambda n: browser.twin().get(f"/write?key{n}={n}"), range(20))
        self.assertEqual({status for status, _ in answers}, {200})
        expected = {"cart": "umbrella"} | {f"key{n}": str(n) for n in range(20)}
        self.assertEqual(browser.get("/read"), (200, expected))

    def test_a_value_that_twenty_requests_at_once_take_is_had_by_one(self):
        browser = self.visitor()
        hold.here = threading.Barrier(20, timeout=30).wait
        answers = self.threads.map(lambda _: browser.twin().get("/take?key=cart"), range(20))
        taken = [answer["taken"] for _, answer in answers]
        self.assertEqual([value for value in taken if value], ["umbrella"])

    def test_a_logout_wins_over_a_late_save(self):
        browser = self.visitor()
        browser.get(SIGN_IN)
        late = browser.twin()
        finish = self.held(late, "/write?late=1")
        browser.get("/sign_out")
        self.assertEqual(finish()[0], 400)
        self.assertIsNone(late.set_cookie)
        self.assertEqual(live_sessions(), 0)

    def test_a_request_under_way_during_a_login_does_not_undo_it(self):
        browser = self.visitor()
        late = browser.twin()
        finish = self.held(late, "/write?late=1")
        browser.get(SIGN_IN)
        self.assertEqual(finish()[0], 400)
        self.assertIsNone(late.set_cookie)
        self.assertEqual(browser.get("/whoami"), (200, {"user": "ada"}))

    def test_a_request_with_the_cookie_from_before_a_login_leaves_the_new_one_alone(self):
        browser = self.visitor()
        late = browser.twin()
        browser.get(SIGN_IN)
        self.assertEqual(late.get("/read"), (200, {}))
        self.assertIsNone(late.set_cookie)
        late.get("/sign_out")  # which says that it wants no cookie
        self.assertIsNone(late.cookie)
        self.assertEqual(browser.get("/whoami"), (200, {"user": "ada"}))

    def test_a_login_form_sent_twice_is_two_logins_and_the_cart_is_in_the_first(self):
        browser = self.visitor()
        again = browser.twin()
        browser.get(SIGN_IN)
        again.get(SIGN_IN)
        self.assertEqual(browser.get("/read"), (200, {"cart": "umbrella"}))
        self.assertEqual(again.get("/whoami"), (200, {"user": "ada"}))
        self.assertEqual(len(revoke_all(self.user)), 2)

    def test_log_out_everywhere_ends_requests_under_way(self):
        browser = self.visitor()
        browser.get(SIGN_IN)
        late = browser.twin()
        finish = self.held(late, "/write?late=1")
        revoke_all(self.user)
        self.assertEqual(finish()[0], 400)
        self.assertEqual(live_sessions(), 0)

    def test_cookies_that_are_made_up_or_expired_are_nobody_s_and_get_no_cookie(self):
        browser = self.visitor()
        scalar("SELECT session_touch(%s, deadline => now() - interval '1 second')", browser.cookie)
        for cookie in (browser.cookie, browser.cookie[:-1] + "!", "made-up-by-somebody"):
            browser = Browser(self, cookie)
            self.assertEqual(browser.get("/read"), (200, {}))
            self.assertIsNone(browser.set_cookie)
            self.assertEqual(browser.get("/write?a=1")[0], 200)
            self.assertNotEqual(browser.cookie, cookie)

    @override_settings(SESSION_COOKIE_AGE=16)
    def test_reading_does_not_extend_a_session(self):
        browser = self.visitor()
        expiry = "SELECT expires_at::text FROM session_load(%s, false)"
        before = scalar(expiry, browser.cookie)
        time.sleep(1.1)  # more than the grid of its expiry
        browser.get("/read")
        self.assertEqual(scalar(expiry, browser.cookie), before)
        browser.get("/write?cart=boots")
        self.assertGreater(scalar(expiry, browser.cookie), before)

    @override_settings(SESSION_SAVE_EVERY_REQUEST=True, SESSION_COOKIE_AGE=1000)
    def test_a_rolling_session_lives_on_with_each_request_and_so_does_its_cookie(self):
        browser = self.visitor()
        scalar("SELECT session_touch(%s, '0', now() + interval '5 seconds')", browser.cookie)
        browser.get("/untouched")
        self.assertIn("Max-Age=1000", browser.set_cookie)
        self.assertEqual(about(browser.cookie)[1:], (1000, None))

    @override_settings(SESSION_SAVE_EVERY_REQUEST=True)
    def test_a_rolling_session_that_ended_meanwhile_gets_no_cookie(self):
        browser = self.visitor()
        late = browser.twin()
        finish = self.held(late, "/take?key=nothing")
        browser.get("/sign_out")
        self.assertEqual(finish()[0], 400)
        self.assertIsNone(late.set_cookie)

    @override_settings(SESSION_SAVE_EVERY_REQUEST=True)
    def test_an_unknown_id_begins_no_rolling_session_that_holds_nothing(self):
        for path in "/untouched", "/read", "/take?key=nothing":
            browser = Browser(self, "made-up-by-somebody")
            self.assertEqual(browser.get(path)[0], 200)
            self.assertIsNone(browser.cookie)
        self.assertEqual(live_sessions(), 0)
        browser = Browser(self, "made-up-by-somebody")
        browser.get("/write?a=1")
        self.assertEqual(browser.get("/read"), (200, {"a": "1"}))

    @override_settings(SESSION_EXPIRE_AT_BROWSER_CLOSE=True)
    def test_a_cookie_until_the_browser_closes_has_no_age(self):
        self.assertNotIn("Max-Age", self.visitor().set_cookie)


class AtomicRequestTests(TransactionTestCase):
    """ATOMIC_REQUESTS: a view that fails leaves the session as it was before."""

    def setUp(self):
        self.user = get_user_model().objects.create_user("ada", password="secret")
        self.addCleanup(scalar, "SELECT session_clear()")
        self.addCleanup(connection.settings_dict.update, ATOMIC_REQUESTS=False)
        connection.settings_dict["ATOMIC_REQUESTS"] = True
        self.client.raise_request_exception = False

    def test_a_login_that_fails_changes_nothing(self):
        self.client.get("/write?cart=umbrella")
        key = self.client.cookies[COOKIE].value
        response = self.client.get(SIGN_IN + "&fail")
        self.assertEqual(response.status_code, 500)
        self.assertNotIn(COOKIE, response.cookies)
        self.assertEqual(SessionStore(key).load(), {"cart": "umbrella"})
        self.assertIsNone(about(key)[0])

    def test_a_login_that_does_not_fail_renews_and_binds(self):
        self.client.get("/write?cart=umbrella")
        key = self.client.cookies[COOKIE].value
        self.client.get(SIGN_IN)
        self.assertIs(SessionStore().exists(key), False)
        self.assertEqual(about(self.client.cookies[COOKIE].value)[0], str(self.user.pk))
        self.assertEqual(self.client.get("/read").json(), {"cart": "umbrella"})
