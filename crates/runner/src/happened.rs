//! What happens to the parts of a runner while it waits for news.

use std::path::PathBuf;

use opsbook_wire::PartKey;
use tokio::sync::mpsc;

use crate::approval::Approver;
use crate::certificate::Certified;

/// Where it is told.
pub(crate) type Tell = mpsc::UnboundedSender<(PartKey, Happened)>;

/// What happened to a part.
#[derive(Debug)]
pub(crate) enum Happened {
    /// The folder of its manual, or why there is none.
    Brought(Result<PathBuf, String>),
    /// Who has approved it, or why it must not run.
    Approved(Result<Vec<Approver>, String>),
    /// What it logs in with, or why there is nothing.
    Certified(Result<Certified, String>),
    /// Its process has ended.
    Exited(Exit),
    /// A process that has died is started again.
    Again,
    /// The gateway has all lines of its journal.
    Sent,
    /// The gateway does not take the lines of its journal: they stay here.
    Kept,
}

/// How a process has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Its exit status; none where a signal has ended it.
    pub code: Option<i32>,
    /// The last that it said on standard error.
    pub said: String,
}
