#!/bin/sh
# Fills the corpora of the targets: pages for `manual` and `stranger`, files of nodes for `nodes`, from the
# folders given, or from this project and from ../shared/corpus where that is there. Files
# larger than 16 KiB are left out.
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- ../manual ../tests/fixtures ../src/cli/init ../nodes.yaml ../../shared/corpus
mkdir -p corpus/manual corpus/nodes corpus/stranger

# keep TARGET: standard input as a seed, named by what it holds.
keep() {
    cat >"corpus/$1/new"
    mv "corpus/$1/new" "corpus/$1/seed-$(cksum <"corpus/$1/new" | tr ' ' -)"
}

# files PATTERN FOLDER...
files() {
    pattern=$1
    shift
    for folder; do
        [ ! -e "$folder" ] || find "$folder" -name "$pattern" -type f -size -16k
    done
}

for page in $(files '*.md' "$@"); do
    keep manual <"$page"
done
for file in $(files '*.yaml' "$@"); do
    keep nodes <"$file"
done
# Folders whose files merge are one seed.
for folder in $(files '*.yaml' "$@" | grep '/nodes/' | sed 's,/[^/]*$,,' | sort -u); do
    for file in "$folder"/*.yaml; do
        cat "$file"
        echo '--- file'
    done | keep nodes
done
# Contracts of pages: the reader of YAML is the same.
contract='^ *`{3}yaml (procedure|checks|deliver)'
for page in $(files '*.md' "$@"); do
    if grep -Eq "$contract" "$page"; then
        sed -En "/$contract/,/^ *\`{3}\$/{/\`{3}/d;p;}" "$page" | keep nodes
    fi
done
# What no file of a working project holds. The first line is a selector as well.
while IFS= read -r line; do
    printf '%b' "$line" | keep nodes
done <<'SEEDS'
@a&!b,c*\nopsbook: 1\nnodes: {a: {}, b: {groups: [g]}, c1: {}}\ngroups: {g: {in: h}, h: {in: g}}\n
opsbook: 1\ndefaults: {a: '${b}', b: '${c}', c: '${a}'}\nnodes: {x: {}}\n
opsbook: 1\ndefaults: {a: '$${b} ${node}', tls: {port: 443}}\nnodes: {x: {b: '${tls_port}', tls: null}}\n
opsbook: 1\nnodes: {x: {l: [1, {a: ~}]}}\n--- file\nnodes: {x: {l: null, m: {n: 0644}}}\n--- file\nnodes: {x: null}\n
opsbook: 1\nnodes: {x: {transport: local}, y: {transport: {exec: [docker, exec, -i, y, sh]}}, z: {transport: ssh}}\n
opsbook: 1\nnodes:\n  x:\n    p: {secret: {env: P}}\n    q: {secret: {file: '${node}.key'}}\n    r: {secret: {command: [pass, show, x]}}\n
a: &a [*a, !t x, <<: *a]\n? {b: c}\n: d\na: e\n--- \nf\n
a: |2-\n   x\n  y\nb: >+\n  z\n\n\nc: "\\\\x1b\\\\u202e\\\\\\n d"\n
{a: [{b: [{c: [{d: [{e: [{f: [{g: [{h: [{i: [{j: [{k: [{l: [{m: [{n: [{o: [{p: [{q: 1
- 0o17\n- 0xFf\n- 1e3\n- .inf\n- -.NaN\n- 1_000\n- 12:30\n- ~\n- NO\n- 2027-01-31\n- "\\\\ud800"\n
\0377\0376a: \0200\n\t- b\r\nc : d\r
SEEDS
cp corpus/manual/seed-* corpus/stranger/
for target in manual nodes stranger; do
    echo "$(find "corpus/$target" -name 'seed-*' | wc -l) seeds in fuzz/corpus/$target"
done
