//! A run over several nodes. The work on one node is one `NodeRun`, as in a run on one node; this
//! module takes them through the steps in the order of the page.
//!
//! A `Line` is the set of nodes that go through steps together: those of the main line, or those of
//! one turn of a section. All of them are taken over before anything is compared or started.

mod ahead;
mod line;
mod main_line;
mod section;
mod stop;
mod take_over;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::event::Status;
use crate::halt::Halt;
use crate::journal::{JournalError, Record};
use crate::plan::{Binding, NodePlan, Plan, PlannedStep};
use crate::{Options, Recorder};

use main_line::MainLine;
use stop::Stops;

/// What all lines of a run share.
pub struct Ground<'a> {
    pub plan: &'a Plan,
    pub binding: &'a Binding,
    pub options: &'a Options,
    pub recorder: &'a Recorder,
    /// The number of the last step.
    last: usize,
    /// On a node that serves several turns, one step runs at a time.
    gates: BTreeMap<&'a str, Arc<Mutex<()>>>,
}

impl<'a> Ground<'a> {
    fn new(
        plan: &'a Plan,
        binding: &'a Binding,
        options: &'a Options,
        recorder: &'a Recorder,
    ) -> Ground<'a> {
        let held = plan.nodes.iter().filter(|node| node.turn.is_none());
        Ground {
            plan,
            binding,
            options,
            recorder,
            last: plan
                .nodes
                .iter()
                .map(NodePlan::last_number)
                .max()
                .unwrap_or(0),
            gates: held
                .map(|node| (node.node.name.as_str(), Arc::default()))
                .collect(),
        }
    }

    /// Whether the run holds a node from beginning to end.
    fn holds(&self, node: &str) -> bool {
        self.gates.contains_key(node)
    }

    /// The step of any node with this number.
    fn step(&self, number: usize) -> Option<&'a PlannedStep> {
        self.plan.nodes.iter().find_map(|node| node.step(number))
    }

    /// Ends as intended if the step is after the one at which the run must stop.
    fn prove_wanted(&self, number: usize, node: &str) -> Result<(), Stops> {
        let Some(last) = self.options.stop_after.filter(|last| number > *last) else {
            return Ok(());
        };
        let label = self.step(last).map_or("", PlannedStep::label);
        let halt = Halt::AsAsked(format!("stopped after step {label}, as asked"));
        Err(Stops::at(node, halt))
    }

    /// Whether any step of the run has begun on any node.
    fn has_begun(&self, record: &Record) -> bool {
        let mut nodes = self.plan.nodes.iter();
        nodes.any(|node| record.has_begun(node.site()))
    }
}

/// Runs a plan over several nodes, or continues the run that `resume` describes.
///
/// # Errors
/// If the journal cannot be written.
pub async fn run(
    plan: &Plan,
    binding: &Binding,
    options: &Options,
    recorder: &Recorder,
    resume: Option<&Record>,
) -> Result<Status, JournalError> {
    let ground = Ground::new(plan, binding, options, recorder);
    Box::pin(MainLine::run(&ground, resume)).await
}
