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

me=run.sh
# shellcheck source=../.ci/packages.sh
. "$root/.ci/packages.sh"
needed=("${build_packages[@]}" check python3 python3-cffi python3-numpy)
# The oracle of the interoperability tests, which use stored values where it cannot be had; pictures.
wanted=(python3-torch libpng-dev)

install_missing "could not install everything; the build will say what it lacks" "${needed[@]}"
install_missing "going on without" "${wanted[@]}"
need_tools meson ninja python3
configure "$build" "$root" --buildtype=debugoptimized -Db_sanitize=address,undefined \
    -Db_lundef=false -Dtests=enabled
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
