#!/usr/bin/env bash
# The life of a login in PostgreSQL, on a throwaway server. See --help.

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/tests/prepare.sh"

usage() {
    cat <<'END'
usage: ./pg_demo.sh [--psql]

Builds session_store in release mode, starts a throwaway PostgreSQL server with
it and walks through the life of a web session, one SQL statement at a time.
As root on Debian it first installs what is missing. The server is gone
afterwards; no other server is touched.

  --psql   end in a psql prompt on that server, and stop it when the prompt ends

  PG_CONFIG=/path/to/pg_config   another PostgreSQL (15 to 18)
END
}

main() {
    local prompt=no
    case $#:${1:-} in
    0:) ;;
    1:-h | 1:--help)
        usage
        exit
        ;;
    1:--psql) prompt=yes ;;
    *)
        usage >&2
        exit 2
        ;;
    esac

    prepare
    start_server
    create_database
    life_of_a_login
    how_to_connect "$prompt"
    if [ "$prompt" = yes ]; then
        trap : INT # Ctrl-C belongs to psql
        psql_as owner || true
    fi
}

# ---------------------------------------------------------------------------------------------------------------------
# The server
# ---------------------------------------------------------------------------------------------------------------------

start_server() {
    note 'starting a throwaway server'
    SERVER=$RUN/server
    PASSWORD=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    mkdir "$SERVER"
    echo "$PASSWORD" >"$SERVER/password"
    chown -R "$SERVER_USER" "$SERVER"
    chmod 700 "$SERVER"
    as_server initdb --username=owner --pwfile="$SERVER/password" --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C --no-sync -D "$SERVER/data" >/dev/null

    local attempt
    for attempt in 1 2 3 4 5; do # somebody else may take the port in between
        PORT=$(free_port)
        as_server pg_ctl start -w -s -D "$SERVER/data" -l "$SERVER/log" -o "-p $PORT -k $SERVER \
            -c listen_addresses=127.0.0.1 -c fsync=off -c session_store.gc_interval=0" 2>/dev/null && return
    done
    cat "$SERVER/log" >&2
    die "the server does not start ($attempt attempts)"
}

as_server() { (cd "$SERVER" && "${AS_SERVER[@]}" "$PG_BIN/$1" "${@:2}"); }

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000)) # below the range from which systems take outgoing ports
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    done
    echo "$port"
}

psql_as() { "$PG_BIN/psql" -h "$SERVER" -p "$PORT" -U "$1" -d demo "${@:2}"; }

create_database() {
    "$PG_BIN/psql" -h "$SERVER" -p "$PORT" -U owner -d postgres -X -q -v ON_ERROR_STOP=1 -v "password=$PASSWORD" <<'END'
CREATE ROLE app LOGIN PASSWORD :'password';
CREATE DATABASE demo;
END
}

# ---------------------------------------------------------------------------------------------------------------------
# The story
# ---------------------------------------------------------------------------------------------------------------------

SID=
OLD=

chapter() { printf '\n-- %s\n' "$*"; }

# sql ROLE STATEMENT: one request of a web application, on a connection of its own.
sql() {
    local status=0
    ANSWER=$(statement "$@") || status=$?
    printf '%s\n' "$ANSWER"
    return "$status"
}

# The browser gets a new cookie: the id in the last answer.
take_sid() {
    OLD=$SID
    [[ $ANSWER =~ [0-9a-f]{64} ]] || die 'no session id in the answer'
    SID=${BASH_REMATCH[0]}
}

statement() {
    printf '%s=> %s\n' "$1" "$2"
    psql_as "$1" -X -v ON_ERROR_STOP=1 -v "sid=$SID" -v "old=$OLD" -P null='(null)' <<<"$2" 2>&1
}

life_of_a_login() {
    note "the life of a login (:'sid' stands for the id that the browser has in its cookie)"

    chapter 'The whole installation.'
    sql owner 'CREATE EXTENSION session_store;'

    chapter 'An anonymous visitor arrives. The application has a role without any right on the table.'
    sql app 'SELECT sid, data, is_new FROM session_start();'
    take_sid

    chapter 'Something goes into the cart.'
    sql app "SELECT session_set(:'sid', 'cart', '[\"umbrella\"]');"
    sql app "SELECT session_get(:'sid');"

    chapter 'The visitor logs in: a new id for the same session, so that an id planted before is worthless.'
    sql app "SELECT session_regenerate(:'sid');"
    take_sid
    sql app "SELECT session_exist(:'old') AS old_id, session_exist(:'sid') AS new_id;"
    sql app "SELECT session_set(:'sid', 'user', '\"ada\"');"

    chapter 'Two requests at once, on two connections, set different keys. Both are kept.'
    two_requests_at_once
    sql app "SELECT jsonb_pretty(session_get(:'sid')) AS session;"

    chapter 'The application cannot look into the table, and its owner finds no usable id in it.'
    sql app 'SELECT count(*) FROM session;' || true
    sql owner 'SELECT encode(session_key, '\''hex'\'') AS digest, session_expiry FROM session;'

    chapter 'Logout.'
    sql app "SELECT session_destroy(:'sid');"
    sql app "SELECT session_exist(:'sid');"

    chapter 'Another visitor never comes back. We move the expiry into the past instead of waiting for an hour.'
    sql app "SELECT session_create('{\"cart\": [\"teapot\"]}');"
    take_sid
    sql owner "UPDATE session SET session_expiry = now() - interval '1 minute';"
    chapter 'The row is still there, but nobody gets it: its id counts as unknown, and starting with it gives a new one.'
    sql owner 'SELECT count(*) AS rows FROM session;'
    sql app "SELECT session_exist(:'sid'), session_get(:'sid');"
    sql app "SELECT sid <> :'sid' AS another_id, data, is_new FROM session_start(:'sid');"

    chapter 'Collection removes what has expired, and only that.'
    sql owner 'SELECT session_gc();'
    sql owner 'SELECT count(*) AS rows FROM session;'
}

two_requests_at_once() {
    statement app "BEGIN; SELECT session_set(:'sid', 'theme', '\"dark\"'); SELECT pg_sleep(0.5); COMMIT;" >"$RUN/first" &
    local first=$!
    statement app "SELECT session_set(:'sid', 'language', '\"fr\"');" >"$RUN/second"
    wait "$first"
    cat "$RUN/first" "$RUN/second"
}

how_to_connect() {
    printf '\n'
    note 'how to connect'
    if [ "$1" = yes ]; then
        echo 'Until you leave this prompt the server is open to the programs of this machine:'
    else
        echo 'This server stops now. ./pg_demo.sh --psql keeps it open for the length of a prompt, with addresses like these:'
    fi
    cat <<END
    $PG_BIN/psql -h $SERVER -p $PORT -U app demo
    postgresql://app:$PASSWORD@127.0.0.1:$PORT/demo
The role app is the application, owner the superuser.
END
}

main "$@"
