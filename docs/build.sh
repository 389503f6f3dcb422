#!/usr/bin/env bash
# Makes the site of these pages in target/site; any warning, such as a link that leads nowhere, is an error.
#
# usage: docs/build.sh

set -euo pipefail

DOCS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TARGET=${CARGO_TARGET_DIR:-$DOCS/../target}
VENV=$TARGET/site-venv

"$DOCS/../tests/make-venv" "$DOCS/requirements.txt" "$VENV"
rm -rf "$TARGET"/site{,-cache}
"$VENV/bin/sphinx-build" --quiet --fail-on-warning --keep-going -c "$DOCS" -d "$TARGET/site-cache" \
    "$DOCS/.." "$TARGET/site"
echo '<meta http-equiv="refresh" content="0; url=docs/index.html">' >"$TARGET/site/index.html"
echo "$(realpath "$TARGET")/site/docs/index.html"
