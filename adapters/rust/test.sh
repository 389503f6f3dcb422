#!/usr/bin/env bash
# Checks the format, lints, and tests the packages; see adapters/test.sh. All commands take the whole workspace, so that
# nothing is compiled twice.
set -euo pipefail
cd "$(dirname "$0")"
. ./cargo.sh
offer_cargo || exit 3

cargo fmt --all --check
cargo clippy --quiet --locked --workspace --all-targets --all-features -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --quiet --locked --no-deps -p tower-sessions-session-store -p actix-session-store
cargo test --quiet --locked --workspace --all-features
