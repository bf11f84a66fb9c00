#!/usr/bin/env bash
# Installs what is missing, builds, and runs the main job: train, forget with AMUN, audit. On the
# digits by default; with --data DIR on CIFAR-10. Arguments go to the program (try --help).
#   AMUN_BUILD_DIR  where to build; default: build-quickstart beside meson.build
#   AMUN_NO_INSTALL set to 1: never install, only say what is missing
# Models and checkpoints stay in .quickstart beside meson.build (--work elsewhere), so that a run
# that was stopped goes on where it was. The report is written where you are: report.json.
set -u
exec </dev/null

build=${AMUN_BUILD_DIR:-}
case $build in
'' | /*) ;;
*) build=$PWD/$build ;;
esac
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
build=${build:-$root/build-quickstart}
me=quickstart.sh
# shellcheck source=../.ci/packages.sh
. "$root/.ci/packages.sh"

install_missing "could not install everything; the build will say what it lacks" \
    "${build_packages[@]}"
need_tools meson ninja
configure "$build" "$root" --buildtype=release -Dexamples=enabled -Dtests=disabled \
    -Dpython=disabled
say "building in $build"
if ! ninja -C "$build" examples/quickstart >"$build/build.log" 2>&1; then
    cat "$build/build.log"
    say "the build failed"
    exit 1
fi

# Small networks wait often and shortly; spinning threads would only take the processor away.
OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export OMP_WAIT_POLICY
exec "$build/examples/quickstart" --work "$root/.quickstart" "$@"
