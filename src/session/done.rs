//! What a script may use, and what came of it. Knows nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// What one script may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Counted on the node from the start of the script, in whole seconds, rounded up.
    pub time: Duration,
    /// Between TERM and KILL, in whole seconds, rounded up.
    pub grace: Duration,
    /// Bytes kept of standard output and of standard error, each.
    pub output: u64,
    /// Stops the script when it is raised.
    pub cancel: Option<Cancel>,
}

/// A flag that stops what was given it. Clones share it.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<watch::Sender<bool>>);

/// The end of a script: its status and its output, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// As the shell tells it: 128 + n for a script that signal n ended.
    pub status: i32,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub end: End,
    /// Output passed [`Limits::output`]; the script was stopped there.
    pub truncated: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Exited,
    /// Past its time; `killed` where TERM was not enough.
    TimedOut { killed: bool },
    /// Stopped by [`Limits::cancel`].
    Cancelled,
}

impl Done {
    #[must_use]
    pub fn ok(&self) -> bool {
        self.status == 0 && self.end == End::Exited && !self.truncated
    }
}

impl Limits {
    /// The usual limits, with this time limit.
    #[must_use]
    pub fn seconds(seconds: u64) -> Self {
        Self {
            time: Duration::from_secs(seconds),
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_mins(1),
            grace: Duration::from_secs(5),
            output: 16 << 20,
            cancel: None,
        }
    }
}

impl Cancel {
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once the flag is up.
    pub async fn cancelled(&self) {
        let mut raised = self.0.subscribe();
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = raised.wait_for(|up| *up).await;
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}
