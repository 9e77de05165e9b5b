//! Going on by hand: the hand-off sheet is pasted into a real shell on a real terminal, and
//! what comes of it is compared with what opsbook does. F47.

use std::fs;
use std::time::{Duration, Instant};

use opsbook::event::Status;

use crate::lab::{Kind, Node};
use crate::project::Project;
use crate::sshd::or_skip;
use crate::tier;

use super::signals::{CTRL_C, Terminal};

/// The shells that a node may have as `sh` or as login shell; a C locale and a terminal that can
/// paste, as over ssh. zsh has no line editor here: it turns the editor off in the first line of the
/// sheet, and what is pasted within that moment can be lost on a busy machine.
const SHELLS: [(&str, &str); 4] = [
    ("dash", "/usr/bin/dash"),
    ("bash --norc", "/usr/bin/bash"),
    ("busybox sh", "/usr/bin/busybox"),
    ("zsh -f +Z", "/usr/bin/zsh"),
];

/// Steps after the first one, which fails until `go` is there.
fn page(steps: &str) -> String {
    format!(
        "# Page\n\n```yaml procedure\nid: p\nparams:\n  odd: {{default: \"it's $HOME\\t`x`\"}}\n```\n\n\
         ```text file as=conf\nwith {{{{ odd }}}}\n```\n\n\
         ```sh step id=stop\nprintf 'stop ' >> \"$HOME/ran\"\ntest -e \"$HOME/go\"\n```\n\n{steps}"
    )
}

fn step(words: &str, script: &str) -> String {
    format!("```{words}\n{script}\n```\n\n")
}

/// A halted run, whose first step goes well from now on, and its sheet.
fn halted(project: &Project) -> String {
    project.opsbook(&["run", "p", "here"]).ends(1);
    fs::write(project.home("go"), "").unwrap();
    fs::remove_file(project.home("ran")).unwrap();
    project.opsbook(&["handoff"]).ends(0).out
}

/// What has come of it, wherever the project is.
fn came(project: &Project) -> String {
    let root = project.root().display().to_string();
    project.text("ran").replace(&root, "ROOT")
}

fn by_opsbook(page: &str) -> String {
    let project = Project::new(page);
    halted(&project);
    project.opsbook(&["resume", "--yes"]).ends(0);
    came(&project)
}

/// Each shell that is here, in a terminal of a project of its own with a halted run.
fn in_each_shell(page: &str, test: impl Fn(&Project, &mut Terminal, &str)) {
    for (shell, program) in SHELLS {
        let both = tier::program("/usr/bin/script").and_then(|()| tier::program(program));
        if or_skip("a terminal", both).is_none() {
            continue;
        }
        let project = Project::new(page);
        let sheet = halted(&project);
        assert!(sheet.lines().all(|line| line.len() < 1000), "{sheet}");
        let mut terminal = Terminal::of(&project, shell);
        test(&project, &mut terminal, &sheet);
        terminal.press("exit\n");
    }
}

/// What scripts of real manuals hold: quotes, here-documents, with the word that ends a unit in
/// it, tabs, what a line editor or ssh obeys, lines that no terminal takes, and a last line
/// without a line end.
fn odd_steps() -> String {
    let long = "0123456789".repeat(600);
    let script = format!(
        "cat >>\"$HOME/ran\" <<'END OF 3'\nit's \"$x\" `y` \\\\ $(z) !! !ls {{TAB}} {{MORE}} £é日本\nEND OF 3\n\
         cat >>\"$HOME/ran\" <<-EOF\n\t\ta\ttab $odd\n\tEOF\n\
         cat >>\"$HOME/ran\" <<'EOF'\n~.\n~~~\n\nEOF\n\
         if true; then\n\techo '{long}' >>\"$HOME/ran\"\nfi; echo \"$(cat \"$bundle/conf\")\" >>\"$HOME/ran\""
    );
    step("sh step id=odd", &script)
}

#[test]
fn f47_what_is_pasted_does_what_opsbook_does() {
    let steps = odd_steps()
        + &step(
            "sh step id=set capture=found",
            "mkdir -p \"$HOME/a b\"; cd \"$HOME/a b\"\nmine=\"a\n'b'\"; export MINE=1; echo \" found\t! \"",
        )
        + &step("sh check", "test \"$MINE\" = 1; test -d \"../a b\"")
        + &step(
            "sh step id=use",
            "echo \"$mine|$(env | grep MINE)|$found|$PWD\" >>\"$HOME/ran\"\nprintf 'is %s \\n\\n' \"$found\"",
        )
        + &step("text expect", "is ${found}")
        + &step("bash step id=list", "list=(\"a b\" c); false || true")
        + &step(
            "bash step id=last exit=3",
            "echo \"${list[@]}\" >>\"$HOME/ran\"; exit 3",
        )
        + &step(
            "console step id=script",
            "$ echo one >&2\none\n$ echo two >>\"$HOME/ran\"",
        )
        + &step(
            "python3 step id=snake",
            "import os\nprint(os.environ['odd'], file=open(os.environ['HOME'] + '/ran', 'a'))",
        );
    let page = page(&steps);
    let expected = by_opsbook(&page);
    assert!(
        expected.contains("a\n'b'|MINE=1|found\t!|ROOT/home/a b\n"),
        "{expected}"
    );
    in_each_shell(&page, |project, terminal, sheet| {
        terminal.press(sheet);
        terminal.until_shown("step 9 snake: OK");
        terminal.until_shown("check p::4.1: it holds");
        assert_eq!(came(project), expected);
        // The journal is told, and what was captured by hand is known there.
        let mut done = vec!["resume"];
        for step in ["stop", "odd", "set", "use", "list", "last", "script", "9"] {
            done.extend(["--done", step]);
        }
        project.opsbook(&done).ends(0).has("BY HAND");
        assert_eq!(came(project), expected);
        assert_eq!(project.status(), Some(Status::Ok));
    });
}

/// The operator's own shell may be another one: the sheet's head says so, and of what is pasted
/// nevertheless nothing runs, on a terminal without bracketed paste.
#[test]
fn f47_a_shell_that_is_no_posix_shell_runs_nothing_of_the_sheet() {
    let page = page(&step("sh step id=two", "echo two >>\"$HOME/ran\""));
    for (shell, program) in [
        ("fish --no-config", "/usr/bin/fish"),
        ("tcsh -f", "/usr/bin/tcsh"),
    ] {
        let both = tier::program("/usr/bin/script").and_then(|()| tier::program(program));
        if or_skip(shell, both).is_none() {
            continue;
        }
        let project = Project::new(&page);
        let sheet = halted(&project);
        let head: Vec<&str> = sheet.lines().take(4).collect();
        assert!(
            head.contains(&"# for a POSIX shell: in fish, tcsh and the like, start one first: sh"),
            "{sheet}"
        );
        let mut terminal = Terminal::of(&project, shell);
        terminal.press("touch began\n");
        terminal.until(|| project.path("began").exists());
        terminal.press(&sheet);
        terminal.press(": all is read\n");
        terminal.until_shown("all is read");
        // It waits for the end of what it began to read.
        // An interrupt, and what is typed in that moment, may be lost.
        let deadline = Instant::now() + Duration::from_secs(60);
        while !project.path("after").exists() {
            assert!(Instant::now() < deadline, "{}", terminal.shown());
            terminal.press(CTRL_C);
            std::thread::park_timeout(Duration::from_millis(100));
            terminal.press("touch after\n");
            std::thread::park_timeout(Duration::from_millis(100));
        }
        assert_eq!(came(&project), "", "{shell}");
        terminal.press("exit\n");
    }
}

/// What must not be followed by anything: a command, a check, an output that is wrong, and an
/// operator who interrupts.
#[test]
fn f47_nothing_follows_what_went_wrong() {
    let after = step("sh step id=after", "echo after >>\"$HOME/ran\"");
    let reload = "echo ran >>\"$HOME/ran\"; test -e \"$HOME/right\"; echo reload >>\"$HOME/ran\"";
    let wrong = [
        // What would have noted its end is gone, as after an interruption that a shell drops.
        (
            step(
                "sh step id=bad",
                "echo ran >>\"$HOME/ran\"; test -e \"$HOME/right\" || kill -9 $PPID",
            ),
            "step 3 bad: FAILED: it was interrupted",
            "stop ran\n",
            "stop ran\nran\nafter\n",
        ),
        (
            step("sh step id=bad", reload),
            "step 3 bad: FAILED",
            "stop ran\n",
            "stop ran\nran\nreload\nafter\n",
        ),
        (
            step("sh step id=bad", "echo ran >>\"$HOME/ran\"")
                + &step("sh check", "test -e \"$HOME/right\""),
            "check p::3.1: FAILED",
            "stop ran\n",
            "stop ran\nran\nafter\n",
        ),
        (
            step(
                "sh step id=bad",
                "echo ran >>\"$HOME/ran\"; ls \"$HOME/right\" 2>&1 || true",
            ) + &step("text expect", "${home}/right"),
            "step 3 bad: FAILED: it did not print what it must",
            "stop ran\n",
            "stop ran\nran\nafter\n",
        ),
        (
            step(
                "sh step id=bad",
                "echo ran >>\"$HOME/ran\"; test -e \"$HOME/right\" || sh -c 'echo >\"$HOME/waits\"; exec sleep 100'",
            ),
            "",
            "stop ran\n",
            "stop ran\nran\nafter\n",
        ),
    ];
    for (bad, says, first, then) in wrong {
        let page = page(&(bad + &after)).replace("${home}", "[..]");
        in_each_shell(&page, |project, terminal, sheet| {
            terminal.press(sheet);
            if says.is_empty() {
                // dash drops an interruption that comes just while it starts a program.
                terminal.until(|| project.home("waits").exists());
                assert_eq!(came(project), first);
                terminal.press(CTRL_C);
                // The shell is at its prompt again.
                terminal.press("echo at $((40+2))\n");
                terminal.until_shown("at 42");
            } else {
                if says.contains("print") {
                    terminal.until_shown("did it? [y/n]");
                    terminal.press("n\n");
                }
                terminal.until_shown(says);
                terminal.until_shown("nothing below it was run");
            }
            // Nothing is left that a second call would run.
            terminal.press("ob_go\n");
            terminal.until_shown("nothing is kept");
            assert_eq!(came(project), first);
            // The cause is mended, and the rest is pasted: the head, and from that step on.
            fs::write(project.home("right"), "").unwrap();
            let rest = sheet.find("# 3 bad").unwrap();
            terminal.press(&sheet[rest..]);
            if says.contains("print") {
                terminal.until(|| terminal.shown().matches("did it? [y/n]").count() == 2);
                terminal.press("y\n");
            }
            terminal.until_shown("step 4 after: OK");
            assert_eq!(came(project), then);
        });
    }
}

/// Each place does its own steps, in their order, and what only opsbook or a person can do is
/// waited for.
#[test]
fn f47_each_place_does_its_own() {
    let steps = step(
        "sh step id=first capture=word",
        "echo first >>\"$HOME/ran\"; echo w1",
    ) + &step(
        "text manual id=tell",
        "Tell that ${word} is done on ${node}.",
    ) + &step("text file as=late", "late {{ odd }}")
        + &step("sh step id=read", "cat \"$bundle/late\" >>\"$HOME/ran\"")
        + &step(
            "sh step id=here on=local",
            "kept=\"k $word\"; pwd >>\"$HOME/ran\"; cd home",
        )
        + &step(
            "sh step id=again on=local",
            "echo \"$kept $PWD\" >>\"$HOME/ran\"",
        )
        + &step("sh step id=back", "echo back >>\"$HOME/ran\"")
        + &step(
            "sh step id=end on=local",
            "echo \"$kept $PWD end\" >>\"$HOME/ran\"",
        );
    let page = page(&steps);
    let expected = by_opsbook(&page);
    in_each_shell(&page, |project, terminal, sheet| {
        let root = project.root();
        terminal.press(sheet);
        terminal.until_shown("Tell that w1 is done on here.\r\nstep 4 tell: is it done? [y/n]");
        terminal.press("y\n");
        terminal.until_shown("step 5: is it done? [y/n]");
        // As the sheet says, from another terminal.
        let line = "--done stop --done first --done tell --stop-after 5";
        assert!(sheet.contains(line), "{sheet}");
        let line: Vec<&str> = line.split(' ').collect();
        project
            .opsbook(&[&["resume", "--yes"], &line[..]].concat())
            .ends(5);
        terminal.press("y\n");
        terminal.until_shown("step 6 read: OK");
        terminal.until_shown("NOT BEGUN: step 7 here: it belongs on local");
        terminal.press(&format!("cd '{}'; at=local\n", root.display()));
        // From the head on, without what is done.
        let (head, _) = sheet.split_once("\n# FAILED\n").unwrap();
        let (_, local) = sheet.split_once("# 7 here").unwrap();
        terminal.press(&format!("{head}\n# 7 here{local}"));
        // What the node has printed is known there only.
        terminal.until_shown("step 7 here needs word, which step 3 has printed elsewhere: ");
        terminal.press("w1\n");
        terminal.until_shown("step 8 again: OK");
        terminal.until_shown("NOT BEGUN: step 9 back: it belongs on here");
        // opsbook takes over what was set by hand, on both sides.
        let done = [
            "resume", "--done", "read", "--done", "here", "--done", "again",
        ];
        project.opsbook(&done).ends(0);
        assert_eq!(came(project), expected);
        assert!(
            !project
                .path(".opsbook/by-hand")
                .join(&project.record().events[0].run)
                .exists()
        );
    });
}

/// Steps of root and of another user, over the way that the sheet names; what that user leaves
/// is data.
#[test]
fn f47_over_ssh_as_root_and_as_another_user() {
    let both = tier::program("/usr/bin/script").and_then(|()| {
        Node::of(&Kind {
            sudoers: "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
            ..Kind::default()
        })
    });
    let Some(node) = or_skip("T2", both) else {
        return;
    };
    let ran = "\"/srv/ran\"";
    let steps = step(
        "sh step id=stop sudo",
        &format!("mkdir -p /srv; touch {ran}; chmod 666 {ran}; test -e /srv/go"),
    ) + &step(
        "sh step id=mine",
        &format!("where=\"$HOME/it's\"; mkdir -p \"$where\"; cd \"$where\"; id -un >>{ran}"),
    ) + &step(
        "sh step id=root sudo",
        &format!("echo \"$(id -un) $where $PWD\" >>{ran}; cd /srv; root=set"),
    ) + &step("sh check sudo", "test \"$(id -u)\" = 0; test -n \"$root\"")
        + &step(
            "sh step id=other sudo=daemon",
            &format!(
                "echo \"$(id -un) $root $PWD\" >>{ran}; theirs=\"it's\"; root=changed; export theirs; cd /tmp"
            ),
        )
        + &step(
            "sh step id=back",
            &format!("echo \"$(id -un) $theirs $root $PWD $(sh -c 'echo $theirs')\" >>{ran}"),
        )
        + &step("sh step id=end on=local", "true");
    let page = format!("# Page\n\n```yaml procedure\nid: p\n```\n\n{steps}");
    let project = Project::new(&page);
    project.node("far", &node.ssh(), "");
    let ran_there = || fs::read_to_string(node.path("/srv/ran")).unwrap_or_default();
    let mut came = Vec::new();
    for by_hand in [false, true] {
        node.root("rm -rf /srv; mkdir /srv");
        project.opsbook(&["run", "p", "far"]).ends(1);
        node.root("touch /srv/go");
        if !by_hand {
            project.opsbook(&["resume"]).ends(0);
            came.push(ran_there());
            continue;
        }
        let sheet = project.opsbook(&["handoff"]).ends(0).out;
        let way = sheet.lines().find_map(|line| line.strip_prefix("# ssh "));
        let (way, _) = way.unwrap().split_once("   (or").unwrap();
        let mut terminal = Terminal::of(&project, &format!("ssh {way}"));
        terminal.press(&sheet);
        terminal.until_shown("NOT BEGUN: step 6 end: it belongs on local");
        terminal.press("exit\n");
        came.push(ran_there());
        assert!(
            terminal.shown().contains("check p::3.1: it holds"),
            "{}",
            terminal.shown()
        );
        let done = ["stop", "mine", "root", "other", "back"];
        let done = done.iter().flat_map(|step| ["--done", step]);
        let resume: Vec<&str> = std::iter::once("resume").chain(done).collect();
        project.opsbook(&resume).ends(0);
    }
    assert_eq!(came[0], came[1]);
    assert!(came[0].contains("daemon set /"), "{}", came[0]);
    assert!(
        came[0].contains("ops it's changed /tmp it's"),
        "{}",
        came[0]
    );
}

/// What `--done` says is looked at: the step's place in the run, its checks, the node.
#[test]
fn f47_done_is_believed_only_where_it_can_be() {
    let steps = step("sh step id=two confirm", "echo two >>\"$HOME/ran\"")
        + &step("sh check", "test -e \"$HOME/two\"")
        + &step(
            "sh step id=three capture=word",
            "echo word; echo three >>\"$HOME/ran\"",
        )
        + &step("sh step id=four", "echo \"four $word\" >>\"$HOME/ran\"");
    let page = page(&steps).replace("printf 'stop ' >> \"$HOME/ran\"\n", "");
    let project = Project::new(&page);
    project.opsbook(&["run", "p", "here"]).ends(1);
    let refused = |arguments: &[&str], says: &str| {
        let before = project.journal_text();
        project
            .opsbook(&[&["resume"], arguments].concat())
            .ends(2)
            .has(says);
        assert_eq!(before, project.journal_text(), "{arguments:?}");
    };
    refused(&["--done", "tow"], "did you mean `two`?");
    refused(
        &["--done", "two"],
        "step `two` cannot be done by hand before step `stop`",
    );
    refused(
        &["--done", "1"],
        "step `1` is not left to do on `here`: it ended OK",
    );
    refused(
        &["--done", "stop", "--start-at", "two"],
        "cannot be used with",
    );
    refused(&["--note", "x"], "--done");
    // The check of the second one does not hold: it is not a step that was done.
    let done = [
        "resume", "--done", "stop", "--done", "here:two", "--note", "by Ada",
    ];
    let said = project.opsbook(&done).ends(1);
    said.has("BY HAND")
        .has("says: by Ada")
        .has("`p::3.1` does not hold");
    assert_eq!(project.ended(2).status, Status::ByHand);
    assert_eq!(project.ended(3).status, Status::Failed);
    fs::write(project.home("two"), "").unwrap();
    // What the third one has printed is known to nobody, until it is said.
    let done = ["resume", "--done", "two", "--done", "three"];
    project
        .opsbook(&done)
        .ends(3)
        .has("give it with `--set word=…`");
    let done = ["resume", "--done", "three", "--set", "word=said"];
    project.opsbook(&done).ends(0);
    assert_eq!(project.text("ran"), "four said\n");
}

#[test]
fn f47_done_names_the_node_where_several_are_left() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\ntest -e \"$HOME/go\"\n```\n\n```sh step\necho \"$node\" >>\"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    project
        .nodes("  a: {transport: local, bundle_dir: a}\n  b: {transport: local, bundle_dir: b}\n");
    project.opsbook(&["run", "p", "a", "b", "--yes"]).ends(1);
    let run = project.record().events[0].run.clone();
    for node in ["a", "b"] {
        let sheet = project.opsbook(&["handoff", &run, node]).said();
        sheet.has(&format!("--done {node}:one"));
    }
    let said = project.opsbook(&["resume", "--done", "one"]).ends(2);
    said.has("left to do on several nodes: a, b")
        .has("`--done a:one`");
    project.opsbook(&["resume", "--done", "b:one"]).ends(1);
    assert_eq!(project.text("ran"), "b\n");
    project.opsbook(&["resume", "--done", "one"]).ends(0);
    assert_eq!(project.text("ran"), "b\na\n");
}
