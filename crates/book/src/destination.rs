//! The destination of a book: a book is built next to it and then swapped in, so that readers see
//! either the old or the new book.

use std::path::{Path, PathBuf};

use mdbook_driver::config::Config;

use crate::manual::Manual;

use super::BookError;

/// The folder of the book: the argument (relative to the working directory), or `build-dir`
/// (relative to `book.toml`). Refused if a build would delete anything but a book.
pub(super) fn choose(
    root: &Path,
    dest: Option<&Path>,
    config: &Config,
    manual: &Manual,
) -> Result<PathBuf, BookError> {
    let wanted = match dest {
        Some(dest) => dest.to_owned(),
        None => root.join(&config.build.build_dir),
    };
    let path = resolved(&wanted);
    let refused = |why: String| {
        Err(BookError::Destination {
            path: wanted.clone(),
            why,
        })
    };
    let root = resolved(root);
    let kept = [
        (root.clone(), "the manual itself"),
        (root.join(&config.book.src), "the chapters"),
    ];
    for (kept, what) in &kept {
        if resolved(kept).starts_with(&path) {
            return refused(format!("that would delete {what}"));
        }
    }
    for page in &manual.pages {
        if resolved(&root.join(&page.source.path)).starts_with(&path) {
            return refused(format!(
                "that would delete `{}`",
                page.source.path.display()
            ));
        }
    }
    if path.is_file() {
        return refused("it is a file, not a folder".to_owned());
    }
    match is_book_or_empty(&path) {
        Ok(true) => Ok(path),
        Ok(false) => refused(
            "it contains something that is not a book; `--dest DIR` names another folder"
                .to_owned(),
        ),
        Err(error) => refused(error.to_string()),
    }
}

/// The name prefix of the folder in which a process builds.
fn staging_of(process: u32) -> String {
    format!(".opsbook-book-{process}-")
}

/// Removes what a killed process has left next to a book or in a manual.
pub fn clear_after(process: u32, folders: &[&Path]) {
    let start = staging_of(process);
    for entry in folders
        .iter()
        .flat_map(std::fs::read_dir)
        .flatten()
        .flatten()
    {
        if entry.file_name().to_string_lossy().starts_with(&start) {
            // A leftover does no harm.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder next to the destination in which the new book is built. Removed when dropped.
pub(super) struct Staging(tempfile::TempDir);

impl Staging {
    pub(super) fn beside(destination: &Path) -> Result<Staging, BookError> {
        let parent = destination.parent().unwrap_or(Path::new("/"));
        let create = std::fs::create_dir_all(parent);
        create
            .and_then(|()| {
                tempfile::Builder::new()
                    .prefix(&staging_of(std::process::id()))
                    .tempdir_in(parent)
            })
            .and_then(|folder| {
                std::fs::create_dir(folder.path().join("new"))?;
                Ok(Staging(folder))
            })
            .map_err(|error| BookError::Io {
                doing: "write beside",
                path: destination.to_owned(),
                error,
            })
    }

    /// The folder for the new book.
    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("new")
    }

    /// Swaps the new book in; the old one is removed with the staging folder.
    pub(super) fn publish(self, destination: &Path) -> Result<(), BookError> {
        exchange(&self.path(), destination, &self.0.path().join("old")).map_err(|error| {
            BookError::Io {
                doing: "put the book into",
                path: destination.to_owned(),
                error,
            }
        })
    }
}

/// One atomic exchange if the file system supports it, otherwise two renames.
fn exchange(new: &Path, place: &Path, old: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if !place.exists() {
        return std::fs::rename(new, place);
    }
    if renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    std::fs::rename(place, old)?;
    std::fs::rename(new, place).inspect_err(|_| {
        // The old book is better than none.
        let _ = std::fs::rename(old, place);
    })
}

/// mdBook marks each book with `.nojekyll`.
fn is_book_or_empty(path: &Path) -> std::io::Result<bool> {
    if !path.exists() {
        return Ok(true);
    }
    let mut entries = std::fs::read_dir(path)?;
    Ok(entries.next().is_none()
        || (path.join(".nojekyll").is_file() && path.join("toc.html").is_file()))
}

/// Absolute, with links in the existing part resolved and `..` removed.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
        if let Ok(real) = plain.canonicalize() {
            plain = real;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_in(root: &Path, dest: &str) -> String {
        let mut config = Config::default();
        config.book.src = PathBuf::from("manual");
        match choose(root, Some(&root.join(dest)), &config, &Manual::default()) {
            Ok(_) => "fine".to_owned(),
            Err(BookError::Destination { why, .. }) => why,
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn a_build_never_deletes_sources() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        std::fs::create_dir_all(root.join("manual/deep")).unwrap();
        std::fs::create_dir_all(root.join("notes")).unwrap();
        std::fs::write(root.join("notes/a.txt"), "x").unwrap();
        std::os::unix::fs::symlink(&root, folder.path().join("link")).unwrap();
        for (dest, expected) in [
            ("book", "fine"),
            ("a/b/book", "fine"),
            ("manual/deep/book", "fine"),
            (".", "that would delete the manual itself"),
            ("..", "that would delete the manual itself"),
            ("../link", "that would delete the manual itself"),
            ("x/../../project", "that would delete the manual itself"),
            ("manual", "that would delete the chapters"),
            (
                "notes",
                "it contains something that is not a book; `--dest DIR` names another folder",
            ),
            ("notes/a.txt", "it is a file, not a folder"),
        ] {
            assert_eq!(try_in(&root, dest), expected, "{dest}");
        }
    }

    #[test]
    fn a_new_book_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("book");
        for text in ["first", "second"] {
            let staging = Staging::beside(&place).unwrap();
            std::fs::write(staging.path().join("index.html"), text).unwrap();
            staging.publish(&place).unwrap();
            let index = std::fs::read_to_string(place.join("index.html")).unwrap();
            assert_eq!(index, text);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
