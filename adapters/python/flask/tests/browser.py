"""A browser: sends the cookie that it has when a request begins, from however many tabs."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from urllib.parse import urlencode

TABS = ThreadPoolExecutor(32)


class Browser:
    def __init__(self, port):
        self._port = port
        self.cookie = None

    def ask(self, method, path, **parameters):
        """What the server answers, as JSON; None for an error."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        headers = {"Cookie": f"session={self.cookie}"} if self.cookie else {}
        connection.request(method, f"{path}?{urlencode(parameters)}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        for header in answer.headers.get_all("Set-Cookie", []):
            self.cookie = SimpleCookie(header)["session"].value or None
        connection.close()
        return json.loads(body) if answer.status == 200 else None

    def get(self, path, **parameters):
        return self.ask("GET", path, **parameters)

    def post(self, path, **parameters):
        return self.ask("POST", path, **parameters)

    def later(self, method, path, **parameters):
        """A request that is under way."""
        return TABS.submit(self.ask, method, path, **parameters)

    def everywhere(self, method, requests):
        """Requests from many tabs at once: (path, parameters) each."""
        under_way = [self.later(method, path, **parameters) for path, parameters in requests]
        return [request.result() for request in under_way]
