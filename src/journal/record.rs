//! A journal read back, and what it says of a run by now.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::{FORMAT, JournalError, folder, runs};
use crate::event::{Event, RunStarted, Status, What};

/// A journal read back.
#[derive(Debug)]
pub struct Record {
    pub path: PathBuf,
    pub events: Vec<Event>,
    /// The last line was cut: its writer died over it. It is not among the events.
    pub torn: bool,
}

/// Reads the journal of a run.
///
/// # Errors
/// Where there is none, or a line in its middle is not an event.
pub fn read(root: &Path, run: &str) -> Result<Record, JournalError> {
    let path = folder(root).join(format!("{run}.jsonl"));
    let failed = |cause| JournalError::Read {
        path: path.clone(),
        cause,
    };
    let file = File::open(&path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => missing(root, run),
        _ => failed(cause),
    })?;
    let mut events = Vec::new();
    let mut torn = false;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        number += 1;
        if line.last() != Some(&b'\n') {
            torn = true;
            break;
        }
        let wrong = |cause| JournalError::Line {
            path: path.clone(),
            line: number,
            cause,
        };
        let event = event_of(&line).map_err(wrong)?;
        if event.seq != events.len() as u64 + 1 || event.run != run {
            let (seq, of) = (event.seq, &event.run);
            let due = events.len() + 1;
            let cause =
                format!("event {seq} of run {of} stands where event {due} of this run belongs");
            return Err(wrong(cause));
        }
        events.push(event);
    }
    Ok(Record { path, events, torn })
}

fn missing(root: &Path, run: &str) -> JournalError {
    let known = runs(root);
    let near = crate::source::nearest(run, known.iter().map(String::as_str));
    JournalError::Missing {
        wanted: run.to_owned(),
        folder: folder(root),
        near: near.map(str::to_owned),
    }
}

impl Record {
    /// What the run was started with; `None` where its writer died before that line.
    #[must_use]
    pub fn started(&self) -> Option<&RunStarted> {
        self.events.iter().find_map(|event| match &event.what {
            What::RunStarted(started) => Some(&**started),
            _ => None,
        })
    }

    /// The run's own status; `None` while it is halted or under way.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.events.iter().rev().find_map(|event| match event.what {
            What::RunEnded { status } => Some(status),
            _ => None,
        })
    }

    /// What happened on a node, in order.
    #[must_use]
    pub fn of_node(&self, node: &str) -> impl DoubleEndedIterator<Item = &Event> {
        let events = self.events.iter();
        events.filter(move |event| event.node.as_deref() == Some(node))
    }

    /// Each step's latest status on a node; `None` for a step that started and has no end.
    #[must_use]
    pub fn steps(&self, node: &str) -> BTreeMap<usize, Option<Status>> {
        let mut steps = BTreeMap::new();
        for event in self.of_node(node) {
            match (&event.what, event.step) {
                (What::StepStarted { .. }, Some(step)) => {
                    steps.insert(step, None);
                }
                (What::StepEnded(ended), Some(step)) => {
                    steps.insert(step, Some(ended.status));
                }
                _ => {}
            }
        }
        steps
    }

    /// Steps whose latest end says that they may or may not have finished.
    #[must_use]
    pub fn doubtful(&self, node: &str) -> BTreeSet<usize> {
        let mut doubtful = BTreeSet::new();
        for event in self.of_node(node) {
            if let (What::StepEnded(ended), Some(step)) = (&event.what, event.step) {
                if ended.outcome_unknown {
                    doubtful.insert(step);
                } else {
                    doubtful.remove(&step);
                }
            }
        }
        doubtful
    }

    /// Steps whose latest end says that opsbook could not do or could not know: the node may
    /// know by now.
    #[must_use]
    pub fn unknown(&self, node: &str) -> BTreeSet<usize> {
        let mut unknown = BTreeSet::new();
        for event in self.of_node(node) {
            match (&event.what, event.step) {
                (What::StepEnded(ended), Some(step))
                    if ended.outcome_unknown || ended.status == Status::Error =>
                {
                    unknown.insert(step);
                }
                (What::StepEnded(_), Some(step)) => {
                    unknown.remove(&step);
                }
                _ => {}
            }
        }
        unknown
    }

    /// A node's latest status.
    #[must_use]
    pub fn node_status(&self, node: &str) -> Option<Status> {
        self.of_node(node).rev().find_map(|event| match event.what {
            What::NodeEnded { status, .. } => Some(status),
            _ => None,
        })
    }

    /// The first step on a node that belongs to it: what lies before an explicit start was left
    /// out on purpose. A set-up may have been repeated all the same.
    #[must_use]
    pub fn earliest(&self, node: &str, set_up: impl Fn(usize) -> bool) -> usize {
        let steps = self.steps(node);
        let mut begun = steps.keys().copied();
        match self.started().and_then(|started| started.start_at) {
            Some(asked) => begun
                .find(|number| !set_up(*number))
                .map_or(asked, |number| asked.min(number)),
            None => begun.next().unwrap_or(1),
        }
    }

    /// Did it end on a node before anything was touched there: BLOCKED, or not reached?
    #[must_use]
    pub fn is_untouched(&self, node: &str) -> bool {
        let events = self.events.iter();
        let mut of_node = events.filter(|event| event.node.as_deref() == Some(node));
        let touched = of_node.clone().any(|event| {
            matches!(
                event.what,
                What::BundleOpened { local: false, .. }
                    | What::BundleReopened { local: false, .. }
                    | What::StepStarted { .. }
            )
        });
        !touched && of_node.any(|event| matches!(event.what, What::NodeEnded { .. }))
    }

    /// Was a bundle left on one of its nodes, to go on with?
    #[must_use]
    pub fn is_halted(&self) -> bool {
        let mut open = BTreeSet::new();
        for event in &self.events {
            match event.what {
                What::BundleClosed {
                    local: false,
                    user: None,
                    ..
                } => drop(open.remove(&event.node)),
                What::BundleKept { local: false, .. }
                | What::BundleOpened { local: false, .. }
                | What::BundleReopened { local: false, .. }
                | What::StepStarted { .. } => drop(open.insert(&event.node)),
                _ => {}
            }
        }
        !open.is_empty()
    }

    /// What earlier steps captured on a node.
    #[must_use]
    pub fn captured(&self, node: &str) -> Vec<(String, String)> {
        self.of_node(node)
            .filter_map(|event| match &event.what {
                What::ValueCaptured { name, value } => {
                    Some((name.clone(), value.exact().to_owned()))
                }
                _ => None,
            })
            .collect()
    }
}

fn event_of(line: &[u8]) -> Result<Event, String> {
    #[derive(serde::Deserialize)]
    struct Version {
        v: u32,
    }
    match serde_json::from_slice(line) {
        Ok(Version { v }) if v > FORMAT => Err(format!(
            "an event in format {v}, which a newer opsbook has written"
        )),
        _ => serde_json::from_slice(line).map_err(|error| format!("not an event: {error}")),
    }
}
