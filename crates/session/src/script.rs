//! A script that a person has written: a text and its interpreter.

use std::sync::Arc;

/// A script for a session. Everything else that a session evaluates is a [`Call`](super::Call).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    interpreter: String,
    text: Arc<str>,
}

impl Script {
    /// A script for `sh`, `bash`, `python3`, … The text is arbitrary and runs unchanged. In opsbook
    /// only a plan's scripts get here (`engine::target`).
    #[must_use]
    pub fn new(interpreter: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        Self {
            interpreter: interpreter.into(),
            text: text.into(),
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The interpreter for the runner. A worker's subshell is the cheapest `sh`, but its `$$` is
    /// the worker: a script that uses its process id gets its own process.
    pub(super) fn interpreter(&self, values: &[u8]) -> &str {
        let asks = |text: &[u8]| {
            let within = |what: &[u8]| memchr::memmem::find(text, what).is_some();
            within(b"$$") || within(b"${$")
        };
        // A value may contain a command that the script evaluates.
        if self.interpreter == "sh" && (asks(self.text()) || asks(values)) {
            "own"
        } else {
            &self.interpreter
        }
    }
}
