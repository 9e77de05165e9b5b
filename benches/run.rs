//! What `opsbook run` costs beside its floors, on a private `sshd`, everything included:
//! start of the program, plan, connection, bundle, journal. Prints ratios of one run.
//!
//! - ten trivial steps, against one `ssh` that carries the ten commands in one script
//! - 200 files delivered, against `tar | ssh tar`
//! - one file of 256 MiB, against `scp -O`
//! - 5 GB of output: memory on both sides (`-- output`, as it takes a while)

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement talks, and stops where it cannot go on"
)]

#[path = "../tests/it/sshd.rs"]
#[allow(dead_code)]
mod sshd;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sshd::{Sshd, or_skip};

const ROUNDS: usize = 9;

fn main() {
    let Some(server) = or_skip("bench", Sshd::start()) else {
        return;
    };
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let on = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    if on("steps") {
        steps(&root.join("steps"), &server);
    }
    if on("files") {
        files(&root.join("files"), &server);
    }
    if on("large") {
        large(&root.join("large"), &server);
    }
    if wanted.iter().any(|word| word == "output") {
        output(&root.join("output"), &server);
    }
}

fn steps(root: &Path, server: &Sshd) {
    let commands: Vec<String> = (1..=10).map(|n| format!("echo {n} > /dev/null")).collect();
    let mut page = String::from("# B\n\n```yaml procedure\nid: b\n```\n\n");
    for command in &commands {
        let _ = writeln!(page, "```sh step\n{command}\n```\n");
    }
    project(root, server, &page);
    let script = commands.join("\n") + "\n";
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.push(timed(|| {
            feed(&mut ssh(server, "exec sh"), script.as_bytes());
        }));
        ours.push(timed(|| opsbook(root)));
    }
    report("ten steps", "one ssh, one script", floor, ours);
}

fn files(root: &Path, server: &Sshd) {
    project(
        root,
        server,
        "# B\n\n```yaml procedure\nid: b\n```\n\n```yaml deliver\n- {tree: tree, as: tree}\n```\n",
    );
    let tree = root.join("tree");
    std::fs::create_dir_all(&tree).unwrap();
    for n in 0..200 {
        std::fs::write(tree.join(format!("file{n}")), vec![b'x'; 4096]).unwrap();
    }
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.push(timed(|| {
            let tar = Command::new("tar")
                .arg("-C")
                .arg(root)
                .args(["-cf", "-", "tree"])
                .output()
                .unwrap();
            feed(
                &mut ssh(
                    server,
                    "d=$(mktemp -d) && tar -C \"$d\" -xf - && rm -rf \"$d\"",
                ),
                &tar.stdout,
            );
        }));
        ours.push(timed(|| opsbook(root)));
    }
    report("200 files", "tar | ssh tar", floor, ours);
}

fn large(root: &Path, server: &Sshd) {
    project(
        root,
        server,
        "# B\n\n```yaml procedure\nid: b\n```\n\n```yaml deliver\n- {file: large, as: large}\n```\n",
    );
    let file = root.join("large");
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    let mut piece = vec![0; 1 << 20];
    std::io::Read::read_exact(&mut random, &mut piece).unwrap();
    let mut writer = std::fs::File::create(&file).unwrap();
    for _ in 0..256 {
        writer.write_all(&piece).unwrap();
    }
    drop(writer);
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        floor.push(timed(|| {
            let ssh = server.ssh();
            let mut scp = Command::new("scp");
            scp.args([
                "-q",
                "-O",
                "-F",
                "none",
                "-P",
                &ssh.port.unwrap().to_string(),
            ]);
            for option in &ssh.options {
                scp.arg("-o").arg(option);
            }
            scp.arg("-i").arg(ssh.identity.as_ref().unwrap());
            let status = scp
                .arg(&file)
                .arg(format!("{}:large.scp", ssh.host))
                .status()
                .unwrap();
            assert!(status.success());
        }));
        ours.push(timed(|| opsbook(root)));
    }
    report("256 MiB", "scp -O", floor, ours);
}

fn output(root: &Path, server: &Sshd) {
    let page = "# B\n\n```yaml procedure\nid: b\ntimeout: 30m\n```\n\n```sh step\nyes 0123456789012345678901234567890123456789 | head -c 5000000000\n```\n";
    project(root, server, page);
    let child = run(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut child = child;
    let mut peak = 0;
    let ended = loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let line = text
                .lines()
                .find(|line| line.starts_with("VmHWM:"))
                .unwrap_or_default();
            peak = peak.max(
                line.split_whitespace()
                    .nth(1)
                    .and_then(|kb| kb.parse::<u64>().ok())
                    .unwrap_or(0),
            );
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    println!(
        "5 GB of output: {ended}, {} MiB at most on this side",
        peak / 1024
    );
}

fn project(root: &Path, server: &Sshd, page: &str) {
    std::fs::create_dir_all(root.join("manual")).unwrap();
    std::fs::create_dir_all(root.join("home")).unwrap();
    std::fs::write(
        root.join("book.toml"),
        "[book]\ntitle = \"B\"\nsrc = \"manual\"\n",
    )
    .unwrap();
    std::fs::write(root.join("manual/SUMMARY.md"), "- [B](b.md)\n").unwrap();
    std::fs::write(root.join("manual/b.md"), page).unwrap();
    let ssh = server.ssh();
    let options: Vec<String> = ssh
        .options
        .iter()
        .map(|option| format!("'{option}'"))
        .collect();
    let user = ssh
        .user
        .map(|user| format!("    user: {user}\n"))
        .unwrap_or_default();
    let nodes = format!(
        "opsbook: 1\nnodes:\n  n:\n    address: {}\n    port: {}\n{user}    identity: {}\n    ssh: {{options: [{}]}}\n",
        ssh.host,
        ssh.port.unwrap(),
        ssh.identity.unwrap().display(),
        options.join(", ")
    );
    std::fs::write(root.join("nodes.yaml"), nodes).unwrap();
}

fn run(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opsbook"));
    command
        .arg("-C")
        .arg(root)
        .args(["run", "b", "n", "--yes"])
        .stdin(Stdio::null());
    command
}

fn opsbook(root: &Path) {
    let output = run(root).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn ssh(server: &Sshd, line: &str) -> Command {
    let ssh = server.ssh();
    let mut command = Command::new("ssh");
    command.args(["-T", "-F", "none", "-o", "BatchMode=yes"]);
    for option in &ssh.options {
        command.arg("-o").arg(option);
    }
    command
        .arg("-p")
        .arg(ssh.port.unwrap().to_string())
        .arg("-i")
        .arg(ssh.identity.unwrap());
    command.arg(ssh.host).arg(line);
    command
}

fn feed(command: &mut Command, bytes: &[u8]) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(child.wait().unwrap().success());
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn report(what: &str, floor_is: &str, floor: Vec<Duration>, ours: Vec<Duration>) {
    let (floor, ours) = (middle(floor), middle(ours));
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    println!("{what}: {ours:?}, {floor_is}: {floor:?}, ratio {ratio:.2}");
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
