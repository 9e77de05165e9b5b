//! A connection that a program of this machine carries: its pipes lead to a node's shell, and
//! what it says on standard error is said beside them. Knows no protocol.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;

use super::connection::{Connection, Stop, Teller, end};
use super::error::{Cause, OpenError};
use super::fair;

/// After its standard input was closed, before it is killed.
const GRACE: Duration = Duration::from_secs(4);

/// Starts `command` in a process group of its own, so that a Ctrl-C at the terminal does not
/// reach it.
pub(super) fn start(mut command: Command) -> Result<Connection, OpenError> {
    let started = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = started.map_err(|error| {
        let program = command.as_std().get_program().to_string_lossy();
        let program = program.into_owned();
        OpenError::new(Cause::Program { program }, error.to_string())
    })?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(writer), Some(reader), Some(stderr)) = pipes else {
        return Err(OpenError::new(Cause::Other, "no pipe to the program"));
    };
    let (end, teller, stop) = end(child.id());
    let teller = Arc::new(teller);
    let listening = tokio::spawn(listen(stderr, Arc::clone(&teller)));
    let kept = Kept {
        child,
        stop: stop.clone(),
    };
    tokio::spawn(keep(kept, stop, listening, teller));
    Ok(Connection {
        reader: Box::pin(reader),
        writer: Box::pin(writer),
        end,
    })
}

async fn listen(mut stderr: ChildStderr, teller: Arc<Teller>) {
    let mut buffer = [0; 4096];
    while let Ok(got @ 1..) = stderr.read(&mut buffer).await {
        teller.say(&buffer[..got]);
    }
}

/// The program. It is killed where nobody looks after it any more, as where this process comes to
/// its end; but not one that was let go: its standard input is closed, and it ends by itself.
struct Kept {
    child: Child,
    stop: watch::Receiver<Stop>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if *self.stop.borrow() != Stop::LetGo {
            let _ = self.child.start_kill();
        }
    }
}

async fn keep(
    mut kept: Kept,
    mut stop: watch::Receiver<Stop>,
    listening: tokio::task::JoinHandle<()>,
    teller: Arc<Teller>,
) {
    let stopped = async {
        let asked = stop
            .wait_for(|stop| *stop != Stop::No)
            .await
            .map(|stop| *stop);
        if asked.is_ok_and(|stop| stop != Stop::Now) {
            fair::within(GRACE, now(&mut stop)).await;
        }
    };
    let status = tokio::select! {
        status = kept.child.wait() => status.ok(),
        () = stopped => {
            let _ = kept.child.start_kill();
            kept.child.wait().await.ok()
        }
    };
    // Its last words may still be in the pipe; another process may hold the pipe open.
    let _ = fair::within(Duration::from_millis(500), listening).await;
    teller.end(status);
}

async fn now(stop: &mut watch::Receiver<Stop>) {
    // Where nobody is left who could say so, the grace counts.
    if stop.wait_for(|stop| *stop == Stop::Now).await.is_err() {
        std::future::pending::<()>().await;
    }
}
