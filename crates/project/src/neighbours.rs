//! Packages that a manual names by path. An archive contains them at the same revision of the same
//! repository, so the archive of a revision is the same on every machine.

use std::collections::{BTreeMap, BTreeSet};

use std::path::Path;

use crate::Project;
use crate::package::archive::Archive;
use crate::package::git::{self, NoFiles};
use crate::package::manifest::{self, From};
use crate::package::resolve::{Part, joined};
use crate::package::selection::Selection;
use crate::package::tree::Tree;
use crate::source::{Problem, Source};
use crate::taken;

/// The files of each package, by its name.
pub(crate) type Neighbours = BTreeMap<String, Tree>;

/// The packages at the packed revision; and the archive paths of files that git does not know.
///
/// # Errors
/// A package outside the repository, or with uncommitted changes.
pub(crate) fn trees(
    project: &Project,
    work: &git::Work,
    clean: bool,
) -> Result<(Neighbours, BTreeSet<String>), Vec<Problem>> {
    let mut trees = Neighbours::new();
    let mut untracked = BTreeSet::new();
    let mut problems = Vec::new();
    for (part, path) in named_by_path(project) {
        match tree(project, part, path, work, clean) {
            Ok((tree, more)) => {
                let name = part.name();
                let more = more.iter().map(|path| format!("packages/{name}/{path}"));
                untracked.extend(more);
                trees.insert(name.to_owned(), tree);
            }
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() {
        Ok((trees, untracked))
    } else {
        Err(problems)
    }
}

/// The packages as they are on disk, for a manual without version control.
pub(crate) fn as_they_are(project: &Project) -> Neighbours {
    let parts = named_by_path(project);
    parts
        .map(|(part, _)| (part.name().to_owned(), part.tree.clone()))
        .collect()
}

fn named_by_path(project: &Project) -> impl Iterator<Item = (&Part, &str)> {
    let parts = project.parts.all.iter();
    parts.filter_map(|part| match &part.asked {
        From::Path(path) => Some((part, path.as_str())),
        From::Git { .. } | From::Archive(_) | From::Oci { .. } => None,
    })
}

fn tree(
    project: &Project,
    part: &Part,
    path: &str,
    work: &git::Work,
    clean: bool,
) -> Result<(Tree, BTreeSet<String>), Vec<Problem>> {
    let failed = |why: String| vec![Problem::bare("git-failed", why)];
    let folder = project.origin.join(path);
    let own = git::work(&folder).map_err(failed)?;
    let selection = Selection::of(Some(&part.manifest));
    // The revision is the hash of everything in the repository.
    let own = own.filter(|own| own.revision == work.revision);
    let Some(own) = own else {
        return Err(vec![elsewhere(project, part)]);
    };
    if git::tracked(&folder).map_err(failed)?.is_empty() {
        return Err(vec![elsewhere(project, part)]);
    }
    if clean {
        let shown = format!("{}/", path.trim_end_matches('/'));
        let problems = taken::dirty(&own, &selection, &shown);
        if !problems.is_empty() {
            return Err(problems);
        }
    }
    let (tree, untracked) = taken::files(&folder, &selection, &own, clean)?;
    if tree.get(manifest::FILE).is_none() {
        return Err(vec![elsewhere(project, part)]);
    }
    Ok((tree, untracked))
}

fn elsewhere(project: &Project, part: &Part) -> Problem {
    let name = part.name();
    let message = format!("`{name}` is a folder on this machine, to which an archive cannot refer");
    let asked = project.manifest.as_ref();
    let asked = asked.and_then(|manifest| manifest.packages.get(name));
    let problem = match asked {
        Some(asked) => Problem::error("path-package", asked.span.clone(), message),
        None => Problem::bare("path-package", message),
    };
    problem.hint("commit it in the same repository, or release it and name a tag or an archive")
}

/// The differences between the packages in an archive and a revision of the repository.
///
/// # Errors
/// An error of git.
pub(crate) fn compare(
    archive: &Archive,
    root: &Path,
    revision: &str,
    subdir: Option<&str>,
) -> Result<Vec<String>, NoFiles> {
    let mut differing = Vec::new();
    let files = archive.description.files.iter();
    let untracked = files.filter(|file| !file.tracked);
    let untracked: BTreeSet<&str> = untracked.map(|file| file.path.as_str()).collect();
    for part in &archive.description.packages {
        let Some(path) = part.from.strip_prefix("path:") else {
            continue;
        };
        let shown = format!("packages/{}/", part.name);
        let Some(folder) = joined(subdir.unwrap_or_default(), path, false) else {
            differing.push(format!("`{shown}` is not in git"));
            continue;
        };
        let carried = archive.tree.below(shown.trim_end_matches('/'));
        let carried = carried.only(|path| !untracked.contains(format!("{shown}{path}").as_str()));
        let text = carried.text(manifest::FILE).unwrap_or_default();
        let said = manifest::read(&Source::new(manifest::FILE, text)).0;
        let selection = Selection::of(Some(&said));
        let folder = (!folder.is_empty()).then_some(folder);
        let of_git = git::tree(root, revision, folder.as_deref(), &|path| {
            selection.takes(path)
        })?;
        differing.extend(taken::differing(&carried, &of_git, &shown));
    }
    Ok(differing)
}
