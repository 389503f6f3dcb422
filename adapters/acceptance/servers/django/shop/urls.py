import time

from django.contrib.auth import login, logout
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST
from django_session_store import devices, revoke, revoke_others

from .models import User

FLASH = "_flash"
REMEMBERED = 30 * 24 * 3600


def load_and_wait(request):
    request.session.get("anything")
    time.sleep(int(request.GET.get("wait", "0")) / 1000)


def untouched(request):
    return JsonResponse({})


def session(request):
    return JsonResponse({"data": {key: value for key, value in request.session.items() if not key.startswith("_")}})


@require_POST
def set_key(request):
    load_and_wait(request)
    request.session[request.GET["key"]] = request.GET["value"]
    return JsonResponse({})


@require_POST
def unset_key(request):
    load_and_wait(request)
    request.session.pop(request.GET["key"], None)
    return JsonResponse({})


@require_POST
def log_in(request):
    load_and_wait(request)
    name = request.GET["user"]
    User.objects.bulk_create([User(name=name)], ignore_conflicts=True)
    if request.user.get_username() == name:
        request.session.cycle_key()  # login() keeps the id of a user who is logged in already
    login(request, User.objects.get(name=name))
    if request.GET.get("remember") == "yes":
        request.session.set_expiry(REMEMBERED)
    return JsonResponse({})


def whoami(request):
    return JsonResponse({"user": request.user.get_username() or None})


@require_POST
def log_out(request):
    logout(request)
    return JsonResponse({})


def flash(request):
    if request.method == "GET":
        return JsonResponse({"message": request.session.take(FLASH)})
    request.session[FLASH] = request.GET["message"]
    return JsonResponse({})


def list_devices(request):
    shown = ("handle", "is_this", "attributes", "last_seen")
    return JsonResponse({"devices": [{name: getattr(device, name) for name in shown} for device in devices(request)]})


@require_POST
def revoke_device(request):
    return JsonResponse({"revoked": revoke(request, request.GET["handle"])})


@require_POST
def revoke_other_devices(request):
    return JsonResponse({"revoked": len(revoke_others(request))})


urlpatterns = [
    path("untouched", untouched),
    path("session", session),
    path("set", set_key),
    path("unset", unset_key),
    path("login", log_in),
    path("whoami", whoami),
    path("logout", log_out),
    path("flash", flash),
    path("devices", list_devices),
    path("revoke", revoke_device),
    path("revoke_others", revoke_other_devices),
]
