"""Moving in from Django's database engine."""

from datetime import timedelta
from importlib import import_module
from io import StringIO

from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import TestCase, override_settings
from django.utils import timezone

from django_session_store import SessionStore, revoke_all

from .support import COOKIE, about

OLD_ENGINE = "django.contrib.sessions.backends.db"


class ImportTests(TestCase):
    def old(self, **values):
        session = import_module(OLD_ENGINE).SessionStore()
        session.update(values)
        session.save()
        return session

    def run_command(self, **options):
        out = StringIO()
        call_command("importsessions", stdout=out, **options)
        return out.getvalue()

    def test_nobody_is_logged_out(self):
        user = get_user_model().objects.create_user("ada", password="secret")
        with override_settings(SESSION_ENGINE=OLD_ENGINE):
            before = self.client_class()
            before.get("/write?cart=umbrella")
            before.get("/sign_in?name=ada&password=secret")
        self.assertEqual(self.run_command(), "1 of 1 sessions imported.\n")
        Session.objects.all().delete()
        self.client.cookies = before.cookies
        self.assertEqual(self.client.get("/whoami").json(), {"user": "ada"})
        self.assertEqual(self.client.get("/read").json(), {"cart": "umbrella"})
        self.assertEqual(about(self.client.cookies[COOKIE].value)[0], str(user.pk))
        self.assertEqual(len(revoke_all(user)), 1)

    def test_the_expiry_is_kept_until_the_session_is_saved(self):
        key = self.old(a=1).session_key
        Session.objects.update(expire_date=timezone.now() + timedelta(hours=1))
        self.run_command()
        principal, lifetime, remaining = about(key)
        self.assertEqual((principal, lifetime), (None, 0))
        self.assertAlmostEqual(remaining, 3600, delta=2)
        session = SessionStore(key)
        session["b"] = 2
        session.save()
        self.assertEqual(about(key)[1:], (14 * 86400, None))

    def test_what_is_expired_or_was_tampered_with_is_left_behind(self):
        expired, tampered = self.old(a=1), self.old(a=1)
        Session.objects.filter(pk=expired.session_key).update(expire_date=timezone.now())
        Session.objects.filter(pk=tampered.session_key).update(session_data="tampered")
        with self.assertLogs("django.security.SuspiciousSession"):
            self.assertEqual(self.run_command(), "0 of 1 sessions imported.\n")
        self.assertIs(SessionStore().exists(tampered.session_key), False)

    def test_what_was_imported_before_is_not_overwritten(self):
        key = self.old(a=1).session_key
        self.run_command()
        session = SessionStore(key)
        session["a"] = 2
        session.save()
        self.assertEqual(self.run_command(), "0 of 1 sessions imported.\n")
        self.assertEqual(SessionStore(key).load(), {"a": 2})

    def test_what_cannot_be_imported_keeps_no_other_session_from_it(self):
        for value in (1, float("nan"), "x" * 1_500_000, 2):
            key = self.old(a=value).session_key
        out, errors = StringIO(), StringIO()
        with self.assertRaisesMessage(CommandError, "2 sessions could not be imported."):
            call_command("importsessions", stdout=out, stderr=errors)
        self.assertEqual(out.getvalue(), "2 of 4 sessions imported.\n")
        self.assertIn("session data is too large", errors.getvalue())
        self.assertEqual(SessionStore(key).load(), {"a": 2})

    def test_more_than_one_batch(self):
        data = self.old(a="ü\0").encode({"a": "ü\0"})
        expire_date = timezone.now() + timedelta(hours=1)
        Session.objects.bulk_create(
            Session(session_key=f"{n:032}", session_data=data, expire_date=expire_date) for n in range(1200)
        )
        self.assertEqual(self.run_command(database="default"), "1201 of 1201 sessions imported.\n")
        self.assertEqual(SessionStore(f"{1199:032}").load(), {"a": "ü\0"})

    def test_a_model_of_one_s_own(self):
        from sessions_tests.models import SessionStore as CustomStore

        session = CustomStore()
        session["a"] = 1
        session.save()
        self.run_command(model="sessions_tests.CustomSession")
        self.assertEqual(SessionStore(session.session_key).load(), {"a": 1})
