# Sourced by what builds with Maven: the package's tests, the server of the acceptance tests, the benchmark.
# shellcheck shell=bash

offer_maven() { # false where it is missing and cannot be installed
    if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then
        [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
        echo 'installing maven and openjdk-17-jdk-headless with apt'
        apt-get -qq update && apt-get -qq install -y --no-install-recommends maven openjdk-17-jdk-headless >/dev/null
    fi
}

maven() { # ARGUMENT...: quietly, and nothing on the terminal that moves
    mvn --batch-mode --quiet -Dstyle.color=never "$@"
}
