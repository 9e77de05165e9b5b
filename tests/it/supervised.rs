//! `opsbook run` as the child of a supervisor that has chosen the run's name: adopted, answered,
//! stopped, and ended together with its parent.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use opsbook::event::{Status, What};
use opsbook::journal;

use crate::lab::until;
use crate::project::{Project, Said};
use crate::sshd::kill;

const RUN: &str = "20261129-120000-ab12cd";

/// Three steps; the second waits for the file `go`.
const PAGE: &str = include_str!("three_steps.md");

const ALL: &str = "one\ntwo\nthree value-1\n";

/// A running child with its standard input open.
struct Supervised {
    child: Child,
    input: ChildStdin,
}

impl Supervised {
    fn start(project: &Project, more: &[&str]) -> Supervised {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opsbook"));
        command
            .args(["run", "p", "here", "--run", RUN, "--format", "json"])
            .args(more)
            .current_dir(project.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", project.path("home"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        Supervised { child, input }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn ends(mut self, status: i32) {
        until("it ends", || self.child.try_wait().unwrap().is_some());
        assert_eq!(self.child.wait().unwrap().code(), Some(status));
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(project: &Project, epoch: &str, more: &[&str]) -> Said {
    let base = ["run", "p", "here", "--run", RUN, "--epoch", epoch];
    let arguments: Vec<&str> = base.iter().chain(more).copied().collect();
    project.opsbook(&arguments).said()
}

fn journal_of(project: &Project) -> PathBuf {
    project.state().runs().join(format!("{RUN}.jsonl"))
}

fn events(project: &Project) -> Vec<opsbook::event::Event> {
    journal::read(&project.state(), RUN).map_or_else(|_| Vec::new(), |record| record.events)
}

/// Waits for a question, and returns its number.
fn asked(project: &Project, question: &str) -> u64 {
    let mut found = None;
    until(question, || {
        found = events(project)
            .iter()
            .rev()
            .find_map(|event| match &event.what {
                What::Asked { question: is, .. } if is == question => Some(event.seq),
                _ => None,
            });
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_run_that_was_not_begun_is_begun_by_who_adopts_it() {
    let project = Project::new(PAGE);
    fs::write(project.home("go"), "").unwrap();
    assert_eq!(run(&project, "2", &["--adopt"]).status, 0);
    assert_eq!(project.text("ran"), ALL);
    assert!(events(&project).iter().all(|event| event.epoch == Some(2)));
    // It is complete: nothing runs again, with its journal or without.
    let said = run(&project, "3", &["--adopt"]);
    assert_eq!(said.status, 0, "{said:?}");
    let said = run(&project, "3", &["--adopt", "--journal", "elsewhere"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(project.text("ran"), ALL);
    let elsewhere = project.path("elsewhere").join(format!("{RUN}.jsonl"));
    let whole = fs::read_to_string(elsewhere).unwrap();
    assert!(
        whole.contains(r#""event":"run-ended","status":"OK""#),
        "{whole}"
    );
}

/// Wherever its first controller died, and however much of its journal arrived.
#[test]
fn f40_a_run_is_adopted_with_any_part_of_its_journal_and_without_one() {
    let project = Project::new(PAGE);
    let mut lines = 0;
    loop {
        for name in ["home", ".opsbook"] {
            let _ = fs::remove_dir_all(project.path(name));
        }
        fs::create_dir(project.path("home")).unwrap();
        let child = Supervised::start(&project, &[]);
        until("the second step", || project.text("ran") == "one\ntwo\n");
        kill(child.child.id(), "KILL");
        drop(child);
        let path = journal_of(&project);
        let whole = fs::read_to_string(&path).unwrap();
        let kept: String = whole.split_inclusive('\n').take(lines).collect();
        match lines {
            0 => fs::remove_file(&path).unwrap(),
            // The last line was cut.
            _ => fs::write(&path, &kept[..kept.len() - usize::from(lines % 2 == 0)]).unwrap(),
        }
        fs::write(project.home("go"), "").unwrap();
        let said = run(&project, "2", &["--adopt"]);
        assert_eq!(said.status, 0, "{lines}: {said:?}");
        assert_eq!(project.text("ran"), ALL, "{lines}");
        // The first controller comes back.
        fs::write(&path, &kept).unwrap();
        let said = run(&project, "1", &["--adopt"]);
        assert_eq!(project.text("ran"), ALL, "{lines}: {said:?}");
        if kept.len() == whole.len() {
            return;
        }
        lines += 2;
    }
}

#[test]
fn f40_who_was_adopted_from_is_blocked_when_it_comes_back() {
    let project = Project::new(PAGE);
    let child = Supervised::start(&project, &[]);
    until("the second step", || project.text("ran") == "one\ntwo\n");
    kill(child.child.id(), "KILL");
    drop(child);
    let first = fs::read_to_string(journal_of(&project)).unwrap();
    // Another controller has it, and holds the step.
    let other = Supervised::start(&project, &["--epoch", "2", "--adopt"]);
    let attached = |event: &opsbook::event::Event| {
        event.epoch == Some(2) && matches!(event.what, What::StepAttached { .. })
    };
    until("it is attached", || events(&project).iter().any(attached));
    kill(other.child.id(), "KILL");
    drop(other);
    fs::write(journal_of(&project), first).unwrap();
    let said = run(&project, "1", &["--adopt"]);
    assert_eq!(said.status, 4, "{said:?}");
    said.has("another opsbook has continued this run: ")
        .has(" as its controller 2; this one is 1");
    fs::write(project.home("go"), "").unwrap();
    assert_eq!(run(&project, "3", &["--adopt"]).status, 0);
    assert_eq!(project.text("ran"), ALL);
}

#[test]
fn another_plan_than_the_one_that_was_allotted_is_blocked() {
    let project = Project::new(PAGE);
    fs::write(project.home("go"), "").unwrap();
    let none = "0".repeat(64);
    let said = run(&project, "1", &["--plan-sha256", &none]);
    assert_eq!(said.status, 4, "{said:?}");
    assert!(events(&project).is_empty() && project.text("ran").is_empty());
    let (_, rest) = said.err.split_once("its checksum is ").unwrap();
    let sum = &rest[..64];
    assert_eq!(run(&project, "1", &["--plan-sha256", sum]).status, 0);
}

#[test]
fn a_supervisor_answers_a_question_by_its_number_and_no_other() {
    let page = PAGE.replace("step id=two", "step id=two confirm");
    let project = Project::new(&format!(
        "{page}\n```text manual id=four\nturn the key\n```\n"
    ));
    fs::write(project.home("go"), "").unwrap();
    let mut child = Supervised::start(&project, &["--answers"]);
    let seq = asked(&project, "go on with this step?");
    child.say(&format!(r#"{{"question":{},"answer":"no"}}"#, seq + 1));
    for word in ["perhaps", "!", "v"] {
        child.say(&format!(r#"{{"question":{seq},"answer":"{word}"}}"#));
    }
    child.say("not json");
    child.say(&format!(r#"{{"question":{seq},"answer":"yes"}}"#));
    let seq = asked(&project, "is it done?");
    child.say(&format!(
        r#"{{"question":{seq},"answer":"yes","note":"by cy"}}"#
    ));
    child.ends(0);
    assert_eq!(project.text("ran"), ALL);
    let events = events(&project);
    let told = events.iter().find_map(|event| match &event.what {
        What::Asked { told, choices, .. } if event.seq == seq => Some((told.clone(), choices)),
        _ => None,
    });
    let (told, choices) = told.unwrap();
    assert_eq!(told.unwrap().exact(), "turn the key");
    assert_eq!(choices, &["yes", "no"]);
    let answered = events.iter().find_map(|event| match &event.what {
        What::Answered { question, note, .. } if *question == Some(seq) => note.clone(),
        _ => None,
    });
    assert_eq!(answered.as_deref(), Some("by cy"));
}

#[test]
fn a_supervisor_stops_a_run_after_its_step_or_in_it_or_leaves_it_running() {
    for (stop, status, ran) in [
        ("after-step", 5, "one\ntwo\n"),
        ("step", 5, "one\ntwo\n"),
        ("leave", 5, "one\ntwo\n"),
    ] {
        let project = Project::new(PAGE);
        let mut child = Supervised::start(&project, &["--answers"]);
        until("the second step", || project.text("ran") == "one\ntwo\n");
        for _ in 0..4 {
            child.say(&format!(r#"{{"stop":"{stop}"}}"#));
        }
        if stop == "after-step" {
            fs::write(project.home("go"), "").unwrap();
        }
        child.ends(status);
        assert_eq!(project.text("ran"), ran, "{stop}");
        let two = journal::read(&project.state(), RUN).unwrap().steps("here")[&2];
        let expected = match stop {
            "after-step" => Some(Status::Ok),
            "step" => Some(Status::Stopped),
            _ => None,
        };
        assert_eq!(two.filter(|_| stop != "leave"), expected, "{stop}");
        fs::write(project.home("go"), "").unwrap();
        assert_eq!(run(&project, "2", &["--adopt"]).status, 0, "{stop}");
        let twice = usize::from(stop == "step");
        assert_eq!(project.text("ran").matches("two").count(), 1 + twice);
    }
}

#[test]
fn a_run_ends_with_its_supervisor_and_its_step_does_not() {
    let project = Project::new(PAGE);
    let opsbook = env!("CARGO_BIN_EXE_opsbook");
    let line = format!(
        "\"{opsbook}\" run p here --run {RUN} --supervisor $$ & echo $! >\"$HOME/pid\"; wait"
    );
    let mut parent = Command::new("sh")
        .args(["-c", &line])
        .current_dir(project.root())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", project.path("home"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the second step", || project.text("ran") == "one\ntwo\n");
    let pid = project.text("pid").trim().to_owned();
    kill(parent.id(), "KILL");
    parent.wait().unwrap();
    until("it is gone", || {
        !fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
    });
    fs::write(project.home("go"), "").unwrap();
    // Only its parent can be its supervisor.
    let said = run(&project, "2", &["--adopt", "--supervisor", "1"]);
    assert_eq!(said.status, 5, "{said:?}");
    assert_eq!(project.text("ran"), "one\ntwo\n");
    assert_eq!(run(&project, "2", &["--adopt"]).status, 0);
    assert_eq!(project.text("ran"), ALL);
}
