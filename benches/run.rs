//! The cost of `opsbook run` compared with its floors, on a private `sshd`, end to end: program
//! start, plan, connection, bundle, journal. Prints the ratios of one run.
//!
//! - ten trivial steps, against one `ssh` that carries the ten commands in one script; the same
//!   at a round trip of 50 ms
//! - the ten steps with opsbook's own ssh (`russh`), against the same `ssh`
//! - a second command on a node with an open connection
//! - 200 delivered files, against `tar | ssh tar`
//! - one file of 256 MiB, against `scp -O`
//! - ten steps over three nodes, against ten on one
//! - thirty nodes in a section that takes ten at a time, against batches of ten
//! - 5 GB of output: memory on both sides (only with `-- output`, because it takes long)

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement talks, and stops where it cannot go on"
)]

mod bench;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bench::delay::delayed;
use bench::sshd::{Sshd, or_skip};
use bench::{Way, Words, compare, feed, measured, opsbook_well, peak, peak_of_logins, ssh};

/// The same cheap key exchange for both sides: an expensive one would hide opsbook's overhead.
const WAY: Way = Way {
    port: None,
    curve: true,
    russh: false,
};
const RUN: [&str; 4] = ["run", "b", "n000", "--yes"];

fn main() {
    let Some(server) = or_skip("bench", Sshd::start()) else {
        return;
    };
    let words = Words::given();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    if words.want("steps") {
        steps(&root.join("steps"), &server, WAY, "steps");
    }
    if words.want("russh") {
        let way = Way { russh: true, ..WAY };
        steps(&root.join("russh"), &server, way, "steps-russh");
    }
    if words.want("delay") {
        let (_runtime, way) = delayed(&server, Duration::from_millis(25), true);
        steps(&root.join("delay"), &server, way, "steps-delay");
    }
    if words.want("kept") {
        kept(&root.join("kept"), &server);
    }
    if words.want("files") {
        files(&root.join("files"), &server);
    }
    if words.want("large") {
        large(&root.join("large"), &server);
    }
    if words.want("several") {
        several(&root.join("several"));
    }
    if words.want("each") {
        each(&root.join("each"));
    }
    if words.name("output") {
        output(&root.join("output"), &server);
    }
}

fn steps(root: &Path, server: &Sshd, way: Way, id: &str) {
    let commands: Vec<String> = (1..=10).map(|n| format!("echo {n} > /dev/null")).collect();
    let mut page = String::from("# B\n\n```yaml procedure\nid: b\n```\n\n");
    for command in &commands {
        let _ = writeln!(page, "```sh step\n{command}\n```\n");
    }
    let nodes = bench::nodes(std::slice::from_ref(server), way);
    bench::project(root, &page, &nodes);
    let script = commands.join("\n") + "\n";
    let floor = || drop(feed(&mut ssh(server, way, "exec sh"), script.as_bytes()));
    compare(7, floor, || opsbook_well(root, &RUN)).found(id);
}

/// A check and a step on a node whose connection the previous command left open, against a new
/// `ssh`.
fn kept(root: &Path, server: &Sshd) {
    let page = "# A\n\n```yaml checks\nid: a\n```\n\n```sh check id=c\ntrue\n```\n\n\
                # B\n\n```yaml procedure\nid: b\n```\n\n```sh step\ntrue\n```\n";
    let place = tempfile::Builder::new().prefix("ob").tempdir_in("/tmp");
    let place = place.unwrap();
    let nodes = bench::nodes(std::slice::from_ref(server), WAY);
    let nodes = nodes.replace("{transport", "{keep_connection: 1m, transport");
    assert!(nodes.contains("keep_connection"), "{nodes}");
    bench::project(root, page, &nodes);
    let second = |args: &[&str]| {
        let mut command = bench::opsbook(root, args);
        let command = command.env("XDG_RUNTIME_DIR", place.path());
        assert!(command.output().unwrap().status.success());
    };
    let floor = || drop(feed(&mut ssh(server, WAY, "exec sh"), b"true\n"));
    compare(7, floor, || second(&["test"])).found("kept");
    compare(7, floor, || second(&RUN)).found("kept-step");
    let sockets = std::fs::read_dir(place.path().join("opsbook")).unwrap();
    for socket in sockets.flatten().map(|entry| entry.path()) {
        let mut exit = Command::new("ssh");
        let exit = exit.arg("-S").arg(socket).args(["-O", "exit", "any"]);
        let _ = exit.output();
    }
}

/// Ten steps that alternate between nodes, compared with ten on one node.
fn several(root: &Path) {
    let Some(servers) = bench::servers(3) else {
        return;
    };
    let (mut one, mut three) = (procedure("one", ""), procedure("three", ROLES));
    for step in 1..=10 {
        let _ = writeln!(one, "```sh step\necho {step} > /dev/null\n```\n");
        let on = ["a", "b", "c"][step % 3];
        let _ = writeln!(three, "```sh step on={on}\necho {step} > /dev/null\n```\n");
    }
    bench::project(root, &(one + &three), &bench::nodes(&servers, WAY));
    let floor = || opsbook_well(root, &["run", "one", "n000", "--yes"]);
    let three = ["run", "three", "a=n000", "b=n001", "c=n002", "--yes"];
    compare(7, floor, || opsbook_well(root, &three)).found("several");
}

/// Thirty rounds of a section, ten at a time, compared with the same steps in batches of runs.
fn each(root: &Path) {
    let Some(servers) = bench::servers(30) else {
        return;
    };
    let steps = |on: &str| {
        let step = |step| format!("```sh step{on}\necho {step} > /dev/null\n```\n\n");
        (1..=3).map(step).collect::<String>()
    };
    let plain = procedure("plain", "") + &steps("");
    let section = "## Each\n\n```yaml each\nweb: {batch: 10}\n```\n\n";
    let turns = procedure("turns", "roles:\n  web: {nodes: \"n*\", count: 1+}\n");
    let page = plain + &turns + section + &steps(" on=web");
    bench::project(root, &page, &bench::nodes(&servers, WAY));
    let names: Vec<String> = (0..30).map(|number| format!("n{number:03}")).collect();
    let web = format!("web={}", names.join(","));
    let batches = ["--batch", "10", "--yes"];
    let plain: Vec<&str> = ["run", "plain"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .chain(batches)
        .collect();
    let floor = || opsbook_well(root, &plain);
    compare(5, floor, || {
        opsbook_well(root, &["run", "turns", &web, "--yes"]);
    })
    .found("each");
}

const ROLES: &str = "roles:\n  a: {nodes: \"n*\"}\n  b: {nodes: \"n*\"}\n  c: {nodes: \"n*\"}\n";

/// The start of a page, or of its next procedure.
fn procedure(id: &str, more: &str) -> String {
    format!("# {id}\n\n```yaml procedure\nid: {id}\n{more}```\n\n")
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
    let floor = || {
        let mut tar = Command::new("tar");
        let tar = tar.arg("-C").arg(root).args(["-cf", "-", "tree"]).output();
        let unpack = "d=$(mktemp -d) && tar -C \"$d\" -xf - && rm -rf \"$d\"";
        feed(&mut ssh(server, WAY, unpack), &tar.unwrap().stdout);
    };
    compare(9, floor, || opsbook_well(root, &RUN)).found("files");
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
    let floor = || assert!(scp(server, &file).status().unwrap().success());
    compare(9, floor, || opsbook_well(root, &RUN)).found("large");
}

fn scp(server: &Sshd, file: &Path) -> Command {
    let ssh = server.ssh();
    let mut scp = Command::new("scp");
    scp.args(["-q", "-O", "-F", "none", "-P"]);
    scp.arg(server.port.to_string());
    for option in &ssh.options {
        scp.arg("-o").arg(option);
    }
    scp.arg("-i").arg(ssh.identity.unwrap()).arg(file);
    scp.arg(format!("{}:large.scp", ssh.host));
    scp
}

fn output(root: &Path, server: &Sshd) {
    let page = "# B\n\n```yaml procedure\nid: b\ntimeout: 30m\n```\n\n```sh step\nyes 0123456789012345678901234567890123456789 | head -c 5000000000\n```\n";
    project(root, server, page);
    let mut run = bench::opsbook(root, &RUN);
    let mut child = run
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (on_node, most) = peak_of_logins(server, || peak(&mut child));
    let ended = child.wait().unwrap();
    measured::found("output", most, &format!("on the controller; {ended}"));
    measured::found("output-node", on_node, "the most at one moment, summed");
}

fn project(root: &Path, server: &Sshd, page: &str) {
    let nodes = bench::nodes(std::slice::from_ref(server), WAY);
    bench::project(root, page, &nodes);
}
