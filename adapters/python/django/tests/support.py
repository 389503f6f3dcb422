"""What the tests share."""

import http.client
import json
from contextlib import contextmanager
from http.cookies import SimpleCookie
from unittest import skipIf

import django
from django.db import connection
from django.test.utils import CaptureQueriesContext

COOKIE = "sessionid"
needs_async = skipIf(django.VERSION < (5, 1), "sessions have async methods since Django 5.1")


def scalar(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found = cursor.fetchone()
    return found and found[0]


def about(key):
    """What the database says of a session: principal, idle seconds, seconds until the deadline (None: no such end)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT principal, extract(epoch FROM lifetime)::int, CASE WHEN isfinite(deadline)"
            " THEN extract(epoch FROM deadline - clock_timestamp())::float END FROM session_load(%s, false)",
            [key],
        )
        return cursor.fetchone()


def live_sessions():
    return scalar("SELECT session_all()")


@contextmanager
def statements(test, expected):
    """The session calls within, by their names."""
    with CaptureQueriesContext(connection) as captured:
        yield
    calls = [query["sql"] for query in captured if "session_" in query["sql"]]
    found = [
        next(
            name
            for name in ("bind", "save", "patch", "touch", "fetch", "exist", "regenerate", "destroy")
            if f"session_{name}(" in sql
        )
        for sql in calls
    ]
    test.assertEqual(found, expected, calls)


class Browser:
    """A browser's cookie beside a real server; each request has a connection of its own."""

    def __init__(self, test, cookie=None):
        self.host = test.live_server_url.removeprefix("http://")
        self.cookie = cookie
        self.set_cookie = None

    def get(self, path):
        """Status and answer."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.request("GET", path, headers={"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {})
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        self.set_cookie = response.getheader("Set-Cookie")
        if self.set_cookie:
            self.cookie = SimpleCookie(self.set_cookie)[COOKIE].value or None
        return response.status, json.loads(body) if response.status == 200 else None

    def twin(self):
        """Another tab that has the same cookie now."""
        twin = Browser.__new__(Browser)
        twin.__dict__ = dict(self.__dict__)
        return twin
