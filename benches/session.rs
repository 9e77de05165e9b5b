//! What a session costs beside its floor: one `ssh` that carries the same commands in one
//! sequential script, on a private `sshd`, connection included. Prints ratios of one run.

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

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opsbook::nodes::Transport;
use opsbook::plan::Script;
use opsbook::session::{Limits, Session, Values};
use sshd::{Sshd, options, or_skip};

const ROUNDS: usize = 11;
const AT_ONCE: usize = 8;

/// Files, commands, ports, users, processes.
fn checks(count: usize) -> Vec<String> {
    let kinds = [
        "test -f /etc/passwd && stat -c '%a %U %s' /etc/passwd",
        "uname -r",
        "ss -ltn 2>/dev/null | grep -q ':[0-9]' || grep -q ' 0A ' /proc/net/tcp",
        "id root && getent passwd root",
        "pgrep -x sshd | head -n 1",
    ];
    (0..count)
        .map(|number| kinds[number % kinds.len()].to_owned())
        .collect()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let fleets: [(usize, usize); 3] = [(1, 100), (50, 20), (200, 5)];
    let wanted = std::env::args().nth(1).filter(|word| word.contains('x'));
    for (nodes, each) in fleets {
        if wanted
            .as_ref()
            .is_some_and(|wanted| *wanted != format!("{nodes}x{each}"))
        {
            continue;
        }
        let Some(servers) = (0..nodes)
            .map(|_| or_skip("bench", Sshd::start()))
            .collect::<Option<Vec<_>>>()
        else {
            return;
        };
        compare(&runtime, &servers, each);
    }
}

fn compare(runtime: &tokio::runtime::Runtime, servers: &[Sshd], each: usize) {
    let rounds = if servers.len() == 1 { ROUNDS } else { 3 };
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begin = Instant::now();
        floors(servers, each);
        floor.push(begin.elapsed());
        let begin = Instant::now();
        runtime.block_on(fleet(servers, each));
        ours.push(begin.elapsed());
    }
    let (floor, ours) = (middle(floor), middle(ours));
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    println!(
        "{} x {each}: one ssh each {floor:.3?}, sessions {ours:.3?}, ratio {ratio:.2}",
        servers.len()
    );
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// As `xargs -P 8 ssh` does it.
fn floors(servers: &[Sshd], each: usize) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(server) =
                    servers.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    sequential(server, each);
                }
            });
        }
    });
}

async fn fleet(servers: &[Sshd], each: usize) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut nodes = tokio::task::JoinSet::new();
    for server in servers {
        let (transport, places) = (server.transport(), std::sync::Arc::clone(&places));
        nodes.spawn(async move {
            let _place = places.acquire_owned().await;
            session(transport, each).await;
        });
    }
    nodes.join_all().await;
}

fn sequential(server: &Sshd, each: usize) {
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
    command
        .arg(ssh.host)
        .arg("exec sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut script = String::new();
    for check in checks(each) {
        script.push_str(&check);
        script.push_str("\necho \"status $?\"\n");
    }
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let out = child.wait_with_output().unwrap();
    let passed = out
        .stdout
        .windows(8)
        .filter(|window| window == b"status 0")
        .count();
    assert_eq!(passed, each);
}

async fn session(transport: Transport, each: usize) {
    let session = Session::open_over(&transport, &options()).await.unwrap();
    let mut runs = tokio::task::JoinSet::new();
    for check in checks(each) {
        let session = session.clone();
        runs.spawn(async move {
            let script = Script::for_test("sh", &check);
            session
                .run(&script, &Values::new(), Limits::default())
                .await
                .unwrap()
        });
    }
    for done in runs.join_all().await {
        assert!(done.ok(), "{done:?}");
    }
    session.close().await;
}
