//! A journal as read from disk, and the state of its run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{CHAINED, FORMAT, JournalError, Line, State, chain, open, runs_in};
use crate::event::{Event, Manner, PlanRecord, RunStarted, Site, Status, What};

/// A journal as read from disk.
#[derive(Debug)]
pub struct Record {
    /// The journal's file.
    pub path: PathBuf,
    /// All complete lines, in order.
    pub events: Vec<Event>,
    /// The last line was incomplete, because its writer died. It is not in `events`.
    pub torn: bool,
    /// Lines of an older opsbook, in which a change would not be found.
    pub unchained: usize,
    run: String,
    /// The hash over all unchained lines: the first chained line follows it.
    old: chain::Hash,
    /// The hash of each event's line.
    hashes: Vec<chain::Hash>,
}

/// Reads the journal of a run.
///
/// # Errors
/// If it does not exist, or a line before the last is not an event.
pub fn read(state: &State, run: &str) -> Result<Record, JournalError> {
    read_in(&state.runs(), run)
}

/// The same for a journal in this folder.
///
/// # Errors
/// The same as for [`read`].
pub fn read_in(folder: &Path, run: &str) -> Result<Record, JournalError> {
    let path = folder.join(format!("{run}.jsonl"));
    let failed = |cause| JournalError::Read {
        path: path.clone(),
        cause,
    };
    let file = open::regular(&path, OpenOptions::new().read(true));
    let file = file.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => missing(folder, run),
        _ => failed(cause),
    })?;
    let mut record = Record {
        path: path.clone(),
        events: Vec::new(),
        torn: false,
        unchained: 0,
        run: run.to_owned(),
        old: chain::root(run),
        hashes: Vec::new(),
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut number = 0;
    while open::line(&mut reader, &mut line).map_err(failed)? > 0 {
        number += 1;
        if line.last() != Some(&b'\n') {
            record.torn = true;
            break;
        }
        line.pop();
        let wrong = |cause| JournalError::Line {
            path: path.clone(),
            line: number,
            cause,
        };
        if let Some(format) = newer(&line) {
            let (path, line) = (path.clone(), number);
            return Err(JournalError::Newer { path, line, format });
        }
        let event =
            serde_json::from_slice(&line).map_err(|error| wrong(no_event(&line, &error)))?;
        record.add(&line, event).map_err(wrong)?;
    }
    Ok(record)
}

fn missing(folder: &Path, run: &str) -> JournalError {
    let known = runs_in(folder);
    let near = crate::source::nearest(run, known.iter().map(String::as_str));
    JournalError::Missing {
        wanted: run.to_owned(),
        folder: folder.to_owned(),
        near: near.map(str::to_owned),
    }
}

impl Record {
    /// Adds a line (without its line end).
    fn add(&mut self, line: &[u8], event: Event) -> Result<(), String> {
        let due = self.events.len() + 1;
        if event.seq != due as u64 || event.run != self.run {
            let (seq, of) = (event.seq, &event.run);
            return Err(format!(
                "found event {seq} of run {of} instead of event {due} of this run"
            ));
        }
        if event.v < CHAINED && self.unchained == self.events.len() {
            self.unchained += 1;
            self.old = chain::hash(&[&self.old, line].concat());
        } else if let Some(cause) = chain::broken(line, &event, &self.head()) {
            return Err(cause);
        }
        self.hashes.push(chain::hash(line));
        self.events.push(event);
        Ok(())
    }

    /// The hash that the next line must carry.
    pub(super) fn head(&self) -> chain::Hash {
        match self.hashes.last() {
            Some(last) if self.hashes.len() > self.unchained => *last,
            _ => self.old,
        }
    }

    /// A line by the number of its event.
    #[must_use]
    pub fn line(&self, seq: u64) -> Option<Line> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        let hash = chain::hex(self.hashes.get(index)?);
        Some(Line { seq, hash })
    }

    /// Number of the latest controller; 0 if nothing was written.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        let epochs = self.events.iter().map(|event| event.epoch.unwrap_or(1));
        epochs.max().unwrap_or(0)
    }

    /// The latest controller's options for nodes and steps.
    #[must_use]
    pub fn manner(&self) -> Option<&Manner> {
        self.events
            .iter()
            .rev()
            .find_map(|event| match &event.what {
                What::RunResumed { manner, .. } => manner.as_ref(),
                What::RunStarted(started) => started.manner.as_ref(),
                _ => None,
            })
    }

    /// The latest controller's plan for a node.
    #[must_use]
    pub fn plan<'p>(&self, place: impl Into<Site<'p>>) -> Option<&PlanRecord> {
        let place = place.into().to_string();
        let node = place.as_str();
        self.events
            .iter()
            .rev()
            .find_map(|event| match &event.what {
                What::RunResumed { plans, .. } => plans.get(node),
                What::RunStarted(started) => started.plans.get(node),
                _ => None,
            })
    }

    /// The start of the run; `None` if its writer died before that line.
    #[must_use]
    pub fn started(&self) -> Option<&RunStarted> {
        self.events.iter().find_map(|event| match &event.what {
            What::RunStarted(started) => Some(&**started),
            _ => None,
        })
    }

    /// The run's status; `None` while it is halted or running.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.events.iter().rev().find_map(|event| match event.what {
            What::RunEnded { status } => Some(status),
            _ => None,
        })
    }

    /// The events of a node, in order.
    #[must_use]
    pub fn of_node(&self, node: &str) -> impl DoubleEndedIterator<Item = &Event> {
        let events = self.events.iter();
        events.filter(move |event| event.node.as_deref() == Some(node))
    }

    /// The events of one site, in order: a node in the main line, or in one turn.
    #[must_use]
    pub fn of<'p, P: Into<Site<'p>>>(
        &self,
        place: P,
    ) -> impl DoubleEndedIterator<Item = &Event> + use<'_, 'p, P> {
        let place = place.into();
        let events = self.events.iter();
        events.filter(move |event| {
            event.node.as_deref() == Some(place.node) && event.turn.as_deref() == place.turn
        })
    }

    /// Each step's latest status on a node; `None` for a started step without an end.
    #[must_use]
    pub fn steps<'p>(&self, node: impl Into<Site<'p>>) -> BTreeMap<usize, Option<Status>> {
        let mut steps = BTreeMap::new();
        for event in self.of(node) {
            match (&event.what, event.step) {
                (What::StepStarted { .. } | What::StepFound { .. }, Some(step)) => {
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

    /// Whether a step has begun on a node. Before that, nothing was changed there.
    #[must_use]
    pub fn has_begun<'p>(&self, node: impl Into<Site<'p>>) -> bool {
        !self.steps(node).is_empty()
    }

    /// Steps whose latest end says that they may or may not have finished.
    #[must_use]
    pub fn doubtful<'p>(&self, node: impl Into<Site<'p>>) -> BTreeSet<usize> {
        let mut doubtful = BTreeSet::new();
        for event in self.of(node) {
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

    /// Steps whose latest end says that opsbook could not execute them or does not know their
    /// result: the node may know it by now.
    #[must_use]
    pub fn unknown<'p>(&self, node: impl Into<Site<'p>>) -> BTreeSet<usize> {
        let mut unknown = BTreeSet::new();
        for event in self.of(node) {
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
    pub fn node_status<'p>(&self, node: impl Into<Site<'p>>) -> Option<Status> {
        self.of(node).rev().find_map(|event| match event.what {
            What::NodeEnded { status, .. } => Some(status),
            _ => None,
        })
    }

    /// The first step that this run is to do on a node: steps before an explicit start were left
    /// out on purpose. A set-up may have been repeated anyway.
    #[must_use]
    pub fn earliest<'p>(&self, node: impl Into<Site<'p>>, set_up: impl Fn(usize) -> bool) -> usize {
        let steps = self.steps(node);
        let mut begun = steps.keys().copied();
        match self.started().and_then(|started| started.start_at) {
            Some(asked) => begun
                .find(|number| !set_up(*number))
                .map_or(asked, |number| asked.min(number)),
            None => begun.next().unwrap_or(1),
        }
    }

    /// Whether it ended on a node before anything changed there: BLOCKED, or not reached.
    #[must_use]
    pub fn is_untouched<'p>(&self, node: impl Into<Site<'p>>) -> bool {
        let mut of_node = self.of(node).collect::<Vec<_>>().into_iter();
        let touched = of_node.clone().any(|event| {
            matches!(
                event.what,
                What::BundleOpened { local: false, .. }
                    | What::BundleReopened { local: false, .. }
                    | What::StepStarted { .. }
                    | What::StepFound { .. }
            )
        });
        !touched && of_node.any(|event| matches!(event.what, What::NodeEnded { .. }))
    }

    /// Whether it failed on a node and its bundle was then removed.
    #[must_use]
    pub fn is_given_up<'p>(&self, node: impl Into<Site<'p>>) -> bool {
        let mut given_up = false;
        let mut bad = false;
        for event in self.of(node) {
            match event.what {
                What::NodeEnded { status, .. } => bad = status != Status::Ok,
                What::BundleClosed {
                    local: false,
                    user: None,
                    ..
                } => given_up = bad,
                What::BundleOpened { .. } | What::BundleReopened { .. } => {
                    (bad, given_up) = (false, false);
                }
                _ => {}
            }
        }
        given_up
    }

    /// Whether it was given up at every site where it began and did not end.
    #[must_use]
    pub fn is_given_up_everywhere(&self) -> bool {
        let nodes = self.started().map(|started| &started.nodes);
        let mut nodes = nodes.into_iter().flatten().map(String::as_str);
        let open =
            |node: &str| !self.is_given_up(node) && self.node_status(node) != Some(Status::Ok);
        !self.is_halted() && nodes.clone().any(|node| self.is_given_up(node)) && !nodes.any(open)
    }

    /// Whether a bundle remains on one of its nodes, to continue with.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        let mut open = BTreeSet::new();
        for event in &self.events {
            let place = (&event.node, &event.turn);
            match event.what {
                What::BundleClosed {
                    local: false,
                    user: None,
                    ..
                } => drop(open.remove(&place)),
                What::BundleKept { local: false, .. }
                | What::BundleOpened { local: false, .. }
                | What::BundleReopened { local: false, .. }
                | What::StepFound { .. }
                | What::StepStarted { .. } => drop(open.insert(place)),
                _ => {}
            }
        }
        !open.is_empty()
    }

    /// The values that earlier steps captured on a node.
    #[must_use]
    pub fn captured<'p>(&self, node: impl Into<Site<'p>>) -> Vec<(String, String)> {
        self.of(node)
            .filter_map(|event| match &event.what {
                What::ValueCaptured { name, value } => {
                    Some((name.clone(), value.exact().to_owned()))
                }
                _ => None,
            })
            .collect()
    }
}

/// The format of a line, where it is none of ours.
fn newer(line: &[u8]) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Version {
        v: u32,
    }
    let found: Version = serde_json::from_slice(line).ok()?;
    (found.v > FORMAT).then_some(found.v)
}

/// What is wrong with a line, in few words: the reader counts lines of its own, and quotes.
pub(super) fn no_event(line: &[u8], error: &serde_json::Error) -> String {
    const MOST: usize = 200;
    if line.trim_ascii().is_empty() {
        return "not an event: an empty line".to_owned();
    }
    let said = error.to_string();
    let what = said.split(" at line ").next().unwrap_or_default();
    let what: String = what.chars().take(MOST).collect();
    format!("not an event: {what}, at byte {}", error.column())
}
