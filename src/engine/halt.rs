//! What ends a run on a node before its last step.

use crate::engine::bundle::BundleError;
use crate::engine::reach::{NoPassword, ReachError};
use crate::engine::scope::ScopeError;
use crate::engine::secrets::SecretError;
use crate::event::Status;
use crate::journal::JournalError;

/// The run on a node ends here.
#[derive(Debug)]
pub(super) enum Halt {
    /// Nothing can be written down any more.
    Journal(JournalError),
    /// After the step after which the operator wanted to stop: nothing is wrong.
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
