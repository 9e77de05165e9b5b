#!/bin/sh
# deb.sh STAGE VERSION OUT: the Debian packages of a staged folder: the program, the gateway, and
# the service of a runner. They have no maintainer scripts, so that they can be installed and
# removed by anybody who reads their lists of files.
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
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT

# begin NAME: what is put from now on is in this package.
begin() {
  root=$all/$1
  doc=usr/share/doc/$1
  mkdir -m 0755 "$root"
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
}

put() { install -D -m "$1" "$2" "$root/$3"; }

# end NAME ARCHITECTURE: the rest of its control file is read from standard input.
end() {
  mkdir "$root/DEBIAN"
  if [ -d "$root/etc" ]; then
    (cd "$root" && find etc -type f | sed 's,^,/,' | LC_ALL=C sort > DEBIAN/conffiles)
  fi
  {
    echo "Package: $1"
    echo "Version: $version-1"
    echo "Architecture: $2"
    echo "Maintainer: the opsbook authors <packages@opsbook.invalid>"
    echo "Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)"
    echo "Section: admin"
    echo "Priority: optional"
    cat
  } > "$root/DEBIAN/control"
  # Times of the commit, for the same bytes from the same commit.
  find "$root" -newermt "@${SOURCE_DATE_EPOCH:-0}" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
  dpkg-deb -Zxz "-z${OPSBOOK_COMPRESS-6}" --root-owner-group --build "$root" "$out/$1_$version-1_$2.deb" > /dev/null
}

begin opsbook
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
put 0644 "$stage/README.md" "$doc/README.md"
put 0644 "$stage/SECURITY.md" "$doc/SECURITY.md"
"$stage/opsbook" guide --book "$root/$doc/html" > /dev/null
find "$root/$doc/html" -type d -exec chmod 0755 {} +
find "$root/$doc/html" -type f -exec chmod 0644 {} +
end opsbook "$arch" <<CONTROL
Depends: openssh-client
Recommends: git
Suggests: sshfs, age
Description: operations manuals that are read, run and tested
 A Markdown operations manual is compiled into a static, offline book, and its
 tagged blocks run as procedures and as tests against nodes, over ssh, with
 nothing installed there.
CONTROL

begin opsbook-gateway
put 0755 "$stage/opsbook-gateway" usr/bin/opsbook-gateway
put 0644 "$stage/systemd/opsbook-gateway.service" usr/lib/systemd/system/opsbook-gateway.service
put 0644 "$stage/gateway.toml" etc/opsbook/gateway.toml
end opsbook-gateway "$arch" <<CONTROL
Depends: opsbook (= $version-1)
Recommends: git
Suggests: postgresql, age
Description: the book of an operations manual as a console for a team
 Serves the book, takes runs from people and programs, gives them to runners,
 and keeps who asked for what and what became of it. It reaches no node.
CONTROL

begin opsbook-runner
put 0644 "$stage/systemd/opsbook-runner.service" usr/lib/systemd/system/opsbook-runner.service
put 0644 "$stage/systemd/opsbook-runner.sysusers" usr/lib/sysusers.d/opsbook-runner.conf
end opsbook-runner all <<CONTROL
Depends: opsbook (>= $version-1), openssh-client
Recommends: git
Description: a runner of an opsbook gateway, as a service
 Calls its gateway, and nothing calls it. It does the runs of its segment with
 its own keys, and brings what happens to the gateway.
CONTROL
