//! The files of a package, from a folder, git or an archive. Their identity is a hash over the
//! sorted list, so it does not depend on the archiver, the umask or the checkout. Pure.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

/// The most files of one package, and the most bytes of all of them.
pub const MOST_FILES: usize = 50_000;
/// In bytes.
pub const MOST_BYTES: u64 = 1024 * 1024 * 1024;
/// The longest path, in bytes.
pub const LONGEST_PATH: usize = 240;
/// The longest target of a link, in bytes.
pub const LONGEST_TARGET: usize = 100;

/// The type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A file.
    Plain,
    /// A file that may be executed.
    Executable,
    /// A symbolic link; its bytes are its target.
    Link,
}

/// One file or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its type.
    pub mode: Mode,
    /// Its contents, or the target of a link.
    pub bytes: Vec<u8>,
}

/// Files by relative path, with `/` as separator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Mode {
    /// The word in content lists.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Mode::Plain => "644",
            Mode::Executable => "755",
            Mode::Link => "link",
        }
    }

    /// Parses that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Mode> {
        [Mode::Plain, Mode::Executable, Mode::Link]
            .into_iter()
            .find(|mode| mode.word() == word)
    }
}

impl Entry {
    /// A file.
    #[must_use]
    pub fn file(executable: bool, bytes: Vec<u8>) -> Entry {
        let mode = if executable {
            Mode::Executable
        } else {
            Mode::Plain
        };
        Entry { mode, bytes }
    }

    /// The hash of a file, hexadecimal; the target of a link.
    #[must_use]
    pub fn identity(&self) -> String {
        match self.mode {
            Mode::Link => String::from_utf8_lossy(&self.bytes).into_owned(),
            Mode::Plain | Mode::Executable => sha256(&self.bytes),
        }
    }
}

impl Tree {
    /// All entries, sorted by the bytes of their paths.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// The entry at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The text of a file; `None` if it does not exist or is not text.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        let entry = self.get(path).filter(|entry| entry.mode != Mode::Link)?;
        std::str::from_utf8(&entry.bytes).ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The size of all entries in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let sizes = self.entries.values().map(|entry| entry.bytes.len() as u64);
        sizes.sum()
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If a package may not contain this file, or no more files.
    pub fn add(&mut self, path: &str, entry: Entry) -> Result<(), String> {
        check_path(path)?;
        if entry.mode == Mode::Link {
            check_link(path, &entry.bytes)?;
        }
        if self.entries.insert(path.to_owned(), entry).is_some() {
            return Err(format!("`{}` exists twice", shown(path)));
        }
        if self.len() > MOST_FILES {
            return Err(format!("it has more than {MOST_FILES} files"));
        }
        Ok(())
    }

    /// Checks the whole tree: names that some file system confuses, a file that is also a folder,
    /// the total size.
    ///
    /// # Errors
    /// The first error.
    pub fn check(&self) -> Result<(), String> {
        if self.bytes() > MOST_BYTES {
            return Err(format!("it has more than {} MiB", MOST_BYTES >> 20));
        }
        check_names(self.entries.keys().map(String::as_str))
    }

    /// The part below a folder, with paths relative to that folder.
    #[must_use]
    pub fn below(&self, folder: &str) -> Tree {
        let prefix = format!("{folder}/");
        let entries = self.entries.iter().filter_map(|(path, entry)| {
            let path = path.strip_prefix(&prefix)?;
            Some((path.to_owned(), entry.clone()))
        });
        Tree {
            entries: entries.collect(),
        }
    }

    /// Only the selected entries.
    #[must_use]
    pub fn only(self, wanted: impl Fn(&str) -> bool) -> Tree {
        let entries = self.entries.into_iter();
        Tree {
            entries: entries.filter(|(path, _)| wanted(path)).collect(),
        }
    }

    /// The identity of the tree: `sha256:` and the hash of one line per file.
    #[must_use]
    pub fn content(&self) -> String {
        let mut lines = String::new();
        for (path, entry) in &self.entries {
            let (mode, size) = (entry.mode.word(), entry.bytes.len());
            lines += &format!("{mode} {size} {} {path}\n", entry.identity());
        }
        format!("sha256:{}", sha256(lines.as_bytes()))
    }

    /// The first path where two trees differ.
    #[must_use]
    pub fn first_difference<'a>(&'a self, other: &'a Tree) -> Option<&'a str> {
        let mut paths: Vec<&str> = { self.entries.keys() }.map(String::as_str).collect();
        paths.extend(other.entries.keys().map(String::as_str));
        paths.sort_unstable();
        paths
            .into_iter()
            .find(|path| self.get(path) != other.get(path))
    }
}

/// SHA-256, hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A path of a package for messages.
pub(crate) fn shown(path: &str) -> String {
    opsbook_text::outside::line(path).to_string()
}

/// Checks that a path is valid in a package: relative, within it, and the same on every system.
///
/// # Errors
/// Why it is not.
pub fn check_path(path: &str) -> Result<(), String> {
    let why = if path.is_empty() {
        "has no name"
    } else if path.len() > LONGEST_PATH {
        "has a name that is too long"
    } else if path.starts_with('/') {
        "is absolute"
    } else if path.contains('\\') {
        "has `\\` in its name"
    } else if path.chars().any(char::is_control) {
        "has a control character in its name"
    } else if path.split('/').any(|part| part == "..") {
        "leads out of the package"
    } else if path.split('/').any(|part| part.is_empty() || part == ".") {
        "has an empty part in its name"
    } else if path.split('/').any(is_internal) {
        "is in a folder of git or of opsbook"
    } else {
        return Ok(());
    };
    Err(format!("`{}` {why}", shown(path)))
}

fn is_internal(part: &str) -> bool {
    let part = part.to_lowercase();
    [".git", ".hg", ".svn", ".jj", ".opsbook"].contains(&part.as_str())
}

/// Checks a link: it must lead to something in the package, and may go up only at its beginning. As
/// no path leads through a link, the rest goes down, wherever other links lead.
fn check_link(path: &str, target: &[u8]) -> Result<(), String> {
    let why = match std::str::from_utf8(target) {
        Err(_) => "has a target that is not text",
        Ok(target) if target.is_empty() || target.len() > LONGEST_TARGET => {
            "has a target that is empty or too long"
        }
        Ok(target) if target.starts_with('/') => "is a link to an absolute path",
        Ok(target) if target.chars().any(|c| c.is_control() || c == '\\') => {
            "is a link with a control character or `\\` in its target"
        }
        Ok(target) => {
            let parts: Vec<&str> = target.split('/').collect();
            let up = parts.iter().take_while(|part| **part == "..").count();
            let folders = path.split('/').count() - 1;
            let rest = &parts[up..];
            if up > folders {
                "is a link that leads out of the package"
            } else if rest
                .iter()
                .any(|part| matches!(*part, ".." | "." | "") || is_internal(part))
            {
                "is a link with `..`, `.` or nothing in the middle of its target"
            } else {
                return Ok(());
            }
        }
    };
    Err(format!("`{}` {why}", shown(path)))
}

/// Checks that no two names are the same on some file system, and that no file is also a folder.
fn check_names<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let folded = |path: &str| path.nfkc().flat_map(char::to_lowercase).collect::<String>();
    let mut known: HashMap<String, (&str, bool)> = HashMap::new();
    for path in paths {
        let ends = path.match_indices('/').map(|(at, _)| (&path[..at], true));
        for (name, is_folder) in ends.chain([(path, false)]) {
            match known.insert(folded(name), (name, is_folder)) {
                Some((other, _)) if other != name => {
                    return Err(format!(
                        "`{}` and `{}` are one file where upper and lower case are the same",
                        shown(other),
                        shown(name)
                    ));
                }
                Some((_, was_folder)) if was_folder != is_folder => {
                    return Err(format!("`{}` is a file and a folder", shown(name)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Result<Tree, String> {
        let mut tree = Tree::default();
        for (path, text) in files {
            let entry = match text.strip_prefix("-> ") {
                Some(target) => Entry {
                    mode: Mode::Link,
                    bytes: target.into(),
                },
                None => Entry::file(false, text.as_bytes().to_vec()),
            };
            tree.add(path, entry)?;
        }
        tree.check()?;
        Ok(tree)
    }

    #[test]
    fn the_content_is_the_hash_of_one_line_for_each_file() {
        let two = tree(&[("b/c", "hello\n"), ("a", "-> b/c")]).unwrap();
        let lines = format!("link 3 b/c a\n644 6 {} b/c\n", sha256(b"hello\n"));
        assert_eq!(
            two.content(),
            format!("sha256:{}", sha256(lines.as_bytes()))
        );
    }

    #[test]
    fn what_is_dangerous_or_not_the_same_everywhere_is_refused() {
        for (files, why) in [
            (vec![("/etc/passwd", "")], "`/etc/passwd` is absolute"),
            (
                vec![("a/../../b", "")],
                "`a/../../b` leads out of the package",
            ),
            (vec![("..", "")], "`..` leads out of the package"),
            (vec![("a//b", "")], "`a//b` has an empty part in its name"),
            (vec![("./b", "")], "`./b` has an empty part in its name"),
            (vec![("a\\b", "")], "`a\\b` has `\\` in its name"),
            (vec![("a\nb", "")], "has a control character in its name"),
            (
                vec![(".git/config", "")],
                "is in a folder of git or of opsbook",
            ),
            (
                vec![("x/.GIT/config", "")],
                "is in a folder of git or of opsbook",
            ),
            (vec![("a", ""), ("a", "")], "`a` exists twice"),
            (vec![("A.md", ""), ("a.md", "")], "are one file where"),
            (vec![("Aa/x", ""), ("aA/y", "")], "are one file where"),
            (vec![("\u{e9}", ""), ("e\u{301}", "")], "are one file where"),
            (vec![("a", ""), ("a/b", "")], "`a` is a file and a folder"),
            (
                vec![("a", "-> b"), ("a/c", "")],
                "`a` is a file and a folder",
            ),
            (
                vec![("a", "-> /etc/passwd")],
                "`a` is a link to an absolute path",
            ),
            (
                vec![("a", "-> ../b")],
                "`a` is a link that leads out of the package",
            ),
            (
                vec![("a/b", "-> ../../c")],
                "is a link that leads out of the package",
            ),
            (
                vec![("a/b", "-> c/../../../d")],
                "in the middle of its target",
            ),
            (vec![("a", "-> .git/config")], "in the middle of its target"),
            (vec![("a", "-> ")], "has a target that is empty"),
        ] {
            let found = tree(&files).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
        tree(&[("a/b/c", "-> ../../d"), ("d", ""), ("e", "-> a")]).unwrap();
    }
}
