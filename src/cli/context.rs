//! The manual at hand: found, read, and refused as a whole where it is wrong.

use std::path::{Path, PathBuf};

use crate::cli::error::Failure;
use crate::manual::{self, Manual};
use crate::nodes::{self, Nodes};
use crate::source::Problem;
use crate::vocabulary::{self, Vocabulary};

/// A manual with its nodes and its vocabulary.
pub(crate) struct Context {
    pub root: PathBuf,
    pub manual: Manual,
    pub nodes: Nodes,
    pub vocabulary: Vocabulary,
    /// In the order of the book; errors only after [`Context::read`].
    pub problems: Vec<Problem>,
}

impl Context {
    /// # Errors
    /// Where there is no manual, or anything in it is an error: nothing of a wrong manual
    /// may reach a node.
    pub fn load(dir: Option<&Path>) -> Result<Context, Failure> {
        let context = Context::read(dir)?;
        let errors: Vec<Problem> = context
            .problems
            .iter()
            .filter(|problem| problem.is_error())
            .cloned()
            .collect();
        if errors.is_empty() {
            Ok(context)
        } else {
            Err(Failure::Problems(errors))
        }
    }

    /// As [`Context::load`], for what reaches a node: nothing that lint would refuse in a
    /// tagged block may get there. A link that leads nowhere keeps nobody from working.
    pub fn load_to_run(dir: Option<&Path>) -> Result<Context, Failure> {
        let context = Context::read(dir)?;
        let keeps_nobody = ["broken-link", "broken-anchor"];
        let mut errors = context.problems.clone();
        errors.extend(manual::lint(&context.manual));
        errors.retain(|problem| problem.is_error() && !keeps_nobody.contains(&problem.code));
        manual::sort(&context.manual, &mut errors);
        if errors.is_empty() {
            Ok(context)
        } else {
            Err(Failure::Problems(errors))
        }
    }

    /// Reads everything and keeps what is wrong.
    pub fn read(dir: Option<&Path>) -> Result<Context, Failure> {
        let root = find_root(dir)?;
        let (mut manual, mut problems) = manual::load(&root);
        for group in manual.groups.values_mut() {
            let (typed, more) = vocabulary::include(&root, std::mem::take(&mut group.typed));
            group.typed = typed;
            problems.extend(more);
        }
        let (nodes, more) = nodes::load(&root, &manual.settings);
        problems.extend(more);
        let (vocabulary, more) = Vocabulary::with_project(&root);
        problems.extend(more);
        Ok(Context {
            root,
            manual,
            nodes,
            vocabulary,
            problems,
        })
    }
}

/// The nodes alone, for commands that look at nothing else: they help most where the rest
/// is broken.
pub(crate) fn load_nodes(dir: Option<&Path>) -> Result<Nodes, Failure> {
    let root = find_root(dir)?;
    let (settings, mut problems) = manual::load_settings(&root);
    let (nodes, more) = nodes::load(&root, &settings);
    problems.extend(more);
    problems.retain(Problem::is_error);
    if problems.is_empty() {
        Ok(nodes)
    } else {
        Err(Failure::Problems(problems))
    }
}

/// The folder named, or the nearest one upwards with a `book.toml`; absolute.
pub(crate) fn find_root(dir: Option<&Path>) -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()?;
    if let Some(dir) = dir {
        let root = here.join(dir);
        return match root.canonicalize() {
            Ok(root) if root.is_dir() => Ok(root),
            _ => Err(Failure::from(Problem::bare(
                "no-manual",
                format!("`{}` is not a folder", dir.display()),
            ))),
        };
    }
    here.ancestors()
        .find(|folder| folder.join("book.toml").is_file())
        .map(Path::to_owned)
        .ok_or_else(|| {
            let problem = Problem::bare("no-manual", "no `book.toml` here or in any folder above");
            Failure::from(problem.hint(
                "name the manual's folder with `-C DIR`, or make one with `opsbook init DIR`",
            ))
        })
}
