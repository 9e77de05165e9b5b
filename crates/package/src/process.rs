//! Runs a program with input, a time limit and an output limit.

use std::io::{Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use opsbook_text::outside::Outside;

/// How git's final message begins.
const FATAL: &str = "fatal: ";
/// The most lines before it that are reported.
const REASONS: usize = 3;

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

    /// The most informative of its messages. Where git says that it failed, the lines before say
    /// why: of its ssh (`Host key verification failed.`), or of the server.
    pub fn words(&self) -> String {
        let lines: Vec<String> = { self.err.lines() }
            .map(|line| line.to_string().trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        let fatal = lines.iter().position(|line| line.starts_with(FATAL));
        let Some(at) = fatal else {
            return lines.last().cloned().unwrap_or(self.status.to_string());
        };
        let why: Vec<&str> = { lines[..at].iter() }
            .map(String::as_str)
            .filter(|line| !line.to_lowercase().starts_with("warning:"))
            .collect();
        let why = &why[why.len().saturating_sub(REASONS)..];
        let failed = lines[at].trim_start_matches(FATAL);
        if why.is_empty() {
            return failed.to_owned();
        }
        format!("{}: {}", failed.trim_end_matches('.'), why.join(" "))
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
    let mut child = child.map_err(|error| format!("cannot run `{name}`: {error}"))?;
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
            return Err(format!(
                "`{name}` prints more than {} MiB",
                bounds.out >> 20
            ));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_told_with_its_reason() {
        let end = "fatal: Could not read from remote repository.\n\nPlease make sure.\nIt exists.";
        let denied = "git@host: Permission denied (publickey).";
        for (said, told) in [
            (String::new(), "exit status: 1".to_owned()),
            ("one\nthe last\n".to_owned(), "the last".to_owned()),
            (
                "fatal: unable to access 'x': no\n".to_owned(),
                "unable to access 'x': no".to_owned(),
            ),
            (
                format!("Warning: Permanently added 'x'.\r\n{denied}\r\n{end}"),
                format!("Could not read from remote repository: {denied}"),
            ),
            (
                format!("1\n2\n3\n\x1b[2J\n{end}"),
                "Could not read from remote repository: 2 3 \\x1b[2J".to_owned(),
            ),
        ] {
            let mut program = Command::new("sh");
            program.args(["-c", "cat >&2; exit 1"]);
            let bounds = Bounds {
                time: Duration::from_mins(1),
                out: 9,
            };
            let done = run(&mut program, said.as_bytes(), bounds, &|| Ok(())).unwrap();
            assert_eq!(done.ok().unwrap_err(), told, "{said}");
        }
    }
}
