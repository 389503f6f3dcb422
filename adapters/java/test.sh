#!/usr/bin/env bash
# Checks the format, compiles without a warning, and runs the tests with the database that adapters/with_server.py gives.
set -euo pipefail
cd "$(dirname "$0")"
. ./maven.sh
offer_maven || exit 3

exec mvn --batch-mode --no-transfer-progress -Dstyle.color=never verify
