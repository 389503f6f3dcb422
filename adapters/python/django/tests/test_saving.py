"""What a save does to the stored session, and what it leaves alone."""

import json
from datetime import timedelta

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.management import call_command
from django.db import transaction
from django.test import TestCase, override_settings
from django.utils import timezone

from django_session_store import SessionStore

from .support import about, needs_async, scalar


def stored(session):
    return SessionStore(session.session_key).load()


def saved(**values):
    session = SessionStore()
    session.update(values)
    session.save()
    return session


class SavingTests(TestCase):
    def test_two_requests_that_write_different_keys_both_keep_theirs(self):
        key = saved(a=1, gone=1).session_key
        one, two = SessionStore(key), SessionStore(key)
        one["b"] = 2
        two["c"] = 3
        del two["gone"]
        one.save()
        two.save()
        self.assertEqual(stored(one), {"a": 1, "b": 2, "c": 3})
        one["d"] = 4  # a second save by the same request does not know c, and does not remove it
        one.save()
        self.assertEqual(stored(one), {"a": 1, "b": 2, "c": 3, "d": 4})

    def test_a_value_changed_in_place_is_saved(self):
        session = SessionStore(saved(cart=["umbrella"]).session_key)
        session["cart"].append("boots")
        session.save()
        self.assertEqual(stored(session), {"cart": ["umbrella", "boots"]})

    def test_numbers_and_booleans_that_python_takes_for_equal_are_different_values(self):
        session = saved(a=1, b=1.0)
        session.update({"a": True, "b": 1})
        session.save()
        self.assertEqual(json.dumps(stored(session)), '{"a": true, "b": 1}')

    def test_clearing_also_removes_what_was_never_loaded(self):
        key = saved(a=1).session_key
        for is_loaded in False, True:
            session, other = SessionStore(key), SessionStore(key)
            if is_loaded:
                session.load()
                session.get("a")
            other["other"] = 1
            other.save()
            session.clear()
            session["b"] = 2
            session.save()
            self.assertEqual(stored(session), {"b": 2})

    def test_loading_once_more_forgets_nothing_of_what_is_to_be_saved(self):
        session = saved(a=1)
        session["b"] = 2
        other = SessionStore(session.session_key)
        other["c"] = 3
        other.save()
        self.assertEqual(session.load(), {"a": 1, "c": 3})
        session.save()
        self.assertEqual(stored(session), {"a": 1, "b": 2, "c": 3})

    def test_an_unknown_id_is_not_saved_under(self):
        session = SessionStore("an-unknown-id")
        with self.assertRaises(UpdateError):
            session.save()
        self.assertIsNone(session.session_key)

    def test_text_that_json_or_postgresql_has_trouble_with(self):
        values = {"nul": "a\0b", "emoji": "\U0001f600", "ü": "ß", 'quo"te': "\\ '", "%s": "%(x)s"}
        session = saved(**values)
        self.assertEqual(stored(session), values)
        session["half a pair"] = "\ud83d"
        session.save()
        self.assertEqual(stored(session), {**values, "half a pair": "\ufffd"})

    def test_a_key_with_a_zero_byte_can_be_removed(self):
        session = saved(**{"a\0b": 1, "c": 2})
        del session["a\0b"]
        session.save()
        self.assertEqual(stored(session), {"c": 2})

    def test_keys_that_are_no_text_become_text_as_in_any_json(self):
        session = saved()
        session[1] = "one"
        session.save()
        self.assertEqual(stored(session), {"1": "one"})

    def test_a_number_that_json_does_not_have_is_refused(self):
        session = saved(a=1)
        session["a"] = float("nan")
        with self.assertRaises(ValueError):
            session.save()

    def test_must_create_under_the_id_of_another_session_is_refused(self):
        session = SessionStore(saved(a=1).session_key)
        with self.assertRaises(CreateError):
            session.save(must_create=True)
        self.assertEqual(stored(session), {"a": 1})

    def test_create_stores_a_session_at_once_and_keeps_what_was_put_into_it(self):
        session = SessionStore()
        session["a"] = 1
        session.create()
        self.assertIs(session.exists(session.session_key), True)
        self.assertEqual(stored(session), {"a": 1})

    def test_a_session_that_was_ended_is_not_saved_even_if_nothing_changed(self):
        session = saved(a=1)
        SessionStore(session.session_key).flush()
        with self.assertRaises(UpdateError):
            session.save()
        session["a"] = 2
        with self.assertRaises(UpdateError):
            session.save()
        self.assertIs(session.exists(session.session_key), False)

    def test_what_an_opaque_session_of_another_program_holds_is_not_ours_to_read(self):
        session = saved(a=1)
        scalar("SELECT session_release_raw(%s, 'bytes'::bytea)", session.session_key)
        session = SessionStore(session.session_key)
        self.assertEqual(dict(session.items()), {})
        session["b"] = 2
        session.save()
        self.assertEqual(stored(session), {"b": 2})

    def test_clearsessions_has_nothing_to_do(self):
        session = saved(a=1)
        call_command("clearsessions")
        self.assertEqual(stored(session), {"a": 1})


class RenewalTests(TestCase):
    def test_renewing_keeps_what_is_stored_and_what_is_not_yet(self):
        session = saved(a=1)
        old = session.session_key
        session["b"] = 2
        session.cycle_key()
        self.assertIs(session.exists(old), False)
        self.assertEqual(stored(session), {"a": 1})
        session.save()
        self.assertEqual(stored(session), {"a": 1, "b": 2})

    def test_renewing_keeps_what_another_request_wrote_meanwhile(self):
        session = saved(a=1)
        other = SessionStore(session.session_key)
        other["b"] = 2
        other.save()
        session.cycle_key()
        session.save()
        self.assertEqual(stored(session), {"a": 1, "b": 2})

    def test_renewing_no_session_gives_an_id_under_which_the_first_save_begins_one(self):
        session = SessionStore()
        session["a"] = 1
        session.cycle_key()
        session.cycle_key()
        key = session.session_key
        self.assertIs(session.exists(key), False)
        session.save()
        self.assertEqual(session.session_key, key)
        self.assertEqual(stored(session), {"a": 1})
        session["a"] = 2
        session.save()
        self.assertEqual(stored(session), {"a": 2})

    def test_a_visitor_s_session_that_ended_meanwhile_does_not_come_back_with_the_login(self):
        session = saved(cart=[1])
        SessionStore(session.session_key).flush()
        session.cycle_key()
        session[SESSION_KEY] = "1"
        session.save()
        self.assertEqual(stored(session), {SESSION_KEY: "1"})

    def test_a_user_s_session_that_ended_meanwhile_cannot_be_renewed(self):
        key = saved(**{SESSION_KEY: "1"}).session_key
        session = SessionStore(key)
        session.get(SESSION_KEY)
        SessionStore(key).flush()
        with self.assertRaises(SessionInterrupted):
            session.cycle_key()
        self.assertIs(session.exists(key), False)

    @needs_async
    async def test_async(self):
        session = SessionStore()
        await session.aset("a", 1)
        await session.asave()
        old = session.session_key
        await session.acycle_key()
        await session.aset("b", 2)
        await session.asave()
        self.assertIs(await session.aexists(old), False)
        self.assertEqual(await SessionStore(session.session_key).aload(), {"a": 1, "b": 2})
        await session.aflush()
        self.assertIsNone(session.session_key)


class TakingTests(TestCase):
    def test_a_value_is_taken_once(self):
        session = saved(token={"ü": [1]}, a=1)
        other = SessionStore(session.session_key)
        other.get("token")
        self.assertEqual(session.take("token"), {"ü": [1]})
        self.assertIsNone(other.take("token"))
        self.assertEqual(other.take("token", "gone"), "gone")
        self.assertEqual(dict(session.items()), {"a": 1})

    def test_what_is_set_again_after_it_stays(self):
        session = saved(token=1)
        session.take("token")
        other = SessionStore(session.session_key)
        other["token"] = 2
        other.save()
        session["a"] = 1
        session.save()
        self.assertEqual(stored(session), {"a": 1, "token": 2})

    def test_any_text_can_be_taken(self):
        values = {"a": "nul\0", "\0": 1, "\ud800": 2, "b": None}
        session = saved(**values)
        with transaction.atomic():  # where an error would be the end of all that follows
            self.assertEqual({key: session.take(key, "gone") for key in values}, values)
            session.save()
            self.assertEqual(stored(session), {})
        self.assertEqual(session.take("b", "gone"), "gone")

    def test_nothing_can_be_taken_from_a_session_that_has_ended(self):
        session = saved(token=1)
        SessionStore(session.session_key).flush()
        self.assertIsNone(session.take("token"))
        self.assertIs(session.exists(session.session_key), False)

    def test_a_session_that_is_not_stored_yet(self):
        session = SessionStore()
        session["token"] = 1
        self.assertEqual(session.take("token"), 1)
        self.assertIsNone(session.take("token"))

    @needs_async
    async def test_async(self):
        session = SessionStore()
        await session.aset("token", 1)
        await session.asave()
        self.assertEqual(await session.atake("token"), 1)


class ExpiryTests(TestCase):
    def life(self, session):
        return about(session.session_key)[1:]

    def assert_absolute(self, session, seconds):
        lifetime, remaining = self.life(session)
        self.assertEqual(lifetime, 0)
        self.assertAlmostEqual(remaining, seconds, delta=2)

    @override_settings(SESSION_COOKIE_AGE=1200)
    def test_a_session_lasts_as_long_as_its_cookie_from_its_last_save(self):
        session = saved(a=1)
        self.assertEqual(self.life(session), (1200, None))
        session.set_expiry(0)  # the cookie until the browser closes
        session.save()
        self.assertEqual(self.life(session), (1200, None))

    def test_seconds_are_idle_time(self):
        session = saved(a=1)
        session.set_expiry(600)
        session.save()
        self.assertEqual(self.life(session), (600, None))

    def test_a_time_is_absolute_and_no_save_moves_it(self):
        session = saved(a=1)
        session.set_expiry(timedelta(hours=1))
        session.save()
        self.assert_absolute(session, 3600)
        session.set_expiry(timezone.now() + timedelta(hours=2))
        session.save()
        self.assert_absolute(session, 7200)
        before = scalar("SELECT deadline::text FROM session_load(%s, false)", session.session_key)
        session.modified = True
        session.save()
        self.assertEqual(scalar("SELECT deadline::text FROM session_load(%s, false)", session.session_key), before)
        session.set_expiry(None)
        session.save()
        self.assertEqual(self.life(session), (14 * 86400, None))

    def test_a_time_that_has_come_ends_the_session(self):
        for expiry in (-1, timedelta(seconds=-1), timezone.now()):
            session = saved(a=1)
            session.set_expiry(expiry)
            session.save()
            self.assertIs(session.exists(session.session_key), False)

    def test_a_time_is_reckoned_from_the_save_and_not_from_the_beginning_of_a_transaction(self):
        scalar("SELECT pg_sleep(2.5)")  # this test is in one
        session = saved(a=1)
        session.set_expiry(timedelta(hours=1))
        session.save()
        self.assert_absolute(session, 3600)

    @override_settings(SESSION_COOKIE_AGE=100 * 365 * 86400)
    def test_longer_than_the_extension_can_count_is_as_long_as_it_can(self):
        self.assertEqual(self.life(saved(a=1)), (68 * 365.25 * 86400, None))

    @override_settings(USE_TZ=False, TIME_ZONE="Asia/Tokyo")
    def test_time_zones_do_not_matter(self):
        session = saved(a=1)
        session.set_expiry(timedelta(hours=1))
        session.save()
        self.assert_absolute(session, 3600)
