"""The requests of bench/adapters/load. Each answers with what the session holds then, so that the caller sees that the
store has done its work."""

from django.contrib.auth import login, logout, user_logged_in
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path

BACKEND = "django.contrib.auth.backends.ModelBackend"

# Neither is a user looked up, nor the date of the login noted in its row: that is not the store's work.
user_logged_in.disconnect(dispatch_uid="update_last_login")


def answer(request):
    return HttpResponse(str(request.session.get("seen", "none")), content_type="text/plain")


def untouched(request):
    return HttpResponse("none", content_type="text/plain")


def write(request):
    request.session["seen"] = request.GET["seen"]
    return answer(request)


def first(request):
    seen = request.GET["seen"]
    for number in range(10):
        request.session[f"key{number}"] = f"value {number} of {seen} " * 3
    request.session["seen"] = seen
    return answer(request)


def log_in(request):
    login(request, User(pk=int(request.GET["user"]), username=request.GET["user"]), backend=BACKEND)
    return answer(request)


def log_out(request):
    logout(request)
    return answer(request)


urlpatterns = [
    path("untouched", untouched),
    path("read", answer),
    path("write", write),
    path("first", first),
    path("login", log_in),
    path("logout", log_out),
]
