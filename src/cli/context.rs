//! Finds the manual, and opens it for a command.

use std::io::{self, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::archive;
use crate::cli::error::Failure;
use crate::manual::shell_word;
use crate::nodes::Nodes;
use crate::project::{self, Place, Project};
use crate::session;
use crate::source::{Problem, Source};
use crate::yaml::MAX_BYTES;

/// The place of the manual, from the command line and the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen {
    pub dir: Option<PathBuf>,
    pub book: Option<PathBuf>,
    pub signers: Option<PathBuf>,
    pub nodes_file: Option<PathBuf>,
}

impl Chosen {
    /// The manual in a folder.
    pub fn folder(dir: &Path) -> Chosen {
        Chosen {
            dir: Some(dir.to_owned()),
            ..Chosen::default()
        }
    }

    /// Whether the place was given explicitly.
    pub fn is_named(&self) -> bool {
        self.dir.is_some() || self.book.is_some()
    }

    /// The options that name it, for printed commands.
    pub fn program(&self) -> String {
        let mut program = "opsbook".to_owned();
        let named = [
            ("--book", &self.book),
            ("--signers", &self.signers),
            ("--nodes-file", &self.nodes_file),
        ];
        for (option, file) in named {
            if let Some(file) = file {
                let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                program += &format!(" {option} {}", shell_word(&file.to_string_lossy()));
            }
        }
        program
    }
}

/// For commands that run nothing of the manual.
pub(crate) fn load(from: &Chosen) -> Result<Project, Failure> {
    Ok(Project::open(place(from)?)?)
}

/// For commands that run something on a node.
pub(crate) fn load_to_run(from: &Chosen) -> Result<Project, Failure> {
    Ok(Project::open_to_run(place(from)?)?)
}

/// Opens it whatever its problems are.
pub(crate) fn read(from: &Chosen) -> Result<Project, Failure> {
    Ok(Project::read(place(from)?))
}

/// Only the nodes, for commands that need nothing else.
pub(crate) fn load_nodes(from: &Chosen) -> Result<Nodes, Failure> {
    Ok(project::nodes_alone(&place(from)?)?)
}

/// All files to read, and where they come from.
pub(crate) fn place(from: &Chosen) -> Result<Place, Failure> {
    let place = match &from.book {
        Some(book) => archive::place(book, from.signers.as_deref())?,
        None => project::merge::place(&find_root(from)?)?,
    };
    let nodes = from.nodes_file.as_deref().map(nodes_file).transpose()?;
    Ok(Place {
        nodes,
        program: from.program(),
        ..place
    })
}

/// Local replacements of packages, for a message.
pub(crate) fn replaced(from: &Chosen) -> Vec<String> {
    match find_root(from) {
        Ok(root) if from.book.is_none() => project::merge::replaced(&root),
        _ => Vec::new(),
    }
}

/// Uses this ssh configuration to reach nodes.
pub(crate) fn reach_with(file: &Path) -> Result<(), Failure> {
    if let Some(why) = no_file(file) {
        let message = format!("`--ssh-config`: `{}`: {why}", file.display());
        return Err(Failure::from(Problem::bare("ssh-config", message)));
    }
    session::reach_with(std::path::absolute(file)?);
    Ok(())
}

/// Why this is not a file, if it is none.
fn no_file(path: &Path) -> Option<&'static str> {
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => None,
        Ok(_) => Some("it is not a regular file"),
        Err(error) if error.kind() == ErrorKind::NotFound => Some("there is no such file"),
        Err(_) => Some("it cannot be looked at"),
    }
}

/// The nodes file of the person who runs the command.
fn nodes_file(path: &Path) -> Result<Arc<Source>, Failure> {
    let failed = |why: String| {
        let message = format!("`--nodes-file`: `{}`: {why}", path.display());
        Failure::from(Problem::bare("nodes-unreadable", message))
    };
    if let Some(why) = no_file(path) {
        return Err(failed(why.to_owned()));
    }
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let read = file.take(most + 1).read_to_string(&mut text);
    read.map_err(|error| failed(error.to_string()))?;
    if text.len() > MAX_BYTES {
        return Err(failed(format!("it is larger than {MAX_BYTES} bytes")));
    }
    Ok(Source::new(path, text))
}

/// The folder, the opened place of the manual if any, and the default destination of the book.
type ToBuild = (PathBuf, Option<Place>, Option<PathBuf>);

/// What to build, and the default destination. An archive cannot contain its book, which goes into
/// the current folder. A stranger's manual is built without its packages: they may be folders
/// elsewhere.
pub(crate) fn to_build(from: &Chosen, untrusted: bool) -> Result<ToBuild, Failure> {
    if from.book.is_none() && untrusted {
        return Ok((find_root(from)?, None, None));
    }
    let place = place(from)?;
    let dest = match (&from.book, &place.origin) {
        (Some(_), _) => Some(PathBuf::from("book")),
        (None, Some(origin)) => Some(project::merge::build_folder(origin)),
        (None, None) => None,
    };
    let root = place.files.root().to_owned();
    Ok((root, Some(place), dest))
}

/// The given folder, or the nearest parent with a `book.toml`; absolute.
pub(crate) fn find_root(from: &Chosen) -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()?;
    Ok(project::find_root(&here, from.dir.as_deref())?)
}

/// Reports once the number of other problems, if they do not concern the plan.
pub(crate) fn tell_elsewhere(project: &Project, talk: &mut dyn Write) -> io::Result<()> {
    match project.errors().count() {
        0 => Ok(()),
        1 => writeln!(
            talk,
            "1 mistake elsewhere in this manual does not affect this run: opsbook lint"
        ),
        n => writeln!(
            talk,
            "{n} mistakes elsewhere in this manual do not affect this run: opsbook lint"
        ),
    }
}
