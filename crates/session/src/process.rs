//! A connection through a program of this machine: its pipes lead to a node's shell, and its
//! standard error carries messages. Knows no protocol.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;

use super::connection::{Connection, Stop, Teller, end, must_end};
use super::error::{Cause, OpenError};
use super::outside::Outside;
use super::values::quote;
use super::{fair, told};

/// Starts `command` in its own process group, so that a Ctrl-C at the terminal does not reach it.
/// `name` is the node's name in messages.
pub(super) fn start(mut command: Command, name: &str) -> Result<Connection, OpenError> {
    told::done(name, &shown(&command).into());
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
    let of_its_work = told::is_wanted_whole().then(|| OfItsWork::of(name));
    let listening = tokio::spawn(listen(stderr, Arc::clone(&teller), of_its_work));
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

async fn listen(mut stderr: ChildStderr, teller: Arc<Teller>, of_its_work: Option<OfItsWork>) {
    let mut buffer = [0; 4096];
    let Some(mut of_its_work) = of_its_work else {
        while let Ok(got @ 1..) = stderr.read(&mut buffer).await {
            teller.say(&buffer[..got]);
        }
        return;
    };
    while let Ok(got @ 1..) = stderr.read(&mut buffer).await {
        for line in of_its_work.taken_out(&buffer[..got]) {
            teller.say(&line);
        }
    }
    teller.say(&of_its_work.rest);
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut line = Vec::new();
    for word in words {
        if !line.is_empty() {
            line.push(b' ');
        }
        let word = word.as_encoded_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_=./:@%+,".contains(byte);
        if !word.is_empty() && word.iter().all(plain) {
            line.extend_from_slice(word);
        } else {
            quote(word, &mut line);
        }
    }
    format!("starting {}", String::from_utf8_lossy(&line))
}

/// Filters the lines in which `ssh` reports its own work: they never explain an error.
struct OfItsWork {
    name: String,
    /// An incomplete line.
    rest: Vec<u8>,
}

/// A longer line is passed on in pieces.
const LONGEST_LINE: usize = 4096;

impl OfItsWork {
    fn of(name: &str) -> OfItsWork {
        OfItsWork {
            name: name.to_owned(),
            rest: Vec::new(),
        }
    }

    /// Adds the new bytes, and returns the lines meant for people.
    fn taken_out(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.rest.extend_from_slice(bytes);
        let mut passed = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &self.rest) {
            let rest = self.rest.split_off(end + 1);
            let line = std::mem::replace(&mut self.rest, rest);
            if line.starts_with(b"debug1: ") {
                told::whole(&self.name, &Outside::of_bytes(line.trim_ascii_end()));
            } else {
                passed.push(line);
            }
        }
        if self.rest.len() > LONGEST_LINE {
            passed.push(std::mem::take(&mut self.rest));
        }
        passed
    }
}

/// The program. Dropping it kills the program, also at the end of this process. After a release
/// the program is asked to end instead: it would not end by itself for as long as something that
/// the login has left on the node holds the connection open.
struct Kept {
    child: Child,
    stop: watch::Receiver<Stop>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if *self.stop.borrow() != Stop::LetGo {
            let _ = self.child.start_kill();
        } else if let Some(pid) = self.child.id().and_then(pid_of) {
            // Not reaped yet: the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

fn pid_of(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

async fn keep(
    mut kept: Kept,
    mut stop: watch::Receiver<Stop>,
    listening: tokio::task::JoinHandle<()>,
    teller: Arc<Teller>,
) {
    let status = tokio::select! {
        status = kept.child.wait() => status.ok(),
        () = must_end(&mut stop) => {
            let _ = kept.child.start_kill();
            kept.child.wait().await.ok()
        }
    };
    // Its last messages may still be in the pipe; another process may keep the pipe open.
    let _ = fair::within(Duration::from_millis(500), listening).await;
    teller.end(status);
}
