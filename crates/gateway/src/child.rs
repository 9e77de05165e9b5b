//! The runner of this machine: starts it, and restarts it when it ends, with increasing delay.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::gateway::Tell;

/// A runner that ended earlier than this is restarted later.
const SOON: Duration = Duration::from_secs(30);
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// How long a stopping runner may take to hand over its parts or wait for their end.
const GRACE: Duration = Duration::from_secs(10);

/// How to start the runner.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) program: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) state: PathBuf,
    /// The signers, the gateway's name, and the number of approvals that every run needs.
    pub(crate) approval: Option<(PathBuf, String, u32)>,
}

/// Keeps the runner running until `stop`.
pub(crate) async fn supervise(runner: Runner, mut stop: watch::Receiver<()>, tell: Tell) {
    let (mut pause, mut said) = (FIRST, String::new());
    loop {
        let begun = Instant::now();
        let ended = match runner.start() {
            Ok(mut child) => tokio::select! {
                _ = stop.changed() => {
                    end(&mut child).await;
                    return;
                }
                status = child.wait() => match status {
                    Ok(status) => format!("the runner has ended: {status}"),
                    Err(error) => format!("lost contact with the runner: {error}"),
                },
            },
            Err(error) => format!("`{}` cannot be started: {error}", runner.program.display()),
        };
        pause = next_pause(pause, begun.elapsed());
        // Report a repeated message once: an earlier gateway's runner may still be running.
        if ended != said {
            tell(&format!(
                "{ended}; it is started again, with growing delays"
            ));
            said = ended;
        }
        if tokio::time::timeout(pause, stop.changed()).await.is_ok() {
            return;
        }
    }
}

fn next_pause(pause: Duration, lived: Duration) -> Duration {
    if lived >= SOON {
        FIRST
    } else {
        (pause * 2).min(LONGEST)
    }
}

impl Runner {
    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .args(["runner", "run", "--gateway"])
            .arg(format!("unix:{}", self.socket.display()))
            .arg("--state")
            .arg(&self.state);
        if let Some((signers, gateway, always)) = &self.approval {
            command
                .arg("--approvers")
                .arg(signers)
                .arg(format!("--approvals-for={gateway}"))
                .arg(format!("--approvals={always}"))
                // It belongs to this gateway and this user.
                .arg("--groups-from-gateway");
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

async fn end(child: &mut Child) {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // If it has already ended, there is nothing to kill.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_soon_is_started_later_each_time() {
        let mut pause = FIRST;
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            pause = next_pause(pause, Duration::ZERO);
            assert_eq!(pause.as_secs(), expected);
        }
        assert_eq!(next_pause(pause, SOON), FIRST);
    }
}
