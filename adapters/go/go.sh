# Sourced where Go is needed: by the packages' tests, the servers of the acceptance tests, the benchmarks.
# shellcheck shell=bash

offer_go() { # false where it is missing
    command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
    command -v go >/dev/null || { echo 'Go is missing: https://go.dev/dl, 1.25 or later' >&2 && return 1; }
    export GOTOOLCHAIN=auto # an older one fetches the one that go.mod asks for
}

# Format and lint of the module in this directory.
check_module() {
    local unformatted
    unformatted=$(gofmt -l .)
    [ -z "$unformatted" ] || { printf 'not as gofmt has it:\n%s\n' "$unformatted" >&2 && return 1; }
    go vet ./...
    go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
}
