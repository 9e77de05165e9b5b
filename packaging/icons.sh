#!/bin/sh
# icons.sh FOLDER: a copy of the crate with the icons of the book. The build script of the original
# writes them in a random order, which gets into the binary; here they are sorted.
set -eu
cd "$(dirname "$0")/.."
folder=$1
crate=$(cargo metadata --locked --format-version 1 |
  grep -o '"manifest_path":"[^"]*/font-awesome-as-a-crate[^"/]*/Cargo.toml"' | cut -d '"' -f 4)
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
cp -R "${crate%/Cargo.toml}" "$folder"
patch -s -d "$folder" -p1 < packaging/icons.patch
