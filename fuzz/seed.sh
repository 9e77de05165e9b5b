#!/bin/sh
# Fills the corpus of the target `manual`: every page of the folders given, or of this manual
# and of ../shared/corpus where that is there. Pages larger than 16 KiB are left out.
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- ../manual ../tests/fixtures ../../shared/corpus
mkdir -p corpus/manual
count=0
for folder; do
    [ -d "$folder" ] || continue
    for page in $(find "$folder" -name '*.md' -type f -size -16k); do
        count=$((count + 1))
        cp "$page" "corpus/manual/seed-$count"
    done
done
echo "$count pages in fuzz/corpus/manual"
