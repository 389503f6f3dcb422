#!/usr/bin/env bash
# Measures sweeping on a throwaway server. The figures and their sizes: bench/gc.py.
#
# usage: bench/gc.sh [--expired N] [--live N] [--times N] [--repeat N] [--calm N]

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/prepare.sh"

main() {
    NEEDS_PYTHON=yes
    prepare
    make_venv
    offer_servers
    run "$VENV/bin/python" "$ROOT/bench/gc.py" "$@"
}

main "$@"
