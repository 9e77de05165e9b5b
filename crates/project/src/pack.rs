//! A project -> an archive of it: which files are taken, what is said of them, and what must not
//! be in one. Writes nothing but into a folder of its own, where what is packed is opened once.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::Project;
use crate::files::is_private;
use crate::manual::{Procedure, Work};
use crate::nodes::{SecretRef, secret};
use crate::opened::Opened;
use crate::package::archive::Archive;
use crate::package::description::{self, Description, FORMAT, File, Revision, Versions};
use crate::package::git::{self, NoFiles};
use crate::package::selection::Selection;
use crate::package::tree::{self, Mode, Tree};
use crate::package::{archive, folder};
use crate::releases;
use crate::source::{Problem, Severity, Span};

/// How something is packed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is not a package gets a name.
    pub name: Option<String>,
    /// And a release number.
    pub version: Option<String>,
    /// The tag of the release before: the number must be far enough from it.
    pub since: Option<String>,
    /// The files are taken as they are, whatever git knows of them.
    pub dirty: bool,
}

/// An archive, and what may be wrong with it.
#[derive(Debug)]
pub struct Packed {
    /// To be written.
    pub archive: Archive,
    /// What somebody should look at.
    pub warnings: Vec<Problem>,
}

/// Makes the archive of a project.
///
/// # Errors
/// Everything that must not be in one, or is missing.
pub fn pack(project: &Project, options: &Options) -> Result<Packed, Vec<Problem>> {
    let selection = Selection::of(project.manifest.as_ref());
    let (name, version) = label(project, options)?;
    if let Some(part) = project
        .parts
        .all
        .iter()
        .find(|part| part.replaces.is_some())
    {
        let message = format!("`{}` is another one on this machine", part.name());
        let problem = Problem::bare("local-replace", message);
        return Err(vec![problem.hint("remove it from `opsbook.local.toml`")]);
    }
    let work = git::work(&project.origin).map_err(|why| vec![Problem::bare("git-failed", why)])?;
    let Some(work) = work else {
        if !options.dirty {
            let problem = Problem::bare("no-revision", "the manual is under no version control");
            let hint =
                "an archive names the revision that it was made from; `--dirty` makes one without";
            return Err(vec![problem.hint(hint)]);
        }
        let tree = folder::read_below(&project.origin, &|path| selection.enters(path), &|path| {
            selection.takes(path)
        });
        let tree = tree.map_err(|why| vec![Problem::bare("bad-package", why)])?;
        return finish(project, tree, &BTreeSet::new(), (name, version), None);
    };
    let mut problems = dirty(&work, &selection);
    let version = match (problems.is_empty(), options.dirty) {
        (true, _) => version,
        (false, true) => {
            problems.clear();
            format!("{version}+dirty")
        }
        (false, false) => return Err(problems),
    };
    let clean = !version.ends_with("+dirty");
    let (tree, untracked) = files(project, &selection, &work, clean)?;
    let revision = revision(project, &work, &version, clean)?;
    if let Some(since) = &options.since {
        far_enough(project, &selection, &work, &tree, since)?;
    }
    finish(project, tree, &untracked, (name, version), Some(revision))
}

/// What it is called: the package's own name, or the one that is given.
fn label(project: &Project, options: &Options) -> Result<(String, String), Vec<Problem>> {
    let package = project.manifest.as_ref().and_then(|m| m.package.as_ref());
    if let Some(package) = package {
        if options.name.is_some() || options.version.is_some() {
            let problem = Problem::bare("usage", "a package has its name and version already");
            return Err(vec![problem.hint("they stand in `opsbook.toml`")]);
        }
        let version = package.version.value.to_string();
        return Ok((package.name.value.clone(), version));
    }
    let (Some(name), Some(version)) = (&options.name, &options.version) else {
        let message = "this manual is no package: it has no `[package]` in `opsbook.toml`";
        let problem = Problem::bare("no-package", message);
        return Err(vec![
            problem.hint("`--name` and `--version` pack a book that is none"),
        ]);
    };
    let wrong = |what: String| vec![Problem::bare("usage", what)];
    if !crate::package::manifest::is_name(name) {
        return Err(wrong(format!("`{name}` is no name of a package")));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    if version.is_empty() || !version.chars().all(good) {
        return Err(wrong(format!("`{version}` is no release number")));
    }
    Ok((name.clone(), version.clone()))
}

/// What git says of the files that would be taken.
fn dirty(work: &git::Work, selection: &Selection) -> Vec<Problem> {
    let mut problems = Vec::new();
    let taken = |path: &&str| selection.takes(path);
    let changed: Vec<&str> = { work.dirty.iter() }
        .filter(|path| !path.starts_with('?'))
        .map(String::as_str)
        .filter(taken)
        .collect();
    if let [first, ..] = changed[..] {
        let (first, more) = (crate::outside::line(first), changed.len() - 1);
        let more = if more == 0 {
            String::new()
        } else {
            format!(", and {more} more")
        };
        let message = format!("`{first}`{more}: not as it was committed");
        let problem = Problem::bare("dirty-tree", message);
        problems.push(problem.hint("commit it; `--dirty` packs what is there, and says so"));
    }
    let unknown = { work.dirty.iter() }.filter_map(|path| path.strip_prefix('?'));
    let unknown = unknown.filter(taken);
    for path in unknown.filter(|path| !selection.includes(path)).take(10) {
        let path = crate::outside::line(path);
        let message = format!("`{path}` is under no version control");
        let problem = Problem::bare("untracked-file", message);
        let hint = "commit it, or name it in `include` or `exclude` of `opsbook.toml`";
        problems.push(problem.hint(hint));
    }
    problems
}

/// The files of the revision, or those that are there; and the names of those that git does not
/// know.
fn files(
    project: &Project,
    selection: &Selection,
    work: &git::Work,
    clean: bool,
) -> Result<(Tree, BTreeSet<String>), Vec<Problem>> {
    let root = &project.origin;
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

/// The revision, and its tag; the release number must not be another revision's.
fn revision(
    project: &Project,
    work: &git::Work,
    version: &str,
    clean: bool,
) -> Result<Revision, Vec<Problem>> {
    let mut tag = None;
    for name in [format!("v{version}"), version.to_owned()] {
        let Ok(at) = git::revision(&project.origin, &format!("refs/tags/{name}")) else {
            continue;
        };
        if at != work.revision && clean {
            let (at, here) = (
                &at[..12.min(at.len())],
                &work.revision[..12.min(work.revision.len())],
            );
            let message = format!("tag `{name}` is at {at}, and this is {here}");
            let problem = Problem::bare("tag-elsewhere", message);
            return Err(vec![
                problem.hint("what has changed needs another release number"),
            ]);
        }
        tag = tag.or(Some(name));
    }
    Ok(Revision {
        revision: work.revision.clone(),
        tag,
        clean,
    })
}

/// The release number against that of an older state, by what is different.
fn far_enough(
    project: &Project,
    selection: &Selection,
    work: &git::Work,
    tree: &Tree,
    since: &str,
) -> Result<(), Vec<Problem>> {
    let bare = |code: &'static str, why: String| vec![Problem::bare(code, why)];
    let package = project.manifest.as_ref().and_then(|m| m.package.as_ref());
    let Some(package) = package else {
        return Err(bare(
            "no-package",
            "only a package has a release before".to_owned(),
        ));
    };
    let revision = git::revision(&project.origin, since);
    let revision = revision.map_err(|why| bare("git-failed", format!("`{since}`: {why}")))?;
    let subdir = work.subdir.as_deref();
    let before = git::tree(&project.origin, &revision, subdir, &|path| {
        selection.takes(path)
    });
    let before = before.map_err(|NoFiles { code, message }| bare(code, message))?;
    let text = before
        .text(crate::package::manifest::FILE)
        .unwrap_or_default();
    let source = crate::source::Source::new(crate::package::manifest::FILE, text);
    let old = crate::package::manifest::read(&source).0.package;
    let Some(old) = old else {
        return Err(bare("no-package", format!("`{since}` is no package")));
    };
    let changes = releases::changes(&before, tree).map_err(|why| bare("bad-package", why))?;
    let needed = releases::needed(&changes);
    if releases::far_enough(&old.version.value, &package.version.value, needed) {
        return Ok(());
    }
    let why: Vec<String> = { changes.iter() }
        .filter(|change| change.level == needed)
        .take(5)
        .map(|change| change.text.clone())
        .collect();
    let (was, is) = (&old.version.value, &package.version.value);
    let message = format!(
        "{is} is too near to {was}: what is different is {needed} ({})",
        why.join("; ")
    );
    let problem = Problem::error("version-too-small", package.version.span.clone(), message);
    Err(vec![problem])
}

fn finish(
    project: &Project,
    tree: Tree,
    untracked: &BTreeSet<String>,
    (name, version): (String, String),
    git: Option<Revision>,
) -> Result<Packed, Vec<Problem>> {
    let mut problems = refused(project, &tree);
    if problems
        .iter()
        .any(|problem| problem.code == "path-package")
    {
        // Without them the archive would be no manual, and all else would follow from that.
        return Err(problems);
    }
    let own = tree.content();
    let tree =
        with_packages(project, tree).map_err(|why| vec![Problem::bare("bad-package", why)])?;
    let opened = Opened::of(&tree).map_err(|why| vec![Problem::bare("bad-package", why)])?;
    let lint = opened.project.lint().problems;
    problems.extend(lint.into_iter().filter(Problem::is_error));
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut files = Description::list(&tree);
    for file in &mut files {
        file.tracked = !untracked.contains(&file.path);
    }
    let description = describe(project, &opened.project, (name, version), git, files);
    let description = Description {
        content: own,
        packages: packages(project),
        ..description
    };
    Ok(Packed {
        warnings: warnings(project, &tree),
        archive: Archive::new(description, tree),
    })
}

/// The files of the packages, where the reader of the archive looks for them first.
fn with_packages(project: &Project, mut tree: Tree) -> Result<Tree, String> {
    for part in project.parts.all.iter() {
        for (path, entry) in part.tree.entries() {
            let path = format!("packages/{}/{path}", part.name());
            tree.add(&path, entry.clone())?;
        }
    }
    tree.check()?;
    Ok(tree)
}

fn packages(project: &Project) -> Vec<description::Part> {
    let parts = project.parts.all.iter();
    let parts = parts.map(|part| description::Part {
        name: part.name().to_owned(),
        version: part.version().to_string(),
        from: part.from.clone(),
        content: part.content.clone(),
    });
    parts.collect()
}

/// What must not be in an archive.
fn refused(project: &Project, tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, _) in tree.entries() {
        if looks_private(path) {
            let message = format!("`{}` looks private", crate::outside::line(path));
            let problem = Problem::bare("private-file", message);
            let hint = "an archive is given away: `exclude` in `opsbook.toml` leaves it out";
            problems.push(problem.hint(hint));
        }
        if !archive::fits(path) {
            let message = format!(
                "`{}` is too long a name for an archive",
                crate::outside::line(path)
            );
            problems.push(Problem::bare("bad-package", message));
        }
    }
    problems.extend(secret_files(project, tree));
    problems.extend(path_packages(project));
    problems
}

/// Programs keep passwords in hidden files of these names.
const KEEPS_PASSWORDS: [&str; 6] = [".netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".env"];

/// Whether a file is, by its name, not for other machines: as for the readers of a book, but for
/// what a manual is made of.
#[must_use]
pub fn looks_private(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    if KEEPS_PASSWORDS.contains(&name) || name.starts_with(".env.") {
        return true;
    }
    if matches!(path, "book.toml" | "nodes.yaml") || path.starts_with("nodes/") {
        return false;
    }
    let parts = Path::new(path).components().filter_map(|part| match part {
        // Hidden files are in it where somebody has named them.
        Component::Normal(name) => Some(name.to_string_lossy().trim_start_matches('.').to_owned()),
        _ => None,
    });
    let shown: PathBuf = parts.filter(|part| part != "nodes").collect();
    is_private(&shown)
}

/// Files from which `nodes.yaml` takes secrets.
fn secret_files(project: &Project, tree: &Tree) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut seen = BTreeSet::new();
    for node in project.nodes.names() {
        let Ok(node) = project.nodes.evaluate(node, &[]) else {
            continue;
        };
        for value in node.leaves.values() {
            let Some(Ok(SecretRef::File(path))) = secret::reference(&value.value) else {
                continue;
            };
            let path = crate::files::normal(&path);
            let known = path.to_str().is_some_and(|path| tree.get(path).is_some());
            if known && seen.insert(path.clone()) {
                let message = format!(
                    "`{}` is a secret, and would be in the archive",
                    path.display()
                );
                let problem = Problem::error("secret-file", value.value.span.clone(), message);
                let hint = "keep it outside the manual, or in `exclude` of `opsbook.toml`";
                problems.push(problem.hint(hint));
            }
        }
    }
    problems
}

fn path_packages(project: &Project) -> Vec<Problem> {
    use crate::package::manifest::From;
    let packages = project
        .manifest
        .iter()
        .flat_map(|manifest| &manifest.packages);
    let by_path = packages.filter(|(_, package)| matches!(package.from, From::Path(_)));
    let problems = by_path.map(|(name, package)| {
        let message = format!("`{name}` is a folder on this machine, which no archive can name");
        let problem = Problem::error("path-package", package.span.clone(), message);
        problem.hint("release it, and name a tag or an archive of it")
    });
    problems.collect()
}

fn warnings(project: &Project, tree: &Tree) -> Vec<Problem> {
    let manifest = project.manifest.as_ref();
    let Some(package) = manifest.and_then(|manifest| manifest.package.as_ref()) else {
        return Vec::new();
    };
    let Some(changelog) = &package.changelog else {
        return Vec::new();
    };
    let version = package.version.value.to_string();
    let has = tree.text(&changelog.value).is_some_and(|text| {
        let mut headings = text.lines().filter(|line| line.starts_with('#'));
        headings.any(|line| {
            let mut words = line.split(|c: char| c.is_whitespace() || "[]()".contains(c));
            words.any(|word| word.trim_start_matches('v') == version)
        })
    });
    if has {
        return Vec::new();
    }
    let message = format!("`{}` has no heading for {version}", changelog.value);
    vec![warning("no-changelog", &changelog.span, message)]
}

fn warning(code: &'static str, span: &Span, message: String) -> Problem {
    Problem {
        severity: Severity::Warning,
        ..Problem::error(code, span.clone(), message)
    }
}

fn describe(
    project: &Project,
    opened: &Project,
    (name, version): (String, String),
    git: Option<Revision>,
    files: Vec<File>,
) -> Description {
    let manifest = project.manifest.as_ref();
    let package = manifest.and_then(|manifest| manifest.package.as_ref());
    let manual = &opened.manual;
    let procedures = manual.procedures.values();
    let interpreters: BTreeSet<String> = { procedures.clone() }
        .flat_map(|procedure| &procedure.steps)
        .filter_map(|step| match &step.work {
            Work::Script(script) => Some(&script.interpreter),
            Work::Deliver(_) | Work::Manual(_) | Work::Place(_) => None,
        })
        .chain({ manual.groups.values() }.flat_map(|group| {
            let checks = group.checks.iter();
            checks.map(|check| &check.script.interpreter)
        }))
        .cloned()
        .collect();
    Description {
        format: FORMAT,
        name,
        version,
        namespace: package.map_or_else(Vec::new, |package| {
            let prefixes = package.namespace.iter();
            prefixes.map(|prefix| prefix.value.clone()).collect()
        }),
        owners: package.map_or_else(Vec::new, |package| package.owners.clone()),
        content: String::new(),
        git,
        opsbook: Versions {
            wrote: env!("CARGO_PKG_VERSION").to_owned(),
            needs: manifest.and_then(|manifest| Some(manifest.needs.as_ref()?.value.clone())),
        },
        files,
        packages: Vec::new(),
        procedures: procedures.map(procedure).collect(),
        checks: manual.groups.keys().cloned().collect(),
        values: manifest.map_or_else(Vec::new, |m| m.values.keys().cloned().collect()),
        groups: manifest.map_or_else(Vec::new, |m| m.groups.keys().cloned().collect()),
        interpreters: interpreters.into_iter().collect(),
    }
}

fn procedure(procedure: &Procedure) -> description::Procedure {
    let mut text = String::new();
    for step in &procedure.steps {
        let own = match &step.work {
            Work::Script(script) => format!("{} {}", script.interpreter, script.text.text),
            Work::Deliver(files) => {
                let files = files.iter();
                files
                    .map(|file| format!("{:?} {}\n", file.from, file.to))
                    .collect()
            }
            Work::Manual(text) => text.text.clone(),
            Work::Place(place) => format!("{:?} {}\n{}", place.how, place.to, place.text.text),
        };
        text += &format!("{}\n{own}\n", step.id.as_deref().unwrap_or_default());
    }
    description::Procedure {
        id: procedure.id.clone(),
        params: procedure.params.keys().cloned().collect(),
        needs: { procedure.needs.iter() }
            .map(|need| need.value.clone())
            .collect(),
        sha256: tree::sha256(text.as_bytes()),
    }
}

/// What differs between an archive and a revision of a repository: paths, each with a word.
///
/// # Errors
/// What git says.
pub fn compare(archive: &Archive, root: &Path, name: &str) -> Result<Vec<String>, NoFiles> {
    let failed = |message| NoFiles {
        code: "git-failed",
        message,
    };
    let revision = git::revision(root, name).map_err(failed)?;
    let work = git::work(root).map_err(failed)?;
    let subdir = work.and_then(|work| work.subdir);
    let own = archive.description.own(&archive.tree);
    let untracked = archive
        .description
        .files
        .iter()
        .filter(|file| !file.tracked);
    let untracked: BTreeSet<&str> = untracked.map(|file| file.path.as_str()).collect();
    let text = own.text(crate::package::manifest::FILE);
    let manifest = text.map(|text| {
        let source = crate::source::Source::new(crate::package::manifest::FILE, text);
        crate::package::manifest::read(&source).0
    });
    let selection = Selection::of(manifest.as_ref());
    let of_git = git::tree(root, &revision, subdir.as_deref(), &|path| {
        selection.takes(path)
    })?;
    let own = own.only(|path| !untracked.contains(path));
    let mut differing = Vec::new();
    for (path, entry) in own.entries() {
        match of_git.get(path) {
            None => differing.push(format!("`{}` is not in git", crate::outside::line(path))),
            Some(other) if other != entry => {
                let what = if other.mode != entry.mode && entry.mode != Mode::Link {
                    "has another mode"
                } else {
                    "differs"
                };
                differing.push(format!("`{}` {what}", crate::outside::line(path)));
            }
            Some(_) => {}
        }
    }
    for (path, _) in of_git.entries() {
        if own.get(path).is_none() {
            let path = crate::outside::line(path);
            differing.push(format!("`{path}` is not in the archive"));
        }
    }
    Ok(differing)
}
