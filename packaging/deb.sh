#!/bin/sh
# deb.sh STAGE VERSION OUT: the Debian package of a staged folder. It has no maintainer scripts,
# so that it can be installed and removed by anybody who reads its list of files.
set -eu
umask 022
stage=$1
version=$2
out=$3
case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) arch=$(dpkg --print-architecture) ;;
esac
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"

put() { install -D -m "$1" "$2" "$root/$3"; }
put 0755 "$stage/opsbook" usr/bin/opsbook
for page in "$stage"/man/*.1; do
  put 0644 "$page" "usr/share/man/man1/$(basename "$page")"
done
gzip -n -9 "$root"/usr/share/man/man1/*.1
put 0644 "$stage/completions/opsbook.bash" usr/share/bash-completion/completions/opsbook
put 0644 "$stage/completions/_opsbook" usr/share/zsh/vendor-completions/_opsbook
put 0644 "$stage/completions/opsbook.fish" usr/share/fish/vendor_completions.d/opsbook.fish
for schema in "$stage"/schemas/*.json; do
  put 0644 "$schema" "usr/share/opsbook/schemas/$(basename "$schema")"
done
doc=usr/share/doc/opsbook
put 0644 "$stage/README.md" "$doc/README.md"
put 0644 "$stage/SECURITY.md" "$doc/SECURITY.md"
put 0644 "$stage/CHANGELOG.md" "$doc/changelog"
gzip -n -9 "$root/$doc/changelog"
{
  echo "opsbook is licensed under either of MIT or Apache-2.0, as you like."
  echo
  cat "$stage/LICENSE-MIT"
  echo
  echo "The Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0."
} > "$root/$doc/copyright"
chmod 0644 "$root/$doc/copyright"
"$stage/opsbook" guide --book "$root/$doc/html" > /dev/null
find "$root/$doc/html" -type d -exec chmod 0755 {} +
find "$root/$doc/html" -type f -exec chmod 0644 {} +

mkdir "$root/DEBIAN"
size=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
cat > "$root/DEBIAN/control" <<CONTROL
Package: opsbook
Version: $version-1
Architecture: $arch
Maintainer: the opsbook authors <packages@opsbook.invalid>
Installed-Size: $size
Depends: openssh-client
Recommends: git
Suggests: sshfs
Section: admin
Priority: optional
Description: operations manuals that are read, run and tested
 A Markdown operations manual is compiled into a static, offline book, and its
 tagged blocks run as procedures and as tests against nodes, over ssh, with
 nothing installed there.
CONTROL
# Times of the commit, for the same bytes from the same commit.
find "$root" -newermt "@${SOURCE_DATE_EPOCH:-0}" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
dpkg-deb -Zxz "-z${OPSBOOK_COMPRESS-6}" --root-owner-group --build "$root" "$out/opsbook_$version-1_$arch.deb" > /dev/null
