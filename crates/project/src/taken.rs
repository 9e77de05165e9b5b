//! Which files of a folder are packed: those of its revision, and those in `include`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::package::folder;
use crate::package::git::{self, NoFiles};
use crate::package::selection::Selection;
use crate::package::tree::{Mode, Tree};
use crate::source::Problem;

/// git's objections to the selected files.
///
/// `shown` is the folder's name for people: `../base/`, or empty.
pub(crate) fn dirty(work: &git::Work, selection: &Selection, shown: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let taken = |path: &&str| selection.takes(path);
    let changed: Vec<&str> = { work.dirty.iter() }
        .filter(|path| !path.starts_with('?'))
        .map(String::as_str)
        .filter(taken)
        .collect();
    if let [first, ..] = changed[..] {
        let more = changed.len() - 1;
        let first = crate::outside::line(&format!("{shown}{first}")).to_string();
        let more = if more == 0 {
            String::new()
        } else {
            format!(", and {more} more")
        };
        let message = format!("`{first}`{more}: changed since the last commit");
        let problem = Problem::bare("dirty-tree", message);
        problems.push(problem.hint(
            "commit it, or pass `--dirty` to pack it as it is, with a \
             note",
        ));
    }
    let unknown = { work.dirty.iter() }.filter_map(|path| path.strip_prefix('?'));
    let unknown = unknown.filter(taken);
    for path in unknown.filter(|path| !selection.includes(path)).take(10) {
        let path = crate::outside::line(&format!("{shown}{path}")).to_string();
        let message = format!("`{path}` is not under version control");
        let problem = Problem::bare("untracked-file", message);
        let hint = "commit it, or name it in `include` or `exclude` of `opsbook.toml`";
        problems.push(problem.hint(hint));
    }
    problems
}

/// The files of the revision, or those on disk; and the names of files that git does not know.
///
/// # Errors
/// An error of git, or a file that no package may contain.
pub(crate) fn files(
    root: &Path,
    selection: &Selection,
    work: &git::Work,
    clean: bool,
) -> Result<(Tree, BTreeSet<String>), Vec<Problem>> {
    let bare = |code: &'static str, why: String| vec![Problem::bare(code, why)];
    let tracked = git::tracked(root).map_err(|why| bare("git-failed", why))?;
    let tracked: BTreeSet<String> = tracked.into_iter().collect();
    let takes = |path: &str| selection.takes(path);
    let there =
        |path: &str| takes(path) && (selection.includes(path) || !clean && tracked.contains(path));
    let enters = |path: &str| selection.enters(path);
    let more = folder::read_below(root, &enters, &|path| {
        there(path) && !(clean && tracked.contains(path))
    });
    let more = more.map_err(|why| bare("bad-package", why))?;
    let untracked = more.entries().map(|(path, _)| path.to_owned());
    let untracked = untracked.filter(|path| !tracked.contains(path)).collect();
    if !clean {
        return Ok((more, untracked));
    }
    let tree = git::tree(root, &work.revision, work.subdir.as_deref(), &takes);
    let mut tree = tree.map_err(|NoFiles { code, message }| bare(code, message))?;
    for (path, entry) in more.entries() {
        let added = tree.add(path, entry.clone());
        added.map_err(|why| bare("bad-package", why))?;
    }
    tree.check().map_err(|why| bare("bad-package", why))?;
    Ok((tree, untracked))
}

/// The differences between an archive's files and a revision's: paths, each with a description.
pub(crate) fn differing(own: &Tree, of_git: &Tree, shown: &str) -> Vec<String> {
    let mut differing = Vec::new();
    let line = |path: &str| crate::outside::line(&format!("{shown}{path}")).to_string();
    for (path, entry) in own.entries() {
        match of_git.get(path) {
            None => differing.push(format!("`{}` is not in git", line(path))),
            Some(other) if other != entry => {
                let what = if other.mode != entry.mode && entry.mode != Mode::Link {
                    "has another mode"
                } else {
                    "differs"
                };
                differing.push(format!("`{}` {what}", line(path)));
            }
            Some(_) => {}
        }
    }
    for (path, _) in of_git.entries() {
        if own.get(path).is_none() {
            differing.push(format!("`{}` is not in the archive", line(path)));
        }
    }
    differing
}
