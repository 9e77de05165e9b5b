#!/bin/sh
# Builds the release of the last commit twice, in two folders, and compares the bytes.
set -eu
cd "$(dirname "$0")/.."
places=$(mktemp -d)
trap 'rm -rf "$places"' EXIT
for place in one "another place"; do
  git clone --quiet . "$places/$place"
  (cd "$places/$place" && env -u CARGO_TARGET_DIR sh packaging/build.sh target/packages > /dev/null)
done
cmp_all() {
  for file in "$places/one/target/packages"/*; do
    cmp "$file" "$places/another place/target/packages/$(basename "$file")"
  done
}
cmp_all && echo "the same bytes twice" && cat "$places/one/target/packages/SHA256SUMS"
