"""Whose a session is: login, devices, log out everywhere."""

from asgiref.sync import sync_to_async
from django.contrib.auth import SESSION_KEY, get_user_model, update_session_auth_hash
from django.contrib.auth.signals import user_logged_in
from django.db import models, transaction
from django.test import TestCase, override_settings

from django_session_store import (
    SessionStore,
    adevices,
    arevoke,
    arevoke_all,
    arevoke_others,
    devices,
    revoke,
    revoke_all,
    revoke_others,
)

from .support import COOKIE, about, needs_async, scalar

PASSWORD = "secret"


def path_of_login(request):
    return {"path": request.path}


class HexField(models.IntegerField):
    """A key whose text is not str() of it."""

    def value_to_string(self, obj):
        return f"{self.value_from_object(obj):x}"


class Member(models.Model):
    id = HexField(primary_key=True)

    class Meta:
        app_label = "auth"
        managed = False

    def __str__(self):
        return str(self.pk)


class Request:
    """As much of a request as the functions for devices look at."""

    def __init__(self, session_key):
        self.session = SessionStore(session_key)


class UserTests(TestCase):
    def setUp(self):
        self.user = get_user_model().objects.create_user("ada", password=PASSWORD)
        self.other_user = get_user_model().objects.create_user("eve", password=PASSWORD)
        self.principal = str(self.user.pk)

    def sign_in(self, name="ada", browser="Firefox"):
        """A request with the new session."""
        client = self.client_class(HTTP_USER_AGENT=browser)
        client.get("/write?cart=umbrella")
        client.before = client.cookies[COOKIE].value
        client.get(f"/sign_in?name={name}&password={PASSWORD}")
        request = Request(client.cookies[COOKIE].value)
        request.client = client
        return request

    def whoami(self, request):
        return request.client.get("/whoami").json()["user"]


class LoginTests(UserTests):
    def test_a_login_renews_the_id_binds_the_user_and_keeps_the_cart(self):
        request = self.sign_in()
        key = request.session.session_key
        self.assertNotEqual(key, request.client.before)
        self.assertIs(SessionStore().exists(request.client.before), False)
        self.assertEqual(about(key)[0], self.principal)
        self.assertEqual(SessionStore(key)["cart"], "umbrella")
        self.assertEqual(self.whoami(request), "ada")

    def test_what_the_framework_renewed_ends_with_all_others_of_the_user(self):
        request = self.sign_in()
        self.assertEqual(len(revoke_all(self.user)), 1)
        self.assertIsNone(self.whoami(request))

    def test_the_test_client_s_own_login_binds_too(self):
        self.client.force_login(self.user)
        self.assertEqual(about(self.client.cookies[COOKIE].value)[0], self.principal)

    def test_a_login_as_somebody_else_takes_nothing_along(self):
        request = self.sign_in()
        request.client.get(f"/sign_in?name=eve&password={PASSWORD}")
        key = request.client.cookies[COOKIE].value
        self.assertIs(SessionStore().exists(request.session.session_key), False)
        self.assertEqual(about(key)[0], str(self.other_user.pk))
        self.assertNotIn("cart", SessionStore(key))

    def test_a_session_that_changes_hands_in_place_is_whose_its_content_says(self):
        session = self.sign_in().session
        session["kept"] = 1
        session[SESSION_KEY] = str(self.other_user.pk)
        session.save()
        self.assertEqual(about(session.session_key)[0], str(self.other_user.pk))
        self.assertEqual(SessionStore(session.session_key)["cart"], "umbrella")
        self.assertEqual(SessionStore(session.session_key)["kept"], 1)
        del session[SESSION_KEY]
        session.save()
        self.assertIsNone(about(session.session_key)[0])
        self.assertEqual(SessionStore(session.session_key)["kept"], 1)

    def test_a_session_that_is_emptied_unseen_is_nobody_s(self):
        session = SessionStore(self.sign_in().session.session_key)
        session.clear()
        session.save()
        self.assertIsNone(about(session.session_key)[0])

    def test_a_login_that_fails_afterwards_leaves_nothing(self):
        client = self.client_class(raise_request_exception=False)
        response = client.get(f"/sign_in?name=ada&password={PASSWORD}&fail")
        self.assertEqual(response.status_code, 500)
        self.assertNotIn(COOKIE, response.cookies)
        self.assertEqual(revoke_all(self.user), [])

    def test_a_logout_ends_the_session(self):
        request = self.sign_in()
        response = request.client.get("/sign_out")
        self.assertEqual(response.cookies[COOKIE].value, "")
        self.assertIs(SessionStore().exists(request.session.session_key), False)

    def test_a_change_of_the_password_keeps_the_session_that_made_it(self):
        request = self.sign_in()
        request.user = self.user
        self.user.set_password("another")
        self.user.save()
        update_session_auth_hash(request, self.user)
        request.session.save()
        self.assertEqual(about(request.session.session_key)[0], self.principal)
        request.client.cookies[COOKIE] = request.session.session_key
        self.assertEqual(self.whoami(request), "ada")

    def test_a_change_of_the_password_ends_the_other_sessions_at_once(self):
        phone, request = self.sign_in(), self.sign_in()
        request.user = self.user
        with transaction.atomic():
            self.user.set_password("another")
            self.user.save()
            self.assertEqual(len(revoke_all(self.user, keep=request)), 1)
            update_session_auth_hash(request, self.user)
        request.session.save()
        self.assertIs(SessionStore().exists(phone.session.session_key), False)
        self.assertEqual([device.is_this for device in devices(request)], [True])

    def test_a_login_signal_without_a_session_of_ours_is_none_of_our_business(self):
        user_logged_in.send(sender=None, request=None, user=self.user)


class DeviceTests(UserTests):
    def test_a_user_s_devices_are_listed_this_one_first(self):
        self.sign_in("eve")
        phone = self.sign_in(browser="Phone")
        laptop = self.sign_in(browser="Laptop")
        found = devices(laptop)
        self.assertEqual([device.is_this for device in found], [True, False])
        self.assertEqual([device.attributes for device in found], [{"browser": "Laptop"}, {"browser": "Phone"}])
        self.assertIsNotNone(found[0].last_seen)
        self.assertIsNotNone(found[0].expires_at.tzinfo)
        self.assertEqual(devices(phone)[0].attributes, {"browser": "Phone"})

    def test_nobody_has_no_devices(self):
        self.assertEqual(devices(Request(None)), [])
        self.assertEqual(devices(Request("unknown-id")), [])

    def test_one_of_them_is_ended_by_its_handle_and_nobody_else_s(self):
        phone, laptop, eve = self.sign_in(), self.sign_in(), self.sign_in("eve")
        handle = next(device.handle for device in devices(laptop) if not device.is_this)
        self.assertIs(revoke(eve, handle), False)
        for nonsense in ("", "nonsense", "nul\0", "\ud800"):
            self.assertIs(revoke(laptop, nonsense), False)
        self.assertIs(revoke(laptop, handle), True)
        self.assertIsNone(self.whoami(phone))
        self.assertEqual(self.whoami(laptop), "ada")

    def test_all_others_are_ended(self):
        phone, laptop, eve = self.sign_in(), self.sign_in(), self.sign_in("eve")
        self.assertEqual(len(revoke_others(laptop)), 1)
        self.assertIsNone(self.whoami(phone))
        self.assertEqual(self.whoami(laptop), "ada")
        self.assertEqual(self.whoami(eve), "eve")

    def test_all_are_ended_but_one_to_keep(self):
        phone, laptop = self.sign_in(), self.sign_in()
        self.assertEqual(len(revoke_all(self.user, keep=laptop)), 1)
        self.assertIsNone(self.whoami(phone))
        self.assertEqual(self.whoami(laptop), "ada")

    def test_a_user_is_found_by_the_text_of_the_key_that_a_login_stores(self):
        member = Member(pk=255)
        session = SessionStore()
        session[SESSION_KEY] = member._meta.pk.value_to_string(member)  # contrib/auth/__init__.py, login
        session.save()
        self.assertEqual(len(revoke_all(member)), 1)

    def test_a_session_of_another_program_that_never_ends_is_listed_too(self):
        laptop = self.sign_in()
        scalar("SELECT session_login(NULL, %s, lifetime => '0')", self.principal)
        self.assertEqual([device.expires_at is None for device in devices(laptop)], [False, True])

    @override_settings(SESSION_STORE_ATTRIBUTES=f"{__name__}.path_of_login")
    def test_a_site_says_itself_what_its_list_shows(self):
        self.assertEqual(devices(self.sign_in())[0].attributes, {"path": "/sign_in"})

    @override_settings(SESSION_STORE_ATTRIBUTES=None)
    def test_a_site_that_wants_nothing_kept(self):
        self.assertEqual(devices(self.sign_in())[0].attributes, {})


class AsyncTests(TestCase):
    @needs_async
    async def test_login_devices_and_log_out_everywhere(self):
        from django.contrib.auth import aget_user

        user = await sync_to_async(get_user_model().objects.create_user)("ada", password=PASSWORD)
        await self.async_client.aforce_login(user)
        other = self.async_client_class()
        await other.aforce_login(user)
        request = Request(self.async_client.cookies[COOKIE].value)
        self.assertEqual((await aget_user(request)).pk, user.pk)
        found = await adevices(request)
        self.assertEqual(len(found), 2)
        self.assertIs(await arevoke(request, found[1].handle), True)
        self.assertEqual(await arevoke_others(request), [])
        self.assertEqual(await arevoke_all(user), [found[0].handle])
        self.assertEqual((await aget_user(Request(request.session.session_key))).pk, None)
