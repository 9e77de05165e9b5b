//! The gateway's store is lost, or an older one: runs go on, each step is run once, and
//! what a runner has said is there in the end.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::sshd::{Skip, or_skip};
use crate::{ALL, PAGE, Team, until, until_or};

pub(crate) fn config(socket: &Path) -> String {
    format!(
        "[store]\nurl = \"postgres://opsbook@localhost/gateway?host={}\"\n",
        socket.display()
    )
}

/// An answer as it came, to the user of this machine.
pub(crate) fn get(team: &Team, path: &str) -> String {
    let address = team.address();
    let address = address.strip_prefix("http://").unwrap();
    let token = fs::read_to_string(team.path("m/.opsbook/gateway/token")).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    // The version in which an answer is one piece.
    let head = format!(
        "GET {path} HTTP/1.0\r\nhost: {address}\r\naccept: application/x-ndjson\r\nauthorization: Bearer {}\r\n\r\n",
        token.trim()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn status(team: &Team, path: &str) -> u16 {
    get(team, path).split(' ').nth(1).unwrap().parse().unwrap()
}

/// The numbers of the lines that the gateway has now.
pub(crate) fn numbers(team: &Team, run: &str) -> Vec<u64> {
    let text = get(team, &format!("/v1/runs/{run}/events"));
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut numbers: Vec<u64> = lines.filter_map(|line| line["seq"].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

/// What is known of the run, where anything is.
fn seen(team: &Team, run: &str) -> Option<Value> {
    let out = team.opsbook(&["runs", "--json"]);
    let text = String::from_utf8(out.stdout).unwrap();
    let mut all = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.find(|view| view["run"] == run)
}

#[track_caller]
pub(crate) fn has_ended_well(team: &Team, run: &str, all: &str) {
    let said = || team.said();
    until_or("it has ended", said, || {
        seen(team, run).is_some_and(|view| view["state"] == "ended")
    });
    assert_eq!(seen(team, run).unwrap()["status"], "OK", "{}", team.said());
    assert_eq!(team.ran(), all, "{}", team.said());
    let has = || format!(", but {:?}{}", numbers(team, run), team.said());
    until_or("all its lines are there", has, || {
        let lines = numbers(team, run);
        !lines.is_empty() && lines == (1..=lines.len() as u64).collect::<Vec<_>>()
    });
}

/// Killed before anything is claimed, in the middle of a step, and at the end.
#[test]
fn a_run_goes_on_while_its_database_is_killed_and_started_again() {
    let Some(mut cluster) = or_skip("PostgreSQL", Cluster::new()) else {
        return;
    };
    let team = Team::new(PAGE, &config(cluster.socket()));
    let _runner = team.runner("r1");
    for moment in ["asked", "step", "end"] {
        team.again();
        let run = team.ask();
        match moment {
            "asked" => {}
            "step" => team.is_at_step_two(),
            _ => {
                team.is_at_step_two();
                team.go();
                until("the last step", || team.ran() == ALL);
            }
        }
        cluster.kill();
        until("it says that it cannot write", || {
            status(&team, "/readyz") == 503
        });
        assert_eq!(status(&team, "/healthz"), 200);
        team.go();
        if moment == "step" {
            // Acting waits for nobody.
            until("the last step", || team.ran() == ALL);
        }
        cluster.start();
        until("it can write", || status(&team, "/readyz") == 200);
        has_ended_well(&team, &run, ALL);
    }
}

/// Leases are by the clock of the database: that of a gateway may say what it likes.
#[test]
fn a_gateway_whose_clock_is_wrong_loses_no_lease() {
    let faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    if !Path::new(faketime).exists() {
        or_skip::<()>(
            "faketime",
            Err(Skip("libfaketime is not installed".to_owned())),
        );
        return;
    }
    let Some(cluster) = or_skip("PostgreSQL", Cluster::new()) else {
        return;
    };
    let mut team = Team::new(PAGE, &config(cluster.socket()));
    let _runner = team.runner("r1");
    for by in ["+2h", "-2h"] {
        team.again();
        let run = team.ask();
        team.is_at_step_two();
        team.kill_gateway();
        let clock = [
            ("LD_PRELOAD", faketime),
            ("FAKETIME", by),
            ("DONT_FAKE_MONOTONIC", "1"),
        ];
        team.start_gateway_with(&clock);
        until("it can write", || status(&team, "/readyz") == 200);
        team.go();
        has_ended_well(&team, &run, ALL);
        let view = get(&team, &format!("/v1/runs/{run}"));
        assert!(view.contains("\"epoch\":1"), "{view}");
    }
}

/// The address of the database leads to whichever of the two serves.
struct Address(tempfile::TempDir);

impl Address {
    fn of(cluster: &Cluster) -> Address {
        let address = Address(tempfile::tempdir().unwrap());
        address.leads_to(cluster);
        address
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("now")
    }

    fn leads_to(&self, cluster: &Cluster) {
        let _ = fs::remove_file(self.path());
        std::os::unix::fs::symlink(cluster.socket(), self.path()).unwrap();
    }
}

/// Three steps, of which two wait.
fn page() -> String {
    PAGE.replace(
        "echo \"three $seen\" >> \"$HOME/ran\"",
        "echo \"three $seen\" >> \"$HOME/ran\"\nwhile test ! -e \"$HOME/end\"; do sleep 0.05; done",
    )
}

/// A standby for which each commit waits has all that was said.
#[test]
fn nothing_is_lost_where_a_synchronous_standby_takes_over() {
    let Some(mut primary) = or_skip("PostgreSQL", Cluster::new()) else {
        return;
    };
    let address = Address::of(&primary);
    let team = Team::new(&page(), &config(&address.path()));
    let standby = primary.standby();
    primary.wait_for_standby();
    let _runner = team.runner("r1");
    let run = team.ask();
    team.is_at_step_two();
    let before = numbers(&team, &run);
    primary.kill();
    standby.promote();
    address.leads_to(&standby);
    team.go();
    until("the last step", || team.ran() == ALL);
    until("it can write", || status(&team, "/readyz") == 200);
    let after = numbers(&team, &run);
    assert!(
        before.iter().all(|seq| after.contains(seq)),
        "{before:?} {after:?}"
    );
    fs::write(team.path("home/end"), "").unwrap();
    has_ended_well(&team, &run, ALL);
}

/// Gateway, database and a standby that hears nothing more from a moment that a test chooses.
struct Late {
    primary: Cluster,
    standby: Cluster,
    address: Address,
    team: Team,
}

impl Late {
    fn new() -> Option<Late> {
        let primary = or_skip("PostgreSQL", Cluster::new())?;
        let address = Address::of(&primary);
        let team = Team::new(&page(), &config(&address.path()));
        let standby = primary.standby();
        Some(Late {
            primary,
            standby,
            address,
            team,
        })
    }

    /// It has all that is there now, and nothing of what comes.
    fn falls_behind(&self) {
        self.standby.falls_behind(&self.primary);
    }

    /// The standby is the database from now on.
    fn takes_over(&mut self) {
        self.primary.kill();
        self.standby.promote();
        self.address.leads_to(&self.standby);
        until("it can write", || status(&self.team, "/readyz") == 200);
    }
}

/// The lines that the standby never had come back from the journal of the runner.
#[test]
fn lines_that_a_late_standby_never_had_are_sent_again() {
    let Some(mut late) = Late::new() else {
        return;
    };
    let _runner = late.team.runner("r1");
    let run = late.team.ask();
    late.team.is_at_step_two();
    until("the step is known", || numbers(&late.team, &run).len() > 3);
    late.falls_behind();
    let mut watching = late.team.command(Path::new(env!("CARGO_BIN_EXE_opsbook")));
    watching.args(["watch", &run, "--json"]);
    let watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let before = numbers(&late.team, &run).len();
    late.team.go();
    until("the last step", || late.team.ran() == ALL);
    until("its lines", || numbers(&late.team, &run).len() > before);
    let known = numbers(&late.team, &run);
    late.takes_over();
    fs::write(late.team.path("home/end"), "").unwrap();
    has_ended_well(&late.team, &run, ALL);
    let all = numbers(&late.team, &run);
    assert!(all.len() > known.len());
    // Who looks on misses nothing, and sees nothing twice.
    let output = watching.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let seen = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let seen: Vec<u64> = seen
        .filter_map(|line: Value| line["seq"].as_u64())
        .collect();
    assert_eq!(seen, all);
}

/// A run that the standby knows only as one that was asked for: it is its runner's all the same,
/// though another runner would take it at once, and the gateway that was started anew has seen
/// nothing of the loss.
#[test]
fn a_part_whose_lease_a_late_standby_never_had_is_still_its_runners() {
    let Some(mut late) = Late::new() else {
        return;
    };
    let run = late.team.ask();
    late.falls_behind();
    let _first = late.team.runner("r1");
    late.team.is_at_step_two();
    until("the step is known", || numbers(&late.team, &run).len() > 3);
    let _second = late.team.runner("r2");
    until("it is there, too", || {
        late.team.said().matches("runner at").count() == 2
    });
    late.takes_over();
    late.team.go();
    fs::write(late.team.path("home/end"), "").unwrap();
    has_ended_well(&late.team, &run, ALL);
    let view = get(&late.team, &format!("/v1/runs/{run}"));
    assert!(view.contains("\"epoch\":1"), "{view}{}", late.team.said());
}

/// It has ended, and its runner has forgotten it: the node knows.
#[test]
fn a_run_that_has_ended_is_not_run_again_where_a_late_standby_knows_nothing_of_it() {
    let Some(mut late) = Late::new() else {
        return;
    };
    late.team.go();
    fs::write(late.team.path("home/end"), "").unwrap();
    let run = late.team.ask();
    late.falls_behind();
    let _runner = late.team.runner("r1");
    has_ended_well(&late.team, &run, ALL);
    late.takes_over();
    has_ended_well(&late.team, &run, ALL);
}

/// The ask itself is lost: whoever waits for the run asks once more by the same name, and it is the
/// same run, with which its runner has gone on meanwhile.
#[test]
fn a_run_that_a_late_standby_has_never_heard_of_is_asked_for_once_more() {
    let Some(mut late) = Late::new() else {
        return;
    };
    let _runner = late.team.runner("r1");
    late.falls_behind();
    let opsbook = Path::new(env!("CARGO_BIN_EXE_opsbook"));
    let mut asking = late.team.command(opsbook);
    asking.args(["ask", "p", "here", "--wait", "--json"]);
    asking.stdout(Stdio::piped());
    let asking = asking.spawn().unwrap();
    late.team.is_at_step_two();
    late.takes_over();
    late.team.go();
    fs::write(late.team.path("home/end"), "").unwrap();
    let output = asking.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}{}", late.team.said());
    let text = String::from_utf8(output.stdout).unwrap();
    let asked: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    has_ended_well(&late.team, asked["run"].as_str().unwrap(), ALL);
    let runs = late.team.ok(&["runs", "--json"]);
    assert_eq!(runs.lines().count(), 1, "{runs}");
}

/// The machine of the gateway is lost: a backup, and what nodes and runners have, is all there is.
#[test]
fn a_backup_and_the_nodes_know_what_became_of_a_run() {
    let mut team = Team::new(PAGE, "");
    let _runner = team.runner("r1");
    let run = team.ask();
    team.is_at_step_two();
    let opsbook = Path::new(env!("CARGO_BIN_EXE_opsbook"));
    let backup = |team: &Team| {
        let mut command = team.command(&opsbook.with_file_name("opsbook-gateway"));
        command.args(["backup", "../backup.db"]).output().unwrap()
    };
    let made = backup(&team);
    assert!(made.status.success(), "{made:?}");
    // It is written over by nobody.
    assert!(!backup(&team).status.success());
    team.go();
    has_ended_well(&team, &run, ALL);
    team.kill_gateway();
    let store = team.path("m/.opsbook/gateway/gateway.db");
    for more in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{more}", store.display()));
    }
    fs::copy(team.path("backup.db"), &store).unwrap();
    team.start_gateway();
    has_ended_well(&team, &run, ALL);
}
