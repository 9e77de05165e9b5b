//! `opsbook-pack.json`, the first entry of an archive: its description, and the list of all its
//! files. Pure.

use serde::{Deserialize, Serialize};

use crate::tree::{Entry, Mode, Tree};

/// The newest archive format that this opsbook knows.
pub const FORMAT: u32 = 1;

/// The description of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The format version.
    pub format: u32,
    /// The name of the package or book.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The prefixes of its ids.
    #[serde(default)]
    pub namespace: Vec<String>,
    /// Who is responsible for it.
    #[serde(default)]
    pub owners: Vec<String>,
    /// The identity of its own files.
    pub content: String,
    /// The revision that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Revision>,
    /// The opsbook that wrote it, and the oldest that can read it.
    pub opsbook: Versions,
    /// All files, sorted by the bytes of their paths; those of other packages are below
    /// `packages/NAME`.
    pub files: Vec<File>,
    /// Its packages.
    #[serde(default)]
    pub packages: Vec<Part>,
    /// Its procedures.
    #[serde(default)]
    pub procedures: Vec<Procedure>,
    /// Its groups of checks.
    #[serde(default)]
    pub checks: Vec<String>,
    /// The values that it reads.
    #[serde(default)]
    pub values: Vec<String>,
    /// The groups of nodes that it expects.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The interpreters of its steps and checks.
    #[serde(default)]
    pub interpreters: Vec<String>,
}

/// A revision of git.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// 40 hexadecimal digits.
    pub revision: String,
    /// A tag of that revision that equals the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whether the files are those of the revision.
    pub clean: bool,
}

/// Versions of opsbook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The version that made the archive.
    pub wrote: String,
    /// The oldest version that can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Relative to the archive.
    pub path: String,
    /// `644`, `755` or `link`.
    pub mode: String,
    /// In bytes; for a link, the length of its target.
    pub size: u64,
    /// The hash of a file, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The target of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `false` for a file that git does not track and `include` names.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub tracked: bool,
}

/// A package within an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name; its files are below `packages/NAME`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its origin, as in `opsbook.lock`.
    pub from: String,
    /// The identity of its files.
    pub content: String,
}

/// A procedure of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Procedure {
    /// Its name.
    pub id: String,
    /// The names of its parameters.
    pub params: Vec<String>,
    /// The groups of checks that it needs.
    pub needs: Vec<String>,
    /// The hash of its steps' texts.
    pub sha256: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_true(value: &bool) -> bool {
    *value
}

fn yes() -> bool {
    true
}

impl File {
    /// The entry for a file or link.
    #[must_use]
    pub fn of(path: &str, entry: &Entry) -> File {
        let is_link = entry.mode == Mode::Link;
        File {
            path: path.to_owned(),
            mode: entry.mode.word().to_owned(),
            size: entry.bytes.len() as u64,
            sha256: (!is_link).then(|| entry.identity()),
            target: is_link.then(|| entry.identity()),
            tracked: true,
        }
    }
}

impl Description {
    /// The list of an archive's files: the package's own, and those of other packages.
    #[must_use]
    pub fn list(tree: &Tree) -> Vec<File> {
        let entries = tree.entries();
        entries.map(|(path, entry)| File::of(path, entry)).collect()
    }

    /// The text in the archive.
    #[must_use]
    pub fn text(&self) -> String {
        // These types can always be serialised.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The package's own files in an archive.
    #[must_use]
    pub fn own(&self, tree: &Tree) -> Tree {
        let others = self.packages.iter();
        let others: Vec<String> = others
            .map(|part| format!("packages/{}/", part.name))
            .collect();
        let is_own = |path: &str| !others.iter().any(|other| path.starts_with(other));
        tree.clone().only(is_own)
    }
}
