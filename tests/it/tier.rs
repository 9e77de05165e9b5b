//! Which kinds of nodes this machine can give. A tier that cannot run is named with the
//! reason; in CI as root it is a failure, because there everything can be had.

use std::io::Write;
use std::path::Path;

use crate::sshd::Skip;

/// T1: a private `sshd`, as any user.
pub fn t1() -> Result<(), Skip> {
    has(&["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen"])
}

/// T2: nodes with a network, disk and processes of their own.
pub fn t2() -> Result<(), Skip> {
    t1()?;
    if !is_root() {
        return Err(Skip("only root can make network namespaces".to_owned()));
    }
    has(&[
        "/sbin/ip",
        "/usr/bin/unshare",
        "/usr/bin/nsenter",
        "/usr/bin/setpriv",
        "/usr/bin/sudo",
    ])
}

/// T3: the same, with systemd as process 1.
pub fn t3() -> Result<(), Skip> {
    t2()?;
    has(&["/lib/systemd/systemd"])
}

/// A program that one test needs beyond its tier.
pub fn program(path: &str) -> Result<(), Skip> {
    has(&[path])
}

/// Goes past the capture of test output: a test that did not run must not look like one
/// that did.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn has(files: &[&str]) -> Result<(), Skip> {
    match files.iter().find(|file| !Path::new(file).exists()) {
        None => Ok(()),
        Some(file) => Err(Skip(format!("there is no `{file}` here"))),
    }
}
