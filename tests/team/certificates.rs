//! A real `sshd` that trusts the gateway's key alone: a run logs in with a certificate of its own,
//! for as long as it lasts, and nothing stays behind on the runner.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sshd::{Special, Sshd, or_skip, user};
use crate::{ALL, PAGE, TWO, Team, until};

/// A key that signs; and a node that lets in whoever has a certificate of it for `principal`.
pub(crate) fn node(ca: &Path, principal: &str) -> Option<Sshd> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(ca)
        .status();
    assert!(made.unwrap().success());
    let principals = ca.with_extension("principals");
    fs::write(&principals, format!("{principal}\n")).unwrap();
    let special = Special {
        config: format!(
            "TrustedUserCAKeys {}\nAuthorizedPrincipalsFile {}\nLogLevel VERBOSE",
            ca.with_extension("pub").display(),
            principals.display()
        ),
        ..Special::default()
    };
    let node = or_skip("T1", Sshd::special(&special))?;
    // No key lets in by itself.
    fs::write(node.dir.path().join("authorized"), "").unwrap();
    Some(node)
}

/// The node of the team's manual, which names no key.
pub(crate) fn reached(team: &Team, node: &Sshd) {
    let known = node.dir.path().join("known_hosts");
    let options = [
        format!("\"UserKnownHostsFile={}\"", known.display()),
        "\"StrictHostKeyChecking=yes\"".to_owned(),
    ];
    team.write(
        "m/nodes.yaml",
        &format!(
            "opsbook: 1\nnodes:\n  here:\n    address: {}\n    user: {}\n    port: {}\n    ssh_options: [{}]\n",
            node.address,
            user(),
            node.port,
            options.join(", ")
        ),
    );
}

fn config(ca: &Path, ttl: &str) -> String {
    format!(
        "[segments.here]\nssh = {{kind = \"certificate\", ca = {{file = \"{}\"}}, ttl = \"{ttl}\", \
         principals = [\"opsbook@{{node}}\"]}}\n",
        ca.display()
    )
}

pub(crate) fn log(node: &Sshd) -> String {
    fs::read_to_string(node.dir.path().join("log")).unwrap_or_default()
}

/// The certificates that a runner has.
fn held(team: &Team) -> Vec<PathBuf> {
    let keys = fs::read_dir(team.path("r1/keys"));
    let folders = keys.into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("key-cert.pub"))
        .collect()
}

/// Ends the connections of the node, as a cut does, and leaves it listening.
fn cut(node: &Sshd) {
    for pid in node.processes().into_iter().skip(1) {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if command.starts_with("sshd:") {
            crate::sshd::kill(pid, "KILL");
        }
    }
}

fn has_ended(certificate: &Path) -> bool {
    let mut read = Command::new("ssh-keygen");
    let read = read.args(["-L", "-f"]).arg(certificate).env("TZ", "UTC");
    let text = String::from_utf8(read.output().unwrap().stdout).unwrap();
    let end = text.split_once(" to ").unwrap().1;
    let mut date = Command::new("date");
    let now = date.args(["-u", "+%Y-%m-%dT%H:%M:%S"]).output();
    let now = now.unwrap().stdout;
    end.lines().next().unwrap() < String::from_utf8(now).unwrap().trim()
}

fn logins(node: &Sshd, run: &str) -> usize {
    let id = format!("ID opsbook:run={run}:by=");
    let log = log(node);
    log.lines()
        .filter(|line| line.contains("Accepted publickey") && line.contains(&id))
        .count()
}

/// A long part has another certificate when it has to log in anew. While there is none, logging in
/// is refused, which is no failure of the step; and in the end nothing is left.
#[test]
fn a_run_logs_in_with_a_certificate_of_its_own_for_as_long_as_it_lasts() {
    let keys = tempfile::tempdir().unwrap();
    let ca = keys.path().join("ca");
    let Some(node) = node(&ca, "opsbook@here") else {
        return;
    };
    let mut team = Team::new(PAGE, &config(&ca, "3s"));
    reached(&team, &node);
    let ran = || fs::read_to_string(node.home().join("ran")).unwrap_or_default();
    let _runner = team.runner("r1");
    let run = team.ask();
    until("the second step", || ran() == TWO);
    assert_eq!(logins(&node, &run), 1, "{}", log(&node));
    assert_eq!(held(&team).len(), 1);
    // With the third one, the first one has ended.
    let mut had = std::collections::BTreeSet::new();
    until("other certificates", || {
        had.insert(fs::read(&held(&team)[0]).unwrap());
        had.len() > 2
    });
    cut(&node);
    until("it has logged in anew", || logins(&node, &run) == 2);
    // Nobody signs any more: the certificate ends, and the connection is cut.
    team.kill_gateway();
    until("the last certificate has ended", || {
        has_ended(&held(&team)[0])
    });
    cut(&node);
    // By the node, or by a newer `ssh`, which does not even show it.
    let words = ["Certificate invalid: expired", "Failed publickey"];
    let refused = || words.iter().any(|word| log(&node).contains(word));
    until("it is refused", refused);
    assert_eq!(logins(&node, &run), 2, "{}", log(&node));
    team.start_gateway();
    until("it has logged in once more", || logins(&node, &run) >= 3);
    fs::write(node.home().join("go"), "").unwrap();
    let out = team.opsbook(&["watch", &run]);
    assert!(out.status.success(), "{out:?}{}", team.said());
    assert_eq!(ran(), ALL);
    assert_eq!(team.view(&run)["status"], "OK");
    until("nothing is left", || held(&team).is_empty());
}

/// As somebody else, or with no certificate at all: the node is not reached, and nothing failed.
#[test]
fn a_node_that_is_another_ones_is_not_reached_and_nothing_has_failed() {
    let keys = tempfile::tempdir().unwrap();
    let ca = keys.path().join("ca");
    let Some(node) = node(&ca, "opsbook@other") else {
        return;
    };
    let team = Team::new(PAGE, &config(&ca, "5m"));
    reached(&team, &node);
    let _runner = team.runner("r1");
    let run = team.ask();
    team.is_in(&run, "ended");
    let view = team.view(&run);
    assert_eq!(view["status"], "ERROR", "{view}");
    let watched = team.opsbook(&["watch", &run]);
    let said = String::from_utf8_lossy(&watched.stdout).into_owned();
    assert!(said.contains("authentication refused"), "{said}");
    assert_eq!(logins(&node, &run), 0);
    assert!(!node.home().join("ran").exists());
    until("nothing is left", || held(&team).is_empty());
}

/// Rounds of checks have certificates, too.
#[test]
fn a_round_of_checks_logs_in_with_a_certificate() {
    let keys = tempfile::tempdir().unwrap();
    let ca = keys.path().join("ca");
    let Some(node) = node(&ca, "opsbook@here") else {
        return;
    };
    let page = format!(
        "{PAGE}\n## Flag\n\n```yaml checks\nid: flag\n```\n\n```sh check id=flag.there\ntrue\n```\n"
    );
    let schedule = "[schedules.flag]\nchecks = \"flag::*\"\nnodes = \"here\"\nevery = \"1s\"\n";
    let team = Team::new(&page, &format!("{}{schedule}", config(&ca, "5m")));
    reached(&team, &node);
    let _runner = team.runner("r1");
    until("a round was asked", || {
        log(&node).contains("ID opsbook:checks=flag.here.0.")
    });
}
