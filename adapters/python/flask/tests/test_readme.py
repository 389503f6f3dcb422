"""The code of the README runs."""

import re
from importlib.metadata import metadata
from pathlib import Path

from flask import request, session

import flask_session_store

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parent.parent / "README.md").read_text(), re.S)


def test_the_application_has_its_sessions_here():
    names = {"__name__": __name__}
    exec(BLOCKS[0], names)
    assert isinstance(names["app"].session_interface, flask_session_store.SessionStoreInterface)


def test_views_call_what_it_says(bare_app, table):
    class User:
        id = 7

    @bare_app.post("/")
    def view():
        names = {"user": User, "request": request, "session": session, "handle": "some device's"}
        exec(BLOCKS[1], names)
        return {}

    assert bare_app.test_client().post("/").status_code == 200
    assert len(BLOCKS) == 2
    assert table.rows() == 0


def test_the_license_comes_with_the_package():
    assert metadata("flask-session-store").get_all("License-File") == ["LICENSE"]
