"""The scripts that CREATE EXTENSION and ALTER EXTENSION UPDATE run as superuser name everything in full."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PG_BIN

SHARE = subprocess.run([PG_BIN / "pg_config", "--sharedir"], capture_output=True, text=True, check=True).stdout.strip()
SCRIPTS = sorted(Path(SHARE, "extension").glob("session_store--*.sql"))


def pgspot(*arguments):
    command = [Path(sys.executable).with_name("pgspot"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_pgspot_finds_nothing(script):
    # An update replaces views of ours; PostgreSQL itself refuses where the view is not the extension's (CVE-2022-2625).
    is_update = script.name.count("--") == 2
    checked = pgspot(script, *["--ignore=PS015"] * is_update)
    assert "Errors: 0 Warnings: 0 Unknown: 0" in checked.stdout, checked.stdout + checked.stderr
    assert checked.returncode == 0


def test_pgspot_would_find_something(tmp_path):
    careless = tmp_path / "careless.sql"
    careless.write_text(SCRIPTS[0].read_text() + "CREATE VIEW careless AS SELECT 1 WHERE 1 = 1;")
    assert "PS001" in pgspot(careless).stdout
