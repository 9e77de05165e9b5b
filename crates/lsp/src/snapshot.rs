//! The current state of a manual: the project with the editor's texts, and all its problems.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lsp_types::Location;

use crate::files::Files;
use crate::manual::Procedure;
use crate::nodes::Node;
use crate::place::{Columns, uri};
use crate::project::{Place, Project, merge};
use crate::source::{Problem, Span};

/// The editor's texts by absolute path.
pub type Texts = BTreeMap<PathBuf, Arc<str>>;

/// Where a manual and its packages are read from. Updated after something was saved, because
/// packages are on disk.
#[derive(Clone)]
pub struct Ground {
    root: PathBuf,
    place: Place,
    /// Why its packages are missing.
    problems: Vec<Problem>,
}

impl Ground {
    /// Finds the packages of the manual in a folder.
    pub fn find(root: &Path) -> Ground {
        let (place, problems) = match merge::place(root) {
            Ok(place) => (place, Vec::new()),
            Err(problems) => (Place::from(Files::of(root)), problems),
        };
        Ground {
            root: root.to_owned(),
            place,
            problems,
        }
    }

    /// Whether a file is a part of the manual.
    pub fn has(&self, file: &Path) -> bool {
        self.place.read_as(file).is_some()
    }
}

/// A manual that was read.
pub struct Snapshot {
    pub project: Project,
    pub problems: Vec<Problem>,
    ground: Ground,
}

impl Snapshot {
    /// Reads a manual with the editor's texts instead of those on disk.
    pub fn read(ground: &Ground, texts: &Texts) -> Snapshot {
        let own = texts.iter().filter_map(|(path, text)| {
            let below = ground.place.read_as(path)?;
            Some((below, text.to_string()))
        });
        let project = Project::read(ground.place.with_unsaved(own));
        // If packages are missing, errors about their names are not the author's.
        let problems = if ground.problems.is_empty() {
            project.lint().problems
        } else {
            ground.problems.clone()
        };
        let ground = ground.clone();
        Snapshot {
            project,
            problems,
            ground,
        }
    }

    /// The same manual with other texts.
    pub fn with(&self, texts: &Texts) -> Snapshot {
        Snapshot::read(&self.ground, texts)
    }

    /// The folder that its author edits.
    pub fn root(&self) -> &Path {
        &self.ground.root
    }

    /// The procedure whose section contains a byte of a file.
    pub fn procedure_at(&self, file: &Path, byte: usize) -> Option<&Procedure> {
        let own = self.project.manual.procedures.values();
        let own = own.filter(|procedure| {
            procedure.span.path() == file && procedure.span.start as usize <= byte
        });
        own.max_by_key(|procedure| procedure.span.start)
    }

    /// All nodes that can be evaluated.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        let nodes = &self.project.nodes;
        nodes
            .names()
            .filter_map(|name| nodes.evaluate(name, &[]).ok())
    }

    /// The path of a file as problems name it.
    pub fn below(&self, path: &Path) -> Option<PathBuf> {
        self.ground.place.read_as(path)
    }

    /// The file that people edit, from the path in a problem.
    pub fn edited(&self, read: &Path) -> PathBuf {
        self.ground.place.edited_as(read)
    }

    /// The location of a span for the editor.
    pub fn location(&self, columns: Columns, span: &Span) -> Option<Location> {
        Some(Location {
            uri: uri(&self.edited(span.path()))?,
            range: columns.of_span(span),
        })
    }
}

/// The manual that a file belongs to: the nearest parent folder with a `book.toml`.
pub fn root_of(path: &Path) -> Option<PathBuf> {
    let folders = path.ancestors().skip(1);
    let mut folders = folders.filter(|folder| folder.join("book.toml").is_file());
    folders.next().map(Path::to_owned)
}
