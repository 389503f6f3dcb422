#!/usr/bin/env bash
# Compares each adapter with the store that its users have now, on a throwaway server, and writes
# bench/results/adapters.md. The sites and the load generator: bench/adapters; what is measured: bench/README.md.
#
# usage: bench/adapters.sh [--rounds N] [--seconds S] [--only PATTERN]    all kinds of request, in each of 9 rounds 1 s each
#
#   BENCH_RESULTS=bench/results
#   a short look: --rounds 1 --seconds 0.2 --only 'express, connect-redis'   the pattern is for FRAMEWORK, STORE

# shellcheck source=tests/prepare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/prepare.sh"
# shellcheck source=adapters/go/go.sh
. "$ROOT/adapters/go/go.sh"
# shellcheck source=adapters/node/node.sh
. "$ROOT/adapters/node/node.sh"
# shellcheck source=adapters/java/maven.sh
. "$ROOT/adapters/java/maven.sh"

main() {
    NEEDS_PYTHON=yes
    prepare
    make_venv
    offer_servers
    build_sites
    local results=${BENCH_RESULTS:-$ROOT/bench/results}
    mkdir -p "$results"
    run "$VENV/bin/python" "$ROOT/bench/adapters/compare.py" --versions "$(versions)" --results "$RUN/adapters.md" "$@"
    cp "$RUN/adapters.md" "$results"
    note "$results/adapters.md"
}

build_sites() {
    command -v redis-server >/dev/null || install redis-server
    cp "$(readlink -f "$(command -v redis-server)")" "$RUN/redis-server" # below RUN, so that prepare.sh ends it
    offer_go || exit 1
    offer_node || die 'Node 20 or newer is missing'
    offer_maven || die 'Maven and a JDK are missing: Java 17 or newer'
    note 'building the sites and the load generator'
    (cd "$ROOT/bench/adapters" && run go build -o "$RUN/" ./beego ./scs ./load)
    (cd "$ROOT/bench/adapters/express" && install_with_store)
    PYTHON=$PYTHON "$ROOT/adapters/acceptance/servers/django/build"
    "$ROOT/adapters/install" php8.2-cli php8.2-pgsql php-symfony-http-foundation
    maven -f "$ROOT/adapters/java" -Dmaven.test.skip install
    maven -f "$ROOT/bench/adapters/spring" package
    (cd "$ROOT/adapters/rust" && . ./cargo.sh && offer_cargo && run cargo build --quiet --locked --release -p bench-axum)
}

versions() {
    {
        "$PG_BIN/postgres" --version | sed 's/^postgres (PostgreSQL)/PostgreSQL/'
        redis-server --version | sed -E 's/^Redis server v=([^ ]+).*/Redis \1/'
        (cd "$ROOT/bench/adapters" && go list -m -f '{{.Path}} {{.Version}}' github.com/beego/beego/v2 \
            github.com/alexedwards/scs/v2 github.com/alexedwards/scs/postgresstore github.com/jackc/pgx/v5 | sed 's/^github.com.//')
        (cd "$ROOT/bench/adapters/express/node_modules" && node -p \
            "['express', 'express-session', 'connect-pg-simple', 'connect-redis', 'pg', 'redis'].map((name) =>
                name + ' ' + require(path.resolve(name, 'package.json')).version).join('\n')")
        "$ROOT/adapters/acceptance/servers/django/.venv/bin/pip" list --disable-pip-version-check 2>/dev/null |
            sed -nE 's/^(Django|gunicorn|psycopg) +/\1 /p'
        php -r 'printf("PHP %d.%d.%d\n", PHP_MAJOR_VERSION, PHP_MINOR_VERSION, PHP_RELEASE_VERSION);'
        dpkg-query -W -f '${Package} ${Version}\n' php-symfony-http-foundation
        (cd "$RUN" && jar --extract --file "$ROOT/bench/adapters/spring/target/site.jar" META-INF/MANIFEST.MF)
        tr -d '\r\n ' <"$RUN/META-INF/MANIFEST.MF" |
            grep -oE '(spring-boot|spring-session-jdbc|tomcat-embed-core|postgresql)-[0-9.]+[0-9]\.jar' | sed -E 's/-([0-9])/ \1/; s/\.jar$//'
        sed -nE '/^name = "(axum|tower-sessions|tower-sessions-sqlx-store|sqlx)"$/{N;s/name = "(.*)"\nversion = "(.*)"/\1 \2/p}' \
            "$ROOT/adapters/rust/Cargo.lock"
        printf 'Node %s\n' "$(node --version)"
        go version | sed -E 's/^go version (go[^ ]+).*/\1/'
        printf 'session_store at %s\n' "$(git -C "$ROOT" describe --always --dirty 2>/dev/null || echo 'no commit')"
        printf '%s processors\n' "$(nproc)"
    } | paste -sd, | sed 's/, */, /g'
}

main "$@"
