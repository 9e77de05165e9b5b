//! `opsbook-pack.json`, the first entry of an archive: what it is, and a list of all that is in
//! it. Pure.

use serde::{Deserialize, Serialize};

use crate::tree::{Entry, Mode, Tree};

/// The newest form of an archive that this opsbook knows.
pub const FORMAT: u32 = 1;

/// What an archive says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The form of the archive.
    pub format: u32,
    /// Of the package, or of the book.
    pub name: String,
    /// Its release number.
    pub version: String,
    /// Prefixes of its ids.
    #[serde(default)]
    pub namespace: Vec<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owners: Vec<String>,
    /// The identity of its own files.
    pub content: String,
    /// The revision that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Revision>,
    /// Which opsbook wrote it, and which one it needs.
    pub opsbook: Versions,
    /// All files, sorted by the bytes of their paths; those of other packages lie below
    /// `packages/NAME`.
    pub files: Vec<File>,
    /// The packages that it is made of.
    #[serde(default)]
    pub packages: Vec<Part>,
    /// What can be run.
    #[serde(default)]
    pub procedures: Vec<Procedure>,
    /// Groups of checks.
    #[serde(default)]
    pub checks: Vec<String>,
    /// The values that it reads.
    #[serde(default)]
    pub values: Vec<String>,
    /// The groups of nodes that it expects.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What its steps and checks are run by.
    #[serde(default)]
    pub interpreters: Vec<String>,
}

/// A revision of git.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// 40 hexadecimal digits.
    pub revision: String,
    /// A tag of that revision with the name of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whether the files are those of the revision.
    pub clean: bool,
}

/// Of opsbook itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The one that made the archive.
    pub wrote: String,
    /// The oldest that understands it.
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
    /// In bytes; of a link, the length of its target.
    pub size: u64,
    /// The hash of a file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where a link leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `false` where it is not under version control, but named by `include`.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub tracked: bool,
}

/// A package within an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name; its files lie below `packages/NAME`.
    pub name: String,
    /// Its release number.
    pub version: String,
    /// Where it came from, as in `opsbook.lock`.
    pub from: String,
    /// The identity of its files.
    pub content: String,
}

/// A procedure of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Procedure {
    /// Its name.
    pub id: String,
    /// Its parameters.
    pub params: Vec<String>,
    /// The groups of checks that must hold before it.
    pub needs: Vec<String>,
    /// Of the texts of its steps.
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
    /// The line of an entry.
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
    /// The list of the files of an archive: the package's own, and those of others.
    #[must_use]
    pub fn list(tree: &Tree) -> Vec<File> {
        let entries = tree.entries();
        entries.map(|(path, entry)| File::of(path, entry)).collect()
    }

    /// As the archive holds it.
    #[must_use]
    pub fn text(&self) -> String {
        // A value of ours always has a form in JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The package's own files among those of the archive.
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
