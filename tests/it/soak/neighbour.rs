//! Another user of the node, who creates files that a session could take for its own leftovers:
//! process ids of others, links to other people's files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Neither root nor the user of the tests.
const STRANGER: u32 = 65534;

pub struct Neighbour {
    decoy: Child,
    precious: PathBuf,
    traps: Vec<PathBuf>,
}

impl Neighbour {
    /// Only root can create files that belong to somebody else.
    pub fn moves_in(folder: &Path, seed: u64) -> Option<Neighbour> {
        if !rustix::process::getuid().is_root() {
            return None;
        }
        let mut decoy = Command::new("sleep");
        let decoy = decoy.arg("1000").process_group(0).env_clear();
        let decoy = decoy.spawn().ok()?;
        let precious = folder.join("precious");
        fs::write(&precious, "precious\n").ok()?;
        let (pid, began) = (decoy.id(), began(decoy.id())?);
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let space = fs::read_link("/proc/self/ns/pid").ok()?;
        // Of a session that has ended: process 1 began at another time.
        let id = format!("1 1 {} {} .\n", boot.trim(), space.display());
        let mut traps = Vec::new();
        for place in ["/dev/shm", "/tmp"] {
            let trap = Path::new(place).join(format!(".opsbook-soak{seed}.{pid}"));
            let _ = fs::remove_dir_all(&trap);
            fs::create_dir(&trap).ok()?;
            fs::write(trap.join("id"), &id).ok()?;
            for name in ["w1.p", "h1.p", "s.p", "t.p", "dog.p"] {
                fs::write(trap.join(name), format!("{pid} {began}\n")).ok()?;
                chown(trap.join(name), Some(STRANGER), Some(STRANGER)).ok()?;
            }
            chown(trap.join("id"), Some(STRANGER), Some(STRANGER)).ok()?;
            symlink(&precious, trap.join("over")).ok()?;
            fs::set_permissions(&trap, fs::Permissions::from_mode(0o777)).ok()?;
            chown(&trap, Some(STRANGER), Some(STRANGER)).ok()?;
            traps.push(trap);
        }
        Some(Neighbour {
            decoy,
            precious,
            traps,
        })
    }

    /// Damage to the neighbour's or other people's files and processes.
    pub fn moves_out(mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.decoy.try_wait().unwrap().is_some() {
            wrong.push("a process was killed that a stranger had named".to_owned());
        }
        if fs::read_to_string(&self.precious).ok().as_deref() != Some("precious\n") {
            wrong.push("a file was emptied that a stranger had linked to".to_owned());
        }
        for trap in self.traps.iter().filter(|trap| !trap.join("id").exists()) {
            wrong.push(format!(
                "{} was removed, and is a stranger's",
                trap.display()
            ));
        }
        let _ = self.decoy.kill();
        let _ = self.decoy.wait();
        for trap in &self.traps {
            let _ = fs::remove_dir_all(trap);
        }
        wrong
    }
}

/// When a process began, in the kernel's ticks.
fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}
