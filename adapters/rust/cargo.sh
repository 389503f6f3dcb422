# Sourced where cargo is needed. One directory for all that is built of the workspace, whoever builds it.
# shellcheck shell=bash

offer_cargo() { # false where there is no Rust
    command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
    command -v cargo >/dev/null || { echo 'Rust is missing: https://rustup.rs' >&2 && return 1; }
    export CARGO_TARGET_DIR=$PWD/target
}
