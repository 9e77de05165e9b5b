//! Faults of the controller's own life: F1 from outside, and F2.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use opsbook::event::{Status, What};

use crate::lab::until;
use crate::project::{Project, marker, running};
use crate::sshd::or_skip;
use crate::tier;

fn waiting(mark: &str) -> String {
    format!(
        "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n```sh step id=one\necho 1 >> \"$HOME/ran\"\nwhile test ! -e \"$HOME/go\"; do sleep 0.1{mark}; done\necho end >> \"$HOME/ran\"\n```\n\n```sh step id=two\necho 2 >> \"$HOME/ran\"\n```\n"
    )
}

#[test]
fn f1_a_killed_controller_loses_nothing() {
    let project = Project::new(&waiting(""));
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("ran"));
    run.signal("KILL");
    assert_eq!(run.wait().status, -9);
    // The step goes on, and ends, by itself.
    fs::write(project.home("go"), "").unwrap();
    until("the step ends", || project.text("ran") == "1\nend\n");
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "1\nend\n2\n");
}

#[test]
fn f1_a_killed_controllers_step_is_attached_to_while_it_runs() {
    let project = Project::new(&waiting(""));
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("ran"));
    run.signal("KILL");
    run.wait();
    let mut again = project.opsbook(&["resume"]).start();
    again.until("it is taken up", |event| {
        matches!(event.what, What::BundleReopened { .. })
    });
    fs::write(project.home("go"), "").unwrap();
    let said = again.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(project.text("ran"), "1\nend\n2\n");
}

#[test]
fn f2_a_signal_stops_the_step_and_says_so() {
    for signal in ["TERM", "INT"] {
        let mark = marker();
        let project = Project::new(&waiting(&mark));
        let mut run = project.opsbook(&["run", "p", "here"]).start();
        run.until_file(&project.home("ran"));
        run.signal(signal);
        let said = run.wait();
        assert_eq!(said.status, 5, "{signal}: {said:?}");
        said.has("STOPPED").has("opsbook resume");
        assert_eq!(project.status(), Some(Status::Stopped));
        assert_eq!(running(&format!("0.1{mark}")), Vec::<u32>::new(), "orphans");
        assert_eq!(project.text("ran"), "1\n");
        fs::write(project.home("go"), "").unwrap();
        project.opsbook(&["resume"]).ends(0);
        assert_eq!(project.text("ran"), "1\n1\nend\n2\n");
    }
}

#[test]
fn f2_on_a_terminal_it_asks_and_leaving_leaves_the_step_running() {
    let Some(()) = or_skip("a terminal", tier::program("/usr/bin/script")) else {
        return;
    };
    let project = Project::new(&waiting(""));
    let mut terminal = Command::new("script")
        .args([
            "-qfec",
            concat!("exec ", env!("CARGO_BIN_EXE_opsbook"), " run p here"),
            "typescript",
        ])
        .current_dir(project.root())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", project.home(""))
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    until("it runs", || project.home("ran").exists());
    keys.write_all(b"\x03").unwrap();
    let shown = || fs::read_to_string(project.path("typescript")).unwrap_or_default();
    until("it asks", || shown().contains("[l]eave"));
    keys.write_all(b"l\n").unwrap();
    let status = terminal.wait().unwrap();
    assert_eq!(status.code(), Some(5));
    assert_eq!(project.status(), Some(Status::Stopped));
    fs::write(project.home("go"), "").unwrap();
    until("the step ends by itself", || {
        project.text("ran") == "1\nend\n"
    });
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "1\nend\n2\n");
}
