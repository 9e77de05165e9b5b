//! A program of this machine whose pipes lead to a node's shell. Knows no protocol.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;

use super::channel::{Reader, Writer, lock};
use super::fair::{self, WaitsFor};

/// Of what it says, this much is kept, the newest.
const MOST_SAID: usize = 16 << 10;
/// After its standard input was closed, before it is killed.
const GRACE: Duration = Duration::from_secs(4);

/// A running program. Dropped, it has a little time to end by itself, and is killed then.
#[derive(Debug)]
pub(super) struct Process {
    /// Nothing where it had ended at once.
    pid: Option<u32>,
    said: Arc<Mutex<Vec<u8>>>,
    news: watch::Receiver<()>,
    ended: watch::Receiver<Option<Ended>>,
    stop: watch::Sender<Stop>,
}

#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// `None` where it could not be had.
    pub(super) status: Option<ExitStatus>,
    pub(super) said: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    Soon,
    Now,
}

impl Process {
    /// Starts `command` in a process group of its own, so that a Ctrl-C at the terminal does
    /// not reach it.
    pub(super) fn start(command: &mut Command) -> io::Result<(Self, Reader, Writer)> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id();
        let missing = || io::Error::other("no pipe to the program");
        let writer = child.stdin.take().ok_or_else(missing)?;
        let reader = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let said = Arc::default();
        let (tell, news) = watch::channel(());
        let (end, ended) = watch::channel(None);
        let (stop, stopped) = watch::channel(Stop::No);
        let listening = tokio::spawn(listen(stderr, Arc::clone(&said), tell));
        tokio::spawn(keep(child, stopped, listening, Arc::clone(&said), end));
        let process = Self {
            pid,
            said,
            news,
            ended,
            stop,
        };
        Ok((process, Box::pin(reader), Box::pin(writer)))
    }

    /// What it has said on standard error, from the start or the newest of it.
    pub(super) fn said(&self) -> String {
        text(&self.said)
    }

    /// What it has said until now is of no interest any more.
    pub(super) fn forget(&self) {
        lock(&self.said).clear();
    }

    /// Changes whenever it says something.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.clone()
    }

    /// Whom it waits for at this moment.
    pub(super) fn waits_for(&self) -> WaitsFor {
        self.pid.map_or(WaitsFor::Node, fair::waits_for)
    }

    /// Waits for its end.
    pub(super) fn ended(&self) -> impl Future<Output = Ended> + Send + 'static {
        let mut ended = self.ended.clone();
        let said = Arc::clone(&self.said);
        async move {
            let end = ended
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|end| end.clone());
            end.unwrap_or_else(|| Ended {
                status: None,
                said: text(&said),
            })
        }
    }

    pub(super) fn kill(&self) {
        self.stop.send_replace(Stop::Now);
    }

    /// Lets it end by itself, and kills it where it does not.
    pub(super) async fn leave(&self) {
        self.stop.send_replace(Stop::Soon);
        self.ended().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.send_if_modified(|stop| {
            let first = *stop == Stop::No;
            if first {
                *stop = Stop::Soon;
            }
            first
        });
    }
}

async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<Vec<u8>>>, tell: watch::Sender<()>) {
    let mut buffer = [0; 4096];
    while let Ok(got @ 1..) = stderr.read(&mut buffer).await {
        let mut all = lock(&said);
        all.extend_from_slice(&buffer[..got]);
        let over = all.len().saturating_sub(MOST_SAID);
        all.drain(..over);
        drop(all);
        tell.send_replace(());
    }
}

async fn keep(
    mut child: Child,
    mut stop: watch::Receiver<Stop>,
    listening: tokio::task::JoinHandle<()>,
    said: Arc<Mutex<Vec<u8>>>,
    end: watch::Sender<Option<Ended>>,
) {
    let stopped = async {
        let asked = stop
            .wait_for(|stop| *stop != Stop::No)
            .await
            .map(|stop| *stop);
        if asked.is_ok_and(|stop| stop == Stop::Soon) {
            fair::within(GRACE, now(&mut stop)).await;
        }
    };
    let status = tokio::select! {
        status = child.wait() => status.ok(),
        () = stopped => {
            let _ = child.start_kill();
            child.wait().await.ok()
        }
    };
    // Its last words may still be in the pipe; another process may hold the pipe open.
    let _ = fair::within(Duration::from_millis(500), listening).await;
    end.send_replace(Some(Ended {
        status,
        said: text(&said),
    }));
}

async fn now(stop: &mut watch::Receiver<Stop>) {
    // Where nobody is left who could say so, the grace counts.
    if stop.wait_for(|stop| *stop == Stop::Now).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn text(said: &Mutex<Vec<u8>>) -> String {
    let text = String::from_utf8_lossy(&lock(said)).replace('\r', "");
    text.trim().to_owned()
}
