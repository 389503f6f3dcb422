#!/usr/bin/env bash
# Checks the format, lints, and tests the package, with the suites of others; see adapters/test.sh.
set -euo pipefail
cd "$(dirname "$0")"
. ../go.sh

offer_go || exit 3
check_module
cd suites
check_module
cd ..
go test -race -count=1 ./...
suites/run
