//! F1 at its hardest: the controller dies at every single write of the journal. At any moment,
//! `opsbook resume` completes the run, and no step runs twice or not at all.
//!
//! The controller is this test binary, which runs a procedure through the library with a watcher
//! that aborts the process after the k-th event is on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opsbook::engine::{
    self, OnLag, Operator, Options, Owner, Passwords, Recorder, Secrets, Watcher,
};
use opsbook::event::{RunStarted, What};
use opsbook::journal::{self, Journal, State};
use opsbook::plan::{self, Request};
use opsbook::session::OpenOptions;
use opsbook::vocabulary::Vocabulary;

const RUN: &str = "20260101-000000-0001";

const MANUAL: &str = r#"# Crash

```yaml procedure
id: crash
```

```sh step id=local on=local capture=made_here
echo local >> "$HOME/ran"
echo 42
```

```yaml deliver
- {file: nodes.yaml, as: sub/nodes.yaml}
```

```sh step id=one
kept=7
cat "$bundle/sub/nodes.yaml" > /dev/null
echo one >> "$HOME/ran"
```

```sh check id=first
grep -q one "$HOME/ran"
```

```console step id=two
$ echo "two $made_here" >> "$HOME/ran"
$ echo "$kept"
7
```

```sh step id=three
sleep 0.2
echo "three $kept" >> "$HOME/ran"
```
"#;

/// The controller of the test below; not a test of its own.
#[test]
fn controller_that_dies() {
    let Ok(at) = std::env::var("OPSBOOK_TEST_DIES_AT") else {
        return;
    };
    let at: usize = at.parse().unwrap();
    let root = PathBuf::from(std::env::var("OPSBOOK_TEST_ROOT").unwrap());
    let (manual, problems) = opsbook::manual::load(&opsbook::files::Files::of(&root));
    assert!(problems.is_empty(), "{problems:?}");
    let (nodes, _) = opsbook::nodes::load(&opsbook::files::Files::of(&root), &manual.settings);
    let request = Request {
        procedure: "crash",
        nodes: &["here".to_owned()],
        set: &[],
    };
    let plan = plan::plan(&manual, &nodes, Vocabulary::builtin(), &request).unwrap();
    let seen = AtomicUsize::new(0);
    let mut watcher: Watcher = Box::new(move |_| {
        if seen.fetch_add(1, Ordering::SeqCst) + 1 >= at {
            std::process::abort();
        }
    });
    let mut journal = Journal::create(&State::beside(&root), RUN).unwrap();
    if at == 0 {
        std::process::abort();
    }
    let plans = plan
        .nodes
        .iter()
        .map(|node| (node.node.name.clone(), engine::plan_record(&root, node)));
    let started = RunStarted {
        procedure: plan.procedure.clone(),
        title: plan.title.clone(),
        place: plan.span.place(),
        nodes: vec!["here".to_owned()],
        arguments: BTreeMap::new(),
        operator: "test".into(),
        controller: "test".into(),
        version: "0".to_owned(),
        revision: None,
        clean: None,
        plans: plans.collect(),
        ..RunStarted::default()
    };
    watcher(
        &journal
            .record(None, None, What::RunStarted(Box::new(started)))
            .unwrap(),
    );
    let (operator, _) = Operator::new();
    let options = Options {
        root: root.clone(),
        state: State::beside(&root),
        menu: false,
        yes: true,
        start_at: None,
        anew: std::collections::BTreeMap::new(),
        told: opsbook::engine::DoneByHand::default(),
        on_lag: OnLag::Refuse,
        pinned: false,
        without: Vec::new(),
        stop_after: None,
        parallel: 1,
        turn: opsbook::engine::Turn::untold(),
        batches: Vec::new(),
        wait: Duration::ZERO,
        max_fail: 0,
        reconnect: Duration::from_secs(10),
        open: OpenOptions::default(),
        owner: Owner {
            run: RUN.into(),
            operator: "test".into(),
            controller: "test".into(),
            procedure: "crash".into(),
            since: "2026-01-01T00:00:00Z".into(),
            revision: None,
            ..Owner::default()
        },
        passwords: Passwords::new(operator.clone(), None),
        secrets: Secrets::new(root, operator.clone()),
        operator,
        interrupts: tokio::sync::watch::channel(0).1,
    };
    let recorder = Recorder::new(journal, vec![watcher]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(engine::run(
            Arc::new(plan),
            Arc::new(options),
            recorder,
            None,
        ))
        .unwrap();
}

#[test]
fn killed_at_every_write_of_the_journal_nothing_is_lost_and_nothing_runs_twice() {
    let writes = {
        let (_folder, root) = project();
        die_at(&root, usize::MAX);
        assert_eq!(ran(&root), expected());
        journal::read(&State::beside(&root), RUN)
            .unwrap()
            .events
            .len()
    };
    assert!(writes > 20, "only {writes} writes");
    let next = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at > writes {
                        return;
                    }
                    survive(at);
                }
            });
        }
    });
}

/// One crash and the resume after it.
fn survive(at: usize) {
    let (_folder, root) = project();
    die_at(&root, at);
    let output = Command::new(env!("CARGO_BIN_EXE_opsbook"))
        .arg("-C")
        .arg(&root)
        .args(["resume", RUN, "--yes"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", root.join("home"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let place = journal::read(&State::beside(&root), RUN).unwrap();
    let place = place
        .events
        .get(at - 1)
        .map(|event| format!("{:?}", event.what));
    assert_eq!(
        output.status.code(),
        Some(0),
        "died at write {at}, {place:?}\n{said}"
    );
    assert_eq!(
        ran(&root),
        expected(),
        "died at write {at}, {place:?}\n{said}"
    );
    let record = journal::read(&State::beside(&root), RUN).unwrap();
    let numbers: Vec<u64> = record.events.iter().map(|event| event.seq).collect();
    assert_eq!(
        numbers,
        (1..=record.events.len() as u64).collect::<Vec<_>>(),
        "died at write {at}"
    );
    for left in [
        root.join("home/.opsbook/bundle"),
        root.join(".opsbook/bundles/here"),
    ] {
        assert!(
            !left.exists(),
            "died at write {at}, {place:?}: {} is left\n{said}",
            left.display()
        );
    }
}

fn die_at(root: &Path, at: usize) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::controller_that_dies",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("OPSBOOK_TEST_DIES_AT", at.to_string())
        .env("OPSBOOK_TEST_ROOT", root)
        .env("HOME", root.join("home"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(
        status.success(),
        at == usize::MAX,
        "the controller was to die at write {at}"
    );
}

fn project() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("manual")).unwrap();
    std::fs::create_dir_all(root.join("home")).unwrap();
    std::fs::write(
        root.join("book.toml"),
        "[book]\ntitle = \"Crash\"\nsrc = \"manual\"\n",
    )
    .unwrap();
    std::fs::write(
        root.join("nodes.yaml"),
        "opsbook: 1\nnodes:\n  here: {transport: local}\n",
    )
    .unwrap();
    std::fs::write(root.join("manual/SUMMARY.md"), "- [Crash](crash.md)\n").unwrap();
    std::fs::write(root.join("manual/crash.md"), MANUAL).unwrap();
    (folder, root)
}

fn ran(root: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(root.join("home/ran")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn expected() -> Vec<String> {
    ["local", "one", "two 42", "three 7"]
        .map(str::to_owned)
        .to_vec()
}
