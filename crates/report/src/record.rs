//! Selects a suite's events to keep in `.opsbook/results` for the book: its start, one outcome of
//! each case in the order of the book, its end.

use std::collections::HashMap;

use crate::event::{Checked, Event, What};

/// Collects the events to keep.
#[derive(Debug, Default)]
pub struct Record {
    /// By node and check; the start has index 0.
    places: HashMap<(String, String), usize>,
    kept: Vec<(usize, Event)>,
}

impl Record {
    /// Handles an event.
    pub fn see(&mut self, event: &Event) {
        let mut kept = event.clone();
        let place = match (&mut kept.what, &event.node) {
            (What::SuiteStarted { cases, .. }, _) => {
                let names = cases
                    .iter()
                    .map(|case| (case.node.clone(), case.check.clone()));
                self.places = names.zip(1..).collect();
                // Each case has its own event; this one only adds the hash of its check.
                cases.retain(|case| case.sum.is_some());
                0
            }
            (What::SuiteEnded { .. }, _) => usize::MAX,
            (what, Some(node)) => match Checked::read(what) {
                Some((check, _)) => {
                    let key = (node.clone(), check.to_owned());
                    self.places.get(&key).copied().unwrap_or(usize::MAX - 1)
                }
                None => return,
            },
            _ => return,
        };
        self.kept.push((place, kept));
    }

    /// The events to keep, numbered without gaps.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let mut kept: Vec<&(usize, Event)> = self.kept.iter().collect();
        kept.sort_by_key(|(place, _)| *place);
        let events = kept.into_iter().map(|(_, event)| event.clone());
        events
            .zip(1..)
            .map(|(event, seq)| Event { seq, ..event })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::samples::{ended, event, started, suite_ended};
    use crate::event::Outcome;

    #[test]
    fn outcomes_are_kept_in_the_order_of_the_book_between_start_and_end() {
        let mut record = Record::default();
        record.see(&started(&[("a", "g::x"), ("a", "g::y"), ("b", "g::x")]));
        record.see(&event("b", What::NodeTried));
        record.see(&ended("b", "g::x", Outcome::Unknown("gone".into())));
        record.see(&ended("a", "g::y", Outcome::Ignored("later".into())));
        let check = "g::x".into();
        record.see(&event("a", What::CheckStarted { check }));
        record.see(&ended("a", "g::x", Outcome::Held));
        record.see(&suite_ended(7));
        let kept = record.events();
        let names = kept.iter().map(|event| {
            let json = serde_json::to_value(event).unwrap();
            let node = event.node.as_deref().unwrap_or("-");
            format!("{} {node} {}", event.seq, json["event"].as_str().unwrap())
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                "1 - suite-started",
                "2 a check-held",
                "3 a check-ignored",
                "4 b check-unknown",
                "5 - suite-ended"
            ]
        );
        let line = serde_json::to_string(&kept[0]).unwrap();
        let sums = line.matches("\"sum\":\"5e\"").count();
        assert_eq!((sums, line.contains("g::x")), (1, false), "{line}");
    }
}
