//! The process of a step and of a check, beside that of `ssh NODE sh -eu < SCRIPT`: what
//! differs is a list in the manual, and each difference has its reason. F44.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::{Kind, Node};
use crate::project::Project;
use crate::sshd::or_skip;

const FACTS: &str = include_str!("../../fixtures/process/facts.sh");

/// A difference that is meant.
struct Differs {
    /// The name of the fact, as `facts.sh` writes it; `*` at its end for any rest.
    fact: &'static str,
    /// The same for a reader.
    what: &'static str,
    /// Where: in a step, in a check, in both.
    step: bool,
    check: bool,
    why: &'static str,
}

const LIST: &[Differs] = &[
    Differs {
        fact: "descriptor 0",
        what: "standard input is `/dev/null`, not the rest of the script",
        step: true,
        check: true,
        why: "a command that reads would otherwise eat the lines after it; `lint` names commands that read",
    },
    Differs {
        fact: "descriptor 1",
        what: "standard output is a file or a pipe of the session",
        step: true,
        check: true,
        why: "the output outlives the connection, and is followed from there",
    },
    Differs {
        fact: "descriptor 2",
        what: "standard error, too",
        step: true,
        check: true,
        why: "as standard output",
    },
    Differs {
        fact: "option stdin",
        what: "the shell reads its script from a file (`set -o`: `stdin` is off)",
        step: true,
        check: true,
        why: "as standard input",
    },
    Differs {
        fact: "working folder",
        what: "a step begins in the bundle, or where the step before it ended; a check as well",
        step: true,
        check: true,
        why: "files that a procedure delivers and makes have a place of their own",
    },
    Differs {
        fact: "variable PWD",
        what: "`PWD` names that folder",
        step: true,
        check: true,
        why: "as the folder",
    },
    Differs {
        fact: "variable OLDPWD",
        what: "`OLDPWD` names a folder of the session",
        step: true,
        check: true,
        why: "the shell came from there",
    },
    Differs {
        fact: "variable OPSBOOK_STEP",
        what: "`OPSBOOK_STEP` is set",
        step: true,
        check: false,
        why: "what a step leaves running is found by it",
    },
    Differs {
        fact: "shell name ob_*",
        what: "the shell has variables and functions whose names begin with `ob_`; no command inherits them",
        step: true,
        check: true,
        why: "they keep the step's record",
    },
    Differs {
        fact: "limit -Sf",
        what: "the soft limit of the size of files is 4 MiB",
        step: false,
        check: true,
        why: "the output of a check is bounded; `ulimit -S -f unlimited` takes it off for a check that writes more",
    },
    Differs {
        fact: "variable PATH",
        what: "`/usr/local/sbin`, `/usr/sbin` and `/sbin` are added at the end of `PATH` if they are missing",
        step: true,
        check: true,
        why: "every login finds the programs of a manual; programs found before stay the same",
    },
    Differs {
        fact: "variable SUDO_COMMAND",
        what: "with `sudo`, `SUDO_COMMAND` names how opsbook starts its shell",
        step: true,
        check: true,
        why: "sudo sets it to what was started",
    },
    Differs {
        fact: "variable SHLVL",
        what: "bash and busybox count more shells in `SHLVL`",
        step: true,
        check: true,
        why: "the session and what keeps the step's record are shells",
    },
    Differs {
        fact: "variable _",
        what: "`_` of the login shell is not set",
        step: true,
        check: true,
        why: "the script is started by another shell",
    },
    Differs {
        fact: "name $0",
        what: "`$0` is a file of opsbook, not `sh`",
        step: true,
        check: true,
        why: "as standard input",
    },
    Differs {
        fact: "leads its session",
        what: "a step leads a session of its own; a check does not",
        step: true,
        check: true,
        why: "a step outlives the connection, and is stopped with all that it started; a check ends with the connection",
    },
    Differs {
        fact: "traps",
        what: "`trap` shows a trap of `EXIT`, in bash and busybox",
        step: true,
        check: false,
        why: "what a step sets is kept for the steps after it; a script's own trap takes its place and changes nothing",
    },
];

#[test]
fn the_list_of_differences_is_the_chapter() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manual/reference/process.md");
    let chapter = chapter();
    if std::env::var_os("OPSBOOK_BLESS").is_some() {
        fs::write(&path, &chapter).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, chapter,
        "run this test with OPSBOOK_BLESS=1 to write the chapter anew"
    );
}

fn chapter() -> String {
    let mut out = INTRODUCTION.to_owned();
    for differs in LIST {
        let mark = |holds: bool| if holds { "yes" } else { "no" };
        let (step, check) = (mark(differs.step), mark(differs.check));
        let Differs { what, why, .. } = differs;
        writeln!(out, "| {what} | {step} | {check} | {why} |").unwrap();
    }
    out
}

const INTRODUCTION: &str = "\
# The process of a step

A step has the process that a person would have who runs `ssh NODE sh -eu < SCRIPT`: the same environment, umask, limits, signals, groups, capabilities, niceness, control group, locale and shell options. With `sudo` it is that of `ssh NODE sudo sh -eu < SCRIPT`, with `sudo=USER` that of `sudo -u USER`; on a local node and by `exec` that of the command without ssh.

This list has every difference. It is written by `tests/it/faults/beside.rs`, which compares the two on real nodes (as login, with `sudo`, with `sudo=USER`; by ssh, local and by `exec`; in dash, bash and busybox) and fails where they differ in anything else.

| what differs | in a step | in a check | why |
|---|---|---|---|
";

type Facts = BTreeMap<String, String>;

fn facts(text: &str) -> Facts {
    let mut facts = Facts::new();
    let mut last = String::new();
    for line in text.lines() {
        let known = [
            "descriptor ",
            "option ",
            "variable ",
            "limit ",
            "status ",
            "shell name ",
        ];
        let words = [
            "working",
            "umask",
            "arguments",
            "name",
            "separator",
            "traps",
            "niceness",
            "out-of",
            "control",
            "terminal",
            "leads",
            "locale",
            "root",
            "namespaces",
        ];
        let begins = known
            .iter()
            .chain(&words)
            .any(|word| line.starts_with(word));
        match line.split_once('=') {
            Some((name, value)) if begins => {
                name.clone_into(&mut last);
                facts.insert(last.clone(), value.to_owned());
            }
            // A value of several lines.
            _ => {
                if let Some(value) = facts.get_mut(&last) {
                    *value += "\n";
                    *value += line;
                }
            }
        }
    }
    assert!(facts.len() > 40, "{text}");
    facts
}

/// Compares, and says what is not on the list; ticks off what is.
#[derive(Default)]
struct Compared {
    wrong: String,
    seen: Vec<(&'static str, bool)>,
}

impl Compared {
    fn take(&mut self, name: &str, is_step: bool, plain: &str, ours: &str) {
        let (plain, ours) = (facts(plain), facts(ours));
        let mut names: Vec<&String> = plain.keys().chain(ours.keys()).collect();
        names.sort();
        names.dedup();
        for fact in names {
            let (before, now) = (value(&plain, fact), value(&ours, fact));
            if before == now {
                continue;
            }
            let listed = LIST.iter().find(|differs| {
                (if is_step { differs.step } else { differs.check })
                    && match differs.fact.strip_suffix('*') {
                        Some(begin) => fact.starts_with(begin),
                        None => differs.fact == fact,
                    }
            });
            match listed {
                Some(differs) => self.seen.push((differs.fact, is_step)),
                None => {
                    let kind = if is_step { "step" } else { "check" };
                    writeln!(self.wrong, "{name}, {kind}: {fact}: {before:?} -> {now:?}").unwrap();
                }
            }
        }
    }
}

/// The C library ignores two signals of its own in whatever `posix_spawn` starts, whoever calls
/// it: they are no difference.
fn value(facts: &Facts, fact: &str) -> Option<String> {
    const OF_THE_LIBRARY: u64 = 0b11 << 31;
    let value = facts.get(fact)?;
    if fact != "status SigIgn" {
        return Some(value.clone());
    }
    let ignored = u64::from_str_radix(value, 16).unwrap();
    Some(format!("{:x}", ignored & !OF_THE_LIBRARY))
}

fn script(to: &str) -> String {
    format!("facts={to}\n{FACTS}")
}

/// A step and a check with these words on their fences, that write to `to` with `-step` and
/// `-check` at its end.
fn blocks(language: &str, words: &str, to: &str, id: &str) -> String {
    let step = script(&format!("{to}-step"));
    let check = script(&format!("{to}-check"));
    format!(
        "~~~~{language} step {words}\n{step}~~~~\n\n~~~~{language} check id={id} {words}\n{check}~~~~\n\n"
    )
}

const CONTRACT: &str = "# Page\n\n```yaml procedure\nid: p\nallow: [needs-a-person, undefined-variable, undeclared-placeholder]\n```\n\n";

#[test]
fn f44_a_step_has_the_process_that_a_person_would_have() {
    let mut compared = Compared::default();
    for shell in ["/bin/dash", "/bin/bash", "/usr/bin/busybox"] {
        by_exec(shell, &mut compared);
    }
    local(&mut compared);
    assert_eq!(compared.wrong, "");
    let node = Node::of(&Kind {
        systemd: false,
        home: None,
        sudoers: "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
        sshd: "",
        shell: "/bin/bash",
    });
    let Some(node) = or_skip("T2", node) else {
        return;
    };
    by_ssh(&node, &mut compared);
    assert_eq!(compared.wrong, "");
    // What no longer differs is no longer listed.
    for differs in LIST {
        for is_step in [true, false] {
            let listed = if is_step { differs.step } else { differs.check };
            let seen = compared.seen.contains(&(differs.fact, is_step));
            assert!(
                !listed || seen,
                "{} does not differ (step: {is_step})",
                differs.fact
            );
        }
    }
}

fn by_ssh(node: &Node, compared: &mut Compared) {
    node.root("useradd -m other; mkdir -m 1777 /srv/facts");
    let ways = [
        ("login", "", ""),
        ("root", "sudo", "sudo "),
        ("other", "sudo=other", "sudo -u other "),
    ];
    let mut page = CONTRACT.to_owned();
    for (name, words, _) in ways {
        page += &blocks("sh", words, &format!("/srv/facts/{name}"), name);
    }
    let project = Project::new(&page);
    project.node("far", &node.ssh(), "");
    project.opsbook(&["run", "p", "far"]).ends(0);
    let read = |name: String| node.root(&format!("cat /srv/facts/{name}"));
    for (name, _, sudo) in ways {
        plainly(
            &mut ssh(node, &format!("{sudo}sh -eu")),
            &script(&format!("/srv/facts/{name}-plain")),
        );
        let plain = read(format!("{name}-plain"));
        compared.take(name, true, &plain, &read(format!("{name}-step")));
        compared.take(name, false, &plain, &read(format!("{name}-check")));
    }
}

fn ssh(node: &Node, command: &str) -> Command {
    let ssh = node.ssh();
    let mut call = Command::new("ssh");
    call.args(["-F", "/dev/null", "-i"])
        .arg(ssh.identity.unwrap());
    for option in &ssh.options {
        call.args(["-o", option]);
    }
    call.arg(format!("ops@{}", ssh.host)).arg(command);
    call
}

/// Gives the script to a shell, as a person does.
fn plainly(command: &mut Command, script: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    fs::write(&file, script).unwrap();
    let out = command
        .stdin(Stdio::from(fs::File::open(&file).unwrap()))
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

fn by_exec(shell: &str, compared: &mut Compared) {
    let facts = tempfile::tempdir().unwrap();
    let to = facts.path().join("facts").display().to_string();
    let project = Project::new(&(CONTRACT.to_owned() + &blocks("sh", "", &to, "c")));
    let bin = project.path("bin");
    fs::create_dir(&bin).unwrap();
    symlink(shell, bin.join("sh")).unwrap();
    let path = format!("PATH={}:/usr/bin:/bin", bin.display());
    let home = format!("HOME={}", project.home("").display());
    let argv = serde_json::json!(["env", path, home, "sh"]);
    project.nodes(&format!("  here: {{transport: {{exec: {argv}}}}}\n"));
    project.opsbook(&["run", "p", "here"]).ends(0);
    let mut plain = bare(&project);
    plain.args([&path, &home, "sh", "-eu"]);
    compare(shell, &mut plain, &to, compared);
}

fn local(compared: &mut Compared) {
    for language in ["sh", "bash"] {
        let facts = tempfile::tempdir().unwrap();
        let to = facts.path().join("facts").display().to_string();
        let project = Project::new(&(CONTRACT.to_owned() + &blocks(language, "", &to, "c")));
        project.opsbook(&["run", "p", "here"]).ends(0);
        let mut plain = bare(&project);
        plain.args([language, "-eu"]);
        if language == "bash" {
            plain.args(["-o", "pipefail"]);
        }
        compare(&format!("local {language}"), &mut plain, &to, compared);
    }
}

/// `env`, in the environment in which the tests call opsbook.
fn bare(project: &Project) -> Command {
    let mut command = Command::new("env");
    command
        .current_dir(project.root())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", project.path("home"));
    command
}

fn compare(name: &str, plain: &mut Command, to: &str, compared: &mut Compared) {
    plainly(plain, &script(&format!("{to}-plain")));
    let read = |kind: &str| fs::read_to_string(format!("{to}-{kind}")).unwrap();
    let before = read("plain");
    compared.take(name, true, &before, &read("step"));
    compared.take(name, false, &before, &read("check"));
}
