//! Whole runs on a node without a process: see `shell::fake`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::event::{RunStarted, Status, What};
use crate::journal::{self, Journal, Record};
use crate::lab::{self, FAULTS, RUN};
use crate::plan::Plan;
use crate::shell::fake::{Comes, FakeNode, Fault, HERE, Reached};
use crate::{Answer, DoneByHand, OnLag, Operator, Options, Recorder, plan_record, run};

/// A project with one node, `n`, and a run on it.
struct Lab {
    root: tempfile::TempDir,
    plan: Arc<Plan>,
    node: FakeNode,
    here: FakeNode,
    /// The operator's answers, last one first; empty: nobody answers.
    answers: Vec<Answer>,
    start_at: Option<usize>,
    done: BTreeSet<usize>,
    on_lag: OnLag,
    yes: bool,
    reconnect: Duration,
}

/// What a run reported.
struct Said {
    status: Status,
    events: Vec<String>,
}

impl Said {
    fn has(&self, text: &str) -> &Said {
        let found = self.events.iter().any(|event| event.contains(text));
        assert!(found, "{text}: {:#?}", self.events);
        self
    }

    fn lacks(&self, text: &str) -> &Said {
        let found = self.events.iter().any(|event| event.contains(text));
        assert!(!found, "{text}: {:#?}", self.events);
        self
    }
}

impl Lab {
    /// A procedure with these blocks.
    fn of(blocks: &str) -> Lab {
        let root = lab::room();
        let page = format!("# Page\n\n```yaml procedure\nid: p\n```\n\n{blocks}");
        let plan = lab::plan(root.path(), &page, &["n"], &[], &["n".to_owned()]);
        Lab {
            root,
            plan: Arc::new(plan),
            node: FakeNode::default(),
            here: FakeNode::default(),
            answers: Vec::new(),
            start_at: None,
            done: BTreeSet::new(),
            on_lag: OnLag::Refuse,
            yes: false,
            reconnect: Duration::from_millis(500),
        }
    }

    fn state(&self) -> journal::State {
        journal::State::beside(self.root.path())
    }

    fn options(&self) -> Options {
        let (operator, mut questions) = Operator::new();
        let mut answers = self.answers.clone();
        tokio::spawn(async move {
            while !answers.is_empty() {
                let Some(question) = questions.recv().await else {
                    break;
                };
                let question: crate::Question = question;
                let _ = question.reply.send(answers.pop().unwrap_or(Answer::Nobody));
            }
        });
        let told = DoneByHand {
            steps: [("n".to_owned(), self.done.clone())].into(),
            note: "ana says so".to_owned(),
        };
        Options {
            yes: self.yes,
            start_at: self.start_at,
            on_lag: self.on_lag,
            told,
            reconnect: self.reconnect,
            ..lab::options(self.root.path(), operator)
        }
    }

    /// Runs it; `None` if its controller was killed.
    fn run(&self) -> Option<Said> {
        let mut journal = Journal::create(&self.state(), RUN).unwrap();
        let node = &self.plan.nodes[0];
        let started = RunStarted {
            procedure: "p".to_owned(),
            nodes: vec!["n".to_owned()],
            plans: [("n".to_owned(), plan_record(self.root.path(), node))].into(),
            ..RunStarted::default()
        };
        let started = What::RunStarted(Box::new(started));
        journal.record(None, None, started).unwrap();
        self.go(journal, None)
    }

    fn resume(&self) -> Option<Said> {
        // No controller but this one exists.
        self.node.cut();
        self.here.cut();
        let (mut journal, record) = Journal::reopen(&self.state(), RUN).unwrap();
        let resumed = What::RunResumed {
            operator: "ana".to_owned(),
            controller: "desk".to_owned(),
            accepted_changes: false,
            manner: None,
            plans: BTreeMap::new(),
        };
        journal.record(None, None, resumed).unwrap();
        self.go(journal, Some(record))
    }

    fn go(&self, journal: Journal, resume: Option<Record>) -> Option<Said> {
        self.node.stands_for("n");
        self.here.stands_for(HERE);
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let watcher = move |event: &crate::event::Event| {
            let line = format!("{:?} {:?}", event.step, event.what);
            seen.lock().unwrap().push(line);
        };
        let recorder = Recorder::new(journal, vec![Box::new(watcher)]);
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        let status = runtime.block_on(async {
            let options = Arc::new(self.options());
            let run = run(
                Arc::clone(&self.plan),
                options,
                recorder,
                resume.map(Arc::new),
            );
            tokio::select! {
                status = run => Some(status.unwrap()),
                () = self.node.killed.notified() => None,
                () = self.here.killed.notified() => None,
            }
        });
        drop(runtime);
        let events = events.lock().unwrap().clone();
        status.map(|status| Said { status, events })
    }

    fn record(&self) -> Record {
        journal::read(&self.state(), RUN).unwrap()
    }

    /// Resumes until it is OK, and returns how often that was necessary.
    fn resume_until_ok(&self) -> usize {
        for round in 1..5 {
            if self.resume().is_some_and(|said| said.status == Status::Ok) {
                return round;
            }
        }
        panic!("it does not come to its end: {:#?}", self.record().events);
    }
}

const THREE: &str = "```sh step id=one capture=seen\none\n```\n\n```sh step id=two\ntwo\n```\n\n```sh step id=three\nthree $seen\n```\n";

fn three() -> Lab {
    let lab = Lab::of(THREE);
    lab.node.comes("1", &[Comes::Exit(0, "value")]);
    lab
}

#[test]
fn a_fresh_run_runs_each_step_once_and_leaves_no_bundle() {
    let lab = three();
    let said = lab.run().unwrap();
    assert_eq!(said.status, Status::Ok, "{:#?}", said.events);
    assert_eq!(lab.node.ran(), "1 2 3");
    assert!(!lab.node.has_bundle());
    said.has("BundleOpened")
        .has("BundleClosed")
        .has("ValueCaptured");
}

#[test]
fn a_run_that_is_halted_at_any_step_goes_on_at_that_step() {
    for step in 1..=3 {
        let lab = three();
        let fails = [Comes::Exit(1, "value"), Comes::Exit(0, "value")];
        lab.node.comes(&step.to_string(), &fails);
        let said = lab.run().unwrap();
        assert_eq!(said.status, Status::Failed, "{:#?}", said.events);
        let said = lab.resume().unwrap();
        assert_eq!(said.status, Status::Ok, "{:#?}", said.events);
        let expected = ["1 1 2 3", "1 2 2 3", "1 2 3 3"][step - 1];
        assert_eq!(lab.node.ran(), expected);
    }
}

/// The number of calls in a run.
fn calls(lab: &Lab) -> usize {
    lab.run().unwrap();
    lab.node.calls().len()
}

#[test]
fn a_cut_or_a_killed_controller_at_any_call_runs_each_step_exactly_once() {
    let all = calls(&three());
    assert!(all >= 7, "{all}");
    for fault in FAULTS {
        for call in 1..=all {
            let lab = three();
            lab.node.fails(call, fault);
            let said = lab.run();
            let calls = lab.node.calls();
            let at = || format!("{fault:?} at call {call} of {calls:?}");
            if !said.is_some_and(|said| said.status == Status::Ok) {
                lab.resume_until_ok();
            }
            assert_eq!(lab.node.ran(), "1 2 3", "{}", at());
            assert!(!lab.node.has_bundle(), "{}", at());
        }
    }
}

/// The local bundle is closed first, so a resuming controller closes only the rest.
#[test]
fn two_faults_one_after_the_other_around_a_local_step_run_each_step_exactly_once() {
    let here_last = "```sh step id=one\none\n```\n\n```sh step id=two on=local\ntwo\n```\n";
    let (of_node, of_here) = {
        let lab = Lab::of(here_last);
        lab.run().unwrap();
        (lab.node.calls().len(), lab.here.calls().len())
    };
    let is_ok = |said: Option<Said>| said.is_some_and(|said| said.status == Status::Ok);
    for (first, second) in FAULTS.iter().flat_map(|a| FAULTS.map(|b| (*a, b))) {
        for call in 1..=of_node {
            // The second fault occurs at each call to the node, then at each local call.
            for then in 0..of_node + of_here {
                let lab = Lab::of(here_last);
                lab.node.fails(call, first);
                let mut ok = is_ok(lab.run());
                if !ok {
                    let (machine, later) = match then.checked_sub(of_node) {
                        None => (&lab.node, then),
                        Some(later) => (&lab.here, later),
                    };
                    machine.fails(machine.calls().len() + later + 1, second);
                    ok = is_ok(lab.resume());
                }
                if !ok {
                    lab.resume_until_ok();
                }
                let at = format!("{first:?} at {call}, {second:?} at {then}");
                assert_eq!(lab.node.ran(), "1", "{at}");
                assert_eq!(lab.here.ran(), "2", "{at}");
                assert!(!lab.node.has_bundle() && !lab.here.has_bundle(), "{at}");
            }
        }
    }
}

#[test]
fn a_fault_at_any_call_of_a_resume_runs_nothing_twice() {
    let fails = [Comes::Exit(1, ""), Comes::Exit(0, "")];
    let halted = || {
        let lab = three();
        lab.node.comes("2", &fails);
        lab.run().unwrap();
        lab
    };
    let lab = halted();
    let before = lab.node.calls().len();
    lab.resume().unwrap();
    let all = lab.node.calls().len() - before;
    for fault in FAULTS {
        for call in 1..=all {
            let lab = halted();
            lab.node.fails(call, fault);
            let said = lab.resume();
            let calls = lab.node.calls();
            if !said.is_some_and(|said| said.status == Status::Ok) {
                lab.resume_until_ok();
            }
            assert_eq!(
                lab.node.ran(),
                "1 2 2 3",
                "{fault:?} at call {call} of {calls:?}"
            );
        }
    }
}

#[test]
fn a_fault_at_any_call_beside_steps_of_this_machine_runs_nothing_twice() {
    let page = "```sh step\none\n```\n\n```sh step on=local\ntwo\n```\n\n```sh step\nthree\n```\n\n```sh step on=local\nfour\n```\n";
    let whole = Lab::of(page);
    whole.run().unwrap();
    for (is_here, all) in [(false, whole.node.calls()), (true, whole.here.calls())] {
        for fault in FAULTS {
            for call in 1..=all.len() {
                let lab = Lab::of(page);
                let failing = if is_here { &lab.here } else { &lab.node };
                failing.fails(call, fault);
                if !lab.run().is_some_and(|said| said.status == Status::Ok) {
                    lab.resume_until_ok();
                }
                let at = format!("{fault:?} at call {call} of {all:?}");
                assert_eq!(
                    (lab.node.ran().as_str(), lab.here.ran().as_str()),
                    ("1 3", "2 4"),
                    "{at}"
                );
                assert!(!lab.node.has_bundle() && !lab.here.has_bundle(), "{at}");
            }
        }
    }
}

#[test]
fn a_transcript_that_is_cut_or_killed_at_any_call_runs_each_command_once() {
    let page = "```console step\n$ one\n$ two\n$ three\n```\n";
    let all = calls(&Lab::of(page));
    for fault in FAULTS {
        for call in 1..=all {
            let lab = Lab::of(page);
            lab.node.fails(call, fault);
            if !lab.run().is_some_and(|said| said.status == Status::Ok) {
                lab.resume_until_ok();
            }
            assert_eq!(lab.node.ran(), "1-1 1-2 1-3", "{fault:?} at call {call}");
        }
    }
}

#[test]
fn a_step_that_runs_on_is_attached_to() {
    let lab = three();
    lab.node.comes("2", &[Comes::Runs]);
    // The controller is killed after the step was started.
    let call = calls_until(&three(), "obb_step", 2);
    lab.node.fails(call, Fault::KillAfter);
    assert!(lab.run().is_none());
    lab.node.becomes("2", Comes::Exit(0, ""));
    let said = lab.resume().unwrap();
    assert_eq!(said.status, Status::Ok);
    said.has("StepAttached");
    assert_eq!(lab.node.ran(), "1 2 3");
}

/// The number of the nth call with this name.
fn calls_until(lab: &Lab, name: &str, nth: usize) -> usize {
    lab.run().unwrap();
    let calls = lab.node.calls();
    let mut found = calls.iter().enumerate().filter(|(_, call)| **call == name);
    found.nth(nth - 1).unwrap().0 + 1
}

/// A run whose second step has an unknown end, because its node was lost; `says` is what the node
/// answers later.
fn unknown(says: Comes) -> Lab {
    let call = calls_until(&three(), "obb_step", 2);
    let mut lab = three();
    lab.reconnect = Duration::ZERO;
    lab.node.comes("2", &[Comes::Runs, Comes::Exit(0, "")]);
    lab.node.fails(call, Fault::CutAfter);
    lab.node.is_reached(Reached::UntilCut);
    let said = lab.run().unwrap();
    assert_eq!(said.status, Status::Error, "{:#?}", said.events);
    said.has("may or may not have finished");
    lab.node.is_reached(Reached::Always);
    lab.node.becomes("2", says);
    lab
}

#[test]
fn what_the_node_says_by_now_of_a_step_whose_end_was_unknown_counts() {
    let lab = unknown(Comes::Exit(0, ""));
    let said = lab.resume().unwrap();
    assert_eq!(said.status, Status::Ok, "{:#?}", said.events);
    assert_eq!(lab.node.ran(), "1 2 3");
    let lab = unknown(Comes::Exit(4, ""));
    let said = lab.resume().unwrap();
    assert_eq!(said.status, Status::Failed);
    assert_eq!(lab.node.ran(), "1 2");
}

#[test]
fn an_end_that_is_taken_is_not_asked_about() {
    let mut lab = unknown(Comes::Says("DONE 0 exited 0 0\nLEFT 12 sleep"));
    lab.answers = vec![Answer::Quit];
    let said = lab.resume().unwrap();
    assert_eq!(said.status, Status::Ok, "{:#?}", said.events);
    said.lacks("is it to be run again?");
    assert_eq!(lab.node.ran(), "1 2 3");
}

#[test]
fn a_step_whose_end_nobody_knows_is_asked_about_before_it_is_run_again() {
    for (answer, status, ran) in [
        (Answer::Quit, Status::Stopped, "1 2"),
        (Answer::ByHand, Status::Ok, "1 2 3"),
        (Answer::Yes, Status::Ok, "1 2 2 3"),
    ] {
        let mut lab = unknown(Comes::Says("UNKNOWN"));
        lab.answers = vec![answer.clone()];
        let said = lab.resume().unwrap();
        said.has("is it to be run again?");
        assert_eq!(
            (said.status, lab.node.ran().as_str()),
            (status, ran),
            "{answer:?}"
        );
    }
    let lab = unknown(Comes::Says("UNKNOWN"));
    let said = lab.resume().unwrap();
    said.has("it may or may not have finished: run it again");
    assert_eq!(lab.node.ran(), "1 2 2 3");
}

#[test]
fn a_journal_that_lags_is_refused_and_caught_up_at_every_line() {
    let halted = || {
        let lab = three();
        lab.node
            .comes("3", &[Comes::Exit(1, ""), Comes::Exit(0, "")]);
        lab.run().unwrap();
        lab
    };
    let text = std::fs::read_to_string(halted().record().path).unwrap();
    let mut refused = 0;
    for lines in 1..text.lines().count() {
        let mut lab = halted();
        let path = lab.record().path;
        let text = std::fs::read_to_string(&path).unwrap();
        let kept: String = text.split_inclusive('\n').take(lines).collect();
        std::fs::write(&path, kept).unwrap();
        let said = lab.resume().unwrap();
        if said
            .events
            .iter()
            .any(|event| event.contains("--catch-up r1"))
        {
            assert_eq!(lab.node.ran(), "1 2 3", "{lines}: {:#?}", said.events);
            refused += 1;
            (lab.on_lag, lab.yes) = (OnLag::CatchUp, true);
        }
        if said.status != Status::Ok {
            lab.resume_until_ok();
        }
        assert_eq!(lab.node.ran(), "1 2 3 3", "{lines}: {:#?}", said.events);
    }
    assert!(refused > 3, "{refused}");
}

#[test]
fn a_fault_at_any_call_of_a_catch_up_runs_nothing_twice() {
    let lagging = || {
        let mut lab = three();
        lab.node
            .comes("3", &[Comes::Exit(1, ""), Comes::Exit(0, "")]);
        lab.run().unwrap();
        let path = lab.record().path;
        let text = std::fs::read_to_string(&path).unwrap();
        let first: String = text.split_inclusive('\n').take(1).collect();
        std::fs::write(&path, first).unwrap();
        (lab.on_lag, lab.yes) = (OnLag::CatchUp, true);
        lab
    };
    let lab = lagging();
    let before = lab.node.calls().len();
    lab.resume().unwrap();
    let all = lab.node.calls().len() - before;
    assert!(all > 3, "{all}");
    for fault in FAULTS {
        for call in 1..=all {
            let lab = lagging();
            lab.node.fails(call, fault);
            if !lab.resume().is_some_and(|said| said.status == Status::Ok) {
                lab.resume_until_ok();
            }
            assert_eq!(lab.node.ran(), "1 2 3 3", "{fault:?} at call {call}");
        }
    }
}

#[test]
fn a_local_step_whose_record_is_gone_is_asked_about() {
    let page = "```sh step on=local\none\n```\n\n```sh step\ntwo\n```\n";
    let call = {
        let lab = Lab::of(page);
        lab.run().unwrap();
        let calls = lab.here.calls();
        calls.iter().position(|call| *call == "obb_step").unwrap() + 1
    };
    let lost = || {
        let lab = Lab::of(page);
        lab.here.fails(call, Fault::KillAfter);
        assert!(lab.run().is_none());
        lab.here.loses_its_bundle();
        lab
    };
    let mut lab = lost();
    lab.answers = vec![Answer::Quit];
    let said = lab.resume().unwrap();
    said.has("is it to be run again?");
    assert_eq!(
        (said.status, lab.here.ran().as_str()),
        (Status::Stopped, "1")
    );
    // A replaced bundle has no old records: the journal's OK of an earlier step does not contradict
    // that.
    let lab = Lab::of(page);
    lab.node.comes(
        "2",
        &[Comes::Exit(1, ""), Comes::Exit(1, ""), Comes::Exit(0, "")],
    );
    lab.run().unwrap();
    lab.here.loses_its_bundle();
    assert_eq!(lab.resume().unwrap().status, Status::Failed);
    let said = lab.resume().unwrap();
    assert_eq!(said.status, Status::Ok, "{:#?}", said.events);
    assert_eq!(lab.here.ran(), "1");
}

#[test]
fn what_could_not_begin_as_far_as_is_known_and_has_begun_on_the_node_is_asked_about() {
    let page = "```sh step on=local\none\n```\n";
    let call = {
        let lab = Lab::of(page);
        lab.run().unwrap();
        let calls = lab.here.calls();
        calls.iter().position(|call| *call == "obb_step").unwrap() + 1
    };
    let mut lab = Lab::of(page);
    // The local shell is gone together with the answer.
    lab.here.fails(call, Fault::CutAfter);
    let said = lab.run().unwrap();
    assert_eq!(said.status, Status::Error, "{:#?}", said.events);
    lab.here.becomes("1", Comes::Says("UNKNOWN"));
    lab.answers = vec![Answer::Quit];
    let said = lab.resume().unwrap();
    said.has("is it to be run again?");
    assert_eq!(lab.here.ran(), "1");
}

#[test]
fn done_by_hand_whose_checks_do_not_hold_stays_unknown() {
    let page = "```sh step id=one\none\n```\n\n```sh check\nfalse\n```\n";
    let call = calls_until(&Lab::of(page), "obb_step", 1);
    let mut lab = Lab::of(page);
    lab.node
        .comes("1", &[Comes::Says("UNKNOWN"), Comes::Exit(0, "")]);
    lab.node.fails(call, Fault::KillAfter);
    assert!(lab.run().is_none());
    lab.done = [1].into();
    lab.node.checks_exit(1);
    let said = lab.resume().unwrap();
    assert_eq!(said.status, Status::Failed, "{:#?}", said.events);
    said.has("outcome_unknown: true");
    lab.done.clear();
    lab.answers = vec![Answer::Quit];
    lab.resume().unwrap().has("is it to be run again?");
    assert_eq!(lab.node.ran(), "1");
}
