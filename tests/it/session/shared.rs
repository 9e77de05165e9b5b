//! Connections that several commands share: a kept one, and the user's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::project::Project;
use crate::sshd::{Sshd, kill, or_skip, user};

const PAGE: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho ran >> \"$HOME/ran\"\n```\n\n```text file as=f\nx\n```\n";
const RUN: [&str; 3] = ["run", "p", "far"];

/// The number of logins there.
fn logins(server: &Sshd) -> usize {
    let log = fs::read_to_string(server.dir.path().join("log")).unwrap();
    log.matches("Accepted publickey").count()
}

/// A short path, because socket paths are limited.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("ob")
        .tempdir_in("/tmp")
        .unwrap()
}

/// The process that listens on a socket.
pub fn master(socket: &Path) -> u32 {
    let mut check = Command::new("ssh");
    check.arg("-S").arg(socket).args(["-O", "check", "any"]);
    let said = String::from_utf8(check.output().unwrap().stderr).unwrap();
    let pid = said
        .split_once("pid=")
        .unwrap_or_else(|| panic!("{said}"))
        .1;
    pid.split(')').next().unwrap().parse().unwrap()
}

/// The user's own connection, at a path with `ssh`'s tokens.
pub fn own(server: &Sshd, path: &str) {
    let ssh = server.ssh();
    let mut own = Command::new("ssh");
    own.args(["-f", "-N", "-M", "-o", "BatchMode=yes", "-o"]);
    own.arg(format!("ControlPath={path}"));
    for option in &ssh.options {
        own.arg("-o").arg(option);
    }
    own.args(["-p", &server.port.to_string(), "-l", &user(), "-i"]);
    own.arg(ssh.identity.unwrap()).arg("--").arg(&ssh.host);
    let streams = own
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(streams.status().unwrap().success());
}

pub fn sockets(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut sockets: Vec<PathBuf> = entries.filter(|path| path.extension().is_none()).collect();
    sockets.retain(|path| path.file_name().unwrap() != "ran");
    sockets
}

#[test]
fn a_connection_is_kept_where_the_node_says_so() {
    let Some(server) = or_skip("kept", Sshd::start()) else {
        return;
    };
    let (project, place) = (Project::new(PAGE), folder());
    let run = || {
        let call = project.opsbook(&RUN);
        call.env("XDG_RUNTIME_DIR", place.path().to_str().unwrap())
            .ends(0);
    };
    project.node("far", &server.ssh(), "");
    run();
    run();
    assert_eq!(logins(&server), 2);
    project.node("far", &server.ssh(), "    keep_connection: 1m\n");
    run();
    run();
    assert_eq!(logins(&server), 3);
    let base = place.path().join("opsbook");
    let mode = fs::metadata(&base).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let sockets = sockets(&base);
    let [socket] = sockets.as_slice() else {
        panic!("{sockets:?}");
    };
    // A connection that does not answer is replaced.
    let old = master(socket);
    kill(old, "STOP");
    run();
    assert_eq!(logins(&server), 4);
    let new = master(socket);
    assert_ne!(new, old);
    run();
    assert_eq!(logins(&server), 4);
    kill(old, "KILL");
    kill(new, "TERM");
    let ran = fs::read_to_string(server.home().join("ran")).unwrap();
    assert_eq!(ran, "ran\n".repeat(6));
}

#[test]
fn the_users_own_connection_is_used_where_it_is_open() {
    let Some(server) = or_skip("own", Sshd::start()) else {
        return;
    };
    let (project, place) = (Project::new(PAGE), folder());
    let run = |path: &str| {
        let mut ssh = server.ssh();
        ssh.options.push(format!("ControlPath={path}"));
        project.node("far", &ssh, "");
        project.opsbook(&RUN).ends(0);
        logins(&server)
    };
    let apart = format!("{}/%C", place.path().display());
    assert_eq!(run(&apart), 1);
    own(&server, &apart);
    assert_eq!(logins(&server), 2);
    assert_eq!(run(&apart), 2);
    // It outlives us. One that does not answer is left alone.
    let process = master(&sockets(place.path())[0]);
    kill(process, "STOP");
    assert_eq!(run(&apart), 3);
    kill(process, "CONT");
    assert_eq!(run(&apart), 3);
    kill(process, "TERM");
    // A name that is the same for all destinations may lead to another one.
    let same = format!("{}/same", place.path().display());
    own(&server, &same);
    assert_eq!(run(&same), 5);
    kill(master(Path::new(&same)), "TERM");
}
