#!/usr/bin/env bash
# Debian packages of what is committed: .ci/debian.sh [FOLDER], default build-debian beside
# meson.build. What it takes is in docs/debian/control. DEB_BUILD_OPTIONS as usual, for example
# "nocheck parallel=1". Ends with lintian's verdict, if there is a lintian, and the names of the packages.
set -eu
# what Debian has, and nothing else that may stand before it
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$root/build-debian}
for tool in git dpkg-buildpackage dh; do
    command -v "$tool" >/dev/null || { echo "debian.sh: $tool is missing"; exit 77; }
done
version=$(sed -n 's/^#define AMUN_VERSION_STRING "\(.*\)"/\1/p' "$root/include/amun/version.h")
source=libamun-$version

mkdir -p "$out"
rm -rf "${out:?}/$source"
git -C "$root" archive --prefix="$source/" -o "$(realpath "$out")/libamun_$version.orig.tar.gz" HEAD
tar -C "$out" -xzf "$out/libamun_$version.orig.tar.gz"
cp -r "$out/$source/docs/debian" "$out/$source/debian"
cd "$out/$source"
dpkg-buildpackage -us -uc
cd ..
if command -v lintian >/dev/null; then
    lintian --fail-on error --tag-display-limit 0 ./*.changes
fi
ls -- *.deb
