//! Runs plans in sessions and emits events. Knows no Markdown, no colours, no standard output.
//!
//! *The journal, the bundle and the node agree, or the run says that it does not know.*

// The crates below this one, under the names that its files use.
use opsbook_event as event;
use opsbook_journal as journal;
use opsbook_manual as manual;
use opsbook_nodes as nodes;
use opsbook_plan as plan;
use opsbook_session as session;
use opsbook_template as template;
use opsbook_text::remedies::{is_without_process, remedy};
use opsbook_text::{files, interpolation, outside, random, source};
use opsbook_vocabulary as vocabulary;

mod bundle;
mod bundles;
mod check;
mod content;
mod decide;
mod delivery;
mod due;
mod fleet;
mod given;
mod halt;
mod joint;
#[cfg(test)]
mod lab;
mod node;
mod output;
mod paste;
mod peers;
mod proof;
mod question;
mod reach;
mod recorder;
mod scope;
mod secrets;
mod several;
mod shell;
mod state;
mod target;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;

use crate::event::{PlanRecord, StepRecord};
use crate::plan::NodePlan;
use crate::session::OpenOptions;

pub use bundle::{
    Alive, BY_HAND, Bundle, BundleError, Held, NodeRecord, Owner, RUN, Request, TOOLS,
    make_by_hand, prelude, traces,
};
pub use bundles::{below, bundle_dir, by_hand_folder, may_move};
pub use check::{check, file_there, printed};
pub use content::{Stale, stale_files};
pub use due::{first_left, start_for};
pub use fleet::run;
pub use given::pinned;
pub use node::by_hand::{DoneByHand, out_of_turn};
pub use output::harmless;
pub use proof::Proof;
pub use question::{Answer, Asked, Operator, Question};
pub use reach::{NoPassword, Passwords, Reach, ReachError};
pub use recorder::{MOST_EPOCHS, Recorder, Watcher};
pub use scope::Scope;
pub use secrets::{SecretError, Secrets};
pub use shell::Shell;
pub use state::rules_a_shell;
pub use target::target;
pub use together::check_together;

/// Options of a run; the same for all its nodes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The manual's folder: local steps start here, and deliveries are read from here.
    pub root: PathBuf,
    /// The folder of journals and of local steps' bundles.
    pub state: journal::State,
    /// Ask before each step.
    pub menu: bool,
    /// Answer every confirmation with yes.
    pub yes: bool,
    /// Number of the first step to run.
    pub start_at: Option<usize>,
    /// What to do if a node knows more than the journal.
    pub on_lag: OnLag,
    /// No other controller may continue this run.
    pub pinned: bool,
    /// For each node, steps whose files have changed: they deliver again before any other step.
    pub anew: BTreeMap<String, BTreeSet<usize>>,
    /// Steps that the operator says were done by hand.
    pub told: DoneByHand,
    /// Nodes to leave out of a run over several, if no step is left on them.
    pub without: Vec<String>,
    /// Number of the last step to run; then the run halts.
    pub stop_after: Option<usize>,
    /// The number of nodes that run in parallel.
    pub parallel: usize,
    /// Called with the name of each node before it is reached.
    pub turn: Turn,
    /// Sizes of the batches; the last one repeats. Empty: one batch of all nodes.
    pub batches: Vec<usize>,
    /// The pause between batches.
    pub wait: Duration,
    /// How many nodes may fail before no new node starts.
    pub max_fail: usize,
    /// How long to look for a lost node.
    pub reconnect: Duration,
    /// How sessions are opened.
    pub open: OpenOptions,
    /// What bundles say about the run that holds them.
    pub owner: Owner,
    /// Answers questions.
    pub operator: Operator,
    /// Where passwords for `sudo` come from.
    pub passwords: Passwords,
    /// Where secrets come from, and what is masked.
    pub secrets: Secrets,
    /// Counts the operator's Ctrl-C.
    pub interrupts: watch::Receiver<u32>,
}

/// What to do if a node knows more of a run than its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLag {
    /// Nothing is run.
    Refuse,
    /// Add to the journal what it lacks, if the operator agrees.
    CatchUp,
    /// The same without a question: the supervisor that numbers the controllers has decided so.
    Adopt,
}

impl OnLag {
    /// Whether the nodes are read before anything is done.
    #[must_use]
    pub fn catches_up(self) -> bool {
        self != OnLag::Refuse
    }
}

/// A callback with the name of a node.
#[derive(Clone)]
pub struct Turn(pub std::sync::Arc<dyn Fn(&str) + Send + Sync>);

impl Turn {
    /// A callback that does nothing.
    #[must_use]
    pub fn untold() -> Turn {
        Turn(std::sync::Arc::new(|_| {}))
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turn")
    }
}

/// The journal's record of a node's plan.
#[must_use]
pub fn plan_record(root: &Path, node: &NodePlan) -> PlanRecord {
    let numbered = (1..).zip(&node.steps);
    let steps = numbered.map(|(place, step)| StepRecord {
        number: (place != step.number).then_some(step.number),
        name: step.name.clone(),
        title: step.title.clone(),
        place: step.span.place(),
        sha256: step.sha256.clone(),
        text: step.text.clone(),
        values: step
            .values()
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect(),
        exit: if step.exit == [0] {
            Vec::new()
        } else {
            step.exit.clone()
        },
        files: content::texts(root, node, step),
    });
    PlanRecord {
        sha256: node.sha256.clone(),
        steps: steps.collect(),
    }
}

/// A duration as people write it: `90s`, `10m`, `1h30m`.
#[must_use]
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, _) if duration.subsec_millis() > 0 => format!("{:.1}s", duration.as_secs_f64()),
        (0, 0, s) => format!("{s}s"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, 0, _) => format!("{h}h"),
        (h, m, _) => format!("{h}h{m}m"),
    }
}
