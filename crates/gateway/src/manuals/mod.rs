//! The manuals of the gateway: each is read again when one of its files has changed, planned, and
//! shown as a book.

mod applications;
mod archive;
mod book;
mod clone;
mod may;
mod plan;
mod print;
mod several;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::config::Source;
use crate::files::Files;
use crate::project::access::Access;
use crate::project::{Project, Who};
use crate::source;
use crate::token::sha256;
use crate::wire::approve::Need;
use crate::wire::{Kind, Problem};

pub use applications::Place;
pub(crate) use archive::path_of;
pub use book::{Book, Page, escaped};
pub use may::{Person, Wish};
pub use plan::{Planned, PlannedPart, segment_of};
use print::Print;
pub use several::Manuals;

/// A manual in a folder of this machine.
#[derive(Debug)]
pub struct Manual {
    /// Its name.
    pub id: String,
    /// Its folder, absolute.
    pub root: PathBuf,
    /// The source of its files.
    source: Source,
    /// How many approvals every run needs, regardless of its rules.
    always: u32,
    read: Mutex<Option<Arc<Read>>>,
    book: Book,
}

/// A manual at one moment.
#[derive(Debug)]
pub struct Read {
    /// The project.
    pub project: Project,
    /// The git revision, and whether there are no other changes.
    pub revision: Option<String>,
    print: Print,
    /// The hash of each page, by index.
    pages: Vec<String>,
    access: Result<Option<Access>, Box<Problem>>,
    /// The files with secrets of nodes, once somebody has asked: all nodes are evaluated for them.
    secrets: OnceLock<BTreeSet<PathBuf>>,
}

impl Manual {
    /// The manual in this folder; its book is built below `state`.
    #[must_use]
    pub fn new(root: &Path, state: &Path, always: u32) -> Manual {
        let name = root
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.filter(|name| crate::wire::limit::is_name(name));
        Manual {
            id: name.unwrap_or_else(|| "manual".to_owned()),
            root: root.to_owned(),
            source: Source::Folder(root.to_owned()),
            always,
            read: Mutex::new(None),
            book: Book::new(root, &state.join("book")),
        }
    }

    /// A manual with this name; its clone and its book are below `state`.
    #[must_use]
    pub fn named(id: &str, source: Source, state: &Path, always: u32) -> Manual {
        let root = match &source {
            Source::Folder(root) => root.clone(),
            Source::Git { .. } => state.join("manuals").join(id),
        };
        Manual {
            id: id.to_owned(),
            book: Book::new(&root, &state.join("book").join(id)),
            root,
            source,
            always,
            read: Mutex::new(None),
        }
    }

    /// The folder for a runner on this machine. A clone changes by itself, so runners get an
    /// archive of it.
    #[must_use]
    pub fn folder(&self) -> Option<String> {
        match &self.source {
            Source::Folder(root) => Some(root.display().to_string()),
            Source::Git { .. } => None,
        }
    }

    /// The current state. May take long: do not call it in async code.
    ///
    /// # Errors
    /// If it has an error that concerns all of it.
    pub fn read(&self) -> Result<Arc<Read>, Box<Problem>> {
        let print = Print::of(&self.root);
        let mut held = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = held.as_ref().filter(|read| read.print == print) {
            return Ok(Arc::clone(read));
        }
        let project = Project::open_to_run(Files::of(&self.root)).map_err(|all| wrong(&all))?;
        let pages = project.manual.pages.iter().map(page_sha256).collect();
        let who = Who::here(&self.root);
        let revision = who.revision().map(|revision| match who.clean() {
            Some(true) => revision.to_owned(),
            _ => format!("{revision} and changes"),
        });
        let access = Access::of(&project.files, &project.nodes).map_err(|all| wrong(&all));
        let read = Arc::new(Read {
            project,
            revision,
            print,
            pages,
            access,
            secrets: OnceLock::new(),
        });
        *held = Some(Arc::clone(&read));
        Ok(read)
    }

    fn always(&self) -> Option<Need> {
        (self.always > 0).then(|| Need {
            count: self.always,
            by: Vec::new(),
            people: Vec::new(),
            place: "`[approval] always`".to_owned(),
        })
    }

    /// Its book.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }
}

impl Read {
    /// SHA-256 of the page of a procedure.
    #[must_use]
    pub fn page_of(&self, procedure: &crate::manual::Procedure) -> &str {
        self.pages.get(procedure.page).map_or("", String::as_str)
    }

    /// For each procedure, the SHA-256 of its page.
    #[must_use]
    pub fn pages(&self) -> BTreeMap<String, String> {
        let all = self.project.manual.procedures.values();
        all.map(|procedure| (procedure.id.clone(), self.page_of(procedure).to_owned()))
            .collect()
    }
}

/// The page's text contains its includes.
fn page_sha256(page: &crate::manual::Page) -> String {
    sha256(page.text.text.as_bytes())
}

/// Converts problems of a manual into one of the interface.
pub(crate) fn wrong(problems: &[source::Problem]) -> Box<Problem> {
    let all: Vec<String> = source::first_of_each(problems)
        .iter()
        .take(20)
        .map(ToString::to_string)
        .collect();
    let text = all.join("\n\n");
    let cut = text.floor_char_boundary(2 * crate::wire::limit::TEXT);
    Box::new(Problem::new(Kind::Wrong, &text[..cut]))
}
