//! From a transport to an open session: bounded side by side, with notes while it takes
//! time, and one cause where it fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::sync::Semaphore;

use super::channel::{Channel, NoHello};
use super::classify;
use super::error::{Cause, Lost, OpenError, SudoError};
use super::process::Process;
use super::secret::Password;
use super::transport::Transport;
use super::{Inner, OpenOptions, Session, sudo};
use crate::nodes;

/// After a server dropped the connection: most have `MaxStartups`, and others connect too.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(400),
    Duration::from_millis(900),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// What a key exchange takes on a busy machine: a node that has not answered by then is not
/// held up by the others, and must not hold them up.
const EXCHANGE: Duration = Duration::from_secs(2);
/// For the shell behind `sudo`.
const ANSWER: Duration = Duration::from_mins(1);
/// For a person who has to touch a key or confirm at an agent.
const PERSON: Duration = Duration::from_secs(45);

pub(super) async fn open(
    node: &nodes::Transport,
    options: &OpenOptions,
) -> Result<Session, OpenError> {
    let mut pauses = PAUSES.iter();
    loop {
        let failed = match attempt(node, options).await {
            Err(error) if is_dropped(&error.cause) => error,
            other => return other,
        };
        let Some(pause) = pauses.next() else {
            return Err(failed);
        };
        (options.on_note)(&"the node dropped the connection, trying again".into());
        tokio::time::sleep(spread(*pause)).await;
    }
}

fn is_dropped(cause: &Cause) -> bool {
    match cause {
        Cause::Dropped => true,
        Cause::Jump(inner) => is_dropped(inner),
        _ => false,
    }
}

/// Between 1 and 2 times the pause, so that many that were dropped together do not come back together.
fn spread(pause: Duration) -> Duration {
    let part = u32::from_str_radix(&super::channel::nonce()[..4], 16).unwrap_or(0);
    pause + pause * part / 0xffff
}

async fn attempt(node: &nodes::Transport, options: &OpenOptions) -> Result<Session, OpenError> {
    let transport = Arc::new(Transport::of(node, options)?);
    let place = handshakes().acquire().await;
    let mut starting = std::pin::pin!(start(transport, options));
    if let Ok(session) = tokio::time::timeout(EXCHANGE, &mut starting).await {
        return session;
    }
    // It waits for the node, and no longer for this machine's cores.
    drop(place);
    starting.await
}

/// Key exchanges are most of the cost of connecting: as many at once as can make progress.
fn handshakes() -> &'static Semaphore {
    static PLACES: std::sync::LazyLock<Semaphore> = std::sync::LazyLock::new(|| {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Semaphore::new((4 * cores).max(8))
    });
    &PLACES
}

async fn start(transport: Arc<Transport>, options: &OpenOptions) -> Result<Session, OpenError> {
    let begin = Instant::now();
    let mut command = transport.first(options);
    let started = Process::start(&mut command).map_err(|error| no_program(&command, &error));
    let (process, reader, writer) = started?;
    let closed = Arc::new(AtomicBool::new(false));
    let why = why(&process, Arc::clone(&closed));
    let answer = tokio::select! {
        answer = Channel::start(reader, writer, transport.is_login(), why) => answer,
        () = overdue(&process, options) => {
            process.kill();
            let ended = process.ended().await;
            return Err(OpenError::new(transport.late(), ended.said));
        }
    };
    match answer {
        Ok((channel, mut hello)) => {
            hello.connect = begin.elapsed();
            Ok(Session::of(Inner::new(
                hello, channel, process, transport, closed, false,
            )))
        }
        Err(no) => Err(failed(no, &process, &transport).await),
    }
}

/// One more shell on the node of `parent`, as another user.
pub(super) async fn as_user(
    parent: &Session,
    user: &str,
    password: Option<&Password>,
) -> Result<Session, SudoError> {
    let begin = Instant::now();
    let transport = Arc::clone(&parent.0.transport);
    let started = Process::start(&mut transport.another());
    let (process, reader, writer) =
        started.map_err(|error| SudoError::Other(error.to_string().into()))?;
    let pipes = sudo::become_user(&process, reader, writer, user, password).await;
    let (reader, writer) = pipes.inspect_err(|_| process.kill())?;
    let closed = Arc::new(AtomicBool::new(false));
    let why = why(&process, Arc::clone(&closed));
    let starting = Channel::start(reader, writer, true, why);
    let Ok(started) = tokio::time::timeout(ANSWER, starting).await else {
        process.kill();
        let why = "it let us in, and no shell answered in 60 s";
        return Err(SudoError::Other(why.into()));
    };
    match started {
        Ok((channel, mut hello)) => {
            hello.connect = begin.elapsed();
            Ok(Session::of(Inner::new(
                hello, channel, process, transport, closed, true,
            )))
        }
        Err(no) => Err(SudoError::Other(
            failed(no, &process, &transport).await.to_string().into(),
        )),
    }
}

/// What is known about a connection that has ended.
pub(super) fn why(
    process: &Process,
    closed: Arc<AtomicBool>,
) -> impl Future<Output = Lost> + Send + 'static {
    let ended = process.ended();
    async move {
        // Its output has ended; the program itself may take its time.
        let ended = tokio::time::timeout(Duration::from_secs(2), ended)
            .await
            .ok();
        if closed.load(Ordering::Relaxed) {
            return Lost::Closed;
        }
        let said = match ended {
            Some(ended) if !ended.said.is_empty() => last_lines(&ended.said),
            Some(super::process::Ended {
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

fn no_program(command: &Command, error: &std::io::Error) -> OpenError {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    OpenError::new(Cause::Program { program }, error.to_string())
}

/// Passes on what the program says, and ends when it has had its time.
async fn overdue(process: &Process, options: &OpenOptions) {
    let mut news = process.news();
    let mut shown = 0;
    // Its own time limit comes first: it knows the cause.
    let mut left = options.timeout * 2 + Duration::from_secs(2);
    let mut waited_for_person = false;
    loop {
        let begin = Instant::now();
        match tokio::time::timeout(left, news.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => return,
        }
        left = left.saturating_sub(begin.elapsed());
        let said = process.said();
        for line in said
            .get(shown..)
            .unwrap_or_default()
            .lines()
            .filter(|line| !line.trim().is_empty())
        {
            (options.on_note)(&line.trim().into());
            if line.contains("Confirm user presence") && !waited_for_person {
                waited_for_person = true;
                left += PERSON;
            }
        }
        shown = said.len();
    }
}

async fn failed(no: NoHello, process: &Process, transport: &Transport) -> OpenError {
    let noise = match no {
        NoHello::Ended(noise) => noise,
        NoHello::Noise(noise) => {
            process.kill();
            let first: String = noise.chars().take(400).collect();
            let why = "more than 64 KiB were printed, and no answer among them";
            return OpenError::new(Cause::NoShell, format!("{first}\n{why}"));
        }
        NoHello::Odd(why) => {
            process.kill();
            return OpenError::new(Cause::NoShell, why);
        }
        NoHello::NoDirectory => {
            process.kill();
            return OpenError::new(
                Cause::NoDirectory,
                "`mkdir` and `mkfifo` fail in XDG_RUNTIME_DIR, /dev/shm, TMPDIR, /tmp and the home directory",
            );
        }
        NoHello::Io(error) => error.to_string(),
    };
    process.leave().await;
    let ended = process.ended().await;
    let said = [noise.as_str(), ended.said.as_str()];
    let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
    let mut said = said.join("\n");
    let mut cause = transport.cause(&ended);
    if let Cause::Jump(_) = cause {
        said = classify::of_jump(&said);
    }
    transport.show_key(&mut cause).await;
    OpenError::new(cause, said)
}
