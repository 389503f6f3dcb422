# Sourced by pg_test.sh after prepare.sh: PostgreSQL with its assertions compiled in, built from source once and kept in
# the cache, and what is tested on it.
# shellcheck shell=bash

ASSERTION_MAJORS=(15 18)

assertions_of() { echo "$CACHE/assertions-$1/bin/pg_config"; } # MAJOR

# ---------------------------------------------------------------------------------------------------------------------
# The build
# ---------------------------------------------------------------------------------------------------------------------

# What Debian does to the source is not wanted: one of its patches installs the libraries into the system's directories
# whatever the prefix is. So it is the original archive; as root another user builds it; and it is installed below RUN
# first, from where the directory is moved.
build_assertions() { # MAJOR
    local to=$CACHE/assertions-$1 lock
    mkdir -p "$CACHE"
    exec {lock}>"$CACHE/assertions-$1.lock"
    flock "$lock" # another run may be building the same
    if ! is_postgres "$to/bin/pg_config"; then
        install_build_tools
        fetch_source "$1"
        note "building PostgreSQL $1 with assertions into $CACHE (once, about ten minutes)"
        run "${AS_SERVER[@]}" env -i PATH="$PATH" LC_ALL=C \
            bash -c "$(declare -f compile); compile \"\$@\"" compile "$RUN/source-$1" "$to" \
            >"$RUN/assertions.log" 2>&1 || {
            tail -n 40 "$RUN/assertions.log"
            die "PostgreSQL $1 does not build"
        }
        rm -rf "$to" "$to.new"
        cp -R "$RUN/source-$1/installed$to" "$to.new"
        mv "$to.new" "$to"
        rm -rf "$RUN/source-$1"
    fi
    exec {lock}>&-
}

install_build_tools() {
    local packages=() program header
    for program in bison flex make perl bzip2; do
        command -v "$program" >/dev/null || packages+=("$program")
    done
    for header in lz4.h:liblz4-dev zlib.h:zlib1g-dev valgrind/memcheck.h:valgrind; do
        echo "#include <${header%:*}>" | cc -E - >/dev/null 2>&1 || packages+=("${header#*:}")
    done
    install "${packages[@]}"
}

# Runs as another user in an empty environment. The programs find libpq beside themselves, as they will be copied.
compile() { # DIRECTORY PREFIX
    set -e
    cd "$1"
    tar -xf ./*.orig.tar.bz2 --strip-components=1
    ./configure --prefix="$2" --enable-cassert --enable-debug --with-lz4 --without-icu --without-readline \
        CFLAGS='-O1 -fno-omit-frame-pointer' CPPFLAGS=-DUSE_VALGRIND
    local rpath='rpathdir=$$ORIGIN/../lib:$$ORIGIN/..'
    make -s -j"$(nproc)" "$rpath" world-bin
    make -s "$rpath" DESTDIR="$1/installed" install-world-bin
    cp src/tools/valgrind.supp "$("$1/installed$2/bin/pg_config" --sharedir)"
}

# The packages come from where the machine gets Debian's, without a change to its lists. Debian 12 has no PostgreSQL 18;
# Debian's unstable has the newest.
fetch_source() { # MAJOR
    local apt=$RUN/apt to=$RUN/source-$1 codename version
    command -v apt-get >/dev/null || die "the source of PostgreSQL $1 comes from Debian's packages; there is no apt-get"
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$to"
    [ ${#AS_SERVER[@]} = 0 ] || chown "$SERVER_USER" "$to"
    apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) main' 'Created-By: Packages' | sort -u |
        awk -v name="$codename" '$3 == name { print; $3 = "sid"; print } $3 == name "-security"' >"$apt/sources.list"
    local options=(-q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root)
    note "downloading the source of PostgreSQL $1"
    run apt-get "${options[@]}" update >"$RUN/apt.log" 2>&1 || die "$(cat "$RUN/apt.log")"
    # Mirrors may lack the newest that they announce.
    for version in $(apt-cache "${options[@]}" showsrc --only-source "postgresql-$1" |
        sed -n 's/^Version: //p' | sort -ruV); do
        (cd "$to" && apt-get "${options[@]}" source --download-only "postgresql-$1=$version") >"$RUN/apt.log" 2>&1 &&
            return
    done
    die "no source of PostgreSQL $1 can be downloaded: $(cat "$RUN/apt.log")"
}

# ---------------------------------------------------------------------------------------------------------------------
# The tests
# ---------------------------------------------------------------------------------------------------------------------

test_assertions() { # MAJOR OLD-MAJOR PYTEST-ARGUMENT..., the first two may be empty
    local majors=("${ASSERTION_MAJORS[@]}") old=$2 major parallel
    PARTS=() RAN=no FAILED=no CHOICE="${*:3}"
    [ -z "$1" ] || majors=("$1")
    for major in "${majors[@]}"; do
        prepare_servers "$major" "$old"
        parallel=debug_parallel_query
        [ "$major" -ge 16 ] || parallel=force_parallel_mode
        part 'as it is' '' "${@:3}"
        part 'golden tests, debug_discard_caches' debug_discard_caches=1 tests/test_golden.py --timeout=1800 \
            "${@:3}"
        part 'parallel query forced, replay compared' "$parallel=regress wal_consistency_checking=all" "${@:3}"
        under_valgrind
        SESSION_STORE_POSTGRES=$RUN/valgrind.sh part 'golden tests, valgrind' '' tests/test_golden.py --timeout=1800 \
            "${@:3}"
        # The newest also takes over from the oldest.
        [ -n "$1" ] || old=${majors[0]}
    done
    note 'summary'
    printf '%s\n' "${PARTS[@]}"
    [ "$RAN $FAILED" = 'yes no' ] || exit 1
}

# In place of the server's program. What valgrind finds goes into the server's log, where conftest looks for it.
under_valgrind() {
    cat >"$RUN/valgrind.sh" <<END
#!/bin/sh
exec valgrind --quiet --trace-children=yes --leak-check=no --track-origins=yes --num-callers=30 --error-limit=no \\
    --error-markers=VALGRINDERROR-BEGIN,VALGRINDERROR-END \\
    --suppressions="$("$PG_BIN/pg_config" --sharedir)/valgrind.supp" "$PG_BIN/postgres" "\$@"
END
    chmod 755 "$RUN/valgrind.sh"
}

part() { # NAME SETTINGS PYTEST-ARGUMENT...
    local status=0
    note "PostgreSQL $PG_MAJOR with assertions: $1"
    SESSION_STORE_SETTINGS="${SESSION_STORE_SETTINGS:-} $2" server_tests "${@:3}" || status=$?
    PARTS+=("PostgreSQL $PG_MAJOR, $1: $(tail -n 1 "$RUN/pytest.log")")
    case $status in
    0) RAN=yes ;;
    5) [ -n "$CHOICE" ] || FAILED=yes ;; # no test of this part was chosen
    *) FAILED=yes ;;
    esac
    stop_servers
    rm -rf "$RUN"/server*
}
