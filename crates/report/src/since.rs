//! The differences to the last recorded results: new failures, tests that can no longer be
//! evaluated, and fixed tests.

use std::collections::HashMap;

use crate::event::{Checked, Event, Outcome};
use crate::tested::{Results, Tested};

/// How many tests of each kind are named.
const NAMED: usize = 5;

/// The latest recorded outcome of each test, by name.
#[derive(Debug, Default)]
pub struct Recorded(HashMap<String, Outcome>);

/// Names of tests whose outcome has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// They fail now.
    pub failures: Vec<String>,
    /// They can no longer be evaluated.
    pub unseen: Vec<String>,
    /// They hold now.
    pub fixed: Vec<String>,
    /// How many still do not hold.
    pub same: usize,
}

impl Recorded {
    /// Adds the events of one suite. Suites are added newest first.
    pub fn see(&mut self, events: &[Event]) {
        for event in events {
            if let (Some(node), Some((check, checked))) = (&event.node, Checked::read(&event.what))
            {
                let name = format!("{node}::{check}");
                self.0.entry(name).or_insert(checked.outcome);
            }
        }
    }

    /// The differences; `None` if none of these tests was recorded.
    #[must_use]
    pub fn since(&self, results: &Results) -> Option<Since> {
        let mut since = Since::default();
        let mut known = false;
        for test in &results.tests {
            let before = self.0.get(&test.name);
            known |= before.is_some();
            since.add(test, before);
        }
        known.then_some(since)
    }
}

impl Since {
    /// One line for people; `None` if everything still holds.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        let failures = many(self.failures.len(), "new failure");
        let unseen = format!("{} new that could not look", self.unseen.len());
        let fixed = format!("{} fixed", self.fixed.len());
        let kinds = [
            (failures, &self.failures),
            (unseen, &self.unseen),
            (fixed, &self.fixed),
        ];
        let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty());
        let mut parts: Vec<String> = kinds
            .map(|(what, names)| format!("{what} ({})", named(names)))
            .collect();
        if self.same > 0 {
            parts.push(format!("{} as before", self.same));
        }
        (!parts.is_empty()).then(|| format!("since the last record: {}", parts.join("; ")))
    }

    fn add(&mut self, test: &Tested, before: Option<&Outcome>) {
        let kind = |outcome: &Outcome| match outcome {
            Outcome::Failed(_) => Some(true),
            Outcome::Unknown(_) => Some(false),
            Outcome::Held | Outcome::Ignored(_) => None,
        };
        let was = before.and_then(kind);
        match (&test.checked.outcome, was) {
            (Outcome::Failed(_), Some(true)) | (Outcome::Unknown(_), Some(false)) => {
                self.same += 1;
            }
            (Outcome::Failed(_), _) => self.failures.push(test.name.clone()),
            (Outcome::Unknown(_), _) => self.unseen.push(test.name.clone()),
            (Outcome::Held, Some(_)) => self.fixed.push(test.name.clone()),
            (Outcome::Held | Outcome::Ignored(_), _) => {}
        }
    }
}

fn many(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn named(names: &[String]) -> String {
    let mut shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>();
    if names.len() > NAMED {
        shown.push(format!("and {} more", names.len() - NAMED));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::{Course, samples};

    const FAILED: Outcome = Outcome::Failed(Vec::new());

    fn unknown() -> Outcome {
        Outcome::Unknown("no route".into())
    }

    /// A suite of tests `a`, `b`, … on web1 with these outcomes.
    fn suite(outcomes: &[Outcome]) -> (Vec<Event>, Results) {
        let names: Vec<String> = ('a'..).take(outcomes.len()).map(String::from).collect();
        let checks: Vec<String> = names.iter().map(|name| format!("g::{name}")).collect();
        let cases: Vec<_> = checks
            .iter()
            .map(|check| ("web1", check.as_str()))
            .collect();
        let mut events = vec![samples::started(&cases)];
        for (check, outcome) in checks.iter().zip(outcomes) {
            events.push(samples::ended("web1", check, outcome.clone()));
        }
        let mut course = Course::default();
        for event in &events {
            course.see(event);
        }
        (events, course.results().clone())
    }

    fn line(suites: &[&[Outcome]], now: &[Outcome]) -> Option<String> {
        let mut recorded = Recorded::default();
        for outcomes in suites {
            recorded.see(&suite(outcomes).0);
        }
        recorded.since(&suite(now).1).and_then(|since| since.line())
    }

    #[test]
    fn new_and_fixed_are_told_apart_from_what_could_not_look() {
        let before = [
            Outcome::Held,
            FAILED,
            FAILED,
            unknown(),
            Outcome::Held,
            FAILED,
        ];
        let now = [
            FAILED,
            Outcome::Held,
            unknown(),
            Outcome::Held,
            Outcome::Held,
            FAILED,
        ];
        assert_eq!(
            line(&[&before], &now).unwrap(),
            "since the last record: 1 new failure (web1::g::a); \
             1 new that could not look (web1::g::c); 2 fixed (web1::g::b, web1::g::d); 1 as before"
        );
        assert_eq!(line(&[&before], &[Outcome::Held]), None);
        assert_eq!(line(&[], &now), None);
        // A test without a record is new; the latest record of each test counts.
        assert_eq!(
            line(
                &[&[Outcome::Held], &[FAILED, FAILED]],
                &[FAILED, FAILED, FAILED]
            )
            .unwrap(),
            "since the last record: 2 new failures (web1::g::a, web1::g::c); 1 as before"
        );
    }

    #[test]
    fn of_many_the_first_are_named() {
        let (before, now) = (vec![Outcome::Held; 7], vec![FAILED; 7]);
        assert_eq!(
            line(&[&before], &now).unwrap(),
            "since the last record: 7 new failures (web1::g::a, web1::g::b, web1::g::c, \
             web1::g::d, web1::g::e, and 2 more)"
        );
    }
}
