//! Where a project is read from: a folder, or an archive that was unpacked; with nodes of its own,
//! or those of the person who runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::Book;
use crate::files::{Files, MAX_TEXT, Refused};
use crate::journal::State;
use crate::manual::Settings;
use crate::package::assemble::Placed;
use crate::package::manifest::{self, Manifest};
use crate::package::resolve::Part;
use crate::source::{Concern, Problem, Source};

/// The files of a project, and what does not come from them.
#[derive(Clone, Debug)]
pub struct Place {
    /// All that is read.
    pub files: Files,
    /// Where journals are; as the settings say if absent.
    pub state: Option<State>,
    /// The archive that it is.
    pub book: Option<Book>,
    /// What is read in the place of the project's own nodes.
    pub nodes: Option<Arc<Source>>,
    /// The folder that its author edits, where that is not the one that is read.
    pub origin: Option<PathBuf>,
    /// The packages that it is made of.
    pub parts: Parts,
    /// The words that a person begins a command about it with: `opsbook --book FILE`.
    pub program: String,
}

/// Packages, and where their pages are.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// In the order of their names.
    pub all: Arc<Vec<Part>>,
    /// Where each of them lies.
    pub placed: Vec<Placed>,
}

impl Parts {
    /// The package to which a page belongs, by the page's path.
    #[must_use]
    pub fn of_page(&self, page: &Path) -> Option<usize> {
        self.placed
            .iter()
            .position(|place| page.starts_with(&place.pages))
    }
}

impl From<Files> for Place {
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
    /// Where its journals are.
    #[must_use]
    pub fn state(&self, settings: &Settings) -> State {
        match &self.state {
            Some(state) => state.clone(),
            None => crate::state_of(&self.files, settings),
        }
    }
}

/// Whether this opsbook is as new as a manual wants it.
///
/// # Errors
/// Where it is not.
pub fn new_enough(needs: Option<&str>) -> Result<(), String> {
    let Some(needs) = needs else { return Ok(()) };
    let ours = env!("CARGO_PKG_VERSION");
    let numbers = |text: &str| {
        let numbers: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
        numbers.ok().filter(|numbers| numbers.len() <= 3)
    };
    match (numbers(needs), numbers(ours)) {
        (None, _) => Err(format!("`{needs}` is no version of opsbook, such as `0.3`")),
        (Some(needed), Some(have)) if needed > have => {
            Err(format!("it needs opsbook {needs}, and this is {ours}"))
        }
        _ => Ok(()),
    }
}

/// What `opsbook.toml` says, where there is one.
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
