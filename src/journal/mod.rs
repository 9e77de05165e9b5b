//! Events -> disk and back: `.opsbook/runs/RUN.jsonl` beside the manual, one JSON line each.
//!
//! A line is on the disk before the next action: [`Journal::record`] returns only then, but
//! for lines that another one follows before there is any. A journal that cannot be written stops the run before its next step.

pub mod results;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::event::{Event, RunStarted, Status, What};

/// The version of a line. Within one version, events that are not known are left out.
const FORMAT: u32 = 1;

/// The open journal of one run. The file is locked while it is open, so that two controllers
/// never write one journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    run: String,
    seq: u64,
    /// Its last line may be cut: nothing must come after it.
    broken: bool,
}

/// A journal read back.
#[derive(Debug)]
pub struct Record {
    pub path: PathBuf,
    pub events: Vec<Event>,
    /// The last line was cut: its writer died over it. It is not among the events.
    pub torn: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal `{path}` cannot be written: {cause}")]
    Write {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("the journal `{path}` cannot be read: {cause}")]
    Read {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{path}:{line}: {cause}")]
    Line {
        path: PathBuf,
        line: usize,
        cause: String,
    },
    #[error("run `{run}` is under way in another opsbook on this machine")]
    Busy { run: String },
    #[error("no run `{wanted}` in `{folder}`")]
    Missing {
        wanted: String,
        folder: PathBuf,
        near: Option<String>,
    },
}

/// Where the journals of a manual are.
#[must_use]
pub fn folder(root: &Path) -> PathBuf {
    root.join(".opsbook").join("runs")
}

/// A new run's name: sortable by time, short enough to type.
#[must_use]
pub fn new_run(now: Timestamp, chance: u16) -> String {
    format!("{}-{chance:04x}", now.strftime("%Y%m%d-%H%M%S"))
}

impl Journal {
    /// # Errors
    /// Where the folder or the file cannot be made.
    pub fn create(root: &Path, run: &str) -> Result<Journal, JournalError> {
        let folder = folder(root);
        let path = folder.join(format!("{run}.jsonl"));
        let write = |cause| JournalError::Write {
            path: path.clone(),
            cause,
        };
        std::fs::create_dir_all(&folder).map_err(write)?;
        private(&folder);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(write)?;
        lock(&file, run)?;
        // The name itself must be on the disk, too.
        File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .map_err(write)?;
        Ok(Journal {
            path,
            file,
            run: run.to_owned(),
            seq: 0,
            broken: false,
        })
    }

    /// Opens the journal of a halted run to go on with it; a torn last line is taken off.
    ///
    /// # Errors
    /// Where it cannot be read or written, or another opsbook has it open.
    pub fn reopen(root: &Path, run: &str) -> Result<(Journal, Record), JournalError> {
        let path = folder(root).join(format!("{run}.jsonl"));
        let write = |cause| JournalError::Write {
            path: path.clone(),
            cause,
        };
        let file = OpenOptions::new().read(true).append(true).open(&path);
        // Before it is read: another opsbook may be writing its last lines.
        if let Ok(file) = &file {
            lock(file, run)?;
        }
        let record = read(root, run)?;
        let mut file = file.map_err(write)?;
        if record.torn {
            let whole = whole_lines(&mut file).map_err(write)?;
            file.set_len(whole).map_err(write)?;
        }
        let seq = record.events.last().map_or(0, |event| event.seq);
        Ok((
            Journal {
                path: path.clone(),
                file,
                run: run.to_owned(),
                seq,
                broken: false,
            },
            record,
        ))
    }

    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an event and waits until it is on the disk. Pieces of output are not waited
    /// for: the node has them. Nor is the end of a step after which the run goes on: the next
    /// line, or [`Journal::sync`], comes before anything is done.
    ///
    /// # Errors
    /// Where the disk is full or gone; the run must stop before its next step.
    pub fn record(
        &mut self,
        node: Option<&str>,
        step: Option<usize>,
        what: What,
    ) -> Result<Event, JournalError> {
        let event = Event {
            v: FORMAT,
            seq: self.seq + 1,
            at: Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
                .to_string(),
            run: self.run.clone(),
            node: node.map(str::to_owned),
            step,
            what,
        };
        let mut line = serde_json::to_vec(&event).map_err(|error| JournalError::Write {
            path: self.path.clone(),
            cause: error.into(),
        })?;
        line.push(b'\n');
        let sync = match &event.what {
            What::Output { .. } => false,
            What::StepEnded(ended) => !ended.status.goes_on(),
            _ => true,
        };
        let written = if self.broken {
            let cause = "an earlier line could not be written";
            Err(std::io::Error::other(cause))
        } else {
            self.file.write_all(&line)
        };
        written
            .and_then(|()| if sync { self.file.sync_data() } else { Ok(()) })
            .map_err(|cause| {
                self.broken = true;
                let path = self.path.clone();
                JournalError::Write { path, cause }
            })?;
        self.seq += 1;
        Ok(event)
    }

    /// Waits until all of it is on the disk.
    ///
    /// # Errors
    /// Where the disk is full or gone.
    pub fn sync(&self) -> Result<(), JournalError> {
        let failed = |cause| JournalError::Write {
            path: self.path.clone(),
            cause,
        };
        self.file.sync_data().map_err(failed)
    }
}

/// Reads the journal of a run.
///
/// # Errors
/// Where there is none, or a line in its middle is not an event.
pub fn read(root: &Path, run: &str) -> Result<Record, JournalError> {
    let folder = folder(root);
    let path = folder.join(format!("{run}.jsonl"));
    let file = File::open(&path).map_err(|cause| {
        if cause.kind() == std::io::ErrorKind::NotFound {
            let known = runs(root);
            let near = crate::source::nearest(run, known.iter().map(String::as_str));
            JournalError::Missing {
                wanted: run.to_owned(),
                near: near.map(str::to_owned),
                folder,
            }
        } else {
            JournalError::Read {
                path: path.clone(),
                cause,
            }
        }
    })?;
    let mut events = Vec::new();
    let mut torn = false;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(|cause| JournalError::Read {
                path: path.clone(),
                cause,
            })?;
        if read == 0 {
            break;
        }
        number += 1;
        if line.last() != Some(&b'\n') {
            torn = true;
            break;
        }
        let wrong = |cause| JournalError::Line {
            path: path.clone(),
            line: number,
            cause,
        };
        let event = event_of(&line).map_err(wrong)?;
        if event.seq != events.len() as u64 + 1 || event.run != run {
            let (seq, of) = (event.seq, &event.run);
            let due = events.len() + 1;
            let cause =
                format!("event {seq} of run {of} stands where event {due} of this run belongs");
            return Err(wrong(cause));
        }
        events.push(event);
    }
    Ok(Record { path, events, torn })
}

/// Whether an opsbook of this machine has the journal of a run open.
#[must_use]
pub fn under_way(root: &Path, run: &str) -> bool {
    let file = File::open(folder(root).join(format!("{run}.jsonl")));
    file.is_ok_and(|file| {
        matches!(
            file.try_lock_shared(),
            Err(std::fs::TryLockError::WouldBlock)
        )
    })
}

/// All runs of a manual, the oldest first.
#[must_use]
pub fn runs(root: &Path) -> Vec<String> {
    runs_in(&folder(root))
}

fn runs_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut runs: Vec<String> = entries
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".jsonl")
                .map(str::to_owned)
        })
        .collect();
    runs.sort();
    runs
}

impl Record {
    /// What the run was started with; `None` where its writer died before that line.
    #[must_use]
    pub fn started(&self) -> Option<&RunStarted> {
        self.events.iter().find_map(|event| match &event.what {
            What::RunStarted(started) => Some(&**started),
            _ => None,
        })
    }

    /// The run's own status; `None` while it is halted or under way.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.events.iter().rev().find_map(|event| match event.what {
            What::RunEnded { status } => Some(status),
            _ => None,
        })
    }

    /// Each step's latest status on a node; `None` for a step that started and has no end.
    #[must_use]
    pub fn steps(&self, node: &str) -> std::collections::BTreeMap<usize, Option<Status>> {
        let mut steps = std::collections::BTreeMap::new();
        for event in self
            .events
            .iter()
            .filter(|event| event.node.as_deref() == Some(node))
        {
            match (&event.what, event.step) {
                (What::StepStarted { .. }, Some(step)) => {
                    steps.insert(step, None);
                }
                (What::StepEnded(ended), Some(step)) => {
                    steps.insert(step, Some(ended.status));
                }
                _ => {}
            }
        }
        steps
    }

    /// Steps whose latest end says that they may or may not have finished.
    #[must_use]
    pub fn doubtful(&self, node: &str) -> BTreeSet<usize> {
        let mut doubtful = BTreeSet::new();
        let events = self.events.iter();
        for event in events.filter(|event| event.node.as_deref() == Some(node)) {
            if let (What::StepEnded(ended), Some(step)) = (&event.what, event.step) {
                if ended.outcome_unknown {
                    doubtful.insert(step);
                } else {
                    doubtful.remove(&step);
                }
            }
        }
        doubtful
    }

    /// Steps whose latest end says that opsbook could not do or could not know: the node may
    /// know by now.
    #[must_use]
    pub fn unknown(&self, node: &str) -> BTreeSet<usize> {
        let mut unknown = BTreeSet::new();
        let events = self.events.iter();
        for event in events.filter(|event| event.node.as_deref() == Some(node)) {
            match (&event.what, event.step) {
                (What::StepEnded(ended), Some(step))
                    if ended.outcome_unknown || ended.status == Status::Error =>
                {
                    unknown.insert(step);
                }
                (What::StepEnded(_), Some(step)) => {
                    unknown.remove(&step);
                }
                _ => {}
            }
        }
        unknown
    }

    /// A node's latest status.
    #[must_use]
    pub fn node_status(&self, node: &str) -> Option<Status> {
        let events = self
            .events
            .iter()
            .filter(|event| event.node.as_deref() == Some(node));
        events.rev().find_map(|event| match event.what {
            What::NodeEnded { status, .. } => Some(status),
            _ => None,
        })
    }

    /// Was a bundle left on one of its nodes, to go on with?
    #[must_use]
    pub fn is_halted(&self) -> bool {
        let mut open = BTreeSet::new();
        for event in &self.events {
            match event.what {
                What::BundleClosed { local: false, .. } => drop(open.remove(&event.node)),
                What::BundleKept { local: false, .. }
                | What::BundleOpened { local: false, .. }
                | What::StepStarted { .. } => drop(open.insert(&event.node)),
                _ => {}
            }
        }
        !open.is_empty()
    }

    /// What earlier steps captured on a node.
    #[must_use]
    pub fn captured(&self, node: &str) -> Vec<(String, String)> {
        let events = self
            .events
            .iter()
            .filter(|event| event.node.as_deref() == Some(node));
        events
            .filter_map(|event| match &event.what {
                What::ValueCaptured { name, value } => Some((name.clone(), value.clone())),
                _ => None,
            })
            .collect()
    }
}

fn event_of(line: &[u8]) -> Result<Event, String> {
    #[derive(serde::Deserialize)]
    struct Version {
        v: u32,
    }
    match serde_json::from_slice(line) {
        Ok(Version { v }) if v > FORMAT => Err(format!(
            "an event in format {v}, which a newer opsbook has written"
        )),
        _ => serde_json::from_slice(line).map_err(|error| format!("not an event: {error}")),
    }
}

fn lock(file: &File, run: &str) -> Result<(), JournalError> {
    // Where a file system cannot lock, the bundle on the node still is the lock.
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::Busy {
            run: run.to_owned(),
        }),
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(()),
    }
}

fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut whole, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok(whole);
        }
        whole += read as u64;
    }
}

/// Journals hold what scripts printed: for the operator's eyes. A file system without
/// permissions is no reason to stop.
fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
}
