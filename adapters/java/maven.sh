# Sourced by what builds with Maven: the package's tests, the server of the acceptance tests, the benchmark.
# shellcheck shell=bash

offer_maven() { # false where it is missing and cannot be installed
    if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then
        "$(dirname "${BASH_SOURCE[0]}")/../install" maven openjdk-17-jdk-headless
    fi
}

maven() { # ARGUMENT...: quietly, and nothing on the terminal that moves
    mvn --batch-mode --quiet -Dstyle.color=never "$@"
}
