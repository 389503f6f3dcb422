#!/usr/bin/env bash
# Format, lint, types, the tests on the newest and the oldest Flask, and the session tests of Flask and CherryPy. The
# database is in the environment (see with_server.py).
set -euo pipefail
cd "$(dirname "$0")"

PYTHON=${PYTHON:-python3}
MISSING=3
OLDEST=('flask==2.3.*' 'werkzeug==2.3.*' 'psycopg[binary,pool]==3.1.*')

"$PYTHON" -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' || {
    echo "error: $PYTHON is older than 3.10, or has no venv" >&2
    exit "$MISSING"
}

venv() { # DIRECTORY PIP_ARGUMENT...: made anew when what is wanted has changed
    local directory=$1 wanted
    shift
    wanted=$("$PYTHON" --version; echo "$@"; cat pyproject.toml)
    [ "$wanted" != "$(cat "$directory/wanted" 2>/dev/null)" ] || return 0
    "$PYTHON" -m venv --clear "$directory"
    "$directory/bin/pip" install --disable-pip-version-check -q --upgrade 'pip>=25.1' || exit "$MISSING"
    "$directory/bin/pip" install -q hatchling editables "$@" || exit "$MISSING"
    "$directory/bin/pip" install -q --no-build-isolation -e .
    echo "$wanted" >"$directory/wanted"
}

pytest() { # VENV ARGUMENT...: an error, too, where no test ran
    local directory=$1
    shift
    PYTHONPATH=$PWD/tests/suites "$directory/bin/python" -m pytest -p no:cacheprovider "$@"
}

venv "$PWD/.venv" --group test --group suites --group lint
.venv/bin/ruff format --check
.venv/bin/ruff check
.venv/bin/mypy
pytest .venv

# Flask's own tests are in its source distribution only.
version=$(.venv/bin/python -c 'from importlib.metadata import version; print(version("flask"))')
if [ ! -d ".suites/flask-$version" ]; then
    mkdir -p .suites
    .venv/bin/pip download -q --no-deps --no-binary flask -d .suites "flask==$version" || exit "$MISSING"
    tar xzf ".suites/flask-$version.tar.gz" -C .suites
fi
pytest .venv -p flask_plugin --rootdir ".suites/flask-$version" -c ".suites/flask-$version/pyproject.toml" \
    -k 'session or flash or cookie' ".suites/flask-$version/tests"

venv "$PWD/.venv-oldest" --group test "${OLDEST[@]}"
pytest .venv-oldest --ignore tests/suites
