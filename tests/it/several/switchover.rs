//! The chapter's switchover on three nodes with PostgreSQL, there and back, while a client writes.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use opsbook::event::What;

use super::site::{Site, acquired, begins, ends, killed, resumed_elsewhere, script};
use crate::lab::{Kind, until};
use crate::project::{Project, Said};
use crate::sshd::{Skip, kill, or_skip};
use crate::tier;

const NAMES: [&str; 3] = ["db1", "db2", "db3"];

struct Databases {
    writer: Writer,
    site: Site,
}

/// Writes continuously to whichever of the three accepts it, and notes what was accepted.
struct Writer {
    process: Child,
    dir: tempfile::TempDir,
}

impl Databases {
    fn start() -> Result<Databases, Skip> {
        tier::program("/usr/bin/pg_createcluster")?;
        tier::program("/usr/lib/postgresql/15/bin/pg_basebackup")?;
        let site = Site::start(&NAMES.map(|name| (name, Kind::FREE)))?;
        let network = site.gateway();
        let network = network.rsplit_once('.').unwrap().0;
        let before = format!("network={network}.0/24");
        site.node("db1").root(&script("postgres.sh", &before));
        for name in &NAMES[1..] {
            let folder = "/etc/postgresql/15";
            let to = site.node(name).path(folder);
            let from = site.node("db1").path(&format!("{folder}/shop"));
            let copy = Command::new("cp").arg("-a").args([from, to]).status();
            assert!(copy.unwrap().success());
            let before = format!("primary={} name={name}", site.address("db1"));
            site.node(name).root(&script("standby.sh", &before));
        }
        let databases = Databases {
            writer: Writer::start(&site),
            site,
        };
        databases.await_standbys("db1", &["db2", "db3"]);
        Ok(databases)
    }

    fn asked(&self, name: &str, sql: &str) -> String {
        let ask = format!("cd /; runuser -u postgres -- psql -p 5432 -XAtc \"{sql}\"");
        self.site.node(name).root(&ask)
    }

    fn await_standbys(&self, primary: &str, standbys: &[&str]) {
        let sql =
            "select application_name from pg_stat_replication where state = 'streaming' order by 1";
        until("the standbys follow", || {
            self.asked(primary, sql) == standbys.join("\n")
        });
    }

    /// Checks that there is one primary and two standbys of it, that everything accepted is on all
    /// three, and that nothing is locked.
    #[track_caller]
    fn are_right(&self, primary: &str) {
        assert_eq!(self.site.held(), Vec::<&str>::new());
        let standbys: Vec<_> = NAMES.into_iter().filter(|name| *name != primary).collect();
        self.await_standbys(primary, &standbys);
        let taken = self.writer.taken();
        assert!(!taken.is_empty());
        for name in NAMES {
            until("all that was taken is there", || {
                let ids = self.asked(name, "select id from orders");
                let ids: BTreeSet<&str> = ids.lines().collect();
                taken.iter().all(|id| ids.contains(id.as_str()))
            });
        }
    }

    fn run(&self, project: &Project, old: &str, new: &str, status: i32) -> Said {
        project
            .opsbook(&words(old, new).each_ref().map(String::as_str))
            .ends(status)
    }
}

/// The command line of a switchover; db3 follows the primary.
fn words(old: &str, new: &str) -> [String; 6] {
    [
        "run".to_owned(),
        "db.switchover".to_owned(),
        format!("old={old}"),
        format!("new={new}"),
        "others=db3".to_owned(),
        "--yes".to_owned(),
    ]
}

impl Writer {
    fn start(site: &Site) -> Writer {
        let dir = tempfile::tempdir().unwrap();
        let hosts = NAMES.map(|name| site.address(name)).join(",");
        let insert = "insert into orders default values returning id";
        let writes = format!(
            "while :; do psql \"host={hosts} port=5432 user=writer dbname=postgres connect_timeout=2 target_session_attrs=read-write\" \
             -XAtqc '{insert}' >>taken 2>/dev/null || sleep 0.2; done"
        );
        let process = Command::new("sh")
            .args(["-c", &writes])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let writer = Writer { process, dir };
        until("something is written", || !writer.taken().is_empty());
        writer
    }

    /// The accepted writes, without a line that is being written.
    fn taken(&self) -> BTreeSet<String> {
        let text = std::fs::read_to_string(self.dir.path().join("taken")).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        for pid in crate::sshd::tree(self.process.id()).into_iter().rev() {
            kill(pid, "KILL");
        }
        let _ = self.process.wait();
    }
}

#[test]
fn a_standby_takes_over_and_back_whatever_dies_on_the_way() {
    let Some(databases) = or_skip("T2", Databases::start()) else {
        return;
    };
    let (folder, other) = (databases.site.folder(), databases.site.folder());
    bound_the_wrong_way_round(&databases, &folder);
    one_is_held(&databases, &folder);

    // There and back, without a fault.
    databases.run(&folder, "db1", "db2", 0);
    databases.are_right("db2");
    databases.run(&folder, "db2", "db1", 0);
    databases.are_right("db1");

    the_controller_dies(&databases, &folder, &other);
    a_machine_dies(&databases, &folder);
    a_link_is_cut(&databases, &folder);
}

fn bound_the_wrong_way_round(databases: &Databases, folder: &Project) {
    let said = databases.run(folder, "db2", "db1", 4);
    said.has("BLOCKED").has("db.primary::writes");
    let said = folder.opsbook(&["run", "db.switchover", "old=db1", "new=db1", "--yes"]);
    said.ends(2);
    assert!(NAMES.iter().all(|name| databases.site.untouched(name)));
}

fn one_is_held(databases: &Databases, folder: &Project) {
    let lock = acquired(folder, "db2");
    let said = databases.run(folder, "db1", "db2", 4);
    said.has("BLOCKED").has("db2: ").has("a disk is changed");
    assert_eq!(databases.site.held(), ["db2"]);
    folder
        .opsbook(&["lock", "release", "db2", "--run", &lock])
        .ends(0);
    // A node with a later turn is not locked before, but is examined before the start.
    let lock = acquired(folder, "db3");
    databases
        .run(folder, "db1", "db2", 4)
        .has("db3: ")
        .has("a disk is changed");
    assert_eq!(databases.site.held(), ["db3"]);
    folder
        .opsbook(&["lock", "release", "db3", "--run", &lock])
        .ends(0);
    databases.are_right("db1");
}

/// After the fence, when there is no primary, continued from a folder without a journal; then while
/// the old primary comes back, continued by the name of a node.
fn the_controller_dies(databases: &Databases, folder: &Project, other: &Project) {
    let words = words("db1", "db2");
    let run = words.each_ref().map(String::as_str);
    let run = killed(folder, &run, "the fence is up", ends("db1", 1));
    assert_eq!(databases.site.held(), ["db1", "db2"]);
    // Needs are not evaluated again: the old primary no longer is one.
    resumed_elsewhere(other, &run, 0);
    databases.are_right("db2");
    // The killed controller sees that the run was continued.
    folder
        .opsbook(&["resume", &run, "--catch-up", "--yes"])
        .ends(0);

    let words = self::words("db2", "db1");
    let run = words.each_ref().map(String::as_str);
    killed(folder, &run, "the old one comes back", begins("db2", 3));
    folder.opsbook(&["resume", "db2", "--yes"]).ends(0);
    databases.are_right("db1");
}

/// The old primary loses its power during the fence: the new one still takes over.
fn a_machine_dies(databases: &Databases, folder: &Project) {
    let words = words("db1", "db2");
    let run = [
        &words.each_ref().map(String::as_str)[..],
        &["--reconnect", "3s"],
    ]
    .concat();
    let mut running = folder.opsbook(&run).start();
    running.until("the fence is up", ends("db1", 1));
    databases.site.node("db1").power_off();
    let said = running.wait();
    assert_eq!(said.status, 3, "{said:?}");
    said.has("db1");
    assert_eq!(databases.asked("db2", "select pg_is_in_recovery()"), "f");
    databases.site.node("db1").power_on();
    // Debian's own start script creates it.
    let boot = "install -d -o postgres -g postgres /run/postgresql";
    databases.site.node("db1").root(boot);
    folder.opsbook(&["resume", "--yes"]).ends(0);
    databases.are_right("db2");
}

/// The new primary is cut off during its promotion, and is back before the run gives up.
fn a_link_is_cut(databases: &Databases, folder: &Project) {
    let words = words("db2", "db1");
    let run = words.each_ref().map(String::as_str);
    let mut running = folder.opsbook(&run).start();
    running.until("it is promoted", begins("db1", 2));
    databases.site.node("db1").cut();
    running.until("it is missed", |event| {
        matches!(event.what, What::ConnectionLost { .. }) && event.node.as_deref() == Some("db1")
    });
    databases.site.node("db1").heal();
    let said = running.wait();
    assert_eq!(said.status, 0, "{said:?}");
    databases.are_right("db1");
}
