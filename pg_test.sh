#!/usr/bin/env bash
# Builds the extension and runs every test against throwaway servers. See --help.

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/tests/prepare.sh"

usage() {
    cat <<'END'
usage: ./pg_test.sh [--long] [-- PYTEST-ARGUMENT...]

Builds session_store in release mode, installs it into a private copy of
PostgreSQL and runs all tests on throwaway servers, which are gone afterwards.
As root on Debian it first installs what is missing.

  --long   also the tests that take minutes
  --       what follows goes to pytest, for example: ./pg_test.sh -- -k golden

  PG_CONFIG=/path/to/pg_config   another PostgreSQL (15 to 18)
  SESSION_STORE_ACCEPT=1         write the expected output of the golden tests
END
}

main() {
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help)
            usage
            exit
            ;;
        --long)
            export SESSION_STORE_LONG=1
            NEEDS_FUZZERS=yes
            ;;
        --)
            shift
            break
            ;;
        *)
            usage >&2
            exit 2
            ;;
        esac
        shift
    done

    NEEDS_PYTHON=yes
    prepare
    make_venv

    local failed=0
    unit_tests || failed=1
    server_tests "$@" || failed=1

    note 'summary'
    grep -hE '^test result:' "$RUN/cargo.log" || echo 'cargo test: no test ran'
    tail -n 1 "$RUN/pytest.log"
    exit "$failed"
}

make_venv() {
    local wanted=$ROOT/tests/requirements.txt
    VENV=$TARGET/venv
    if cmp -s "$wanted" "$VENV/installed.txt"; then return; fi
    note 'installing the Python test packages into target/venv'
    "$PYTHON" -m venv --clear "$VENV"
    run "$VENV/bin/pip" install --disable-pip-version-check --progress-bar off -q -r "$wanted"
    cp "$wanted" "$VENV/installed.txt"
}

# Without a server, in the dev profile for its overflow checks and debug assertions.
unit_tests() {
    note 'unit tests (cargo test)'
    logged "$RUN/cargo.log" cargo test --lib --no-default-features --features "pg$PG_MAJOR" &&
        grep -qE '^test result: ok\. [1-9][0-9]* passed' "$RUN/cargo.log" # cargo is content with no test at all
}

server_tests() {
    note "tests on a server (pytest, PostgreSQL $PG_MAJOR)"
    export SESSION_STORE_PG_BIN=$PG_BIN SESSION_STORE_RUN=$RUN SESSION_STORE_SERVER_USER=$SERVER_USER
    logged "$RUN/pytest.log" "$VENV/bin/python" -m pytest -o "cache_dir=$TARGET/pytest" --timeout=300 tests "$@"
}

logged() { # FILE COMMAND...: runs it with its output on the screen and in the file
    local out tee status=0
    exec {out}> >(tee "$1")
    tee=$!
    run "${@:2}" >&"$out" || status=$?
    exec {out}>&-
    wait "$tee"
    return "$status"
}

main "$@"
