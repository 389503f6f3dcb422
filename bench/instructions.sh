#!/usr/bin/env bash
# Counts the instructions of every call and writes bench/results/instructions.md. How: bench/README.md.
#
# usage: bench/instructions.sh
#
#   BENCH_RESULTS=bench/results

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/prepare.sh"

# Nothing that depends on the time or on the disk: no slide comes due, and no page is new to the WAL.
SETTINGS=(fsync=off full_page_writes=off session_store.max_lifetime=1d session_store.expiry_granularity=90min)

main() {
    local packages=() way
    NEEDS_PYTHON=yes
    prepare
    command -v valgrind >/dev/null || packages+=(valgrind)
    install "${packages[@]}"
    make_database
    for way in direct sql; do
        note "counting: $way"
        count "$way"
    done
    local results=${BENCH_RESULTS:-$ROOT/bench/results}
    mkdir -p "$results"
    helper table "$RUN/counted" "$(versions)" >"$RUN/instructions.md"
    cp "$RUN/instructions.md" "$results"
    note "$results/instructions.md"
}

helper() { "$PYTHON" "$ROOT/bench/instructions.py" "$@"; }

versions() {
    printf '%s, valgrind %s, session_store at %s' \
        "$("$PG_BIN/postgres" --version | sed 's/^postgres (PostgreSQL)/PostgreSQL/')" \
        "$(valgrind --version | sed 's/^valgrind-//')" \
        "$(git -C "$ROOT" describe --always --dirty 2>/dev/null || echo 'no commit')"
}

server_directory() {
    mkdir "$RUN/$1"
    [ -z "${AS_SERVER[*]}" ] || chown "$SERVER_USER" "$RUN/$1"
}

make_database() {
    server_directory data
    server_directory counted
    "${AS_SERVER[@]}" "$PG_BIN/initdb" -D "$RUN/data" -U "$SERVER_USER" -E UTF8 --locale=C.UTF-8 -A trust \
        >"$RUN/initdb.log"
    helper setup >"$RUN/setup.sql"
    single_user "$RUN/data" <"$RUN/setup.sql" >"$RUN/setup.out" 2>"$RUN/setup.err"
    ! grep -E 'ERROR|FATAL' "$RUN/setup.err" || die 'the tables cannot be made'
}

single_user() { # DATA [COMMAND...]: PostgreSQL without a server, run by the command
    local setting options=()
    for setting in "${SETTINGS[@]}"; do options+=(-c "$setting"); done
    run "${AS_SERVER[@]}" "${@:2}" "$PG_BIN/postgres" --single -D "$1" "${options[@]}" postgres
}

# Each way begins with the same data.
count() { # WAY
    local to=$RUN/counted/$1
    cp -a "$RUN/data" "$RUN/data-$1"
    helper calls "$1" >"$RUN/$1.sql"
    single_user "$RUN/data-$1" valgrind --tool=callgrind --dump-before=pg_backend_pid \
        --callgrind-out-file="$to.callgrind" <"$RUN/$1.sql" >"$to.out" 2>"$to.err"
}

main "$@"
