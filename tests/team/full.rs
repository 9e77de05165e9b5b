//! The gateway's database has no room for more: asks are told to come later, runs go on, and what
//! they have said arrives once there is room again.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::Cluster;
use crate::sshd::{Skip, or_skip};
use crate::store_lost::{config, get, has_ended_well, status};
use crate::{ALL, PAGE, Team, until};

/// A disk in memory.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file there keeps it for as long as they live.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

impl Disk {
    fn at(folder: &Path, size: &str) -> Result<Disk, Skip> {
        let options = format!("size={size},mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "ob-team-full"])
            .arg(folder)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Disk(folder.to_owned())),
            _ => Err(Skip("nobody here may mount a disk".to_owned())),
        }
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        for bytes in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![b'x'; bytes]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

/// Many steps after those that wait: their lines need room.
fn page() -> String {
    let mut page = PAGE.to_owned();
    for number in 4..20 {
        // Writing into a string cannot fail.
        let _ = write!(
            page,
            "\n## {number}\n\n```sh step id=more{number}\n:\n```\n"
        );
    }
    page
}

/// The answer to an ask with a long reason.
fn ask(team: &Team, letter: char) -> u16 {
    let address = team.address();
    let address = address.strip_prefix("http://").unwrap();
    let token = fs::read_to_string(team.path("m/.opsbook/gateway/token")).unwrap();
    // What can be packed needs little room.
    let noise: String = (0..2_000_u64)
        .map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50))
        .collect();
    let reason = format!("{letter}{}", &noise[..7_000]);
    let body = serde_json::json!({"procedure": "p", "nodes": ["far"], "reason": reason});
    let body = body.to_string();
    let head = format!(
        "POST /v1/asks HTTP/1.0\r\nhost: {address}\r\nopsbook-api: 1\r\ncontent-type: application/json\r\ncontent-length: {}\r\nauthorization: Bearer {}\r\n\r\n",
        body.len(),
        token.trim()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Requests that got exactly 429.
fn later(team: &Team) -> u64 {
    let text = get(team, "/metrics");
    let line = "opsbook_gateway_retry_after_total{status=\"429\"} ";
    let found = text.lines().find_map(|text| text.strip_prefix(line));
    found.map_or(0, |count| count.parse().unwrap())
}

fn fills_up(team: &Team, disk: &Disk) {
    // A node that no runner reaches: what is asked for there stays in the store.
    team.write(
        "m/nodes.yaml",
        "opsbook: 1\nnodes:\n  here: {transport: local}\n  far: {transport: local, segment: far}\n",
    );
    let _runner = team.runner("r1");
    let run = team.ask();
    team.is_at_step_two();
    disk.fill();
    let mut letters = ('a'..='z').cycle();
    until("no ask is taken", || {
        let answer = ask(team, letters.next().unwrap());
        assert!(matches!(answer, 201 | 503), "{answer}");
        answer == 503
    });
    until("it says that it cannot write", || {
        ask(team, 'z') == 503 && status(team, "/healthz") == 200
    });
    let before = later(team);
    team.go();
    // Acting waits for nobody.
    until("the last step", || team.ran() == ALL);
    until("lines are told to come later", || later(team) > before);
    disk.empty();
    has_ended_well(team, &run, ALL);
    assert_eq!(ask(team, 'a'), 201);
}

/// A folder with a small disk in it.
fn small(size: &str) -> Option<(tempfile::TempDir, PathBuf, Disk)> {
    let folder = tempfile::tempdir().unwrap();
    let passable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), passable).unwrap();
    let place = folder.path().join("small");
    fs::create_dir(&place).unwrap();
    let disk = or_skip("mount", Disk::at(&place, size))?;
    Some((folder, place, disk))
}

#[test]
fn a_run_goes_on_while_its_file_of_sqlite_has_no_room() {
    let Some((_folder, place, disk)) = small("4m") else {
        return;
    };
    let store = place.join("gateway.db");
    fs::write(&store, "").unwrap();
    let config = format!("[store]\nurl = \"sqlite://{}\"\n", store.display());
    let team = Team::new(&page(), &config);
    fills_up(&team, &disk);
}

#[test]
fn a_run_goes_on_while_its_database_has_no_room() {
    let Some((_folder, place, disk)) = small("32m") else {
        return;
    };
    let Some(cluster) = or_skip("PostgreSQL", Cluster::on(&place)) else {
        return;
    };
    let team = Team::new(&page(), &config(cluster.socket()));
    fills_up(&team, &disk);
}
