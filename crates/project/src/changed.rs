//! Changes of the manual, its files and values between a halt and a resume.

use std::collections::BTreeMap;
use std::path::Path;

use crate::engine::{Stale, plan_record, stale_files};
use crate::event::{PlanRecord, Status, StepRecord};
use crate::journal::Record;
use crate::plan::{NodePlan, Plan};
use crate::run::Anew;
use crate::source::Problem;

/// Steps are identified by number, also on the node: a step that is done or may be running must
/// have kept its number. A step without an id is recognised by its text.
///
/// # Errors
/// The first step that has moved.
pub fn moved(plan: &Plan, record: &Record, root: &Path) -> Result<(), Box<Problem>> {
    for node in &plan.nodes {
        let Some(before) = record.plan(node.site()) else {
            continue;
        };
        let now = plan_record(root, node);
        let unknown = record.unknown(node.site());
        for (number, status) in record.steps(node.site()) {
            let Some(old) = before.step(number) else {
                continue;
            };
            let done = status.is_some_and(Status::goes_on);
            if status.is_some() && !done && !unknown.contains(&number) {
                continue;
            }
            let there = now.step(number);
            let elsewhere = nameless(old, number) && done && stands_elsewhere(before, &now, number);
            if there.is_none_or(|new| new.name != old.name) || elsewhere {
                let message = format!(
                    "step {number}, `{}`, has started, but the manual has moved or removed it",
                    old.name
                );
                let problem = Problem::bare("steps-moved", message);
                return Err(Box::new(problem.hint(
                    "restore the order of the steps, or release the bundle and start a new run \
                     with `--start-at`",
                )));
            }
        }
    }
    Ok(())
}

fn nameless(step: &StepRecord, number: usize) -> bool {
    step.name.ends_with(&format!("/{number}"))
}

/// Whether a step's current text earlier belonged to another step.
fn stands_elsewhere(before: &PlanRecord, now: &PlanRecord, number: usize) -> bool {
    let Some(wanted) = before.step(number).map(body) else {
        return false;
    };
    if now.step(number).is_some_and(|new| body(new) == wanted) {
        return false;
    }
    now.numbered().any(|(number, new)| {
        let old = before.step(number);
        body(new) == wanted && old.is_none_or(|old| body(old) != wanted)
    })
}

/// The text of a step without its first line, which contains its name.
fn body(step: &StepRecord) -> &str {
    step.text.split_once('\n').map_or("", |(_, body)| body)
}

/// The differences.
#[derive(Debug, Default)]
pub struct Changes {
    /// Lines to show before the run is refused, or continues because the operator accepts them.
    pub shown: Vec<String>,
    /// Descriptions of the differences.
    pub what: Vec<&'static str>,
    /// Differences that need no question: they do not affect the remaining steps.
    pub notes: Vec<String>,
    /// Steps that deliver again.
    pub anew: Anew,
    /// For each node whose plan has changed, the new plan.
    pub plans: BTreeMap<String, PlanRecord>,
}

/// The differences between the plan of a halted run and the current plan.
#[must_use]
pub fn changes(plan: &Plan, record: &Record, root: &Path) -> Changes {
    let mut changes = Changes::default();
    for node in &plan.nodes {
        let site = node.site();
        let name = &site.to_string();
        if record.node_status(site) == Some(Status::Ok) {
            continue;
        }
        let Some(before) = record.plan(site) else {
            continue;
        };
        let now = plan_record(root, node);
        let statuses = record.steps(site);
        let done =
            |number: usize| matches!(statuses.get(&number), Some(Some(status)) if status.goes_on());
        let mut left = before.numbered().filter(|(number, _)| !done(*number));
        let first = left.next().map_or(usize::MAX, |(number, _)| number);
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
    /// Reports a changed finished step if it has an id. A step without one is known only by its
    /// text.
    fn of_done(
        &mut self,
        node: &str,
        before: &PlanRecord,
        now: &PlanRecord,
        done: impl Fn(usize) -> bool,
    ) {
        for (number, old) in before.numbered() {
            let Some(new) = now.step(number) else {
                continue;
            };
            if !done(number) || without_files(old) == without_files(new) || old.name != new.name {
                continue;
            }
            if nameless(old, number) {
                self.what.push("the text of completed steps");
                self.shown.push(format!(
                    "{node}: the text of step {number} has changed; the step is done and does not \
                     run again:"
                ));
                self.diff(without_files(old), without_files(new));
            } else {
                self.notes.push(format!(
                    "{node}: step {number}, `{}`, has changed since; it is done and does not run \
                     again",
                    old.name
                ));
            }
        }
    }

    fn of_files(&mut self, node: &NodePlan, stale: Vec<Stale>) {
        let name = &node.site().to_string();
        for Stale {
            step,
            to,
            texts,
            gone,
            follows,
        } in stale
        {
            self.what.push("delivered files");
            let label = node.label(step);
            self.anew.entry(name.clone()).or_default().insert(step);
            if let Some(below) = follows {
                self.shown.push(format!(
                    "{name}: step {step} ({label}) changes `{to}`, which step {below} delivers \
                     again: so it runs again"
                ));
                continue;
            }
            let why = match gone {
                Some(gone) => format!("can no longer be delivered: {gone}"),
                None => "has changed".to_owned(),
            };
            self.shown.push(format!(
                "{name}: `{to}`, which step {step} ({label}) has delivered, {why}"
            ));
            if let Some((old, new)) = texts {
                self.diff(&old, &new);
            }
        }
    }

    fn of_remaining(&mut self, node: &str, before: &PlanRecord, now: &PlanRecord, first: usize) {
        // An older opsbook did not record the delivered files.
        let files = before.steps.iter().any(|step| !step.files.is_empty());
        let compared = |plan: &PlanRecord| -> String {
            let steps = plan.numbered().filter(|(number, _)| *number >= first);
            steps.map(|(_, step)| compared(step, files)).collect()
        };
        let (old, new) = (compared(before), compared(now));
        if old != new {
            self.what
                .push("the text or the values of the remaining steps");
            self.shown
                .push(format!("--- {node}, when the run was halted"));
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

/// A step without its deliveries: files are compared separately.
fn without_files(step: &StepRecord) -> &str {
    if step
        .text
        .lines()
        .any(|line| line.starts_with("--- deliver ") || line.starts_with("--- place "))
    {
        step.text.lines().next().unwrap_or_default()
    } else {
        body(step)
    }
}

/// A step's text, its values, and the texts that it delivers.
fn compared(step: &StepRecord, with_files: bool) -> String {
    let values = step.values.iter();
    let values = values.map(|(name, value)| format!("--- {name} = {value:?}\n"));
    let files = step.files.iter().filter(|_| with_files).map(|file| {
        let text = file.text.as_deref().unwrap_or_default();
        format!("--- {}\n{text}\n", file.to)
    });
    step.text.clone() + &values.collect::<String>() + &files.collect::<String>()
}
