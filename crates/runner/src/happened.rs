//! Messages about a runner's parts.

use std::path::PathBuf;

use opsbook_wire::PartKey;
use tokio::sync::mpsc;

use crate::approval::Approver;
use crate::certificate::Certified;

/// The channel of messages.
pub(crate) type Tell = mpsc::UnboundedSender<(PartKey, Happened)>;

/// A message about a part.
#[derive(Debug)]
pub(crate) enum Happened {
    /// The folder of its manual, or the reason why there is none.
    Brought(Result<PathBuf, String>),
    /// Its approvers, or the reason why it must not run.
    Approved(Result<Vec<Approver>, String>),
    /// Its login, or the reason why there is none.
    Certified(Result<Certified, String>),
    /// Its process has ended.
    Exited(Exit),
    /// The delay before the restart of a crashed process is over.
    Again,
    /// The gateway has all lines of its journal.
    Sent,
    /// The gateway does not accept the lines of its journal: they stay here.
    Kept,
}

/// How a process has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its last message on standard error.
    pub said: String,
}
