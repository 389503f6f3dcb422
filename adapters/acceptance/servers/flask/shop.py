"""A small application with sessions in the database."""

import os
import time
from datetime import timedelta

from flask import Flask, flash, get_flashed_messages, request, session
from flask_session_store import SessionStore, SessionStoreInterface, devices, login, revoke, revoke_others

OURS = ("user", "remember")


class Remembering(SessionStoreInterface):
    """All sessions are permanent, and those of users who are to be remembered last longer."""

    def get_lifetime(self, app, session):
        return timedelta(days=30) if session.get("remember") else super().get_lifetime(app, session)


class Store(SessionStore):
    interface_class = Remembering


app = Flask(__name__)
app.config["SESSION_PERMANENT"] = True
app.config["PERMANENT_SESSION_LIFETIME"] = int(os.environ.get("COOKIE_SECONDS", "3600"))
app.config["SESSION_REFRESH_EACH_REQUEST"] = os.environ.get("ROLLING") == "yes"
app.config["SESSION_STORE_CONNINFO"] = os.environ["DATABASE_URL"]
Store(app)


def wait():
    """Between loading the session and changing it, as long as the request says."""
    session.get("user")
    time.sleep(int(request.args.get("wait", "0")) / 1000)


@app.get("/untouched")
def untouched():
    return {}


@app.get("/session")
def look():
    return {"data": {key: session[key] for key in session if key not in OURS and not key.startswith("_")}}


@app.post("/set")
def set_key():
    wait()
    session[request.args["key"]] = request.args["value"]
    return {}


@app.post("/unset")
def unset_key():
    wait()
    session.pop(request.args["key"], None)
    return {}


@app.post("/login")
def log_in():
    wait()
    login(request.args["user"], {"browser": request.headers.get("User-Agent")})
    session["user"] = request.args["user"]
    session["remember"] = request.args.get("remember") == "yes"
    return {}


@app.get("/whoami")
def who_am_i():
    return {"user": session.get("user")}


@app.post("/logout")
def log_out():
    session.clear()
    return {}


@app.post("/flash")
def flash_message():
    flash(request.args["message"])
    return {}


@app.get("/flash")
def flashed():
    messages = get_flashed_messages()
    return {"message": messages[0] if messages else None}


@app.get("/devices")
def list_devices():
    listed = [
        {"handle": of.handle, "is_this": of.is_this, "attributes": of.attributes, "last_seen": of.last_seen}
        for of in devices()
    ]
    return {"devices": listed}


@app.post("/revoke")
def revoke_device():
    return {"revoked": revoke(request.args["handle"])}


@app.post("/revoke_others")
def revoke_other_devices():
    return {"revoked": revoke_others()}
