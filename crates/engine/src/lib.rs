//! Plan + sessions -> events. Knows no Markdown, no colours, no standard output.
//!
//! *The journal, the bundle and the node agree, or the run says that it does not know.*

// The crates below this one, by the names that its files use.
use opsbook_event as event;
use opsbook_journal as journal;
use opsbook_manual as manual;
use opsbook_nodes as nodes;
use opsbook_plan as plan;
use opsbook_session as session;
use opsbook_template as template;
use opsbook_text::{files, interpolation, outside, source};
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
    Alive, BY_HAND, Bundle, BundleError, Held, Owner, RUN, Request, TOOLS, Tale, make_by_hand,
    prelude, traces,
};
pub use bundles::{below, bundle_dir, by_hand_folder, may_move};
pub use check::{check, file_there, printed};
pub use content::{Stale, stale_files};
pub use due::{first_left, start_for};
pub use fleet::run;
pub use given::pinned;
pub use node::by_hand::{Told, out_of_turn};
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

/// How a run is done; the same for all its nodes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The manual's folder: where local steps start, and what deliveries are taken from.
    pub root: PathBuf,
    /// Where its journals and the bundles of local steps are.
    pub state: journal::State,
    /// Ask before each step.
    pub menu: bool,
    /// Answer every confirmation with yes.
    pub yes: bool,
    /// Number of the first step to run.
    pub start_at: Option<usize>,
    /// What is done where a node knows more than the journal.
    pub on_lag: OnLag,
    /// No other controller is to go on with this run.
    pub pinned: bool,
    /// Steps of each node whose files have changed since: they deliver again before anything else is begun.
    pub anew: BTreeMap<String, BTreeSet<usize>>,
    /// What the operator says of steps that were done by hand.
    pub told: Told,
    /// Machines of a run over several that are left out, where no step is left on them.
    pub without: Vec<String>,
    /// Number of the last step to run; the run then holds.
    pub stop_after: Option<usize>,
    /// Nodes at a time.
    pub parallel: usize,
    /// Told which node is begun now, before it is reached.
    pub turn: Turn,
    /// Sizes of the batches; the last one repeats. Empty for one batch of all.
    pub batches: Vec<usize>,
    /// Between batches.
    pub wait: Duration,
    /// Nodes that may end badly before no more are started.
    pub max_fail: usize,
    /// How long a lost node is looked for.
    pub reconnect: Duration,
    /// How sessions are opened.
    pub open: OpenOptions,
    /// What bundles say of the run that holds them.
    pub owner: Owner,
    /// Who is asked.
    pub operator: Operator,
    /// Where passwords for `sudo` come from.
    pub passwords: Passwords,
    /// Where secrets come from, and what is masked.
    pub secrets: Secrets,
    /// Counts the operator's Ctrl-C.
    pub interrupts: watch::Receiver<u32>,
}

/// What is done where a node knows more of a run than its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLag {
    /// Nothing is run.
    Refuse,
    /// The journal learns what it lacks, where the operator agrees.
    CatchUp,
    /// The same, and nobody is asked: who numbers the controllers of the run has decided so.
    Adopt,
}

impl OnLag {
    /// Whether the nodes are read before anything is done.
    #[must_use]
    pub fn catches_up(self) -> bool {
        self != OnLag::Refuse
    }
}

/// Told the name of a node.
#[derive(Clone)]
pub struct Turn(pub std::sync::Arc<dyn Fn(&str) + Send + Sync>);

impl Turn {
    /// Where nobody wants to know.
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

/// What the journal keeps of a node's plan.
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

/// 16 hexadecimal digits that no output holds by chance.
#[must_use]
pub fn random_mark() -> String {
    let mut bytes = [0_u8; 8];
    // The kernel's random numbers never run out once the machine is up.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    format!("{:016x}", u64::from_ne_bytes(bytes))
}

/// `90s`, `10m`, `1h30m`: a duration as people write it.
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
