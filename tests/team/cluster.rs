//! A PostgreSQL of one test's own, which it kills: on a socket alone, as the user `postgres`. And
//! its standby, which takes its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::sshd::{Skip, kill, tree};
use crate::until;

/// A server with its folder, which is removed with it.
pub struct Cluster {
    folder: tempfile::TempDir,
    program: PathBuf,
    server: Option<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Cluster {
    /// A new server, with one database.
    pub fn new() -> Result<Cluster, Skip> {
        let cluster = Cluster::empty()?;
        let made = cluster
            .as_postgres("initdb")
            .args([
                "--auth=trust",
                "--username=opsbook",
                "--no-sync",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(cluster.data())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            return Err(Skip("`initdb` failed".to_owned()));
        }
        let mut cluster = cluster;
        cluster.start();
        cluster.sql("create database gateway");
        Ok(cluster)
    }

    /// A new server, whose database is on a disk of its own.
    pub fn on(disk: &Path) -> Result<Cluster, Skip> {
        let cluster = Cluster::new()?;
        let chown = Command::new("chown").arg("postgres:").arg(disk).status();
        assert!(chown.unwrap().success());
        cluster.sql(&format!(
            "create tablespace small location '{}'",
            disk.display()
        ));
        cluster.sql("alter database gateway set tablespace small");
        Ok(cluster)
    }

    fn empty() -> Result<Cluster, Skip> {
        if !rustix::process::geteuid().is_root() {
            return Err(Skip(
                "only root can start PostgreSQL as another user".to_owned(),
            ));
        }
        let program = programs()?;
        let folder = tempfile::Builder::new().prefix("ob-team-pg-").tempdir();
        let folder = folder.map_err(|error| Skip(error.to_string()))?;
        let mut chown = Command::new("chown");
        if !chown
            .arg("postgres:")
            .arg(folder.path())
            .status()
            .is_ok_and(|status| status.success())
        {
            return Err(Skip("there is no user `postgres`".to_owned()));
        }
        Ok(Cluster {
            folder,
            program,
            server: None,
        })
    }

    /// Another server that follows this one.
    pub fn standby(&self) -> Cluster {
        let standby = Cluster::empty().unwrap();
        let copied = self
            .as_postgres("pg_basebackup")
            .args([
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
            ])
            .args(["-U", "opsbook", "-h"])
            .arg(self.folder.path())
            .arg("-D")
            .arg(standby.data())
            .status();
        assert!(copied.unwrap().success());
        let mut standby = standby;
        standby.start();
        standby
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where its socket is.
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    fn as_postgres(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "--pdeathsig=KILL",
            ])
            .arg(self.program.join(program))
            .current_dir("/tmp")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// It serves, again.
    pub fn start(&mut self) {
        let mut server = self.as_postgres("postgres");
        server
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path());
        server.args([
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=50",
        ]);
        self.server = Some(server.spawn().unwrap());
        until("PostgreSQL answers", || self.try_sql("select 1").is_some());
    }

    /// All its processes are killed at once.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        for pid in tree(server.id()) {
            kill(pid, "KILL");
        }
        let _ = server.wait();
    }

    /// The standby is the server from now on.
    pub fn promote(&self) {
        self.sql("select pg_promote()");
        until("it is not a standby", || {
            self.sql("select pg_is_in_recovery()") == "f"
        });
    }

    /// This standby has all that its primary has, and hears nothing more of it.
    pub fn falls_behind(&self, primary: &Cluster) {
        let now = primary.sql("select pg_current_wal_flush_lsn()");
        until("the standby has it", || {
            self.sql(&format!("select pg_last_wal_replay_lsn() >= '{now}'")) == "t"
        });
        self.sql("alter system set primary_conninfo = ''");
        self.sql("select pg_reload_conf()");
        until("it hears nothing more", || {
            self.sql("select count(*) from pg_stat_wal_receiver") == "0"
        });
    }

    /// From now on, what this server says is done, its standby has.
    pub fn wait_for_standby(&self) {
        until("a standby", || {
            self.sql("select count(*) from pg_stat_replication") == "1"
        });
        self.sql("alter system set synchronous_standby_names = '*'");
        self.sql("select pg_reload_conf()");
        until("it is waited for", || {
            self.sql("select sync_state from pg_stat_replication") == "sync"
        });
    }

    fn try_sql(&self, statement: &str) -> Option<String> {
        let psql = Command::new("psql")
            .args([
                "--no-psqlrc",
                "-qAt",
                "-U",
                "opsbook",
                "-d",
                "postgres",
                "-h",
            ])
            .arg(self.folder.path())
            .args(["-c", statement])
            .env("PGCONNECT_TIMEOUT", "5")
            .output()
            .unwrap();
        let text = String::from_utf8(psql.stdout).unwrap();
        psql.status.success().then(|| text.trim().to_owned())
    }

    #[track_caller]
    fn sql(&self, statement: &str) -> String {
        let mut found = None;
        for _ in 0..50 {
            found = self.try_sql(statement);
            if found.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        found.unwrap_or_else(|| panic!("{statement}"))
    }
}

fn programs() -> Result<PathBuf, Skip> {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let versions = versions.map_err(|_| Skip("postgresql is not installed".to_owned()))?;
    let mut all: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("pg_basebackup").exists())
        .collect();
    all.sort();
    all.pop()
        .ok_or_else(|| Skip("postgresql is not installed".to_owned()))
}
