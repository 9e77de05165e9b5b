//! Where a project is read from: a folder, or an unpacked archive; with its own nodes or those of
//! the person who runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::Book;
use crate::files::{Files, MAX_TEXT, Refused};
use crate::journal::State;
use crate::manual::Settings;
use crate::package::assemble::{self, Placed};
use crate::package::manifest::{self, From, Manifest};
use crate::package::resolve::Part;
use crate::source::{Concern, Problem, Source};

/// The files of a project, and data from elsewhere.
#[derive(Clone, Debug)]
pub struct Place {
    /// The files.
    pub files: Files,
    /// The folder of its journals; from the settings if absent.
    pub state: Option<State>,
    /// The archive that it was read from.
    pub book: Option<Book>,
    /// Nodes to use instead of the project's own.
    pub nodes: Option<Arc<Source>>,
    /// The folder that its author edits, if that is not the one that is read.
    pub origin: Option<PathBuf>,
    /// Its packages.
    pub parts: Parts,
    /// The beginning of commands about it, for messages: `opsbook --book FILE`.
    pub program: String,
}

/// Packages, and the place of their pages.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Sorted by name.
    pub all: Arc<Vec<Part>>,
    /// The folder of each in the assembled manual.
    pub placed: Vec<Placed>,
}

impl Parts {
    /// The index of the package that a page belongs to, by the page's path.
    #[must_use]
    pub fn of_page(&self, page: &Path) -> Option<usize> {
        self.placed
            .iter()
            .position(|place| page.starts_with(&place.pages))
    }
}

impl Parts {
    /// For each local package, the folder that people edit (relative to the manual's folder), and
    /// its folder in the assembled manual.
    fn folders(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let pairs = self.all.iter().zip(&self.placed);
        pairs.filter_map(|(part, placed)| {
            let folder = match (&part.replaces, &part.asked) {
                (Some(path), _) | (None, From::Path(path)) => Path::new(path.as_str()),
                (None, _) => return None,
            };
            Some((folder, Path::new(placed.folder.as_str())))
        })
    }
}

impl Place {
    /// The path in the assembled manual of a file that people edit. Takes an absolute path with all
    /// links resolved. `None` if the file is not a part of the manual.
    #[must_use]
    pub fn read_as(&self, file: &Path) -> Option<PathBuf> {
        let Some(origin) = &self.origin else {
            return file.strip_prefix(self.files.root()).ok().map(PathBuf::from);
        };
        for (folder, placed) in self.parts.folders() {
            let folder = origin.join(folder);
            let folder = folder.canonicalize().unwrap_or(folder);
            if let Ok(rest) = file.strip_prefix(folder) {
                return Some(placed.join(rest));
            }
        }
        file.strip_prefix(origin).ok().map(PathBuf::from)
    }

    /// The file that people edit, for a file that is read; the same file if nobody can edit it.
    #[must_use]
    pub fn edited_as(&self, read: &Path) -> PathBuf {
        let Some(origin) = &self.origin else {
            return self.files.root().join(read);
        };
        for (folder, placed) in self.parts.folders() {
            if let Ok(rest) = read.strip_prefix(placed) {
                let file = origin.join(folder).join(rest);
                return file.canonicalize().unwrap_or(file);
            }
        }
        let own = origin.join(read);
        let packaged = self
            .parts
            .placed
            .iter()
            .any(|placed| read.starts_with(&placed.folder));
        if packaged || !own.exists() && self.files.is_file(read) {
            return self.files.root().join(read);
        }
        own
    }

    /// The same place with unsaved texts of an editor, by the paths under which they are read.
    #[must_use]
    pub fn with_unsaved(&self, texts: impl IntoIterator<Item = (PathBuf, String)>) -> Place {
        let (settings, _) = crate::manual::load_settings(&self.files);
        let source = settings.source.to_string_lossy().into_owned();
        let parts = &self.parts.all;
        let texts = texts.into_iter().map(|(path, text)| {
            if parts.is_empty() || path.extension().is_none_or(|end| end != "md") {
                return (path, text);
            }
            let text = assemble::page_text(&source, parts, &path.to_string_lossy(), &text);
            (path, text)
        });
        Place {
            files: self.files.clone().with_unsaved(texts),
            ..self.clone()
        }
    }
}

impl std::convert::From<Files> for Place {
    fn from(files: Files) -> Place {
        Place {
            files,
            state: None,
            book: None,
            nodes: None,
            origin: None,
            parts: Parts::default(),
            program: "opsbook".to_owned(),
        }
    }
}

impl Place {
    /// The folder of its journals.
    #[must_use]
    pub fn state(&self, settings: &Settings) -> State {
        match &self.state {
            Some(state) => state.clone(),
            None => crate::state_of(&self.files, settings),
        }
    }
}

/// Whether this opsbook is new enough for a manual.
///
/// # Errors
/// If it is too old.
pub fn new_enough(needs: Option<&str>) -> Result<(), String> {
    let Some(needs) = needs else { return Ok(()) };
    let ours = env!("CARGO_PKG_VERSION");
    let numbers = |text: &str| {
        let numbers: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
        numbers.ok().filter(|numbers| numbers.len() <= 3)
    };
    match (numbers(needs), numbers(ours)) {
        (None, _) => Err(format!(
            "`{needs}` is not a version of opsbook, such as `0.3`"
        )),
        (Some(needed), Some(have)) if needed > have => {
            Err(format!("it needs opsbook {needs}, but this is {ours}"))
        }
        _ => Ok(()),
    }
}

/// The contents of `opsbook.toml`, if it exists.
pub(crate) fn manifest(files: &Files) -> (Option<Manifest>, Vec<Problem>) {
    match files.text(Path::new(manifest::FILE), MAX_TEXT) {
        Ok(text) => {
            let (manifest, mut problems) = manifest::read(&Source::new(manifest::FILE, text));
            if let Some(needs) = &manifest.needs
                && let Err(why) = new_enough(Some(&needs.value))
            {
                let problem = Problem::error("package-too-new", needs.span.clone(), why);
                problems.push(problem.concerns(Concern::Project));
            }
            (Some(manifest), problems)
        }
        Err(Refused::Missing) => (None, Vec::new()),
        Err(why) => {
            let problem = Problem::bare("bad-package", format!("`{}`: {why}", manifest::FILE));
            (None, vec![problem.concerns(Concern::Project)])
        }
    }
}
