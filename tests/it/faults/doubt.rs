//! What a run does not know, what it tells of it, and how one goes on all the same.

use std::fs;
use std::time::{Duration, Instant};

use opsbook::event::What;

use crate::faults::helpers::recorders;
use crate::lab::{Node, until};
use crate::project::Project;
use crate::sshd::{kill, or_skip, tree};

const BLIND: &str = "# Page\n\n```yaml procedure\nid: p\nparams:\n  word: {default: \"a b\"}\n```\n\n\
    ```sh step\necho 1 >> \"$HOME/ran\"\n[ -e \"$HOME/seen\" ] || kill -KILL $PPID\n```\n\n\
    ```sh step id=two\necho \"2 $word\" >> \"$HOME/ran\"\n```\n";

fn blind() -> Project {
    let project = Project::new(BLIND);
    let said = project.opsbook(&["run", "p", "here"]).ends(3);
    said.has("# ERROR: it may or may not have finished; look at the node first")
        .has("it runs 1 again, unless the node has its result by now");
    assert!(project.ended(1).outcome_unknown);
    fs::write(project.home("seen"), "").unwrap();
    project
}

#[test]
fn f6_before_it_is_run_again_a_step_whose_end_is_unknown_is_asked_about() {
    let project = blind();
    let asks = "p/1 may or may not have finished: run it [a]gain, it is [d]one, [q]uit > ";
    let quit = project.opsbook(&["resume"]).input("q\n").ends(5);
    quit.has(asks).has("it may or may not have finished");
    assert_eq!(project.text("ran"), "1\n");
    let done = project.opsbook(&["resume"]).input("d\n").ends(0);
    done.has(asks).has("BY HAND");
    assert_eq!(project.text("ran"), "1\n2 a b\n");
}

#[test]
fn f6_where_nobody_can_be_asked_running_it_again_is_told() {
    for arguments in [&["resume"][..], &["resume", "--yes"]] {
        let project = blind();
        let said = project.opsbook(arguments).ends(0);
        said.has("it may or may not have finished: run it again");
        assert_eq!(project.text("ran"), "1\n1\n2 a b\n");
    }
    // Who names it has decided.
    let project = blind();
    let said = project.opsbook(&["resume", "--start-at", "1"]).ends(0);
    said.lacks("may have finished");
}

#[test]
fn f6_commands_that_were_never_begun_are_not_asked_about() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```console step\n\
        $ echo 1 >> \"$HOME/ran\"; [ -e \"$HOME/seen\" ] || kill -KILL $PPID\n\
        $ echo 2 >> \"$HOME/ran\"\n$ echo 3 >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    project.opsbook(&["run", "p", "here"]).ends(3);
    fs::write(project.home("seen"), "").unwrap();
    // One answer: a second question would be answered by nobody, and be told.
    let said = project.opsbook(&["resume"]).input("a\n").ends(0);
    let asks = "may or may not have finished: run it [a]gain";
    assert_eq!(said.err.matches(asks).count(), 1, "{said:?}");
    said.lacks("run it again");
    assert_eq!(project.text("ran"), "1\n1\n2\n3\n");
}

#[test]
fn f6_a_frozen_recorder_costs_no_step_its_end() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```sh step timeout=8s\necho 1 >> \"$HOME/ran\"\nwhile test ! -e \"$HOME/go\"; do sleep 0.1; done\n```\n\n\
        ```sh step\necho 2 >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    let run = project.opsbook(&["run", "p", "here"]).start();
    until("it runs", || project.text("ran") == "1\n");
    let pids = fs::read_to_string(project.home(".opsbook/bundle/steps/1/pid")).unwrap();
    let step = pids.split(' ').next().unwrap();
    let recorder = recorders(&project.home(""))[0];
    kill(recorder, "STOP");
    fs::write(project.home("go"), "").unwrap();
    until("it has ended", || {
        fs::read_to_string(format!("/proc/{step}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    });
    let said = run.wait();
    assert_eq!(said.status, 3, "{said:?}");
    said.has("the node has no result of it");
    // Past its time limit, which it had kept.
    let status = project.home(".opsbook/bundle/steps/1/timed-out");
    let begin = Instant::now();
    until("its limit has passed", || begin.elapsed().as_secs() > 9);
    assert!(!status.exists());
    kill(recorder, "CONT");
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "1\n2\n");
}

#[test]
fn f10_what_a_run_that_was_given_up_left_here_blocks_nobody() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step on=local\necho 1 >> \"$HOME/ran\"\n```\n\n```sh step\ntest -e \"$HOME/go\"\n```\n";
    let project = Project::new(page);
    project.opsbook(&["run", "p", "here"]).ends(1);
    let run = project
        .record()
        .started()
        .map(|_| project.record().events[0].run.clone());
    let run = run.unwrap();
    fs::write(project.home("go"), "").unwrap();
    let said = project.opsbook(&["run", "p", "here"]).ends(4);
    said.has(&format!(
        "; `opsbook resume {run}` continues it, `opsbook lock release here --run {run}` releases it"
    ));
    project
        .opsbook(&["lock", "release", "here", "--run", &run])
        .ends(0);
    project.opsbook(&["run", "p", "here"]).ends(0);
    assert_eq!(project.text("ran"), "1\n1\n");
    assert!(!project.path(".opsbook/bundles/here").exists());
}

#[test]
fn f12_a_sheet_tells_how_to_begin_anew_where_the_bundle_is_gone() {
    let page = "# Page\n\n```yaml procedure\nid: p\nparams:\n  word: {required: true}\n```\n\n\
        ```sh step\nrm -rf \"$bundle\"\n```\n\n```sh step id=two\necho \"$word\"\n```\n";
    let project = Project::new(page);
    let said = project
        .opsbook(&["run", "p", "here", "--set", "word=it's"])
        .ends(3);
    said.has("to continue:  opsbook run p here --set 'word=it'\\''s' --start-at 1")
        .lacks("opsbook resume");
    // Once it is known, nobody is led there again.
    project.opsbook(&["resume"]).ends(3).has("is gone from");
    project.opsbook(&["resume"]).ends(2).has("no halted run");
}

#[test]
fn f1_the_sheet_of_a_killed_controller_says_where_the_bundle_is() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\n: > \"$HOME/began\"; sleep 1\n```\n";
    let project = Project::new(page);
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("began"));
    run.signal("KILL");
    run.wait();
    let said = project.opsbook(&["handoff"]).ends(0);
    said.has("it has no recorded end: its opsbook was killed, or still runs")
        .has("bundle=")
        .has("to give up:   opsbook lock release here --run ");
    project.opsbook(&["resume"]).ends(0);
}

#[test]
fn f8_a_journal_in_a_newer_format_is_not_gone_on_with() {
    let project =
        Project::new("# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\nfalse\n```\n");
    project.opsbook(&["run", "p", "here"]).ends(1);
    let path = project.record().path;
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"v\":2", "\"v\":3")).unwrap();
    let said = project.opsbook(&["resume"]).ends(3);
    said.has("an event in format 3, which a newer opsbook wrote");
}

#[test]
fn a_step_has_the_signals_that_a_script_expects() {
    // What these tests were started with ignored, by `nohup`, stays so in every shell.
    let signals: &[&str] = if ignores_hangup() {
        &["PIPE"]
    } else {
        &["PIPE", "HUP"]
    };
    let page = format!(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\nyes | head -n 1\n```\n\n\
         ```sh step\nfor s in {}; do (trap \"echo $s\" $s; kill -s $s \"$(sh -c 'echo $PPID')\"); done\nunset PWD\n```\n```text expect\n{}\n```\n\n\
         ```sh step\n[ \"$(pwd)\" = \"$bundle\" ]\n```\n",
        signals.join(" "),
        signals.join("\n")
    );
    let project = Project::new(&page);
    project
        .opsbook(&["run", "p", "here"])
        .ends(0)
        .lacks("Broken pipe");
}

fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    u64::from_str_radix(mask.unwrap().trim(), 16).unwrap() & 1 == 1
}

#[test]
fn f12_a_step_that_cannot_be_started_says_why() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\nrm \"$bundle/run\"\n```\n\n```sh step\n: > \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    let said = project.opsbook(&["run", "p", "here"]).ends(3);
    said.has("the step cannot be started: ").has("/run is gone");
    assert!(!project.home("ran").exists());
}

#[test]
fn f7_a_step_that_has_run_and_whose_variables_are_lost_is_asked_about() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```sh step\necho 1 >> \"$HOME/ran\"\nmv \"$bundle\" \"$HOME/away\"\nv=5\n```\n\n\
        ```sh step\necho \"2 ${v=none}\" >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    let said = project.opsbook(&["run", "p", "here"]).ends(3);
    said.has("the bundle is gone from the node; it may or may not have finished");
    fs::rename(project.home("away"), project.home(".opsbook/bundle")).unwrap();
    let said = project.opsbook(&["resume"]).input("d\n").ends(0);
    said.has("p/1 has run, but its output or its variables were not kept: run it [a]gain");
    assert_eq!(project.text("ran"), "1\n2 none\n");
}

#[test]
fn f7_a_step_that_locks_itself_out_of_its_bundle_is_not_ok() {
    let Some(node) = or_skip("T2", Node::start()) else {
        return;
    };
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\nv=5\nchmod 500 \"$bundle/steps/1\"\n```\n\n```sh step\necho \"$v\"\n```\n";
    let project = Project::new(page);
    project.node("far", &node.ssh(), "");
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("its output and its variables were not kept");
}

#[test]
fn f9_a_home_that_is_no_absolute_path_is_an_error_before_step_1() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\n: >\"$ran\"\n```\n";
    let project = Project::new(page);
    let ran = project.path("ran");
    project.nodes(&format!(
        "  far: {{transport: {{exec: [env, HOME=home, sh]}}, ran: {}}}\n",
        ran.display()
    ));
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("home/.opsbook/bundle has no absolute path");
    assert!(!ran.exists());
}

#[test]
fn f3_the_end_of_a_local_step_whose_shell_was_killed_is_not_known() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step on=local\n\
        : >\"$began\"\nuntil [ -e \"$go\" ]; do sleep 0.1; done\necho 1 >>\"$ran\"\n```\n\n\
        ```sh step\necho 2 >>\"$ran\"\n```\n";
    let project = Project::new(page);
    let at = |name: &str| project.path(name).display().to_string();
    project.nodes(&format!(
        "  here: {{transport: local, began: {}, go: {}, ran: {}}}\n",
        at("began"),
        at("go"),
        at("ran")
    ));
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.path("began"));
    for child in &tree(run.id())[1..] {
        kill(*child, "KILL");
    }
    let said = run.wait();
    said.has("the shell on this machine is gone")
        .has("look at the node first");
    assert!(project.ended(1).outcome_unknown);
    fs::write(project.path("go"), "").unwrap();
    // It has gone on by itself.
    until("it ends", || project.path("ran").exists());
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(fs::read_to_string(project.path("ran")).unwrap(), "1\n2\n");
}

#[test]
fn f3_a_session_whose_folder_is_deleted_is_noticed_at_once() {
    let Some(node) = or_skip("T2", Node::start()) else {
        return;
    };
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\nv=5\necho 1 >> \"$HOME/ran\"\nwhile test ! -e \"$HOME/go\"; do sleep 0.1; done\n```\n\n```sh step\necho \"$v\" >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    project.node("far", &node.ssh(), "");
    let ran = || fs::read_to_string(node.home().join("ran")).unwrap_or_default();
    let mut run = project.opsbook(&["run", "p", "far"]).start();
    until("it runs", || ran() == "1\n");
    node.root("rm -rf /dev/shm/.opsbook-*");
    let begin = Instant::now();
    run.until("it is found again", |event| {
        matches!(event.what, What::Reattached { .. })
    });
    assert!(begin.elapsed() < Duration::from_secs(30));
    fs::write(node.home().join("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(ran(), "1\n5\n");
}
