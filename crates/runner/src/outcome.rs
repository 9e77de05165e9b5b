//! Determines how a part ended, from its process's exit status and its journal. Pure.

use opsbook_event::{Status, What};
use opsbook_journal::Record;
use opsbook_text::outside;
use opsbook_wire::runner::EndState;
use opsbook_wire::{Ended, Mode, PartEnd, Work};

use crate::happened::Exit;

/// The most characters of a cause.
const LONGEST: usize = 1000;

/// What to do about the end of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The part has ended for this runner.
    End(PartEnd),
    /// The process crashed. The node knows the state of its step.
    Died(String),
}

pub(crate) fn outcome(work: &Work, exit: &Exit, record: Option<&Record>) -> Outcome {
    let Some(status) = status(exit.code) else {
        let how = exit.code.map_or_else(
            || "was killed".to_owned(),
            |code| format!("ended with status {code}"),
        );
        return Outcome::Died(match cause(&exit.said) {
            Some(said) => format!("{how}: {said}"),
            None => how,
        });
    };
    if work.mode == Mode::Release {
        return released(work, status, exit);
    }
    let in_journal = record.and_then(|record| journal_cause(record, work.epoch));
    let (state, cause) = match record {
        _ if status == Ended::Ok => (EndState::Ended, None),
        Some(record) if record.is_halted() => {
            (EndState::Halted, in_journal.or_else(|| cause(&exit.said)))
        }
        // The work of an earlier controller on the node is unknown here.
        _ if work.epoch > 1 && matches!(status, Ended::Blocked | Ended::Error) => {
            (EndState::Halted, in_journal.or_else(|| cause(&exit.said)))
        }
        _ => (EndState::Ended, in_journal.or_else(|| cause(&exit.said))),
    };
    Outcome::End(end(work, state, status, cause))
}

/// Whether the node refused a part as already begun that the gateway considers new: then the
/// gateway's store was restored from an older state.
pub(crate) fn is_on_node_already(exit: &Exit, record: Option<&Record>) -> bool {
    let opened = |record: &Record| {
        let mut events = record.events.iter();
        events.any(|event| matches!(event.what, What::BundleOpened { .. }))
    };
    status(exit.code) == Some(Ended::Blocked) && record.is_some_and(|record| !opened(record))
}

/// The end of a part for its lease.
pub(crate) fn end(work: &Work, state: EndState, status: Ended, cause: Option<String>) -> PartEnd {
    PartEnd {
        run: work.run.clone(),
        node: work.node.clone(),
        epoch: work.epoch,
        state,
        status: Some(status),
        cause: cause.map(|cause| cause.chars().take(LONGEST).collect()),
    }
}

fn released(work: &Work, status: Ended, exit: &Exit) -> Outcome {
    let (state, status, cause) = match status {
        Ended::Ok => (EndState::Ended, Ended::Skipped, Some("given up".to_owned())),
        status => (EndState::Halted, status, cause(&exit.said)),
    };
    Outcome::End(end(work, state, status, cause))
}

/// The outcome for an exit status of `opsbook run`; `None` if it did not reach its end.
fn status(code: Option<i32>) -> Option<Ended> {
    Some(match code? {
        0 => Ended::Ok,
        1 => Ended::Failed,
        // Wrong arguments, nodes or manual: nothing was changed.
        2 | 3 => Ended::Error,
        4 => Ended::Blocked,
        5 => Ended::Stopped,
        124 => Ended::TimedOut,
        _ => return None,
    })
}

/// Why this or an earlier controller ended it on a node, from the journal.
fn journal_cause(record: &Record, epoch: u64) -> Option<String> {
    let mut events = record.events.iter().rev();
    let of_lease = |event: &&opsbook_event::Event| event.epoch.is_none_or(|of| of <= epoch);
    events.find(of_lease)?;
    let mut events = record.events.iter().rev();
    events.find_map(|event| match &event.what {
        What::NodeEnded { cause, status } if *status != Status::Ok => {
            Some(cause.as_ref()?.line().to_string())
        }
        _ => None,
    })
}

/// The last message on standard error, without its prefix.
fn cause(said: &str) -> Option<String> {
    let told = said.lines().rev().find(|line| {
        ["error: ", "BLOCKED: ", "STOPPED: "]
            .iter()
            .any(|word| line.starts_with(word) || line.contains(&format!(": {word}")))
    });
    let line = told.or_else(|| said.lines().rev().find(|line| !line.trim().is_empty()))?;
    let line = ["error: ", "BLOCKED: ", "STOPPED: "]
        .iter()
        .fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
    Some(outside::line(line).to_string())
}

#[cfg(test)]
mod tests {
    use opsbook_event::{Site, What};
    use opsbook_journal::{Journal, State, read};
    use opsbook_wire::{Confirm, Source};

    use super::*;

    const RUN: &str = "20261129-120000-ab12";

    fn work(mode: Mode) -> Work {
        Work {
            run: RUN.into(),
            node: "web1".into(),
            epoch: 2,
            mode,
            manual: "shop".into(),
            source: Source::Folder { path: "/m".into() },
            procedure: "p".into(),
            words: Vec::new(),
            arguments: std::collections::BTreeMap::new(),
            plan_sha256: "0".into(),
            start_at: None,
            stop_after: None,
            confirm: Confirm::Ask,
            operator: "ana".into(),
            journal: Vec::new(),
            journal_lines: 0,
            asked_by: String::new(),
            consent: None,
            login: opsbook_wire::NodeLogin::Own,
        }
    }

    fn record(open: bool) -> Record {
        let dir = tempfile::tempdir().unwrap();
        let state = State::beside(dir.path());
        let mut journal = Journal::create(&state, RUN).unwrap();
        let site = Some(Site::from("web1"));
        if open {
            let kept = What::BundleKept {
                path: "/b".into(),
                local: false,
            };
            journal.record(site, None, kept).unwrap();
        }
        let ended = What::NodeEnded {
            status: Status::Failed,
            cause: Some("step two failed".into()),
        };
        journal.record(site, None, ended).unwrap();
        read(&state, RUN).unwrap()
    }

    fn exit(code: i32, said: &str) -> Exit {
        Exit {
            code: Some(code),
            said: said.into(),
        }
    }

    #[test]
    fn how_a_part_ends_is_a_table() {
        let first = Work {
            epoch: 1,
            ..work(Mode::Begin)
        };
        let (halted, closed) = (record(true), record(false));
        let blocked = "note: x\n\nBLOCKED: the plan is another one\n";
        let wrong = "nodes.yaml:1:1: error: no such node\n  |\n\nhint: none\n";
        for (code, said, record, expected) in [
            (0, "", Some(&halted), (EndState::Ended, Ended::Ok, None)),
            (
                1,
                "",
                Some(&halted),
                (EndState::Halted, Ended::Failed, Some("step two failed")),
            ),
            (
                3,
                "",
                Some(&closed),
                (EndState::Ended, Ended::Error, Some("step two failed")),
            ),
            (
                4,
                blocked,
                None,
                (
                    EndState::Ended,
                    Ended::Blocked,
                    Some("the plan is another one"),
                ),
            ),
            (
                2,
                wrong,
                None,
                (
                    EndState::Ended,
                    Ended::Error,
                    Some("nodes.yaml:1:1: error: no such node"),
                ),
            ),
            (5, "", None, (EndState::Ended, Ended::Stopped, None)),
            (
                124,
                "",
                Some(&halted),
                (EndState::Halted, Ended::TimedOut, Some("step two failed")),
            ),
        ] {
            let Outcome::End(end) = outcome(&first, &exit(code, said), record) else {
                panic!("{code} is an end");
            };
            let found = (end.state, end.status.unwrap(), end.cause.as_deref());
            assert_eq!(found, expected, "{code}");
        }
        // Another controller had begun the part.
        let blocked = outcome(&work(Mode::Adopt), &exit(4, blocked), Some(&closed));
        let Outcome::End(end) = blocked else {
            panic!("an end");
        };
        assert_eq!((end.state, end.epoch), (EndState::Halted, 2));
    }

    #[test]
    fn a_process_that_has_died_has_ended_nothing() {
        for (exit, expected) in [
            (Exit::default(), "was killed"),
            (
                exit(101, "thread 'main' panicked\n"),
                "ended with status 101: thread 'main' panicked",
            ),
            (exit(127, ""), "ended with status 127"),
        ] {
            let said = outcome(&work(Mode::Begin), &exit, Some(&record(true)));
            assert_eq!(said, Outcome::Died(expected.to_owned()));
        }
    }

    #[test]
    fn what_is_given_up_is_skipped() {
        let Outcome::End(end) = outcome(&work(Mode::Release), &exit(0, ""), None) else {
            panic!("an end");
        };
        assert_eq!(
            (end.state, end.status),
            (EndState::Ended, Some(Ended::Skipped))
        );
        let held = exit(4, "error: a process of it still runs\n");
        let Outcome::End(end) = outcome(&work(Mode::Release), &held, None) else {
            panic!("an end");
        };
        assert_eq!(
            (end.state, end.status),
            (EndState::Halted, Some(Ended::Blocked))
        );
        assert_eq!(end.cause.as_deref(), Some("a process of it still runs"));
    }

    #[test]
    fn the_gateway_has_a_word_for_each_status_of_a_journal() {
        let all = [
            Status::Ok,
            Status::Failed,
            Status::Error,
            Status::Blocked,
            Status::Stopped,
            Status::TimedOut,
            Status::Skipped,
            Status::ByHand,
        ];
        let words = all.map(Status::word);
        assert_eq!(
            words,
            *Ended::ALL.iter().map(|end| end.word()).collect::<Vec<_>>()
        );
    }
}
