//! The one place where an engine's events go: first the journal, then whoever watches.

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{Event, Site, What};
use crate::journal::{Journal, JournalError, Line};

/// Called with each event once it is written; on the disk it is before the next action.
pub type Watcher = Box<dyn FnMut(&Event) + Send>;

/// No run has more controllers. Larger numbers are of a node or a supervisor that means harm.
pub const MOST_EPOCHS: u64 = 1 << 40;

/// Shared by all nodes of a run.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Inner>>);

struct Inner {
    journal: Journal,
    watchers: Vec<Watcher>,
}

impl Recorder {
    /// Writes to a journal, and then tells the watchers.
    #[must_use]
    pub fn new(journal: Journal, watchers: Vec<Watcher>) -> Recorder {
        Recorder(Arc::new(Mutex::new(Inner { journal, watchers })))
    }

    /// Writes an event down, as [`Journal::record`] does, and shows it. Gives its line.
    ///
    /// # Errors
    /// Where the journal cannot be written: nothing more may be done.
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

    /// The journal's last line, and the number of this controller.
    #[must_use]
    pub fn head(&self) -> (Line, u64) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.journal.line(), inner.journal.epoch())
    }

    /// This controller comes after another one of the run, of which the node has told.
    pub fn raise_epoch(&self, before: u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A node is not believed with any number.
        let epoch = inner.journal.epoch().max(before.min(MOST_EPOCHS) + 1);
        inner.journal.set_epoch(epoch);
    }

    /// Waits for the disk, before something is done that no event announces.
    ///
    /// # Errors
    /// Where the journal cannot be written: nothing more may be done.
    pub fn sync(&self) -> Result<(), JournalError> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.journal.sync()
    }

    /// The same, while something else is done.
    ///
    /// # Errors
    /// Where the journal cannot be written: nothing more may be done.
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
