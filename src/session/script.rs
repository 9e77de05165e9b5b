//! A script without a plan, for tests of sessions alone.

use std::sync::Arc;

use crate::plan::Script;

impl Script {
    /// Everything but a test gets its scripts from a plan.
    #[doc(hidden)]
    #[must_use]
    pub fn for_test(interpreter: &str, text: &str) -> Self {
        Self {
            interpreter: interpreter.to_owned(),
            text: Arc::from(text),
            bindings: Vec::new(),
            commands: Vec::new(),
            inherits: Vec::new(),
        }
    }
}
