#!/usr/bin/env bash
# Downloads one version of opsbook, compares its checksum, and puts it into PATH.
set -euo pipefail
version=${OPSBOOK_VERSION:?the input version is missing}
case $version in
  *[!0-9A-Za-z.+-]*) echo "::error title=opsbook::\`$version\` is not a version"; exit 2 ;;
esac
machine=$(uname -m)
name=opsbook-$version-$machine-linux
folder=${RUNNER_TEMP:-/tmp}/opsbook-$version
mkdir -p "$folder"
cd "$folder"
from=${OPSBOOK_FROM:?the input from is missing}/v$version
get() { curl --fail --silent --show-error --location --retry 3 --output "$1" "$from/$1"; }
get "$name.tar.gz"
if [ -n "${OPSBOOK_SHA256:-}" ]; then
  echo "$OPSBOOK_SHA256  $name.tar.gz" > SHA256SUMS
else
  get SHA256SUMS
fi
if ! grep -F "  $name.tar.gz" SHA256SUMS | sha256sum --check --status; then
  echo "::error title=opsbook::$name.tar.gz is not what its checksum says"
  exit 2
fi
tar -xzf "$name.tar.gz"
echo "$folder/$name" >> "$GITHUB_PATH"
"$folder/$name/opsbook" --version
