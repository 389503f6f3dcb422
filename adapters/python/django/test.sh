#!/usr/bin/env bash
# Format, lint and tests, each with the oldest and the newest Django that is supported. The server is in the environment:
# see adapters/with_server.py. The tests of Django's source distribution run, too.
set -euo pipefail
cd "$(dirname "$0")"

VERSIONS=(4.2 5.2)
RUFF=0.17.6
PYTHON=${PYTHON:-python3}

prepare() { # VERSION
    local venv=.venv-$1 wanted
    wanted=$(cat pyproject.toml test.sh)
    [ "$wanted" != "$(cat "$venv/made-from" 2>/dev/null)" ] || return 0
    "$PYTHON" -m venv --clear "$venv" || exit 3
    pip=("$venv/bin/pip" --disable-pip-version-check --quiet)
    "${pip[@]}" install --progress-bar off "Django~=$1.0" 'psycopg[binary]' "ruff==$RUFF" -e . || exit 3
    fetch_tests_of "$("$venv/bin/django-admin" --version)" "$venv"
    echo "$wanted" >"$venv/made-from"
}

# The wheel has no tests.
fetch_tests_of() { # VERSION VENV
    "${pip[@]}" download --progress-bar off --no-deps --no-binary Django -d "$2/sdist" "Django==$1" || exit 3
    tar -xzf "$2"/sdist/*.tar.gz -C "$2/sdist" --strip-components=1 --wildcards '*/tests/sessions_tests'
}

run_tests() { # VERSION
    local venv=.venv-$1 log
    log=$venv/tests.log
    echo "== Django $("$venv/bin/django-admin" --version)"
    PYTHONPATH=.:$venv/sdist/tests "$venv/bin/python" -m django test --settings tests.settings --keepdb --noinput \
        "${@:2}" tests 2>&1 | tee "$log"
    grep -q '^Ran [1-9]' "$log"
}

for version in "${VERSIONS[@]}"; do prepare "$version"; done
ruff=.venv-${VERSIONS[-1]}/bin/ruff
"$ruff" format --check .
"$ruff" check .
for version in "${VERSIONS[@]}"; do run_tests "$version" "$@"; done
