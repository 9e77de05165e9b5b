//! Writes events to disk and reads them back: `runs/RUN.jsonl` in a manual's state folder, one JSON
//! line each.
//!
//! A line is on disk before the next action: [`Journal::record`] waits for that. Exceptions are
//! lines that another line follows before any action, and lines whose loss does no harm
//! (`is_waited_for`). If the journal cannot be written, the run stops before its next step.
//!
//! ```
//! use opsbook_event::{Status, What};
//! use opsbook_journal::{Journal, State, read};
//!
//! # let folder = tempfile::tempdir()?;
//! let state = State::beside(folder.path());
//! let mut journal = Journal::create(&state, "20261121-091403-3f9a")?;
//! journal.record(None, None, What::RunEnded { status: Status::Ok })?;
//! drop(journal);
//!
//! let record = read(&state, "20261121-091403-3f9a")?;
//! assert_eq!(record.events[0].what, What::RunEnded { status: Status::Ok });
//! assert!(!record.torn);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// The crates below this one, under the names that its files use.
use opsbook_event as event;
use opsbook_text::remedies::remedy;
use opsbook_text::source;

mod chain;
mod clock;
mod open;
mod record;
pub mod results;
mod state;
#[cfg(test)]
mod tests;

use std::fs::{File, Metadata, OpenOptions};
use std::io::{BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clock::Clock;
use jiff::Timestamp;

use crate::event::{Event, Site, Status, What};

pub use record::{Record, read, read_in};
pub use state::{State, VARIABLE, keep_in};

/// The version of a line. Readers skip unknown events of the same version.
const FORMAT: u32 = 2;
/// From this version on, lines are chained. Older journals can be read and continued: only the new
/// lines are chained.
const CHAINED: u32 = 2;

/// The open journal of one run. The file is locked while it is open, so two controllers never write
/// the same journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// How long its file must be.
    size: u64,
    clock: Clock,
    run: String,
    seq: u64,
    /// Hash of the last line.
    head: chain::Hash,
    epoch: u64,
    /// Its last line may be incomplete: write nothing after it.
    broken: bool,
}

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number of the event, from 1.
    pub seq: u64,
    /// SHA-256 of the line without its line end, hexadecimal.
    pub hash: String,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be written.
    #[error("cannot write the journal `{path}`: {cause}{}", room(cause))]
    Write {
        /// The journal's file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read the journal `{path}`: {cause}")]
    Read {
        /// The journal's file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A line is invalid.
    #[error("{path}:{line}: {cause}")]
    Line {
        /// The journal's file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// A line of it is in a format that is not known yet.
    #[error("{path}:{line}: an event in format {format}, which a newer opsbook wrote")]
    Newer {
        /// The journal's file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The version of the line.
        format: u32,
    },
    /// Another opsbook has it open.
    #[error("run `{run}` is running in another opsbook on this machine")]
    Busy {
        /// The id of the run.
        run: String,
    },
    /// There is no such run.
    #[error("no run `{wanted}` in `{folder}`")]
    Missing {
        /// The name as given.
        wanted: String,
        /// The folder that was searched.
        folder: PathBuf,
        /// A run with a similar name.
        near: Option<String>,
    },
}

/// A folder that nobody may write to has a hint of its own.
fn room(cause: &std::io::Error) -> &'static str {
    if cause.kind() == ErrorKind::ReadOnlyFilesystem {
        return "";
    }
    remedy(&cause.to_string())
}

/// The name of a new run: sortable by time, short enough to type.
#[must_use]
pub fn new_run(now: Timestamp, chance: u16) -> String {
    format!("{}-{chance:04x}", now.strftime("%Y%m%d-%H%M%S"))
}

/// A time in the format of events.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

impl Journal {
    /// # Errors
    /// If the folder or the file cannot be created.
    pub fn create(state: &State, run: &str) -> Result<Journal, JournalError> {
        let folder = state.runs();
        let path = folder.join(format!("{run}.jsonl"));
        let write = |cause| JournalError::Write {
            path: path.clone(),
            cause,
        };
        make_private(&folder).map_err(write)?;
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(write)?;
        lock(&file, run)?;
        // Sync the folder as well, so that the file's name is on disk.
        File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .map_err(write)?;
        Ok(Journal {
            path,
            file,
            size: 0,
            clock: Clock::start(),
            run: run.to_owned(),
            seq: 0,
            head: chain::root(run),
            epoch: 1,
            broken: false,
        })
    }

    /// Opens the journal of a halted run to continue it; removes an incomplete last line.
    ///
    /// # Errors
    /// If it cannot be read or written, or another opsbook has it open.
    pub fn reopen(state: &State, run: &str) -> Result<(Journal, Record), JournalError> {
        let path = state.runs().join(format!("{run}.jsonl"));
        let write = |cause| JournalError::Write {
            path: path.clone(),
            cause,
        };
        let file = open::regular(&path, OpenOptions::new().read(true).append(true));
        // Lock it before reading: another opsbook may be writing its last lines.
        if let Ok(file) = &file {
            lock(file, run)?;
        }
        let record = read(state, run)?;
        let mut file = file.map_err(write)?;
        if record.torn {
            let whole = whole_lines(&mut file).map_err(write)?;
            file.set_len(whole).map_err(write)?;
        }
        Ok((
            Journal {
                path: path.clone(),
                size: file.metadata().map_err(write)?.len(),
                file,
                clock: Clock::start(),
                run: run.to_owned(),
                seq: record.events.last().map_or(0, |event| event.seq),
                head: record.head(),
                // The number in a journal is untrusted.
                epoch: record.epoch().saturating_add(1),
                broken: false,
            },
            record,
        ))
    }

    /// The id of the run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The journal's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// This controller's number within the run.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Sets this controller's number, as its supervisor assigned it.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// The last line.
    #[must_use]
    pub fn line(&self) -> Line {
        Line {
            seq: self.seq,
            hash: chain::hex(&self.head),
        }
    }

    /// Appends an event; waits until it is on disk if `is_waited_for` says so.
    ///
    /// # Errors
    /// If the disk is full or gone; the run must stop before its next step.
    pub fn record(
        &mut self,
        place: Option<Site<'_>>,
        step: Option<usize>,
        what: What,
    ) -> Result<Event, JournalError> {
        let mut event = Event {
            v: FORMAT,
            seq: self.seq + 1,
            at: clock(self.clock.now()),
            run: self.run.clone(),
            node: place.map(|place| place.node.to_owned()),
            turn: place.and_then(|place| place.turn.map(str::to_owned)),
            step,
            epoch: Some(self.epoch),
            what,
            prev: Some(chain::hex(&self.head)),
            sum: None,
        };
        let sealed = chain::sealed(&mut event);
        let mut line = sealed.map_err(|error| JournalError::Write {
            path: self.path.clone(),
            cause: error.into(),
        })?;
        let head = chain::hash(&line);
        line.push(b'\n');
        let sync = is_waited_for(&event.what);
        let written = if self.broken {
            let cause = "an earlier line could not be written";
            Err(std::io::Error::other(cause))
        } else {
            self.file.write_all(&line)
        };
        self.size += line.len() as u64;
        written
            .and_then(|()| if sync { self.to_disk() } else { Ok(()) })
            .map_err(|cause| {
                self.broken = true;
                let path = self.path.clone();
                JournalError::Write { path, cause }
            })?;
        self.seq += 1;
        self.head = head;
        Ok(event)
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// If the disk is full or gone.
    pub fn sync(&self) -> Result<(), JournalError> {
        let failed = |cause| JournalError::Write {
            path: self.path.clone(),
            cause,
        };
        self.to_disk().map_err(failed)
    }

    /// Waits until everything is on disk, under the name of the journal.
    fn to_disk(&self) -> std::io::Result<()> {
        self.file.sync_data()?;
        let (ours, named) = (self.file.metadata()?, self.path.symlink_metadata());
        let is_there = named.is_ok_and(|named| is_same(&ours, &named));
        if is_there && ours.len() == self.size {
            return Ok(());
        }
        let cause = if is_there {
            "somebody else has written to it; put it aside"
        } else {
            "it was removed, or another file is in its place"
        };
        let run = &self.run;
        Err(std::io::Error::other(format!(
            "{cause}; `opsbook resume {run} --catch-up` writes it again from the nodes"
        )))
    }

    /// The same in another thread, while more is written.
    ///
    /// # Errors
    /// If the file cannot be opened again.
    pub fn syncing(
        &self,
    ) -> Result<impl FnOnce() -> Result<(), JournalError> + Send + use<>, JournalError> {
        let path = self.path.clone();
        let failed = move |cause| JournalError::Write { path, cause };
        match self.file.try_clone() {
            Ok(file) => Ok(move || file.sync_data().map_err(failed)),
            Err(cause) => Err(failed(cause)),
        }
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether an event must be on disk before the next action.
fn is_waited_for(what: &What) -> bool {
    match what {
        // The node has the output.
        What::Output { .. } => false,
        // The next line, or `Journal::sync`, comes before any action.
        What::StepEnded(ended) => !ended.status.goes_on(),
        // `Journal::sync` runs while the node is being reached, and finishes before any action
        // there.
        What::RunStarted(_) => false,
        // It only reports that somebody answered.
        What::NodeReached { .. } => false,
        // The beginning of its first step follows. A bundle of this run that the journal does not
        // know is treated as one that it opened.
        What::BundleOpened {
            local: false,
            user: None,
            ..
        } => false,
        // The end of the run follows. A bundle that is gone after the last step was closed.
        What::BundleClosed { .. } => false,
        What::NodeEnded {
            status: Status::Ok, ..
        } => false,
        _ => true,
    }
}

/// Whether an opsbook on this machine has the journal of a run open.
#[must_use]
pub fn under_way(state: &State, run: &str) -> bool {
    let path = state.runs().join(format!("{run}.jsonl"));
    let file = open::regular(&path, OpenOptions::new().read(true));
    file.is_ok_and(|file| {
        matches!(
            file.try_lock_shared(),
            Err(std::fs::TryLockError::WouldBlock)
        )
    })
}

/// Whether the journals can be listed. A missing folder has no journals and is no error.
///
/// # Errors
/// If the folder exists and cannot be read.
pub fn readable(state: &State) -> Result<(), JournalError> {
    let path = state.runs();
    match std::fs::read_dir(&path) {
        Err(cause) if path.symlink_metadata().is_ok() || cause.kind() != ErrorKind::NotFound => {
            Err(JournalError::Read { path, cause })
        }
        _ => Ok(()),
    }
}

/// All runs of a manual, oldest first.
#[must_use]
pub fn runs(state: &State) -> Vec<String> {
    runs_in(&state.runs())
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
    // Names contain the second. For two runs in the same second, compare their first lines.
    let second = |run: &str| run.get(..SECOND).unwrap_or(run).to_owned();
    for some in runs.chunk_by_mut(|one, next| second(one) == second(next)) {
        if some.len() > 1 {
            some.sort_by_cached_key(|run| (began(folder, run), run.clone()));
        }
    }
    runs
}

/// Length of `20261121-093851`, the beginning of a run's name.
const SECOND: usize = 15;

/// The time of a run's first line, as text.
fn began(folder: &Path, run: &str) -> Option<String> {
    let mut start = Vec::new();
    let path = folder.join(format!("{run}.jsonl"));
    let file = open::regular(&path, OpenOptions::new().read(true)).ok()?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 512), &mut start).ok()?;
    let start = String::from_utf8_lossy(&start);
    let (at, _) = start.split_once("\"at\":\"")?.1.split_once('"')?;
    Some(at.to_owned())
}

fn lock(file: &File, run: &str) -> Result<(), JournalError> {
    // If the file system cannot lock, the bundle on the node is still a lock.
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
        let read = open::line(&mut reader, &mut line)?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok(whole);
        }
        whole += read;
    }
}

/// Journals contain the output of scripts, which only the operator may see. A file system without
/// permissions is accepted.
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(folder)?;
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    Ok(())
}
