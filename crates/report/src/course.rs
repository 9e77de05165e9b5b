//! The state of a suite from its events: which cases have ended, in the order of the book, and what
//! is in progress. All displays and reports of a suite use this.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::event::{CaseRecord, Checked, Event, What};
use crate::tested::{Results, Tested};

/// A suite while it runs.
#[derive(Debug, Default)]
pub struct Course {
    /// The cases so far, in the order of the book without gaps; complete at the end of the suite.
    results: Results,
    /// The remaining cases, in the order of the book.
    waiting: VecDeque<CaseRecord>,
    /// Cases that ended before an earlier case of the book, by node and check.
    early: HashMap<(String, String), Checked>,
    /// Nodes that are being connected.
    connecting: BTreeSet<String>,
    all: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Running,
    Ended,
}

impl Course {
    /// Handles an event.
    pub fn see(&mut self, event: &Event) {
        self.see_time(event);
        match (&event.what, &event.node) {
            (
                What::SuiteStarted {
                    cases,
                    filtered_out,
                    ..
                },
                _,
            ) => self.start(event, cases, *filtered_out),
            (What::SuiteEnded { milliseconds, .. }, _) => {
                self.results.took = Duration::from_millis(*milliseconds);
                self.stage = Stage::Ended;
                self.connecting.clear();
            }
            (What::NodeTried, Some(node)) => {
                self.connecting.insert(node.clone());
            }
            (What::NodeReached { .. } | What::NodeUnreachable { .. }, Some(node)) => {
                self.connecting.remove(node);
            }
            (What::NodeTraced { runs }, Some(node)) => {
                self.results.traces.insert(node.clone(), runs.clone());
            }
            (what, Some(node)) => {
                if let Some((check, checked)) = Checked::read(what) {
                    self.end(node, check, checked);
                }
            }
            _ => {}
        }
    }

    /// Whether the suite has begun.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.stage != Stage::Before
    }

    /// Whether the suite has ended, with complete results.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// The results so far, in the order of the book.
    #[must_use]
    pub fn results(&self) -> &Results {
        &self.results
    }

    /// The results; `None` if the suite has not ended.
    #[must_use]
    pub fn into_results(self) -> Option<Results> {
        self.has_ended().then_some(self.results)
    }

    /// The remaining cases; the first one is currently awaited.
    pub fn waiting(&self) -> impl Iterator<Item = &CaseRecord> {
        self.waiting.iter()
    }

    /// The number of ended cases, and of all cases.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.results.tests.len() + self.early.len(), self.all)
    }

    /// Nodes that are being connected, by name.
    pub fn connecting(&self) -> impl ExactSizeIterator<Item = &str> {
        self.connecting.iter().map(String::as_str)
    }

    fn start(&mut self, event: &Event, cases: &[CaseRecord], filtered_out: usize) {
        self.results.run.clone_from(&event.run);
        // This process wrote the time itself.
        self.results.started = event.at.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        self.results.filtered_out = filtered_out;
        self.results.tests.reserve(cases.len());
        self.waiting = cases.iter().cloned().collect();
        self.all = cases.len();
        self.stage = Stage::Running;
    }

    /// The time span in which a node was used.
    fn see_time(&mut self, event: &Event) {
        let asked = matches!(
            event.what,
            What::NodeTried
                | What::CheckStarted { .. }
                | What::CheckHeld { .. }
                | What::CheckFailed { .. }
                | What::CheckUnknown { .. }
        );
        if let (true, Some(node), Ok(at)) = (asked, &event.node, event.at.parse()) {
            let known = self.results.asked.entry(node.clone());
            known.and_modify(|(_, last)| *last = at).or_insert((at, at));
        }
    }

    fn end(&mut self, node: &str, check: &str, checked: Checked) {
        let key = |case: &CaseRecord| (case.node.clone(), case.check.clone());
        self.early
            .insert((node.to_owned(), check.to_owned()), checked);
        while let Some(checked) = self
            .waiting
            .front()
            .and_then(|case| self.early.remove(&key(case)))
            && let Some(case) = self.waiting.pop_front()
        {
            self.results.tests.push(Tested::of(&case, checked));
        }
    }
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use crate::event::Outcome;

    /// The start event of a suite with these cases (node and check).
    pub fn started(cases: &[(&str, &str)]) -> Event {
        let case = |(node, check): &(&str, &str)| CaseRecord {
            node: (*node).to_owned(),
            check: (*check).to_owned(),
            place: "manual/web.md:9".to_owned(),
            sum: (*check == "g::y").then(|| "5e".to_owned()),
        };
        let what = What::SuiteStarted {
            revision: None,
            operator: "ops".into(),
            controller: "desk".into(),
            version: "1".into(),
            cases: cases.iter().map(case).collect(),
            filtered_out: 4,
        };
        Event {
            node: None,
            ..event("", what)
        }
    }

    pub fn ended(node: &str, check: &str, outcome: Outcome) -> Event {
        let checked = Checked {
            outcome,
            tries: 1,
            milliseconds: 250,
        };
        event(
            node,
            checked.written(check.into(), "manual/web.md:9".into()),
        )
    }

    pub fn event(node: &str, what: What) -> Event {
        Event {
            v: 1,
            seq: 1,
            at: "2026-11-21T09:14:03.000Z".into(),
            run: "20261121-091403-3f9a".into(),
            node: Some(node.to_owned()),
            turn: None,
            step: None,
            epoch: None,
            what,
            prev: None,
            sum: None,
        }
    }

    pub fn suite_ended(milliseconds: u64) -> Event {
        let what = What::SuiteEnded {
            passed: 0,
            failed: 0,
            errors: 0,
            ignored: 0,
            milliseconds,
        };
        Event {
            node: None,
            ..event("", what)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{ended, event, started};
    use super::*;
    use crate::event::Outcome;

    #[test]
    fn cases_are_given_in_the_order_of_the_book_whenever_they_end() {
        let mut course = Course::default();
        course.see(&started(&[("a", "g::x"), ("a", "g::y"), ("b", "g::x")]));
        course.see(&event("b", What::NodeTried));
        assert_eq!(course.connecting().collect::<Vec<_>>(), ["b"]);
        let names = |course: &Course| -> Vec<String> {
            let tests = course.results().tests.iter();
            tests.map(|test| test.name.clone()).collect()
        };
        course.see(&ended("b", "g::x", Outcome::Held));
        course.see(&ended("a", "g::y", Outcome::Held));
        assert!(names(&course).is_empty());
        assert_eq!(course.count(), (2, 3));
        course.see(&ended("a", "g::x", Outcome::Held));
        assert_eq!(names(&course), ["a::g::x", "a::g::y", "b::g::x"]);
        assert_eq!(course.results().filtered_out, 4);
        assert_eq!(course.waiting().count(), 0);
    }
}
