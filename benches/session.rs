//! The cost of a session compared with its floor: one `ssh` that carries the same commands in one
//! sequential script, on a private `sshd`, connection included. Prints the ratios of one run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::naive_bytecount,
    reason = "a measurement talks, and stops where it cannot go on"
)]

mod bench;

use bench::sshd::{Sshd, options};
use bench::{Way, Words, compare, feed, servers, side_by_side, ssh};
use opsbook::session::{Limits, Script, Session, Target, Values};

/// The same connection settings for both sides.
const WAY: Way = Way {
    port: None,
    curve: true,
    russh: false,
};
const AT_ONCE: usize = 8;

/// Checks of files, commands, ports, users and processes.
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
    let words = Words::given();
    for (nodes, each) in [(1, 100), (50, 20), (200, 5)] {
        let name = format!("{nodes}x{each}");
        if !words.want(&name) {
            continue;
        }
        let Some(servers) = servers(nodes) else {
            return;
        };
        let rounds = if nodes == 1 { 11 } else { 3 };
        let floor = || side_by_side(&servers, AT_ONCE, |server| sequential(server, each));
        let ours = || runtime.block_on(fleet(&servers, each));
        compare(rounds, floor, ours).found(&format!("session-{name}"));
    }
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
    let mut script = String::new();
    for check in checks(each) {
        script.push_str(&check);
        script.push_str("\necho \"status $?\"\n");
    }
    let out = feed(&mut ssh(server, WAY, "exec sh"), script.as_bytes());
    let passed = String::from_utf8_lossy(&out).matches("status 0").count();
    assert_eq!(passed, each);
}

async fn session(transport: Target, each: usize) {
    let session = Session::open(&transport, &options()).await.unwrap();
    let mut runs = tokio::task::JoinSet::new();
    for check in checks(each) {
        let session = session.clone();
        runs.spawn(async move {
            let script = Script::new("sh", check.as_str());
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
