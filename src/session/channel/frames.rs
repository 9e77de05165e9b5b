//! What a runner says, frame by frame: who it is, and how its jobs ended. Knows no commands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::oneshot;

use super::queue::Jobs;
use super::{Done, Hello, NoHello, Reader, lock};
use crate::session::done::End;

/// Login noise above this is no shell that can be talked to.
const MOST_NOISE: usize = 64 << 10;
/// After nobody reads commands any more, for results that are on their way.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A status that no shell gives: the node could not store the script.
pub(super) const FULL: i32 = -1;
/// Another: the process of a call was killed.
pub(super) const GONE: i32 = -2;

pub(super) struct Greeting {
    pub(super) hello: Hello,
    pub(super) workers: usize,
}

pub(super) async fn greeting(
    reader: &mut BufReader<Reader>,
    nonce: &str,
) -> Result<Greeting, NoHello> {
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
            "has" => hello.has(value),
            _ => {}
        }
    }
}

/// Reads frames until the other side ends. Where only the runner itself does, what it has
/// started may hold the pipe open: that nobody reads our commands tells, too.
pub(super) async fn receive(
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
}
