#!/usr/bin/env bash
# Format, lint, and the tests, in a browser, too; called by adapters/test.sh, which has the server.
# SCREENSHOT=yes adapters/test.sh demo takes the picture of the documentation instead, with fonts that look alike on
# every machine. SCREENSHOTS=/directory has pictures of every page, light and dark, wide and narrow, put there.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=adapters/node/node.sh
. ../node/node.sh

if ! offer_node; then
    echo 'Node 20 or newer is missing' >&2
    exit 3
fi
[ -x /usr/bin/chromium ] || ../install chromium
./install
npm run --silent check
if [ -n "${SCREENSHOT:-}${SCREENSHOTS:-}" ]; then
    ../install fonts-inter fonts-urw-base35
    npm run --silent screenshot
else
    npm test --silent
fi
