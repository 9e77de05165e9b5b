//! What the random loop of `soak.rs` once found: a second fault, or an earlier one, around a
//! resume.

use std::fs;

use opsbook::event::Status;

use crate::project::Project;
use crate::sshd::{Sshd, or_skip};

/// Ends the server's side of the connection, and nothing that runs on the node.
fn cut(node: &Sshd) {
    crate::sshd::kill(node.processes()[1], "KILL");
}

fn page(blocks: &str) -> String {
    format!("# Page\n\n```yaml procedure\nid: p\n```\n\n{blocks}")
}

#[test]
fn f3_a_cut_in_a_step_that_is_tried_again_does_not_run_it_a_third_time() {
    let Some(node) = or_skip("T1", Sshd::start()) else {
        return;
    };
    let project = Project::new(&page(
        "```sh step\necho x >> \"$HOME/ran\"\n[ -e \"$HOME/once\" ] || { : > \"$HOME/once\"; exit 3; }\nsleep 1\n```\n",
    ));
    project.node("far", &node.ssh(), "");
    project.opsbook(&["run", "p", "far"]).ends(1);
    let ran = || fs::read_to_string(node.home().join("ran")).unwrap();
    assert_eq!(ran(), "x\n");
    let mut resumed = project.opsbook(&["resume"]).start();
    resumed.until_file(&node.home().join(".opsbook/bundle/steps/1.1"));
    let begin = std::time::Instant::now();
    while ran() != "x\nx\n" {
        assert!(begin.elapsed().as_secs() < 60, "it was not tried again");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    cut(&node);
    let said = resumed.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(ran(), "x\nx\n");
}

#[test]
fn f3_the_local_bundle_is_closed_after_a_cut() {
    let Some(node) = or_skip("T1", Sshd::start()) else {
        return;
    };
    let project = Project::new(&page(
        "```sh step on=local\ntrue\n```\n\n```sh step\n: > \"$HOME/began\"\nsleep 1\n```\n",
    ));
    project.node("far", &node.ssh(), "");
    let mut run = project.opsbook(&["run", "p", "far"]).start();
    run.until_file(&node.home().join("began"));
    cut(&node);
    let said = run.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!project.path(".opsbook/bundles/far").exists());
}

#[test]
fn f1_a_repeated_set_up_keeps_what_the_steps_after_it_have_set() {
    let project = Project::new(&page(
        "```sh step setup\necho up >> \"$HOME/ran\"\n```\n\n```sh step\nkept=7\n```\n\n\
         ```sh step\n[ -e \"$HOME/once\" ] || { : > \"$HOME/once\"; exit 3; }\necho \"$kept\" >> \"$HOME/ran\"\n```\n",
    ));
    project.opsbook(&["run", "p", "here"]).ends(1);
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "up\nup\n7\n");
}

/// The journal has no end of that step: it came while nobody looked.
#[test]
fn f1_a_repeated_set_up_keeps_what_a_step_has_set_that_ended_by_itself() {
    let project = Project::new(&page(
        "```sh step setup\necho up >> \"$HOME/ran\"\n```\n\n\
         ```sh step\n: > \"$HOME/began\"\nuntil [ -e \"$HOME/go\" ]; do sleep 0.1; done\nkept=7\n```\n\n\
         ```sh step\necho \"$kept\" >> \"$HOME/ran\"\n```\n",
    ));
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("began"));
    run.signal("KILL");
    run.wait();
    project.write("home/go", "");
    let status = project.home(".opsbook/bundle/steps/2/status");
    crate::lab::until("the step has ended", || {
        fs::read_to_string(&status).is_ok_and(|text| text.trim_end().ends_with('.'))
    });
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "up\nup\n7\n");
}

/// What the last step that is done has set is of the operator's machine, and of no use here.
#[test]
fn f1_a_set_up_that_is_repeated_after_a_local_step_keeps_what_the_node_has() {
    let project = Project::new(&page(
        "```sh step setup\necho up >> \"$HOME/ran\"\n```\n\n```sh step\nkept=7\n```\n\n\
         ```sh step on=local id=here\nlocal=8\n```\n\n\
         ```sh step\necho \"$kept\" >> \"$HOME/ran\"\n```\n",
    ));
    let stopped = ["run", "p", "here", "--stop-after", "here"];
    project.opsbook(&stopped).ends(5);
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "up\nup\n7\n");
}

#[test]
fn f1_what_still_runs_ends_before_a_set_up_is_repeated() {
    let project = Project::new(&page(
        "```sh step setup\necho up >> \"$HOME/ran\"\n```\n\n\
         ```sh step\n: > \"$HOME/began\"\nuntil [ -e \"$HOME/go\" ]; do sleep 0.05; done\n\
         sleep 1\nkept=7\necho two >> \"$HOME/ran\"\n```\n\n\
         ```sh step\necho \"$kept\" >> \"$HOME/ran\"\n```\n",
    ));
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("began"));
    run.signal("KILL");
    run.wait();
    let mut resumed = project.opsbook(&["resume"]).start();
    resumed.until("the step is taken up", |event| {
        matches!(event.what, opsbook::event::What::StepAttached { .. })
    });
    fs::write(project.home("go"), "").unwrap();
    let said = resumed.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(project.text("ran"), "up\ntwo\nup\n7\n");
}

#[test]
fn f1_beside_what_still_runs_no_other_step_is_started() {
    let project = Project::new(&page(
        "```sh step id=one\necho one >> \"$HOME/ran\"\n```\n\n\
         ```sh step id=two\n: > \"$HOME/began\"\nuntil [ -e \"$HOME/go\" ]; do sleep 0.05; done\n\
         echo two >> \"$HOME/ran\"\n```\n",
    ));
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("began"));
    run.signal("KILL");
    run.wait();
    let said = project.opsbook(&["resume", "--start-at", "one"]).ends(4);
    said.has("step two still runs: omit `--start-at` to wait until it ends");
    assert_eq!(project.text("ran"), "one\n");
    fs::write(project.home("go"), "").unwrap();
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "one\ntwo\n");
}

#[test]
fn f6_what_was_to_answer_may_be_killed() {
    // The session's own record tells which process answers; it is hardly ever there.
    let project = Project::new(&page(
        "```sh step\nuntil [ -e \"$HOME/killed\" ]; do\n  for f in \"$XDG_RUNTIME_DIR\"/.opsbook-*/c*.j; do\n\
         \x20   if [ -s \"$f\" ] && read -r p _ < \"${f%.j}.p\" && kill -9 \"$p\"; then : > \"$HOME/killed\"; fi\n  done\ndone\n\
         sleep 2\nkept=7\n```\n\n\
         ```sh step\necho \"$kept ${p:?}\" >> \"$HOME/ran\"\n```\n",
    ));
    let place = tempfile::tempdir().unwrap();
    // One that has just answered may be killed, too: that is no loss, and another try is made.
    let hit = (0..6).any(|_| {
        for file in ["killed", "ran"] {
            let _ = fs::remove_file(project.home(file));
        }
        let begin = std::time::Instant::now();
        let said = project
            .opsbook(&["run", "p", "here"])
            .env("XDG_RUNTIME_DIR", &place.path().to_string_lossy())
            .ends(0);
        assert!(begin.elapsed().as_secs() < 40, "{:?}", begin.elapsed());
        assert!(project.text("ran").starts_with("7 "));
        let all = format!("{}{}", said.out, said.err);
        all.contains("the helper on the node was killed")
    });
    assert!(hit, "nothing that was still to answer was killed");
}

#[test]
fn f1_a_set_up_that_fails_when_it_is_repeated_leaves_what_was_done_done() {
    let project = Project::new(&page(
        "```sh step setup\necho up >> \"$HOME/ran\"\n[ ! -e \"$HOME/down\" ]\n```\n\n\
         ```console step\n$ echo two >> \"$HOME/ran\"\n```\n\n\
         ```sh step\n[ -e \"$HOME/go\" ]\necho three >> \"$HOME/ran\"\n```\n",
    ));
    project.opsbook(&["run", "p", "here"]).ends(1);
    std::fs::write(project.home("down"), "").unwrap();
    project.opsbook(&["resume"]).ends(1);
    std::fs::remove_file(project.home("down")).unwrap();
    std::fs::write(project.home("go"), "").unwrap();
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "up\ntwo\nup\nup\nthree\n");
}

#[test]
fn a_trap_of_its_own_does_not_cost_a_step_its_variables() {
    let project = Project::new(&page(
        "```sh step\ntrap 'echo \"bye $?\"' EXIT\nkept=7\n```\n```text expect\nbye 0\n```\n\n\
         ```bash step\ntrap 'echo bash' EXIT\necho \"$kept\"\nkept=8\n```\n```text expect\n7\nbash\n```\n\n\
         ```sh step exit=3\necho \"$kept\"\nkept=9\nexit 3\n```\n```text expect\n8\n```\n\n\
         ```sh step\necho \"$kept\"\n(exit 4)\n```\n```text expect\n9\n```\n",
    ));
    project.opsbook(&["run", "p", "here"]).ends(1);
    assert_eq!(project.ended(4).exit, Some(4));
}

#[test]
fn transcripts_show_standard_error_and_take_the_words_of_a_step() {
    let project = Project::new(&page(
        "```console step exit=2\n$ echo out; echo oh >&2; (exit 2)\nout\noh\n```\n\n\
         ```console step capture=said\n$ echo one\n$ echo two\n```\n```text expect\ntwo\n```\n\n\
         ```console step\n$ echo \"$said\"\ntwo\n```\n\n\
         ```console check\n$ echo oh >&2; (exit 3)\noh\nexit 3\n$ echo more\nmore\n```\n\n\
         ```console step\n$ echo wrong\n```\n```text expect\nright\n```\n",
    ));
    let said = project.opsbook(&["run", "p", "here"]).ends(1);
    said.has("expected  right");
    assert_eq!(project.ended(4).status, opsbook::event::Status::Failed);
    assert_eq!(
        project.ended(3).status,
        opsbook::event::Status::Ok,
        "{said:?}"
    );
}

#[test]
fn what_a_sourced_file_exports_is_there_in_the_next_step() {
    let project = Project::new(&page(
        "```console step\n$ printf '%s\\n' \"export FOO='a  b'\" 'PATH=/x:$PATH; BAR=1; export BAR' > \"$HOME/env\"\n\
         $ . \"$HOME/env\"\n$ echo \"$FOO $BAR\"\na  b 1\n```\n\n\
         ```bash step\necho \"$FOO ${PATH%%:*} ${OPSBOOK_STEP##*/}\"\nexport FOO=c\n```\n```text expect\na  b /x 2\n```\n\n\
         ```sh step\necho \"$FOO $BAR\"\n```\n```text expect\nc 1\n```\n",
    ));
    project.opsbook(&["run", "p", "here"]).ends(0);
}

const ONE: &str = "```sh step id=one\necho one >> \"$HOME/ran\"\n```\n\n";
const TWO: &str = "```sh step id=two\necho two >> \"$HOME/ran\"\ntest -e \"$HOME/go\"\n```\n\n";
const THREE: &str = "```sh step id=three\necho three >> \"$HOME/ran\"\n```\n";

#[test]
fn f25_a_step_that_is_done_and_stands_elsewhere_now_is_refused_whatever_is_accepted() {
    let nameless = |text: &str| text.replace(" id=one", "");
    for (before, now) in [
        ([ONE, TWO, THREE].concat(), [TWO, THREE].concat()),
        ([ONE, TWO, THREE].concat(), [THREE, ONE, TWO].concat()),
        (nameless(ONE) + TWO + THREE, [TWO, THREE].concat()),
        (
            nameless(ONE) + TWO,
            format!("```sh step\ntrue\n```\n\n{}{TWO}", nameless(ONE)),
        ),
    ] {
        let project = Project::new(&page(&before));
        project.opsbook(&["run", "p", "here"]).ends(1);
        std::fs::write(project.home("go"), "").unwrap();
        project.page(&page(&now));
        let said = project.opsbook(&["resume", "--accept-changed"]).ends(2);
        said.has("has started, but the manual has moved or removed it");
        assert_eq!(project.text("ran"), "one\ntwo\n");
        // Back in its place, it goes on.
        project.page(&page(&before));
        project.opsbook(&["resume"]).ends(0);
    }
}

#[test]
fn f25_the_step_that_failed_may_become_another() {
    let project = Project::new(&page(&[ONE, TWO, THREE].concat()));
    project.opsbook(&["run", "p", "here"]).ends(1);
    let other = TWO.replace("id=two", "id=other").replace("test -e", ": ");
    project.page(&page(&[ONE, &other, THREE].concat()));
    project.opsbook(&["resume", "--accept-changed"]).ends(0);
    assert_eq!(project.text("ran"), "one\ntwo\ntwo\nthree\n");
}

#[test]
fn f8_a_journal_with_a_line_missing_or_of_another_run_is_not_gone_on_with() {
    let project = Project::new(&page(&[ONE, TWO, THREE].concat()));
    project.opsbook(&["run", "p", "here"]).ends(1);
    std::fs::write(project.home("go"), "").unwrap();
    let path = project.record().path;
    let whole = std::fs::read_to_string(&path).unwrap();
    let run = path.file_stem().unwrap().to_str().unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let cases = [
        (
            lines[..5].concat() + &lines[6..].concat(),
            ":6: found event 7 of run",
        ),
        (
            lines[..5].concat() + &whole.replace(run, "other"),
            ":6: found event 1 of run other",
        ),
        (lines[..5].concat() + "garbage\n", ":6: not an event"),
    ];
    for (text, wrong) in cases {
        std::fs::write(&path, text).unwrap();
        // Nor is it passed over for an older run.
        for arguments in [&["resume"][..], &["resume", run], &["resume", "here"]] {
            project.opsbook(arguments).ends(3).has(wrong);
        }
        assert_eq!(project.text("ran"), "one\ntwo\n");
    }
    std::fs::write(&path, whole).unwrap();
    project.opsbook(&["resume"]).ends(0);
}

#[test]
fn f22_a_captured_secret_is_never_gone_on_with_as_its_mask() {
    let project = Project::new(&page(
        "```sh step id=one capture=token\necho \"x-$pw-y\"\n```\n\n\
         ```sh step id=two\ntest -e \"$HOME/go\"\n```\n\n\
         ```sh step id=three\nprintf %s \"$token\" > \"$HOME/token\"\n```\n",
    ));
    project.nodes("  here: {transport: local, pw: {secret: {file: pw}}}\n");
    project.write("pw", "hunter22\n");
    project.opsbook(&["run", "p", "here"]).ends(1);
    std::fs::write(project.home("go"), "").unwrap();
    let said = project.opsbook(&["resume"]).ends(3);
    said.has("`token` holds a secret, so its captured value was not kept: start at the step that captures it");
    assert_eq!(project.text("token"), "");
    project.opsbook(&["resume", "--start-at", "one"]).ends(0);
    assert_eq!(project.text("token"), "x-hunter22-y");
    assert!(!project.journal_text().contains("hunter22"));
}

#[test]
fn a_run_is_halted_as_long_as_one_of_its_nodes_is() {
    let project = Project::new(&page(
        "```sh step\n[ \"$good\" = yes ] || [ -e \"$HOME/go\" ]\necho \"$node\" >> \"$HOME/ran\"\n```\n",
    ));
    project.nodes(
        "  a: {transport: local, bundle_dir: .opsbook/a, good: no}\n  b: {transport: local, bundle_dir: .opsbook/b, good: yes}\n",
    );
    let run = [
        "run",
        "p",
        "a",
        "b",
        "--yes",
        "--batch",
        "1",
        "--max-fail",
        "1",
    ];
    project.opsbook(&run).ends(1);
    assert_eq!(project.text("ran"), "b\n");
    std::fs::write(project.home("go"), "").unwrap();
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "b\na\n");
    project.opsbook(&["resume"]).ends(2).has("no halted run");
}

#[test]
fn what_was_left_out_on_purpose_is_not_left_to_be_done_by_hand() {
    let project = Project::new(&page(
        "```sh step id=one\necho 1 >> \"$HOME/ran\"\n```\n\n```sh step id=two\ntest -e \"$HOME/go\"\n```\n\n```sh step id=three\necho 3 >> \"$HOME/ran\"\n```\n",
    ));
    let said = project
        .opsbook(&["run", "p", "here", "--start-at", "two"])
        .ends(1);
    said.has("\n# left out, as asked:\n#   1 one\n\n# left, with the values of here; how to get there:\n")
        .has("# 3 three")
        .lacks("# 1 one");
    std::fs::write(project.home("go"), "").unwrap();
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "3\n");
}

#[test]
fn what_was_left_out_on_purpose_is_left_out_by_resume() {
    let page = page(
        "```sh step id=up setup\necho up >> \"$HOME/ran\"\n```\n\n```sh step id=one\necho 1 >> \"$HOME/ran\"\n```\n\n```sh step id=two confirm\necho 2 >> \"$HOME/ran\"\ntest -e \"$HOME/go\"\n```\n",
    );
    let start = ["run", "p", "here", "--start-at", "two"];
    for halts in 1..=3 {
        let project = Project::new(&page);
        // Before the step, then in it.
        project.opsbook(&start).ends(5);
        for _ in 1..halts {
            project.opsbook(&["resume", "--yes"]).ends(1);
        }
        let sheet = project.opsbook(&["handoff"]).ends(0);
        sheet.has("left out, as asked:\n#   ").lacks("# 2 one");
        std::fs::write(project.home("go"), "").unwrap();
        project.opsbook(&["resume", "--yes"]).ends(0);
        assert!(!project.text("ran").contains('1'), "after {halts} halts");
    }
}

#[test]
fn what_resume_is_told_to_pass_over_is_written_down() {
    let project = Project::new(&page(
        "```sh step id=one\nfalse\n```\n\n```sh step id=two\necho 2 >> \"$HOME/ran\"\n```\n\n```sh step id=three\necho 3 >> \"$HOME/ran\"\n```\n",
    ));
    project.opsbook(&["run", "p", "here"]).ends(1);
    let said = project.opsbook(&["resume", "--start-at", "three"]).ends(0);
    said.has("SKIPPED")
        .has("note: it was FAILED; continued at three");
    said.has("note: it was not begun; continued at three");
    assert_eq!(project.text("ran"), "3\n");
    let statuses: Vec<_> = project.record().steps("here").into_values().collect();
    let skipped = Some(Status::Skipped);
    assert_eq!(statuses, [skipped, skipped, Some(Status::Ok)]);
}

#[test]
fn a_run_that_was_blocked_does_not_hide_the_one_that_is_halted() {
    let project = Project::new(&page(
        "```sh step\necho 1 >> \"$HOME/ran\"\n```\n\n```sh step\ntest -e \"$HOME/go\"\necho 2 >> \"$HOME/ran\"\n```\n",
    ));
    project.opsbook(&["run", "p", "here"]).ends(1);
    let run = project.record().events[0].run.clone();
    for _ in 0..2 {
        let said = project.opsbook(&["run", "p", "here"]).ends(4);
        said.has(&format!("`opsbook resume {run}` continues it"));
    }
    let said = project.opsbook(&["handoff", "here"]).ends(0);
    said.has(&format!("opsbook resume {run}"));
    std::fs::write(project.home("go"), "").unwrap();
    project.opsbook(&["resume", "here"]).ends(0);
    assert_eq!(project.text("ran"), "1\n2\n");
}

#[test]
fn f25_a_value_that_changed_since_the_halt_is_refused_with_the_difference() {
    let project = Project::new(&page(
        "```sh step\necho \"$release\" >> \"$HOME/ran\"\n```\n\n\
         ```sh step\ntest -e \"$HOME/go\"\necho \"$release\" >> \"$HOME/ran\"\n```\n",
    ));
    let values = |release: &str, other: &str| {
        project.nodes(&format!(
            "  here: {{transport: local, release: {release}, other: {other}}}\n"
        ));
    };
    values("r7", "a");
    project.opsbook(&["run", "p", "here"]).ends(1);
    std::fs::write(project.home("go"), "").unwrap();
    values("r8", "b");
    let said = project.opsbook(&["resume"]).ends(2);
    said.has("---- release = \"r7\"\n+--- release = \"r8\"\n");
    assert_eq!(project.text("ran"), "r7\n");
    values("r7", "c");
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "r7\nr7\n");
}

#[test]
fn a_run_that_is_under_way_is_not_called_halted() {
    let project = Project::new(&page(
        "```sh step\n: > \"$HOME/began\"\nuntil [ -e \"$HOME/go\" ]; do sleep 0.05; done\n```\n",
    ));
    let mut first = project.opsbook(&["run", "p", "here"]).start();
    first.until_file(&project.home("began"));
    let second = project.opsbook(&["run", "p", "here"]).ends(4);
    assert!(!second.err.contains("halted"), "{second:?}");
    std::fs::write(project.home("go"), "").unwrap();
    assert_eq!(first.wait().status, 0);
}

#[test]
fn one_node_at_a_time_is_in_their_order() {
    let project = Project::new(&page("```sh step\necho \"$node\" >> \"$HOME/ran\"\n```\n"));
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let node = |name| format!("  {name}: {{transport: local, bundle_dir: .opsbook/{name}}}\n");
    project.nodes(&names.map(node).concat());
    for _ in 0..3 {
        let run = ["run", "p", "*", "--yes", "--parallel", "1"];
        project.opsbook(&run).ends(0);
    }
    assert_eq!(project.text("ran").replace('\n', ""), "abcdefgh".repeat(3));
}
