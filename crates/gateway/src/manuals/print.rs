//! Detects changes of a folder: a hash of names, sizes and times of its files.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Files that are not a part of the manual, or are generated from it.
const OTHERS: [&str; 7] = [
    ".git",
    ".hg",
    ".svn",
    ".jj",
    ".opsbook",
    "target",
    "node_modules",
];
/// The most files to examine; in a larger folder, changes of the others are noticed late.
const MOST: usize = 50_000;

/// A folder at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print(u64);

impl Print {
    pub(super) fn of(root: &Path) -> Print {
        let mut hasher = DefaultHasher::new();
        let mut folders = vec![root.to_owned()];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            let mut entries: Vec<_> = entries.flatten().collect();
            entries.sort_by_key(std::fs::DirEntry::file_name);
            for entry in entries {
                if is_anothers(&entry) {
                    continue;
                }
                let Ok(data) = entry.metadata() else { continue };
                seen += 1;
                if seen > MOST {
                    return Print(hasher.finish());
                }
                (
                    entry.path(),
                    data.len(),
                    data.mtime(),
                    data.mtime_nsec(),
                    data.ino(),
                )
                    .hash(&mut hasher);
                if data.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        Print(hasher.finish())
    }
}

/// Whether a file in a manual's folder is not a part of the manual.
pub(super) fn is_anothers(entry: &std::fs::DirEntry) -> bool {
    let name = entry.file_name();
    OTHERS.iter().any(|other| name == *other) || is_book(&entry.path())
}

/// Whether `opsbook build` made this folder.
fn is_book(path: &Path) -> bool {
    path.join("index.html").is_file() && path.join(".nojekyll").is_file()
}
