//! The controller's side of `runner.sh`: sends commands and receives frames, over any pair of
//! pipes. Knows no transport, no script, no plan.

mod frames;
mod queue;

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::frames::{FULL, GONE, greeting, receive};
use self::queue::{Command, Jobs, Place, Text, Waiting, quick, write};
use super::done::{Done, Limits};
use super::error::Lost;
use super::fair::{FairTime, WaitsFor};
use super::hello::Hello;
use super::text::compact;
use super::values::quote;

static RUNNER: LazyLock<String> = LazyLock::new(|| compact(include_str!("../runner.sh")));
/// The most commands that are queued or running on the node.
const WINDOW: usize = 256;
/// How long to wait for a result beyond the script's own limit.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) type Reader = Pin<Box<dyn AsyncRead + Send>>;
pub(super) type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// An open runner. Dropping it ends the runner.
#[derive(Debug)]
pub(super) struct Channel {
    commands: mpsc::UnboundedSender<Command>,
    jobs: Arc<Mutex<Jobs>>,
    window: Arc<Semaphore>,
    next: AtomicU64,
    workers: usize,
    /// Text that its shell has read after the runner.
    pub(super) prelude: &'static str,
    gone: watch::Receiver<Option<Lost>>,
}

/// Options for starting a shell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// It is a login shell: the environment names the user.
    pub(super) login: bool,
    /// Functions to read after the runner.
    pub(super) prelude: &'static str,
}

/// A script for a worker, already encoded as bytes.
pub(super) struct Job<'a> {
    pub(super) interpreter: &'a str,
    pub(super) values: &'a [u8],
    pub(super) text: &'a [u8],
}

/// Why no runner answered.
#[derive(Debug)]
pub(super) enum NoHello {
    /// The other side ended.
    Ended,
    /// It printed too much without an answer.
    Noise,
    NoDirectory,
    /// Its answer is not valid, or says why it gives no session.
    Odd(String),
    Io(io::Error),
}

/// A sent job. Dropping it before its end cancels the job.
struct Sent<'a> {
    channel: &'a Channel,
    id: u64,
    told: oneshot::Receiver<Done>,
}

impl Channel {
    /// Starts the runner in the shell at the other end of the pipes. `why` returns what the
    /// transport knows about the end of the connection, once it has ended. `noise` gets what the
    /// other side prints before it answers.
    pub(super) async fn start<W>(
        reader: Reader,
        mut writer: Writer,
        start: Start,
        noise: &mut Vec<u8>,
        why: W,
    ) -> Result<(Self, Hello), NoHello>
    where
        W: Future<Output = Lost> + Send + 'static,
    {
        let begin = Instant::now();
        let nonce = nonce();
        let boot = RUNNER
            .replace("@NONCE@", &nonce)
            .replace("@WHO@", if start.login { "login" } else { "" })
            .replace("@DIR@", &self::nonce()[..10]);
        let boot = boot + start.prelude;
        let mut reader = BufReader::with_capacity(64 << 10, reader);
        let greeting = async {
            // If the peer ends at once, report its message, not our broken pipe.
            let _ = writer.write_all(boot.as_bytes()).await;
            let _ = writer.flush().await;
            greeting(&mut reader, &nonce, noise).await
        };
        let hello = greeting.await?;
        let quick = quick(begin.elapsed());
        let (commands, queue) = mpsc::unbounded_channel();
        let (gone_out, gone) = watch::channel(None);
        let jobs = Arc::new(Mutex::new(Jobs::new()));
        let (broken_out, broken) = oneshot::channel();
        let waiting = Arc::clone(&jobs);
        tokio::spawn(async move {
            if write(writer, queue, &waiting, quick).await.is_err() {
                let _ = broken_out.send(());
            }
        });
        let received = receive(reader, nonce, Arc::clone(&jobs), broken);
        let all = Arc::clone(&jobs);
        tokio::spawn(async move {
            let lost = match received.await {
                Some(lost) => lost,
                None => why.await,
            };
            gone_out.send_replace(Some(lost));
            lock(&all).clear();
        });
        let channel = Self {
            commands,
            jobs,
            window: Arc::new(Semaphore::new(WINDOW)),
            next: AtomicU64::new(1),
            workers: hello.workers,
            prelude: start.prelude,
            gone,
        };
        Ok((channel, hello.hello))
    }

    /// Runs a job in a worker.
    pub(super) async fn run(&self, job: Job<'_>, limits: &Limits) -> Result<Done, Lost> {
        refuse_nul(job.text)?;
        let sent = self.send(limits, Place::Worker, |id, out| {
            let (time, grace) = (whole(limits.time), whole(limits.grace));
            let blocks = limits.output.div_ceil(512).max(1);
            let head = format!("ob_run {id} {time} {grace} {blocks} ");
            out.extend_from_slice(head.as_bytes());
            for part in [job.interpreter.as_bytes(), job.values, job.text] {
                quote(part, out);
                out.push(b' ');
            }
            out.push(b'\n');
        });
        sent.await?.done(limits).await
    }

    /// Evaluates code in a background subshell of the runner's main shell.
    pub(super) async fn call(&self, code: &[u8], limits: &Limits) -> Result<Done, Lost> {
        refuse_nul(code)?;
        let sent = self.send(limits, Place::Background, |id, out| {
            let head = format!(
                "ob_call {id} {} {} ",
                whole(limits.time),
                whole(limits.grace)
            );
            out.extend_from_slice(head.as_bytes());
            quote(code, out);
            out.extend_from_slice(format!(" & ob_called {id}\n").as_bytes());
        });
        sent.await?.done(limits).await
    }

    /// Evaluates code in the runner's main shell. The limits apply to whatever the code leaves to
    /// report its end.
    pub(super) async fn here(&self, code: &[u8], limits: &Limits) -> Result<Done, Lost> {
        refuse_nul(code)?;
        let sent = self.send(limits, Place::Shell, |id, out| {
            out.extend_from_slice(format!("ob_here {id} ").as_bytes());
            quote(code, out);
            out.push(b'\n');
        });
        sent.await?.done(limits).await
    }

    /// The same, without keeping a copy of the code while waiting.
    pub(super) async fn begin(&self, code: Text, limits: &Limits) -> Result<Done, Lost> {
        refuse_nul(&code)?;
        let sent = self.send(limits, Place::Shell, |id, out| {
            out.extend_from_slice(format!("ob_here {id} ").as_bytes());
            quote(&code, out);
            out.push(b'\n');
        });
        let sent = sent.await?;
        drop(code);
        sent.done(limits).await
    }

    /// Ends the runner: closes its standard input after everything queued is written.
    pub(super) fn end(&self) {
        let _ = self.commands.send(Command::default());
    }

    pub(super) fn gone(&self) -> watch::Receiver<Option<Lost>> {
        self.gone.clone()
    }

    fn lost(&self) -> Lost {
        self.gone.borrow().clone().unwrap_or(Lost::Closed)
    }

    async fn send(
        &self,
        limits: &Limits,
        place: Place,
        write: impl FnOnce(u64, &mut Vec<u8>),
    ) -> Result<Sent<'_>, Lost> {
        let within = Arc::clone(&self.window).acquire_owned().await;
        let Ok(within) = within else {
            return Err(self.lost());
        };
        let (tell, told) = oneshot::channel();
        // The ids must have the order of the bytes sent: one lock covers both.
        let mut jobs = lock(&self.jobs);
        if self.gone.borrow().is_some() {
            return Err(self.lost());
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = Text::default();
        write(id, &mut text);
        jobs.insert(
            id,
            Waiting {
                tell,
                place,
                since: Instant::now(),
                size: text.len(),
                most: limits.output,
                _within: within,
            },
        );
        let worker = place == Place::Worker;
        let sent = self.commands.send(Command { text, worker });
        drop(jobs);
        let sent_job = Sent {
            channel: self,
            id,
            told,
        };
        sent.map(|()| sent_job).map_err(|_| self.lost())
    }

    fn cancel(&self, id: u64) {
        if lock(&self.jobs).contains_key(&id) {
            let text = Text::new(format!("ob_cancel {id}\n").into_bytes());
            let _ = self.commands.send(Command {
                text,
                worker: false,
            });
        }
    }

    /// Whether a worker must have taken this job: workers take jobs in order.
    fn has_started(&self, id: u64) -> bool {
        let jobs = lock(&self.jobs);
        let Some(own) = jobs.get(&id) else {
            return true;
        };
        let waits = |job: &Waiting| job.place == Place::Worker;
        let before = jobs.range(..id).filter(|(_, job)| waits(job)).count();
        !waits(own) || before < self.workers
    }
}

impl Sent<'_> {
    async fn done(mut self, limits: &Limits) -> Result<Done, Lost> {
        let (mut time, mut started) = (FairTime::start(), false);
        let mut cancelled = false;
        let most = limits
            .time
            .saturating_add(limits.grace)
            .saturating_add(PATIENCE);
        loop {
            tokio::select! {
                biased;
                done = &mut self.told => {
                    return match done {
                        Ok(done) if done.status == FULL => Err(full()),
                        Ok(done) if done.status == GONE => Err(Lost::Killed),
                        Ok(done) => Ok(done),
                        Err(_) => Err(self.channel.lost()),
                    };
                }
                () = raised(limits), if !cancelled => {
                    cancelled = true;
                    self.channel.cancel(self.id);
                }
                () = time.tick(|| WaitsFor::Node) => {
                    if !started {
                        started = self.channel.has_started(self.id);
                        time = FairTime::start();
                    }
                    if time.is_over(most) {
                        return Err(Lost::Silent);
                    }
                }
            }
        }
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.channel.cancel(self.id);
    }
}

async fn raised(limits: &Limits) {
    match &limits.cancel {
        Some(cancel) => cancel.cancelled().await,
        None => std::future::pending().await,
    }
}

fn full() -> Lost {
    Lost::Refused {
        reason: "the node cannot store a script: its disk is full".into(),
    }
}

fn refuse_nul(text: &[u8]) -> Result<(), Lost> {
    match memchr::memchr(0, text) {
        None => Ok(()),
        Some(at) => {
            let line = 1 + memchr::memchr_iter(b'\n', &text[..at]).count();
            let reason =
                format!("script contains a NUL byte in line {line}, which no shell can read");
            Err(Lost::Refused {
                reason: reason.into(),
            })
        }
    }
}

fn whole(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the text contains the beginning of what a session sends to its shell.
pub(super) fn is_runner(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"ob_n=").is_some()
}

/// 64 random bits in hexadecimal.
pub(super) fn nonce() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}
