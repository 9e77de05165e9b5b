//! ! The requirements of a test on this machine. A test that cannot run prints its name and the
//! reason. In CI as root it fails, because there every requirement can be met.

use std::io::Write;
use std::path::Path;

/// The reason why a test cannot run on this machine.
#[derive(Debug)]
pub struct Skip(pub String);

/// Returns the result, or prints why the test cannot run.
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

/// Requires a program.
pub fn program(path: &str) -> Result<(), Skip> {
    match Path::new(path).exists() {
        true => Ok(()),
        false => Err(Skip(format!("there is no `{path}` here"))),
    }
}

/// Bypasses the capture of test output: a skipped test must not look like a passed one.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub fn is_root() -> bool {
    rustix::process::getuid().is_root()
}
