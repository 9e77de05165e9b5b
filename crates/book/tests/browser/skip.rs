//! What a test needs of this machine. A test that cannot run is named with the reason; in CI as
//! root it fails, because there everything can be had.

use std::io::Write;
use std::path::Path;

/// Why a test cannot run on this machine.
#[derive(Debug)]
pub struct Skip(pub String);

/// Runs a test, or says why it cannot be run.
pub fn or_skip<T>(name: &str, result: Result<T, Skip>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Skip(reason)) => {
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!(is_root() && ci), "{name} cannot run: {reason}");
            say(&format!("skipped {name}: {reason}"));
            None
        }
    }
}

/// A program that a test needs.
pub fn program(path: &str) -> Result<(), Skip> {
    match Path::new(path).exists() {
        true => Ok(()),
        false => Err(Skip(format!("there is no `{path}` here"))),
    }
}

/// Goes past the capture of test output: a test that did not run must not look like one that
/// did.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub fn is_root() -> bool {
    rustix::process::getuid().is_root()
}
