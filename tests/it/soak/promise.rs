//! Whether the journal, the bundle and the node agree.

use std::collections::BTreeMap;
use std::path::Path;

use opsbook::event::{Event, Status, StepEnded, What};
use opsbook::journal::Record;

use super::procedure::Made;

/// The findings, compared with the journal.
pub struct Seen<'a> {
    pub made: &'a Made,
    pub ran: &'a [String],
    pub record: &'a Record,
    /// Events that the journal knew before an older copy replaced it.
    pub lost: &'a [Event],
    /// Something may have destroyed a step's record on the node.
    pub blinded: bool,
    /// Resumes so far.
    pub resumes: usize,
}

/// The errors, in sentences.
pub fn check(seen: &Seen<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, event) in seen.record.events.iter().enumerate() {
        if event.seq != at as u64 + 1 {
            wrong.push(format!("event {} has number {}", at + 1, event.seq));
        }
    }
    for (index, step) in seen.made.steps.iter().enumerate() {
        let number = index + 1;
        let (starts, ends) = history(&seen.record.events, number);
        let ok = ends.last().is_some_and(|ended| ended.status == Status::Ok);
        let (_, lost) = history(seen.lost, number);
        let again = lost
            .iter()
            .chain(&ends)
            .filter(|ended| may_repeat(ended, seen.blinded))
            .count();
        let most = 1 + again + if step.setup { seen.resumes } else { 0 };
        for line in &step.lines {
            let count = seen.ran.iter().filter(|found| *found == line).count();
            if count > 0 && starts == 0 {
                wrong.push(format!(
                    "step {number} wrote `{line}`, and the journal knows no start of it"
                ));
            }
            if ok && count == 0 {
                wrong.push(format!("step {number} is OK, and `{line}` is not there"));
            }
            if count > most {
                wrong.push(format!(
                    "step {number} wrote `{line}` {count} times, at most {most} can be explained"
                ));
            }
        }
    }
    for line in seen.ran {
        if !seen.made.steps.iter().any(|step| step.lines.contains(line)) {
            wrong.push(format!("`{line}` was written by nobody known"));
        }
    }
    wrong
}

/// The first occurrences are in the order of the procedure.
pub fn in_order(made: &Made, ran: &[String]) -> Vec<String> {
    let place: BTreeMap<&str, usize> = ran
        .iter()
        .enumerate()
        .rev()
        .map(|(at, line)| (line.as_str(), at))
        .collect();
    let lines = made.steps.iter().flat_map(|step| &step.lines);
    let places: Vec<_> = lines.filter_map(|line| place.get(line.as_str())).collect();
    if places.is_sorted() {
        Vec::new()
    } else {
        vec!["the steps ran in another order".to_owned()]
    }
}

/// After OK nothing is left: no bundle, not even an incomplete one. What cannot be removed may be
/// moved aside.
pub fn nothing_left(parents: &[&Path], held: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for parent in parents {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let aside = held && name.starts_with(".left.");
            if name != "history" && name != "lost+found" && !aside {
                wrong.push(format!("{} is left", entry.path().display()));
            }
        }
    }
    wrong
}

/// How often a step began, and how each time ended.
fn history(events: &[Event], number: usize) -> (usize, Vec<&StepEnded>) {
    let of_step = || events.iter().filter(|event| event.step == Some(number));
    let starts = of_step()
        .filter(|event| {
            matches!(
                event.what,
                What::StepStarted { .. } | What::StepFound { .. }
            )
        })
        .count();
    let ends = of_step()
        .filter_map(|event| match &event.what {
            What::StepEnded(ended) => Some(ended),
            _ => None,
        })
        .collect();
    (starts, ends)
}

/// After such an end a person may let it run again: it failed, it was stopped, or its result is
/// unknown.
fn may_repeat(ended: &StepEnded, blinded: bool) -> bool {
    match ended.status {
        Status::Failed | Status::TimedOut => true,
        Status::Stopped => !ended.outcome_unknown,
        // Its variables are lost with its record, which the run reports.
        Status::Error if blinded => {
            let full = |cause: &opsbook::outside::Outside| cause.exact().contains("disk is full");
            ended.outcome_unknown || ended.cause.as_ref().is_some_and(full)
        }
        _ => false,
    }
}
