#!/usr/bin/env bash
# Checks the format, lints, and runs the tests with the database that adapters/with_server.py gives.

set -euo pipefail
cd "$(dirname "$0")"
. ../go.sh

# Of beego's tests these are about ids that are no file names, and about Redis's settings.
NOT_OURS='TestFileProviderSessionExist2|TestFileProviderSessionRead1|TestProvider_SessionInit'

offer_go || exit 3
go mod download || exit 3
check_module

tests() { # ARGUMENT...: go test, which passes where there is no test
    local report
    report=$(mktemp)
    go test -race -count=1 -v "$@" ./... >"$report" || { cat "$report"; rm "$report"; return 1; }
    printf '%s: %s tests passed\n' "$PWD" "$(grep -c '^--- PASS' "$report")"
    grep -q '^--- PASS' "$report"
    rm "$report"
}

tests

# beego's own, as they are in its module.
beego=$(go list -m -f '{{.Dir}}' github.com/beego/beego/v2)/server/web/session
cd beegotests
install -m 644 "$beego"/sess_{file,mem}_test.go session
install -m 644 "$beego"/redis/sess_redis_test.go redis
tests -p 1 -skip "$NOT_OURS"
