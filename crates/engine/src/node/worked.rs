//! How the work of a step ended, before its checks.

use std::time::Duration;

use crate::event::{Evidence, Status, StepEnded};
use crate::halt::Halt;
use crate::outside::{Line, Outside, line};

/// The result of a step's work.
pub struct Worked {
    pub status: Status,
    pub exit: Option<i32>,
    pub cause: Option<String>,
    pub outcome_unknown: bool,
    pub evidence: Vec<Evidence>,
    pub note: Option<String>,
}

impl Worked {
    pub fn ok(exit: Option<i32>) -> Worked {
        Worked {
            status: Status::Ok,
            exit,
            cause: None,
            outcome_unknown: false,
            evidence: Vec::new(),
            note: None,
        }
    }

    pub fn ended(status: Status, cause: impl Into<String>) -> Worked {
        Worked {
            status,
            cause: Some(cause.into()),
            ..Worked::ok(None)
        }
    }

    pub fn by_hand(note: Option<String>) -> Worked {
        Worked::passed(Status::ByHand, note)
    }

    /// A step that was passed over.
    pub fn passed(status: Status, note: Option<String>) -> Worked {
        Worked {
            note,
            ..Worked::ended(status, "")
        }
    }

    /// For a step with a journalled beginning: it gets an end there as well.
    pub fn halted(halt: Halt) -> Result<Worked, Halt> {
        match halt {
            Halt::Journal(_) | Halt::AsAsked(_) => Err(halt),
            Halt::End {
                status,
                cause,
                outcome_unknown,
            } => Ok(Worked {
                outcome_unknown,
                ..Worked::ended(status, cause)
            }),
        }
    }

    /// `took` is the duration of the step, without the wait for answers.
    pub fn told(self, took: Duration) -> StepEnded {
        StepEnded {
            status: self.status,
            exit: self.exit,
            outcome_unknown: self.outcome_unknown,
            cause: self.cause.filter(|cause| !cause.is_empty()).map(Into::into),
            note: self.note,
            evidence: self.evidence,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub fn failed(exit: i32, evidence: Evidence) -> Worked {
        let cause = format!(
            "{}: expected {}, found {}",
            evidence.attribute,
            evidence.expected.line(),
            first_line(&evidence.found)
        );
        Worked {
            status: Status::Failed,
            exit: Some(exit),
            cause: Some(cause),
            evidence: vec![evidence],
            ..Worked::ok(None)
        }
    }
}

fn first_line(text: &Outside) -> Line<'_> {
    text.lines().next().unwrap_or_else(|| line(""))
}
