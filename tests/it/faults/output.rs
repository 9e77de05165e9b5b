//! Faults of what a step prints, reads and leaves behind: F6, F17, F18, F29.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use opsbook::event::{Status, What};

use crate::lab::until;
use crate::project::{Project, marker, running};
use crate::sshd::{self, or_skip};
use crate::tier;

fn procedure(attributes: &str, script: &str) -> String {
    format!(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one {attributes}\n{script}\n```\n\n```sh step id=two\n: > \"$HOME/two\"\n```\n"
    )
}

#[test]
fn f6_a_step_that_ignores_term_is_timed_out_when_it_is_dead() {
    let mark = marker();
    let project = Project::new(&procedure(
        "timeout=1s",
        &format!(
            "trap '' TERM\n(trap '' TERM; sleep {mark}) &\nwhile :; do sleep {mark} || :; done"
        ),
    ));
    project
        .opsbook(&["run", "p", "here"])
        .ends(124)
        .has("TIMED OUT");
    assert_eq!(running(&mark), Vec::<u32>::new());
    assert_eq!(project.ended(1).status, Status::TimedOut);
    assert!(!project.home("two").exists());
}

/// A folder of all programs of this machine but one.
fn programs_but(project: &Project, other: &str) -> PathBuf {
    let bin = project.path("bin");
    fs::create_dir(&bin).unwrap();
    for program in fs::read_dir("/usr/bin").unwrap().flatten() {
        if program.file_name() != other {
            symlink(program.path(), bin.join(program.file_name())).unwrap();
        }
    }
    bin
}

#[test]
fn f29_what_is_left_behind_is_named_whatever_grep_a_node_has() {
    let Some(()) = or_skip("busybox", tier::program("/usr/bin/busybox")) else {
        return;
    };
    let refuse = "case $1 in -*z*) exit 1 ;; esac\n";
    for (without_z, attributes, status) in [("", "", 0), (refuse, "", 0), (refuse, "timeout=1s", 3)]
    {
        let mark = marker();
        let wait = if status == 0 { "" } else { "sleep 60\n" };
        let project = Project::new(&procedure(
            attributes,
            &format!("setsid sh -c 'exec sleep {mark}' </dev/null >/dev/null 2>&1 &\n{wait}"),
        ));
        let bin = programs_but(&project, "grep");
        let text = format!("#!/bin/sh\n{without_z}exec /usr/bin/busybox grep \"$@\"\n");
        fs::write(bin.join("grep"), text).unwrap();
        fs::set_permissions(bin.join("grep"), fs::Permissions::from_mode(0o755)).unwrap();
        let said = project
            .opsbook(&["run", "p", "here"])
            .env("PATH", &bin.to_string_lossy())
            .ends(status);
        let left = running(&mark);
        left.iter().for_each(|pid| sshd::kill(*pid, "KILL"));
        assert_eq!(left.len(), 1, "{said:?}");
        said.has("still running").has(&format!("{} sleep", left[0]));
    }
}

/// The second one is forked from the step's shell, and runs no program of its own.
const CHILDREN: &str = "(trap '' TERM; sleep MARK) &\n(trap '' TERM; while test -d \"$HOME\"; do echo >> \"$HOME/beats\"; read -r _ < \"$HOME/never\" || :; done) &\nsleep MARK\n";

/// Without setsid a step has no process group of its own.
#[test]
fn f6_without_setsid_a_step_is_ended_with_all_that_came_from_it() {
    let children = |mark: &str| CHILDREN.replace("MARK", mark);
    let gone = |project: &Project, mark: &str| {
        let home = project.home("").to_string_lossy().into_owned();
        let beats = project.text("beats");
        assert!(!beats.is_empty());
        assert_eq!(running(mark), Vec::<u32>::new());
        until("nothing of it is left", || {
            running(&format!("{home}.opsbook/bundle/run")).is_empty()
        });
    };
    let mark = marker();
    let project = Project::new(&procedure("timeout=1s", &children(&mark)));
    pipe(&project);
    let path = programs_but(&project, "setsid");
    let begin = Instant::now();
    project
        .opsbook(&["run", "p", "here"])
        .env("PATH", &path.to_string_lossy())
        .ends(124)
        .has("its processes are gone");
    assert!(begin.elapsed() < Duration::from_secs(40));
    gone(&project, &mark);

    let mark = marker();
    let project = Project::new(&procedure("timeout=5m", &children(&mark)));
    pipe(&project);
    let path = programs_but(&project, "setsid");
    let mut run = project
        .opsbook(&["run", "p", "here"])
        .env("PATH", &path.to_string_lossy())
        .start();
    run.until_file(&project.home("beats"));
    run.signal("TERM");
    let said = run.wait();
    assert_eq!(said.status, 5, "{said:?}");
    said.has("its processes are gone");
    gone(&project, &mark);
}

/// Who reads from it waits for ever.
fn pipe(project: &Project) {
    let made = std::process::Command::new("mkfifo")
        .arg(project.home("never"))
        .status();
    assert!(made.unwrap().success());
}

#[test]
fn f6_what_escaped_from_a_step_that_timed_out_is_named() {
    let mark = marker();
    let project = Project::new(&procedure(
        "timeout=1s",
        &format!("setsid sh -c 'exec setsid sleep {mark}' &\nsleep {mark}"),
    ));
    let said = project.opsbook(&["run", "p", "here"]).ends(3);
    let left = running(&mark);
    // Who goes on is told that something of it still runs.
    let again = project.opsbook(&["resume"]).ends(3);
    running(&mark)
        .iter()
        .for_each(|pid| sshd::kill(*pid, "KILL"));
    assert_eq!(left.len(), 1, "{said:?}");
    let process = format!("{} sleep", left[0]);
    said.has("still running").has(&process);
    again.has(&format!(
        "it has left processes behind that still run: {process}: run it again"
    ));
}

#[test]
fn f17_much_output_is_kept_to_a_cap_in_flat_memory() {
    let megabytes = 300;
    let project = Project::new(&procedure(
        "timeout=5m",
        &format!("yes 'a line of output, of a usual length' | head -c {megabytes}000000"),
    ));
    let said = project.opsbook(&["run", "p", "here"]).ends(0);
    said.has("more than 1 MiB");
    assert!(said.memory < 96 * 1024, "{} KiB", said.memory);
    let history = project.home(".opsbook/history");
    let kept: u64 = walk(&history)
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert!(kept <= 65 << 20, "{kept} bytes");
    let journal: u64 = walk(&project.path(".opsbook"))
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert!(journal < 8 << 20, "{journal} bytes");
}

#[test]
fn f18_bytes_are_kept_and_the_display_is_harmless() {
    let project = Project::new(&procedure(
        "",
        r"printf '\377\376\000\033[2J\033]0;title\007\302\233bad\r\b\n'",
    ));
    let said = project.opsbook(&["run", "p", "here"]).ends(0);
    for bad in ["\u{1b}", "\u{7}", "\u{0}", "\u{8}", "\u{9b}"] {
        said.lacks(bad);
        assert!(!project.journal_text().contains(bad));
    }
    let kept: Vec<_> = walk(&project.home(".opsbook/history"));
    let out = kept
        .iter()
        .find(|path| path.ends_with("1/out"))
        .expect("the output is kept");
    assert_eq!(
        fs::read(out).unwrap(),
        b"\xff\xfe\x00\x1b[2J\x1b]0;title\x07\xc2\x9bbad\r\x08\n"
    );
}

#[test]
fn f29_a_step_that_reads_gets_nothing() {
    let project = Project::new(&procedure(
        "timeout=30s allow=needs-a-person",
        "test -z \"$(cat)\"\nif read -r line; then exit 7; fi",
    ));
    project.opsbook(&["run", "p", "here"]).ends(0);
    assert!(project.home("two").exists());
}

#[test]
fn f29_a_step_ends_when_its_script_ends_and_its_children_are_named() {
    let mark = marker();
    let project = Project::new(&procedure(
        "timeout=2m",
        &format!("sleep {mark} &\necho started"),
    ));
    let began = Instant::now();
    let said = project.opsbook(&["run", "p", "here"]).ends(0);
    assert!(began.elapsed() < Duration::from_mins(1));
    let left = running(&mark);
    left.iter().for_each(|pid| sshd::kill(*pid, "KILL"));
    assert_eq!(left.len(), 1);
    said.has("sleep").has(&left[0].to_string());
    let named = project.events().into_iter().any(|event| matches!(&event.what, What::LeftBehind { processes } if processes.iter().any(|one| one.exact().contains("sleep"))));
    assert!(named);
    until("it is gone", || running(&mark).is_empty());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
