//! Which step of a run is due on a node, as its journal tells; pure.

use crate::journal::Record;
use crate::plan::{NodePlan, PlannedStep};

/// The first step of a run that goes on which is not done, or the one at which it is to.
pub fn first_due(plan: &NodePlan, record: &Record, start_at: Option<usize>) -> usize {
    let first = first_left(plan, record);
    start_at.or(first).unwrap_or(plan.last_number() + 1)
}

/// The first step that is left to do on a node.
#[must_use]
pub fn first_left(plan: &NodePlan, record: &Record) -> Option<usize> {
    let node = plan.site();
    let statuses = record.steps(node);
    let ended =
        |number: usize| matches!(statuses.get(&number), Some(Some(status)) if status.goes_on());
    let latest = statuses.keys().max().copied().unwrap_or(0);
    // What lies before an explicit start was left out on purpose.
    let earliest = record.earliest(node, |number| plan.is_set_up(number));
    // A set-up runs again on each resume, and a delivery whose file has changed. One that
    // is cut short then leaves what came after it done all the same.
    let mut steps = plan.steps.iter();
    let first = steps.find(|step| {
        let begun = statuses.contains_key(&step.number);
        let again = (step.setup || (brings(step) && begun)) && step.number < latest;
        step.number >= earliest && !ended(step.number) && !again
    });
    first.map(|step| step.number)
}

/// Whether a step brings files into the bundle, or to their place: that can be done again.
pub fn brings(step: &PlannedStep) -> bool {
    !step.files().is_empty()
}
