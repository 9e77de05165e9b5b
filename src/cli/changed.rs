//! What has changed in the manual between a halt and a resume.

use crate::cli::error::Failure;
use crate::engine::plan_record;
use crate::event::{RunStarted, Status, StepRecord};
use crate::journal::Record;
use crate::plan::Plan;
use crate::source::Problem;

/// Steps are known by their numbers, on the node too: what is done, or may be under way, must
/// still stand where it stood. A step that is done and has no id is known by its text.
pub(super) fn moved(plan: &Plan, started: &RunStarted, record: &Record) -> Result<(), Failure> {
    for node in &plan.nodes {
        let Some(before) = started.plans.get(&node.node.name) else {
            continue;
        };
        let now = plan_record(node);
        let unknown = record.unknown(&node.node.name);
        for (number, status) in record.steps(&node.node.name) {
            let Some(old) = before.steps.get(number - 1) else {
                continue;
            };
            let nameless = old.name.ends_with(&format!("/{number}"));
            let done = status.is_some_and(Status::goes_on);
            if status.is_some() && !done && !unknown.contains(&number) {
                continue;
            }
            let same = |new: &StepRecord| {
                new.name == old.name && !(nameless && done && new.text != old.text)
            };
            if !now.steps.get(number - 1).is_some_and(same) {
                let message = format!(
                    "step {number}, `{}`, was begun, and stands elsewhere in the manual now or not at all",
                    old.name
                );
                return Err(Failure::from(
                    Problem::bare("steps-moved", message)
                        .hint("put the steps back in their places, or release the bundle and begin a new run with `--start-at`"),
                ));
            }
        }
    }
    Ok(())
}

/// What differs in the steps that are still to be done, as lines of a diff.
pub(super) fn changed(plan: &Plan, started: &RunStarted, record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    for node in &plan.nodes {
        let name = &node.node.name;
        if record.node_status(name) == Some(Status::Ok) {
            continue;
        }
        let Some(before) = started.plans.get(name) else {
            continue;
        };
        let now = plan_record(node);
        let statuses = record.steps(name);
        let done =
            |number: usize| matches!(statuses.get(&number), Some(Some(status)) if status.goes_on());
        let first = (1..=before.steps.len())
            .find(|number| !done(*number))
            .unwrap_or(before.steps.len() + 1);
        let old: String = before.steps.iter().skip(first - 1).map(compared).collect();
        let new: String = now.steps.iter().skip(first - 1).map(compared).collect();
        if old != new {
            lines.push(format!("--- {name}, as it was when the run was halted"));
            lines.push(format!("+++ {name}, as it is now"));
            let diff = similar::TextDiff::from_lines(&old, &new);
            for change in diff.iter_all_changes() {
                let sign = match change.tag() {
                    similar::ChangeTag::Delete => '-',
                    similar::ChangeTag::Insert => '+',
                    similar::ChangeTag::Equal => ' ',
                };
                lines.push(format!("{sign}{}", change.value().trim_end_matches('\n')));
            }
        }
    }
    lines
}

/// A step's text, and the values with which it runs.
fn compared(step: &StepRecord) -> String {
    let values = step.values.iter();
    let values = values.map(|(name, value)| format!("--- {name} = {value:?}\n"));
    step.text.clone() + &values.collect::<String>()
}
