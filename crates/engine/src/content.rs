//! The contents of deliveries, as far as they are known without the run: for the journal, and to
//! find delivered files that would differ now.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::delivery::{archive, blank};
use crate::event::{FileRecord, Site, Status, What};
use crate::files::{EntryKind, Files, Refused};
use crate::journal::Record;
use crate::manual::{Delivery, DeliveryFrom};
use crate::plan::{NodePlan, Placed, PlannedStep};
use crate::session::checksum_like;

/// A delivered file that would differ now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Number of the step that delivered it.
    pub step: usize,
    /// Its name in the bundle.
    pub to: String,
    /// For a template or a `file` block: the text then and now.
    pub texts: Option<(String, String)>,
    /// Why it can no longer be delivered.
    pub gone: Option<String>,
    /// It is unchanged, but is applied on top of a file that this earlier step writes again.
    pub follows: Option<usize>,
}

/// The texts that a step delivers. Secrets and values known only in a run are left empty.
pub(super) fn texts(root: &Path, node: &NodePlan, step: &PlannedStep) -> Vec<FileRecord> {
    let files = step.files().iter();
    let texts = files.filter_map(|file| text(root, node, file));
    match &step.placed {
        None => texts.collect(),
        Some(placed) => texts.map(|text| with_place(text, placed)).collect(),
    }
}

/// A placed text also differs if its mode or owner differs.
fn with_place(record: FileRecord, placed: &Placed) -> FileRecord {
    let text = record.text.unwrap_or_default();
    let text = format!("# {}\n{text}", placed.words());
    FileRecord {
        sha256: Some(sha256(text.as_bytes())),
        text: Some(text),
        ..record
    }
}

fn text(root: &Path, node: &NodePlan, file: &Delivery) -> Option<FileRecord> {
    // The delivery reports a text that cannot be rendered, with its place.
    let blank = blank(root, node, file, &|_| None).ok().flatten()?;
    Some(FileRecord {
        to: file.to.clone(),
        sha256: Some(sha256(blank.text.as_bytes())),
        whole: blank.open.is_empty() && blank.secrets.is_empty(),
        text: Some(blank.text),
    })
}

/// Files of finished steps that no longer match the delivery.
#[must_use]
pub fn stale_files(root: &Path, node: &NodePlan, record: &Record) -> Vec<Stale> {
    let name = node.site();
    let statuses = record.steps(name);
    let done = |number: usize| statuses.get(&number) == Some(&Some(Status::Ok));
    let delivered = delivered(record, name);
    let before = record.plan(name);
    let project = Files::of(root);
    let mut stale: BTreeMap<String, Option<Stale>> = BTreeMap::new();
    let mut placed: Vec<Stale> = Vec::new();
    for step in node.steps.iter().filter(|step| done(step.number)) {
        let files = step.files();
        let old = before.and_then(|plan| plan.step(step.number));
        let old = old.map_or(&[][..], |old| old.files.as_slice());
        let now = texts(root, node, step);
        for file in files {
            let look = Look {
                step: step.number,
                file,
                old: old.iter().find(|old| old.to == file.to),
                now: now.iter().find(|now| now.to == file.to),
                sums: delivered.get(&step.number),
            };
            if step.placed.is_some() {
                // A text on top of a file that is written again must be applied again.
                let below = placed.iter().find(|below| below.to == file.to);
                let below = below.map(|below| below.step);
                placed.extend(look.stale(&project).or_else(|| Some(look.follows(below?))));
                continue;
            }
            // If a later step delivered it again, the later one counts.
            stale.insert(file.to.clone(), look.stale(&project));
        }
    }
    let stale = stale.into_values().flatten();
    let mut stale: Vec<Stale> = stale.chain(placed).collect();
    stale.sort_by(|a, b| (a.step, &a.to).cmp(&(b.step, &b.to)));
    stale
}

/// The checksums of what arrived with each step, by name.
type Sums = BTreeMap<String, String>;

fn delivered(record: &Record, node: Site<'_>) -> BTreeMap<usize, Sums> {
    let mut all: BTreeMap<usize, Sums> = BTreeMap::new();
    for event in record.of(node) {
        match (&event.what, event.step) {
            (What::StepStarted { .. }, Some(step)) => drop(all.remove(&step)),
            (What::FileDelivered { to, checksum, .. }, Some(step)) => {
                let sums = all.entry(step).or_default();
                sums.insert(to.clone(), checksum.clone());
            }
            _ => {}
        }
    }
    all
}

/// One file of a finished step.
struct Look<'a> {
    step: usize,
    file: &'a Delivery,
    old: Option<&'a FileRecord>,
    now: Option<&'a FileRecord>,
    sums: Option<&'a Sums>,
}

impl Look<'_> {
    fn stale(&self, project: &Files) -> Option<Stale> {
        let to = self.file.to.as_str();
        let stale = |gone: Option<String>, texts| {
            Some(Stale {
                step: self.step,
                to: to.to_owned(),
                texts,
                gone,
                follows: None,
            })
        };
        let same = match &self.file.from {
            DeliveryFrom::Machine { .. } => return None,
            DeliveryFrom::Template(_) | DeliveryFrom::Inline(_) | DeliveryFrom::Placed(_) => {
                let Some(now) = self.now else {
                    return stale(Some("it cannot be rendered".to_owned()), None);
                };
                if !self.is_another_text(now) {
                    return None;
                }
                let old = self.old.and_then(|old| old.text.clone());
                return stale(None, old.zip(now.text.clone()));
            }
            DeliveryFrom::File(path) => self.same_file(project, Path::new(path)),
            DeliveryFrom::Tree(path) => self.same_tree(project, Path::new(path)),
        };
        match same {
            Ok(true) => None,
            Ok(false) => stale(None, None),
            Err(error) => stale(Some(error.to_string()), None),
        }
    }

    fn follows(&self, below: usize) -> Stale {
        Stale {
            step: self.step,
            to: self.file.to.clone(),
            texts: None,
            gone: None,
            follows: Some(below),
        }
    }

    fn is_another_text(&self, now: &FileRecord) -> bool {
        if let Some(old) = self.old {
            return old.sha256 != now.sha256;
        }
        // An older opsbook kept no text: compare the arrived checksum, if no value was open in the
        // text.
        let arrived = self.sums.and_then(|sums| sums.get(&self.file.to));
        let arrived = arrived.and_then(|sum| sum.strip_prefix("sha256:"));
        now.whole && arrived.is_some_and(|arrived| Some(arrived) != now.sha256.as_deref())
    }

    fn same_file(&self, project: &Files, path: &Path) -> Result<bool, Refused> {
        let Some(arrived) = self.sums.and_then(|sums| sums.get(&self.file.to)) else {
            return Ok(true);
        };
        same(arrived, project.open(path)?.file)
    }

    /// A folder arrives as an archive, or file by file if the node cannot unpack archives.
    fn same_tree(&self, project: &Files, path: &Path) -> Result<bool, Refused> {
        let Some(sums) = self.sums else {
            return Ok(true);
        };
        let to = format!("{}/", self.file.to);
        let found = project.tree(path)?;
        if let Some(arrived) = sums.get(&to) {
            return same(arrived, archive(project, &found)?.reopen()?);
        }
        let mut left = sums.keys().filter(|name| name.starts_with(&to)).count();
        for entry in found.iter().filter(|entry| entry.kind != EntryKind::Folder) {
            match sums.get(&format!("{to}{}", entry.name)) {
                Some(arrived) if same(arrived, project.open(&entry.path)?.file)? => left -= 1,
                _ => return Ok(false),
            }
        }
        Ok(left == 0)
    }
}

/// Whether this is what arrived. If that is unknown, true.
fn same(arrived: &str, from: File) -> Result<bool, Refused> {
    let now = checksum_like(arrived, io::BufReader::new(from))?;
    Ok(now.is_none_or(|now| now == arrived))
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
