//! Faults of the controller's own life: F1 from outside, and F2.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use opsbook::event::{Status, What};

use crate::lab::until;
use crate::project::{Project, marker, running};
use crate::sshd::or_skip;
use crate::tier;

fn waiting(mark: &str) -> String {
    format!(
        "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n```sh step id=one\necho 1 >> \"$HOME/ran\"\nwhile test ! -e \"$HOME/go\" && test -d \"$HOME\"; do sleep 0.1{mark}; done\necho end >> \"$HOME/ran\"\n```\n\n```sh step id=two\necho 2 >> \"$HOME/ran\"\n```\n"
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
fn f2_while_a_node_is_reached_it_stops_at_once() {
    // It lets everybody in and never says a word.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = deaf.local_addr().unwrap().port();
    let mark = marker();
    let project = Project::new(&waiting(""));
    project.nodes(&format!(
        "  far: {{address: 127.0.0.1, port: {port}, user: nobody{mark}}}\n"
    ));
    let run = project.opsbook(&["run", "p", "far"]).start();
    let (_first, _) = deaf.accept().unwrap();
    let begin = Instant::now();
    run.signal("INT");
    let said = run.wait();
    assert_eq!(said.status, 5, "{said:?}");
    said.has("stopped before the first step");
    assert!(begin.elapsed() < Duration::from_secs(8), "{said:?}");
    until("ssh ends", || running(&format!("nobody{mark}")).is_empty());
    assert!(begin.elapsed() < Duration::from_secs(8), "ssh went on");
}

#[test]
fn f2_on_a_terminal_it_asks_and_leaving_leaves_the_step_running() {
    let Some(()) = or_skip("a terminal", tier::program("/usr/bin/script")) else {
        return;
    };
    let project = Project::new(&waiting(""));
    let mut terminal = Terminal::start(&project, "run p here");
    terminal.until(|| project.home("ran").exists());
    terminal.press(CTRL_C);
    terminal.until_shown("[l]eave");
    terminal.press("l\n");
    terminal.ends(5);
    assert_eq!(project.status(), Some(Status::Stopped));
    fs::write(project.home("go"), "").unwrap();
    until("the step ends by itself", || {
        project.text("ran") == "1\nend\n"
    });
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "1\nend\n2\n");
}

/// One step on each of three nodes, which says that it runs; it goes on when it is told to end.
const THREE: &str = "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n```sh step\ntrap '' TERM\necho 1 >> \"$HOME/ran-$node\"\nwhile test ! -e \"$HOME/go\" && test -d \"$HOME\"; do sleep 0.1MARK; done\necho end >> \"$HOME/ran-$node\"\n```\n";

fn on_three(mark: &str, deaf: bool) -> Project {
    let page = THREE.replace("MARK", mark);
    let project = Project::new(&if deaf {
        page
    } else {
        page.replace("trap '' TERM\n", "")
    });
    project.nodes(
        "  a: {transport: local, bundle_dir: a/bundle, values: {node: a}}\n  b: {transport: local, bundle_dir: b/bundle, values: {node: b}}\n  c: {transport: local, bundle_dir: c/bundle, values: {node: c}}\n",
    );
    project
}

fn until_three_run(terminal: &Terminal, project: &Project) {
    terminal.until(|| {
        ["a", "b", "c"]
            .iter()
            .all(|node| project.home(&format!("ran-{node}")).exists())
    });
}

#[test]
fn f2_asked_for_each_node_every_step_that_runs_is_asked_about() {
    let Some(()) = or_skip("a terminal", tier::program("/usr/bin/script")) else {
        return;
    };
    let mark = marker();
    let project = on_three(&mark, false);
    let mut terminal = Terminal::start(&project, "run p a b c --yes --parallel 3");
    until_three_run(&terminal, &project);
    terminal.press(CTRL_C);
    terminal.until_shown("ask about [e]ach > ");
    terminal.press("e\n");
    for asked in 1..=3 {
        terminal.until(|| terminal.shown().matches("[l]eave it running").count() == asked);
        terminal.press(["s\n", "l\n", "h\n"][asked - 1]);
    }
    until("one is stopped", || {
        project.record().events.iter().any(|event| {
            matches!(&event.what, What::StepEnded(ended) if ended.status == Status::Stopped)
        })
    });
    fs::write(project.home("go"), "").unwrap();
    terminal.ends(5);
    let ends = ["a", "b", "c"].map(|node| project.text(&format!("ran-{node}")));
    until("what was left goes on", || {
        running(&format!("0.1{mark}")).is_empty()
    });
    assert_eq!(ends.iter().filter(|ran| *ran == "1\n").count(), 1);
}

#[test]
fn f2_pressed_twice_every_step_is_stopped() {
    let Some(()) = or_skip("a terminal", tier::program("/usr/bin/script")) else {
        return;
    };
    let mark = marker();
    let project = on_three(&mark, false);
    let mut terminal = Terminal::start(&project, "run p a b c --yes --parallel 3");
    until_three_run(&terminal, &project);
    terminal.press(CTRL_C);
    terminal.until_shown("[l]eave");
    terminal.press(CTRL_C);
    terminal.until_shown("stopping the running steps: TERM");
    terminal.ends(5);
    let shown = terminal.shown();
    assert_eq!(shown.matches("[l]eave").count(), 1, "asked again: {shown}");
    assert_eq!(running(&format!("0.1{mark}")), Vec::<u32>::new(), "orphans");
    for node in ["a", "b", "c"] {
        assert_eq!(project.record().node_status(node), Some(Status::Stopped));
    }
}

#[test]
fn f2_pressed_thrice_it_goes_at_once_and_leaves_what_runs() {
    let Some(()) = or_skip("a terminal", tier::program("/usr/bin/script")) else {
        return;
    };
    for nodes in ["a", "a b c"] {
        let mark = marker();
        let project = on_three(&mark, true);
        let line = format!("run p {nodes} --yes --parallel 3");
        let mut terminal = Terminal::start(&project, &line);
        let names: Vec<_> = nodes.split(' ').collect();
        terminal.until(|| {
            let ran = |node: &&str| project.home(&format!("ran-{node}")).exists();
            names.iter().all(ran)
        });
        for shown in [
            "[l]eave",
            "stopping the running steps: TERM",
            "left: a running step",
        ] {
            terminal.press(CTRL_C);
            terminal.until_shown(shown);
        }
        terminal.ends(5);
        let run = project.record().events[0].run.clone();
        for hint in ["opsbook resume ", "opsbook handoff "] {
            terminal.until_shown(&format!("`{hint}{run}`"));
        }
        // Between two of its sleeps a loop has none.
        until("all go on", || {
            running(&format!("0.1{mark}")).len() == names.len()
        });
        fs::write(project.home("go"), "").unwrap();
        until("they end by themselves", || {
            let ran = |node: &&str| project.text(&format!("ran-{node}")) == "1\nend\n";
            names.iter().all(ran)
        });
        project.opsbook(&["resume"]).ends(0);
        for node in names {
            assert_eq!(project.text(&format!("ran-{node}")), "1\nend\n");
        }
    }
}

#[test]
fn f2_a_terminal_shows_what_is_typed_after_a_password_was_not_given() {
    let Some(()) = or_skip("a terminal", tier::program("/usr/bin/script")) else {
        return;
    };
    let project = Project::new(&waiting(""));
    let mut terminal = Terminal::start(&project, "run p here --ask-sudo-password");
    terminal.until_shown("password of sudo");
    terminal.press(CTRL_C);
    terminal.ends(5);
    assert!(!project.home("ran").exists());
}

#[test]
fn f2_a_step_that_is_about_to_be_passed_is_still_to_be_done_after_ctrl_c() {
    let Some(()) = or_skip("a terminal", tier::program("/usr/bin/script")) else {
        return;
    };
    for key in ["s\n", "b\n"] {
        let project = Project::new(&waiting(""));
        fs::write(project.home("go"), "").unwrap();
        let mut terminal = Terminal::start(&project, "run p here --step");
        terminal.until_shown("[q]uit > ");
        terminal.press(key);
        terminal.until_shown("note for the journal");
        terminal.press(CTRL_C);
        terminal.ends(5);
        let shown = terminal.shown();
        let (_, after) = shown.rsplit_once("note for the journal").unwrap();
        assert!(after.contains(": ^C\r\n"), "{after:?}");
        project.opsbook(&["resume", "--yes"]).ends(0);
        assert_eq!(project.text("ran"), "1\nend\n2\n", "{key}");
    }
}

/// `opsbook` on a terminal of its own, and the keys of that terminal.
pub(super) struct Terminal {
    script: Child,
    keys: ChildStdin,
    typescript: PathBuf,
}

pub(super) const CTRL_C: &str = "\x03";

impl Terminal {
    pub fn start(project: &Project, line: &str) -> Self {
        Self::start_after(project, "", line)
    }

    /// After commands of the terminal's own shell.
    pub fn start_after(project: &Project, before: &str, line: &str) -> Self {
        // How it ended, and how it left the terminal, stands at the end of what was shown.
        let shell = format!(
            "trap : INT; {before} {} {line}; echo \"ended=$?.\"; stty -a",
            env!("CARGO_BIN_EXE_opsbook")
        );
        Self::of(project, &shell)
    }

    /// Any command on a terminal.
    pub fn of(project: &Project, line: &str) -> Self {
        let mut script = Command::new("script")
            .args(["-qfec", line, "typescript"])
            .current_dir(project.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", project.home(""))
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            keys: script.stdin.take().unwrap(),
            script,
            typescript: project.path("typescript"),
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn shown(&self) -> String {
        let shown = fs::read(&self.typescript).unwrap_or_default();
        String::from_utf8_lossy(&shown).into_owned()
    }

    pub fn until_shown(&self, text: &str) {
        self.until(|| self.shown().contains(text));
    }

    pub fn until(&self, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds() {
            let shown = self.shown();
            let over = shown.contains("Script done") && !holds();
            assert!(Instant::now() < deadline && !over, "{shown}");
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// The terminal is as it was, whatever has happened on it.
    pub fn ends(&mut self, status: i32) {
        self.until_shown(&format!("ended={status}."));
        self.script.wait().unwrap();
        let shown = self.shown();
        let (_, state) = shown.rsplit_once("ended=").unwrap();
        for word in ["echo", "isig", "icanon"] {
            let set = state.split_whitespace().any(|mode| mode == word);
            assert!(set, "no {word}: {state}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
