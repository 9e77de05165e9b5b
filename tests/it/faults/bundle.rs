//! Faults of the bundle, which is the lock: F9 to F13.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use opsbook::event::{Status, What};

use crate::lab::{Kind, Node, until};
use crate::project::Project;
use crate::sshd::or_skip;

const TOUCH: &str =
    "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\n: >> \"$HOME/ran\"\n```\n";

/// Waits in step 1 until the file `go` is there.
const WAIT: &str = "# Page\n\n```yaml procedure\nid: p\ntimeout: 2m\n```\n\n```sh step id=one\necho 1 >> \"$HOME/ran\"\nwhile test ! -e \"$HOME/go\"; do sleep 0.1; done\n```\n\n```sh step id=two\necho 2 >> \"$HOME/ran\"\n```\n";

#[test]
fn f9_another_failure_than_held_is_an_error_with_its_cause() {
    let project = Project::new(TOUCH);
    project.nodes("  here: {transport: local, bundle_dir: /proc/none/bundle}\n");
    project
        .opsbook(&["run", "p", "here"])
        .ends(3)
        .has("/proc/none");
    assert!(!project.home("ran").exists());
    assert_eq!(project.status(), Some(Status::Error));
}

#[test]
fn f9_a_file_where_the_folder_goes_is_an_error() {
    let project = Project::new(TOUCH);
    fs::write(project.home(".opsbook"), "").unwrap();
    let said = project.opsbook(&["run", "p", "here"]).ends(3);
    said.has(".opsbook is not a directory").lacks("held");
    assert!(!project.home("ran").exists());
}

#[test]
fn f10_a_bundle_without_owner_is_held_and_can_be_released() {
    let project = Project::new(TOUCH);
    for folder in [".opsbook", ".opsbook/bundle"] {
        fs::create_dir(project.home(folder)).unwrap();
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(project.home(folder), private).unwrap();
    }
    let said = project.opsbook(&["run", "p", "here"]).ends(4);
    said.has("owner unknown");
    assert!(!project.home("ran").exists());
    project
        .opsbook(&["lock", "status", "here"])
        .said()
        .has("owner unknown");
    project.opsbook(&["lock", "release", "here"]).ends(0);
    project.opsbook(&["run", "p", "here"]).ends(0);
    assert!(project.home("ran").exists());
}

#[test]
fn f11_of_two_operators_one_is_told_about_the_other() {
    let project = Project::new(WAIT);
    let mut first = project.opsbook(&["run", "p", "here"]).start();
    first.until("step 1", |event| {
        matches!(event.what, What::StepStarted { .. })
    });
    first.until_file(&project.home("ran"));
    let run = project.record().events[0].run.clone();

    let second = Project::new(WAIT);
    let said = second
        .opsbook(&["run", "p", "here"])
        .env("HOME", &project.home("").to_string_lossy())
        .ends(4);
    said.has("held by")
        .has(&run)
        .has("step 1 is the latest on this node (it is running)")
        .has("it is running");
    // A live lock is not given up by accident.
    project
        .opsbook(&["lock", "release", "here"])
        .said()
        .has("held by");
    assert!(project.home(".opsbook/bundle").exists());

    fs::write(project.home("go"), "").unwrap();
    let said = first.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(project.text("ran"), "1\n2\n");
}

#[test]
fn f11_of_many_at_once_each_runs_alone_or_is_blocked() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\nmkdir \"$HOME/alone\"\nsleep 0.3\nrmdir \"$HOME/alone\"\necho 1 >> \"$HOME/ran\"\n```\n";
    let projects: Vec<_> = (0..6).map(|_| Project::new(page)).collect();
    let home = projects[0].home("").to_string_lossy().into_owned();
    let all: Vec<_> = projects
        .iter()
        .map(|project| {
            project
                .opsbook(&["run", "p", "here"])
                .env("HOME", &home)
                .start()
        })
        .collect();
    let statuses: Vec<_> = all.into_iter().map(|one| one.wait().status).collect();
    let ran = statuses.iter().filter(|status| **status == 0).count();
    assert!(
        ran >= 1 && statuses.iter().all(|status| [0, 4].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(projects[0].text("ran").lines().count(), ran);
}

#[test]
fn f12_an_old_controller_that_wakes_after_a_takeover_is_blocked() {
    let project = Project::new(WAIT);
    let mut old = project.opsbook(&["run", "p", "here"]).start();
    old.until_file(&project.home("ran"));
    old.until("step 1", |event| {
        matches!(event.what, What::StepStarted { .. })
    });
    let run = project.record().events[0].run.clone();
    old.signal("STOP");
    // Somebody gives its bundle up, and another run begins.
    let release = ["lock", "release", "here", "--run", &run];
    let said = project.opsbook(&release).ends(4);
    said.has("it is running").has("hint: `--yes`");
    assert!(project.home(".opsbook/bundle").exists());
    project
        .opsbook(&[&release[..], &["--yes"]].concat())
        .ends(0);
    assert!(!project.home(".opsbook/bundle").exists(), "it was released");
    let other = Project::new(&WAIT.replace("go", "other-go"));
    let mut new = other
        .opsbook(&["run", "p", "here"])
        .env("HOME", &project.home("").to_string_lossy())
        .start();
    new.until("step 1", |event| {
        matches!(event.what, What::StepStarted { .. })
    });
    fs::write(project.home("go"), "").unwrap();
    old.signal("CONT");
    let said = old.wait();
    assert_eq!(said.status, 4, "{said:?}");
    assert!(!project.text("ran").contains('2'), "{said:?}");
    fs::write(project.home("other-go"), "").unwrap();
    let said = new.wait();
    assert_eq!(said.status, 0, "{said:?}");
}

#[test]
fn f12_an_old_controller_leaves_nothing_in_the_bundle_of_another_run() {
    let secretly = WAIT.replace("echo 1", ": \"$token\"\necho 1");
    let project = Project::new(&secretly);
    project.write("token", "hunter22");
    project.nodes("  here: {transport: local, token: {secret: {file: token}}, color: red}\n");
    fs::set_permissions(project.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut old = project.opsbook(&["run", "p", "here"]).start();
    old.until_file(&project.home("ran"));
    old.signal("STOP");
    let run = project.record().events[0].run.clone();
    let release = ["lock", "release", "here", "--run", &run, "--yes"];
    project.opsbook(&release).ends(0);
    let page =
        "echo \"$color\"\n: > \"$HOME/began\"\nuntil test -e \"$HOME/go-on\"; do sleep 0.1; done";
    let other = Project::new(&format!(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\n{page}\n```\n"
    ));
    other.nodes("  here: {transport: local, color: blue}\n");
    let mut new = other
        .opsbook(&["run", "p", "here"])
        .env("HOME", &project.home("").to_string_lossy())
        .start();
    new.until_file(&project.home("began"));
    let printed = project.home(".opsbook/bundle/steps/1/out");
    assert_eq!(fs::read_to_string(&printed).unwrap(), "blue\n");
    fs::write(project.home("go"), "").unwrap();
    old.signal("CONT");
    assert_eq!(old.wait().status, 4);
    assert_eq!(fs::read_to_string(&printed).unwrap(), "blue\n");
    assert!(!project.home(".opsbook/bundle/values").exists());
    fs::write(project.home("go-on"), "").unwrap();
    assert_eq!(new.wait().status, 0);
}

#[test]
fn f12_a_run_whose_bundle_was_released_is_nothing_to_go_on_with() {
    let project = Project::new(&TOUCH.replace(": >>", "false; : >>"));
    project.opsbook(&["run", "p", "here"]).ends(1);
    let run = project.record().events[0].run.clone();
    let release = ["lock", "release", "here", "--run", &run];
    project.opsbook(&release).ends(0).lacks("warning");
    project.opsbook(&["resume"]).ends(2).has("no halted run");
    let sheet = project.opsbook(&["handoff", &run]).ends(0);
    sheet.has("the bundle of this run is gone from here");
    project
        .opsbook(&["run", "p", "here"])
        .ends(1)
        .lacks("halted; `opsbook resume");
}

#[test]
fn f11_a_step_of_another_user_that_runs_is_seen_by_who_asks() {
    let kind = Kind {
        sudoers: "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
        ..Kind::default()
    };
    let Some(node) = or_skip("T2", Node::of(&kind)) else {
        return;
    };
    let page = "# Page\n\n```yaml procedure\nid: p\ntimeout: 2m\n```\n\n```sh step sudo=nobody\necho 1 >> /tmp/ran\nuntil test -e /tmp/go; do sleep 0.1; done\n```\n";
    let project = Project::new(page);
    project.node("far", &node.ssh(), "");
    let mut run = project.opsbook(&["run", "p", "far"]).start();
    run.until_file(&node.path("/tmp/ran"));
    run.signal("KILL");
    run.wait();
    let lock = |command: &'static str| project.opsbook(&["lock", command, "far"]);
    let id = project.record().events[0].run.clone();
    until("its shell on the node is gone", || {
        node.root("pgrep -cxf 'sshd: ops@notty' || :") == "0"
    });
    lock("status").ends(4).has("(it is running)");
    project
        .opsbook(&["lock", "release", "far", "--run", &id])
        .ends(4)
        .has("`--yes`");
    node.root(": > /tmp/go");
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(fs::read_to_string(node.path("/tmp/ran")).unwrap(), "1\n");
    lock("status").ends(0);
}

#[test]
fn f12_of_two_copies_of_a_journal_the_older_controller_is_blocked_and_says_so() {
    let project = Project::new(WAIT);
    let mut old = project.opsbook(&["run", "p", "here"]).start();
    old.until_file(&project.home("ran"));
    old.until("step 1", |event| {
        matches!(event.what, What::StepStarted { .. })
    });
    let copy = project.path("copy");
    let made = std::process::Command::new("cp")
        .arg("-R")
        .args(["book.toml", "manual", "nodes.yaml", ".opsbook"].map(|name| project.path(name)))
        .arg({
            fs::create_dir(&copy).unwrap();
            &copy
        })
        .status();
    assert!(made.unwrap().success());
    let copy = copy.to_string_lossy().into_owned();
    let new = project.opsbook(&["-C", &copy, "resume"]).start();
    let said = old.wait();
    assert_eq!(said.status, 4, "{said:?}");
    said.has("another opsbook has continued this run; it may or may not have finished")
        .has("to continue:  opsbook resume ")
        .lacks("gone from");
    fs::write(project.home("go"), "").unwrap();
    let said = new.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(project.text("ran"), "1\n2\n");
}

#[test]
fn f13_what_is_planted_where_the_bundle_goes_is_refused() {
    let elsewhere = tempfile::tempdir().unwrap();
    for name in [".opsbook", ".opsbook/bundle"] {
        let project = Project::new(TOUCH);
        if name.contains('/') {
            fs::create_dir(project.home(".opsbook")).unwrap();
        }
        symlink(elsewhere.path(), project.home(name)).unwrap();
        let said = project.opsbook(&["run", "p", "here"]).ends(3);
        said.has("is a symbolic link");
        assert!(!project.home("ran").exists());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
    let project = Project::new(TOUCH);
    fs::create_dir(project.home(".opsbook")).unwrap();
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(project.home(".opsbook"), open).unwrap();
    let said = project.opsbook(&["run", "p", "here"]).ends(3);
    said.has("can be written by others");
    assert!(!project.home("ran").exists());
}

#[test]
fn f12_a_bundle_that_is_removed_under_a_step_leaves_its_outcome_unknown() {
    let page = WAIT
        .replace("timeout: 2m", "timeout: 8s")
        .replace("echo 1", "echo $$ > \"$HOME/pid\"\necho 1");
    let project = Project::new(&page);
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("ran"));
    fs::remove_dir_all(project.home(".opsbook/bundle")).unwrap();
    let said = run.wait();
    assert_eq!(said.status, 3, "{said:?}");
    said.has("the bundle is gone from the node; it may or may not have finished")
        .lacks("and its lock are kept");
    let record = project.record();
    let unknown = record
        .events
        .iter()
        .any(|event| matches!(&event.what, What::StepEnded(ended) if ended.outcome_unknown));
    assert!(unknown, "{said:?}");
    let run = record.events[0].run.clone();
    project
        .opsbook(&["resume", &run])
        .ends(3)
        .has("the bundle of this run is gone");
    assert!(!project.text("ran").contains('2'));
    // What nobody has a record of is ended by its time limit all the same.
    let step = Path::new("/proc").join(project.text("pid").trim());
    let deadline = Instant::now() + Duration::from_mins(1);
    while step.exists() {
        assert!(Instant::now() < deadline, "the step runs for ever");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn f11_the_locks_of_many_nodes_are_one_table() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\n:\n```\n\n```sh step on=local\n:\n```\n\n\
        ```sh step on=local\nfalse\n```\n\n```sh step\n:\n```\n";
    let project = Project::new(page);
    project.nodes(
        "  here: {transport: local, bundle_dir: h}\n  idle: {transport: local, bundle_dir: i}\n  \
           kept: {transport: local, bundle_dir: k}\n  gone: {transport: {exec: [\"false\"]}}\n",
    );
    project.opsbook(&["run", "p", "here"]).ends(1);
    project
        .opsbook(&["lock", "acquire", "kept", "-m", "new disk"])
        .said();
    let said = project.opsbook(&["lock", "status"]).ends(3);
    let rows: Vec<&str> = said.out.lines().collect();
    let is = |row: usize, pattern: &str| {
        let pattern = regex::Regex::new(pattern).unwrap();
        assert!(pattern.is_match(rows[row]), "{said:?}");
    };
    is(0, r"^NODE  LOCK +SINCE +BY +PROCEDURE +RUN$");
    is(
        1,
        r"^here  held       \S+Z  \S+@\S+ +p +\d{8}-\S+ +halted at step 3 of 4, FAILED; nothing of it runs any more$",
    );
    is(2, r"^idle  free$");
    is(
        3,
        r"^kept  held       \S+Z  \S+@\S+ +lock acquire +lock-\S+ +new disk$",
    );
    is(
        4,
        r"^gone  not known  +cannot be reached: no POSIX shell answered; it ended with exit status 1 and printed nothing$",
    );
    // What it says of one is what it says of the bundle, and better where the journal is here.
    let alone = project.opsbook(&["lock", "status", "here"]).ends(4);
    alone.has("halted at step 3 of 4, FAILED (nothing of it runs any more)");
    project
        .opsbook(&["lock", "status", "idle"])
        .said()
        .has("idle: free");
    // The journal is elsewhere.
    let other = Project::new(page);
    other.nodes("  here: {transport: local, bundle_dir: h}\n");
    let home = project.home("").display().to_string();
    let said = other
        .opsbook(&["lock", "status", "here"])
        .env("HOME", &home);
    said.ends(4)
        .has("step 3 is the latest on this node (nothing of it runs any more)");
}

#[test]
fn f11_a_bundle_of_another_manual_on_this_machine_says_which() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\nfalse\n```\n";
    let project = Project::new(page);
    project.opsbook(&["run", "p", "here"]).ends(1);
    let again = project.opsbook(&["run", "p", "here"]).ends(4);
    again.lacks("it is of the manual in");
    let other = Project::new(page);
    let home = project.home("").display().to_string();
    let said = other.opsbook(&["run", "p", "here"]).env("HOME", &home);
    let folder = project.path("").display().to_string();
    said.ends(4)
        .has(&format!(
            "it is of the manual in `{}`",
            folder.trim_end_matches('/')
        ))
        .has("`bundle_dir` of the node gives each manual a bundle of its own")
        .has("`opsbook lock release here --run ");
    other.nodes("  here: {transport: local, bundle_dir: other/bundle}\n");
    let said = other.opsbook(&["run", "p", "here"]).env("HOME", &home);
    said.ends(1);
}
