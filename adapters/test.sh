#!/usr/bin/env bash
# Builds the extension and tests the adapters against throwaway servers, each with its ecosystem's own tools.
#
# usage: adapters/test.sh [ADAPTER...]    go/beego, node, python/flask, acceptance, …: all of them without one
#
# An adapter is a directory with a test.sh of its own, which checks the format, lints, and runs the tests; it finds a
# server in its environment (see with_server.py) and exits with 3 where a tool is missing that it cannot install.

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/prepare.sh"

MISSING=3

main() {
    NEEDS_PYTHON=yes
    prepare
    make_venv
    offer_servers
    export PYTHON VENV
    if [ $# = 0 ]; then
        # The acceptance tests, which use all the others, come last.
        mapfile -t all < <(cd "$ROOT/adapters" && find . -mindepth 2 -name test.sh -not -path '*/node_modules/*' -printf '%P\n')
        mapfile -t all < <(printf '%s\n' "${all[@]%/test.sh}" | sed 's/^acceptance$/~/' | sort | sed 's/^~$/acceptance/')
        set -- "${all[@]}"
    fi
    local adapter failed=0 summary=()
    for adapter; do
        note "adapters/$adapter"
        local status=0
        run "$VENV/bin/python" "$ROOT/adapters/with_server.py" "$ROOT/adapters/$adapter/test.sh" || status=$?
        case $status in
        0) summary+=("adapters/$adapter: passed") ;;
        "$MISSING") summary+=("adapters/$adapter: skipped, a tool is missing") ;;
        *) summary+=("adapters/$adapter: failed") failed=1 ;;
        esac
    done
    note 'summary of the adapters'
    printf '%s\n' "${summary[@]}"
    exit "$failed"
}

main "$@"
