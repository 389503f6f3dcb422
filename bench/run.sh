#!/usr/bin/env bash
# Builds everything, measures on a throwaway server and writes bench/results. What is measured: bench/README.md.
#
# usage: bench/run.sh
#
#   BENCH_SESSIONS=1000000  sessions in every system       BENCH_ROUNDS=5    rounds of every comparison
#   BENCH_HOT=20000         sessions in the working set    BENCH_SECONDS=3   seconds of every measurement
#   BENCH_CHURN=2500        sessions updated 50 times      BENCH_RESULTS=bench/results
#   BENCH_SCALE=100000,1000000,10000000   sizes of the tables whose look-ups are compared
#   BENCH_ONLY=lookup       just what this pattern matches: the comparisons' titles, pgbench, growth, scale

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/prepare.sh"
# shellcheck source=adapters/go/go.sh
. "$ROOT/adapters/go/go.sh"

SETTINGS=(fsync=on synchronous_commit=on full_page_writes=on autovacuum=on shared_buffers=1GB max_wal_size=16GB
    checkpoint_timeout=1h max_connections=50)

main() {
    prepare
    find_redis
    offer_go || exit 1
    note 'building the load generator'
    (cd "$ROOT/bench/load" && run go build -o "$RUN/load" .)
    start_postgres
    start_redis redis --appendonly yes --appendfsync everysec
    start_redis redis-none --appendonly no
    start_redis redis-always --appendonly yes --appendfsync always
    local results=${BENCH_RESULTS:-$ROOT/bench/results}
    mkdir -p "$results"
    run "$RUN/load" -socket "$RUN" -admin "$SERVER_USER" -pgbench "$PG_BIN/pgbench" -results "$results" \
        -sessions "${BENCH_SESSIONS:-1000000}" -hot "${BENCH_HOT:-20000}" -churn "${BENCH_CHURN:-2500}" \
        -scales "${BENCH_SCALE:-100000,1000000,10000000}" -rounds "${BENCH_ROUNDS:-5}" -seconds "${BENCH_SECONDS:-3}" \
        -only "${BENCH_ONLY:-}" -versions "$(versions)" -settings "${SETTINGS[*]}"
    note "$results/results.md"
}

find_redis() {
    command -v redis-server >/dev/null || install redis-server
}

versions() {
    {
        "$PG_BIN/postgres" --version | sed 's/^postgres (PostgreSQL)/PostgreSQL/'
        redis-server --version | sed -E 's/^Redis server v=([^ ]+).*/Redis \1/'
        sed -nE 's/^\t(github.com\/(jackc\/pgx|redis\/go-redis)[^ ]*) (v[^ ]+)$/\1 \3/p' "$ROOT/bench/load/go.mod"
        go version | sed -E 's/^go version (go[^ ]+).*/\1/'
        printf 'session_store at %s\n' "$(git -C "$ROOT" describe --always --dirty 2>/dev/null || echo 'no commit')"
        printf '%s processors, all programs on one machine over Unix sockets\n' "$(nproc)"
    } | paste -sd, | sed 's/, */, /g'
}

as_server() { "${AS_SERVER[@]}" "$@"; }

server_directory() {
    mkdir "$RUN/$1"
    [ -z "${AS_SERVER[*]}" ] || chown "$SERVER_USER" "$RUN/$1"
}

start_postgres() {
    local setting options="-c listen_addresses= -c unix_socket_directories=$RUN"
    for setting in "${SETTINGS[@]}"; do options+=" -c $setting"; done
    chmod g+w "$RUN"
    server_directory data
    as_server "$PG_BIN/initdb" -D "$RUN/data" -U "$SERVER_USER" -E UTF8 --locale=C.UTF-8 -A trust >"$RUN/initdb.log"
    as_server "$PG_BIN/pg_ctl" -D "$RUN/data" -l "$RUN/data/server.log" -o "$options" -w start >/dev/null
}

# A copy below RUN, like every program of ours: prepare.sh ends those.
start_redis() { # NAME OPTION...
    [ -e "$RUN/redis-server" ] || cp "$(readlink -f "$(command -v redis-server)")" "$RUN/redis-server"
    server_directory "$1"
    as_server "$RUN/redis-server" --port 0 --unixsocket "$RUN/$1.sock" --unixsocketperm 777 --dir "$RUN/$1" \
        "${@:2}" --auto-aof-rewrite-percentage 0 --save '' --daemonize yes >/dev/null
    until [ -S "$RUN/$1.sock" ]; do sleep 0.1; done
}

main "$@"
