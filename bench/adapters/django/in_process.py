"""As ../load/main.go, one browser, with the session middleware called in this process: gunicorn and Django's handler
take longer than most stores, and would hide the difference."""

import json
import random
import sys
import time

import django

django.setup()

from django.contrib.sessions.middleware import SessionMiddleware  # noqa: E402
from django.test import RequestFactory  # noqa: E402
from site_urls import urlpatterns  # noqa: E402

VIEWS = {f"/{pattern.pattern}": pattern.callback for pattern in urlpatterns}
COOKIE = "sessionid"
SESSIONS = 100
MIX = (("read", 80), ("write", 15), ("first", 3), ("login", 1), ("logout", 1))

handle = SessionMiddleware(lambda request: VIEWS[request.path](request))
factory = RequestFactory()


class Session:
    key = ""
    seen = "none"


class Browser:
    def __init__(self):
        self.visitors, self.users, self.ended, self.writes, self.times = [], [], [], 0, []

    def untouched(self):
        self.ask("/untouched", Session())

    def first(self):
        session = Session()
        self.write(session, "/first")
        self.visitors.append(session)

    def login(self):
        session = take(self.visitors)
        before = session.key
        self.writes += 1
        self.ask("/login", session, user=self.writes)
        if session.key == before:
            sys.exit("/login: the id is the same")
        self.users.append(session)
        self.ended.append(before)

    def logout(self):
        session = take(self.users)
        self.ended.append(session.key)
        session.seen = "none"
        self.ask("/logout", session)

    def read(self, session=None):
        self.ask("/read", session or self.any())

    def write(self, session=None, path="/write"):
        session = session or self.any()
        self.writes += 1
        session.seen = str(self.writes)
        self.ask(path, session, seen=session.seen)

    def mixed(self):
        (kind,) = random.choices(*zip(*MIX, strict=True))
        getattr(self, kind if self.can(kind) else "read")()

    def any(self):
        return random.choice(random.choice((self.visitors, self.users))[-SESSIONS // 4 :])

    def can(self, kind):
        return len({"login": self.visitors, "logout": self.users}.get(kind, range(SESSIONS))) > SESSIONS / 4

    def ask(self, path, session, **parameters):
        request = factory.get(path, parameters)
        if session.key:
            request.COOKIES[COOKIE] = session.key
        began = time.perf_counter()
        response = handle(request)
        self.times.append(time.perf_counter() - began)
        text = response.content.decode()
        if response.status_code != 200 or text != session.seen:
            sys.exit(f"{path}: {response.status_code}, {text} instead of {session.seen}")
        if COOKIE in response.cookies:
            session.key = response.cookies[COOKIE].value

    def measure(self, kind, seconds):
        self.times = []
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.can(kind):
            getattr(self, kind)()
        return {"rate": len(self.times) / sum(self.times), "requests": len(self.times)}

    def check(self):
        ended = random.sample(self.ended, min(100, len(self.ended)))
        for session in self.visitors + self.users:
            self.read(session)
        for key in ended:
            session = Session()
            session.key = key
            self.ask("/read", session)
        return {"live": len(self.visitors + self.users), "ended": len(ended)}


def take(sessions):
    place = random.randrange(len(sessions))
    sessions[place], sessions[-1] = sessions[-1], sessions[place]
    return sessions.pop()


def main():
    browser = Browser()
    for _ in range(SESSIONS):
        browser.first()
    for _ in range(SESSIONS // 2):
        browser.login()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        kind, seconds = line.split()
        done = browser.check() if kind == "check" else browser.measure(kind, float(seconds))
        print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
