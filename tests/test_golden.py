"""Runs each tests/sql/NAME.sql by psql in a fresh database and compares what it prints with tests/expected/NAME.out.

SESSION_STORE_ACCEPT=1 writes the expected output instead; look at the difference before you commit it.
"""

import difflib
import os
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TOPICS = sorted(path.stem for path in (TESTS / "sql").glob("*.sql"))
# Like pg_regress, but far from UTC, so that a time zone that leaks into a result shows.
ENVIRONMENT = {"PGTZ": "America/New_York", "PGDATESTYLE": "ISO, MDY"}


# They show what is not written, and what slides at commit.
OF_THE_DIRECT_WAY = {"lifetimes", "read_only", "versions"}


def marked(topic):
    return [pytest.mark.direct] if topic in OF_THE_DIRECT_WAY else []


@pytest.mark.parametrize("topic", [pytest.param(topic, marks=marked(topic)) for topic in TOPICS])
def test_golden(database, topic):
    check_topic(database, topic)


def check_topic(database, topic):
    script = (TESTS / "sql" / f"{topic}.sql").read_text()
    expected = TESTS / "expected" / f"{topic}.out"
    printed = database.psql(script, arguments=("-X", "-a", "-q"), **ENVIRONMENT).stdout

    if os.environ.get("SESSION_STORE_ACCEPT"):
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(printed)
    wanted = expected.read_text() if expected.exists() else ""
    if printed != wanted:
        lines = [text.splitlines(keepends=True) for text in (wanted, printed)]
        pytest.fail("".join(difflib.unified_diff(*lines, str(expected), "printed")), pytrace=False)
