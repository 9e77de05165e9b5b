//! The runner's folder: its identity, and the parts that it holds. Only its user can read it; every
//! file is replaced atomically.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use opsbook_client::{ClientError, FingerprintError, Identity, Tls, Token, Trust};
use opsbook_journal::{JournalError, read_in};
use opsbook_text::{private, random};
use opsbook_wire::{Enrolled, PartEnd, Work};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The most bytes of one of its files.
const LARGEST: u64 = 4 << 20;
/// How long the journal of a halted part is kept for a resume.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Why a runner cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A system error in its folder.
    #[error("`{path}`: {cause}")]
    System {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        cause: std::io::Error,
    },
    /// Others can read or write its folder.
    #[error(
        "`{0}` belongs to another user, or others can enter it (chmod 700): a runner keeps its \
         secret there"
    )]
    NotOurs(PathBuf),
    /// A file is invalid.
    #[error("`{path}` cannot be read: {cause}")]
    Strange {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Another runner uses the folder.
    #[error("another runner works in `{0}`")]
    Busy(PathBuf),
    /// Its certificate has expired.
    #[error(
        "this runner's certificate has expired: `opsbook runner enroll --again` gets another one, \
         with another token"
    )]
    Ended,
    /// The gateway rejects it.
    #[error(transparent)]
    Gateway(#[from] ClientError),
}

/// The state of a runner that must survive a restart.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// A runner's identity.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrollment {
    /// The address of its gateway.
    pub gateway: String,
    /// Its name.
    pub name: String,
    /// Its id at the gateway.
    pub runner: String,
    /// Its segment.
    pub segment: String,
    /// The fingerprint of its gateway's certificate, if its machine does not trust it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<Certificate>,
}

/// A runner's certificate, and its lifetime.
#[derive(Clone, Serialize, Deserialize)]
struct Certificate {
    certificate: String,
    key: String,
    /// Seconds since 1970 by this machine's clock.
    since: u64,
    seconds: u64,
}

/// The age of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Renew it after this time.
    Young(Duration),
    /// Renew it now.
    Old,
    /// It has expired.
    Ended,
}

impl std::fmt::Debug for Enrollment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrollment of {} at {}", self.name, self.gateway)
    }
}

impl Enrollment {
    /// From the gateway's answer; `key` is the one of the request.
    #[must_use]
    pub fn new(
        gateway: String,
        name: String,
        fingerprint: Option<String>,
        key: &str,
        enrolled: Enrolled,
    ) -> Enrollment {
        let mut enrollment = Enrollment {
            gateway,
            name,
            runner: String::new(),
            segment: String::new(),
            fingerprint,
            secret: String::new(),
            certificate: None,
        };
        enrollment.is_now(key, enrolled);
        enrollment
    }

    /// Replaces its certificate or token.
    pub(crate) fn is_now(&mut self, key: &str, enrolled: Enrolled) {
        self.runner = enrolled.runner;
        self.segment = enrolled.segment;
        self.secret = enrolled.secret;
        self.certificate = enrolled.certificate.map(|certificate| Certificate {
            certificate,
            key: key.to_owned(),
            since: now(),
            seconds: enrolled.seconds.unwrap_or_default(),
        });
    }

    /// The token for requests, if it has no certificate.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        (!self.secret.is_empty()).then(|| Token::new(self.secret.as_str()))
    }

    /// Whom it trusts, and its identity.
    ///
    /// # Errors
    /// If the fingerprint is invalid.
    pub fn tls(&self) -> Result<Tls, FingerprintError> {
        let trust = match &self.fingerprint {
            Some(pin) => Trust::Fingerprint(pin.parse()?),
            None => Trust::Machine,
        };
        let identity = self.certificate.as_ref();
        let identity = identity.map(|own| Identity::new(&own.certificate, &own.key));
        Ok(Tls { trust, identity })
    }

    /// The age of its certificate; `None` without one.
    pub(crate) fn age(&self) -> Option<Age> {
        let own = self.certificate.as_ref()?;
        let lived = now().saturating_sub(own.since);
        let renewed = own.seconds / 3 * 2;
        Some(if lived >= own.seconds {
            Age::Ended
        } else if lived >= renewed {
            Age::Old
        } else {
            Age::Young(Duration::from_secs(renewed - lived))
        })
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A part on the disk, for who only looks.
#[derive(Clone, Debug)]
pub struct Held {
    /// The work.
    pub work: Work,
    /// Its end, if it has ended.
    pub end: Option<PartEnd>,
}

/// The folder of one part.
#[derive(Clone, Debug)]
pub(crate) struct PartFolder {
    path: PathBuf,
}

impl Folder {
    /// Opens the folder, and creates it if needed.
    ///
    /// # Errors
    /// If it cannot be created, or is not private to this user.
    pub fn open(path: &Path) -> Result<Folder, RunnerError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|cause| system(path, cause))?;
        let about = fs::symlink_metadata(path).map_err(|cause| system(path, cause))?;
        let ours = about.uid() == rustix::process::geteuid().as_raw();
        if !about.is_dir() || !ours || about.mode() & 0o077 != 0 {
            return Err(RunnerError::NotOurs(path.to_owned()));
        }
        let path = path.canonicalize().map_err(|cause| system(path, cause))?;
        Ok(Folder { path })
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The runner's identity; `None` before it is enrolled.
    ///
    /// # Errors
    /// If the file exists and cannot be read.
    pub fn enrollment(&self) -> Result<Option<Enrollment>, RunnerError> {
        read(&self.path.join("runner.json"))
    }

    /// Stores the runner's identity.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn enroll(&self, enrollment: &Enrollment) -> Result<(), RunnerError> {
        write(&self.path.join("runner.json"), enrollment)
    }

    /// The name of this folder, made once. It identifies a runner that is not enrolled.
    ///
    /// # Errors
    /// If the name cannot be read or stored.
    pub fn name(&self) -> Result<String, RunnerError> {
        let path = self.path.join("name.json");
        if let Some(name) = read(&path)? {
            return Ok(name);
        }
        let name = random::hex::<16>();
        write(&path, &name)?;
        Ok(name)
    }

    /// Whether what it proves itself with is good at all.
    pub(crate) fn is_good(&self) -> Result<(), RunnerError> {
        let age = self.enrollment()?.and_then(|enrollment| enrollment.age());
        match age {
            Some(Age::Ended) => Err(RunnerError::Ended),
            _ => Ok(()),
        }
    }

    /// Locks the folder: only one runner uses it while the file is open.
    ///
    /// # Errors
    /// If another runner uses it.
    pub fn lock(&self) -> Result<File, RunnerError> {
        let path = self.path.join("lock");
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(|cause| system(&path, cause))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(RunnerError::Busy(self.path.clone())),
            Err(fs::TryLockError::Error(cause)) => Err(system(&path, cause)),
        }
    }

    /// Whether a runner uses it.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self.lock(), Err(RunnerError::Busy(_)))
    }

    /// Tells the runner to take no more parts and to end after its last one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn drain(&self) -> Result<(), RunnerError> {
        write(&self.path.join("draining"), &true)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.path.join("draining").exists()
    }

    /// A starting runner takes parts again.
    pub(crate) fn drain_no_more(&self) {
        let _ = fs::remove_file(self.path.join("draining"));
    }

    /// The parts on disk.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        let parts = self.parts().into_iter().filter(|part| !part.is_known());
        parts
            .filter_map(|part| {
                let work = part.work()?;
                let end = part.end();
                Some(Held { work, end })
            })
            .collect()
    }

    pub(crate) fn manuals(&self) -> PathBuf {
        self.path.join("manuals")
    }

    /// The folder of keys for single parts or rounds.
    pub(crate) fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// Removes keys of a killed runner.
    pub(crate) fn forget_keys(&self) {
        let _ = fs::remove_dir_all(self.keys());
    }

    /// The folder for reports of rounds.
    pub(crate) fn rounds(&self) -> PathBuf {
        self.path.join("rounds")
    }

    pub(crate) fn part(&self, run: &str, node: &str) -> PartFolder {
        PartFolder {
            path: self.path.join("parts").join(format!("{run}@{node}")),
        }
    }

    /// The folders of all parts; removes those that are no longer needed.
    pub(crate) fn parts(&self) -> Vec<PartFolder> {
        let entries = fs::read_dir(self.path.join("parts"));
        let mut parts: Vec<PartFolder> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| PartFolder { path: entry.path() })
            .collect();
        parts.sort_by(|one, other| one.path.cmp(&other.path));
        parts.retain(|part| {
            let old = part.known_since().is_some_and(|since| since > KEPT);
            if old {
                part.remove();
            }
            !old
        });
        parts
    }
}

impl PartFolder {
    /// Stores the work before it begins, and removes an earlier end.
    pub fn keep(&self, work: &Work) -> Result<(), RunnerError> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.journals());
        made.map_err(|cause| system(&self.path, cause))?;
        for name in ["ended.json", "known.json"] {
            let _ = fs::remove_file(self.path.join(name));
        }
        write(&self.path.join("work.json"), work)?;
        // Sync the folder's name as well.
        let above = self.path.parent().unwrap_or(&self.path);
        sync(above).map_err(|cause| system(above, cause))
    }

    pub fn work(&self) -> Option<Work> {
        read(&self.path.join("work.json")).ok().flatten()
    }

    pub fn keep_end(&self, end: &PartEnd) -> Result<(), RunnerError> {
        write(&self.path.join("ended.json"), end)
    }

    pub fn end(&self) -> Option<PartEnd> {
        read(&self.path.join("ended.json")).ok().flatten()
    }

    /// The gateway has confirmed its end.
    pub fn know(&self) {
        let (ended, known) = (self.path.join("ended.json"), self.path.join("known.json"));
        // If this fails, the end is reported once more.
        let _ = fs::rename(ended, known);
    }

    pub fn is_known(&self) -> bool {
        self.path.join("known.json").exists()
    }

    fn known_since(&self) -> Option<Duration> {
        let known = fs::metadata(self.path.join("known.json")).ok()?;
        SystemTime::now()
            .duration_since(known.modified().ok()?)
            .ok()
    }

    /// The path of the arguments: a file, because everybody can read a command line.
    pub fn arguments(&self) -> PathBuf {
        self.path.join("arguments.json")
    }

    pub fn keep_arguments(&self, work: &Work) -> Result<(), RunnerError> {
        write(&self.arguments(), &work.arguments)
    }

    #[cfg(test)]
    pub fn at(path: &str) -> PartFolder {
        PartFolder { path: path.into() }
    }

    pub fn journals(&self) -> PathBuf {
        self.path.join("runs")
    }

    pub fn journal(&self, run: &str) -> PathBuf {
        self.journals().join(format!("{run}.jsonl"))
    }

    /// If there is no journal yet, writes the gateway's lines of it, as far as they form a valid
    /// journal. They let the node recognise the last controller. Returns their length in bytes.
    pub fn seed(&self, run: &str, lines: &[String]) -> u64 {
        let path = self.journal(run);
        if path.exists() || lines.is_empty() {
            return 0;
        }
        let seeded = || -> Option<u64> {
            let mut text: String = lines
                .iter()
                .flat_map(|line| [line.as_str(), "\n"])
                .collect();
            fs::write(&path, &text).ok()?;
            // Cut at the first line that does not follow the one before.
            if let Err(JournalError::Line { line, .. }) = read_in(&self.journals(), run) {
                let kept = text.split_inclusive('\n').take(line - 1);
                let length = kept.map(str::len).sum();
                text.truncate(length);
                fs::write(&path, &text).ok()?;
            }
            let sound = !text.is_empty() && read_in(&self.journals(), run).is_ok();
            sound.then_some(text.len() as u64)
        };
        // Without a journal, everything is read from the node.
        seeded().unwrap_or_else(|| {
            let _ = fs::remove_file(&path);
            0
        })
    }

    pub fn remove(&self) {
        // A leftover is removed at the next start.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn system(path: &Path, cause: std::io::Error) -> RunnerError {
    RunnerError::System {
        path: path.to_owned(),
        cause,
    }
}

fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RunnerError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(system(path, error)),
    };
    let mut text = Zeroizing::new(Vec::new());
    let read = file.take(LARGEST).read_to_end(&mut text);
    read.map_err(|cause| system(path, cause))?;
    let value = serde_json::from_slice(&text);
    value.map(Some).map_err(|error| RunnerError::Strange {
        path: path.to_owned(),
        cause: error.to_string(),
    })
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), RunnerError> {
    let text = serde_json::to_vec(value).map_err(|error| RunnerError::Strange {
        path: path.to_owned(),
        cause: error.to_string(),
    })?;
    let text = Zeroizing::new(text);
    private::replace(path, &text).map_err(|cause| system(path, cause))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use opsbook_wire::runner::EndState;
    use opsbook_wire::{Confirm, Ended, Mode, Source};

    use super::*;

    pub(crate) fn work() -> Work {
        Work {
            run: "20261129-120000-ab12".into(),
            node: "web1".into(),
            epoch: 1,
            mode: Mode::Begin,
            manual: "shop".into(),
            source: Source::Folder { path: "/m".into() },
            procedure: "p".into(),
            words: vec!["web1".into()],
            arguments: std::collections::BTreeMap::new(),
            plan_sha256: "0".into(),
            start_at: None,
            stop_after: None,
            confirm: Confirm::Ask,
            operator: "ana".into(),
            journal: Vec::new(),
            journal_lines: 0,
            asked_by: String::new(),
            consent: None,
            login: opsbook_wire::NodeLogin::Own,
        }
    }

    #[test]
    fn a_part_is_held_until_its_end_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("r")).unwrap();
        let part = folder.part(&work().run, "web1");
        part.keep(&work()).unwrap();
        assert_eq!(folder.held().len(), 1);
        assert!(folder.held()[0].end.is_none());
        let end = PartEnd {
            run: work().run,
            node: "web1".into(),
            epoch: 1,
            state: EndState::Halted,
            status: Some(Ended::Failed),
            cause: None,
        };
        part.keep_end(&end).unwrap();
        assert_eq!(folder.held()[0].end, Some(end));
        part.know();
        assert!(folder.held().is_empty());
        // The same part with another epoch.
        part.keep(&Work { epoch: 2, ..work() }).unwrap();
        assert_eq!(folder.held()[0].work.epoch, 2);
        // After a week it is not continued.
        part.keep_end(&PartEnd {
            epoch: 2,
            ..folder_end()
        })
        .unwrap();
        part.know();
        let known = File::options()
            .write(true)
            .open(part.path.join("known.json"));
        let long_ago = SystemTime::now() - 2 * KEPT;
        known.unwrap().set_modified(long_ago).unwrap();
        assert!(folder.parts().is_empty() && !part.path.exists());
    }

    #[test]
    fn a_journal_begins_with_the_lines_that_are_one() {
        use opsbook_journal::{Journal, State, read};
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("r")).unwrap();
        let run = work().run;
        let state = State::beside(dir.path());
        let mut journal = Journal::create(&state, &run).unwrap();
        for _ in 0..3 {
            let tried = opsbook_event::What::NodeTried;
            journal.record(None, None, tried).unwrap();
        }
        let text = fs::read_to_string(read(&state, &run).unwrap().path).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let swapped = [&lines[..2], &lines[1..]].concat();
        for (given, whole) in [
            (&lines[..], 3),
            (&lines[..2], 2),
            (&lines[1..], 0),
            (&swapped[..], 2),
            (&["moon".to_owned()][..], 0),
            (&[][..], 0),
        ] {
            let part = folder.part(&run, "web1");
            part.keep(&work()).unwrap();
            let length: usize = lines[..whole].iter().map(|line| line.len() + 1).sum();
            assert_eq!(part.seed(&run, given), length as u64);
            let events = read_in(&part.journals(), &run).map_or(0, |record| record.events.len());
            assert_eq!(events, whole);
            // Existing lines are not overwritten.
            assert_eq!(part.seed(&run, &lines).min(1), u64::from(whole == 0));
            part.remove();
        }
    }

    fn folder_end() -> PartEnd {
        PartEnd {
            run: work().run,
            node: "web1".into(),
            epoch: 1,
            state: EndState::Ended,
            status: Some(Ended::Ok),
            cause: None,
        }
    }

    #[test]
    fn there_is_one_runner_in_a_folder_that_nobody_else_can_enter() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("r")).unwrap();
        assert!(!folder.is_busy());
        let lock = folder.lock().unwrap();
        assert!(folder.is_busy() && matches!(folder.lock(), Err(RunnerError::Busy(_))));
        drop(lock);
        assert!(!folder.is_busy());
        let open = fs::Permissions::from_mode(0o750);
        fs::set_permissions(dir.path().join("r"), open).unwrap();
        let again = Folder::open(&dir.path().join("r"));
        assert!(matches!(again, Err(RunnerError::NotOurs(_))));
    }

    #[test]
    fn a_secret_is_in_no_debugging_output() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("r")).unwrap();
        assert!(folder.enrollment().unwrap().is_none());
        let enrolled = Enrolled {
            runner: "1".into(),
            segment: "prod".into(),
            secret: "s3cret".into(),
            ..Enrolled::default()
        };
        let enrollment = Enrollment::new("http://g:1".into(), "r1".into(), None, "", enrolled);
        folder.enroll(&enrollment).unwrap();
        let read = folder.enrollment().unwrap().unwrap();
        assert_eq!(read.token().unwrap().expose(), "s3cret");
        assert!(!format!("{read:?}{:?}", read.token()).contains("s3cret"));
        let mode = fs::metadata(dir.path().join("r/runner.json"))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
