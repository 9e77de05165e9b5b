//! Clients, runners and gateways of different versions. The older program is the present one, in
//! which each place that says the version says an older one; so it says so wherever it says its
//! version, and nothing pretends to be old for it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{ALL, PAGE, Team, gateway, until};

const OWN: &str = env!("CARGO_PKG_VERSION");
const UPGRADE: &str = "apt-get install opsbook=the-new-one";

/// An older version of the same length.
fn older() -> String {
    match OWN.len() {
        5 => "0.0.9".to_owned(),
        6 => "0.0.10".to_owned(),
        more => format!("0.0.9-{}", "a".repeat(more - 6)),
    }
}

/// A copy of a program, in which this text is another one of the same length.
fn altered(team: &Team, program: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let copy = team.path(&format!(
        "old-{}",
        program.file_name().unwrap().to_string_lossy()
    ));
    // The shell opens the copy: a file that this process had open for writing, others that it
    // starts meanwhile would have, too, and it could not be executed.
    let mut sed = Command::new("sh");
    sed.args(["-c", "exec sed \"$@\" >\"$0\""]).arg(&copy);
    for (from, to) in changes {
        assert_eq!(from.len(), to.len(), "{from} {to}");
        let from = from.replace('.', "\\.");
        sed.args(["-e", &format!("s|{from}|{to}|g")]);
    }
    let made = sed.arg(program).env("LC_ALL", "C").status();
    assert!(made.unwrap().success());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let said = Command::new(&copy).arg("--version").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.trim_end().ends_with(&older()), "{said}");
    copy
}

fn old_opsbook(team: &Team) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_opsbook"));
    altered(team, program, &[(OWN, &older())])
}

fn by(team: &Team, program: &Path, words: &[&str]) -> Output {
    team.command(program).args(words).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn version(words: &str) -> String {
    let how = ["archive", "cargo", "deb"].map(|kind| format!("{kind} = \"{UPGRADE}\"\n"));
    format!("[version]\n{words}\n[version.upgrade]\n{}", how.concat())
}

/// The words of each command that speaks to a gateway, `RUN` being a run of this machine. Runners
/// are no part of this: one that is too old ends what it has, and gets nothing new.
const SPEAK: [&str; 19] = [
    "login",
    "ask p here",
    "run p here --via gateway",
    "watch RUN",
    "answer RUN",
    "approve RUN",
    "stop RUN",
    "resume RUN --via gateway",
    "hand-over RUN bo",
    "give-up RUN",
    "access explain p here",
    "runs",
    "applications",
    "sync RUN",
    "findings",
    "sealed get",
    "record save RUN ../record",
    "record checkpoint ../checkpoint",
    "log verify 20260101-000000-abcd",
];

/// The names of all commands with an option that says which gateway is meant.
fn with_gateway(command: &clap::Command, before: &str, all: &mut BTreeSet<String>) {
    let has = |command: &clap::Command| {
        let mut options = command.get_arguments();
        options.any(|option| option.get_long() == Some("gateway"))
    };
    for command in command.get_subcommands() {
        let name = format!("{before} {}", command.get_name());
        let name = name.trim_start();
        if has(command) {
            all.insert(name.to_owned());
        }
        with_gateway(command, name, all);
    }
}

#[test]
fn a_program_that_is_too_old_is_told_so_by_every_command() {
    let mut all = BTreeSet::from(["login".to_owned()]);
    with_gateway(&opsbook::cli::command(), "", &mut all);
    all.retain(|name| name != "runner run");
    let tried = |name: &String| {
        let mut lines = SPEAK.iter();
        lines.any(|line| format!("{line} ").starts_with(&format!("{name} ")))
    };
    let missing: Vec<&String> = all.iter().filter(|name| !tried(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let team = Team::new(PAGE, &version(&format!("oldest = \"{OWN}\"")));
    let old = old_opsbook(&team);
    team.go();
    let alone = ["run", "p", "here", "--break-glass", "it is too old"];
    let ran = by(&team, &old, &alone);
    assert!(ran.status.success(), "{ran:?}");
    let mut runs = fs::read_dir(team.path("m/.opsbook/runs")).unwrap();
    let run = runs.find_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".jsonl").map(str::to_owned)
    });
    let (run, address) = (run.unwrap(), team.address());
    team.write("token", "one");
    let own = fs::Permissions::from_mode(0o600);
    fs::set_permissions(team.path("token"), own).unwrap();
    for line in SPEAK {
        let line = line.replace("RUN", &run);
        let mut words: Vec<&str> = line.split(' ').collect();
        if line == "login" {
            words.extend([address.as_str(), "--token-file", "../token"]);
        }
        let output = by(&team, &old, &words);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
        let why = format!("opsbook {} is too old for", older());
        assert!(said.contains(&why), "{line}: {said}");
        let hint = format!("\nhint: {UPGRADE}");
        assert!(said.contains(&hint), "{line}: {said}");
        assert!(output.stdout.is_empty(), "{line}: {output:?}");
    }
    assert!(!team.path("record").exists() && !team.path("checkpoint").exists());
}

#[test]
fn a_program_that_is_older_than_wanted_says_so_once_a_day() {
    let team = Team::new(PAGE, &version(""));
    let old = old_opsbook(&team);
    // To machines it is not told.
    assert_eq!(err(&by(&team, &old, &["runs", "--json"])), "");
    let said = err(&by(&team, &old, &["runs"]));
    let wanted = format!("opsbook {OWN} is required by unix:");
    assert!(said.starts_with(&wanted), "{said}");
    assert!(said.ends_with(&format!(": {UPGRADE}\n")), "{said}");
    assert_eq!(err(&by(&team, &old, &["runs"])), "");
}

/// A runner that is too old ends what it has, and gets nothing new; that is said where people look
/// for it.
#[test]
fn a_runner_that_is_too_old_ends_what_it_has_and_gets_nothing_new() {
    let mut team = Team::new(PAGE, "");
    let old = old_opsbook(&team);
    let first = team.this_runner(&old, "r1", &[]);
    let run_of_old = team.ask();
    team.is_at_step_two();
    team.kill_gateway();
    let config = version(&format!("oldest = \"{OWN}\""));
    team.write("m/.opsbook/gateway/gateway.toml", &config);
    team.start_gateway();
    team.go();
    team.ok(&["watch", &run_of_old]);
    assert_eq!(team.ran(), ALL);
    assert_eq!(team.view(&run_of_old)["status"], "OK");
    until("it says that it is too old", || {
        let said = team.said();
        said.matches("this runner ends what it has, and gets nothing new")
            .count()
            == 1
            && said.contains(UPGRADE)
    });
    let listed = by(&team, &gateway(), &["runners"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let line = format!("opsbook {}, last seen at", older());
    assert!(
        listed.contains(&line) && listed.contains("; too old, gets nothing new"),
        "{listed}"
    );
    // What it may not have waits for another one.
    let run_of_new = team.ask();
    let asked = || team.said().matches("accepted").count();
    assert_eq!(asked(), 1);
    let _second = team.runner("r2");
    team.ok(&["watch", &run_of_new]);
    assert_eq!(asked(), 2, "{}", team.said());
    first.signal("TERM");
    let listed = by(&team, &gateway(), &["runners"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.matches("too old").count(), 1, "{listed}");
}

/// A gateway that is older serves what it knows; what it does not know is refused, with the reason.
#[test]
fn a_gateway_that_is_older_says_what_it_does_not_know() {
    let mut team = Team::new(PAGE, "");
    team.kill_gateway();
    // A version without findings.
    let changes = [(OWN, older()), ("/v1/findings", "/v1/f.ndings".to_owned())];
    let changes = changes.each_ref().map(|(from, to)| (*from, to.as_str()));
    let program = altered(&team, &gateway(), &changes);
    team.start_this_gateway(&program, &[]);
    let _runner = team.runner("r1");
    team.go();
    let run = team.ask();
    team.ok(&["watch", &run]);
    assert_eq!(team.view(&run)["status"], "OK");
    let refused = team.opsbook(&["findings"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let why = format!(
        "error: there is no such path (this gateway is version {}, older than this program, {OWN})\n",
        older()
    );
    assert_eq!(err(&refused), why);
    // What it refuses for another reason has nothing to do with that.
    let wrong = team.opsbook(&["ask", "p", "nowhere"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    assert!(!err(&wrong).contains("older than"), "{wrong:?}");
}
