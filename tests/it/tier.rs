//! The kinds of nodes that this machine can provide. A tier that cannot run is named with the
//! reason; in CI as root it is a failure, because there everything is available.

use std::io::Write;
use std::path::Path;

use crate::sshd::Skip;

/// T1: a private `sshd`, as any user.
pub fn t1() -> Result<(), Skip> {
    has(&["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen"])
}

/// T2: nodes with their own network, disk and processes.
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

/// A program that a test needs in addition to its tier.
pub fn program(path: &str) -> Result<(), Skip> {
    has(&[path])
}

/// Bypasses the capture of test output: a skipped test must not look like a successful one.
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
