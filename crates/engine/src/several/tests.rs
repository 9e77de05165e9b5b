//! Whole runs over three nodes without a process: see `shell::fake`. Covers the journal's view, the
//! bundles' view and the operator's wish, in every combination that one fault makes.

use std::sync::Arc;

use crate::event::{RunStarted, Status, What};
use crate::journal::{self, Journal, Record};
use crate::lab::{self, FAULTS, RUN};
use crate::plan::Plan;
use crate::shell::fake::{Comes, FakeNode, Fault, HERE};
use crate::{OnLag, Operator, Options, Recorder, plan_record, run};

const NODES: [&str; 3] = ["a", "b", "c"];
const PAGE: &str = r#"# Page

```yaml procedure
id: p
roles:
  old: {nodes: "*"}
  new: {nodes: "*"}
  others: {nodes: "*", count: 0+}
```

On the **old** one:

```sh step id=one on=old capture=seen
one
```

On the **new** one:

```sh step id=two on=new
two $seen
```

On the **old** one:

```sh step id=three on=old
three
```

## For each of the others

```yaml each
others: {}
```

On the **others**:

```sh step id=four on=others
four $seen
```

## Afterwards

On the **new** one:

```sh step id=five on=new
five $seen
```
"#;

/// All work is in turns.
const TURNS: &str = r#"# Page

```yaml procedure
id: p
roles:
  web: {nodes: "*", count: 1+}
```

```yaml each
web: {batch: "1,2"}
```

On **web**:

```sh step id=one on=web capture=seen
one
```

On **web**:

```sh step id=two on=web
two $seen
```
"#;

/// A step on several nodes, a joint check after all have ended, and a later step.
const ALL: &str = r#"# Page

```yaml procedure
id: p
roles:
  via: {nodes: "*"}
  members: {nodes: "*", count: 1+}
```

On all **members**:

```sh step id=one on=all:members
one
```
```sh check id=joint on=via
true
```

On **via**:

```sh step id=two on=via
two
```
"#;

/// A page, and the nodes of its roles.
#[derive(Clone, Copy)]
struct Page {
    text: &'static str,
    words: &'static [&'static str],
    /// What runs on each node if everything runs once.
    runs: [&'static str; 3],
}

const LINE: Page = Page {
    text: PAGE,
    words: &["old=a", "new=b", "others=c"],
    runs: ["1 3", "2 5", "4"],
};

const PAGES: [Page; 3] = [
    LINE,
    Page {
        text: TURNS,
        words: &["web=a,b,c"],
        runs: ["1 2", "1 2", "1 2"],
    },
    Page {
        text: ALL,
        words: &["via=a", "members=b,c"],
        runs: ["2", "1", "1"],
    },
];

struct Lab {
    root: tempfile::TempDir,
    page: Page,
    plan: Arc<Plan>,
    nodes: [FakeNode; 3],
    here: FakeNode,
    start_at: Option<usize>,
    stop_after: Option<usize>,
    on_lag: OnLag,
}

impl Lab {
    fn new() -> Lab {
        Lab::of(LINE)
    }

    fn of(page: Page) -> Lab {
        let nodes: [FakeNode; 3] = Default::default();
        for node in &nodes {
            node.comes("1", &[Comes::Exit(0, "value")]);
        }
        Lab::on(page, nodes, &[])
    }

    fn on(page: Page, nodes: [FakeNode; 3], set: &[(String, String)]) -> Lab {
        let root = lab::room();
        let words = page.words.iter().map(ToString::to_string);
        let words: Vec<String> = words.collect();
        let plan = lab::plan(root.path(), page.text, &NODES, set, &words);
        Lab {
            root,
            page,
            plan: Arc::new(plan),
            nodes,
            here: FakeNode::default(),
            start_at: None,
            stop_after: None,
            on_lag: OnLag::Refuse,
        }
    }

    /// Another folder with the same manual, without a journal of the run.
    fn elsewhere(&self) -> Lab {
        let lab = Lab {
            on_lag: OnLag::CatchUp,
            ..Lab::on(self.page, self.nodes.clone(), &[])
        };
        drop(lab.journal());
        lab
    }

    fn state(&self) -> journal::State {
        journal::State::beside(self.root.path())
    }

    fn options(&self) -> Options {
        let (operator, _) = Operator::new();
        Options {
            yes: true,
            start_at: self.start_at,
            stop_after: self.stop_after,
            on_lag: self.on_lag,
            ..lab::options(self.root.path(), operator)
        }
    }

    /// A journal with its first line.
    fn journal(&self) -> Journal {
        let mut journal = Journal::create(&self.state(), RUN).unwrap();
        let plans = self.plan.nodes.iter();
        let plans = plans.map(|node| {
            let record = plan_record(self.root.path(), node);
            (node.site().to_string(), record)
        });
        let started = RunStarted {
            procedure: "p".to_owned(),
            nodes: NODES.map(str::to_owned).to_vec(),
            roles: self.plan.roles(),
            plans: plans.collect(),
            ..RunStarted::default()
        };
        let started = What::RunStarted(Box::new(started));
        journal.record(None, None, started).unwrap();
        journal
    }

    /// How it ended; `None` if its controller was killed.
    fn run(&self) -> Option<Status> {
        self.go(self.journal(), None)
    }

    fn resume(&self) -> Option<Status> {
        // No controller but this one exists.
        for node in self.nodes.iter().chain([&self.here]) {
            node.cut();
        }
        let (journal, record) = Journal::reopen(&self.state(), RUN).unwrap();
        self.go(journal, Some(record))
    }

    fn go(&self, journal: Journal, resume: Option<Record>) -> Option<Status> {
        for (node, name) in self.nodes.iter().zip(NODES) {
            node.stands_for(name);
        }
        self.here.stands_for(HERE);
        let recorder = Recorder::new(journal, Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        runtime.block_on(async {
            let options = Arc::new(self.options());
            let resume = resume.map(Arc::new);
            let run = run(Arc::clone(&self.plan), options, recorder, resume);
            tokio::select! {
                status = run => Some(status.unwrap()),
                () = self.nodes[0].killed.notified() => None,
                () = self.nodes[1].killed.notified() => None,
                () = self.nodes[2].killed.notified() => None,
            }
        })
    }

    fn resume_until_ok(&self, at: &str) {
        for _ in 1..6 {
            if self.resume() == Some(Status::Ok) {
                return;
            }
        }
        let events = self.record().events;
        let told: Vec<_> = { events.iter() }
            .map(|event| {
                format!(
                    "{:?} {:?} {:?} {:?}\n",
                    event.node, event.turn, event.step, event.what
                )
            })
            .collect();
        panic!("{at}: it does not come to its end:\n{}", told.concat());
    }

    fn record(&self) -> Record {
        journal::read(&self.state(), RUN).unwrap()
    }

    /// What ran on each node, in order.
    fn ran(&self) -> [String; 3] {
        [0, 1, 2].map(|index| self.nodes[index].ran())
    }

    #[track_caller]
    fn is_done_once(&self, at: &str) {
        assert_eq!(self.ran(), self.page.runs, "{at}");
        let held = self.nodes.iter().any(FakeNode::has_bundle);
        assert!(!held, "{at}: a bundle is left");
    }
}

/// The number of calls of a run to each node.
fn calls(page: Page) -> [usize; 3] {
    let lab = Lab::of(page);
    assert_eq!(lab.run(), Some(Status::Ok), "{:#?}", lab.record().events);
    lab.is_done_once("without a fault");
    [0, 1, 2].map(|index| lab.nodes[index].calls().len())
}

/// Each fault at each call of each node, on each page.
fn each_fault(mut check: impl FnMut(&Lab, bool, &str)) {
    for page in PAGES {
        for (index, calls) in calls(page).into_iter().enumerate() {
            for fault in FAULTS {
                for call in 1..=calls {
                    let lab = Lab::of(page);
                    lab.nodes[index].fails(call, fault);
                    let ok = lab.run() == Some(Status::Ok);
                    let roles = page.words.join(" ");
                    let at = format!("{roles}: {fault:?} at call {call} of {}", NODES[index]);
                    check(&lab, ok, &at);
                }
            }
        }
    }
}

#[test]
fn a_fault_at_any_call_of_any_machine_runs_each_step_exactly_once() {
    each_fault(|lab, ok, at| {
        if !ok {
            lab.resume_until_ok(at);
        }
        lab.is_done_once(at);
    });
}

#[test]
fn what_the_nodes_say_is_enough_where_the_journal_is_lost() {
    each_fault(|lab, ok, at| {
        if !ok {
            lab.elsewhere().resume_until_ok(at);
        }
        lab.is_done_once(at);
    });
}

#[test]
fn a_machine_that_has_lost_its_bundle_is_named() {
    let lab = Lab::new();
    lab.nodes[1].comes("2", &[Comes::Exit(1, "")]);
    assert_eq!(lab.run(), Some(Status::Failed));
    lab.nodes[0].loses_its_bundle();
    let lab = lab.elsewhere();
    assert_eq!(lab.resume(), Some(Status::Error));
    let said = format!("{:?}", lab.record().events);
    assert!(said.contains("has no record of step 1 one"), "{said}");
    assert_eq!(lab.ran(), ["1", "2", ""]);
}

#[test]
fn of_a_step_that_fails_nothing_behind_it_begins_on_any_machine() {
    for (index, label, done) in [
        (0, "1", ["1", "", ""]),
        (1, "2", ["1", "2", ""]),
        (0, "3", ["1 3", "2", ""]),
        (2, "4", ["1 3", "2", "4"]),
        (1, "5", ["1 3", "2 5", "4"]),
    ] {
        let lab = Lab::new();
        lab.nodes[index].comes(label, &[Comes::Exit(1, ""), Comes::Exit(0, "value")]);
        assert_eq!(lab.run(), Some(Status::Failed), "{label}");
        assert_eq!(lab.ran(), done, "{label}");
        assert!(lab.nodes[0].has_bundle() && lab.nodes[1].has_bundle());
        lab.resume_until_ok(label);
    }
}

#[test]
fn a_captured_value_that_is_empty_fails() {
    let lab = Lab::new();
    lab.nodes[0].comes("1", &[Comes::Exit(0, " \n")]);
    assert_eq!(lab.run(), Some(Status::Failed));
    assert_eq!(lab.ran(), ["1", "", ""]);
}

#[test]
fn a_step_that_is_left_out_runs_nowhere_and_the_rest_once() {
    for start in 2..=5 {
        let lab = Lab::new();
        lab.nodes[1].comes("2", &[Comes::Exit(1, ""), Comes::Exit(0, "")]);
        assert_eq!(lab.run(), Some(Status::Failed));
        let lab = Lab {
            start_at: Some(start),
            ..lab
        };
        assert_eq!(lab.resume(), Some(Status::Ok), "from {start}");
        let of = |numbers: &[usize]| {
            let due = numbers.iter().filter(|number| start <= **number);
            due.map(|number| format!(" {number}")).collect::<String>()
        };
        let expected = [
            format!("1{}", of(&[3])),
            format!("2{}", of(&[2, 5])),
            of(&[4]).trim().to_owned(),
        ];
        assert_eq!(lab.ran(), expected, "from {start}");
    }
}

#[test]
fn a_turn_that_has_not_begun_begins_at_its_first_step_wherever_another_goes_on() {
    let lab = Lab::of(PAGES[1]);
    lab.nodes[0].comes("2", &[Comes::Exit(1, ""), Comes::Exit(0, "")]);
    assert_eq!(lab.run(), Some(Status::Failed));
    let lab = Lab {
        start_at: Some(2),
        ..lab
    };
    assert_eq!(lab.resume(), Some(Status::Ok));
    assert_eq!(lab.ran(), ["1 2 2", "1 2", "1 2"]);
}

#[test]
fn what_was_skipped_on_one_machine_another_one_knows_where_the_journal_is_lost() {
    let lab = Lab::new();
    lab.nodes[1].comes("2", &[Comes::Exit(1, "")]);
    assert_eq!(lab.run(), Some(Status::Failed));
    lab.nodes[2].comes("4", &[Comes::Exit(1, ""), Comes::Exit(0, "")]);
    let lab = Lab {
        start_at: Some(3),
        ..lab
    };
    assert_eq!(lab.resume(), Some(Status::Failed));
    let lab = lab.elsewhere();
    lab.resume_until_ok("elsewhere");
    assert_eq!(lab.ran(), ["1 3", "2 5", "4 4"]);
    // Nothing is taken in without an agreement.
    let asked = lab
        .record()
        .events
        .into_iter()
        .filter_map(|event| match event.what {
            What::Asked {
                told: Some(told), ..
            } => Some(told.exact().to_owned()),
            _ => None,
        });
    let by_another = "the record of the run on `a` has results of steps on this node";
    assert!(asked.collect::<String>().contains(by_another));
}

#[test]
fn a_value_that_is_given_reaches_the_machines_that_need_it() {
    let set = [("seen".to_owned(), "given".to_owned())];
    let lab = Lab {
        start_at: Some(2),
        ..Lab::on(LINE, Default::default(), &set)
    };
    assert_eq!(lab.run(), Some(Status::Ok), "{:#?}", lab.record().events);
    assert_eq!(lab.ran(), ["3", "2 5", "4"]);
}

#[test]
fn a_run_stops_behind_each_step_as_asked_and_no_step_behind_it_begins() {
    let order = [(0, "1"), (1, "2"), (0, "3"), (2, "4"), (1, "5")];
    for last in 1..5 {
        let mut lab = Lab::new();
        lab.stop_after = Some(last);
        // Asked once more, it stops there again.
        assert_eq!(lab.run(), Some(Status::Stopped), "after {last}");
        assert_eq!(lab.resume(), Some(Status::Stopped), "after {last}");
        let mut ran: [String; 3] = Default::default();
        for (index, label) in &order[..last] {
            let ran = &mut ran[*index];
            *ran = format!("{ran} {label}").trim().to_owned();
        }
        assert_eq!(lab.ran(), ran, "after {last}");
        lab.stop_after = None;
        lab.resume_until_ok("to its end");
        lab.is_done_once(&format!("after {last}"));
    }
}

/// The number of the first call with this name to a node.
fn call_of(page: Page, index: usize, name: &str) -> usize {
    let lab = Lab::of(page);
    lab.run().unwrap();
    let calls = lab.nodes[index].calls();
    calls.iter().position(|call| *call == name).unwrap() + 1
}

#[test]
fn what_a_step_captures_that_ran_on_by_itself_reaches_the_other_machines() {
    let call = call_of(LINE, 0, "obb_step");
    let lab = Lab::new();
    lab.nodes[0].comes("1", &[Comes::EndsLater(0, "value")]);
    lab.nodes[0].fails(call, Fault::KillAfter);
    assert_eq!(lab.run(), None);
    assert_eq!(lab.resume(), Some(Status::Ok), "{:#?}", lab.record().events);
    lab.is_done_once("attended to");
}

#[test]
fn what_is_asked_once_is_asked_behind_a_step_that_ran_on_by_itself() {
    let page = Page {
        words: &["via=a", "members=b"],
        runs: ["2", "1", ""],
        ..PAGES[2]
    };
    let call = call_of(page, 1, "obb_step");
    let lab = Lab::of(page);
    lab.nodes[1].comes("1", &[Comes::EndsLater(0, "")]);
    lab.nodes[1].fails(call, Fault::KillAfter);
    assert_eq!(lab.run(), None);
    assert_eq!(lab.resume(), Some(Status::Ok), "{:#?}", lab.record().events);
    lab.is_done_once("attended to");
    let joint = lab.record().events.into_iter().filter(
        |event| matches!(&event.what, What::CheckHeld { check, .. } if check == "p::joint"),
    );
    assert_eq!(joint.count(), 1);
}
