//! The single destination of a suite's events. Numbers them, and guarantees exactly one outcome for
//! each case.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use opsbook_text::random;
use tokio::sync::watch;

use crate::Sink;
use crate::event::{CaseRecord, Checked, Counts, Event, What};
use crate::journal;

/// Shared by all nodes of a suite.
pub(super) struct Emitter {
    cases: Vec<CaseRecord>,
    /// The number of cases without an outcome.
    unended: watch::Sender<usize>,
    inner: Mutex<Inner>,
}

struct Inner {
    run: String,
    seq: u64,
    /// The cases without an outcome.
    left: BTreeSet<usize>,
    counts: Counts,
    /// `None` after the end of the suite.
    sink: Option<Sink>,
}

impl Emitter {
    pub fn new(cases: Vec<CaseRecord>, sink: Sink) -> Emitter {
        let inner = Inner {
            run: journal::new_run(Timestamp::now(), u16::from_ne_bytes(random::bytes())),
            seq: 0,
            left: (0..cases.len()).collect(),
            counts: Counts::default(),
            sink: Some(sink),
        };
        Emitter {
            unended: watch::Sender::new(cases.len()),
            cases,
            inner: Mutex::new(inner),
        }
    }

    pub fn cases(&self) -> &[CaseRecord] {
        &self.cases
    }

    pub fn tell(&self, node: Option<&str>, what: What) {
        self.inner().tell(node, what);
    }

    pub fn started(&self, number: usize) {
        let case = &self.cases[number];
        let check = case.check.clone();
        self.tell(Some(&case.node), What::CheckStarted { check });
    }

    /// Returns whether this was the case's first outcome: a later one is not reported.
    pub fn ended(&self, number: usize, checked: Checked) -> bool {
        let case = &self.cases[number];
        let mut inner = self.inner();
        if !inner.left.remove(&number) {
            return false;
        }
        inner.counts.add(&checked.outcome);
        let what = checked.written(case.check.clone(), case.place.clone());
        inner.tell(Some(&case.node), what);
        self.unended.send_replace(inner.left.len());
        true
    }

    /// The cases without an outcome.
    pub fn left(&self) -> Vec<usize> {
        self.inner().left.iter().copied().collect()
    }

    /// Waits until every case has ended.
    pub async fn all_ended(&self) {
        // The sender is in `self`, so waiting cannot fail.
        let _ = self.unended.subscribe().wait_for(|left| *left == 0).await;
    }

    /// Reports the end of the suite, and nothing after it.
    pub fn end(&self, took: Duration) {
        let mut inner = self.inner();
        let Counts {
            passed,
            failed,
            errors,
            ignored,
        } = inner.counts;
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        inner.tell(
            None,
            What::SuiteEnded {
                passed,
                failed,
                errors,
                ignored,
                milliseconds,
            },
        );
        inner.sink = None;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell(&mut self, node: Option<&str>, what: What) {
        let Some(sink) = &mut self.sink else {
            return;
        };
        self.seq += 1;
        sink(Event {
            v: 1,
            seq: self.seq,
            at: journal::clock(Timestamp::now()),
            run: self.run.clone(),
            node: node.map(str::to_owned),
            turn: None,
            step: None,
            epoch: None,
            what,
            prev: None,
            sum: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Outcome;
    use std::sync::Arc;

    fn case(check: &str) -> CaseRecord {
        CaseRecord {
            node: "web1".into(),
            check: check.into(),
            place: "manual/web.md:9".into(),
            sum: None,
        }
    }

    #[test]
    fn each_case_has_one_outcome_and_nothing_is_told_after_the_end() {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let events = Arc::clone(&events);
            Box::new(move |event| events.lock().unwrap().push(event))
        };
        let told = Emitter::new(vec![case("g::a"), case("g::b")], sink);
        told.started(1);
        assert!(told.ended(1, Checked::at_once(Outcome::Held)));
        assert!(!told.ended(1, Checked::at_once(Outcome::Failed(Vec::new()))));
        assert_eq!(told.left(), [0]);
        told.end(Duration::from_millis(7));
        told.tell(
            None,
            What::Pinned {
                reasons: Vec::new(),
            },
        );
        assert!(told.ended(0, Checked::at_once(Outcome::Held)));
        let events = events.lock().unwrap();
        let told: Vec<_> = events
            .iter()
            .map(|event| (event.seq, &event.what))
            .collect();
        assert_eq!(
            told,
            [
                (
                    1,
                    &What::CheckStarted {
                        check: "g::b".into()
                    }
                ),
                (
                    2,
                    &What::CheckHeld {
                        check: "g::b".into(),
                        tries: 1,
                        milliseconds: 0
                    }
                ),
                (
                    3,
                    &What::SuiteEnded {
                        passed: 1,
                        failed: 0,
                        errors: 0,
                        ignored: 0,
                        milliseconds: 7
                    }
                ),
            ]
        );
    }
}
