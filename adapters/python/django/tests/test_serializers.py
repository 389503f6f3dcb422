"""SESSION_SERIALIZER: Django's own, one that writes JSON, too, and one that does not."""

import json
import pickle
from datetime import date
from unittest import mock

from django.contrib.auth import SESSION_KEY
from django.test import TestCase, override_settings

from django_session_store import SessionStore

from .support import about, scalar


class JsonWithDates:
    def dumps(self, obj):
        return json.dumps(obj, default=lambda day: {"date": day.isoformat()}).encode("ascii")

    def loads(self, data):
        return json.loads(data, object_hook=lambda obj: date.fromisoformat(obj["date"]) if "date" in obj else obj)


class Pickle:
    def dumps(self, obj):
        return pickle.dumps(obj, pickle.HIGHEST_PROTOCOL)

    def loads(self, data):
        return pickle.loads(data)


JSON_WITH_DATES = f"{__name__}.JsonWithDates"
PICKLE = f"{__name__}.Pickle"


class SerializerTests(TestCase):
    def saved(self, **values):
        session = SessionStore()
        session.update(values)
        session.save()
        return session

    def test_django_s_own_is_readable_for_every_other_client(self):
        session = self.saved(cart=["ü"])
        self.assertEqual(scalar("SELECT session_get(%s)::text", session.session_key), '{"cart": ["ü"]}')

    @override_settings(SESSION_SERIALIZER=JSON_WITH_DATES)
    def test_one_that_adds_types_to_json_is_readable_too(self):
        session = self.saved(day=date(2026, 1, 1), ü="ß")
        self.assertEqual(SessionStore(session.session_key)["day"], date(2026, 1, 1))
        self.assertEqual(SessionStore(session.session_key)["ü"], "ß")
        self.assertEqual(scalar("SELECT session_get(%s, 'day')::text", session.session_key), '{"date": "2026-01-01"}')

    @override_settings(SESSION_SERIALIZER=PICKLE)
    def test_with_any_other_requests_at_the_same_time_keep_their_keys_too(self):
        key = self.saved(day=date(2026, 1, 1), gone={1}).session_key
        one, two = SessionStore(key), SessionStore(key)
        one["one"] = {1, 2}
        two["two"] = b"\0"
        del two["gone"]
        one.save()
        two.save()
        expected = {"day": date(2026, 1, 1), "one": {1, 2}, "two": b"\0"}
        self.assertEqual(SessionStore(key).load(), expected)
        self.assertEqual(one.take("day"), date(2026, 1, 1))
        self.assertNotIn("day", SessionStore(key))

    @override_settings(SESSION_SERIALIZER=PICKLE)
    def test_with_any_other_the_user_and_the_expiry_are_known_too(self):
        session = self.saved(**{SESSION_KEY: "7", "_session_expiry": 60})
        self.assertEqual(about(session.session_key), ("7", 60, None))

    def test_another_serializer_finds_an_empty_session_and_replaces_nothing_of_the_first(self):
        session = self.saved(a=1)
        with override_settings(SESSION_SERIALIZER=PICKLE):
            other = SessionStore(session.session_key)
            self.assertEqual(dict(other.items()), {})
            other["b"] = {2}
            other.save()
            self.assertEqual(SessionStore(session.session_key).load(), {"b": {2}})
        self.assertEqual(SessionStore(session.session_key)["a"], 1)

    def test_what_cannot_be_decoded_is_an_empty_session(self):
        with override_settings(SESSION_SERIALIZER=PICKLE):
            session = self.saved(**{"a": {1}, SESSION_KEY: "7"})
            with mock.patch.object(Pickle, "loads", side_effect=AttributeError("a class that is gone")):
                found = SessionStore(session.session_key)
                self.assertEqual(dict(found.items()), {})
                found["b"] = 1
                found.save()
            self.assertEqual(SessionStore(session.session_key).load(), {"b": 1})
            self.assertIsNone(about(session.session_key)[0])
