//! Faults of the journal's file: emptied, swapped, edited, and what a checkout may bring in its
//! place. F39, F35.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::Project;
use crate::sshd::or_skip;
use crate::tier;

const PAGE: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho 1 >> \"$HOME/ran\"\n```\n\n```sh step\necho 2 >> \"$HOME/ran\"; test -e \"$HOME/go\"\n```\n\n```sh step\necho 3 >> \"$HOME/ran\"\n```\n";

/// A run that is halted at its second step and would go well now, its name and its journal.
fn halted() -> (Project, String, PathBuf) {
    let project = Project::new(PAGE);
    project.opsbook(&["run", "p", "here"]).ends(1);
    fs::write(project.home("go"), "").unwrap();
    let run = project.record().events[0].run.clone();
    let journal = project.path(&format!(".opsbook/runs/{run}.jsonl"));
    (project, run, journal)
}

#[test]
fn f40_an_emptied_journal_is_no_run_that_touched_nothing() {
    let (project, run, journal) = halted();
    // Without a whole line it says as much as without any.
    for text in ["", "{\"v\":2,\"seq\":1,\"at"] {
        fs::write(&journal, text).unwrap();
        for line in [&["resume", &run][..], &["handoff", &run]] {
            let said = project.opsbook(line).ends(2);
            said.has("or somebody emptied the journal")
                .has(&format!("`opsbook resume {run} --catch-up`"))
                .lacks("nothing was touched");
        }
        project
            .opsbook(&["log", &run])
            .ends(0)
            .has("no complete line");
    }
    assert_eq!(project.text("ran"), "1\n2\n");
    let catch_up = ["resume", &run, "--catch-up", "--yes"];
    project.opsbook(&catch_up).ends(1);
    assert_eq!(
        project.text("ran"),
        "1\n2\n",
        "as its controller reported it to the node"
    );
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "1\n2\n2\n3\n");
}

/// Of each that is no journal of this run: the line, why, and the way out.
#[test]
fn f39_a_journal_that_was_swapped_or_edited_is_named_with_a_way_out() {
    let (project, run, journal) = halted();
    let own = fs::read(&journal).unwrap();
    let lines: Vec<&[u8]> = own.split_inclusive(|byte| *byte == b'\n').collect();
    let last = lines.len();
    let (_other_project, _, other) = halted();
    let other = fs::read(other).unwrap();
    let nul = [&own[..], &[0; 4096], b"\n"].concat();
    let swapped = [&lines[..last - 2], &[lines[last - 1], lines[last - 2]]].concat();
    let crlf = String::from_utf8(own.clone())
        .unwrap()
        .replace('\n', "\r\n");
    let table: [(&str, Vec<u8>, String); 7] = [
        (
            "another run's",
            other.clone(),
            ":1: found event 1 of run".into(),
        ),
        (
            "another one behind it",
            [&own[..], &other].concat(),
            format!(":{}: found event 1 of run", last + 1),
        ),
        (
            "two lines exchanged",
            swapped.concat(),
            format!(":{}: found event {last} of run", last - 1),
        ),
        (
            "zeros as a crash leaves them, and more behind them",
            nul,
            format!(":{}: not an event: expected value, at byte 1", last + 1),
        ),
        (
            "an empty line",
            [&own[..], b"\n"].concat(),
            format!(":{}: not an event: an empty line", last + 1),
        ),
        (
            "other line ends",
            crlf.into(),
            ":1: this line was changed".into(),
        ),
        (
            "a mark of an editor",
            [b"\xef\xbb\xbf", &own[..]].concat(),
            ":1: not an event".into(),
        ),
    ];
    for (what, text, says) in table {
        fs::write(&journal, &text).unwrap();
        for more in [&[][..], &["--catch-up", "--yes"]] {
            let said = project.opsbook(&[&["resume", &run], more].concat()).ends(3);
            said.has(&says).has("hint: move this file away");
        }
        let said = project.opsbook(&["history"]).ends(0);
        said.has(&says)
            .has("no other run in this manual's journals");
        assert_eq!(fs::read(&journal).unwrap(), text, "{what}");
    }
    assert_eq!(project.text("ran"), "1\n2\n");
    // The way out is one.
    fs::remove_file(&journal).unwrap();
    project
        .opsbook(&["resume", &run, "--catch-up", "--yes"])
        .ends(1);
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "1\n2\n2\n3\n");
}

/// Puts something else in the place of a file.
type Damage<'a> = &'a dyn Fn(&Path);

/// A checkout may bring links and pipes: nobody reads, waits for, or cuts what they lead to.
#[test]
fn f35_what_is_no_regular_file_is_no_journal() {
    let project = Project::new(PAGE);
    let runs = project.path(".opsbook/runs");
    let results = project.path(".opsbook/results");
    let precious = project.path("precious");
    fs::write(&precious, "no line end").unwrap();
    let kinds: [(&str, Damage); 5] = [
        ("endless", &|path| symlink("/dev/zero", path).unwrap()),
        ("elsewhere", &|path| symlink(&precious, path).unwrap()),
        ("dangling", &|path| symlink("/nonexistent", path).unwrap()),
        ("folder", &|path| fs::create_dir(path).unwrap()),
        ("pipe", &|path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
    ];
    for (kind, make) in kinds {
        for folder in [&runs, &results] {
            fs::create_dir_all(folder).unwrap();
            make(&folder.join("20261121-091403-aaaa.jsonl"));
        }
        for (status, line) in [
            (0, &["history"][..]),
            (0, &["build"]),
            (3, &["log"]),
            (3, &["resume"]),
            (3, &["resume", "20261121-091403-aaaa"]),
        ] {
            let said = project.opsbook(line).ends(status);
            assert!(said.memory < 300 << 10, "{kind}: {} KiB", said.memory);
            if line != ["build"] {
                said.has("is not a regular file").lacks("no line end");
            }
        }
        for folder in [runs.as_path(), &results] {
            fs::remove_dir_all(folder).unwrap();
        }
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "no line end");
}

/// Runs are found by the times in their names.
#[test]
fn f39_which_run_is_the_latest_is_not_guessed_where_the_clock_was_put_back() {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    if or_skip("F39", tier::program(library)).is_none() {
        return;
    }
    let project = Project::new(PAGE);
    project
        .nodes("  a: {transport: local, bundle_dir: a}\n  b: {transport: local, bundle_dir: b}\n");
    let ahead = project.opsbook(&["run", "p", "a"]);
    let ahead = ahead.env("LD_PRELOAD", library).env("FAKETIME", "+1h");
    ahead.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").ends(1);
    project.opsbook(&["run", "p", "b"]).ends(1);
    fs::write(project.home("go"), "").unwrap();
    for line in ["resume", "handoff"] {
        let said = project.opsbook(&[line]).ends(2);
        said.has("in the future").has("name the run");
    }
    assert_eq!(project.text("ran"), "1\n2\n1\n2\n");
    project.opsbook(&["resume", "b"]).ends(0);
    assert_eq!(project.text("ran"), "1\n2\n1\n2\n2\n3\n");
}
