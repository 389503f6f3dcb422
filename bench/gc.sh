#!/usr/bin/env bash
# Measures sweeping on a throwaway server. The figures and their sizes: bench/gc.py.
#
# usage: bench/gc.sh [--expired N] [--live N] [--times N] [--repeat N]

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/prepare.sh"

main() {
    NEEDS_PYTHON=yes
    prepare
    local venv=$TARGET/venv wanted=$ROOT/tests/requirements.txt
    if ! cmp -s "$wanted" "$venv/installed.txt"; then
        "$PYTHON" -m venv --clear "$venv"
        run "$venv/bin/pip" install --disable-pip-version-check --progress-bar off -q -r "$wanted"
        cp "$wanted" "$venv/installed.txt"
    fi
    export SESSION_STORE_PG_BIN=$PG_BIN SESSION_STORE_RUN=$RUN SESSION_STORE_SERVER_USER=$SERVER_USER
    run "$venv/bin/python" "$ROOT/bench/gc.py" "$@"
}

main "$@"
