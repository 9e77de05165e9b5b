//! Faults of what stands at the other end: F19 to F21.

use std::fs;

use crate::project::Project;
use crate::sshd::{self, Skip, Special, Sshd, or_skip};
use crate::tier;

const PAGE: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one capture=word\necho word\n```\n```text expect\nword\n```\n\n```sh step id=two\necho \"$word\" >> \"$HOME/ran\"\n```\n\n```sh check id=ran\ncat \"$HOME/ran\"\n```\n```text expect\nword\n```\n";

fn on(login: &str) -> Result<(Sshd, Project), Skip> {
    let node = Sshd::special(&Special {
        login: login.to_owned(),
        ..Special::default()
    })?;
    let project = Project::new(PAGE);
    project.node("far", &node.ssh(), "");
    Ok((node, project))
}

#[test]
fn f19_a_noisy_login_is_framed_away() {
    let noises = [
        "echo 'Welcome to far!'; echo 'no one shall pass' >&2",
        "printf '\\033]0;title\\007\\n'; yes | head -n 2000",
        "umask 0; set -o noclobber; export IFS=x PS1=; alias ls=false",
    ];
    for noise in noises {
        let Some((node, project)) = or_skip("T1", on(noise)) else {
            return;
        };
        let said = project.opsbook(&["run", "p", "far"]).ends(0);
        said.lacks("Welcome").lacks("shall pass").lacks("title");
        let ran = fs::read_to_string(node.home().join("ran")).unwrap();
        assert_eq!(ran, "word\n", "{noise}");
    }
}

#[test]
fn f19_a_login_that_is_no_shell_is_a_clear_error() {
    let Some((_node, project)) = or_skip("T1", on("echo 'This account is not available.'; exit 1"))
    else {
        return;
    };
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("This account is not available.");
}

#[test]
fn f20_an_unknown_or_changed_host_key_is_shown_and_refused() {
    let Some(node) = or_skip("T1", Sshd::start()) else {
        return;
    };
    let fingerprint = |key: &str| {
        let key = sshd::keys().join(key);
        let out = std::process::Command::new("ssh-keygen")
            .arg("-lf")
            .arg(key)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    };
    let project = Project::new(PAGE);
    project.node("far", &node.ssh(), "");
    let known = node.dir.path().join("known_hosts");
    let line = fs::read_to_string(&known).unwrap();

    fs::write(&known, "").unwrap();
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("is not known").has(&fingerprint("host.pub"));
    assert_eq!(
        fs::read_to_string(&known).unwrap(),
        "",
        "nothing is accepted"
    );

    let other = fs::read_to_string(sshd::keys().join("stranger.pub")).unwrap();
    let place = line.split(' ').next().unwrap();
    fs::write(&known, format!("{place} {other}")).unwrap();
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("has changed")
        .has(&fingerprint("host.pub"))
        .has(&fingerprint("stranger.pub"));
    assert!(!node.home().join("ran").exists());
}

#[test]
fn f21_a_node_with_another_clock_is_as_good_as_any() {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    for offset in ["-9000d", "+9000d"] {
        let login = format!("export LD_PRELOAD={library} FAKETIME={offset} FAKETIME_DISABLE_SHM=1");
        let node = tier::t1()
            .and_then(|()| tier::program(library))
            .and_then(|()| on(&login));
        let Some((node, project)) = or_skip("F21", node) else {
            return;
        };
        project.opsbook(&["run", "p", "far"]).ends(0);
        let ran = node.home().join("ran");
        assert_eq!(fs::read_to_string(&ran).unwrap(), "word\n");
        // It is held and resumed under that clock, too.
        fs::write(&ran, "no\n").unwrap();
        project.opsbook(&["run", "p", "far"]).ends(1);
        project
            .opsbook(&["run", "p", "far"])
            .ends(4)
            .has("nothing of it runs any more");
        fs::remove_file(&ran).unwrap();
        project.opsbook(&["resume"]).ends(0);
    }
}
