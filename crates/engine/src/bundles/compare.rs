//! Compares the journal's and the node's view of a run's steps: equal, behind, or contradictory.
//! Pure: no I/O.

use std::collections::BTreeSet;

use crate::bundle::{Claim, How, ScriptRecord};
use crate::event::{Event, Site, Status, StepEnded, What};
use crate::journal::Record;

/// The compared properties of a planned step.
pub struct Step<'a> {
    pub number: usize,
    pub name: &'a str,
    /// The hash of the text as planned now.
    pub sha256: &'a str,
    /// The number of commands of a transcript, 0 for a plain script; `None` if it is not a script.
    pub commands: Option<usize>,
    pub reboot: bool,
    /// The place of its record has been read.
    pub looked: bool,
}

/// A journal line that begins a step.
struct Begun<'a> {
    seq: u64,
    epoch: u64,
    sha256: Option<&'a str>,
    /// Another controller began it, and its lines are not in this journal.
    found: bool,
}

/// The steps of which the node knows more than the journal.
///
/// # Errors
/// If the two contradict each other: the step, and what each side says.
pub fn compare(
    steps: &[Step<'_>],
    record: &Record,
    node: Site<'_>,
    told: &[ScriptRecord],
) -> Result<BTreeSet<usize>, String> {
    // The journal may know a step that the manual no longer has.
    let known = record.steps(node);
    let unheard = told.iter().map(|told| told.step).find(|number| {
        let planned = steps.iter().any(|step| step.number == *number);
        !planned && !known.contains_key(number)
    });
    if let Some(number) = unheard {
        return Err(format!(
            "the node has a record of step {number}, which the manual does not have"
        ));
    }
    let mut more = BTreeSet::new();
    for step in steps {
        let view = View::of(step, record, node, told);
        let wrong = |says: String| format!("step {} `{}`: {says}", step.number, step.name);
        match view.compare(record).map_err(wrong)? {
            Knows::More => drop(more.insert(step.number)),
            Knows::Same => {}
        }
    }
    Ok(more)
}

enum Knows {
    Same,
    More,
}

/// One step in both views.
struct View<'a> {
    step: &'a Step<'a>,
    told: Vec<&'a ScriptRecord>,
    begun: Vec<Begun<'a>>,
    /// Lines at which a controller attached to it.
    attached: Vec<u64>,
    /// Its latest end, after its latest beginning.
    ended: Option<&'a StepEnded>,
    exits: &'a [i32],
}

impl<'a> View<'a> {
    fn of(
        step: &'a Step<'a>,
        record: &'a Record,
        node: Site<'_>,
        told: &'a [ScriptRecord],
    ) -> View<'a> {
        let commands = step.commands.unwrap_or(0);
        let of_it = |told: &&ScriptRecord| {
            told.step == step.number && told.command.is_none_or(|command| command <= commands)
        };
        let mut view = View {
            step,
            told: told.iter().filter(of_it).collect(),
            begun: Vec::new(),
            attached: Vec::new(),
            ended: None,
            exits: &[0],
        };
        view.told.sort_by_key(|told| told.command);
        let planned = record.plan(node);
        let planned = planned.and_then(|plan| plan.step(step.number));
        if let Some(planned) = planned.filter(|planned| !planned.exit.is_empty()) {
            view.exits = &planned.exit;
        }
        for event in record
            .of(node)
            .filter(|event| event.step == Some(step.number))
        {
            view.take(event);
        }
        view
    }

    fn take(&mut self, event: &'a Event) {
        let (seq, epoch) = (event.seq, event.epoch.unwrap_or(1));
        match &event.what {
            What::StepStarted { sha256, .. } => {
                self.ended = None;
                self.begun.push(Begun {
                    seq,
                    epoch,
                    sha256: sha256.as_deref(),
                    found: false,
                });
            }
            What::StepFound { sha256, .. } => {
                self.ended = None;
                self.begun.push(Begun {
                    seq,
                    epoch,
                    sha256: Some(sha256),
                    found: true,
                });
            }
            What::StepAttached { .. } => self.attached.push(seq),
            What::StepEnded(ended) => self.ended = Some(ended),
            _ => {}
        }
    }

    fn compare(&self, record: &Record) -> Result<Knows, String> {
        let latest = self.begun.last();
        if self.told.is_empty() {
            return self.without_record(latest);
        }
        if latest.is_none() {
            return match self.step.commands {
                Some(_) => Ok(Knows::More),
                None => Err(
                    "the node has a record of it, but in the manual it is not a \
                     script"
                        .to_owned(),
                ),
            };
        }
        for claim in self.told.iter().filter_map(|told| told.claim.as_ref()) {
            if let Knows::More = self.same_beginning(claim, record)? {
                return Ok(Knows::More);
            }
        }
        if latest.is_some_and(|begun| !begun.found) {
            self.same_end()?;
        }
        Ok(Knows::Same)
    }

    fn without_record(&self, latest: Option<&Begun<'_>>) -> Result<Knows, String> {
        let ok = self.ended.is_some_and(|ended| ended.status == Status::Ok);
        // A step with another text may have its record elsewhere, or none.
        let due = latest.is_some_and(|begun| {
            !begun.found && begun.sha256.is_none_or(|text| text == self.step.sha256)
        });
        if ok && due && self.step.looked && self.step.commands.is_some() {
            return Err("the journal says OK, but the node has no record of it".to_owned());
        }
        Ok(Knows::Same)
    }

    /// Whether it was started at a line of this journal, with the text in that line.
    fn same_beginning(&self, claim: &Claim, record: &Record) -> Result<Knows, String> {
        let own = self
            .begun
            .iter()
            .any(|begun| begun.seq == claim.seq && !begun.found)
            || self.attached.contains(&claim.seq);
        let line = record.line(claim.seq);
        if own && line.is_some_and(|line| line.hash == claim.hash) {
            let mut before = self.begun.iter().rev();
            let begun = before.find(|begun| begun.seq <= claim.seq);
            return same_text(claim, begun);
        }
        // Begun by a controller whose lines are missing here: compare what was found of it, or what
        // came after.
        let newest = self.begun.last();
        let epoch = newest.map_or(0, |begun| begun.epoch);
        if let Some(found) = newest.filter(|begun| begun.found && claim.epoch <= begun.epoch) {
            return same_text(claim, Some(found));
        }
        let last = record.events.len() as u64;
        if claim.epoch > epoch || claim.seq > last {
            return Ok(Knows::More);
        }
        Err(format!(
            "the node says that line {} of the journal started it, but this journal has another \
             line there",
            claim.seq
        ))
    }

    fn same_end(&self) -> Result<(), String> {
        let (Some(ended), Some(last)) = (self.ended, self.told.last()) else {
            return Ok(());
        };
        let said = |exit: Option<i32>| match exit {
            Some(exit) => format!("the journal says {} with {exit}", ended.status),
            None => format!("the journal says {}", ended.status),
        };
        let known = matches!(ended.status, Status::Ok | Status::Failed) && !ended.outcome_unknown;
        if !known || self.step.reboot || (ended.status == Status::Failed && ended.exit.is_none()) {
            return Ok(());
        }
        let Some((exit, how)) = last.end else {
            return Err(format!(
                "{}, but the node has no result of it",
                said(ended.exit)
            ));
        };
        if ended.exit.is_some_and(|said| said != exit) {
            return Err(format!(
                "{}, but the node says that it ended with {exit}",
                said(ended.exit)
            ));
        }
        let accepted = self.step.commands != Some(0) || self.exits.contains(&exit);
        if ended.status == Status::Ok && (!accepted || how != Some(How::Exited)) {
            let how = how.map_or("in another way", How::word);
            return Err(format!(
                "{}, the node says {how} with {exit}",
                said(ended.exit)
            ));
        }
        Ok(())
    }
}

fn same_text(claim: &Claim, begun: Option<&Begun<'_>>) -> Result<Knows, String> {
    match begun.and_then(|begun| begun.sha256) {
        Some(text) if text != claim.sha256 => Err(format!(
            "the journal says that its text is {}, but the node says {}",
            short(text),
            short(&claim.sha256)
        )),
        _ => Ok(Knows::Same),
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
