//! The directory of this process's control sockets: a short path, private to the user. Also removes
//! the directories of killed processes. Knows no ssh.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use rustix::fs::{FlockOperation, flock};

use super::channel::{lock, nonce};

/// ssh adds a random suffix of 17 bytes while it listens, and a socket path has at most 108 bytes.
const MOST_PATH: usize = 61;

/// A directory of this process, removed with its last socket.
#[derive(Debug)]
pub(super) struct ControlDir {
    path: PathBuf,
    record: PathBuf,
    next: AtomicU64,
    /// Held as long as this process lives: whoever gets this lock may remove the directory.
    _lock: File,
}

impl ControlDir {
    /// The directory of this process; creates it on first use.
    pub(super) fn of_this_process() -> io::Result<Arc<Self>> {
        static CURRENT: Mutex<Weak<ControlDir>> = Mutex::new(Weak::new());
        let mut current = lock(&CURRENT);
        if let Some(dir) = current.upgrade() {
            return Ok(dir);
        }
        let dir = Arc::new(Self::make(&base()?)?);
        *current = Arc::downgrade(&dir);
        Ok(dir)
    }

    /// A path for another socket.
    pub(super) fn socket(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{number}"))
    }

    fn make(base: &Path) -> io::Result<Self> {
        sweep(base);
        for _ in 0..16 {
            let name = nonce()[..8].to_owned();
            let record = base.join(format!("{name}.lock"));
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&record)?;
            // Another sweeping process may be faster between these two lines.
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() || !record.exists() {
                continue;
            }
            let path = base.join(name);
            DirBuilder::new().mode(0o700).create(&path)?;
            return Ok(Self {
                path,
                record,
                next: AtomicU64::new(0),
                _lock: file,
            });
        }
        Err(io::Error::other("could not create a control directory"))
    }
}

impl Drop for ControlDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.record);
    }
}

fn base() -> io::Result<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("opsbook"));
    let wanted = runtime.into_iter().chain([
        PathBuf::from(format!("/tmp/opsbook-{uid}")),
        PathBuf::from(format!("/var/tmp/opsbook-{uid}")),
    ]);
    let mut last = io::Error::other("no folder for control sockets");
    for path in wanted.filter(|path| path.as_os_str().len() + 12 <= MOST_PATH) {
        match private(&path, uid) {
            Ok(()) => return Ok(path),
            Err(error) => {
                last = io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            }
        }
    }
    Err(last)
}

/// Creates the directory, or checks that an existing one belongs to us alone.
pub(super) fn private(path: &Path, uid: u32) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let facts = fs::symlink_metadata(path)?;
    if facts.is_dir() && facts.uid() == uid && facts.mode().trailing_zeros() >= 6 {
        Ok(())
    } else {
        Err(io::Error::other("is not a private directory of this user"))
    }
}

fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let record = entry.path();
        if record
            .extension()
            .is_none_or(|extension| extension != "lock")
        {
            continue;
        }
        let Ok(file) = File::open(&record) else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(record.with_extension(""));
            let _ = fs::remove_file(&record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_process_leaves_nothing_for_long() {
        let base = tempfile::tempdir().unwrap();
        let living = ControlDir::make(base.path()).unwrap();
        fs::write(base.path().join("dead.lock"), "").unwrap();
        fs::create_dir(base.path().join("dead")).unwrap();
        let next = ControlDir::make(base.path()).unwrap();
        assert!(!base.path().join("dead").exists());
        assert!(living.path.exists());
        drop((living, next));
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let open = base.path().join("open");
        DirBuilder::new().mode(0o755).create(&open).unwrap();
        let uid = rustix::process::getuid().as_raw();
        assert!(private(&open, uid).is_err());
        let link = base.path().join("link");
        std::os::unix::fs::symlink(base.path(), &link).unwrap();
        assert!(private(&link, uid).is_err());
    }
}
