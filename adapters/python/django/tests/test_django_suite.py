"""Django's own tests of session engines and of its middleware, unmodified, over this one."""

from types import SimpleNamespace
from unittest import mock

from django.test import TestCase, override_settings
from sessions_tests import tests as django_tests

from django_session_store import SessionStore


class EngineTests(django_tests.SessionTestsMixin, TestCase):
    backend = SessionStore


@override_settings(USE_TZ=False)
class EngineWithoutTimeZonesTests(EngineTests):
    pass


@override_settings(SESSION_SERIALIZER="tests.test_serializers.Pickle")
class EngineWithPickleTests(EngineTests):
    pass


class MiddlewareTests(django_tests.SessionMiddlewareTests):
    """These take the engine of the settings."""

    def test_empty_session_saved(self):
        """This one looks into the table of Django's engine."""

        def get(session_key):
            return SimpleNamespace(get_decoded=SessionStore(session_key).load)

        with mock.patch.object(django_tests, "Session", SimpleNamespace(objects=SimpleNamespace(get=get))):
            super().test_empty_session_saved()
