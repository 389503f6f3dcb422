"""The same tests for every framework in servers/, each run three ways.

A worker of pytest-xdist has a PostgreSQL server of its own.
"""

import os
import re

import pytest
from xdist.scheduler import LoadScopeScheduling

from applications import SERVERS, Application, address
from tests.conftest import Pooler, Server

# What must not be in PostgreSQL's log, whatever the browsers do.
TROUBLE = re.compile(
    r"^.*(?:WARNING|ERROR|FATAL|PANIC|TRAP): .*(?:\n\t.*|\n.*(?:DETAIL|HINT|STATEMENT): .*)*", re.MULTILINE
)


FRAMEWORKS = os.environ.get("ACCEPTANCE_SERVERS", "").split() or sorted(path.name for path in SERVERS.iterdir())
WAYS = ["plain", "rolling", "pooled"]


class ByApplication(LoadScopeScheduling):
    """Gives a worker one application after the other: all tests of a framework's server that is run one way."""

    def _split_scope(self, nodeid):
        parameters = nodeid.partition("[")[2].removesuffix("]").split("-")
        return " ".join(sorted(name for name in parameters if name in (*FRAMEWORKS, *WAYS)))


def pytest_xdist_make_scheduler(config, log):
    return ByApplication(config, log)


def pytest_configure(config):
    config.addinivalue_line("markers", "survives_errors: the database may log errors meanwhile")


@pytest.fixture(scope="session")
def postgres():
    postgres = Server().start()
    postgres.create_roles()
    yield postgres
    postgres.stop("immediate")


@pytest.fixture(scope="session", params=FRAMEWORKS)
def framework(request):
    return request.param


@pytest.fixture(scope="session", params=WAYS)
def way(request):
    return request.param


@pytest.fixture(scope="session")
def running(framework, way, postgres):
    database = postgres.create_database()
    owner = database.connect()
    owner.execute("CREATE EXTENSION session_store; GRANT CREATE ON SCHEMA public TO app")
    owner.execute("SELECT session_store_grant('app')")
    pooler = Pooler(postgres, database.name, connections=2) if way == "pooled" else None
    where = address((pooler or postgres).port, postgres.password, database.name)
    application = Application(framework, way, postgres, database, where)
    try:
        application.start()
        _ = application.cookie_name  # which takes a session: before somebody counts them
        yield application
    finally:
        application.stop()
        if pooler:
            pooler.stop()
        database.drop()


@pytest.fixture
def application(running, postgres, request):
    """The framework's server, with no session in its database."""
    running.clear()
    positions = len(running.log_text()), len(postgres.log_text())
    yield running
    # Shown when the test has failed.
    print(running.log_text(since=positions[0])[-4000:])
    if not request.node.get_closest_marker("survives_errors"):
        assert not TROUBLE.findall(postgres.log_text(since=positions[1]))


@pytest.fixture
def browser(application):
    """A browser that has not been there yet."""
    return application.browser()


@pytest.fixture
def visitor(browser):
    """A browser with a session that is nobody's."""
    browser.post("/set", key="cart", value="umbrella")
    return browser


@pytest.fixture
def ada(browser):
    """A browser in which ada is logged in."""
    browser.post("/login", user="ada")
    browser.post("/set", key="cart", value="umbrella")
    return browser
