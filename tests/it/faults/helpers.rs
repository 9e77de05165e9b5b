//! Faults of what opsbook itself has running on a node: each of its processes is killed in
//! turn, while a step runs and between two. F3 and F6.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab::{Node, until};
use crate::project::{Project, Running, marker, running};
use crate::sshd::{Sshd, kill, or_skip};

/// Long enough for a busy machine, and far below what a silent session would take.
const SOON: Duration = Duration::from_secs(30);

/// Waits in a step of `side` until the file `go` is there, between two steps on the node.
fn waiting(side: &str) -> String {
    format!(
        "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n```sh step\necho 1 >> \"$HOME/ran\"\n```\n\n\
         ```sh step {side}\necho 2 >> \"$HOME/ran\"\nwhile test ! -e \"$HOME/go\"; do sleep 0.1; done\n```\n\n\
         ```sh step\necho 3 >> \"$HOME/ran\"\n```\n"
    )
}

/// The processes of the recorder on the node: itself, then those that it forked.
pub(super) fn recorders(home: &Path) -> Vec<u32> {
    let all = running(&format!("/recorder\0{}\0", bundle(home)));
    let forked = |pid: &u32| all.contains(&parent(*pid));
    let (forked, own): (Vec<u32>, Vec<u32>) = all.iter().partition(|pid| forked(pid));
    [own, forked].concat()
}

fn parent(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ')
        .nth(1)
        .and_then(|parent| parent.parse().ok())
        .unwrap_or(0)
}

fn bundle(home: &Path) -> String {
    home.join(".opsbook/bundle").display().to_string()
}

/// A process of the session on the node, by the file that names it.
fn of_session(home: &Path, file: &str) -> u32 {
    let recorder = recorders(home)[0];
    let line = fs::read(format!("/proc/{recorder}/cmdline")).unwrap();
    let line = String::from_utf8(line).unwrap();
    let session = line.split('\0').nth(5).unwrap();
    let pid = fs::read_to_string(Path::new(session).join(file)).unwrap();
    pid.split_whitespace().next().unwrap().parse().unwrap()
}

fn begun<'a>(project: &'a Project, node: &str, home: &Path) -> Running<'a> {
    let run = project.opsbook(&["run", "p", node]).start();
    until("it waits", || ran(home) == "1\n2\n");
    run
}

fn ran(home: &Path) -> String {
    fs::read_to_string(home.join("ran")).unwrap_or_default()
}

fn killed_in_a_session(project: &Project, node: &str, home: &Path, file: &str) {
    let run = begun(project, node, home);
    let begin = Instant::now();
    kill(of_session(home, file), "KILL");
    fs::write(home.join("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 0, "{file}: {said:?}");
    assert!(begin.elapsed() < SOON, "{file}: {:?}", begin.elapsed());
    assert_eq!(ran(home), "1\n2\n3\n", "{file}");
    for name in ["ran", "go"] {
        fs::remove_file(home.join(name)).unwrap();
    }
}

/// Its shell, the shipper of its results, and who looks after that.
const SESSION: [&str; 3] = ["pid", "s.p", "t.p"];

#[test]
fn f3_a_killed_process_of_the_session_is_noticed_at_once() {
    let project = Project::new(&waiting(""));
    for file in SESSION {
        killed_in_a_session(&project, "here", &project.home(""), file);
    }
}

#[test]
fn f3_a_killed_process_of_the_session_is_noticed_over_ssh() {
    let Some(node) = or_skip("T1", Sshd::start()) else {
        return;
    };
    let project = Project::new(&waiting(""));
    project.node("far", &node.ssh(), "");
    for file in SESSION {
        killed_in_a_session(&project, "far", &node.home(), file);
    }
}

#[test]
fn f3_a_killed_shell_of_another_user_is_noticed_over_ssh() {
    let Some(node) = or_skip("T2", Node::start()) else {
        return;
    };
    let project = Project::new(&waiting(""));
    project.node("far", &node.ssh(), "");
    let run = begun(&project, "far", &node.home());
    let begin = Instant::now();
    node.root("kill -s KILL \"$(cat /dev/shm/.opsbook-*/pid)\"");
    fs::write(node.home().join("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!(ran(&node.home()), "1\n2\n3\n");
}

type Victim = fn(&Path) -> u32;

#[test]
fn f6_what_stands_ready_between_two_steps_may_be_killed() {
    let all: [(&str, Victim); 3] = [
        ("recorder", |home| recorders(home)[0]),
        ("watch", |home| recorders(home)[1]),
        ("ready shell", |home| {
            running(&format!("{}/run", bundle(home)))[0]
        }),
    ];
    for (name, victim) in all {
        let project = Project::new(&waiting("on=local"));
        let home = project.home("");
        let run = begun(&project, "here", &home);
        kill(victim(&home), "KILL");
        fs::write(project.home("go"), "").unwrap();
        let said = run.wait();
        assert_eq!(said.status, 0, "{name}: {said:?}");
        assert_eq!(project.text("ran"), "1\n2\n3\n", "{name}");
        until("nothing of it is left", || {
            recorders(&home).is_empty() && running(&format!("{}/run", bundle(&home))).is_empty()
        });
    }
}

#[test]
fn f6_without_its_recorder_a_step_has_an_unknown_end() {
    let project = Project::new(&waiting(""));
    let home = project.home("");
    let run = begun(&project, "here", &home);
    kill(recorders(&home)[0], "KILL");
    let begin = Instant::now();
    fs::write(project.home("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 3, "{said:?}");
    said.has("the node has no result of it");
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert!(project.ended(2).outcome_unknown);
    assert_eq!(project.text("ran"), "1\n2\n");
}

#[test]
fn f6_without_its_recorder_a_step_keeps_its_time_limit() {
    let mark = marker();
    let page = format!(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step timeout=3s\n: > \"$HOME/began\"\nsleep {mark}\n```\n"
    );
    let project = Project::new(&page);
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("began"));
    kill(recorders(&project.home(""))[0], "KILL");
    assert_eq!(run.wait().status, 3);
    assert_eq!(running(&mark), Vec::<u32>::new());
}

#[test]
fn f6_a_step_whose_record_was_deleted_keeps_its_time_limit() {
    let mark = marker();
    let page = format!(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step timeout=3s\n: > \"$HOME/began\"\nsleep {mark}\n```\n"
    );
    let project = Project::new(&page);
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("began"));
    run.signal("KILL");
    run.wait();
    fs::remove_dir_all(project.home(".opsbook")).unwrap();
    until("it is ended", || running(&mark).is_empty());
}

#[test]
fn f12_a_step_whose_record_was_deleted_is_not_run_again() {
    let page = "# Page\n\n```yaml procedure\nid: p\ntimeout: 30s\n```\n\n\
        ```sh step\necho 1 >> \"$HOME/ran\"\nrm -rf \"$bundle\"/steps/1\nsleep 6\necho end >> \"$HOME/ran\"\n```\n\n\
        ```sh step\necho 2 >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    let begin = Instant::now();
    let said = project.opsbook(&["run", "p", "here"]).ends(3);
    said.has("its record is gone from the bundle");
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert!(project.ended(1).outcome_unknown);
    until("it ends by itself", || project.text("ran") == "1\nend\n");
}

#[test]
fn f3_a_bundle_half_removed_by_a_killed_shell_is_removed_by_who_goes_on() {
    let Some(server) = or_skip("T1", Sshd::start()) else {
        return;
    };
    let project = Project::new(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho 1 >> \"$HOME/ran\"\nv=5\n```\n",
    );
    project.node("far", &server.ssh(), "");
    // Kills the shell that is about to remove what was the bundle, once.
    let rm = server.dir.path().join("bin/rm");
    let text = "#!/bin/sh\ncase \"$*\" in *.old.*)\n  if [ ! -e \"$HOME/once\" ]; then : >\"$HOME/once\"; kill -9 $PPID; exit; fi ;;\nesac\nPATH=${PATH#*:} exec rm \"$@\"\n";
    fs::write(&rm, text).unwrap();
    fs::set_permissions(&rm, fs::Permissions::from_mode(0o755)).unwrap();
    let half = || {
        let all = fs::read_dir(server.home().join(".opsbook"))
            .unwrap()
            .flatten();
        let names = all.map(|file| file.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".old.")).count()
    };
    project.opsbook(&["run", "p", "far"]).ends(3);
    assert_eq!(half(), 1);
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(half(), 0);
    assert_eq!(ran(&server.home()), "1\n");
}
