//! Set-up for tests of whole runs: a project in memory, its plan, and options without questions.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use crate::files::Files;
use crate::plan::{Plan, Request};
use crate::session::OpenOptions;
use crate::shell::fake::Fault;
use crate::{DoneByHand, OnLag, Operator, Options, Owner, Passwords, Secrets, Turn};
use crate::{journal, manual, nodes, plan, vocabulary};

/// The name of the run.
pub const RUN: &str = "r1";

/// Faults of a controller or its connection at a call.
pub const FAULTS: [Fault; 4] = [
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::KillBefore,
    Fault::KillAfter,
];

/// A folder for a project, in memory if possible.
pub fn room() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let room = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    room.unwrap()
}

/// Writes a page with the procedure `p` and local nodes with these names, and plans it.
pub fn plan(
    root: &Path,
    page: &str,
    names: &[&str],
    set: &[(String, String)],
    words: &[String],
) -> Plan {
    std::fs::create_dir(root.join("manual")).unwrap();
    std::fs::write(root.join("manual/page.md"), page).unwrap();
    let defined = names
        .iter()
        .map(|name| format!("  {name}: {{transport: local}}\n"));
    let text = format!("opsbook: 1\nnodes:\n{}", defined.collect::<String>());
    std::fs::write(root.join("nodes.yaml"), text).unwrap();
    let files = Files::of(root);
    let (settings, _) = manual::load_settings(&files);
    let (manual, problems) = manual::load(&files);
    assert!(problems.is_empty(), "{problems:?}");
    let (nodes, problems) = nodes::load(&files, &settings);
    assert!(problems.is_empty(), "{problems:?}");
    let request = Request {
        procedure: "p",
        nodes: words,
        set,
    };
    plan::plan(&manual, &nodes, vocabulary::Vocabulary::builtin(), &request).unwrap()
}

/// Default options of a run.
pub fn options(root: &Path, operator: Operator) -> Options {
    Options {
        root: root.to_owned(),
        state: journal::State::beside(root),
        menu: false,
        yes: false,
        start_at: None,
        on_lag: OnLag::Refuse,
        pinned: false,
        anew: BTreeMap::new(),
        told: DoneByHand::default(),
        without: Vec::new(),
        stop_after: None,
        parallel: 1,
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
        secrets: Secrets::new(root.to_owned(), operator.clone()),
        operator,
        interrupts: watch::channel(0).1,
    }
}
