//! Faults of the login itself: logind ends what it leaves behind. F50.

use crate::lab::{Kind, Node, until};
use crate::project::{Project, Said};
use crate::sshd::{Skip, or_skip};
use crate::tier;

/// A node on which every login is a session of logind.
fn node() -> Result<Node, Skip> {
    for program in [
        "/lib/systemd/systemd-logind",
        "/usr/bin/dbus-daemon",
        "/lib/x86_64-linux-gnu/security/pam_systemd.so",
    ] {
        tier::program(program)?;
    }
    let node = Node::of(&Kind {
        systemd: true,
        sudoers: "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
        sshd: "UsePAM yes\n",
        ..Kind::default()
    })?;
    node.root("mkdir -p /etc/systemd/logind.conf.d; printf '[Login]\\nKillUserProcesses=yes\\n' >/etc/systemd/logind.conf.d/kill.conf; printf 'account required pam_permit.so\\nsession required pam_systemd.so\\n' >/etc/pam.d/sshd; systemctl start dbus systemd-logind");
    Ok(node)
}

/// A step of that user waits while its connection is cut and made again, and logind has
/// dealt with it, as `then` says of its session; what the run said, and
/// whether the step went on to its end.
fn cut(node: &Node, sudo: &str, then: &str) -> (Said, bool) {
    node.root("rm -rf /srv/w; mkdir -m 777 /srv/w");
    let project = Project::new(&format!(
        "# Page\n\n```yaml procedure\nid: p\ntimeout: 2m\n```\n\n```sh step {sudo}\n: >/srv/w/begun\nuntil test -e /srv/w/go; do sleep 0.1; done\n: >/srv/w/ended\n```\n"
    ));
    project.node("far", &node.ssh(), "");
    let mut run = project.opsbook(&["run", "p", "far"]).start();
    run.until_file(&node.path("/srv/w/begun"));
    let session =
        node.root("loginctl --no-legend list-sessions | awk '$3 == \"ops\" { print $1 }'");
    node.root("pkill -KILL -f '^sshd: ops'");
    // One whose processes are spared stays, and is closing.
    let left = format!("loginctl show-session -p State {session} 2>/dev/null || echo gone");
    until("logind has dealt with it", || node.root(&left) == then);
    node.root(": >/srv/w/go");
    let said = run.wait();
    let ended = node.path("/srv/w/ended").exists();
    (said, ended)
}

const MORTAL: &str = "on this node, logind kills the processes of a closed login";

#[test]
fn f50_a_step_that_logind_would_kill_is_named_before_it_runs() {
    let Some(node) = or_skip("T3", node()) else {
        return;
    };
    for (sudo, user) in [("", "ops"), ("sudo=daemon", "daemon")] {
        let (said, ended) = cut(&node, sudo, "gone");
        assert!(!ended, "{said:?}");
        said.has(MORTAL)
            .has(&format!("loginctl enable-linger {user}"))
            .has("outcome: unknown");
        assert_eq!(said.status, 3, "{said:?}");
        let warned = said.out.find(MORTAL).unwrap_or(usize::MAX);
        assert!(warned < said.out.find("\n1 ").unwrap(), "{}", said.out);
        node.root("rm -rf /home/ops/.opsbook");
    }
    // Root has a scope of its own.
    let (said, ended) = cut(&node, "sudo", "gone");
    assert!(ended && said.status == 0, "{said:?}");
    assert!(!said.out.contains(MORTAL), "{said:?}");
}

#[test]
fn f50_where_the_node_allows_it_a_step_outlives_its_login() {
    let Some(node) = or_skip("T3", node()) else {
        return;
    };
    node.root("loginctl enable-linger ops; loginctl enable-linger daemon");
    for sudo in ["", "sudo=daemon", "sudo"] {
        let (said, ended) = cut(&node, sudo, "gone");
        assert!(ended && said.status == 0, "{sudo}: {said:?}");
        assert!(!said.out.contains(MORTAL), "{said:?}");
    }
    // Those whom logind spares need nothing.
    node.root("loginctl disable-linger ops; echo 'KillExcludeUsers=x ops' >>/etc/systemd/logind.conf.d/kill.conf; systemctl restart systemd-logind");
    let (said, ended) = cut(&node, "", "State=closing");
    assert!(ended && said.status == 0, "{said:?}");
    assert!(!said.out.contains(MORTAL), "{said:?}");
}
