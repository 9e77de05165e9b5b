//! What has changed in the manual, its files and values between a halt and a resume.

use std::collections::BTreeMap;
use std::path::Path;

use crate::engine::{Stale, plan_record, stale_files};
use crate::event::{PlanRecord, Status, StepRecord};
use crate::journal::Record;
use crate::plan::{NodePlan, Plan};
use crate::run::Anew;
use crate::source::Problem;

/// Steps are known by their numbers, on the node too: what is done, or may be under way, must
/// still stand where it stood. A step without an id is known by its text.
///
/// # Errors
/// The first step that does not.
pub fn moved(plan: &Plan, record: &Record, root: &Path) -> Result<(), Box<Problem>> {
    for node in &plan.nodes {
        let Some(before) = record.plan(&node.node.name) else {
            continue;
        };
        let now = plan_record(root, node);
        let unknown = record.unknown(&node.node.name);
        for (number, status) in record.steps(&node.node.name) {
            let Some(old) = before.steps.get(number - 1) else {
                continue;
            };
            let done = status.is_some_and(Status::goes_on);
            if status.is_some() && !done && !unknown.contains(&number) {
                continue;
            }
            let there = now.steps.get(number - 1);
            let elsewhere = nameless(old, number) && done && stands_elsewhere(before, &now, number);
            if there.is_none_or(|new| new.name != old.name) || elsewhere {
                let message = format!(
                    "step {number}, `{}`, was begun, and stands elsewhere in the manual now or not at all",
                    old.name
                );
                let problem = Problem::bare("steps-moved", message);
                return Err(Box::new(problem.hint(
                    "put the steps back in their places, or release the bundle and begin a new run with `--start-at`",
                )));
            }
        }
    }
    Ok(())
}

fn nameless(step: &StepRecord, number: usize) -> bool {
    step.name.ends_with(&format!("/{number}"))
}

/// Is the text of a step now that of another one, which had another text before?
fn stands_elsewhere(before: &PlanRecord, now: &PlanRecord, number: usize) -> bool {
    let wanted = body(&before.steps[number - 1]);
    if now
        .steps
        .get(number - 1)
        .is_some_and(|new| body(new) == wanted)
    {
        return false;
    }
    now.steps.iter().enumerate().any(|(index, new)| {
        let old = before.steps.get(index);
        body(new) == wanted && old.is_none_or(|old| body(old) != wanted)
    })
}

/// The text of a step without its first line, which holds its name.
fn body(step: &StepRecord) -> &str {
    step.text.split_once('\n').map_or("", |(_, body)| body)
}

/// What differs.
#[derive(Debug, Default)]
pub struct Changes {
    /// Lines that are shown before the run is refused, or goes on because that is accepted.
    pub shown: Vec<String>,
    /// What that is, in words.
    pub what: Vec<&'static str>,
    /// Not asked about: it makes no difference to what is still to be done.
    pub notes: Vec<String>,
    /// Steps that deliver again.
    pub anew: Anew,
    /// Of each node whose plan is another one now.
    pub plans: BTreeMap<String, PlanRecord>,
}

/// What differs between the plan of a run when it was halted and the plan as it is now.
#[must_use]
pub fn changes(plan: &Plan, record: &Record, root: &Path) -> Changes {
    let mut changes = Changes::default();
    for node in &plan.nodes {
        let name = &node.node.name;
        if record.node_status(name) == Some(Status::Ok) {
            continue;
        }
        let Some(before) = record.plan(name) else {
            continue;
        };
        let now = plan_record(root, node);
        let statuses = record.steps(name);
        let done =
            |number: usize| matches!(statuses.get(&number), Some(Some(status)) if status.goes_on());
        let first = (1..=before.steps.len())
            .find(|number| !done(*number))
            .unwrap_or(before.steps.len() + 1);
        changes.of_done(name, before, &now, done);
        changes.of_files(node, stale_files(root, node, record));
        changes.of_remaining(name, before, &now, first);
        if *before != now {
            changes.plans.insert(name.clone(), now);
        }
    }
    changes.what.sort_unstable();
    changes.what.dedup();
    changes
}

impl Changes {
    /// Of a step that is done and has an id it is said. One without is only known by its text.
    fn of_done(
        &mut self,
        node: &str,
        before: &PlanRecord,
        now: &PlanRecord,
        done: impl Fn(usize) -> bool,
    ) {
        for (index, (old, new)) in before.steps.iter().zip(&now.steps).enumerate() {
            let number = index + 1;
            if !done(number) || without_files(old) == without_files(new) || old.name != new.name {
                continue;
            }
            if nameless(old, number) {
                self.what.push("the text of steps that are done");
                self.shown.push(format!(
                    "{node}: the text of step {number} has changed; it is done, and is not run again:"
                ));
                self.diff(without_files(old), without_files(new));
            } else {
                self.notes.push(format!(
                    "{node}: step {number}, `{}`, has changed since; it is done, and is not run again",
                    old.name
                ));
            }
        }
    }

    fn of_files(&mut self, node: &NodePlan, stale: Vec<Stale>) {
        let name = &node.node.name;
        for Stale {
            step,
            to,
            texts,
            gone,
        } in stale
        {
            self.what.push("delivered files");
            let label = node.steps[step - 1].label();
            let why = match gone {
                Some(gone) => format!("cannot be delivered any more: {gone}"),
                None => "is another one now".to_owned(),
            };
            self.shown.push(format!(
                "{name}: `{to}`, which step {step} ({label}) has delivered, {why}"
            ));
            if let Some((old, new)) = texts {
                self.diff(&old, &new);
            }
            self.anew.entry(name.clone()).or_default().insert(step);
        }
    }

    fn of_remaining(&mut self, node: &str, before: &PlanRecord, now: &PlanRecord, first: usize) {
        // An older opsbook did not write down what is delivered.
        let files = before.steps.iter().any(|step| !step.files.is_empty());
        let compared = |plan: &PlanRecord| -> String {
            let steps = plan.steps.iter().skip(first - 1);
            steps.map(|step| compared(step, files)).collect()
        };
        let (old, new) = (compared(before), compared(now));
        if old != new {
            self.what
                .push("the text or the values of the remaining steps");
            self.shown
                .push(format!("--- {node}, as it was when the run was halted"));
            self.shown.push(format!("+++ {node}, as it is now"));
            self.diff(&old, &new);
        }
    }

    fn diff(&mut self, old: &str, new: &str) {
        let diff = similar::TextDiff::from_lines(old, new);
        for change in diff.iter_all_changes() {
            let sign = match change.tag() {
                similar::ChangeTag::Delete => '-',
                similar::ChangeTag::Insert => '+',
                similar::ChangeTag::Equal => ' ',
            };
            let line = change.value().trim_end_matches('\n');
            self.shown.push(format!("{sign}{line}"));
        }
    }
}

/// A step without what it delivers: files are compared by themselves.
fn without_files(step: &StepRecord) -> &str {
    if step
        .text
        .lines()
        .any(|line| line.starts_with("--- deliver "))
    {
        step.text.lines().next().unwrap_or_default()
    } else {
        body(step)
    }
}

/// A step's text, the values with which it runs, and the texts that it delivers.
fn compared(step: &StepRecord, with_files: bool) -> String {
    let values = step.values.iter();
    let values = values.map(|(name, value)| format!("--- {name} = {value:?}\n"));
    let files = step.files.iter().filter(|_| with_files).map(|file| {
        let text = file.text.as_deref().unwrap_or_default();
        format!("--- {}\n{text}\n", file.to)
    });
    step.text.clone() + &values.collect::<String>() + &files.collect::<String>()
}
