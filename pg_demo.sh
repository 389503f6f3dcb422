#!/usr/bin/env bash
# The life of a login in PostgreSQL, on a throwaway server. See --help.

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/tests/prepare.sh"

usage() {
    cat <<'END'
usage: ./pg_demo.sh [--psql | --web]

Builds session_store in release mode, starts a throwaway PostgreSQL server with
it and walks through the life of a web session, one SQL statement at a time.
As root on Debian it first installs what is missing. The server is gone
afterwards; no other server is touched.

  --psql   end in a psql prompt on that server, and stop it when the prompt ends
  --web    instead of the walk, open a small shop on that server for your browser,
           until Ctrl-C. Its npm packages stay in adapters/demo and adapters/node,
           and a Node that the machine lacks in ~/.cache/session_store

  PG_CONFIG=/path/to/pg_config   another PostgreSQL (15 to 18)
  WEB_PORT=8080                  where --web listens on 127.0.0.1, else a free port
END
}

main() {
    local prompt=no web=no
    case $#:${1:-} in
    0:) ;;
    1:-h | 1:--help)
        usage
        exit
        ;;
    1:--psql) prompt=yes ;;
    1:--web) web=yes ;;
    *)
        usage >&2
        exit 2
        ;;
    esac

    if [ "$web" = yes ]; then
        web_shop
        exit
    fi
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

    chapter 'A visitor puts something into the cart: a session begins. The role app has no right on the table.'
    sql app "SELECT session_create('{\"cart\": [\"umbrella\"]}');"
    take_sid

    chapter 'The next request brings the id. It loads the session, and changes a key.'
    sql app "SELECT data, version FROM session_fetch(:'sid');"
    sql app "SELECT session_patch(:'sid', '{\"cart\": [\"umbrella\", \"hat\"]}');"

    chapter 'The visitor logs in: a new id for the same session, so that an id planted before is worthless. It is now of ada.'
    sql owner "SELECT session_store_grant('app');"
    sql app "SELECT session_login(:'sid', 'ada', '{\"device\": \"laptop\"}');"
    take_sid
    sql app "SELECT session_exist(:'old') AS old_id, session_exist(:'sid') AS new_id;"

    chapter 'Two requests at once, on two connections, set different keys. Both are kept.'
    two_requests_at_once
    sql app "SELECT jsonb_pretty(session_get(:'sid')) AS session;"

    chapter 'The application cannot look into the table, and its owner finds no usable id in it.'
    sql app 'SELECT count(*) FROM session;' || true
    sql owner 'SELECT encode(session_key, '\''hex'\'') AS digest, session_expiry FROM session;'

    devices
    row_security

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

devices() {
    local laptop=$SID
    chapter 'ada logs in on a phone, too. The laptop sees it in the list of her devices, and ends it.'
    sql app "SELECT session_login(NULL, 'ada', '{\"device\": \"phone\"}', lifetime => '30 days');"
    take_sid
    OLD=$SID SID=$laptop
    sql app "SELECT is_this, attributes ->> 'device' AS device, last_seen FROM session_devices(:'sid');"
    sql app "SELECT session_revoke(:'sid', handle) FROM session_devices(:'sid') WHERE attributes ->> 'device' = 'phone';"
    sql app "SELECT session_exist(:'old') AS phone, session_exist(:'sid') AS laptop;"
}

row_security() {
    chapter 'A table under row security: a request sees the notes of whom its session belongs to.'
    sql owner 'CREATE TABLE note (owner text DEFAULT session_principal(), text text);
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON note USING (owner = (SELECT session_principal()));
GRANT SELECT, INSERT ON note TO app;'
    sql owner "INSERT INTO note VALUES ('eve', 'none of ada''s business');"
    sql app "BEGIN; SELECT session_attach(:'sid'); INSERT INTO note (text) VALUES ('buy milk'); SELECT * FROM note; COMMIT;"
    sql app 'SELECT count(*) AS notes_of_nobody FROM note;'
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

# ---------------------------------------------------------------------------------------------------------------------
# The shop
# ---------------------------------------------------------------------------------------------------------------------

WEB=$ROOT/adapters/demo

# Reads nothing from the terminal, so that run ends it at once, whoever sends the signal; and it works in RUN, so that
# clean_up waits for its end.
web_shop() {
    # shellcheck source=adapters/node/node.sh
    . "$ROOT/adapters/node/node.sh"
    if ! node_is_new_enough; then NEEDS_PYTHON=node; fi # to get one with
    prepare
    export PYTHON
    offer_node || die 'Node 20 or newer is missing'
    note 'installing what the shop needs (the first time about a minute)'
    run "$WEB/install" </dev/null
    start_server
    create_database
    psql_as owner -X -q -v ON_ERROR_STOP=1 -f "$WEB/schema.sql" >/dev/null
    note "a shop: fill the cart, log in, look at your devices from another browser or a private window; Ctrl-C ends it"
    run env -C "$RUN" PGHOST=127.0.0.1 PGPORT="$PORT" PGUSER=app PGPASSWORD="$PASSWORD" PGDATABASE=demo \
        PORT="${WEB_PORT:-0}" SESSION_SECRET="$PASSWORD" node "$WEB/server.js" </dev/null
}

main "$@"
