//! Every probe in every available POSIX shell: a case that holds, one that does not, one that
//! cannot be evaluated. Without root, and without a network except 127.0.0.0/8; a folder with the
//! needed files serves as the root of the system.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::tests::{in_one_line, one};
use super::*;

mod addresses;
mod batch;
mod kernel;
mod local;
mod network;
mod packages;
mod poor;
mod system;
mod units;

/// The time limit of one probe in a test.
const LIMIT: Duration = Duration::from_mins(1);

/// A folder that represents a node: its files, and its only tools.
struct Node {
    folder: tempfile::TempDir,
    /// Our own tools as shell functions: busybox may prefer its applets to files.
    functions: String,
    /// The user, if it is not the one who runs the tests.
    user: Option<u32>,
}

impl Node {
    fn new() -> Node {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("root")).unwrap();
        std::fs::create_dir_all(folder.path().join("bin")).unwrap();
        Node {
            folder,
            functions: String::new(),
            user: None,
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    fn file(self, path: &str, text: &str) -> Node {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Adds tools of this system.
    fn tools(self, names: &[&str]) -> Node {
        for name in names {
            let found = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
                .iter()
                .map(|folder| Path::new(folder).join(name))
                .find(|path| path.exists());
            if let Some(path) = found {
                std::os::unix::fs::symlink(path, self.bin().join(name)).unwrap();
            }
        }
        self
    }

    /// Runs as an unprivileged user.
    fn by_nobody(mut self) -> Node {
        if is_root() {
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(self.folder.path(), open).unwrap();
            self.user = Some(65534);
        }
        self
    }

    /// Adds a stub tool: a script.
    fn stub(mut self, name: &str, script: &str) -> Node {
        let path = self.bin().join(name);
        // Never write through a link to a tool of this system.
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::File::create_new(&path).unwrap();
        write!(file, "#!/bin/sh\n{script}\n").unwrap();
        drop(file);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        if name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            writeln!(self.functions, "{name}() (\n{script}\n)").unwrap();
        }
        self
    }
}

/// The POSIX shells of this machine, each as a command.
fn shells() -> Vec<Vec<&'static str>> {
    let shells: [&[&str]; 3] = [&["dash"], &["busybox", "sh"], &["bash", "--posix"]];
    let there = |shell: &&[&str]| {
        Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", ":"])
            .stderr(Stdio::null())
            .status()
            .is_ok()
    };
    let found: Vec<Vec<&str>> = shells
        .into_iter()
        .filter(there)
        .map(<[&str]>::to_vec)
        .collect();
    if found.len() < 3 {
        skipped("some of dash, busybox and bash are not installed");
    }
    assert!(!found.is_empty(), "there is no POSIX shell");
    found
}

/// Names a skipped test; under `CI=true` that is a failure.
pub(super) fn skipped(reason: &str) {
    let must = std::env::var("CI").is_ok_and(|ci| ci == "true") && is_root();
    assert!(!must, "skipped: {reason}");
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a batch like a node, and returns its output.
fn run(node: &Node, shell: &[&str], batch: &Batch) -> (i32, Vec<u8>, Vec<u8>) {
    let mut script = String::new();
    for (name, value) in &batch.variables {
        writeln!(script, "{name}='{}'", value.replace('\'', r"'\''")).unwrap();
    }
    if shell[0] == "busybox" {
        script.push_str(&node.functions);
    }
    let text = batch
        .text
        .replace(
            "ob_root=\n",
            &format!("ob_root={}\n", node.root().display()),
        )
        .replace(
            "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n",
            &format!("PATH={}\n", node.bin().display()),
        );
    assert_ne!(text, *batch.text);
    script.push_str(&text);
    let path = node.folder.path().join("script");
    std::fs::write(&path, script).unwrap();
    let out = node.folder.path().join("out");
    let err = node.folder.path().join("err");
    let mut command = Command::new(shell[0]);
    if let Some(user) = node.user {
        command.uid(user).gid(user);
    }
    let mut child = command
        .args(&shell[1..])
        // The flags with which a session runs a script of the manual.
        .arg("-eu")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let status = wait(&mut child);
    (
        status,
        std::fs::read(out).unwrap(),
        std::fs::read(err).unwrap(),
    )
}

fn wait(child: &mut std::process::Child) -> i32 {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the probe took longer than {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The result of a check on a node, in one line.
fn say(node: &Node, shell: &[&str], assertion: &Assertion) -> String {
    let batch = assertion.script();
    let (status, out, err) = run(node, shell, &batch);
    let decision = match batch.split(status, &out, &err).remove(0) {
        Err(error) => return error.to_string(),
        Ok(facts) => assertion.decide(&facts),
    };
    in_one_line(&decision)
}

/// Each check in each shell that lacks what the node lacks: busybox has its applets.
fn table_without(node: &Node, cases: &[(&str, &str)]) {
    for shell in shells().iter().filter(|shell| shell[0] != "busybox") {
        for (check, expected) in cases {
            assert_eq!(
                say(node, shell, &one(check)),
                *expected,
                "{check} under {shell:?}"
            );
        }
    }
}

/// Each check on the node in each shell.
fn table(node: &Node, cases: &[(&str, &str)]) {
    for shell in shells() {
        for (check, expected) in cases {
            assert_eq!(
                say(node, &shell, &one(check)),
                *expected,
                "{check} under {shell:?}"
            );
        }
    }
}

fn plain() -> Node {
    Node::new().tools(&[
        "cat",
        "ls",
        "head",
        "grep",
        "sed",
        "stat",
        "readlink",
        "sha256sum",
        "md5sum",
        "sha512sum",
    ])
}
