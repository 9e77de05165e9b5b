//! The only access to a project's files. A file is opened once, after all symbolic links are
//! resolved: it must be a regular file inside the project, of limited size. Nothing waits for a
//! pipe's writer. Knows no manual and no node.
//!
//! The project is the git work tree that contains the manual, or the manual's folder alone. Unsaved
//! texts of an editor can replace those on disk.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::source::Packaged;

/// The most bytes read from one text.
pub const MAX_TEXT: u64 = 64 * 1024 * 1024;

/// Folders of other programs and of opsbook; `.git/config` may contain a token.
const INTERNAL: [&str; 5] = [".git", ".hg", ".svn", ".jj", ".opsbook"];

/// Opens files of one project. Paths are relative to the root.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
    real_root: PathBuf,
    /// The real path of the folder that links must not leave.
    project: PathBuf,
    /// Texts that replace those on disk, by real path.
    unsaved: Arc<BTreeMap<PathBuf, String>>,
    /// Folders of packages, relative to the root, and their names in messages.
    packages: Arc<Vec<(PathBuf, Packaged)>>,
}

/// An opened file.
#[derive(Debug)]
pub struct Opened {
    /// The open file, at its beginning.
    pub file: File,
    /// Its size in bytes when it was opened.
    pub size: u64,
    /// Its path without links.
    pub real: PathBuf,
}

/// An entry of a folder.
#[derive(Debug)]
pub struct Entry {
    /// Relative to the project's root.
    pub path: PathBuf,
    /// Relative to the folder.
    pub name: String,
    /// Its type; links are not followed.
    pub kind: EntryKind,
}

/// The type of an entry in a delivered folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A link to something in the project.
    Link,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not exist.
    #[error("there is no such file")]
    Missing,
    /// The path leads out of the project.
    #[error("it is outside the project")]
    Outside,
    /// A link in the path leads out of the project.
    #[error("`{link}` is a link to `{to}`, outside the project")]
    LinkOutside {
        /// The link.
        link: String,
        /// Its target.
        to: String,
    },
    /// A link leads to something that looks private, such as a key.
    #[error("it leads to `{0}`, which looks private")]
    Private(String),
    /// It is a folder, a device, a socket or a pipe.
    #[error("it is {0}, not a regular file")]
    NotRegular(&'static str),
    /// It is larger than allowed.
    #[error("it is larger than {0} MiB")]
    TooLarge(u64),
    /// It is not UTF-8; the first such line.
    #[error("line {0} of it is not UTF-8 text")]
    NotText(usize),
    /// The system's error.
    #[error("{0}")]
    Other(String),
}

impl Refused {
    /// Whether the reason is that the file is outside the project.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        matches!(
            self,
            Refused::Outside | Refused::LinkOutside { .. } | Refused::Private(_)
        )
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        match error.kind() {
            io::ErrorKind::NotFound => Refused::Missing,
            _ => Refused::Other(error.to_string()),
        }
    }
}

impl From<rustix::io::Errno> for Refused {
    fn from(error: rustix::io::Errno) -> Refused {
        io::Error::from(error).into()
    }
}

impl Files {
    /// The files of the project that contains a folder.
    #[must_use]
    pub fn of(root: &Path) -> Files {
        let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let tree = real.ancestors().find(|folder| folder.join(".git").exists());
        Files {
            project: tree.unwrap_or(&real).to_owned(),
            root: root.to_owned(),
            real_root: real,
            unsaved: Arc::default(),
            packages: Arc::default(),
        }
    }

    /// The same files; those below these folders belong to packages.
    #[must_use]
    pub fn with_packages(self, packages: Vec<(PathBuf, Packaged)>) -> Files {
        Files {
            packages: Arc::new(packages),
            ..self
        }
    }

    /// A package file's name in messages.
    #[must_use]
    pub fn packaged(&self, path: &Path) -> Option<Packaged> {
        let mut packages = self.packages.iter();
        packages.find_map(|(folder, of)| {
            let rest = path.strip_prefix(folder).ok()?;
            let package = of.package.clone();
            let shown = match of.shown.to_str() {
                // Not a folder of this machine.
                Some(name) if name.ends_with(':') => format!("{name}{}", rest.display()).into(),
                _ => of.shown.join(rest),
            };
            let about = of.about.clone();
            Some(Packaged {
                package,
                shown,
                about,
            })
        })
    }

    /// The same files with these texts instead of those on disk, or in addition. Paths are relative
    /// to the root; texts outside the project are left out.
    #[must_use]
    pub fn with_unsaved(self, texts: impl IntoIterator<Item = (PathBuf, String)>) -> Files {
        let mut unsaved = BTreeMap::clone(&self.unsaved);
        for (path, text) in texts {
            if let Some(path) = self.place(&path) {
                unsaved.insert(path, text);
            }
        }
        Files {
            unsaved: Arc::new(unsaved),
            ..self
        }
    }

    /// The path of a text that need not be on disk.
    fn place(&self, path: &Path) -> Option<PathBuf> {
        let named = normal(&self.real_root.join(path));
        let place = self.real(path).unwrap_or(named);
        place.starts_with(&self.project).then_some(place)
    }

    /// The editor's text for a path.
    #[must_use]
    pub fn unsaved(&self, path: &Path) -> Option<&str> {
        if self.unsaved.is_empty() {
            return None;
        }
        self.unsaved.get(&self.place(path)?).map(String::as_str)
    }

    /// Only files below this folder.
    #[must_use]
    pub fn below(root: &Path) -> Files {
        let files = Files::of(root);
        Files {
            project: files.real_root.clone(),
            ..files
        }
    }

    /// The folder of `book.toml`, as given.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens a file that opsbook uses: settings, nodes, probes, deliveries.
    pub fn open(&self, path: &Path) -> Result<Opened, Refused> {
        let real = self.real(path)?;
        let file = open_real(&self.project, &real)?;
        let size = file.metadata()?.len();
        Ok(Opened { file, size, real })
    }

    /// Opens a file for readers of the book. A link to a private file is refused unless the link's
    /// own name already shows that it is private.
    pub fn open_public(&self, path: &Path) -> Result<Opened, Refused> {
        let opened = self.open(path)?;
        let own = self.real_root.join(path);
        let internal = |part: Component<'_>| INTERNAL.iter().any(|name| part.as_os_str() == *name);
        let linked = normal(&own) != opened.real;
        let within = opened.real.strip_prefix(&self.project);
        let within = within.unwrap_or(&opened.real);
        if within.components().any(internal) || linked && is_private(within) {
            return Err(Refused::Private(within.display().to_string()));
        }
        Ok(opened)
    }

    /// The text of a file that opsbook uses.
    pub fn text(&self, path: &Path, most: u64) -> Result<String, Refused> {
        match self.unsaved(path) {
            Some(text) => bounded(text, most),
            None => self.open(path)?.text(most),
        }
    }

    /// The text of a file for readers of the book.
    pub fn public_text(&self, path: &Path) -> Result<String, Refused> {
        let opened = self.open_public(path);
        match (self.unsaved(path), opened) {
            (Some(text), Ok(_) | Err(Refused::Missing)) => bounded(text, MAX_TEXT),
            (_, opened) => opened?.text(MAX_TEXT),
        }
    }

    /// Whether it is a regular file of the project.
    #[must_use]
    pub fn is_file(&self, path: &Path) -> bool {
        self.unsaved(path).is_some() || self.real(path).is_ok_and(|real| real.is_file())
    }

    /// Checks that a link's target, existing or not, is in the project.
    pub fn leads_inside(&self, path: &Path) -> Result<(), Refused> {
        match self.real(path) {
            Ok(_) | Err(Refused::Missing) => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// The real path of a folder of the project.
    pub fn folder(&self, path: &Path) -> Result<PathBuf, Refused> {
        let real = self.real(path)?;
        if real.is_dir() {
            Ok(real)
        } else {
            Err(Refused::Other("it is not a folder".to_owned()))
        }
    }

    /// All entries of a folder, sorted by name, folders before their contents. Refuses links that
    /// leave the project, and everything except files, links and folders.
    pub fn tree(&self, root: &Path) -> Result<Vec<Entry>, Refused> {
        self.folder(root)?;
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(below) = folders.pop() {
            let path = root.join(&below);
            for entry in std::fs::read_dir(self.root.join(&path))? {
                let entry = entry?;
                let kind = entry.file_type()?;
                let name = below.join(entry.file_name());
                if kind.is_dir() {
                    folders.push(name);
                    continue;
                }
                let path = root.join(&name);
                let kind = if kind.is_symlink() {
                    self.leads_inside(&path)?;
                    EntryKind::Link
                } else {
                    self.open(&path)?;
                    EntryKind::File
                };
                let name = name.to_string_lossy().into_owned();
                found.push(Entry { path, name, kind });
            }
            found.push(Entry {
                path,
                name: below.to_string_lossy().into_owned(),
                kind: EntryKind::Folder,
            });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The real path if it is inside the project.
    fn real(&self, path: &Path) -> Result<PathBuf, Refused> {
        let full = self.root.join(path);
        let real = match full.canonicalize() {
            Ok(real) => real,
            // Do not reveal whether a file outside exists.
            Err(_) if !normal(&self.real_root.join(path)).starts_with(&self.project) => {
                return Err(Refused::Outside);
            }
            Err(error) => return Err(self.link_outside(path).unwrap_or_else(|| error.into())),
        };
        if !real.starts_with(&self.project) {
            return Err(self.link_outside(path).unwrap_or(Refused::Outside));
        }
        Ok(real)
    }

    /// The link in a path that leaves the project.
    fn link_outside(&self, path: &Path) -> Option<Refused> {
        let mut at = PathBuf::new();
        for part in path.components() {
            at.push(part);
            let full = self.real_root.join(&at);
            let Ok(to) = std::fs::read_link(&full) else {
                continue;
            };
            let folder = full.parent().and_then(|folder| folder.canonicalize().ok());
            let target = folder.map(|folder| normal(&folder.join(&to)));
            let leads = full.canonicalize().ok().or(target)?;
            if !leads.starts_with(&self.project) {
                return Some(Refused::LinkOutside {
                    link: at.display().to_string(),
                    to: to.display().to_string(),
                });
            }
        }
        None
    }
}

impl Opened {
    /// The whole text, if it is UTF-8 and has at most `most` bytes.
    pub fn text(self, most: u64) -> Result<String, Refused> {
        if self.size > most {
            return Err(too_large(most));
        }
        let mut bytes = Vec::new();
        // It may grow meanwhile.
        let read = self.file.take(most + 1).read_to_end(&mut bytes)?;
        if read as u64 > most {
            return Err(too_large(most));
        }
        // UTF-16 without its mark is valid UTF-8 with NULs, and nothing in it would be found.
        if bytes.iter().take(2).any(|byte| *byte == 0) {
            return Err(Refused::NotText(1));
        }
        String::from_utf8(bytes).map_err(|wrong| {
            let good = &wrong.as_bytes()[..wrong.utf8_error().valid_up_to()];
            Refused::NotText(good.split(|byte| *byte == b'\n').count())
        })
    }
}

fn bounded(text: &str, most: u64) -> Result<String, Refused> {
    if text.len() as u64 > most {
        return Err(too_large(most));
    }
    Ok(text.to_owned())
}

fn too_large(most: u64) -> Refused {
    Refused::TooLarge(most.div_ceil(1024 * 1024))
}

/// Opens a path without links, folder by folder: a component that was replaced meanwhile is not
/// followed.
fn open_real(project: &Path, real: &Path) -> Result<File, Refused> {
    let within = real.strip_prefix(project).map_err(|_| Refused::Outside)?;
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(project, folder, Mode::empty())?;
    let mut parts = within.components().map(Component::as_os_str).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_some() {
            at = rustix::fs::openat(&at, part, folder | OFlags::NOFOLLOW, Mode::empty())?;
            continue;
        }
        return open_regular(&at, part);
    }
    Err(Refused::NotRegular("a folder"))
}

fn open_regular(folder: &impl std::os::fd::AsFd, name: &OsStr) -> Result<File, Refused> {
    // Check before opening: opening a device may have an effect.
    let found = rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    regular(rustix::fs::FileType::from_raw_mode(found.st_mode))?;
    let how =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, how, Mode::empty())?;
    let found = rustix::fs::fstat(&file)?;
    regular(rustix::fs::FileType::from_raw_mode(found.st_mode))?;
    Ok(File::from(file))
}

fn regular(kind: rustix::fs::FileType) -> Result<(), Refused> {
    use rustix::fs::FileType;
    Err(Refused::NotRegular(match kind {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "a folder",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Symlink => "a link that somebody just put there",
        FileType::Unknown => "something else",
    }))
}

/// Whether a file's name says that it is not for readers of a book.
#[must_use]
pub fn is_private(file: &Path) -> bool {
    let parts = file.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().to_lowercase()),
        _ => None,
    });
    let parts: Vec<String> = parts.collect();
    let name = parts.last().map(String::as_str).unwrap_or_default();
    let end = Path::new(name).extension().and_then(OsStr::to_str);
    parts
        .iter()
        .any(|part| part.starts_with('.') || part == "nodes")
        || matches!(name, "nodes.yaml" | "nodes.yml" | "book.toml")
        || name.starts_with("id_")
        || name.contains("secret")
        || name.contains("password")
        || matches!(
            end,
            Some("pem" | "key" | "p12" | "pfx" | "jks" | "kdbx" | "env" | "gpg" | "asc")
        )
}

/// Removes `.` and, where possible, `..`.
#[must_use]
pub fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(normal.components().next_back(), Some(Component::Normal(_))) =>
            {
                normal.pop();
            }
            Component::ParentDir if normal.has_root() => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
