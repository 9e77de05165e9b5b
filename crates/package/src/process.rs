//! Runs a program with input, a time limit and an output limit.

use std::io::{Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use opsbook_text::outside::Outside;

/// How a program ended.
pub(crate) struct Done {
    pub status: ExitStatus,
    pub out: Vec<u8>,
    pub err: Outside,
}

/// The limits of a program.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub time: Duration,
    pub out: usize,
}

impl Done {
    /// Its output if it succeeded, otherwise its last message.
    pub fn ok(self) -> Result<Vec<u8>, String> {
        if self.status.success() {
            return Ok(self.out);
        }
        Err(self.words())
    }

    /// The most informative line of its messages.
    pub fn words(&self) -> String {
        let told = self.err.lines().map(|line| line.to_string());
        let mut lines: Vec<String> = told.filter(|line| !line.trim().is_empty()).collect();
        let fatal = lines.iter().position(|line| line.starts_with("fatal: "));
        match fatal.map(|at| lines.swap_remove(at)).or(lines.pop()) {
            Some(line) => line.trim_start_matches("fatal: ").to_owned(),
            None => self.status.to_string(),
        }
    }
}

/// Runs it. `holds` is called repeatedly and returns a reason to stop early.
pub(crate) fn run(
    command: &mut Command,
    input: &[u8],
    bounds: Bounds,
    holds: &dyn Fn() -> Result<(), String>,
) -> Result<Done, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| format!("`{name}` cannot be run: {error}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input reports that in another way.
                let _ = stdin.write_all(input);
            }
        });
        let out = scope.spawn(move || bounded(stdout, bounds.out));
        let err = scope.spawn(move || bounded(stderr, 1 << 20));
        let status = wait(&mut child, &name, bounds.time, holds);
        let (out, err) = (out.join(), err.join());
        let out = out.unwrap_or_default();
        let err = Outside::of_bytes(&err.unwrap_or_default());
        if out.len() > bounds.out {
            return Err(format!("`{name}` says more than {} MiB", bounds.out >> 20));
        }
        Ok(Done {
            status: status?,
            out,
            err,
        })
    })
}

/// Reads up to `most` + 1 bytes; then nobody reads, and the program blocks.
fn bounded(stream: Option<impl Read>, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let _ = stream.take(most as u64 + 1).read_to_end(&mut bytes);
    }
    bytes
}

fn wait(
    child: &mut Child,
    name: &str,
    time: Duration,
    holds: &dyn Fn() -> Result<(), String>,
) -> Result<ExitStatus, String> {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    let why = loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Err(error) => break format!("`{name}`: {error}"),
            Ok(None) => {}
        }
        if begin.elapsed() > time {
            break format!("`{name}` did not end within {} seconds", time.as_secs());
        }
        if let Err(why) = holds() {
            break why;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    };
    let _ = child.kill();
    let _ = child.wait();
    Err(why)
}
