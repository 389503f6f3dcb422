"""A browser: keeps the cookie, and sends the one that it has when a request begins, from however many tabs."""

import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from http.cookies import SimpleCookie

import httpx

TABS = ThreadPoolExecutor(64)
# Milliseconds that a request is to wait between loading the session and changing it. On a slow machine, too, another
# request has to come and be answered meanwhile.
WAIT = 900


def let_it_load():
    """Until a request that began just now has loaded its session, and waits."""
    time.sleep(WAIT / 1000 / 2)


class Browser:
    def __init__(self, url, name="Firefox", presents=None):
        """With presents it begins with this header of cookies, whatever is in it, until an answer sets another."""
        # Each request by a connection of its own: a server may close one that idles just when it is used again.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(
            base_url=url, headers={"User-Agent": name}, limits=limits, timeout=30, trust_env=False, verify=False
        )
        self.name = name
        self._presents = presents

    @property
    def cookie(self):
        """As it would be sent: name=value; None without. A server has one, the session's."""
        kept = list(self._client.cookies.jar)
        assert len(kept) <= 1, f"more than the session's cookie: {kept}"
        return f"{kept[0].name}={kept[0].value}" if kept else self._presents

    def ask(self, method, path, **parameters):
        """The answer, whatever its status."""
        headers = {}
        if self._presents is not None and not self._client.cookies.jar:
            presented = self._presents
            headers["Cookie"] = presented if isinstance(presented, bytes) else presented.encode("latin-1")
        answer = self._client.request(method, path, params=parameters, headers=headers)
        if "set-cookie" in answer.headers:
            self._presents = None
        return answer

    def get(self, path, **parameters):
        """What a page says that has to work."""
        return self._good(self.ask("GET", path, **parameters))

    def post(self, path, **parameters):
        return self._good(self.ask("POST", path, **parameters))

    @staticmethod
    def _good(answer):
        assert answer.status_code == 200, f"{answer.request.url}: {answer.status_code}\n{answer.text[:2000]}"
        return answer.json()

    def later(self, method, path, **parameters):
        """A request that is under way: a future of its answer."""
        return TABS.submit(self.ask, method, path, **parameters)

    def everywhere(self, method, requests):
        """Requests from many tabs at the same time, (path, parameters) each: what they all say."""
        under_way = [self.later(method, path, **parameters) for path, parameters in requests]
        return [self._good(request.result()) for request in under_way]

    def data(self):
        """What was set, without what a server may keep beside it."""
        return {key: value for key, value in self.get("/session")["data"].items() if key not in ("user", "flash")}

    def user(self):
        return self.get("/whoami")["user"]

    def close(self):
        self._client.close()


def life_of_cookie(answer):
    """For how many seconds the browser is to keep the cookie that an answer sets; None until it is closed."""
    # The last counts: some take the old one away first.
    (morsel,) = SimpleCookie(answer.headers.get_list("set-cookie")[-1]).values()
    if morsel["max-age"]:
        return int(morsel["max-age"])
    if morsel["expires"]:
        now = parsedate_to_datetime(answer.headers["date"])
        return (parsedate_to_datetime(morsel["expires"]) - now).total_seconds()
    return None
