//! The limits of a script, and its result.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// The limits of one script.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Enforced on the node from the start of the script, in whole seconds, rounded up.
    pub time: Duration,
    /// Between TERM and KILL, in whole seconds, rounded up.
    pub grace: Duration,
    /// Bytes to keep of standard output and of standard error, each.
    pub output: u64,
    /// Stops the script when raised.
    pub cancel: Option<Cancel>,
}

/// A flag that stops the work it was passed to. Clones share it.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<watch::Sender<bool>>);

/// The result of a script: its status and its output, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// As the shell reports it: 128 + n for a script that signal n ended.
    pub status: i32,
    /// Its standard output, up to the limit.
    pub out: Vec<u8>,
    /// Its standard error, up to the limit.
    pub err: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// The output exceeded [`Limits::output`]; the script was stopped.
    pub truncated: bool,
}

/// How a script or call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// By itself.
    #[default]
    Exited,
    /// It exceeded its time; `killed` if TERM was not enough.
    TimedOut {
        /// Its processes are known to be dead.
        killed: bool,
    },
    /// Stopped by [`Limits::cancel`].
    Cancelled,
}

impl Done {
    /// Whether it ended by itself with status 0.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.status == 0 && self.end == End::Exited && !self.truncated
    }
}

impl Limits {
    /// The default limits, with this time limit.
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
    /// Not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Cancels all work that has a clone of this.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once it is cancelled.
    pub async fn cancelled(&self) {
        let mut raised = self.0.subscribe();
        // The sender is in `self`, so waiting cannot fail.
        let _ = raised.wait_for(|up| *up).await;
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

/// For messages: replaces the shell's name of the stored script.
pub(super) fn name_script(err: &mut Vec<u8>, dir: &str) {
    let shown = format!("{dir}/");
    let finder = memchr::memmem::Finder::new(&shown);
    let mut at = 0;
    let mut named = Vec::new();
    for found in finder.find_iter(err) {
        let digits = err[found + shown.len()..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        let end = found + shown.len() + digits;
        if found >= at && digits > 0 && err[end..].starts_with(b".s") {
            named.extend_from_slice(&err[at..found]);
            named.extend_from_slice(b"script");
            at = end + 2;
        }
    }
    if at > 0 {
        named.extend_from_slice(&err[at..]);
        *err = named;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_script_is_named_by_what_it_is() {
        let mut err = b"sh: 3: /tmp/d/17.s: x: not found\n/tmp/d/a.s /tmp/d/18.s".to_vec();
        name_script(&mut err, "/tmp/d");
        assert_eq!(err, b"sh: 3: script: x: not found\n/tmp/d/a.s script");
    }
}
