#!/usr/bin/env bash
# Installs what is missing, builds with AddressSanitizer and UndefinedBehaviorSanitizer, runs all
# test suites. Arguments go to `meson test` (for example: --suite unit).
#   AMUN_BUILD_DIR  where to build; default: build-tests beside meson.build
#   AMUN_NO_INSTALL set to 1: never install, only say what is missing
# The last line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.
set -u
exec </dev/null

build=${AMUN_BUILD_DIR:-}
case $build in
'' | /*) ;;
*) build=$PWD/$build ;;
esac
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
cd "$root" || exit 1
build=${build:-$root/build-tests}

needed=(build-essential meson ninja-build pkg-config libdnnl-dev libjansson-dev libsvm-dev check
    python3 python3-numpy)
# The oracle of the interoperability tests. They use stored values where it cannot be had.
wanted=(python3-torch)

say() { printf '%s\n' "run.sh: $*"; }

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

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    missing=$(missing_of "${needed[@]}")
    optional=$(missing_of "${wanted[@]}")
    if [ "${AMUN_NO_INSTALL:-0}" = 1 ]; then
        [ -z "$missing$optional" ] || say "not installed: $missing $optional"
    else
        if [ -n "$missing" ]; then
            # shellcheck disable=SC2086 # a list of words
            install $missing || say "could not install everything; the build will say what it lacks"
        fi
        if [ -n "$optional" ]; then
            # shellcheck disable=SC2086
            install $optional || say "going on without $optional"
        fi
    fi
else
    say "no apt-get here; needed are, by their Debian names: ${needed[*]}"
fi

for tool in meson ninja python3; do
    if ! command -v "$tool" >/dev/null; then
        say "$tool is missing"
        exit 1
    fi
done

options=(--buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
    -Dtests=enabled)
if [ -f "$build/build.ninja" ]; then
    meson setup --reconfigure "$build" "$root" "${options[@]}" >"$build/setup.log" 2>&1
else
    mkdir -p "$build" && meson setup "$build" "$root" "${options[@]}" >"$build/setup.log" 2>&1
fi || {
    cat "$build/setup.log"
    say "the configuration failed"
    exit 1
}
if ! ninja -C "$build"; then
    say "the build failed"
    exit 1
fi

log=$build/meson-logs/testlog.json
rm -f "$log"
meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 4 "$@"
status=$?

python3 - "$log" "$status" <<'PYTHON' || status=1
import collections
import json
import sys

path, status = sys.argv[1], int(sys.argv[2])
counts = collections.Counter()
try:
    with open(path, encoding="utf-8") as log:
        for line in log:
            counts[json.loads(line)["result"]] += 1
except OSError:
    pass  # nothing was run
passed = counts.pop("OK", 0) + counts.pop("EXPECTEDFAIL", 0)
skipped = counts.pop("SKIP", 0)
failed = sum(counts.values())
if passed + failed == 0:
    print("run.sh: no test was run")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or status or passed == 0 else 0)
PYTHON
exit "$status"
