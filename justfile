# `just` lists these. None is needed: each line is what it says, and `sh tests/all.sh` runs them all.

# List the recipes
default:
    @just --list

# Everything that looks at the text: format, lints, docs, probes, licences
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items
    shellcheck checks/*.sh
    @if command -v cargo-deny >/dev/null; then cargo deny check; else echo 'skipped deny: cargo-deny is not installed'; fi

# Everything, as CI runs it
test:
    sh tests/all.sh

# The manual alone: its checks, run on `test-nodes` of book.toml
manual *ARGS:
    cargo run --quiet -- test {{ARGS}}

# Take over what the command line prints now as what it must print
bless:
    OPSBOOK_BLESS=1 cargo test --test it

# Measure, in ratios, against plain ssh, tar and scp
bench *ARGS:
    cargo bench {{ARGS}}

# Measure everything, keep what was found in benches/measured.json, and write the chapter anew
measure:
    OPSBOOK_RECORD=1 cargo bench
    OPSBOOK_RECORD=1 cargo bench --bench run -- output
    OPSBOOK_RECORD=1 cargo bench --bench manual -- 2000 25000
    OPSBOOK_BLESS=1 cargo test --test it measured

# Feed a parser with made-up input; needs cargo-fuzz and a nightly toolchain
fuzz TARGET *ARGS:
    cargo +nightly fuzz run {{TARGET}} {{ARGS}}

# Random procedures with random faults, for so many minutes; what breaks the promise is kept
soak MINUTES="60":
    OPSBOOK_BLESS=1 OPSBOOK_SOAK_MINUTES={{MINUTES}} cargo test --test it soak:: -- --nocapture
    OPSBOOK_BLESS=1 cargo test --test it fault_table

# Run the tests as CI does and write what they said into the chapter of faults
record:
    CI=true cargo nextest run --profile record --test it --lib
    OPSBOOK_BLESS=1 OPSBOOK_RECORD=target/nextest/record/junit.xml cargo test --test it fault_table
