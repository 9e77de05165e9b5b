//! A connection is a reader, a writer and an end. Each connector (`local`, `exec`, `ssh`) makes
//! one; all other code uses these three and knows no connector.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::channel::{Reader, Writer, lock};
use super::fair::{self, WaitsFor};

/// How many bytes of standard error are kept, the newest.
const MOST_SAID: usize = 16 << 10;
/// The time in which a connection may end by itself.
const GRACE: Duration = Duration::from_secs(4);

/// A way to a shell's standard input and output.
pub(super) struct Connection {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) end: End,
}

/// The state of a connection beside its bytes, and the means to end it. When dropped, the
/// connection has a little time to end by itself.
#[derive(Debug)]
pub(super) struct End {
    /// The process id of its program; `None` if it ended at once.
    pid: Option<u32>,
    said: Arc<Mutex<Vec<u8>>>,
    news: watch::Receiver<()>,
    ended: watch::Receiver<Option<Ended>>,
    stop: watch::Sender<Stop>,
}

/// The connector's side: reports the state of a connection.
pub(super) struct Teller {
    said: Arc<Mutex<Vec<u8>>>,
    tell: watch::Sender<()>,
    end: watch::Sender<Option<Ended>>,
}

/// How a connection ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// The program's exit status; `None` if unknown.
    pub(super) status: Option<ExitStatus>,
    /// Everything on standard error, trimmed.
    pub(super) said: String,
}

/// Whether and how a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// It may end by itself.
    Soon,
    /// The same, even if this process ends first.
    LetGo,
    Now,
}

/// The end of a new connection, and the connector's side of it: its reports, and the requests to
/// it.
pub(super) fn end(pid: Option<u32>) -> (End, Teller, watch::Receiver<Stop>) {
    let said = Arc::default();
    let (tell, news) = watch::channel(());
    let (told, ended) = watch::channel(None);
    let (stop, asked) = watch::channel(Stop::No);
    let teller = Teller {
        said: Arc::clone(&said),
        tell,
        end: told,
    };
    let end = End {
        pid,
        said,
        news,
        ended,
        stop,
    };
    (end, teller, asked)
}

/// Waits until a connection must end: at once, or after the time in which it may end by itself.
pub(super) async fn must_end(stop: &mut watch::Receiver<Stop>) {
    let asked = stop.wait_for(|stop| *stop != Stop::No).await;
    let asked = asked.map(|stop| *stop);
    if asked.is_ok_and(|stop| stop != Stop::Now) {
        // Where nobody is left who could cancel, the grace period applies.
        let now = async {
            if stop.wait_for(|stop| *stop == Stop::Now).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        fair::within(GRACE, now).await;
    }
}

impl End {
    /// Standard error so far, or the newest part of it.
    pub(super) fn said(&self) -> String {
        text(&self.said)
    }

    /// Drops the messages so far.
    pub(super) fn forget(&self) {
        lock(&self.said).clear();
    }

    /// Changes with each new message.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.clone()
    }

    /// Who is waiting for whom at this moment.
    pub(super) fn waits_for(&self) -> WaitsFor {
        self.pid.map_or(WaitsFor::Node, fair::waits_for)
    }

    /// Waits for the end of the connection.
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

    /// Lets it end by itself, even if this process ends first.
    pub(super) fn let_go(&self) {
        self.ask(Stop::LetGo);
    }

    /// Lets it end by itself, and kills it if it does not.
    pub(super) async fn leave(&self) {
        self.ask(Stop::Soon);
        self.ended().await;
    }

    /// Requests its end, unless that was done before.
    fn ask(&self, how: Stop) {
        self.stop.send_if_modified(|stop| {
            let first = *stop == Stop::No;
            if first {
                *stop = how;
            }
            first
        });
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.ask(Stop::Soon);
    }
}

impl Teller {
    /// Adds a message.
    pub(super) fn say(&self, words: &[u8]) {
        let mut all = lock(&self.said);
        all.extend_from_slice(words);
        let over = all.len().saturating_sub(MOST_SAID);
        all.drain(..over);
        drop(all);
        self.tell.send_replace(());
    }

    /// Marks the connection as ended; no message follows.
    pub(super) fn end(&self, status: Option<ExitStatus>) {
        let said = text(&self.said);
        self.end.send_replace(Some(Ended { status, said }));
    }
}

fn text(said: &Mutex<Vec<u8>>) -> String {
    let text = String::from_utf8_lossy(&lock(said)).replace('\r', "");
    text.trim().to_owned()
}
