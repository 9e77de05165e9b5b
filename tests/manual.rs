//! This project's own manual as a test target: `cargo test --test manual`, and nextest.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    opsbook::cli::test::target(Path::new(env!("CARGO_MANIFEST_DIR")), "here")
}
