#!/bin/sh
# stage.sh BINARY FOLDER: the folder of the archive. The gateway stands beside the binary.
set -eu
umask 022
cd "$(dirname "$0")/.."
binary=$1
folder=$2
mkdir -p "$folder/completions" "$folder/schemas" "$folder/systemd"
install -m 0755 "$binary" "$folder/opsbook"
install -m 0755 "$(dirname "$binary")/opsbook-gateway" "$folder/opsbook-gateway"
install -m 0644 packaging/systemd/* "$folder/systemd"
install -m 0644 packaging/gateway.toml "$folder"
install -m 0644 README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT SECURITY.md "$folder"
opsbook=$folder/opsbook
"$opsbook" man --dir "$folder/man"
"$opsbook" completions bash > "$folder/completions/opsbook.bash"
"$opsbook" completions zsh > "$folder/completions/_opsbook"
"$opsbook" completions fish > "$folder/completions/opsbook.fish"
"$opsbook" schema | while read -r name _; do
  "$opsbook" schema "$name" > "$folder/schemas/$name.json"
done
