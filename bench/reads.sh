#!/usr/bin/env bash
# Measures reads on throwaway servers: bench/reads.py says what.
#
# usage: bench/reads.sh [--sessions N] [--seconds N] [--rounds N]

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/prepare.sh"

main() {
    NEEDS_PYTHON=yes
    prepare
    make_venv
    offer_servers
    run "$VENV/bin/python" "$ROOT/bench/reads.py" "$@"
}

main "$@"
