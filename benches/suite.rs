//! What `opsbook test` costs, start of the process included, beside its floor: one `ssh` for
//! each node that carries the same questions in one sequential script. Prints ratios of one
//! run. Words choose: `one`, `delay`, `fleet`, `list`, `memory`.
//! `OPSBOOK` names another binary to measure.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::naive_bytecount,
    reason = "a measurement talks, and stops where it cannot go on"
)]

#[path = "../tests/it/sshd.rs"]
#[allow(dead_code)]
mod sshd;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sshd::{Special, Sshd, or_skip};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const CURVE: &str = "KexAlgorithms=curve25519-sha256";

/// A question: as a typed check, and as a command line.
type Question = (&'static str, String, String, String);

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |word: &str| words.is_empty() || words.iter().any(|wanted| wanted == word);
    if wanted("one") {
        one();
    }
    if wanted("delay") {
        delay();
    }
    if wanted("fleet") {
        fleet(50, 20);
        fleet(200, 5);
    }
    if wanted("list") {
        list();
    }
    if wanted("memory") {
        memory();
    }
}

/// Files, commands, ports, users, processes.
fn questions(count: usize) -> Vec<Question> {
    let files = [
        "/etc/passwd",
        "/etc/group",
        "/bin/sh",
        "/etc",
        "/tmp",
        "/usr/bin/env",
        "/etc/hosts",
    ];
    (0..count)
        .map(|n| match n % 10 {
            0..4 => {
                // Different paths, as in any manual.
                let nth = n / 10 * 4 + n % 10;
                let path = format!(
                    "{}{}",
                    "/.".repeat(nth / files.len()),
                    files[nth % files.len()]
                );
                let line = format!("stat -c '%F %a %U' {path}");
                ("file", path, "{exists: true, owner: root}".to_owned(), line)
            }
            4 | 5 => {
                let line = format!("test $(( {n} % 2 )) -lt 2");
                ("command", line.clone(), "{exit-status: 0}".to_owned(), line)
            }
            6 | 7 => {
                let port = 1 + n;
                let line = format!("! ss -ltn 'sport = :{port}' | grep -q LISTEN");
                (
                    "port",
                    format!("tcp:{port}"),
                    "{listening: false}".to_owned(),
                    line,
                )
            }
            8 => {
                let user = [
                    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news",
                ][n / 10 % 10];
                let line = format!("getent passwd {user} && id {user}");
                ("user", user.to_owned(), "{exists: true}".to_owned(), line)
            }
            _ => {
                let line = format!("! pgrep -x no-such-{n}");
                (
                    "process",
                    format!("no-such-{n}"),
                    "{running: false}".to_owned(),
                    line,
                )
            }
        })
        .collect()
}

/// A manual with these questions on these nodes.
fn manual(nodes: &str, questions: &[Question]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut page = String::from("# Page\n\n```yaml checks\nid: bench\n");
    for kind in ["file", "command", "port", "user", "process"] {
        let of_kind = questions.iter().filter(|question| question.0 == kind);
        let lines = of_kind.map(|(_, key, what, _)| format!("  {key:?}: {what}\n"));
        let lines: Vec<String> = lines.collect();
        if !lines.is_empty() {
            let _ = write!(page, "{kind}:\n{}", lines.concat());
        }
    }
    page.push_str("```\n");
    std::fs::create_dir(dir.path().join("manual")).unwrap();
    for (path, text) in [
        ("book.toml", "[book]\nsrc = \"manual\"\n"),
        ("manual/SUMMARY.md", "- [Page](page.md)\n"),
        ("manual/page.md", &page),
        ("nodes.yaml", nodes),
    ] {
        std::fs::write(dir.path().join(path), text).unwrap();
    }
    dir
}

fn nodes(servers: &[Sshd], port: Option<u16>, kex: bool) -> String {
    let mut text = String::from("opsbook: 1\nnodes:\n");
    for (number, server) in servers.iter().enumerate() {
        let ssh = server.ssh();
        let (host, at) = match port {
            Some(port) => ("127.0.0.1".to_owned(), port),
            None => (ssh.host.clone(), server.port),
        };
        let options = options(server, kex);
        let _ = writeln!(
            text,
            "  n{number:03}: {{address: \"{host}\", port: {at}, user: {}, identity: \"{}\", ssh_options: {options:?}}}",
            ssh.user.unwrap(),
            ssh.identity.unwrap().display(),
        );
    }
    text
}

fn options(server: &Sshd, kex: bool) -> Vec<String> {
    let options = server.ssh().options.into_iter();
    let mut options: Vec<String> = options
        .filter(|option| !option.starts_with("Kex"))
        .collect();
    if kex {
        options.push(CURVE.to_owned());
    }
    options
}

fn servers(count: usize) -> Option<Vec<Sshd>> {
    // The login files of whoever measures are none of the floor's business.
    let special = Special {
        config: "SetEnv HOME=/nonexistent".to_owned(),
        ..Special::default()
    };
    (0..count)
        .map(|_| or_skip("bench", Sshd::special(&special)))
        .collect()
}

fn one() {
    let Some(servers) = servers(1) else { return };
    let questions = questions(100);
    for kex in [false, true] {
        let manual = manual(&nodes(&servers, None, kex), &questions);
        let name = if kex {
            "1 x 100, curve25519"
        } else {
            "1 x 100"
        };
        compare(
            name,
            15,
            || ssh(&servers[0], None, kex, &questions),
            || test(manual.path(), &[]),
        );
    }
}

fn delay() {
    let Some(servers) = servers(1) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let to = (servers[0].address.clone(), servers[0].port);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(proxy(listener, to, Duration::from_millis(25)));
    know(&servers[0], port);
    let questions = questions(100);
    let manual = manual(&nodes(&servers, Some(port), false), &questions);
    compare(
        "1 x 100 at 50 ms",
        7,
        || ssh(&servers[0], Some(port), false, &questions),
        || test(manual.path(), &[]),
    );
}

/// The server is reached at this port, too.
fn know(server: &Sshd, port: u16) {
    let path = server.dir.path().join("known_hosts");
    let known = std::fs::read_to_string(&path).unwrap();
    let key = known.split_once(' ').unwrap().1;
    std::fs::write(&path, format!("{known}[127.0.0.1]:{port} {key}")).unwrap();
}

fn fleet(count: usize, each: usize) {
    const AT_ONCE: usize = 32;
    let Some(servers) = servers(count) else {
        return;
    };
    let questions = questions(each);
    let parallel = AT_ONCE.to_string();
    for (name, kex) in [("", false), (", ours with curve25519", true)] {
        let manual = manual(&nodes(&servers, None, kex), &questions);
        compare(
            &format!("{count} x {each}, {AT_ONCE} at a time{name}"),
            3,
            || side_by_side(&servers, AT_ONCE, &questions),
            || test(manual.path(), &["--parallel", &parallel]),
        );
    }
}

/// As `xargs -P N ssh` does it.
fn side_by_side(servers: &[Sshd], at_once: usize, questions: &[Question]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(server) = servers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    ssh(server, None, false, questions);
                }
            });
        }
    });
}

fn list() {
    let nodes: String = (0..200).map(|n| format!("  n{n:03}: {{}}\n")).collect();
    let manual = manual(&format!("opsbook: 1\nnodes:\n{nodes}"), &questions(100));
    let begin = Instant::now();
    let output = opsbook(manual.path(), &["--list"]).output().unwrap();
    let took = begin.elapsed();
    let count = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    println!("list of {count} cases: {took:.3?}");
}

fn memory() {
    let Some(servers) = servers(100) else { return };
    let questions = questions(5);
    let peak = |count: usize| {
        let manual = manual(&nodes(&servers[..count], None, true), &questions);
        let child = opsbook(manual.path(), &["--parallel", "100"])
            .stdout(Stdio::null())
            .spawn();
        let mut child = child.unwrap();
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let now = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
            peak = now.unwrap_or(peak);
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    };
    let (few, many): (u64, u64) = (peak(1), peak(100));
    println!(
        "memory: {few} KiB for 1 node, {many} KiB for 100: {} KiB a node",
        many.saturating_sub(few) / 99
    );
}

fn compare(name: &str, rounds: usize, floor: impl Fn(), ours: impl Fn()) {
    let timed = |work: &dyn Fn()| {
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    // One round first that does not count; then in turns, so that both see the same machine.
    let _ = (timed(&floor), timed(&ours));
    let rounds: Vec<(Duration, Duration)> =
        (0..rounds).map(|_| (timed(&floor), timed(&ours))).collect();
    let (floors, ours): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let (floor, ours) = (middle(floors), middle(ours));
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    println!("{name}: one ssh each {floor:.3?}, opsbook test {ours:.3?}, ratio {ratio:.2}");
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn opsbook(root: &Path, args: &[&str]) -> Command {
    let binary = std::env::var("OPSBOOK").unwrap_or(env!("CARGO_BIN_EXE_opsbook").to_owned());
    let mut command = Command::new(binary);
    command
        .arg("-C")
        .arg(root)
        .arg("test")
        .args(args)
        .stdin(Stdio::null());
    command
}

fn test(root: &Path, args: &[&str]) {
    let output = opsbook(root, args).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{out}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn ssh(server: &Sshd, port: Option<u16>, kex: bool, questions: &[Question]) {
    let ssh = server.ssh();
    let mut command = Command::new("ssh");
    command.args(["-T", "-o", "BatchMode=yes"]);
    for option in options(server, kex) {
        command.arg("-o").arg(option);
    }
    command
        .arg("-p")
        .arg(port.unwrap_or(server.port).to_string());
    command
        .arg("-i")
        .arg(ssh.identity.unwrap())
        .args(["-l", &ssh.user.unwrap()]);
    let host = if port.is_some() {
        "127.0.0.1".to_owned()
    } else {
        ssh.host
    };
    command
        .arg(host)
        .arg("exec sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut script = String::new();
    for (_, _, _, line) in questions {
        let _ = writeln!(script, "{line}\necho \"status $?\"");
    }
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let out = child.wait_with_output().unwrap().stdout;
    let good = String::from_utf8_lossy(&out).matches("status 0").count();
    assert_eq!(good, questions.len(), "{}", String::from_utf8_lossy(&out));
}

/// Passes everything on, each piece this much later than it came.
async fn proxy(listener: TcpListener, to: (String, u16), by: Duration) {
    while let Ok((from, _)) = listener.accept().await {
        let Ok(to) = TcpStream::connect((to.0.as_str(), to.1)).await else {
            continue;
        };
        let _ = (from.set_nodelay(true), to.set_nodelay(true));
        let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
        tokio::spawn(later(from_read, to_write, by));
        tokio::spawn(later(to_read, from_write, by));
    }
}

async fn later(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    by: Duration,
) {
    let (sender, mut pieces) =
        tokio::sync::mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(got @ 1..) = from.read(&mut buffer).await {
        let piece = (tokio::time::Instant::now() + by, buffer[..got].to_vec());
        if sender.send(piece).is_err() {
            return;
        }
    }
}
