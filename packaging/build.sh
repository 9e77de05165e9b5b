#!/bin/sh
# Makes a release below target/packages: static binaries, their archive, Debian packages, and
# checksums. OPSBOOK_BINARY=FILE packs that binary, and the opsbook-gateway beside it, instead of
# building them; OPSBOOK_COMPRESS=1 does it quickly, and in more bytes.
set -eu
# Whoever packs, the packages are the same.
umask 022
cd "$(dirname "$0")/.."
here=$PWD
out=${1-target/packages}
mkdir -p "$out"
out=$(cd "$out" && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
machine=$(uname -m)
name=opsbook-$version-$machine-linux
# Times in the packages are those of the commit, so that the same commit gives the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

binary=${OPSBOOK_BINARY-}
if [ -z "$binary" ]; then
  target=$machine-unknown-linux-gnu
  cargo_home=${CARGO_HOME-$HOME/.cargo}
  # The paths of this machine stay out of the binary, those with a space in them, too.
  unit=$(printf '\037')
  flags="-Ctarget-feature=+crt-static${unit}--remap-path-prefix=$cargo_home=/cargo"
  flags="$flags${unit}--remap-path-prefix=$here=/opsbook"
  # A copy takes the place of one crate, so that two builds are the same; the lock stays as it is.
  sh packaging/icons.sh target/icons
  CC_SHELL_ESCAPED_FLAGS=1 \
  CFLAGS="${CFLAGS-} '-ffile-prefix-map=$cargo_home=/cargo' '-ffile-prefix-map=$here=/opsbook'" \
  CARGO_ENCODED_RUSTFLAGS=$flags \
    cargo build --release --locked --config 'paths=["target/icons"]' \
    --target "$target" -p opsbook -p opsbook-gateway
  binary=${CARGO_TARGET_DIR-target}/$target/release/opsbook
  # Whoever builds the same bytes needs the same tools: the C library is in the binaries.
  {
    git log -1 --format='commit %H' 2>/dev/null || echo 'commit not known'
    rustc --verbose --version
    for tool in cc ldd tar gzip; do "$tool" --version 2>&1 | head -n 1; done
  } > "$out/$name.built-with"
fi

stage=$out/$name
rm -rf "$stage"
sh packaging/stage.sh "$binary" "$stage"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
  -C "$out" -cf - "$name" | gzip -n "-${OPSBOOK_COMPRESS-9}" > "$out/$name.tar.gz"
if command -v dpkg-deb > /dev/null; then
  sh packaging/deb.sh "$stage" "$version" "$out"
fi
rm -rf "$stage"
(
  cd "$out"
  set -- "$name.tar.gz"
  for deb in opsbook_"$version"-1_*.deb opsbook-*_"$version"-1_*.deb; do
    if [ -e "$deb" ]; then set -- "$@" "$deb"; fi
  done
  sha256sum "$@" > SHA256SUMS
)
ls -l "$out"
