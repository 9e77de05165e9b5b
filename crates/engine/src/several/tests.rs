//! Whole runs over three machines that need no process: see `shell::fake`. What the journal says,
//! what the bundles say and what the operator wants, in every combination that one fault makes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::event::{RunStarted, Status, What};
use crate::journal::{self, Journal, Record};
use crate::plan::{Plan, Request};
use crate::session::OpenOptions;
use crate::shell::fake::{Comes, FakeNode, Fault, HERE};
use crate::{
    OnLag, Operator, Options, Owner, Passwords, Recorder, Secrets, Told, Turn, plan_record, run,
};
use crate::{manual, nodes, plan, vocabulary};

const RUN: &str = "r1";
const NODES: [&str; 3] = ["a", "b", "c"];
const FAULTS: [Fault; 4] = [
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::KillBefore,
    Fault::KillAfter,
];
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
five
```
"#;

struct Lab {
    root: tempfile::TempDir,
    plan: Arc<Plan>,
    nodes: [FakeNode; 3],
    here: FakeNode,
    start_at: Option<usize>,
    on_lag: OnLag,
}

impl Lab {
    fn new() -> Lab {
        let memory = std::path::Path::new("/dev/shm");
        let root = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let root = root.unwrap();
        std::fs::create_dir(root.path().join("manual")).unwrap();
        std::fs::write(root.path().join("manual/page.md"), PAGE).unwrap();
        let text = "opsbook: 1\nnodes:\n  a: {transport: local}\n  b: {transport: local}\n  c: {transport: local}\n";
        std::fs::write(root.path().join("nodes.yaml"), text).unwrap();
        let files = crate::files::Files::of(root.path());
        let (settings, _) = manual::load_settings(&files);
        let (manual, problems) = manual::load(&files);
        assert!(problems.is_empty(), "{problems:?}");
        let (nodes, problems) = nodes::load(&files, &settings);
        assert!(problems.is_empty(), "{problems:?}");
        let words = ["old=a", "new=b", "others=c"].map(str::to_owned);
        let request = Request {
            procedure: "p",
            nodes: &words,
            set: &[],
        };
        let vocabulary = vocabulary::Vocabulary::builtin();
        let plan = plan::plan(&manual, &nodes, vocabulary, &request).unwrap();
        let lab = Lab {
            root,
            plan: Arc::new(plan),
            nodes: Default::default(),
            here: FakeNode::default(),
            start_at: None,
            on_lag: OnLag::Refuse,
        };
        lab.nodes[0].comes("1", &[Comes::Exit(0, "value")]);
        lab
    }

    fn options(&self) -> Options {
        let (operator, _) = Operator::new();
        Options {
            root: self.root.path().to_owned(),
            menu: false,
            yes: true,
            start_at: self.start_at,
            on_lag: self.on_lag,
            pinned: false,
            anew: BTreeMap::new(),
            told: Told::default(),
            without: Vec::new(),
            stop_after: None,
            parallel: 10,
            turn: Turn::untold(),
            batches: Vec::new(),
            wait: Duration::ZERO,
            max_fail: 0,
            reconnect: Duration::from_millis(500),
            open: OpenOptions::default(),
            owner: Owner {
                run: RUN.into(),
                operator: "ana".into(),
                controller: "desk".into(),
                procedure: "p".into(),
                ..Owner::default()
            },
            passwords: Passwords::new(operator.clone(), None),
            secrets: Secrets::new(self.root.path().to_owned(), operator.clone()),
            operator,
            interrupts: watch::channel(0).1,
        }
    }

    /// A journal with its first line.
    fn journal(&self) -> Journal {
        let mut journal = Journal::create(self.root.path(), RUN).unwrap();
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

    /// How it ended; nothing where its controller was killed on the way.
    fn run(&self) -> Option<Status> {
        self.go(self.journal(), None)
    }

    fn resume(&self) -> Option<Status> {
        // No controller but this one is there.
        for node in self.nodes.iter().chain([&self.here]) {
            node.cut();
        }
        let (journal, record) = Journal::reopen(self.root.path(), RUN).unwrap();
        self.go(journal, Some(record))
    }

    /// The journal is lost, and made anew with its first line alone.
    fn loses_its_journal(&self) {
        let path = journal::folder(self.root.path()).join(format!("{RUN}.jsonl"));
        std::fs::remove_file(path).unwrap();
        drop(self.journal());
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
        let record = journal::read(self.root.path(), RUN).unwrap();
        panic!("{at}: it does not come to its end: {:#?}", record.events);
    }

    /// What was run on each machine, in its order.
    fn ran(&self) -> [String; 3] {
        [0, 1, 2].map(|index| self.nodes[index].ran())
    }

    #[track_caller]
    fn is_done_once(&self, at: &str) {
        assert_eq!(self.ran(), ["1 3", "2 5", "4"], "{at}");
        let held = self.nodes.iter().any(FakeNode::has_bundle);
        assert!(!held, "{at}: a bundle is left");
    }
}

/// The calls that a run makes to each machine.
fn calls() -> [usize; 3] {
    let lab = Lab::new();
    assert_eq!(lab.run(), Some(Status::Ok));
    lab.is_done_once("without a fault");
    [0, 1, 2].map(|index| lab.nodes[index].calls().len())
}

/// Each fault at each call of each machine.
fn each_fault(mut check: impl FnMut(&Lab, bool, &str)) {
    for (index, calls) in calls().into_iter().enumerate() {
        for fault in FAULTS {
            for call in 1..=calls {
                let lab = Lab::new();
                lab.nodes[index].fails(call, fault);
                let ok = lab.run() == Some(Status::Ok);
                let at = format!("{fault:?} at call {call} of {}", NODES[index]);
                check(&lab, ok, &at);
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
            lab.loses_its_journal();
            let lab = Lab {
                root: tempfile::tempdir_in(lab.root.path()).unwrap(),
                plan: Arc::clone(&lab.plan),
                nodes: lab.nodes.clone(),
                here: lab.here.clone(),
                start_at: None,
                on_lag: OnLag::CatchUp,
            };
            drop(lab.journal());
            lab.resume_until_ok(at);
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
    lab.loses_its_journal();
    let lab = Lab {
        on_lag: OnLag::CatchUp,
        ..lab
    };
    assert_eq!(lab.resume(), Some(Status::Error));
    let record = journal::read(lab.root.path(), RUN).unwrap();
    let said = format!("{:?}", record.events);
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
        let value = if label == "1" { "" } else { "value" };
        lab.nodes[0].comes("1", &[Comes::Exit(0, value)]);
        if label != "1" {
            lab.nodes[index].comes(label, &[Comes::Exit(1, ""), Comes::Exit(0, "")]);
        }
        assert_eq!(lab.run(), Some(Status::Failed), "{label}");
        assert_eq!(lab.ran(), done, "{label}");
        assert!(lab.nodes[0].has_bundle() && lab.nodes[1].has_bundle());
        if label != "1" {
            lab.resume_until_ok(label);
        }
    }
}

#[test]
fn a_step_that_is_left_out_runs_nowhere_and_the_rest_once() {
    for start in 2..=5 {
        let lab = Lab::new();
        lab.nodes[1].comes("2", &[Comes::Exit(1, "")]);
        assert_eq!(lab.run(), Some(Status::Failed));
        let lab = Lab {
            start_at: Some(start),
            ..lab
        };
        if start == 2 {
            lab.nodes[1].comes("2", &[Comes::Exit(0, "")]);
        }
        assert_eq!(lab.resume(), Some(Status::Ok), "from {start}");
        let due = |number: usize| start <= number;
        let of = |numbers: &[usize]| {
            let due = numbers.iter().filter(|number| due(**number));
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
