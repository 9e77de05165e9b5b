//! Results -> events in the journal's form, for the book.

use crate::event::{Event, What};
use crate::report::tested::{Results, Tested};

/// Who ran the suite, and where.
#[derive(Clone, Debug)]
pub struct By {
    pub operator: String,
    pub controller: String,
}

/// All events of a suite, its start first and its end last.
#[must_use]
pub fn events(results: &Results, by: By) -> Vec<Event> {
    let started = What::SuiteStarted {
        operator: by.operator,
        controller: by.controller,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let counts = results.counts();
    let ended = What::SuiteEnded {
        passed: counts.passed,
        failed: counts.failed,
        errors: counts.errors,
        ignored: counts.ignored,
        milliseconds: milliseconds(results.took),
    };
    let tests = results
        .tests
        .iter()
        .map(|test| (Some(test.node.clone()), what(test)));
    let all = [(None, started)]
        .into_iter()
        .chain(tests)
        .chain([(None, ended)]);
    let at = |offset| {
        let at = results.started + jiff::SignedDuration::try_from(offset).unwrap_or_default();
        at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    };
    let (first, last) = (at(std::time::Duration::ZERO), at(results.took));
    all.zip(1..)
        .map(|((node, what), seq)| Event {
            v: 1,
            seq,
            // A suite is asked at one time: when each answer came is of no use.
            at: if seq == 1 {
                first.clone()
            } else {
                last.clone()
            },
            run: results.run.clone(),
            node,
            step: None,
            epoch: None,
            what,
            prev: None,
            sum: None,
        })
        .collect()
}

fn what(test: &Tested) -> What {
    let check = format!("{}::{}", test.group, test.check);
    test.checked.clone().written(check, test.place.clone())
}

fn milliseconds(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tested::samples::results;

    #[test]
    fn each_test_is_an_event_between_start_and_end() {
        let by = By {
            operator: "ops".into(),
            controller: "desk".into(),
        };
        let events = events(&results(), by);
        let names: Vec<String> = events
            .iter()
            .map(|event| {
                serde_json::to_value(event).unwrap()["event"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(
            names,
            [
                "suite-started",
                "check-held",
                "check-failed",
                "check-ignored",
                "check-unknown",
                "suite-ended"
            ]
        );
        assert_eq!(
            events.iter().map(|event| event.seq).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(
            (events[0].at.as_str(), events[5].at.as_str()),
            ("2026-11-21T09:14:03.000Z", "2026-11-21T09:14:04.500Z")
        );
        assert_eq!(events[4].node.as_deref(), Some("web2"));
    }
}
