"""packaging/release-check.sh finds what must not be released."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VERSION = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
NEEDED = [
    "Cargo.toml", "Cargo.lock", "CHANGELOG.md", "session_store.control", "META.json", "packaging/release-check.sh",
    "adapters/node/package.json", "adapters/java/pom.xml", "adapters/rust/Cargo.toml", "adapters/python/*/pyproject.toml",
    "sql/*.sql", "sql/released/*",
]  # fmt: skip
SCRIPT = f"sql/released/session_store--{VERSION}.sql"


@pytest.fixture
def clone(tmp_path):
    """A copy that can be released."""
    for source in (file for pattern in NEEDED for file in ROOT.glob(pattern)):
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    edit(tmp_path / "CHANGELOG.md", f"[{VERSION}] - unreleased", f"[{VERSION}] - 2026-01-01")
    (tmp_path / SCRIPT).write_text("-- as generated\n")
    sums = tmp_path / "sql/released/SHA256SUMS"
    listed = [line for line in sums.read_text().splitlines() if not line.endswith(f"--{VERSION}.sql")]
    upgrade = next(tmp_path.glob(f"sql/*--*--{VERSION}.sql"))
    for name, file in (Path(SCRIPT).name, tmp_path / SCRIPT), (f"../{upgrade.name}", upgrade):
        listed.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {name}")
    sums.write_text("\n".join(listed) + "\n")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def edit(file, old, new):
    text = file.read_text()
    file.write_text(text.replace(old, new, 1))


def git(clone, *arguments):
    who = "-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"
    subprocess.run(["git", *who, *arguments], cwd=clone, check=True, capture_output=True)


def commit(clone):
    git(clone, "add", "--all")
    git(clone, "commit", "-q", "--allow-empty", "-m", "a commit")


def failed(clone):
    """What the script says has failed."""
    checked = subprocess.run([clone / "packaging/release-check.sh"], capture_output=True, text=True)
    found = re.findall(r"^FAILED +(.+)$", checked.stdout, re.M)
    assert checked.returncode == bool(found), checked.stdout + checked.stderr
    return found


BROKEN = {
    "the adapters have it": ("adapters/node/package.json", f'"version": "{VERSION}"', '"version": "0.0.9"'),
    "Cargo.lock has it": ("Cargo.lock", f'name = "session_store"\nversion = "{VERSION}"', 'name = "session_store"\nversion = "9"'),
    "CHANGELOG.md begins with it and a date": ("CHANGELOG.md", "\n## [", "\n## [9.9.9] - unreleased\n\n## ["),
    "session_store.control has the version of Cargo.toml": ("session_store.control", "@CARGO_VERSION@", "0.0.9"),
    "no released script has changed": (SCRIPT, "generated", "edited"),
    "every dated version of CHANGELOG.md has its script": ("CHANGELOG.md", "\n## [0.1.0]", "\n## [0.1.1]"),
}  # fmt: skip


def test_what_can_be_released_passes(clone):
    assert failed(clone) == []


@pytest.mark.parametrize("check", BROKEN)
def test_what_is_broken_is_named(clone, check):
    name, old, new = BROKEN[check]
    edit(clone / name, old, new)
    commit(clone)
    assert failed(clone) == [check]


def test_another_version_disagrees_with_everything_else(clone):
    edit(clone / "Cargo.toml", f'version = "{VERSION}"', 'version = "9.9.9"')
    commit(clone)
    assert set(failed(clone)) >= {
        "Cargo.lock has it", "CHANGELOG.md begins with it and a date", "the adapters have it",
        "every other released version leads to it by upgrade scripts", "its install script is kept, and listed with its upgrade script",
    }  # fmt: skip


def test_scripts_that_are_missing_are_named(clone):
    next(clone.glob(f"sql/*--*--{VERSION}.sql")).unlink()
    assert "every other released version leads to it by upgrade scripts" in failed(clone)
    assert "what is committed is what is here" in failed(clone)


def test_a_tag_of_another_commit_is_in_the_way(clone):
    git(clone, "tag", f"v{VERSION}")
    assert failed(clone) == []
    commit(clone)
    assert failed(clone) == ["no other commit has this tag"]
