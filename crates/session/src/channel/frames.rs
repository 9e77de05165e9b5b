//! Parses what a runner sends: its greeting, and the ends of jobs. Knows no commands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{self, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::sync::oneshot;

use super::queue::Jobs;
use super::{Done, Hello, NoHello, Reader, lock};
use crate::done::End;
use crate::error::Lost;
use crate::fair;
use crate::outside::is_hidden;

/// The most login output, in bytes, before the greeting.
const MOST_NOISE: usize = 64 << 10;
/// The most bytes of one fact in the greeting, and the most facts.
const MOST_FACT: usize = 4 << 10;
const MOST_FACTS: usize = 100;
/// The most bytes of one line between outputs: enough for the ends of all possible jobs.
const MOST_LINE: usize = 256 << 10;
/// The most bytes to skip after the limit of an output, and of output that background processes of
/// a login print between two answers.
const MOST_WASTE: usize = 64 << 20;
/// How long to wait for results that are on their way after the runner has stopped reading.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A status that no shell returns: the node could not store the script.
pub(super) const FULL: i32 = -1;
/// A status that no shell returns: the process of a call was killed.
pub(super) const GONE: i32 = -2;

pub(super) struct Greeting {
    pub(super) hello: Hello,
    pub(super) workers: usize,
}

/// Reads the greeting. What comes before it is left in `noise`, also where nobody waits any longer.
pub(super) async fn greeting(
    reader: &mut BufReader<Reader>,
    nonce: &str,
    noise: &mut Vec<u8>,
) -> Result<Greeting, NoHello> {
    loop {
        let from = noise.len();
        let got = read_more(reader, noise, MOST_NOISE).await;
        if got.map_err(NoHello::Io)? == 0 {
            return Err(NoHello::Ended);
        }
        match noise[from..].strip_prefix(nonce.as_bytes()) {
            Some(b" H\n") => return facts(reader, nonce).await,
            Some(b" F\n") => return Err(NoHello::NoDirectory),
            Some(b" N\n") => {
                return Err(NoHello::Odd(
                    "there is no `/dev/null` on the node".to_owned(),
                ));
            }
            Some(word) if word.starts_with(b" L ") && word.ends_with(b"\n") => {
                return Err(NoHello::Odd(too_small(word)));
            }
            _ if noise.len() > MOST_NOISE => return Err(NoHello::Noise),
            _ => {}
        }
    }
}

/// ` L WHAT FOUND LEAST`: a limit of the login that is too small for a session.
fn too_small(word: &[u8]) -> String {
    let word = String::from_utf8_lossy(word);
    let mut numbers = word.split_whitespace().skip(2).map(str::parse::<u64>);
    let what = match word.split_whitespace().nth(1) {
        Some("n") => "open files (`ulimit -n`)",
        Some("u") => "processes (`ulimit -u`)",
        _ => "blocks in a file (`ulimit -f`)",
    };
    match (numbers.next(), numbers.next()) {
        (Some(Ok(found)), Some(Ok(least))) => {
            format!("the login may have {found} {what}, and a session needs {least}")
        }
        _ => "its answer makes no sense".to_owned(),
    }
}

async fn facts(reader: &mut BufReader<Reader>, nonce: &str) -> Result<Greeting, NoHello> {
    let mut greeting = Greeting {
        hello: Hello::default(),
        workers: 4,
    };
    let end = format!("{nonce}.");
    let (mut lines, mut count) = (Vec::new(), 0);
    loop {
        let got = read_line(reader, &mut lines, MOST_FACT).await;
        let got = got.map_err(NoHello::Io)?;
        if got == 0 {
            return Err(NoHello::Ended);
        }
        count += 1;
        if got > MOST_FACT || count > MOST_FACTS {
            return Err(NoHello::Odd("its greeting is too long".to_owned()));
        }
        let line = String::from_utf8_lossy(&lines);
        let line = line.trim_end_matches('\n');
        if line == end {
            return greeting.fit();
        }
        if let Some((key, value)) = line.split_once('=') {
            greeting.take(key, value);
        }
    }
}

/// Reads a line with its end, at most `most` + 1 bytes; returns its length.
async fn read_line(
    reader: &mut BufReader<Reader>,
    line: &mut Vec<u8>,
    most: usize,
) -> io::Result<usize> {
    line.clear();
    read_more(reader, line, most).await
}

/// The same, behind what `text` has already.
async fn read_more(
    reader: &mut BufReader<Reader>,
    text: &mut Vec<u8>,
    most: usize,
) -> io::Result<usize> {
    let mut bounded = reader.take(most as u64 + 1);
    bounded.read_until(b'\n', text).await
}

impl Greeting {
    /// Checks values that are used unchanged, such as folder names in scripts and messages.
    fn fit(mut self) -> Result<Self, NoHello> {
        let hello = &mut self.hello;
        if hello.home.contains(is_hidden) || hello.dir.contains(is_hidden) {
            let why = "the names of its folders are not printable";
            return Err(NoHello::Odd(why.to_owned()));
        }
        let graphic = |text: &str| text.len() <= 128 && text.chars().all(|c| c.is_ascii_graphic());
        if !graphic(&hello.boot_id) {
            hello.boot_id.clear();
        }
        Ok(self)
    }

    fn take(&mut self, key: &str, value: &str) {
        let hello = &mut self.hello;
        match key {
            "user" => hello.user = value.into(),
            "uid" => hello.uid = value.parse().unwrap_or(u32::MAX),
            "home" => value.clone_into(&mut hello.home),
            "hostname" => hello.hostname = value.into(),
            "kernel" => hello.kernel = value.into(),
            "shell" => hello.shell = value.into(),
            "boot" => value.clone_into(&mut hello.boot_id),
            "pid" => hello.pid = value.parse().unwrap_or(0),
            "cores" => hello.cores = value.parse().unwrap_or(1),
            "dir" => value.clone_into(&mut hello.dir),
            "workers" => self.workers = value.parse().unwrap_or(4),
            "has" => hello.found(value),
            _ => {}
        }
    }
}

/// Reads frames until the other side ends. If only the runner ends, its children may keep the pipe
/// open; a closed command pipe reveals that. Returns the reason if the frames tell it: invalid data,
/// or the runner's last words.
pub(super) async fn receive(
    mut reader: BufReader<Reader>,
    nonce: String,
    jobs: Arc<Mutex<Jobs>>,
    broken: oneshot::Receiver<()>,
) -> Option<Lost> {
    let delimiter = format!("\n{nonce}.\n").into_bytes();
    let frames = async {
        let mut waste = 0;
        loop {
            match frame(&mut reader, &nonce, &delimiter, &jobs).await {
                Ok(0) => waste = 0,
                Ok(noise) => waste += noise,
                Err(Stop::End) => return None,
                Err(Stop::NoProcess) => return Some(Lost::NoProcess),
                Err(Stop::Odd(why)) => return Some(Lost::Endless { why }),
            }
            if waste > MOST_WASTE {
                return Some(Lost::Endless { why: ENDLESS });
            }
        }
    };
    let deaf = async {
        match broken.await {
            Ok(()) => fair::pass(LAST_WORDS).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        why = frames => why,
        () = deaf => None,
    }
}

/// Why no more frames are read.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    End,
    /// The runner has ended because the node let it start no process.
    NoProcess,
    Odd(&'static str),
}

const ENDLESS: &str = "its output does not end";

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Stop {
        Stop::End
    }
}

/// Reads one frame: the ends of several jobs, and their outputs. Returns the number of skipped
/// bytes.
async fn frame(
    reader: &mut BufReader<Reader>,
    nonce: &str,
    delimiter: &[u8],
    jobs: &Mutex<Jobs>,
) -> Result<usize, Stop> {
    let mut line = Vec::new();
    let got = read_line(reader, &mut line, MOST_LINE).await?;
    if got == 0 {
        return Err(Stop::End);
    }
    if got > MOST_LINE {
        return Err(Stop::Odd(ENDLESS));
    }
    let line = String::from_utf8_lossy(&line);
    // Anything else is noise, such as output of a background process from a login file.
    let ends = match line.strip_prefix(nonce) {
        Some(" E\n") => return last_words(reader).await,
        Some(rest) => rest.strip_prefix(" R "),
        None => None,
    };
    let Some(ends) = ends else { return Ok(got) };
    let mut asked = false;
    for end in ends.split_whitespace() {
        let end = parse_end(end).ok_or(Stop::Odd("its answers are invalid"))?;
        let (id, mut done, marks) = end;
        let most = lock(jobs).get(&id).map_or(0, |job| job.most);
        if marks.contains('o') {
            done.truncated |= until(reader, delimiter, &mut done.out, most).await?;
        }
        if marks.contains('e') {
            done.truncated |= until(reader, delimiter, &mut done.err, most).await?;
        }
        if let Some(job) = lock(jobs).remove(&id) {
            asked = true;
            let _ = job.tell.send(done);
        }
    }
    Ok(if asked { 0 } else { got })
}

/// After `E` the runner starts a process, and says more only if it could.
async fn last_words(reader: &mut BufReader<Reader>) -> Result<usize, Stop> {
    match read_line(reader, &mut Vec::new(), MOST_LINE).await? {
        0 => Err(Stop::NoProcess),
        got => Ok(got),
    }
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

/// Reads up to the delimiter, binary safe, and keeps at most `most` bytes; returns whether the
/// output is longer. Examines each byte once.
async fn until(
    reader: &mut BufReader<Reader>,
    delimiter: &[u8],
    out: &mut Vec<u8>,
    most: u64,
) -> Result<bool, Stop> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let (mut truncated, mut waste) = (false, 0);
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Err(Stop::End);
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
            return Ok(truncated);
        }
        reader.consume(taken);
        // Keep the tail: it may contain the first half of the delimiter.
        if out.len() > most.saturating_add(2 * delimiter.len()) {
            truncated = true;
            let over = most..out.len() - delimiter.len();
            waste += over.len();
            if waste > MOST_WASTE {
                return Err(Stop::Odd(ENDLESS));
            }
            out.drain(over);
        }
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

    #[tokio::test]
    async fn output_ends_at_the_delimiter_however_it_is_cut() {
        let text = b"a\nNONCE\n\nNONCE.\nb\nNONCE.\nrest".to_vec();
        for size in 1..text.len() {
            let chunks: Reader = Box::pin(std::io::Cursor::new(text.clone()));
            let mut reader = BufReader::with_capacity(size, chunks);
            let mut out = Vec::new();
            assert_eq!(
                until(&mut reader, b"\nNONCE.\n", &mut out, 100).await,
                Ok(false)
            );
            assert_eq!(out, b"a\nNONCE\n");
            out.clear();
            assert_eq!(
                until(&mut reader, b"\nNONCE.\n", &mut out, 100).await,
                Ok(false)
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
                Ok(true)
            );
            assert_eq!(out, b"xxxxxxxxxx");
        }
    }

    /// An endless text that counts how much of it was read.
    struct Endless(Vec<u8>, Arc<std::sync::atomic::AtomicUsize>);

    impl tokio::io::AsyncRead for Endless {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            let piece = buffer.remaining().min(self.0.len());
            buffer.put_slice(&self.0[..piece]);
            self.1
                .fetch_add(piece, std::sync::atomic::Ordering::Relaxed);
            std::task::Poll::Ready(Ok(()))
        }
    }

    fn endless(text: &[u8]) -> (BufReader<Reader>, Arc<std::sync::atomic::AtomicUsize>) {
        let count = Arc::default();
        let text = Endless(text.repeat(1000), Arc::clone(&count));
        (BufReader::with_capacity(64 << 10, Box::pin(text)), count)
    }

    #[tokio::test]
    async fn every_read_ends_whatever_is_printed() {
        let read = |count: &std::sync::atomic::AtomicUsize| {
            count.load(std::sync::atomic::Ordering::Relaxed)
        };
        for text in [&b"x"[..], b"\0", b"line\n", b"NONCE H"] {
            let (mut reader, count) = endless(text);
            let mut noise = Vec::new();
            let hello = greeting(&mut reader, "NONCE", &mut noise).await;
            assert!(matches!(hello, Err(NoHello::Noise)), "{text:?}");
            assert!(read(&count) < 512 << 10, "{text:?}: {count:?}");

            let (mut reader, count) = endless(text);
            assert!(facts(&mut reader, "NONCE").await.is_err());
            assert!(read(&count) < 512 << 10, "{text:?}: {count:?}");
        }
        for text in [
            &b"x"[..],
            b"line\n",
            b"NONCE R 1:0:o\n",
            b"NONCE R x\n",
            b"NONCE R 1:0:\nx\n\n\n",
        ] {
            let (reader, count) = endless(text);
            let (_broken, waits) = oneshot::channel();
            let frames = receive(reader, "NONCE".to_owned(), Arc::default(), waits);
            let time = Duration::from_mins(1);
            match tokio::time::timeout(time, frames).await {
                Ok(why) => assert!(why.is_some(), "{text:?}"),
                Err(elapsed) => panic!("{elapsed}: {text:?} is read without end: {count:?}"),
            }
            assert!(read(&count) < MOST_WASTE + (1 << 20), "{text:?}: {count:?}");
        }
    }
}
