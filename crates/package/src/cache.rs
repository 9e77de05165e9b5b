//! The cache of unpacked files, in folders named by their hash. Each use verifies the hash, so a
//! modified file is never used.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::folder;
use crate::tree::Tree;

/// The cache folder: `opsbook` in the user's cache directory.
#[derive(Clone, Debug)]
pub struct Cache(PathBuf);

/// The kinds of cached files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Archives that were run.
    Books,
    /// Packages of books.
    Packages,
}

/// Why cached files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A system error.
    #[error("`{path}`: {cause}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// The error.
        cause: String,
    },
    /// They do not match the hash.
    #[error("`{path}` has other files than `{content}`: `{first}` differs")]
    Differs {
        /// The folder.
        path: PathBuf,
        /// The expected hash.
        content: String,
        /// The first path that differs.
        first: String,
    },
    /// Somebody else can write there.
    #[error("`{0}` belongs to another user, or others can write to it")]
    NotOurs(PathBuf),
}

/// A user folder by the XDG rules: the variable if it is an absolute path, otherwise the folder in
/// the home.
#[must_use]
pub fn user_folder(variable: &str, in_home: &str) -> PathBuf {
    let said = std::env::var_os(variable).map(PathBuf::from);
    match said.filter(|folder| folder.is_absolute()) {
        Some(folder) => folder,
        None => std::env::home_dir().unwrap_or_default().join(in_home),
    }
}

impl Cache {
    /// The user's cache.
    #[must_use]
    pub fn of_user() -> Cache {
        Cache(user_folder("XDG_CACHE_HOME", ".cache").join("opsbook"))
    }

    /// A cache in this folder.
    #[must_use]
    pub fn at(folder: &Path) -> Cache {
        Cache(folder.to_owned())
    }

    /// The folder for files with this hash, whether it exists or not.
    #[must_use]
    pub fn place(&self, kind: Kind, content: &str) -> PathBuf {
        self.folder(kind)
            .join(content.trim_start_matches("sha256:"))
    }

    /// The folder of one kind.
    #[must_use]
    pub fn folder(&self, kind: Kind) -> PathBuf {
        self.0.join(match kind {
            Kind::Books => "books",
            Kind::Packages => "packages",
        })
    }

    /// The folder of fetched repositories.
    #[must_use]
    pub fn repositories(&self) -> PathBuf {
        self.0.join("git")
    }

    /// The folder of a fetched repository.
    #[must_use]
    pub fn repository(&self, url: &str) -> PathBuf {
        self.repositories()
            .join(crate::tree::sha256(url.as_bytes()))
    }

    /// The cached files with this hash, verified; `None` if they are not cached.
    ///
    /// # Errors
    /// If they cannot be read, or do not match the hash.
    pub fn get(&self, kind: Kind, content: &str) -> Result<Option<(PathBuf, Tree)>, CacheError> {
        let place = self.place(kind, content);
        if place.symlink_metadata().is_err() {
            return Ok(None);
        }
        ours(&place)?;
        let tree = folder::read(&place, &|_| true).map_err(|cause| CacheError::Io {
            path: place.clone(),
            cause,
        })?;
        if tree.content() == content {
            used(&place);
            return Ok(Some((place, tree)));
        }
        Err(CacheError::Differs {
            path: place,
            content: content.to_owned(),
            first: "a file".to_owned(),
        })
    }

    /// Stores files under a hash, or finds them; returns their folder.
    ///
    /// # Errors
    /// If they cannot be written, or different files are there.
    pub fn keep(&self, kind: Kind, content: &str, tree: &Tree) -> Result<PathBuf, CacheError> {
        let place = self.place(kind, content);
        let failed = |error: io::Error| CacheError::Io {
            path: place.clone(),
            cause: error.to_string(),
        };
        if place.symlink_metadata().is_err() {
            let parent = self.folder(kind);
            let mut private = fs::DirBuilder::new();
            private.recursive(true).mode(0o700);
            private.create(&parent).map_err(failed)?;
            let aside = tempfile::Builder::new();
            let aside = { aside }
                .prefix(".new-")
                .tempdir_in(&parent)
                .map_err(failed)?;
            let whole = aside.path().join("files");
            folder::write(tree, &whole).map_err(failed)?;
            // If two processes do this at once, the later one finds the same files.
            if fs::rename(&whole, &place).is_err() {
                let _ = folder::remove(&whole);
            }
        }
        ours(&place)?;
        let kept = folder::read(&place, &|_| true).map_err(|cause| CacheError::Io {
            path: place.clone(),
            cause,
        })?;
        match kept.first_difference(tree) {
            None => {
                used(&place);
                Ok(place)
            }
            Some(first) => Err(CacheError::Differs {
                path: place,
                content: content.to_owned(),
                first: crate::tree::shown(first),
            }),
        }
    }
}

/// Notes the use, once a day: unused entries are removed after a while. If this fails, the entry
/// may have to be fetched again one day.
fn used(place: &Path) {
    const DAY: Duration = Duration::from_hours(24);
    let noted = place.symlink_metadata().and_then(|found| found.modified());
    let lately = noted.is_ok_and(|noted| noted.elapsed().is_ok_and(|age| age < DAY));
    if !lately && let Ok(folder) = fs::File::open(place) {
        let _ = folder.set_modified(SystemTime::now());
    }
}

/// Refuses a folder that somebody else can write to, whatever it contains now.
fn ours(place: &Path) -> Result<(), CacheError> {
    let us = rustix::process::getuid().as_raw();
    let found = place.symlink_metadata().map_err(|error| CacheError::Io {
        path: place.to_owned(),
        cause: error.to_string(),
    })?;
    if found.is_dir() && found.uid() == us && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(CacheError::NotOurs(place.to_owned()))
}
