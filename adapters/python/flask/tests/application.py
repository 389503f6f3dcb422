"""The application of the tests."""

import threading

from flask import Flask, flash, get_flashed_messages, request, session

import flask_session_store
from flask_session_store import SessionStore


class Gate:
    """Where a request waits between loading its session and changing it."""

    def __init__(self):
        self.reached = threading.Semaphore(0)
        self.open = threading.Event()

    def pass_through(self):
        self.reached.release()
        assert self.open.wait(10)


def make_application(**config):
    app = Flask(__name__)
    app.config.update(config)
    app.testing = True
    SessionStore(app)
    app.gate = Gate()

    def loaded():
        """The session is loaded, and with ?hold the request waits."""
        session.get("")
        if "hold" in request.args:
            app.gate.pass_through()

    @app.get("/nothing")
    def nothing():
        return {}

    @app.get("/session")
    def look():
        loaded()
        return {key: value for key, value in session.items() if not key.startswith("_")}

    @app.post("/set")
    def set_key():
        loaded()
        session.update(request.args.items())
        session.pop("hold", None)
        return {}

    @app.post("/unset")
    def unset_key():
        loaded()
        session.pop(request.args["key"], None)
        return {}

    @app.post("/append")
    def append():
        session.setdefault("list", []).append({"nested": [request.args["value"]]})
        return {}

    @app.post("/login")
    def login():
        loaded()
        done = flask_session_store.login(request.args["user"], {"browser": request.headers.get("User-Agent")})
        session["user"] = request.args["user"]
        if "remember" in request.args:
            session.permanent = True
        return {"done": done}

    @app.post("/regenerate")
    def regenerate():
        loaded()
        return {"done": app.session_interface.regenerate(session)}

    @app.post("/logout")
    def logout():
        session.clear()
        return {}

    @app.post("/flash")
    def flash_message():
        flash(request.args["message"], "note")
        return {}

    @app.get("/flash")
    def flashed():
        loaded()
        return {"messages": get_flashed_messages(with_categories=True)}

    @app.get("/devices")
    def devices():
        return [
            [device.is_this, device.attributes["browser"], device.handle] for device in flask_session_store.devices()
        ]

    @app.post("/revoke")
    def revoke():
        return {"revoked": flask_session_store.revoke(request.args["handle"])}

    @app.post("/revoke_others")
    def revoke_others():
        return {"revoked": flask_session_store.revoke_others()}

    @app.post("/permanent/<yes>")
    def permanent(yes):
        session.permanent = yes == "yes"
        return {}

    return app
