//! Opens a session over a transport: with limited parallelism, progress messages, and one cause if
//! it fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::channel::{Channel, NoHello, Start};
use super::connection::{Connection, End};
use super::error::{Cause, Lost, OpenError, SudoError};
use super::handshake::{self, Waiting};
use super::hello::Hello;
use super::secret::Password;
use super::transport::Transport;
use super::{Inner, OpenOptions, Session, Target, classify, fair, no_shell, sudo, told};

/// Pauses after a server dropped the connection: most have `MaxStartups`, and others connect too.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(400),
    Duration::from_millis(900),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// For a shell over an open connection, which may be dead without anybody noticing.
const OVER_SHARED: Duration = Duration::from_secs(4);
/// For the shell behind `sudo`.
const ANSWER: Duration = Duration::from_mins(1);
/// The most tries for a silent node, however busy this machine is.
const MOST_TRIES: u32 = 6;

pub(super) async fn open(target: &Target, options: &OpenOptions) -> Result<Session, OpenError> {
    let mut pauses = PAUSES.iter();
    let mut late = Late::default();
    loop {
        let no = match attempt(target, options, &late).await {
            Err(no) => no,
            Ok(session) => return Ok(session),
        };
        if no.over_shared {
            late.alone = true;
            continue;
        }
        if is_dropped(&no.error.cause) {
            let Some(pause) = pauses.next() else {
                return Err(no.error);
            };
            told::done(
                &options.name,
                &"the node dropped the connection, trying again".into(),
            );
            tokio::time::sleep(spread(*pause)).await;
            continue;
        }
        if let Some(error) = late.after(no, options) {
            return Err(error);
        }
        told::done(
            &options.name,
            &"the node did not answer in time, trying again".into(),
        );
    }
}

/// The tries in which the node did not answer.
#[derive(Debug, Default)]
struct Late {
    tries: u32,
    /// Tries in which this machine was not the bottleneck.
    fair: u32,
    had: Duration,
    /// A try in which the login answered, but no shell: another one that comes less far says less.
    answered: Option<OpenError>,
    /// The connection of another command was dead: open a new one.
    alone: bool,
    /// The factor for the next try's limit: `ssh` measures the time itself and does not know that
    /// it was held up.
    longer: u32,
}

impl Late {
    /// Notes a failed try; returns its error if the node had its chance.
    fn after(&mut self, no: No, options: &OpenOptions) -> Option<OpenError> {
        let cut_by_us =
            no.error.cause == Cause::Cut && no.stalled > no.had.max(Duration::from_secs(1));
        if !(is_late(&no.error) || cut_by_us) || no.asked_person {
            return Some(no.error);
        }
        self.tries += 1;
        self.had += no.had;
        if no.error.cause == Cause::NoShell {
            self.answered = Some(no.error.clone());
        }
        let fair = no.stalled <= no.had / 2 || no.had >= options.timeout * 2 / 3;
        if fair {
            self.fair += 1;
        } else {
            self.longer += 1;
        }
        if self.fair < options.tries && self.tries < MOST_TRIES {
            return None;
        }
        let had = is_late(&no.error).then_some(self.had);
        let error = self.answered.take().unwrap_or(no.error);
        Some(OpenError { had, ..error })
    }
}

fn is_late(error: &OpenError) -> bool {
    error.had.is_some() || is_timed_out(&error.cause)
}

fn is_timed_out(cause: &Cause) -> bool {
    match cause {
        Cause::TimedOut => true,
        Cause::Jump(inner) => is_timed_out(inner),
        _ => false,
    }
}

fn is_dropped(cause: &Cause) -> bool {
    match cause {
        Cause::Dropped => true,
        Cause::Jump(inner) => is_dropped(inner),
        _ => false,
    }
}

/// Between 1 and 2 times the pause, so that many dropped connections do not come back together.
fn spread(pause: Duration) -> Duration {
    let part = u32::from_str_radix(&super::channel::nonce()[..4], 16).unwrap_or(0);
    pause + pause * part / 0xffff
}

/// A failed try.
struct No {
    error: OpenError,
    /// The time that counted against the node, and the time that this machine lost.
    had: Duration,
    stalled: Duration,
    asked_person: bool,
    /// It used a connection that another command had opened.
    over_shared: bool,
}

impl From<OpenError> for No {
    fn from(error: OpenError) -> No {
        No {
            error,
            had: Duration::ZERO,
            stalled: Duration::ZERO,
            asked_person: false,
            over_shared: false,
        }
    }
}

async fn attempt(target: &Target, options: &OpenOptions, late: &Late) -> Result<Session, No> {
    let mut transport = Transport::of(target, options)?;
    if let Err(why) = transport.share(late.alone).await {
        told::person(
            &options.name,
            &format!("the connection is not kept: {why}").into(),
        );
    }
    if transport.was_open() {
        let waiting = Waiting::new(OVER_SHARED, None);
        let tried = start(Arc::new(transport), options, OVER_SHARED, waiting).await;
        return tried.map_err(|no| No {
            over_shared: true,
            ..no
        });
    }
    let place = handshake::place().await;
    let chance = handshake::chance(options.timeout) * 2u32.pow(late.longer);
    // `ssh` measures the time to connect itself; then the node's shell must answer.
    let shell = if late.tries == 0 {
        chance
    } else {
        Duration::ZERO
    };
    let waiting = Waiting::new(chance + shell + Duration::from_secs(2), place);
    start(Arc::new(transport), options, chance, waiting).await
}

async fn start(
    transport: Arc<Transport>,
    options: &OpenOptions,
    chance: Duration,
    mut waiting: Waiting,
) -> Result<Session, No> {
    let begin = Instant::now();
    let Connection {
        reader,
        writer,
        end,
    } = transport.connect(chance)?;
    let closed = Arc::new(AtomicBool::new(false));
    let why = why(&end, Arc::clone(&closed));
    let start = Start {
        login: transport.is_login(),
        prelude: options.prelude,
    };
    let mut noise = Vec::new();
    let answer = tokio::select! {
        biased;
        answer = Channel::start(reader, writer, start, &mut noise, why) => Some(answer),
        () = waiting.overdue(&end, options) => None,
    };
    let error = match answer {
        Some(Ok((channel, mut hello))) => {
            hello.connect = begin.elapsed();
            told::done(&options.name, &reached(&hello).into());
            if transport.is_login() {
                handshake::took(hello.connect);
            }
            return Ok(Session::of(Inner::new(
                hello, channel, end, transport, closed, false,
            )));
        }
        Some(Err(no)) => failed(no, &noise, &end, &transport, transport.is_login()).await,
        None => {
            let cause = transport.late();
            end.kill();
            let said = both(&noise, &end.ended().await.said);
            let note = (cause == Cause::NoShell).then(|| no_shell::waits(&noise));
            OpenError {
                note,
                ..OpenError::late(cause, waiting.time.counted(), said)
            }
        }
    };
    let had = waiting.time.counted();
    Err(No {
        error,
        had,
        stalled: begin.elapsed().saturating_sub(had),
        asked_person: waiting.asked_person,
        over_shared: false,
    })
}

fn reached(hello: &Hello) -> String {
    format!(
        "a shell answered after {} ms: {} on {}, {}",
        hello.connect.as_millis(),
        hello.user.line(),
        hello.hostname.line(),
        hello.shell.line()
    )
}

/// Another shell on the node of `parent`, as another user.
pub(super) async fn as_user(
    parent: &Session,
    user: &str,
    password: Option<&Password>,
) -> Result<Session, SudoError> {
    let begin = Instant::now();
    let transport = Arc::clone(&parent.0.transport);
    let another = transport.another();
    let another = another.map_err(|error| SudoError::Other(error.to_string().into()))?;
    let Connection {
        reader,
        writer,
        end,
    } = sudo::become_user(another, user, password).await?;
    let closed = Arc::new(AtomicBool::new(false));
    let why = why(&end, Arc::clone(&closed));
    let start = Start {
        login: true,
        prelude: "",
    };
    let mut noise = Vec::new();
    let starting = Channel::start(reader, writer, start, &mut noise, why);
    let Some(started) = fair::within(ANSWER, starting).await else {
        end.kill();
        let why = "the login worked, but no shell answered in 60 s";
        return Err(SudoError::Other(why.into()));
    };
    match started {
        Ok((channel, mut hello)) => {
            hello.connect = begin.elapsed();
            Ok(Session::of(Inner::new(
                hello, channel, end, transport, closed, true,
            )))
        }
        Err(no) => {
            let error = failed(no, &noise, &end, &transport, false).await;
            Err(SudoError::Other(error.sentence().into()))
        }
    }
}

/// What is known about an ended connection.
pub(super) fn why(
    end: &End,
    closed: Arc<AtomicBool>,
) -> impl Future<Output = Lost> + Send + 'static {
    let ended = end.ended();
    async move {
        // Its output has ended; the program itself may take longer.
        let ended = fair::within(Duration::from_secs(2), ended).await;
        if closed.load(Ordering::Relaxed) {
            return Lost::Closed;
        }
        let said = match ended {
            Some(ended) if !ended.said.is_empty() => last_lines(&ended.said),
            Some(super::connection::Ended {
                status: Some(status),
                ..
            }) => {
                format!("the shell on the node ended ({status})")
            }
            _ => "the shell on the node ended".to_owned(),
        };
        Lost::Connection { said: said.into() }
    }
}

fn last_lines(said: &str) -> String {
    let lines: Vec<_> = said.lines().collect();
    lines[lines.len().saturating_sub(3)..].join("\n")
}

/// With `asked`, of a login that was asked for a shell.
async fn failed(
    no: NoHello,
    noise: &[u8],
    end: &End,
    transport: &Transport,
    asked: bool,
) -> OpenError {
    let (cause, said) = match no {
        NoHello::Ended => return ended(noise, end, transport, asked).await,
        NoHello::Io(error) => {
            return ended(error.to_string().as_bytes(), end, transport, asked).await;
        }
        NoHello::Noise => {
            let (first, note) = no_shell::noise(&text(noise));
            end.kill();
            return OpenError {
                note: Some(note),
                ..OpenError::new(Cause::NoShell, first)
            };
        }
        NoHello::Odd(why) => (Cause::NoShell, why),
        NoHello::NoDirectory => (Cause::NoDirectory, NO_DIRECTORY.to_owned()),
    };
    end.kill();
    OpenError::new(cause, said)
}

const NO_DIRECTORY: &str =
    "`mkdir` and `mkfifo` fail in XDG_RUNTIME_DIR, /dev/shm, TMPDIR, /tmp and the home directory";

/// The error of a connection that ended before a shell answered.
async fn ended(noise: &[u8], end: &End, transport: &Transport, asked: bool) -> OpenError {
    end.leave().await;
    let ended = end.ended().await;
    let mut said = both(noise, &ended.said);
    let mut cause = transport.cause(&ended);
    if let Cause::Jump(_) = cause {
        said = classify::of_jump(&said);
    }
    transport.show_key(&mut cause).await;
    let note =
        (cause == Cause::NoShell).then(|| no_shell::ended(noise, &said, ended.status, asked));
    OpenError {
        note: note.flatten(),
        ..OpenError::new(cause, said)
    }
}

fn text(noise: &[u8]) -> String {
    String::from_utf8_lossy(noise).trim().to_owned()
}

/// What was printed, then what was said on standard error.
fn both(noise: &[u8], said: &str) -> String {
    format!("{}\n{said}", text(noise)).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_login_said_in_one_try_is_not_lost_in_another() {
        let options = OpenOptions {
            tries: 2,
            ..OpenOptions::default()
        };
        let late = |cause, said| {
            let had = Duration::from_secs(20);
            let error = OpenError::late(cause, had, said);
            No {
                had,
                ..No::from(error)
            }
        };
        let shell = || late(Cause::NoShell, "Which project? ".to_owned());
        let silent = || late(Cause::TimedOut, String::new());
        for (first, then, cause, said) in [
            (shell(), silent(), Cause::NoShell, "Which project? "),
            (silent(), shell(), Cause::NoShell, "Which project? "),
            (silent(), silent(), Cause::TimedOut, ""),
        ] {
            let mut tries = Late::default();
            assert_eq!(tries.after(first, &options), None);
            let error = tries.after(then, &options).unwrap();
            assert_eq!((error.cause, error.said.exact()), (cause, said));
            assert_eq!(error.had, Some(Duration::from_secs(40)));
        }
    }
}
