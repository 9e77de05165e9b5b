//! A login without the gateway, at a real `sshd` that trusts the gateway's key alone: two people
//! open a sealed certificate together, and neither of them alone.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::certificates::{log, node, reached};
use crate::sshd::user;
use crate::{PAGE, TWO, Team, until};

/// A key of ssh and one of `age`: the line that the gateway's list has, and the file `NAME`.
fn keys(team: &Team, me: &str) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(team.path("mine"))
        .status();
    assert!(made.unwrap().success());
    let mine = fs::read_to_string(team.path("mine.pub")).unwrap();
    let made = Command::new("age-keygen")
        .arg("-o")
        .arg(team.path("bos"))
        .output();
    let made = made.expect("`age` is one of the packages of `tests/all.sh`");
    let said = String::from_utf8(made.stderr).unwrap();
    let bos = said.trim().rsplit(' ').next().unwrap();
    format!("# who opens it\n{me} {mine}bo {bos}\n")
}

fn config(ca: &Path, me: &str, valid: &str) -> String {
    format!(
        "name = \"ops\"\n[segments.here]\nssh = {{kind = \"certificate\", ca = {{file = \"{}\"}}, \
         principals = [\"opsbook@{{node}}\"]}}\n\
         [segments.here.sealed]\npeople = \"{me}\"\nvalid = \"{valid}\"\n",
        ca.display()
    )
}

fn said(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{}{err}", String::from_utf8_lossy(&output.stdout))
}

fn get(team: &Team) -> Value {
    until("a sealed certificate", || {
        team.opsbook(&["sealed", "get"]).status.success()
    });
    let path = team.path("home/.local/state/opsbook/sealed/ops-here.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The certificate that was fetched, from the manual's folder.
const KEPT: &str = "../home/.local/state/opsbook/sealed/ops-here.json";

fn open(team: &Team, [from, to, key, person]: [&str; 4]) -> Output {
    team.opsbook(&["sealed", "open", from, to, "--key", key, "--as", person])
}

/// Nobody else, with no other key, nobody alone, and no other file.
fn refuses_everybody_else(team: &Team, sealed: &Value, me: &str) {
    let mut timeless = sealed.clone();
    timeless["until"] = "never".into();
    team.write("timeless", &timeless.to_string());
    for (from, key, person, why) in [
        (KEPT, "../mine", "cy", "`cy` cannot help to open"),
        (KEPT, "../bos", me, "does not open this layer"),
        (KEPT, "../mine", "bo", "does not open this layer"),
        ("../mine", "../mine", "bo", "this is no sealed certificate"),
        (
            "../timeless",
            "../mine",
            "bo",
            "does not say when it expires",
        ),
    ] {
        let refused = open(team, [from, "../half", key, person]);
        assert!(!refused.status.success(), "{why}");
        assert!(said(&refused).contains(why), "{}", said(&refused));
        assert!(!team.path("half").exists());
    }
}

#[test]
fn two_people_open_a_sealed_certificate_and_log_in_without_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca");
    let Some(node) = node(&ca, "opsbook@here") else {
        return;
    };
    let people = folder.path().join("people");
    let mut team = Team::new(PAGE, "");
    fs::write(&people, keys(&team, "bo-and-me-later")).unwrap();
    // Whom the list does not name, the gateway gives nothing.
    let me = String::from_utf8(team.opsbook(&["login", &team.socket()]).stdout).unwrap();
    let me = me.split(' ').next().unwrap().to_owned();
    team.kill_gateway();
    reached(&team, &node);
    let config = config(&ca, &people.display().to_string(), "10m");
    team.write("m/.opsbook/gateway/gateway.toml", &config);
    team.start_gateway();
    let made = team.path("m/.opsbook/gateway/sealed/here.json");
    until("it is made", || made.exists());
    let nothing = team.opsbook(&["sealed", "get"]);
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    let list = fs::read_to_string(&people).unwrap();
    fs::write(&people, list.replace("bo-and-me-later", &me)).unwrap();
    team.kill_gateway();
    team.start_gateway();
    let sealed = get(&team);
    team.kill_gateway();

    let text = sealed.to_string();
    assert!(
        !text.contains("PRIVATE KEY") && !text.contains("cert-v01"),
        "{text}"
    );
    refuses_everybody_else(&team, &sealed, &me);
    let open = |from: &str, to: &str, key: &str, person: &str| open(&team, [from, to, key, person]);
    let half = open(KEPT, "../half", "../mine", &me);
    assert!(half.status.success(), "{}", said(&half));
    for (key, person, why) in [
        ("../mine", me.as_str(), "has opened the first layer"),
        ("../mine", "bo", "does not open this layer"),
    ] {
        let refused = open("../half", "../open", key, person);
        assert_eq!(refused.status.code(), Some(2), "{why}");
        assert!(said(&refused).contains(why), "{}", said(&refused));
        assert!(!team.path("open").exists());
    }
    let opened = open("../half", "../open", "../bos", "bo");
    assert!(opened.status.success(), "{}", said(&opened));

    fs::write(node.home().join("go"), "").unwrap();
    let alone = ["run", "p", "here", "--break-glass", "the gateway is down"];
    // This person has no key of their own for the node.
    let refused = team.opsbook(&alone);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    let with = [&alone[..], &["--ssh-config", "../open/config"]].concat();
    let ran = team.opsbook(&with);
    assert!(ran.status.success(), "{}", said(&ran));
    let ran = fs::read_to_string(node.home().join("ran")).unwrap();
    assert!(ran.starts_with(TWO), "{ran}");
    let id = format!(
        "ID opsbook:sealed={}:segment=here",
        sealed["id"].as_str().unwrap()
    );
    let log = log(&node);
    assert!(
        log.lines()
            .any(|line| line.contains("Accepted publickey") && line.contains(&id)),
        "{log}"
    );
    assert!(log.contains(&format!("for {}", user())), "{log}");
}

/// A new one is made after half of its time; one that has expired is not opened.
#[test]
fn a_sealed_certificate_is_replaced_and_expires() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca");
    let Some(_node) = node(&ca, "opsbook@here") else {
        return;
    };
    let people = folder.path().join("people");
    let mut team = Team::new(PAGE, "");
    let me = String::from_utf8(team.opsbook(&["login", &team.socket()]).stdout).unwrap();
    fs::write(&people, keys(&team, me.split(' ').next().unwrap())).unwrap();
    team.kill_gateway();
    let config = config(&ca, &people.display().to_string(), "2s");
    team.write("m/.opsbook/gateway/gateway.toml", &config);
    team.start_gateway();
    let first = get(&team);
    until("another one", || get(&team)["id"] != first["id"]);
    team.write("old", &first.to_string());
    until("it has expired", || {
        let words = ["sealed", "open", "../old", "../half", "--key", "../mine"];
        let refused = team.opsbook(&words);
        let _ = fs::remove_file(team.path("half"));
        said(&refused).contains("the sealed certificate expired at")
    });
}
