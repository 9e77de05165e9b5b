//! Cases -> tests that look and feel like Rust's own. Knows how they are chosen, asked side
//! by side and reported; what they ask is the engine's.

mod ask;
mod gather;
mod harness;
mod libtest;
mod lines;
mod progress;
mod schedule;
mod select;

use std::sync::Arc;

use crate::nodes::Node;
use crate::plan::Case;
use crate::session::nodes_within;
use crate::source::Span;

pub use ask::{Access, Rehearse};
pub use gather::{gather, procedures};
pub use harness::{Format, Front, list, run};
pub use libtest::Libtest;
pub use progress::{Progress, Terminal};
pub use select::{Partition, Selected, Selection};

/// One test: a check on a node, or a whole procedure.
#[derive(Clone, Debug)]
pub struct Test {
    /// `node::group::check`
    pub name: String,
    pub node: Arc<Node>,
    pub span: Span,
    /// Why it is not asked unless ignored ones are.
    pub ignored: Option<String>,
    pub work: Work,
}

#[derive(Clone, Debug)]
pub enum Work {
    Check(Box<Case>),
    /// Of this id; the whole of it, for real.
    Procedure(String),
    /// Waived until a day that has passed; why, and which day.
    Overdue {
        reason: String,
        until: String,
    },
}

/// How a suite is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Checks at a time over all nodes; as many as the nodes do where absent.
    pub threads: Option<usize>,
    /// Nodes at a time.
    pub parallel: usize,
    /// Further tries after a fault of the connection.
    pub retries: u32,
    /// Stop at the first that fails.
    pub fail_fast: bool,
}

impl Options {
    /// As many nodes at a time as so many open files allow; and what is to be said where that
    /// is fewer than were wanted.
    #[must_use]
    pub fn within(self, files: u64) -> (Options, String) {
        let most = nodes_within(files);
        if self.parallel <= most {
            return (self, String::new());
        }
        let said = format!(
            "note: at most {files} files may be open at once (`ulimit -n`): {most} nodes at a time instead of {}\n",
            self.parallel
        );
        let parallel = most;
        (Options { parallel, ..self }, said)
    }
}

impl Test {
    /// As `--list` names it.
    #[must_use]
    pub fn listed(&self) -> String {
        format!("[{}] {}", self.node.name, self.name)
    }
}
