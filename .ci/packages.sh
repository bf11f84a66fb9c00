# Sourced by examples/quickstart.sh and tests/run.sh: installing Debian packages that are missing.
# shellcheck shell=bash
# The sourcing script sets `me`, its own name for messages. AMUN_NO_INSTALL=1: never install, only
# say what is missing.

# What building the library and the examples takes.
build_packages=(build-essential meson ninja-build pkg-config libdnnl-dev libjansson-dev
    liblapacke-dev libopenblas-openmp-dev libsvm-dev)

say() { printf '%s\n' "$me: $*"; }

# Names those of its arguments that are not installed, on one line.
missing_of() {
    local package list=()
    for package in "$@"; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            list+=("$package")
        fi
    done
    printf '%s' "${list[*]-}"
}

updated=0
# install <packages>: as root, or through sudo, saying so.
install() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            say "not root, and there is no sudo: cannot install $*"
            return 1
        fi
        as_root=(sudo)
        say "not root: using sudo to install"
    fi
    say "installing with apt-get: $*"
    if [ "$updated" -eq 0 ]; then
        "${as_root[@]}" apt-get -q update || say "apt-get update failed; trying with the lists at hand"
        updated=1
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "$@"
}

# install_missing <what to say if it fails> <packages>
install_missing() {
    local otherwise=$1 missing
    shift
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "no apt-get here; needed are, by their Debian names: $*"
        return 0
    fi
    missing=$(missing_of "$@")
    if [ -z "$missing" ]; then
        return 0
    fi
    if [ "${AMUN_NO_INSTALL:-0}" = 1 ]; then
        say "not installed: $missing"
        return 0
    fi
    # shellcheck disable=SC2086 # a list of words
    install $missing || say "$otherwise: $missing"
}

# need_tools <commands>: ends the script if one is missing.
need_tools() {
    local tool
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null; then
            say "$tool is missing"
            exit 1
        fi
    done
}

# configure <build folder> <source folder> <options>: a first time, or once more.
configure() {
    local build=$1 source=$2 again=()
    shift 2
    if [ -f "$build/build.ninja" ]; then
        again=(--reconfigure)
    fi
    mkdir -p "$build" || exit 1
    if ! meson setup "${again[@]}" "$build" "$source" "$@" >"$build/setup.log" 2>&1; then
        cat "$build/setup.log"
        say "the configuration failed"
        exit 1
    fi
}
