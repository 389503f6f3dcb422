#!/usr/bin/env bash
# Measures reads on throwaway servers: bench/reads.py says what.
#
# usage: bench/reads.sh [--sessions N] [--seconds N] [--rounds N]

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
    run "$venv/bin/python" "$ROOT/bench/reads.py" "$@"
}

main "$@"
