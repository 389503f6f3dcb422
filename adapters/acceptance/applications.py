"""Servers of the frameworks, each with a database of its own, maybe through PgBouncer."""

import functools
import os
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from browsers import Browser
from expectations import reason
from tests.conftest import APP, clean_environment, free_port, one, wait_until

SERVERS = Path(__file__).parent / "servers"
HOUR = 3600
# A server has a process group of its own, which is how it is stopped with whatever it has started. So it would go on
# when the tests are ended by a signal; this tells it when they are gone.
WITH_US = ("setpriv", "--pdeathsig", "TERM")
# For tests of what is the same whether cookies roll, and of what one way shows as well as three.
not_rolling = pytest.mark.parametrize("way", ["plain", "pooled"], indirect=True)
plain = pytest.mark.parametrize("way", ["plain"], indirect=True)


class Application:
    """servers/NAME, running. Its ways: "plain", "rolling" (the framework's option for it), "pooled" (PgBouncer)."""

    def __init__(self, framework, way, postgres, database, address):
        """It has its database at an address that may be PgBouncer's; ours is always direct."""
        self.framework = framework
        self.way = way
        self.postgres = postgres
        self._database = database
        self._address = address
        self._port = free_port()
        self._log = postgres.directory / f"{framework}.{way}.log"
        self._browsers = []
        self.reconnect()

    def start(self):
        environment = self._address | {"PORT": str(self._port), "COOKIE_SECONDS": str(HOUR)}
        if self.way == "rolling":
            environment["ROLLING"] = "yes"
        directory = SERVERS / self.framework
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*WITH_US, directory / "run"], cwd=directory, env=clean_environment(**environment),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self._answers, seconds=60, pause=0.05)

    def _answers(self):
        assert self._process.poll() is None, f"servers/{self.framework} has ended:\n{self.log_text()}"
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/untouched", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self):
        """Ends it with whatever it has started."""
        for sign, seconds in (signal.SIGTERM, 3), (signal.SIGKILL, 10):
            try:
                os.killpg(self._process.pid, sign)
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline:
                    self._process.poll()
                    os.killpg(self._process.pid, 0)
                    time.sleep(0.02)
            except ProcessLookupError:
                return

    def browser(self, name="Firefox", presents=None):
        self._browsers.append(Browser(f"http://127.0.0.1:{self._port}", name, presents))
        return self._browsers[-1]

    @functools.cached_property
    def cookie_name(self):
        visitor = self.browser()
        visitor.post("/set", key="a", value="b")
        return visitor.cookie.partition("=")[0]

    def differs(self, what):
        """The reason, if the framework does it otherwise than others."""
        return reason(self.framework, self.way, what)

    def log_text(self, since=0):
        return self._log.read_text(errors="replace")[since:] if self._log.exists() else ""

    # The database

    def reconnect(self):
        """Our own connection, at the beginning and when the database server has been away."""
        self.owner = self._database.connect()

    def reaches_its_database(self):
        """Whether somebody who goes the way that it goes gets there: PgBouncer lets in also without a server behind it."""
        try:
            with psycopg.connect(self._address["DATABASE_URL"]) as connection:
                connection.execute("SELECT")
            return True
        except psycopg.OperationalError:
            return False

    def clear(self):
        """Forgets all sessions and browsers."""
        self.owner.execute("DELETE FROM session; DELETE FROM session_moved")
        while self._browsers:
            self._browsers.pop().close()

    def rows(self, of="TRUE"):
        """How many sessions there are, the expired ones too."""
        return one(self.owner, f"SELECT count(*) FROM session WHERE {of}")

    def alone(self, column):
        """A column of the only session."""
        (row,) = self.owner.execute(f"SELECT {column} FROM session").fetchall()
        return row[0]

    def seconds_left(self):
        """Of the only session."""
        return float(self.alone("extract(epoch FROM session_expiry - clock_timestamp())"))

    def expires_in(self, interval):
        """Time passes without anybody sleeping, until the only session has so much left."""
        passed = self.alone("session_expiry - clock_timestamp()") - interval
        moved = self.owner.execute(
            """UPDATE session SET session_expiry = session_expiry - %(passed)s, deadline = deadline - %(passed)s,
                   created_at = created_at - %(passed)s, authenticated_at = authenticated_at - %(passed)s""",
            {"passed": passed},
        )
        assert moved.rowcount == 1
        self._age_cookie_in_content(passed)

    def _age_cookie_in_content(self, passed):
        """@fastify/session keeps there when the cookie ends, as JavaScript prints it."""
        content = self.alone("session_decode(session_data)") or {}
        if content.get("cookie", {}).get("expires"):
            expires = datetime.fromisoformat(content["cookie"]["expires"]) - passed
            content["cookie"]["expires"] = expires.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self.owner.execute("SELECT session_put('aged', %s)", [Jsonb(content)])
            self.owner.execute(
                """UPDATE session SET session_data = aged.session_data FROM session AS aged
                   WHERE aged.session_key = sha256('aged') AND session.session_key <> aged.session_key"""
            )
            self.owner.execute("SELECT session_destroy('aged')")


def address(port, password, dbname):
    """How a server is told where its database is."""
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": APP, "PGPASSWORD": password, "PGDATABASE": dbname}
    return where | {"DATABASE_URL": f"postgresql://{APP}:{password}@127.0.0.1:{port}/{dbname}"}
