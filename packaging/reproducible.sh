#!/bin/sh
# Builds the release of the last commit twice, in two folders, and compares the bytes. The folders
# have names of different length, and one has a space. `CARGO_PROFILE_RELEASE_…` of cargo choose a
# cheaper profile where the question is only whether paths or times get in.
set -eu
cd "$(dirname "$0")/.."
places=$(mktemp -d)
trap 'rm -rf "$places"' EXIT
for place in one "another place"; do
  git clone --quiet . "$places/$place"
  (cd "$places/$place" && env -u CARGO_TARGET_DIR sh packaging/build.sh target/packages > /dev/null)
done
one=$places/one/target/packages
another="$places/another place/target/packages"
for file in "$one"/*; do
  cmp "$file" "$another/$(basename "$file")"
done
echo "the same bytes twice"
cat "$one/SHA256SUMS"
