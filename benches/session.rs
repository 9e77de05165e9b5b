//! What a session costs beside its floor: one `ssh` that carries the same commands in one
//! sequential script, on a private `sshd`, connection included. Prints ratios of one run.

#[path = "../tests/it/sshd.rs"]
#[allow(dead_code)]
mod sshd;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opsbook::plan::Script;
use opsbook::session::{Limits, Session, Values};
use sshd::{Sshd, options, or_skip};

const ROUNDS: usize = 11;

/// A hundred: files, commands, ports, users, processes.
fn checks() -> Vec<String> {
    let kinds = [
        "test -f /etc/passwd && stat -c '%a %U %s' /etc/passwd",
        "uname -r",
        "ss -ltn 2>/dev/null | grep -q ':[0-9]' || grep -q ' 0A ' /proc/net/tcp",
        "id root && getent passwd root",
        "pgrep -x sshd | head -n 1",
    ];
    (0..100)
        .map(|number| kinds[number % kinds.len()].to_owned())
        .collect()
}

fn main() {
    let Some(server) = or_skip("bench", Sshd::start()) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (mut floor, mut ours, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.push(sequential(&server));
        let begin = Instant::now();
        parts.push(runtime.block_on(session(&server)));
        ours.push(begin.elapsed());
    }
    let (floor, ours) = (middle(floor), middle(ours));
    println!("one ssh, one script:    {floor:?}");
    println!("session, 100 scripts:   {ours:?}");
    println!("  open, run, close:     {:?}", parts[ROUNDS / 2]);
    println!(
        "ratio:                  {:.2}",
        ours.as_secs_f64() / floor.as_secs_f64()
    );
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn sequential(server: &Sshd) -> Duration {
    let ssh = server.ssh();
    let begin = Instant::now();
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
    for check in checks() {
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
    assert_eq!(passed, 100);
    begin.elapsed()
}

async fn session(server: &Sshd) -> [Duration; 3] {
    let begin = Instant::now();
    let session = Session::open_over(&server.transport(), &options())
        .await
        .unwrap();
    let opened = begin.elapsed();
    let runs: Vec<_> = checks()
        .into_iter()
        .map(|check| {
            let session = session.clone();
            tokio::spawn(async move {
                let script = Script::for_test("sh", &check);
                session
                    .run(&script, &Values::new(), Limits::default())
                    .await
                    .unwrap()
            })
        })
        .collect();
    for run in runs {
        let done = run.await.unwrap();
        assert!(done.ok(), "{done:?}");
    }
    let ran = begin.elapsed();
    session.close().await;
    [opened, ran - opened, begin.elapsed() - ran]
}
