//! Questions on a terminal: what was typed before one does not answer it, one question for all
//! nodes at Ctrl-C, and Ctrl-C heard at each. F42.

use std::fs;
use std::time::{Duration, Instant};

use opsbook::event::{Status, What};

use crate::faults::signals::{CTRL_C, Terminal};
use crate::project::{Project, marker, running};
use crate::sshd::or_skip;
use crate::tier;

/// Below what any of the waits here would take by itself.
const SOON: Duration = Duration::from_secs(30);

fn terminal() -> bool {
    or_skip("a terminal", tier::program("/usr/bin/script")).is_some()
}

/// A first step that waits until the file `go` is there, and a second one.
fn two(second: &str) -> String {
    format!(
        "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n\
         ```sh step id=one\n: > \"$HOME/began\"\nwhile test ! -e \"$HOME/go\" && test -d \"$HOME\"; do sleep 0.1; done\n```\n\n{second}"
    )
}

const CONFIRMED: &str =
    "```sh step id=two confirm\nrelease=1.2\necho \"drop $release\" >> \"$HOME/dropped\"\n```\n";
const BY_PERSON: &str = "```text manual id=two\nCall the duty officer.\n```\n";

/// Presses keys while the first step runs, and lets it end once the terminal has them.
fn typed_ahead(terminal: &mut Terminal, project: &Project, keys: &str) {
    terminal.until(|| project.home("began").exists());
    terminal.press(keys);
    let echo = keys.replace('\n', "\r\n");
    terminal.until_shown(&echo);
    fs::write(project.home("go"), "").unwrap();
}

#[test]
fn f42_what_was_typed_before_a_question_about_a_step_does_not_answer_it() {
    if !terminal() {
        return;
    }
    for (second, line, keys, question, no) in [
        (CONFIRMED, "run p here", "y\n", "go on? ", "n\n"),
        (CONFIRMED, "run p here", "c\n", "go on? ", "n\n"),
        (BY_PERSON, "run p here", "y\n", "done? ", "n\n"),
    ] {
        let project = Project::new(&two(second));
        let mut terminal = Terminal::start(&project, line);
        typed_ahead(&mut terminal, &project, keys);
        terminal.until_shown(question);
        terminal.press(no);
        terminal.ends(5);
        assert_eq!(project.text("dropped"), "", "{}", terminal.shown());
        assert_eq!(project.status(), Some(Status::Stopped));
        assert_eq!(terminal.shown().matches(question).count(), 1);
    }
}

#[test]
fn f42_what_was_typed_before_the_menu_or_its_note_does_not_answer_them() {
    if !terminal() {
        return;
    }
    let project = Project::new(&two(CONFIRMED));
    let mut terminal = Terminal::start(&project, "run p here --step");
    terminal.until_shown("[q]uit > ");
    terminal.press("r\n");
    typed_ahead(&mut terminal, &project, "r\n");
    terminal.until(|| terminal.shown().matches("[q]uit > ").count() == 2);
    // Both lines at once: the second was typed before its question.
    terminal.press("s\nnot this\n");
    terminal.until_shown("note for the journal");
    terminal.press("this\n");
    terminal.ends(0);
    assert_eq!(project.text("dropped"), "");
    assert_eq!(project.ended(2).note.as_deref(), Some("this"));
}

#[test]
fn f42_what_was_typed_before_a_question_about_nodes_or_locks_does_not_answer_it() {
    if !terminal() {
        return;
    }
    let wait = "while test ! -e home/start; do sleep 0.05; done;";
    let page =
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho ran >> \"$HOME/ran\"\n```\n";
    let confirming = "  here: {transport: local, confirm: run}\n";
    let two = "  here: {transport: local}\n  there: {transport: local, bundle_dir: there}\n";
    for (nodes, line, question) in [
        (two, "run p here there", "go on? "),
        (confirming, "run p here", "go on? "),
        (confirming, "run p here --yes -K", "password of sudo"),
    ] {
        let project = Project::new(page);
        project.nodes(nodes);
        let mut terminal = Terminal::start_after(&project, wait, line);
        terminal.press("y\n");
        terminal.until_shown("y\r\n");
        fs::write(project.home("start"), "").unwrap();
        terminal.until_shown(question);
        terminal.press(CTRL_C);
        terminal.ends(5);
        assert_eq!(project.text("ran"), "", "{line}");
    }
    let project = Project::new(page);
    project.page("# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\nprintf %s \"$pin\" > \"$HOME/pin\"\n```\n");
    project.nodes("  here: {transport: local, pin: {secret: {prompt: the pin}}}\n");
    let mut terminal = Terminal::start_after(&project, wait, "run p here");
    terminal.press("typed before\n");
    terminal.until_shown("typed before\r\n");
    fs::write(project.home("start"), "").unwrap();
    terminal.until_shown("the pin: ");
    terminal.press("typed after\n");
    terminal.ends(0);
    assert_eq!(project.text("pin"), "typed after");
    assert!(!terminal.shown().contains("typed after"));
}

#[test]
fn f42_what_was_typed_before_a_question_of_resume_or_of_ctrl_c_does_not_answer_it() {
    if !terminal() {
        return;
    }
    let page = "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n```sh step\necho ran >> \"$HOME/ran\"\nrm -rf \"$bundle\"/steps/1\n```\n";
    let project = Project::new(page);
    project.opsbook(&["run", "p", "here"]).ends(3);
    let wait = "while test ! -e home/start; do sleep 0.05; done;";
    let mut again = Terminal::start_after(&project, wait, "resume");
    again.press("a\n");
    again.until_shown("a\r\n");
    fs::write(project.home("start"), "").unwrap();
    again.until_shown("run it [a]gain");
    again.press("q\n");
    again.ends(5);
    assert_eq!(project.text("ran"), "ran\n");

    let project = Project::new(&two(""));
    let mut run = Terminal::start(&project, "run p here");
    run.until(|| project.home("began").exists());
    run.press("s\n");
    run.until_shown("s\r\n");
    run.press(CTRL_C);
    run.until_shown("[h]old after it > ");
    run.press("h\n");
    fs::write(project.home("go"), "").unwrap();
    run.ends(0);
    assert_eq!(project.ended(1).status, Status::Ok);
}

#[test]
fn f42_a_question_shows_the_step_with_its_values_and_explains_its_keys() {
    if !terminal() {
        return;
    }
    let page = "# Page\n\n```yaml procedure\nid: p\nparams:\n  site: {default: '1.2'}\n```\n\n\
        ```sh step id=drop confirm\necho \"drop $site with $pass\" > /dev/null\necho done >> \"$HOME/ran\"\n```\n\n\
        ```sh step id=next confirm\necho next >> \"$HOME/ran\"\n```\n\n\
        ```sh step id=last confirm\necho last >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    project.write("secret", "geheim77\n");
    project.nodes("  here: {transport: local, pass: {secret: {file: secret}}}\n");
    let mut terminal = Terminal::start(&project, "run p here");
    terminal.until_shown("go on? ");
    let asked = terminal.shown();
    for shown in [
        "site=1.2",
        "# pass is a secret: file secret",
        "echo \"drop $site with $pass\"",
    ] {
        assert!(asked.contains(shown), "{shown}: {asked}");
    }
    assert_eq!(project.text("ran"), "");
    terminal.press("v\n");
    terminal.until(|| terminal.shown().matches("site=1.2").count() == 2);
    terminal.press("?\n");
    terminal.until_shown("yes, also to all later confirmations on this node");
    terminal.press("yellow\n");
    terminal.until(|| terminal.shown().matches("go on\r\n").count() == 2);
    terminal.press("y\n");
    terminal.until(|| terminal.shown().matches("go on? ").count() == 2);
    assert_eq!(project.text("ran"), "done\n");
    terminal.press("c\n");
    terminal.ends(0);
    assert_eq!(project.text("ran"), "done\nnext\nlast\n");
    assert!(!terminal.shown().contains("geheim77"));
    let answers = project
        .events()
        .into_iter()
        .filter_map(|event| match event.what {
            What::Answered { answer, .. } => Some(answer),
            _ => None,
        });
    assert_eq!(
        answers.collect::<Vec<_>>(),
        [
            "yes",
            "yes, and continue without asking",
            "not asked: an earlier answer was to continue without asking"
        ]
    );
}

#[test]
fn f42_without_its_menu_a_step_that_asks_first_still_does() {
    if !terminal() {
        return;
    }
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```sh step id=one\necho 1 >> \"$HOME/ran\"\n```\n\n```sh step id=two\necho 2 >> \"$HOME/ran\"\n```\n\n\
        ```sh step id=three confirm\necho 3 >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    let mut terminal = Terminal::start(&project, "run p here --step");
    terminal.until_shown("[q]uit > ");
    terminal.press("c\n");
    terminal.until_shown("go on? ");
    assert_eq!(project.text("ran"), "1\n2\n");
    terminal.press("n\n");
    terminal.ends(5);
    assert_eq!(project.text("ran"), "1\n2\n");
}

/// A node that asks, beside one that prints all the time.
#[test]
fn f42_nothing_is_shown_over_a_question() {
    if !terminal() {
        return;
    }
    let page = "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n\
        ```sh step\nif test \"$node\" = loud; then i=0; while test ! -e \"$HOME/go\" && test -d \"$HOME\"; do i=$((i+1)); echo \"beat $i\"; echo $i > \"$HOME/beats\"; sleep 0.1; done; fi\n```\n\n\
        ```sh step confirm\necho \"$node\" >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    project.nodes(
        "  loud: {transport: local, bundle_dir: a/bundle}\n  quiet: {transport: local, bundle_dir: b/bundle}\n",
    );
    let mut terminal = Terminal::start_after(&project, "", "run p loud quiet --parallel 2");
    terminal.until_shown("go on? ");
    terminal.press("y\n");
    terminal.until(|| terminal.shown().matches("go on? ").count() == 2);
    let beats = || project.text("beats").trim().parse::<u32>().unwrap_or(0);
    // Printed before the question; some of it may be on its way.
    let at_question = terminal.shown();
    let from = beats();
    terminal.until(|| beats() > from + 20);
    assert_eq!(terminal.shown(), at_question);
    terminal.press("y\n");
    terminal.until_shown(&format!("beat {}", from + 10));
    terminal.until(|| project.text("ran") == "quiet\n");
    fs::write(project.home("go"), "").unwrap();
    terminal.until(|| terminal.shown().matches("go on? ").count() == 3);
    terminal.press("y\n");
    terminal.ends(0);
    assert_eq!(project.text("ran"), "quiet\nloud\n");
}

const THREE: &str = "  a: {transport: local, bundle_dir: a/bundle}\n  b: {transport: local, bundle_dir: b/bundle}\n  c: {transport: local, bundle_dir: c/bundle}\n";

#[test]
fn f42_one_ctrl_c_with_many_nodes_asks_one_question() {
    if !terminal() {
        return;
    }
    for (key, status) in [("s\n", 5), ("h\n", 0), ("l\n", 5)] {
        let mark = marker();
        let page = format!(
            "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n```sh step\necho 1 >> \"$HOME/ran-$node\"\nwhile test ! -e \"$HOME/go\" && test -d \"$HOME\"; do sleep 0.1{mark}; done\necho end >> \"$HOME/ran-$node\"\n```\n"
        );
        let project = Project::new(&page);
        project.nodes(THREE);
        let mut terminal = Terminal::start(&project, "run p a b c --yes --parallel 3");
        let ran = |node: &str| project.text(&format!("ran-{node}"));
        terminal.until(|| ["a", "b", "c"].iter().all(|node| ran(node) == "1\n"));
        terminal.press(CTRL_C);
        terminal.until_shown("ask about [e]ach > ");
        for node in ["a", "b", "c"] {
            assert!(terminal.shown().contains(&format!("  {node}: p/1: Page")));
        }
        terminal.press(key);
        if key == "h\n" {
            fs::write(project.home("go"), "").unwrap();
        }
        terminal.ends(status);
        assert_eq!(terminal.shown().matches("[l]eave").count(), 1, "{key}");
        let runs = || running(&format!("0.1{mark}")).len();
        match key {
            // Between two of its sleeps a loop has none.
            "l\n" => crate::lab::until("all go on", || runs() == 3),
            _ => assert_eq!(runs(), 0, "{key}"),
        }
        fs::write(project.home("go"), "").unwrap();
        crate::lab::until("nothing of it runs", || runs() == 0);
    }
}

#[test]
fn f42_ctrl_c_is_heard_at_once_wherever_is_waited() {
    if !terminal() {
        return;
    }
    let eventually = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\ntrue\n```\n\n```sh check eventually=5m/4m\n: > \"$HOME/began\"\ntest -e \"$HOME/never\"\n```\n";
    let plain = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho \"$pass\" > /dev/null\n: > \"$HOME/began\"\n```\n";
    let slow = "  here: {transport: local, pass: {secret: {command: [sh, -c, ': > home/began; exec sleep 100']}}}\n";
    let plain_nodes = "  here: {transport: local, pass: x}\n  there: {transport: local, bundle_dir: there, pass: x}\n";
    for (page, nodes, line) in [
        (eventually, plain_nodes, "run p here"),
        (plain, slow, "run p here"),
        (
            plain,
            plain_nodes,
            "run p here there --yes --batch 1 --wait 5m",
        ),
    ] {
        let project = Project::new(page);
        project.nodes(nodes);
        let mut terminal = Terminal::start(&project, line);
        terminal.until(|| project.home("began").exists());
        if line.contains("--wait") {
            terminal.until(|| project.record().node_status("here").is_some());
        }
        let begin = Instant::now();
        terminal.press(CTRL_C);
        terminal.ends(5);
        assert!(begin.elapsed() < SOON, "{line}: {:?}", begin.elapsed());
    }
}

#[test]
fn f42_what_a_step_that_is_passed_over_captures_is_asked_for() {
    if !terminal() {
        return;
    }
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```sh step id=find capture=serial\necho 7\n```\n\n\
        ```sh step id=use\necho \"$serial\" >> \"$HOME/ran\"\n```\n";
    for (keys, ran) in [("b\n", "8\n"), ("s\n", "8\n"), ("r\n", "7\n")] {
        let project = Project::new(page);
        let mut terminal = Terminal::start(&project, "run p here --step");
        terminal.until_shown("[q]uit > ");
        terminal.press(keys);
        if keys != "r\n" {
            terminal.until_shown("note for the journal");
            terminal.press("looked\n");
            terminal.until_shown("value of `serial`, which p/find captures");
            terminal.press("8\n");
        }
        terminal.until(|| terminal.shown().matches("[q]uit > ").count() == 2);
        terminal.press("r\n");
        terminal.ends(0);
        assert_eq!(project.text("ran"), ran);
    }
}

/// Until so long after the question.
fn think(terminal: &Terminal, time: Duration) {
    let begin = Instant::now();
    terminal.until(|| begin.elapsed() >= time);
}

const THOUGHT: Duration = Duration::from_secs(3);

#[test]
fn f42_the_wait_for_an_answer_is_no_time_of_a_step() {
    if !terminal() {
        return;
    }
    let own = |project: &Project, step| Duration::from_millis(project.ended(step).milliseconds);
    let project = Project::new(&two(BY_PERSON));
    let begin = Instant::now();
    let mut terminal = Terminal::start(&project, "run p here");
    terminal.until(|| project.home("began").exists());
    terminal.press(CTRL_C);
    terminal.until_shown("[h]old after it > ");
    fs::write(project.home("go"), "").unwrap();
    let ended = project.home(".opsbook/bundle/steps/1/status");
    terminal.until(|| fs::read_to_string(&ended).is_ok_and(|status| status.contains("exited")));
    think(&terminal, THOUGHT);
    terminal.press("h\n");
    terminal.ends(5);
    assert!(
        own(&project, 1) + THOUGHT < begin.elapsed(),
        "{:?}",
        own(&project, 1)
    );

    let project = Project::new(&two(BY_PERSON));
    fs::write(project.home("go"), "").unwrap();
    let begin = Instant::now();
    let mut terminal = Terminal::start(&project, "run p here");
    terminal.until_shown("done? ");
    think(&terminal, THOUGHT);
    terminal.press("y\n");
    terminal.ends(0);
    assert!(
        own(&project, 2) + THOUGHT < begin.elapsed(),
        "{:?}",
        own(&project, 2)
    );
}

#[test]
fn f42_before_many_nodes_the_whole_plan_can_be_seen() {
    if !terminal() {
        return;
    }
    let project = Project::new(&two(CONFIRMED));
    project.nodes(THREE);
    let mut terminal = Terminal::start(&project, "run p a b c --start-at two");
    terminal.until_shown("go on? [y]es, [n]o, [v]iew again, [?] > ");
    terminal.press("v\n");
    terminal.until_shown("left out, as asked: 1 one");
    terminal.until_shown("echo \"drop $release\"");
    terminal.press("n\n");
    terminal.ends(5);
    assert_eq!(project.runs(), 0);
}
