//! One manual as it is now: the project, read with the editor's texts, and all that is wrong in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::Files;
use crate::manual::Procedure;
use crate::nodes::Node;
use crate::project::Project;
use crate::source::Problem;

/// The editor's texts by their absolute paths.
pub type Texts = BTreeMap<PathBuf, Arc<str>>;

/// A manual, read.
pub struct Snapshot {
    pub project: Project,
    pub problems: Vec<Problem>,
}

impl Snapshot {
    /// Reads the manual in a folder.
    pub fn read(root: &Path, texts: &Texts) -> Snapshot {
        let own = texts.iter().filter_map(|(path, text)| {
            let below = path.strip_prefix(root).ok()?;
            Some((below.to_owned(), text.to_string()))
        });
        let project = Project::read(Files::of(root).with_unsaved(own));
        let problems = project.lint().problems;
        Snapshot { project, problems }
    }

    pub fn root(&self) -> &Path {
        &self.project.root
    }

    /// The procedure in whose section a byte of a file stands.
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
        path.strip_prefix(self.root()).ok().map(Path::to_owned)
    }
}

/// The manual that a file belongs to: the nearest folder upwards with a `book.toml`.
pub fn root_of(path: &Path) -> Option<PathBuf> {
    let folders = path.ancestors().skip(1);
    let mut folders = folders.filter(|folder| folder.join("book.toml").is_file());
    folders.next().map(Path::to_owned)
}
