//! A login leaves a process running on the node that holds the connection open. Our `ssh` ends
//! nevertheless. F55.

use crate::lab::until;
use crate::project::{Project, marker, node, running};
use crate::session::shared::{folder, master, own, sockets};
use crate::sshd::{Skip, Special, Sshd, kill, or_skip};

const PAGE: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\necho \"$(id -u)\" >> \"$HOME/ran\"\n```\n\n```sh check id=ran\ntest -e \"$HOME/ran\"\n```\n";

/// A node whose logins leave a process behind that holds all streams of the connection.
fn sticky(mark: &str) -> Result<Sshd, Skip> {
    Sshd::special(&Special {
        login: format!("sleep {mark} &"),
        ..Special::default()
    })
}

/// The programs of this machine that lead to a node.
fn clients(server: &Sshd) -> Vec<u32> {
    running(&format!("--\0{}\0", server.address))
}

fn end_all(mark: &str) {
    for pid in running(&format!("sleep\0{mark}")) {
        kill(pid, "KILL");
    }
}

#[test]
fn f55_no_ssh_stays_for_what_a_login_leaves_running() {
    let mark = marker();
    let Some(server) = or_skip("T1", sticky(&mark)) else {
        return;
    };
    let project = Project::new(PAGE);
    let ssh = server.ssh();
    // The other way there is the same `ssh`, as the words of a command.
    let mut words = vec!["ssh".to_owned(), "-T".to_owned()];
    let port = server.port.to_string();
    let identity = ssh.identity.clone().unwrap().display().to_string();
    for option in &ssh.options {
        words.extend(["-o".to_owned(), option.clone()]);
    }
    words.extend(["-p", &port, "-i", &identity, "--", &ssh.host, "exec sh"].map(str::to_owned));
    let words = serde_json::to_string(&words).unwrap();
    let exec = format!("  box: {{transport: {{exec: {words}}}}}\n");
    project.nodes(&(node("far", &ssh, "") + &exec));
    for name in ["far", "box"] {
        project.opsbook(&["run", "p", name]).ends(0);
        assert!(!running(&mark).is_empty(), "the login left nothing");
        until("it is gone", || clients(&server).is_empty());
    }
    end_all(&mark);
}

#[test]
fn f55_the_users_own_connection_goes_on_after_us() {
    let mark = marker();
    let Some(server) = or_skip("T1", sticky(&mark)) else {
        return;
    };
    let (project, place) = (Project::new(PAGE), folder());
    let mut ssh = server.ssh();
    let path = format!("{}/%C", place.path().display());
    ssh.options.push(format!("ControlPath={path}"));
    project.node("far", &ssh, "");
    own(&server, &path);
    let theirs = master(&sockets(place.path())[0]);
    project.opsbook(&["run", "p", "far"]).ends(0);
    until("ours are gone", || {
        clients(&server).iter().all(|pid| *pid == theirs)
    });
    assert_eq!(master(&sockets(place.path())[0]), theirs);
    kill(theirs, "TERM");
    end_all(&mark);
}
