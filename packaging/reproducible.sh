#!/bin/sh
# Builds the release of the last commit twice, in two folders, and compares the bytes. The folders
# have names of different length, and one has a space. `CARGO_PROFILE_RELEASE_…` of cargo choose a
# cheaper profile where the question is only whether paths or times get in. Where the bytes differ,
# both folders are kept, so that the cause can be looked for.
set -eu
cd "$(dirname "$0")/.."
places=$(mktemp -d)
for place in one "another place"; do
  git clone --quiet . "$places/$place"
  (cd "$places/$place" && env -u CARGO_TARGET_DIR sh packaging/build.sh target/packages > /dev/null)
done
one=$places/one/target
another="$places/another place/target"
target=$(uname -m)-unknown-linux-gnu/release
differs=
for file in "$target/opsbook" "$target/opsbook-gateway" packages/; do
  diff -rq "$one/$file" "$another/$file" || differs=1
done
if [ "$differs" ]; then
  echo "the builds differ; both are in $places" >&2
  exit 1
fi
cat "$one/packages/SHA256SUMS"
rm -rf "$places"
echo "the same bytes twice"
