//! Runs of procedures and steps from the journals: the last run on each node, and the last OK one,
//! each with whether its text and values equal the current ones.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::event::{RunStarted, Status, StepRecord, What};
use crate::journal::{self, Record, State};

use super::html::{code, text, time};
use super::present::Present;
use super::results::{Fresh, day};

/// The most journals to read, the newest first.
const READ: usize = 200;
/// How many nodes are named; then only their number.
const NAMED: usize = 8;

/// By procedure and by step, the newest first.
#[derive(Debug, Default)]
pub(super) struct Runs {
    procedures: BTreeMap<String, Vec<Ran>>,
    steps: BTreeMap<String, Vec<Ran>>,
}

/// One execution of a procedure or a step on one node.
#[derive(Clone, Debug)]
struct Ran {
    node: String,
    at: Timestamp,
    status: Status,
    took: Duration,
    who: String,
    revision: Option<String>,
    fresh: Fresh,
}

/// Whether anything is recorded.
pub(super) fn any(state: &State) -> bool {
    !journal::runs(state).is_empty()
}

impl Runs {
    pub(super) fn load(state: &State, present: &Present) -> Runs {
        let mut all = Runs::default();
        let names = journal::runs(state);
        for run in names.iter().rev().take(READ) {
            if let Ok(record) = journal::read(state, run)
                && let Some(started) = record.started()
            {
                all.add(&record, started, present);
            }
        }
        all
    }

    fn add(&mut self, record: &Record, started: &RunStarted, present: &Present) {
        let now = present.steps(started);
        for node in &started.nodes {
            let Some(plan) = record.plan(node) else {
                continue;
            };
            let same = |step: &StepRecord| {
                let found = now.get(&(node.clone(), step.name.clone()));
                found.is_some_and(|now| {
                    now.sha256 == step.sha256
                        && now.values == step.values
                        && now.files == step.files
                })
            };
            let ran = |name: &str, at: &str, status: Status, took: Duration, fresh: bool| {
                Some(Ran {
                    node: node.clone(),
                    at: at.parse().ok()?,
                    status,
                    took,
                    who: started.operator.clone(),
                    revision: started.revision.clone(),
                    fresh: Fresh::is(fresh),
                })
                .filter(|_| !name.is_empty())
            };
            let steps: BTreeMap<usize, &StepRecord> = plan.numbered().collect();
            let mut begun = None;
            let mut ended: BTreeMap<usize, Ran> = BTreeMap::new();
            for event in record.of(node) {
                begun = begun.or_else(|| event.at.parse::<Timestamp>().ok());
                match (&event.what, event.step) {
                    (What::StepEnded(end), Some(number)) => {
                        let Some(step) = steps.get(&number) else {
                            continue;
                        };
                        let took = Duration::from_millis(end.milliseconds);
                        let one = ran(&step.name, &event.at, end.status, took, same(step));
                        ended.extend(one.map(|one| (number, one)));
                    }
                    (What::NodeEnded { status, .. }, _) => {
                        let all_same =
                            plan.steps.len() == now_of(&now, node) && plan.steps.iter().all(same);
                        let name = &started.procedure;
                        let one = ran(name, &event.at, *status, Duration::ZERO, all_same);
                        self.procedures
                            .entry(name.clone())
                            .or_default()
                            .extend(one.map(|one| Ran {
                                took: since(begun, one.at),
                                ..one
                            }));
                    }
                    _ => {}
                }
            }
            for (number, one) in ended {
                let name = steps[&number].name.clone();
                self.steps.entry(name).or_default().push(one);
            }
        }
    }

    /// By node, the last run of each procedure: `[procedure, status, time, operator, whether its
    /// text and values are current]`.
    pub(super) fn by_node(&self) -> BTreeMap<&str, Vec<Value>> {
        let mut all: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (id, ran) in &self.procedures {
            let mut newest: BTreeMap<&str, &Ran> = BTreeMap::new();
            for one in ran {
                let known = newest.entry(&one.node).or_insert(one);
                if one.at > known.at {
                    *known = one;
                }
            }
            for (node, one) in newest {
                let same = one.fresh == Fresh::Same;
                let said = json!([id, one.status.word(), one.at.to_string(), one.who, same]);
                all.entry(node).or_default().push(said);
            }
        }
        all
    }

    /// The text on the card of a procedure.
    pub(super) fn of_procedure(&self, id: &str) -> String {
        shown(self.procedures.get(id).map_or(&[], Vec::as_slice))
    }

    /// The text on a step.
    pub(super) fn of_step(&self, name: &str) -> String {
        shown(self.steps.get(name).map_or(&[], Vec::as_slice))
    }
}

fn now_of(now: &BTreeMap<(String, String), StepRecord>, node: &str) -> usize {
    now.keys().filter(|(of, _)| of == node).count()
}

fn since(begun: Option<Timestamp>, ended: Timestamp) -> Duration {
    let took = begun.map(|begun| ended.duration_since(begun));
    took.and_then(|took| Duration::try_from(took).ok())
        .unwrap_or_default()
}

/// The last execution on each node; if that was not OK, also the last OK one.
fn shown(ran: &[Ran]) -> String {
    let mut newest: BTreeMap<&str, &Ran> = BTreeMap::new();
    let mut good: BTreeMap<&str, &Ran> = BTreeMap::new();
    for one in ran {
        let known = newest.entry(&one.node).or_insert(one);
        if one.at > known.at {
            *known = one;
        }
        if one.status == Status::Ok {
            let known = good.entry(&one.node).or_insert(one);
            if one.at > known.at {
                *known = one;
            }
        }
    }
    let mut lines: Vec<&Ran> = newest.values().copied().collect();
    for (node, one) in &good {
        if newest.get(node).is_some_and(|newest| newest.at != one.at) {
            lines.push(one);
        }
    }
    // The most urgent first, then the newest.
    lines.sort_by_key(|one| (one.status.goes_on(), std::cmp::Reverse(one.at)));
    if lines.is_empty() {
        return String::new();
    }
    let more = lines.len().saturating_sub(NAMED);
    let mut html: String = lines.iter().take(NAMED).map(|one| line(one)).collect();
    if more > 0 {
        html += &format!("<span class=\"ops-result\">and {more} more in the journals</span>");
    }
    format!("<div class=\"ops-results\">{html}</div>")
}

fn line(ran: &Ran) -> String {
    let (kind, mark) = match (ran.status, ran.fresh) {
        (Status::Ok, Fresh::Same) => ("passed", '✓'),
        (Status::Ok, Fresh::Changed) => ("changed", '≠'),
        (Status::Skipped | Status::ByHand, _) => ("ignored", '–'),
        _ => ("failed", '✗'),
    };
    let changed = match ran.fresh {
        Fresh::Same => "",
        Fresh::Changed => ", <strong>changed since</strong>",
    };
    let revision = ran.revision.as_deref();
    let revision = revision.map(|revision| format!(", revision {}", code(revision)));
    format!(
        "<span class=\"ops-result ops-{kind}\"><strong>{mark} {}</strong> on {}{changed}; {}, took {}, by {}{}</span> ",
        ran.status.word(),
        code(&ran.node),
        day(ran.at),
        took(ran.took),
        text(&ran.who),
        revision.unwrap_or_default()
    )
}

/// In a readable unit.
fn took(took: Duration) -> String {
    match took.as_secs() {
        0 => time(Duration::from_millis(
            took.as_millis().try_into().unwrap_or(0),
        )),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
