#!/usr/bin/env bash
# Measures on a throwaway server what principals cost, and writes bench/results/principals.md. The figures:
# bench/principals.py. Those of instructions are from bench/results/instructions.md: run bench/instructions.sh first.
#
# usage: bench/principals.sh [--rows N] [--sessions N] [--ended N] [--calls N] [--rounds N] [--only PATTERN]
#
#   BENCH_RESULTS=bench/results
#   BENCH_BEFORE=bench/results/instructions-before-principals.md   what the last commit without principals took

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/prepare.sh"

main() {
    NEEDS_PYTHON=yes
    prepare
    make_venv
    offer_servers
    local results=${BENCH_RESULTS:-$ROOT/bench/results}
    mkdir -p "$results"
    run "$VENV/bin/python" "$ROOT/bench/principals.py" --versions "$(versions)" --results "$RUN/principals.md" \
        --instructions "${BENCH_BEFORE:-$ROOT/bench/results/instructions-before-principals.md}" "$results/instructions.md" "$@"
    cp "$RUN/principals.md" "$results"
    note "$results/principals.md"
}

versions() {
    printf '%s, session_store at %s, %s processors' \
        "$("$PG_BIN/postgres" --version | sed 's/^postgres (PostgreSQL)/PostgreSQL/')" \
        "$(git -C "$ROOT" describe --always --dirty 2>/dev/null || echo 'no commit')" "$(nproc)"
}

main "$@"
