//! A number that no other test uses at the moment, and the names derived from it. A file lock holds
//! it, so that it becomes free however the test ends; its next holder cleans up.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PLACE: &str = "/run/opsbook-lab";
const HIERARCHIES: [&str; 3] = ["systemd", "unified", "."];

pub struct Slot {
    pub name: String,
    /// This machine's end of the cable.
    pub link: String,
    number: u8,
    /// The number of the shared network; `None` for a cable to this machine.
    network: Option<u8>,
    _lock: File,
}

impl Slot {
    pub fn take() -> Self {
        fs::create_dir_all(PLACE).unwrap();
        for number in 1..=250 {
            let lock = File::create(Path::new(PLACE).join(number.to_string())).unwrap();
            if lock.try_lock().is_ok() {
                let slot = Self {
                    name: format!("ob{number}"),
                    link: format!("obv{number}"),
                    number,
                    network: None,
                    _lock: lock,
                };
                let left = slot.clean();
                assert!(left.is_empty(), "of an earlier test: {}", left.join(", "));
                return slot;
            }
        }
        panic!("250 nodes are there already");
    }

    /// A slot for a node in the network of another slot.
    pub fn take_in(network: &Slot) -> Self {
        let mut slot = Self::take();
        slot.network = Some(network.number);
        slot
    }

    /// End 1 is this machine, 2 the node.
    pub fn address(&self, end: u8) -> String {
        match self.network {
            None => format!("10.213.{}.{end}", self.number),
            Some(network) if end == 1 => format!("10.214.{network}.254"),
            Some(network) => format!("10.214.{network}.{}", self.number),
        }
    }

    /// The prefix length of the network.
    pub fn prefix(&self) -> u8 {
        if self.network.is_some() { 24 } else { 30 }
    }

    /// This machine's address in the slot's network.
    pub fn gateway(&self) -> String {
        format!("10.214.{}.254", self.number)
    }

    pub fn make_cgroups(&self) {
        let hierarchies = self.cgroups().filter(|path| is_hierarchy(path));
        for path in hierarchies {
            fs::create_dir(path).unwrap();
        }
    }

    /// Removes leftovers of a node, and returns what cannot be removed.
    pub fn clean(&self) -> Vec<String> {
        let begin = Instant::now();
        loop {
            let _ = Command::new("ip")
                .args(["link", "delete", &self.link])
                .stderr(Stdio::null())
                .status();
            self.cgroups().for_each(|path| remove(&path));
            let link = PathBuf::from("/sys/class/net").join(&self.link);
            let left: Vec<_> = self
                .cgroups()
                .chain([link])
                .filter(|path| path.exists())
                .collect();
            if left.is_empty() || begin.elapsed() > Duration::from_secs(30) {
                return left.iter().map(|path| path.display().to_string()).collect();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn cgroups(&self) -> impl Iterator<Item = PathBuf> {
        let root = Path::new("/sys/fs/cgroup");
        HIERARCHIES
            .iter()
            .map(move |hierarchy| root.join(hierarchy).join(&self.name))
    }
}

/// With cgroup version 2 only, `/sys/fs/cgroup` itself is a hierarchy.
fn is_hierarchy(path: &Path) -> bool {
    path.parent()
        .is_some_and(|parent| parent.join("cgroup.procs").exists())
}

/// Removes empty cgroups, the inner ones first.
fn remove(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}
