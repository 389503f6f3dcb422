#!/usr/bin/env bash
# Builds the servers of the frameworks and runs the same tests over HTTP against each: adapters/test.sh acceptance
#
# ONLY="express flask" leaves out the others; what is given as TESTS goes to pytest: TESTS='-k login -x'.

set -euo pipefail
cd "$(dirname "$0")"

MISSING=3

VENV=${CARGO_TARGET_DIR:-$PWD/../../target}/acceptance-venv

../../tests/make-venv requirements.txt "$VENV"
PATH=$VENV/bin:$PATH
ruff format --check .
ruff check .

servers=() left_out=()
for name in ${ONLY:-$(ls servers)}; do
    status=0
    echo "building servers/$name"
    "servers/$name/build" || status=$?
    case $status in
    0) servers+=("$name") ;;
    "$MISSING") left_out+=("$name") ;;
    *) exit "$status" ;;
    esac
done
[ "${#servers[@]}" -gt 0 ] || exit "$MISSING"

# They wait most of the time, so there may be more workers than cores.
# shellcheck disable=SC2086
ACCEPTANCE_SERVERS="${servers[*]}" pytest -q -n 4 ${TESTS:-}
[ "${#left_out[@]}" = 0 ] || { echo "a tool is missing for: ${left_out[*]}" && exit "$MISSING"; }
