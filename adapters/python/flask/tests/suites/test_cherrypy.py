"""CherryPy's tests of its session classes, as they come with CherryPy, over a class of this package's core.

Where they look into a store (the files of one, the dict of another) they are told what the database has.
"""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from cherrypy.lib import sessions
from cherrypy.test import test_session
from cherrypy.test.test_session import MemcachedSessionTest, SessionTest
from cherrypy.test.test_sessionauthenticate import SessionAuthenticateTest
from cherrypy_session import StoredSession

__all__ = ["MemcachedSessionTest", "SessionAuthenticateTest", "SessionTest"]  # what pytest is to collect


class RamSession(StoredSession):
    locks = {}  # noqa: RUF012


class FileSession(StoredSession):
    SESSION_PREFIX = "session-"
    locks = {}  # noqa: RUF012


class MemcachedSession(StoredSession):
    locks = {}  # noqa: RUF012

    def __len__(self):
        raise NotImplementedError  # as the test expects it of this one


def listdir(_):
    return [FileSession.SESSION_PREFIX + sid for sid in FileSession.cache]


def unlink(path):
    assert FileSession.store.destroy(Path(path).name.removeprefix(FileSession.SESSION_PREFIX))


def replace(patch):
    for session_class in RamSession, FileSession, MemcachedSession:
        patch.setattr(sessions, session_class.__name__, session_class)
    patch.setattr(test_session, "os", SimpleNamespace(listdir=listdir, unlink=unlink, path=os.path))


@pytest.fixture(scope="class")
def memcached_configured():
    """There is no memcached to be configured."""


@pytest.fixture(scope="module", autouse=True)
def classes():
    with pytest.MonkeyPatch.context() as patch:
        replace(patch)
        yield
    assert StoredSession.cache._ids, "no session was kept here"
