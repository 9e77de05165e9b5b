#!/bin/sh
# Brings the pages that tests/pages.rs runs, each as it was at its commit, to target/pages.
# OPSBOOK_PAGES_FROM names another place than GitHub: a folder with OWNER/NAME.git in it.
set -eu
cd "$(dirname "$0")/.."
from="${OPSBOOK_PAGES_FROM:-https://github.com}"
failed=0
for edits in tests/fixtures/pages/*.edits; do
  read -r repository commit path <<H
$(sed -n 's/^# from: //p' "$edits")
H
  also=$(sed -n 's/^# also: //p' "$edits")
  at="target/pages/$(printf %s "$repository" | tr / +)"
  if [ -e "$at/$path" ] && { [ -z "$also" ] || [ -e "$at/$also" ]; }; then continue; fi
  mkdir -p "$at"
  [ -d "$at/.git" ] || git init -q "$at"
  if git -C "$at" fetch -q --depth 1 --filter=blob:none "$from/$repository.git" "$commit" &&
    git -C "$at" config remote.origin.url "$from/$repository.git" &&
    git -C "$at" config remote.origin.promisor true &&
    git -C "$at" checkout -q "$commit" -- "$path" ${also:+"$also"}; then
    echo "$repository: $path"
  else
    echo "pages.sh: $repository: $path was not brought" >&2
    failed=1
  fi
done
exit "$failed"
