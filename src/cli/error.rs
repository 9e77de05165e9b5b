//! The exit status of every crate's errors; the only place that knows both.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::book::BookError;
use crate::cli::Streams;
use crate::cli::init::InitError;
use crate::client::{ClientError, LoginsError};
use crate::engine::{BundleError, NoPassword};
use crate::event::Status;
use crate::journal::JournalError;
use crate::project::RunError;
use crate::report::form::ReportError;
use crate::runner::RunnerError;
use crate::source::{Problem, first_of_each};
use crate::wire::Kind;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Wrong arguments, manual or nodes: nothing was changed.
    #[error("wrong manual, nodes or arguments")]
    Problems(Vec<Problem>),
    /// A missing secret or file: nothing was changed.
    #[error("something that the run needs is missing")]
    NotThere(Vec<Problem>),
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Gateway(#[from] ClientError),
    #[error(transparent)]
    Logins(#[from] LoginsError),
    #[error(transparent)]
    Runner(#[from] RunnerError),
    #[error("{0}")]
    Error(String),
    /// The operator stopped.
    #[error("{0}")]
    Stopped(String),
    /// The plan differs from the ordered one; nothing was changed.
    #[error("{0}")]
    Blocked(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Failure {
        Failure::Problems(problems)
    }
}

impl From<Box<Problem>> for Failure {
    fn from(problem: Box<Problem>) -> Failure {
        Failure::Problems(vec![*problem])
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        match error {
            RunError::Problems(problems) => Failure::Problems(problems),
            RunError::NotThere(problems) => Failure::NotThere(problems),
            RunError::NoPassword(why) => why.into(),
            RunError::Stopped(why) => Failure::Stopped(why),
            RunError::Journal(error) => error.into(),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Problems(vec![problem])
    }
}

impl From<NoPassword> for Failure {
    fn from(why: NoPassword) -> Failure {
        match why {
            NoPassword::Stopped => Failure::Stopped(why.to_string()),
            _ => Failure::Error(why.to_string()),
        }
    }
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Failure::Gateway(error) | Failure::Runner(RunnerError::Gateway(error)) => {
                of_gateway(error)
            }
            Failure::Problems(_) | Failure::Book(_) | Failure::Init(_) => 2,
            Failure::Journal(JournalError::Missing { .. }) => 2,
            Failure::Bundle(BundleError::Held(_) | BundleError::Taken)
            | Failure::Journal(JournalError::Busy { .. }) => exit(Status::Blocked),
            Failure::Stopped(_) => exit(Status::Stopped),
            Failure::Blocked(_) => exit(Status::Blocked),
            Failure::NotThere(_)
            | Failure::Report(_)
            | Failure::Journal(_)
            | Failure::Bundle(_)
            | Failure::Logins(_)
            | Failure::Runner(_)
            | Failure::Error(_)
            | Failure::Io(_) => exit(Status::Error),
        }
    }

    /// Prints the message, and returns the exit status.
    pub fn tell(self, streams: &mut Streams) -> ExitCode {
        let status = self.status();
        let _ = self.write(&mut streams.talk);
        ExitCode::from(status)
    }

    fn write(&self, talk: &mut dyn Write) -> io::Result<()> {
        match self {
            Failure::Problems(problems) | Failure::NotThere(problems) => {
                for (index, problem) in first_of_each(problems).iter().enumerate() {
                    let gap = if index > 0 { "\n" } else { "" };
                    writeln!(talk, "{gap}{problem}")?;
                }
                Ok(())
            }
            Failure::Journal(JournalError::Missing {
                near: Some(near), ..
            }) => {
                writeln!(talk, "error: {self}\n\nhint: did you mean `{near}`?")
            }
            Failure::Journal(JournalError::Missing { near: None, .. }) => {
                writeln!(
                    talk,
                    "error: {self}\n\nhint: the journal of a run is on the machine that started \
                     it. `opsbook lock status` names that machine; copy `.opsbook/runs/RUN.jsonl` \
                     from there. If it is lost, `opsbook resume RUN --catch-up` rebuilds it from \
                     the nodes"
                )
            }
            Failure::Journal(JournalError::Line { .. }) => {
                writeln!(
                    talk,
                    "error: {self}\n\nhint: move this file away; then `opsbook resume RUN \
                     --catch-up` rebuilds the journal from the records on the nodes"
                )
            }
            Failure::Journal(JournalError::Write { cause, .. }) if may_not_write(cause) => {
                let variable = crate::journal::VARIABLE;
                writeln!(
                    talk,
                    "error: {self}\n\nhint: set `{variable}=DIR`, or `state` under \
                     `[preprocessor.opsbook]` in `book.toml`, to keep journals in another folder"
                )
            }
            Failure::Gateway(ClientError::Problem(problem))
            | Failure::Runner(RunnerError::Gateway(ClientError::Problem(problem))) => {
                // Messages about wrong arguments have the same form as local ones.
                let is_told = problem.kind == Kind::Wrong && problem.detail.contains("error: ");
                let error = if is_told { "" } else { "error: " };
                writeln!(talk, "{error}{problem}")?;
                match &problem.upgrade {
                    Some(upgrade) => writeln!(talk, "\nhint: {upgrade}"),
                    None => Ok(()),
                }
            }
            Failure::Gateway(ClientError::Unreachable { cause, .. }) if is_not_there(cause) => {
                writeln!(
                    talk,
                    "error: {self}\n\nhint: `opsbook-gateway` starts one in the folder of a manual; \
                     in an emergency, `opsbook run … --break-glass WHY` works without it"
                )
            }
            Failure::Stopped(why) => writeln!(talk, "STOPPED: {why}"),
            Failure::Blocked(why) => writeln!(talk, "BLOCKED: {why}"),
            // A problem's text already says `error`.
            Failure::Book(BookError::Config(problem)) => writeln!(talk, "{problem}"),
            other => writeln!(talk, "error: {other}"),
        }
    }
}

/// Whether nobody listens at the address of a gateway.
fn is_not_there(cause: &str) -> bool {
    ["Connection refused", "No such file"]
        .iter()
        .any(|word| cause.contains(word))
}

/// Whether nobody, or not this user, may write there.
fn may_not_write(cause: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(cause.kind(), ReadOnlyFilesystem | PermissionDenied)
}

/// The status of a gateway's refusal: an error of the caller, or an internal error of the gateway.
fn of_gateway(error: &ClientError) -> u8 {
    match error.kind() {
        Some(Kind::NotAllowed | Kind::State | Kind::AlreadyAnswered) => exit(Status::Blocked),
        Some(Kind::Internal | Kind::Unavailable | Kind::TooMuch | Kind::Other) | None => {
            exit(Status::Error)
        }
        Some(_) => 2,
    }
}

/// The exit status of `opsbook run`.
pub(crate) fn exit(status: Status) -> u8 {
    match status {
        Status::Ok | Status::Skipped | Status::ByHand => 0,
        Status::Failed => 1,
        Status::Error => 3,
        Status::Blocked => 4,
        Status::Stopped => 5,
        Status::TimedOut => 124,
    }
}
