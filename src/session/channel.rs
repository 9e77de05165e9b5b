//! The controller's side of `runner.sh`: commands out, frames in, over any pair of pipes.
//! Knows no transport, no script, no plan.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use zeroize::Zeroizing;

use super::done::{Done, End, Limits};
use super::error::Lost;
use super::hello::Hello;
use super::values::quote;

const RUNNER: &str = include_str!("runner.sh");
/// Login noise above this is no shell that can be talked to.
const MOST_NOISE: usize = 64 << 10;
/// Queued or running on the node at once.
const WINDOW: usize = 256;
/// After nobody reads commands any more, for results that are on their way.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A job that has taken this long is watched: its time limit is counted on the node.
const SLOW: Duration = Duration::from_secs(1);
/// Scripts of this size are work for a worker.
const LONG: usize = 16 << 10;
/// Beyond a script's own limit, before its result is given up.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) type Reader = Pin<Box<dyn AsyncRead + Send>>;
pub(super) type Writer = Pin<Box<dyn AsyncWrite + Send>>;
type Text = Zeroizing<Vec<u8>>;

/// An open runner. Dropping it ends the runner.
#[derive(Debug)]
pub(super) struct Channel {
    commands: mpsc::UnboundedSender<Command>,
    jobs: Arc<Mutex<Jobs>>,
    window: Arc<Semaphore>,
    next: AtomicU64,
    workers: usize,
    gone: watch::Receiver<Option<Lost>>,
}

/// One line for the runner.
#[derive(Debug, Default)]
struct Command {
    text: Text,
    /// Whether it is a job for a worker.
    worker: bool,
}

/// A script for a worker, already made of bytes.
pub(super) struct Job<'a> {
    pub(super) interpreter: &'a str,
    pub(super) values: &'a [u8],
    pub(super) text: &'a [u8],
}

/// Why no runner answered.
#[derive(Debug)]
pub(super) enum NoHello {
    /// The other side ended; what it had printed until then.
    Ended(String),
    /// Too much was printed, and no answer among it.
    Noise(String),
    NoDirectory,
    Io(io::Error),
}

type Jobs = BTreeMap<u64, Waiting>;

#[derive(Debug)]
struct Waiting {
    tell: oneshot::Sender<Done>,
    place: Place,
    since: Instant,
    /// Of the text.
    size: usize,
    most: u64,
    _within: OwnedSemaphorePermit,
}

/// Where something runs on the node. In the main shell itself no limit is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Worker,
    Background,
    Shell,
}

/// A job that was sent. Dropped before its end, it cancels the job.
struct Sent<'a> {
    channel: &'a Channel,
    id: u64,
    told: oneshot::Receiver<Done>,
}

impl Channel {
    /// Starts the runner in the shell at the other end of the pipes; in that of a `login`,
    /// the environment says who it is. `why` tells what the
    /// transport knows about the end of the connection, once it has ended.
    pub(super) async fn start<W>(
        reader: Reader,
        mut writer: Writer,
        login: bool,
        why: W,
    ) -> Result<(Self, Hello), NoHello>
    where
        W: Future<Output = Lost> + Send + 'static,
    {
        let nonce = nonce();
        let boot = RUNNER
            .replace("@NONCE@", &nonce)
            .replace("@WHO@", if login { "login" } else { "" })
            .replace("@DIR@", &self::nonce()[..10]);
        let mut reader = BufReader::with_capacity(64 << 10, reader);
        let greeting = async {
            // A peer that ends at once is told by what it says, not by our broken pipe.
            let _ = writer.write_all(boot.as_bytes()).await;
            let _ = writer.flush().await;
            greeting(&mut reader, &nonce).await
        };
        let hello = greeting.await?;
        let (commands, queue) = mpsc::unbounded_channel();
        let (gone_out, gone) = watch::channel(None);
        let jobs = Arc::new(Mutex::new(Jobs::new()));
        let (broken_out, broken) = oneshot::channel();
        let waiting = Arc::clone(&jobs);
        tokio::spawn(async move {
            if write(writer, queue, &waiting).await.is_err() {
                let _ = broken_out.send(());
            }
        });
        let received = receive(reader, nonce, Arc::clone(&jobs), broken);
        let all = Arc::clone(&jobs);
        tokio::spawn(async move {
            received.await;
            gone_out.send_replace(Some(why.await));
            lock(&all).clear();
        });
        let channel = Self {
            commands,
            jobs,
            window: Arc::new(Semaphore::new(WINDOW)),
            next: AtomicU64::new(1),
            workers: hello.workers,
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

    /// Evaluates code in the runner's main shell. The limits are for what it leaves to tell
    /// its end.
    pub(super) async fn here(&self, code: &[u8], limits: &Limits) -> Result<Done, Lost> {
        refuse_nul(code)?;
        let sent = self.send(limits, Place::Shell, |id, out| {
            out.extend_from_slice(format!("ob_here {id} ").as_bytes());
            quote(code, out);
            out.push(b'\n');
        });
        sent.await?.done(limits).await
    }

    /// Ends the runner: its standard input closes once all that was queued is written.
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
        // The order of the ids is the order on the wire: the lock covers both.
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

    /// Whether a worker must have taken this job: the queue is taken from in order.
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
        let mut started: Option<Instant> = None;
        let mut cancelled = false;
        let most = limits
            .time
            .saturating_add(limits.grace)
            .saturating_add(PATIENCE);
        loop {
            tokio::select! {
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
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    if started.is_none() && self.channel.has_started(self.id) {
                        started = Some(Instant::now());
                    }
                    if started.is_some_and(|since| since.elapsed() > most) {
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

/// A status that no shell gives: the node could not store the script.
const FULL: i32 = -1;
/// Another: the process of a call was killed.
const GONE: i32 = -2;

fn full() -> Lost {
    Lost::Refused {
        reason: "the node cannot store a script: its disk is full".to_owned(),
    }
}

fn refuse_nul(text: &[u8]) -> Result<(), Lost> {
    match memchr::memchr(0, text) {
        None => Ok(()),
        Some(at) => {
            let line = 1 + memchr::memchr_iter(b'\n', &text[..at]).count();
            let reason =
                format!("script contains a NUL byte in line {line}, which no shell can read");
            Err(Lost::Refused { reason })
        }
    }
}

fn whole(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 64 random bits in hexadecimal.
pub(super) fn nonce() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// Writes what is queued, as much as there is at a time, and says first how many jobs that
/// is. Asks for the watchdog where one of them takes its time. An empty command ends it.
async fn write(
    mut writer: Writer,
    mut queue: mpsc::UnboundedReceiver<Command>,
    jobs: &Mutex<Jobs>,
) -> io::Result<()> {
    let mut look: Option<Instant> = None;
    loop {
        let command = tokio::select! {
            command = queue.recv() => command,
            () = at(look) => {
                look = due(&lock(jobs));
                if look.is_some_and(|due| due <= Instant::now()) {
                    look = None;
                    writer.write_all(b"ob_watch\n").await?;
                    writer.flush().await?;
                }
                continue;
            }
        };
        let Some(command) = command else { break };
        look = look.or_else(|| Some(Instant::now() + SLOW));
        let mut last = command.text.is_empty();
        let (mut size, mut commands) = (command.text.len(), vec![command]);
        while !last && size < (64 << 10) {
            let Ok(more) = queue.try_recv() else { break };
            last = more.text.is_empty();
            size += more.text.len();
            commands.push(more);
        }
        write_all(&mut writer, &commands, jobs).await?;
        if last {
            break;
        }
    }
    let _ = writer.shutdown().await;
    Ok(())
}

/// When the oldest of the jobs that have a limit has taken long enough to be watched.
fn due(jobs: &Jobs) -> Option<Instant> {
    let limited = |job: &&Waiting| job.place != Place::Shell;
    Some(jobs.values().find(limited)?.since + SLOW)
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

async fn write_all(
    writer: &mut Writer,
    commands: &[Command],
    waiting: &Mutex<Jobs>,
) -> io::Result<()> {
    let jobs = commands.iter().filter(|command| command.worker).count();
    let size: usize = commands.iter().map(|command| command.text.len()).sum();
    let mut text = Text::new(Vec::with_capacity(size + 32));
    if jobs > 0 {
        let workers = worth(&lock(waiting));
        text.extend_from_slice(format!("ob_more {jobs} {workers}\n").as_bytes());
    }
    for command in commands {
        text.extend_from_slice(&command.text);
    }
    writer.write_all(&text).await?;
    writer.flush().await
}

/// How many workers the jobs at hand are worth: to start one costs as much as a quick job.
fn worth(jobs: &Jobs) -> usize {
    let jobs = jobs.values().filter(|job| job.place == Place::Worker);
    let (count, size) = jobs.fold((0_usize, 0_usize), |(count, size), job| {
        (count + 1, size + job.size)
    });
    count.div_ceil(2).max(size.div_ceil(LONG)).max(1)
}

struct Greeting {
    hello: Hello,
    workers: usize,
}

async fn greeting(reader: &mut BufReader<Reader>, nonce: &str) -> Result<Greeting, NoHello> {
    let (mut line, mut noise) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let got = reader
            .read_until(b'\n', &mut line)
            .await
            .map_err(NoHello::Io)?;
        let said = || String::from_utf8_lossy(&noise).trim().to_owned();
        if got == 0 {
            return Err(NoHello::Ended(said()));
        }
        match line.strip_prefix(nonce.as_bytes()) {
            Some(b" H\n") => return facts(reader, nonce).await,
            Some(b" F\n") => return Err(NoHello::NoDirectory),
            _ if noise.len() + got > MOST_NOISE => return Err(NoHello::Noise(said())),
            _ => noise.extend_from_slice(&line),
        }
    }
}

async fn facts(reader: &mut BufReader<Reader>, nonce: &str) -> Result<Greeting, NoHello> {
    let mut greeting = Greeting {
        hello: Hello::default(),
        workers: 4,
    };
    let end = format!("{nonce}.");
    let mut lines = Vec::new();
    loop {
        lines.clear();
        let got = reader
            .read_until(b'\n', &mut lines)
            .await
            .map_err(NoHello::Io)?;
        if got == 0 {
            return Err(NoHello::Ended(String::new()));
        }
        let line = String::from_utf8_lossy(&lines);
        let line = line.trim_end_matches('\n');
        if line == end {
            return Ok(greeting);
        }
        if let Some((key, value)) = line.split_once('=') {
            greeting.take(key, value);
        }
    }
}

impl Greeting {
    fn take(&mut self, key: &str, value: &str) {
        let hello = &mut self.hello;
        match key {
            "user" => value.clone_into(&mut hello.user),
            "uid" => hello.uid = value.parse().unwrap_or(u32::MAX),
            "home" => value.clone_into(&mut hello.home),
            "hostname" => value.clone_into(&mut hello.hostname),
            "kernel" => value.clone_into(&mut hello.kernel),
            "shell" => value.clone_into(&mut hello.shell),
            "boot" => value.clone_into(&mut hello.boot_id),
            "pid" => hello.pid = value.parse().unwrap_or(0),
            "cores" => hello.cores = value.parse().unwrap_or(1),
            "dir" => value.clone_into(&mut hello.dir),
            "workers" => self.workers = value.parse().unwrap_or(4),
            "has" => hello.has(value),
            _ => {}
        }
    }
}

/// Reads frames until the other side ends. Where only the runner itself does, what it has
/// started may hold the pipe open: that nobody reads our commands tells, too.
async fn receive(
    mut reader: BufReader<Reader>,
    nonce: String,
    jobs: Arc<Mutex<Jobs>>,
    broken: oneshot::Receiver<()>,
) {
    let delimiter = format!("\n{nonce}.\n").into_bytes();
    let frames = async {
        while frame(&mut reader, &nonce, &delimiter, &jobs)
            .await
            .is_some()
        {}
    };
    let deaf = async {
        match broken.await {
            Ok(()) => tokio::time::sleep(LAST_WORDS).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = frames => {}
        () = deaf => {}
    }
}

/// One frame: the ends of several jobs, and their outputs. `None` at the end of the stream.
async fn frame(
    reader: &mut BufReader<Reader>,
    nonce: &str,
    delimiter: &[u8],
    jobs: &Mutex<Jobs>,
) -> Option<()> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line).await.ok()? == 0 {
        return None;
    }
    let line = String::from_utf8_lossy(&line);
    // Anything else is noise: a background process of a login file, say.
    let Some(ends) = line
        .strip_prefix(nonce)
        .and_then(|rest| rest.strip_prefix(" R "))
    else {
        return Some(());
    };
    for end in ends.split_whitespace() {
        let (id, mut done, marks) = parse_end(end)?;
        let most = lock(jobs).get(&id).map_or(0, |job| job.most);
        if marks.contains('o') {
            done.truncated |= until(reader, delimiter, &mut done.out, most).await?;
        }
        if marks.contains('e') {
            done.truncated |= until(reader, delimiter, &mut done.err, most).await?;
        }
        if let Some(job) = lock(jobs).remove(&id) {
            let _ = job.tell.send(done);
        }
    }
    Some(())
}

/// `ID:STATUS:MARKS`.
fn parse_end(text: &str) -> Option<(u64, Done, &str)> {
    let mut parts = text.splitn(3, ':');
    let id = parts.next()?.parse().ok()?;
    let status = parts.next()?;
    let marks = parts.next()?;
    let end = match marks {
        _ if marks.contains('c') => End::Cancelled,
        _ if marks.contains('x') => End::TimedOut {
            killed: marks.contains('k'),
        },
        _ => End::Exited,
    };
    let status = match status {
        "full" => FULL,
        "gone" => GONE,
        status => status.parse().ok()?,
    };
    Some((
        id,
        Done {
            status,
            end,
            ..Done::default()
        },
        marks,
    ))
}

/// Reads up to the delimiter, binary safe, and keeps at most `most` bytes; whether the
/// output reached that. Looks at each byte once.
async fn until(
    reader: &mut BufReader<Reader>,
    delimiter: &[u8],
    out: &mut Vec<u8>,
    most: u64,
) -> Option<bool> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut truncated = false;
    loop {
        let chunk = reader.fill_buf().await.ok()?;
        if chunk.is_empty() {
            return None;
        }
        let (old, taken) = (out.len(), chunk.len());
        out.extend_from_slice(chunk);
        let from = old.saturating_sub(delimiter.len() - 1);
        if let Some(at) = memchr::memmem::find(&out[from..], delimiter) {
            let end = from + at;
            reader.consume(end + delimiter.len() - old);
            out.truncate(end);
            truncated |= out.len() >= most;
            out.truncate(most);
            return Some(truncated);
        }
        reader.consume(taken);
        // The tail stays, because it may hold the first half of the delimiter.
        if out.len() > most.saturating_add(2 * delimiter.len()) {
            truncated = true;
            out.drain(most..out.len() - delimiter.len());
        }
    }
}

/// For messages: how the shell's own words name the stored script.
pub(super) fn name_script(err: &mut Vec<u8>, dir: &str) {
    let mut shown = String::new();
    let _ = write!(shown, "{dir}/");
    let finder = memchr::memmem::Finder::new(shown.as_bytes());
    let mut at = 0;
    let mut named = Vec::new();
    for found in finder.find_iter(err) {
        let digits = err[found + shown.len()..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        let end = found + shown.len() + digits;
        if found >= at && digits > 0 && err[end..].starts_with(b".s") {
            named.extend_from_slice(&err[at..found]);
            named.extend_from_slice(b"script");
            at = end + 2;
        }
    }
    if at > 0 {
        named.extend_from_slice(&err[at..]);
        *err = named;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_parsed() {
        let done = |status, end| Done {
            status,
            end,
            ..Done::default()
        };
        let killed = End::TimedOut { killed: true };
        for (text, id, expected) in [
            ("7:0:", 7, done(0, End::Exited)),
            ("8:143:oec", 8, done(143, End::Cancelled)),
            ("9:137:xk", 9, done(137, killed)),
            ("9:full:", 9, done(FULL, End::Exited)),
            ("9:gone:", 9, done(GONE, End::Exited)),
        ] {
            let (got, end, _) = parse_end(text).unwrap();
            assert_eq!((got, end), (id, expected), "{text}");
        }
        assert!(parse_end("x:0:").is_none());
    }

    fn waiting(jobs: &[(Place, usize)]) -> Jobs {
        let place = Arc::new(Semaphore::new(jobs.len()));
        let waiting = |(place, size), within| Waiting {
            tell: oneshot::channel().0,
            place,
            since: Instant::now(),
            size,
            most: 0,
            _within: within,
        };
        let permit = || Arc::clone(&place).try_acquire_owned().unwrap();
        let jobs = jobs.iter().map(|job| waiting(*job, permit()));
        (1..).zip(jobs).collect()
    }

    #[test]
    fn few_quick_jobs_are_worth_one_worker() {
        use Place::{Background, Shell, Worker};
        for (jobs, workers) in [
            (vec![(Worker, 1)], 1),
            (vec![(Worker, 2_000); 2], 1),
            (vec![(Worker, 2_000); 3], 2),
            (vec![(Worker, 12_000); 2], 2),
            (vec![(Worker, 100); 100], 50),
            (
                vec![(Worker, 100), (Background, 90_000), (Shell, 90_000)],
                1,
            ),
        ] {
            assert_eq!(worth(&waiting(&jobs)), workers, "{jobs:?}");
        }
    }

    #[test]
    fn what_has_a_limit_is_watched() {
        use Place::{Background, Shell, Worker};
        for (jobs, watched) in [
            (vec![], false),
            (vec![Shell], false),
            (vec![Shell, Worker], true),
            (vec![Background], true),
        ] {
            let jobs: Vec<_> = jobs.into_iter().map(|place| (place, 1)).collect();
            assert_eq!(due(&waiting(&jobs)).is_some(), watched, "{jobs:?}");
        }
    }

    #[tokio::test]
    async fn output_ends_at_the_delimiter_however_it_is_cut() {
        let text = b"a\nNONCE\n\nNONCE.\nb\nNONCE.\nrest".to_vec();
        for size in 1..text.len() {
            let chunks: Reader = Box::pin(std::io::Cursor::new(text.clone()));
            let mut reader = BufReader::with_capacity(size, chunks);
            let mut out = Vec::new();
            assert_eq!(
                until(&mut reader, b"\nNONCE.\n", &mut out, 100).await,
                Some(false)
            );
            assert_eq!(out, b"a\nNONCE\n");
            out.clear();
            assert_eq!(
                until(&mut reader, b"\nNONCE.\n", &mut out, 100).await,
                Some(false)
            );
            assert_eq!(out, b"b");
        }
    }

    #[tokio::test]
    async fn output_over_the_limit_is_cut_there() {
        let mut text = vec![b'x'; 5000];
        text.extend_from_slice(b"\nNONCE.\n");
        for size in [1, 7, 100, 9000] {
            let chunks: Reader = Box::pin(std::io::Cursor::new(text.clone()));
            let mut reader = BufReader::with_capacity(size, chunks);
            let mut out = Vec::new();
            assert_eq!(
                until(&mut reader, b"\nNONCE.\n", &mut out, 10).await,
                Some(true)
            );
            assert_eq!(out, b"xxxxxxxxxx");
        }
    }

    #[test]
    fn a_stored_script_is_named_by_what_it_is() {
        let mut err = b"sh: 3: /tmp/d/17.s: x: not found\n/tmp/d/a.s /tmp/d/18.s".to_vec();
        name_script(&mut err, "/tmp/d");
        assert_eq!(err, b"sh: 3: script: x: not found\n/tmp/d/a.s script");
    }
}
