#!/usr/bin/env bash
# Whether this clone can be released: a line for each check, and an exit status. sql/released/README.md says how to
# release. The site and the packages are built where their scripts are there; ./pg_test.sh is run before, and with it
# tests/test_upgrade.py, which compares an updated database with a fresh one.
#
# usage: packaging/release-check.sh

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
RELEASED=sql/released
FAILED=no

main() {
    cd "$ROOT"
    VERSION=$(sed -nE '0,/^version = "(.*)"$/s//\1/p' Cargo.toml)
    printf 'session_store %s\n' "$VERSION"

    check 'session_store.control has the version of Cargo.toml' grep -qx "default_version = '@CARGO_VERSION@'" session_store.control
    check 'Cargo.lock has it' lock_agrees
    check 'CHANGELOG.md begins with it and a date' changelog_agrees
    if [ -e META.json ]; then check 'META.json has it' meta_agrees; fi
    check 'the adapters have it' adapters_agree
    check 'every other released version leads to it by upgrade scripts' upgrades_lead_here
    check 'its install script is kept, and listed with its upgrade script' is_listed
    check 'it is what the build generates' is_generated
    check 'no released script has changed' env -C "$RELEASED" sha256sum --check --quiet SHA256SUMS
    check 'every dated version of CHANGELOG.md has its script' dated_are_kept
    check 'what is committed is what is here' is_clean
    check 'no other commit has this tag' tag_is_free
    if [ -x docs/build.sh ]; then check 'the site builds' docs/build.sh; fi
    if [ -x packaging/test.sh ]; then check 'the packages install' packaging/test.sh; fi

    [ "$FAILED" = no ] || exit 1
}

check() { # WHAT COMMAND...: what a command prints is shown if it fails
    local printed
    if printed=$("${@:2}" 2>&1); then
        printf 'ok      %s\n' "$1"
    else
        FAILED=yes
        printf 'FAILED  %s\n' "$1"
        [ -z "$printed" ] || printf '        %s\n' "${printed//$'\n'/$'\n'        }"
    fi
}

# Prints a complaint where two differ.
same() { # NAME VALUE WANTED
    [ "$2" = "$3" ] || {
        echo "$1 is $2, not $3"
        return 1
    }
}

lock_agrees() { same 'the version in Cargo.lock' "$(sed -n '/^name = "session_store"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)" "$VERSION"; }

changelog_agrees() {
    local top
    top=$(grep -m 1 '^## ' CHANGELOG.md)
    [[ $top =~ ^"## [$VERSION] - "[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || {
        echo "it begins with $top"
        return 1
    }
}

meta_agrees() {
    local name
    for name in '["version"]' '["provides"]["session_store"]["version"]'; do
        same "META.json, $name" "$(python3 -c "import json; print(json.load(open('META.json'))$name)")" "$VERSION" || return 1
    done
}

# PHP's and Go's versions are their tags.
adapters_agree() {
    local file failed=0
    for file in adapters/python/*/pyproject.toml adapters/rust/Cargo.toml; do
        same "$file" "$(sed -nE '0,/^version = "(.*)"$/s//\1/p' "$file")" "$VERSION" || failed=1
    done
    same adapters/node/package.json "$(sed -nE '0,/^  "version": "(.*)",$/s//\1/p' adapters/node/package.json)" "$VERSION" || failed=1
    same adapters/java/pom.xml "$(sed -n '/<\/parent>/,/<dependencies>/s/^\t<version>\(.*\)<\/version>$/\1/p' adapters/java/pom.xml)" "$VERSION" || failed=1
    return "$failed"
}

released() { find "$RELEASED" -name 'session_store--*.sql' -printf '%f\n' | sed 's/^session_store--\(.*\)\.sql$/\1/' | sort -V; }

upgrades_lead_here() {
    local from at next
    for from in $(released); do
        at=$from
        while [ "$at" != "$VERSION" ]; do
            next=$(find sql -maxdepth 1 -name "session_store--$at--*.sql" -printf '%f\n' | sed 's/.*--\(.*\)\.sql$/\1/' | sort -V | tail -n 1)
            [ -n "$next" ] || {
                echo "no script leads from $at"
                return 1
            }
            at=$next
        done
    done
}

is_listed() {
    local script=session_store--$VERSION.sql last
    [ -e "$RELEASED/$script" ] || {
        echo "$RELEASED/$script is not there"
        return 1
    }
    grep -q "  $script\$" "$RELEASED/SHA256SUMS" && for last in sql/session_store--*--"$VERSION".sql; do
        grep -qF "  ../${last#sql/}" "$RELEASED/SHA256SUMS" || {
            echo "$last is not in $RELEASED/SHA256SUMS"
            return 1
        }
    done
}

# pgrx writes the extension's SQL when it packages; without a build there is nothing to compare with.
is_generated() {
    local script=session_store--$VERSION.sql built
    built=$(find "${CARGO_TARGET_DIR:-target}/release" -name "$script" -path '*-pg15/*' -print -quit 2>/dev/null)
    [ -z "$built" ] || cmp "$built" "$RELEASED/$script"
}

dated_are_kept() {
    same 'what is kept' "$(released)" "$(sed -nE 's/^## \[(.+)\] - [0-9-]+$/\1/p' CHANGELOG.md | sort -V)"
}

is_clean() { same 'what git status shows' "$(git status --porcelain)" ''; }

tag_is_free() {
    local tagged
    tagged=$(git rev-parse -q --verify "refs/tags/v$VERSION^{commit}") || return 0
    same "the tag v$VERSION" "$tagged" "$(git rev-parse HEAD)"
}

main "$@"
