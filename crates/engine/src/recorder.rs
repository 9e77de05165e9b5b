//! The single destination of an engine's events: first the journal, then all watchers.

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{Event, Site, What};
use crate::journal::{Journal, JournalError, Line};

/// Called with each event after it is written; it is synced before the next action.
pub type Watcher = Box<dyn FnMut(&Event) + Send>;

/// The largest controller number. Only a malicious node or supervisor sends larger ones.
pub const MOST_EPOCHS: u64 = 1 << 40;

/// Shared by all nodes of a run.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Inner>>);

struct Inner {
    journal: Journal,
    watchers: Vec<Watcher>,
}

impl Recorder {
    /// Writes to a journal, then calls the watchers.
    #[must_use]
    pub fn new(journal: Journal, watchers: Vec<Watcher>) -> Recorder {
        Recorder(Arc::new(Mutex::new(Inner { journal, watchers })))
    }

    /// Writes an event like [`Journal::record`] and shows it. Returns its line.
    ///
    /// # Errors
    /// If the journal cannot be written: nothing more may be done.
    pub fn record(
        &self,
        place: Option<Site<'_>>,
        step: Option<usize>,
        what: What,
    ) -> Result<Line, JournalError> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let event = inner.journal.record(place, step, what)?;
        for watcher in &mut inner.watchers {
            watcher(&event);
        }
        Ok(inner.journal.line())
    }

    /// The journal's last line, and this controller's number.
    #[must_use]
    pub fn head(&self) -> (Line, u64) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.journal.line(), inner.journal.epoch())
    }

    /// Raises this controller's number above that of an earlier controller, which the node
    /// reported.
    pub fn raise_epoch(&self, before: u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Do not trust arbitrary numbers of a node.
        let epoch = inner.journal.epoch().max(before.min(MOST_EPOCHS) + 1);
        inner.journal.set_epoch(epoch);
    }

    /// Syncs the journal, before an action that no event announces.
    ///
    /// # Errors
    /// If the journal cannot be written: nothing more may be done.
    pub fn sync(&self) -> Result<(), JournalError> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.journal.sync()
    }

    /// The same, asynchronously.
    ///
    /// # Errors
    /// If the journal cannot be written: nothing more may be done.
    pub async fn synced(&self) -> Result<(), JournalError> {
        let syncing = {
            let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inner.journal.syncing()?
        };
        match tokio::task::spawn_blocking(syncing).await {
            Ok(synced) => synced,
            Err(_) => self.sync(),
        }
    }

    /// The id of the run.
    #[must_use]
    pub fn run(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .journal
            .run()
            .to_owned()
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}
