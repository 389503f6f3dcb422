#!/usr/bin/env bash
# Checks the format, lints, and tests the package, with the suites of others; see adapters/test.sh.
set -euo pipefail
cd "$(dirname "$0")"

command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
if ! command -v go >/dev/null; then
    echo 'Go is missing: https://go.dev/dl' >&2
    exit 3
fi

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
    printf 'not as gofmt has it:\n%s\n' "$unformatted" >&2
    exit 1
fi
for module in . suites; do
    (cd "$module" && go vet ./... && go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...)
done
go test -race -count=1 ./...
suites/run
