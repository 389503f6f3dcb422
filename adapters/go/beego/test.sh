#!/usr/bin/env bash
# Checks the format, lints, and runs the tests with the database that adapters/with_server.py gives.

set -euo pipefail
cd "$(dirname "$0")"

STATICCHECK=honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Of beego's tests these are about ids that are no file names, and about Redis's settings.
NOT_OURS='TestFileProviderSessionExist2|TestFileProviderSessionRead1|TestProvider_SessionInit'

command -v go >/dev/null || exit 3
export GOTOOLCHAIN=auto # an older Go fetches the one that go.mod asks for
go mod download || exit 3

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { printf 'gofmt: %s\n' "$unformatted"; exit 1; }
go vet ./...
go run "$STATICCHECK" ./...

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
