//! A journal read back, and what it says of a run by now.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::{CHAINED, FORMAT, JournalError, Line, State, chain, runs_in};
use crate::event::{Event, Manner, PlanRecord, RunStarted, Site, Status, What};

/// A journal read back.
#[derive(Debug)]
pub struct Record {
    /// The journal's file.
    pub path: PathBuf,
    /// All whole lines, in their order.
    pub events: Vec<Event>,
    /// The last line was cut: its writer died over it. It is not among the events.
    pub torn: bool,
    /// Lines that an older opsbook has written: a change in them would not be found.
    pub unchained: usize,
    run: String,
    /// Over all lines that are not chained: the first line of the chain follows from it.
    old: chain::Hash,
    /// Of each event's line.
    hashes: Vec<chain::Hash>,
}

/// Reads the journal of a run.
///
/// # Errors
/// Where there is none, or a line in its middle is not an event.
pub fn read(state: &State, run: &str) -> Result<Record, JournalError> {
    read_in(&state.runs(), run)
}

/// The same, of a run whose journal is in this folder.
///
/// # Errors
/// As those of [`read`].
pub fn read_in(folder: &Path, run: &str) -> Result<Record, JournalError> {
    let path = folder.join(format!("{run}.jsonl"));
    let failed = |cause| JournalError::Read {
        path: path.clone(),
        cause,
    };
    let file = File::open(&path).map_err(|cause| match cause.kind() {
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
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
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
        let event = event_of(&line).map_err(wrong)?;
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
    /// Takes one more line, without its line end.
    fn add(&mut self, line: &[u8], event: Event) -> Result<(), String> {
        let due = self.events.len() + 1;
        if event.seq != due as u64 || event.run != self.run {
            let (seq, of) = (event.seq, &event.run);
            return Err(format!(
                "event {seq} of run {of} stands where event {due} of this run belongs"
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

    /// What the next line follows from.
    pub(super) fn head(&self) -> chain::Hash {
        match self.hashes.last() {
            Some(last) if self.hashes.len() > self.unchained => *last,
            _ => self.old,
        }
    }

    /// One of its lines, by the number of its event.
    #[must_use]
    pub fn line(&self, seq: u64) -> Option<Line> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        let hash = chain::hex(self.hashes.get(index)?);
        Some(Line { seq, hash })
    }

    /// Number of its latest controller; 0 where nothing was written.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        let epochs = self.events.iter().map(|event| event.epoch.unwrap_or(1));
        epochs.max().unwrap_or(0)
    }

    /// How its latest controller went through the nodes and steps.
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

    /// What its latest controller was going to do on a node.
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

    /// What happened in one place, in order: on a node in the main line, or in one turn.
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

    /// Each step's latest status on a node; `None` for a step that started and has no end.
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

    /// Has a step begun on a node? Before that, nothing was touched there.
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

    /// Steps whose latest end says that opsbook could not do or could not know: the node may
    /// know by now.
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

    /// The first step on a node that belongs to it: what lies before an explicit start was left
    /// out on purpose. A set-up may have been repeated all the same.
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

    /// Did it end on a node before anything was touched there: BLOCKED, or not reached?
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

    /// Did it end badly on a node, and was its bundle removed after that?
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

    /// Was it given up wherever it had begun and not come to its end?
    #[must_use]
    pub fn is_given_up_everywhere(&self) -> bool {
        let nodes = self.started().map(|started| &started.nodes);
        let mut nodes = nodes.into_iter().flatten().map(String::as_str);
        let open =
            |node: &str| !self.is_given_up(node) && self.node_status(node) != Some(Status::Ok);
        !self.is_halted() && nodes.clone().any(|node| self.is_given_up(node)) && !nodes.any(open)
    }

    /// Was a bundle left on one of its nodes, to go on with?
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

    /// What earlier steps captured on a node.
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
