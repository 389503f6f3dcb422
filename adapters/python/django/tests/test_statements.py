"""How many statements a request costs."""

from django.contrib.auth import get_user_model
from django.test import TestCase, override_settings

from django_session_store import SessionStore

from .support import COOKIE, live_sessions, needs_async, statements


class StatementTests(TestCase):
    def session(self, **values):
        session = SessionStore()
        session.update(values)
        session.save()
        self.client.cookies[COOKIE] = session.session_key
        return session

    def test_a_visitor_who_touches_nothing_costs_nothing_and_gets_no_cookie(self):
        before = live_sessions()
        with statements(self, []):
            response = self.client.get("/untouched")
        self.assertNotIn(COOKIE, response.cookies)
        with statements(self, []):
            response = self.client.get("/read")
        self.assertNotIn(COOKIE, response.cookies)
        self.assertEqual(live_sessions(), before)

    def test_a_session_that_is_not_looked_at_is_not_loaded(self):
        self.session(a=1)
        with statements(self, []):
            self.client.get("/untouched")

    def test_a_session_begins_with_one_statement(self):
        with statements(self, ["save"]):
            self.client.get("/write?a=1")

    def test_reading_is_one_statement(self):
        self.session(a=1)
        with statements(self, ["fetch"]):
            self.assertEqual(self.client.get("/read").json(), {"a": 1})

    def test_writing_is_one_more(self):
        self.session(a=1)
        with statements(self, ["fetch", "patch"]):
            self.client.get("/write?b=2")
        self.assertEqual(self.client.get("/read").json(), {"a": 1, "b": "2"})

    def test_what_was_there_already_is_not_sent_again(self):
        self.session(a="1")
        with statements(self, ["fetch", "touch"]):
            self.client.get("/write?a=1")

    @override_settings(SESSION_SAVE_EVERY_REQUEST=True)
    def test_a_rolling_session_is_extended_and_not_written_anew(self):
        self.session(a=1)
        with statements(self, ["fetch", "touch"]):
            response = self.client.get("/read")
        self.assertIn(COOKIE, response.cookies)

    def test_an_id_that_no_session_can_have_is_not_asked_for(self):
        for cookie in ("short", "nul\0nul\0nul", "späßchen1234", "x" * 257):
            self.client.cookies[COOKIE] = cookie
            with statements(self, []):
                self.client.get("/read")
            self.assertIs(SessionStore().exists(cookie), False)
            SessionStore().delete(cookie)

    def test_a_login_is_three(self):
        get_user_model().objects.create_user("ada", password="secret")
        self.session(cart=[1])
        with statements(self, ["fetch", "regenerate", "bind"]):
            self.client.get("/sign_in?name=ada&password=secret")

    def test_a_login_without_a_session_is_one(self):
        get_user_model().objects.create_user("ada", password="secret")
        with statements(self, ["bind"]):
            self.client.get("/sign_in?name=ada&password=secret")
        self.assertEqual(self.client.get("/whoami").json(), {"user": "ada"})

    def test_a_user_is_bound_once(self):
        session = SessionStore()
        session["_auth_user_id"] = "7"
        with statements(self, ["bind", "patch"]):
            session.save()
            session["a"] = 1
            session.save()

    def test_renewing_is_one(self):
        session = SessionStore(self.session(a=1).session_key)
        with statements(self, ["regenerate"]):
            session.cycle_key()

    def test_a_logout_is_two(self):
        self.session(a=1)
        with statements(self, ["fetch", "destroy"]):
            response = self.client.get("/sign_out")
        self.assertEqual(response.cookies[COOKIE].value, "")

    @needs_async
    async def test_async_views_cost_the_same(self):
        session = SessionStore()
        await session.aupdate({"a": 1})
        await session.asave()
        self.async_client.cookies[COOKIE] = session.session_key
        from asgiref.sync import sync_to_async

        context = statements(self, ["fetch", "patch"])
        await sync_to_async(context.__enter__)()
        await self.async_client.get("/awrite?b=2")
        await sync_to_async(context.__exit__)(None, None, None)
        self.assertEqual(await SessionStore(session.session_key).aload(), {"a": 1, "b": "2"})
