#!/usr/bin/env bash
# Format, lint, types and tests; called by adapters/test.sh, which has the server.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=adapters/node/node.sh
. ./node.sh

if ! offer_node; then
    echo 'Node 20 or newer is missing' >&2
    exit 3
fi
install_packages
npm run --silent check
npm test --silent
