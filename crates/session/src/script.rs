//! What a session runs for a person who has written it: a text, and the program that reads it.

use std::sync::Arc;

/// A script. A session runs these; what else it evaluates is a [`Call`](super::Call).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    interpreter: String,
    text: Arc<str>,
}

impl Script {
    /// A script for `sh`, `bash`, `python3`, … It may be any text, and it is run as it is: in
    /// the tool itself only a plan's scripts get here (`engine::target`).
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

    /// The interpreter as the runner knows it. A worker's subshell is the cheapest `sh`, but
    /// `$$` is the worker there: a script that asks for its own process id gets a process of
    /// its own.
    pub(super) fn interpreter(&self, values: &[u8]) -> &str {
        let asks = |text: &[u8]| {
            let within = |what: &[u8]| memchr::memmem::find(text, what).is_some();
            within(b"$$") || within(b"${$")
        };
        // A value may be a command that the script evaluates.
        if self.interpreter == "sh" && (asks(self.text()) || asks(values)) {
            "own"
        } else {
            &self.interpreter
        }
    }
}
