//! The manual at hand: found, and opened for what a command does with it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::error::Failure;
use crate::files::Files;
use crate::nodes::Nodes;
use crate::project::{self, Project};

/// For commands that run nothing of the manual.
pub(crate) fn load(dir: Option<&Path>) -> Result<Project, Failure> {
    Ok(Project::open(files(dir)?)?)
}

/// For commands that reach a node to run something.
pub(crate) fn load_to_run(dir: Option<&Path>) -> Result<Project, Failure> {
    Ok(Project::open_to_run(files(dir)?)?)
}

/// Whatever is wrong with it.
pub(crate) fn read(dir: Option<&Path>) -> Result<Project, Failure> {
    Ok(Project::read(files(dir)?))
}

/// The nodes alone, for commands that look at nothing else.
pub(crate) fn load_nodes(dir: Option<&Path>) -> Result<Nodes, Failure> {
    Ok(project::nodes_alone(&files(dir)?)?)
}

fn files(dir: Option<&Path>) -> Result<Files, Failure> {
    Ok(Files::of(&find_root(dir)?))
}

/// The folder named, or the nearest one upwards with a `book.toml`; absolute.
pub(crate) fn find_root(dir: Option<&Path>) -> Result<PathBuf, Failure> {
    Ok(project::find_root(&std::env::current_dir()?, dir)?)
}

/// Says once how much else is wrong, to somebody whose plan it does not concern.
pub(crate) fn tell_elsewhere(project: &Project, talk: &mut dyn Write) -> io::Result<()> {
    match project.errors().count() {
        0 => Ok(()),
        1 => writeln!(
            talk,
            "1 mistake elsewhere in this manual does not concern this run: opsbook lint"
        ),
        n => writeln!(
            talk,
            "{n} mistakes elsewhere in this manual do not concern this run: opsbook lint"
        ),
    }
}
