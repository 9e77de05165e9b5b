//! The controller of a run over six nodes dies at every single write of its journal, and the run is
//! continued: in the same place, and from a folder without a journal. No step runs twice, none is
//! left out, and nothing is locked afterwards.
//!
//! The controller is this test binary, which aborts once the line is on disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use opsbook::event::Event;
use opsbook::journal::{self, State};
use opsbook::project::{Allotted, Start};

use super::cheap::{Cheap, PAGE, WORDS, ended, opsbook, run_here};

const RUN: &str = "20260101-000000-0002";

/// The controller of the test below; not a test of its own.
#[test]
fn controller_that_dies() {
    let Ok(at) = std::env::var("OPSBOOK_TEST_DIES_AT") else {
        return;
    };
    let at: usize = at.parse().unwrap();
    let root = PathBuf::from(std::env::var("OPSBOOK_TEST_ROOT").unwrap());
    let seen = AtomicUsize::new(0);
    let watcher = Box::new(move |_: &Event| {
        if seen.fetch_add(1, Ordering::SeqCst) + 1 >= at {
            std::process::abort();
        }
    });
    let epoch = std::env::var("OPSBOOK_TEST_EPOCH").ok();
    let start = Start::New(Allotted {
        run: RUN.to_owned(),
        epoch: epoch.map(|epoch| epoch.parse().unwrap()),
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run_here(&root, &WORDS, start, watcher));
}

fn die_at(root: &Path, at: usize) {
    let mut controller = Command::new(std::env::current_exe().unwrap());
    die(&mut controller, root, at);
}

fn die(controller: &mut Command, root: &Path, at: usize) {
    let status = controller
        .args([
            "--exact",
            "several::died::controller_that_dies",
            "--nocapture",
        ])
        .env("OPSBOOK_TEST_DIES_AT", at.to_string())
        .env("OPSBOOK_TEST_ROOT", root)
        .env("HOME", root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let lives = at == usize::MAX;
    assert_eq!(status.success(), lives, "it was to die at write {at}");
}

#[test]
fn killed_at_every_write_of_the_journal_a_run_over_six_machines_ends_right() {
    let writes = {
        let cheap = Cheap::new();
        let folder = cheap.folder(PAGE);
        die_at(folder.path(), usize::MAX);
        assert!(cheap.all_is_done(), "{:?}", cheap.ran());
        journal::read(&State::beside(folder.path()), RUN)
            .unwrap()
            .events
            .len()
    };
    assert!(writes > 60, "only {writes} writes");
    // Each write is tested, alternating between the two ways; with more time, with both.
    let both = std::env::var_os("OPSBOOK_SOAK_MINUTES").is_some();
    let next = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at > writes {
                        return;
                    }
                    if both || at.is_multiple_of(2) {
                        survive(at, Survivor::Here);
                    }
                    if both || !at.is_multiple_of(2) {
                        survive(at, Survivor::Elsewhere);
                    }
                }
            });
        }
    });
}

/// Who continues the run.
#[derive(Clone, Copy, Debug)]
enum Survivor {
    Here,
    Elsewhere,
}

fn survive(at: usize, who: Survivor) {
    let cheap = Cheap::new();
    let folder = cheap.folder(PAGE);
    die_at(folder.path(), at);
    let other = cheap.folder(PAGE);
    let last = journal::read(&State::beside(folder.path()), RUN)
        .unwrap()
        .events
        .pop();
    let begun = !cheap.held().is_empty() || !cheap.ran().is_empty();
    let mut call = match who {
        Survivor::Here => opsbook(folder.path(), &["resume", RUN, "--yes"]),
        Survivor::Elsewhere if begun => {
            opsbook(other.path(), &["resume", RUN, "--catch-up", "--yes"])
        }
        // No node has anything that could be continued.
        Survivor::Elsewhere => {
            let run = [&["run", "p"], &WORDS[..], &["--yes"]].concat();
            opsbook(other.path(), &run)
        }
    };
    let (mut status, mut said) = ended(call.output().unwrap());
    if status == Some(5) && cheap.ran().is_empty() {
        // It died while opening the bundles: a person must confirm that the other nodes have
        // nothing, or continue where the journal is.
        assert!(said.contains("no record on"), "{at}: {said}");
        let here = opsbook(folder.path(), &["resume", RUN, "--yes"]).output();
        (status, said) = ended(here.unwrap());
    }
    let place = format!("{who:?}, died at write {at}: {last:?}\n{said}");
    assert_eq!(status, Some(0), "{place}");
    assert!(cheap.all_is_done(), "{:?}: {place}", cheap.ran());
    assert_eq!(cheap.held(), Vec::<PathBuf>::new(), "{place}");
}

/// A supervisor starts its child again under the same number: no line may have another one, because
/// the gateway refuses it.
#[test]
fn a_child_that_is_started_again_keeps_the_number_that_it_was_given() {
    for at in [14, 27, 45] {
        let cheap = Cheap::new();
        let folder = cheap.folder(PAGE);
        let mut first = Command::new(std::env::current_exe().unwrap());
        die(first.env("OPSBOOK_TEST_EPOCH", "3"), folder.path(), at);
        let supervised = ["--yes", "--run", RUN, "--epoch", "3", "--adopt"];
        let run = [&["run", "p"], &WORDS[..], &supervised].concat();
        let (status, said) = ended(opsbook(folder.path(), &run).output().unwrap());
        assert_eq!(status, Some(0), "{at}: {said}");
        assert!(cheap.all_is_done(), "{at}: {:?}: {said}", cheap.ran());
        let record = journal::read(&State::beside(folder.path()), RUN).unwrap();
        let given = record.events.iter().all(|event| event.epoch == Some(3));
        assert!(given, "{at}: {:?}", record.events);
    }
}
