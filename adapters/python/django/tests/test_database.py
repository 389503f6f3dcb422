"""SESSION_STORE_DATABASE: sessions in another database than the rest."""

from django.db import connection, connections
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from sessions_tests import tests as django_tests

from django_session_store import SessionStore


@override_settings(SESSION_STORE_DATABASE="sessions")
class OtherDatabaseTests(django_tests.SessionTestsMixin, TestCase):
    """With Django's tests once more, for that connection has server-side binding."""

    databases = {"default", "sessions"}
    backend = SessionStore

    def test_sessions_are_there_and_nowhere_else(self):
        with CaptureQueriesContext(connection) as default, CaptureQueriesContext(connections["sessions"]) as sessions:
            session = SessionStore()
            session["a"] = 1
            session.save()
            self.assertIs(SessionStore().exists(session.session_key), True)
        self.assertEqual((len(default), len(sessions)), (0, 2))

    def test_no_id_is_in_the_text_of_a_statement_with_server_side_binding(self):
        session = SessionStore()
        session.save()
        with connections["sessions"].cursor() as cursor:
            cursor.execute(
                "SELECT session_exist(%s), query FROM pg_stat_activity WHERE pid = pg_backend_pid()",
                [session.session_key],
            )
            live, text = cursor.fetchone()
        self.assertIs(live, True)
        self.assertNotIn(session.session_key, text)
