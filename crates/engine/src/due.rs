//! Determines the next step of a run on a node from its journal; pure.

use crate::event::{Event, What};
use crate::journal::Record;
use crate::plan::{NodePlan, PlannedStep};

/// The first unfinished step of a resumed run, or the one in `start_at`.
pub fn first_due(plan: &NodePlan, record: &Record, start_at: Option<usize>) -> usize {
    let start = start_for(plan, record, start_at);
    let first = first_left(plan, record);
    start.or(first).unwrap_or(plan.last_number() + 1)
}

/// The step at which the operator continues, if that concerns this node. The operator names a step
/// of the halted part: a node or turn that has not begun starts at its first step, unless nothing
/// of the run has begun or all its steps are before that step.
#[must_use]
pub fn start_for(plan: &NodePlan, record: &Record, start_at: Option<usize>) -> Option<usize> {
    let start = start_at?;
    let has_roles = record
        .started()
        .is_some_and(|started| !started.roles.is_empty());
    let site = plan.site();
    // A turn, like the main line of a run with roles, is one unit over several nodes.
    let same = |event: &&Event| {
        event.turn.as_deref() == site.turn
            && (has_roles || event.node.as_deref() == Some(site.node))
    };
    let begins = |event: &&Event| {
        let step = &event.what;
        let step = matches!(
            step,
            What::StepStarted { .. } | What::StepFound { .. } | What::StepEnded(_)
        );
        step && event.step.is_some()
    };
    let mut begun = record.events.iter().filter(begins).peekable();
    let nothing = begun.peek().is_none();
    (nothing || begun.any(|event| same(&event)) || plan.last_number() < start).then_some(start)
}

/// The first step left to do on a node.
#[must_use]
pub fn first_left(plan: &NodePlan, record: &Record) -> Option<usize> {
    let node = plan.site();
    let statuses = record.steps(node);
    let ended =
        |number: usize| matches!(statuses.get(&number), Some(Some(status)) if status.goes_on());
    let latest = statuses.keys().max().copied().unwrap_or(0);
    // Steps before an explicit start were left out on purpose.
    let earliest = record.earliest(node, |number| plan.is_set_up(number));
    // A set-up, and a delivery whose file has changed, run again on each resume. If one is cut
    // short, the steps after it still count as done.
    let mut steps = plan.steps.iter();
    let first = steps.find(|step| {
        let begun = statuses.contains_key(&step.number);
        let again = (step.setup || (brings(step) && begun)) && step.number < latest;
        step.number >= earliest && !ended(step.number) && !again
    });
    first.map(|step| step.number)
}

/// Whether a step only copies files, which can be repeated.
pub fn brings(step: &PlannedStep) -> bool {
    !step.files().is_empty()
}
