"""A small site. The tests run in its process, and can hold its requests at a certain point."""

from django.contrib.auth import authenticate, login, logout
from django.http import JsonResponse
from django.urls import path


class Hold:
    """What a request does once it has loaded its session: nothing, unless a test sets it."""

    here = None

    def __call__(self):
        if self.here:
            self.here()


hold = Hold()


def untouched(request):
    return JsonResponse({})


def read(request):
    return JsonResponse({k: v for k, v in request.session.items() if not k.startswith("_")})


def write(request):
    request.session.get("loaded")
    hold()
    request.session.update(request.GET.dict())
    return JsonResponse({})


async def awrite(request):
    await request.session.aupdate(request.GET.dict())
    return JsonResponse({})


def take(request):
    request.session.get("loaded")
    hold()
    return JsonResponse({"taken": request.session.take(request.GET["key"])})


def sign_in(request):
    login(request, authenticate(request, username=request.GET["name"], password=request.GET["password"]))
    if "fail" in request.GET:
        raise RuntimeError("after the login")
    return JsonResponse({})


def sign_out(request):
    logout(request)
    return JsonResponse({})


def whoami(request):
    return JsonResponse({"user": request.user.get_username() or None})


urlpatterns = [
    path("untouched", untouched),
    path("read", read),
    path("write", write),
    path("awrite", awrite),
    path("take", take),
    path("sign_in", sign_in),
    path("sign_out", sign_out),
    path("whoami", whoami),
]
