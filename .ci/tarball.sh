#!/usr/bin/env bash
# A tarball of the library that works wherever it is unpacked: .ci/tarball.sh FILE.tar.gz [meson
# options]. In it: lib/libamun.so.*, lib/pkgconfig/amun.pc (with paths from its own place), include/,
# the example programs (which find library and digits from their own place), the guide, the Python
# package. The libraries that libamun itself needs are not in it; INSTALL.md in it names them.
#   AMUN_BUILD_DIR  where to build; default: build-tarball beside meson.build
set -eu
[ $# -ge 1 ] || { echo "usage: tarball.sh FILE.tar.gz [meson options]"; exit 2; }
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build=${AMUN_BUILD_DIR:-$root/build-tarball}
case $build in /*) ;; *) build=$PWD/$build ;; esac
case $1 in /*) file=$1 ;; *) file=$PWD/$1 ;; esac
shift
me=tarball.sh
# shellcheck source=packages.sh
. "$root/.ci/packages.sh"
need_tools meson ninja tar

# A path that no machine has: whatever ends up as text in the files is easy to find.
prefix=/libamun
configure "$build" "$root" --buildtype=release --prefix=$prefix --libdir=lib --libexecdir=libexec \
    -Dpkgconfig.relocatable=true -Dinstall_examples=true -Dexamples_data=$prefix/share/libamun/digits \
    -Dtests=disabled -Dpython=disabled -Drust=disabled "$@"
ninja -C "$build"
version=$(sed -n 's/^#define AMUN_VERSION_STRING "\(.*\)"/\1/p' "$root/include/amun/version.h")
name=libamun-$version-$(uname -m)
stage=$build/stage
rm -rf "$stage"
DESTDIR=$stage meson install -C "$build" --no-rebuild --quiet
mv "$stage$prefix" "$stage/$name"
top=$stage/$name
mkdir -p "$top/share/doc/libamun" "$top/lib/python"
cp "$root"/README.md "$root"/COPYING "$top/share/doc/libamun/"
cp -r "$root/docs" "$top/share/doc/libamun/docs"
rm -rf "$top/share/doc/libamun/docs/debian"
cp -r "$root/bindings/python/src/amun" "$top/lib/python/amun"
rm -rf "$top/lib/python/amun/__pycache__"
ln -s ../../libamun.so.0 "$top/lib/python/amun/libamun.so.0"
cp "$root/docs/packaging.md" "$top/INSTALL.md"
# same content, same bytes
tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" \
    -czf "$file" "$name"
say "$file"
