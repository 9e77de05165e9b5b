//! ! Fixtures of the tests: a store on each database, runs and lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use opsbook_gateway::blobs::Blobs;
use opsbook_gateway::store::Store;
use opsbook_gateway::store::people::Runner;
use opsbook_gateway::store::runs::{NewPart, NewRun};
use opsbook_gateway::token::sha256;
use opsbook_wire as wire;
use wire::{Confirm, Hello, LinesOfPart, Origin, PartKey, Source};

/// A store and its folder.
pub struct Lab {
    pub store: Store,
    pub blobs: Blobs,
    _folder: Option<tempfile::TempDir>,
}

impl Lab {
    /// Wraps an existing store.
    pub fn of(store: Store, blobs: Blobs) -> Lab {
        Lab {
            store,
            blobs,
            _folder: None,
        }
    }
}

/// Creates a key for each person, in a file of this name, and an allowed-signers file.
pub fn signers(folder: &std::path::Path, people: &[(&str, &str)]) -> std::path::PathBuf {
    let mut allowed = String::new();
    for (person, key) in people {
        let path = folder.join(key);
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        allowed += &format!("{person} {public}");
    }
    let signers = folder.join("signers");
    std::fs::write(&signers, allowed).unwrap();
    signers
}

/// Runs the same test on SQLite and on PostgreSQL.
pub async fn on_both<F: Future<Output = ()>>(name: &str, test: impl Fn(Arc<Lab>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_file(&folder.path().join("gateway?%.db"))
        .await
        .unwrap();
    let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
    let lab = Lab {
        store,
        blobs,
        _folder: Some(folder),
    };
    test(Arc::new(lab)).await;
    let Some(url) = crate::postgres::database(name) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url).await.unwrap();
    let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
    let lab = Lab {
        store,
        blobs,
        _folder: Some(folder),
    };
    test(Arc::new(lab)).await;
}

/// Returns a run of this name over these nodes, each with its batch.
pub fn new_run(run: &str, nodes: &[(&str, usize)]) -> NewRun {
    let part = |(node, batch): &(&str, usize)| NewPart {
        node: (*node).to_owned(),
        segment: "here".into(),
        batch: *batch,
        machines: vec![(*node).to_owned()],
        words: vec![(*node).to_owned()],
        plan_sha256: "p".into(),
        plan: "{}".into(),
        consent: None,
    };
    NewRun {
        run: run.into(),
        manual: "m".into(),
        revision: Some("abc".into()),
        source: Source::Folder { path: "/m".into() },
        procedure: "web.deploy".into(),
        title: "Deploy".into(),
        page_sha256: "s".into(),
        arguments: BTreeMap::from([("version".into(), "2".into())]),
        asked_by: "ana".into(),
        reason: None,
        ticket: None,
        origin: Origin::Gateway,
        ask_key: None,
        ask_sha256: "a".into(),
        confirm: Confirm::Ask,
        max_fail: 0,
        start_at: None,
        stop_after: None,
        parts: nodes.iter().map(part).collect(),
    }
}

/// A runner of segment `here`.
pub async fn runner(lab: &Lab, name: &str) -> Runner {
    lab.store.enroll("here", name).await.unwrap().0
}

/// The request of a runner with these parts.
pub fn hello(boot: &str, parts: &[&PartKey]) -> Hello {
    Hello {
        boot: boot.into(),
        version: "0.1.0".into(),
        room: 8,
        parts: parts.iter().map(|key| (*key).clone()).collect(),
        ended: Vec::new(),
        rounds: Some(Vec::new()),
    }
}

/// The lines of a journal, each chained to the one before: their events, as JSON without its frame.
pub struct Journal {
    run: String,
    epoch: u64,
    pub lines: Vec<String>,
}

impl Journal {
    pub fn new(run: &str) -> Journal {
        Journal {
            run: run.into(),
            epoch: 1,
            lines: Vec::new(),
        }
    }

    /// Starts the next controller's epoch.
    pub fn next_epoch(&mut self) {
        self.epoch += 1;
    }

    pub fn line(&mut self, step: usize, event: &str) -> &mut Journal {
        let seq = self.lines.len() + 1;
        let prev = self.lines.last().map_or_else(|| sha256("root"), sha256);
        let (run, epoch) = (&self.run, self.epoch);
        self.lines.push(format!(
            r#"{{"v":2,"seq":{seq},"at":"2026-11-29T18:00:00Z","run":"{run}","node":"web1","step":{step},"epoch":{epoch},{event},"prev":"{prev}"}}"#
        ));
        self
    }

    pub fn output(&mut self, step: usize, text: &str) -> &mut Journal {
        self.line(
            step,
            &format!(r#""event":"output","stream":"out","text":"{text}""#),
        )
    }

    /// Returns some of the lines as a request.
    pub fn part(&self, key: &PartKey, range: std::ops::Range<usize>) -> LinesOfPart {
        LinesOfPart {
            run: key.run.clone(),
            node: key.node.clone(),
            epoch: key.epoch,
            lines: self.lines[range].to_vec(),
        }
    }
}
