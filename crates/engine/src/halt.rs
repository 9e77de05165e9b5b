//! Why a run on a node ends before its last step, and why a step is no longer followed.

use crate::bundle::BundleError;
use crate::event::Status;
use crate::journal::JournalError;
use crate::reach::{NoPassword, ReachError};
use crate::scope::ScopeError;
use crate::secrets::SecretError;
use crate::session::Lost;

/// Why the run on this node ends.
#[derive(Debug)]
pub(super) enum Halt {
    /// The journal cannot be written.
    Journal(JournalError),
    /// The operator wanted to stop after this step: not an error.
    AsAsked(String),
    End {
        status: Status,
        cause: String,
        outcome_unknown: bool,
    },
}

impl Halt {
    pub fn end(status: Status, cause: impl Into<String>) -> Halt {
        Halt::End {
            status,
            cause: cause.into(),
            outcome_unknown: false,
        }
    }

    pub fn error(cause: impl Into<String>) -> Halt {
        Halt::end(Status::Error, cause)
    }
}

impl From<JournalError> for Halt {
    fn from(error: JournalError) -> Halt {
        Halt::Journal(error)
    }
}

impl From<BundleError> for Halt {
    fn from(error: BundleError) -> Halt {
        let status = match error {
            BundleError::Held(_) | BundleError::Taken => Status::Blocked,
            _ => Status::Error,
        };
        Halt::end(status, error.to_string())
    }
}

impl From<ReachError> for Halt {
    fn from(error: ReachError) -> Halt {
        let status = match error {
            ReachError::NoPassword {
                why: NoPassword::Stopped,
                ..
            } => Status::Stopped,
            _ => Status::Error,
        };
        Halt::end(status, error.to_string())
    }
}

impl From<ScopeError> for Halt {
    fn from(error: ScopeError) -> Halt {
        let status = match error {
            ScopeError::Secret(SecretError::Stopped) => Status::Stopped,
            _ => Status::Error,
        };
        Halt::end(status, error.to_string())
    }
}

/// Why a step is no longer followed.
pub(super) enum Attention {
    Lost(Lost),
    Halt(Halt),
}

impl Attention {
    /// For a step that was sent: it did not start only if the node says so.
    pub fn of_sent(error: BundleError) -> Attention {
        match error {
            BundleError::Started
            | BundleError::Failed(_)
            | BundleError::NoAnswer(_)
            | BundleError::Answer(_) => Attention::Halt(error.into()).in_doubt(),
            other => other.into(),
        }
    }

    /// For a step that was started: whoever has its record now, it may have continued.
    pub fn of_started(error: BundleError) -> Attention {
        let status = match error {
            BundleError::Held(_) | BundleError::Taken => Status::Blocked,
            BundleError::Lost(_) => return error.into(),
            _ => Status::Error,
        };
        Attention::Halt(Halt::end(status, error.to_string())).in_doubt()
    }

    pub fn in_doubt(self) -> Attention {
        match self {
            Attention::Halt(Halt::End { status, cause, .. }) => Attention::Halt(Halt::End {
                status,
                cause: format!("{cause}; it may or may not have finished"),
                outcome_unknown: true,
            }),
            other => other,
        }
    }
}

impl Attention {
    /// For code that follows no step.
    pub fn into_halt(self) -> Halt {
        match self {
            Attention::Halt(halt) => halt,
            Attention::Lost(lost) => Halt::error(lost.to_string()),
        }
    }
}

impl From<Halt> for Attention {
    fn from(halt: Halt) -> Attention {
        Attention::Halt(halt)
    }
}

impl From<BundleError> for Attention {
    fn from(error: BundleError) -> Attention {
        match error {
            BundleError::Lost(lost) => Attention::Lost(lost),
            other => Attention::Halt(Halt::from(other)),
        }
    }
}
