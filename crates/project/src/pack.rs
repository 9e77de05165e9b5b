//! Makes an archive of a project: which files it contains, their metadata, and what must not be in
//! it. Writes only into a temporary folder, where it opens the result once.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::Project;
use crate::files::is_private;
use crate::manual::{Procedure, Work};
use crate::neighbours::{self, Neighbours};
use crate::nodes::{SecretRef, secret};
use crate::opened::Opened;
use crate::package::archive::Archive;
use crate::package::description::{self, Description, FORMAT, File, Revision, Versions};
use crate::package::git::{self, NoFiles};
use crate::package::selection::Selection;
use crate::package::tree::{self, Tree};
use crate::package::{archive, folder};
use crate::releases;
use crate::source::{Problem, Severity, Span};
use crate::taken;

/// Options of packing.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A name for a manual that is not a package.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The tag of the release before, for comparison of the version numbers.
    pub since: Option<String>,
    /// Take the files as they are on disk, whatever git knows of them.
    pub dirty: bool,
}

/// An archive, and warnings about it.
#[derive(Debug)]
pub struct Packed {
    /// Not yet written to disk.
    pub archive: Archive,
    /// Warnings for a person.
    pub warnings: Vec<Problem>,
}

/// Makes the archive of a project.
///
/// # Errors
/// Everything that is missing or must not be in an archive.
pub fn pack(project: &Project, options: &Options) -> Result<Packed, Vec<Problem>> {
    let selection = Selection::of(project.manifest.as_ref());
    let (name, version) = label(project, options)?;
    if let Some(part) = project
        .parts
        .all
        .iter()
        .find(|part| part.replaces.is_some())
    {
        let message = format!(
            "`opsbook.local.toml` replaces `{}` on this machine",
            part.name()
        );
        let problem = Problem::bare("local-replace", message);
        return Err(vec![problem.hint("remove it from `opsbook.local.toml`")]);
    }
    let work = git::work(&project.origin).map_err(|why| vec![Problem::bare("git-failed", why)])?;
    let Some(work) = work else {
        if !options.dirty {
            let problem = Problem::bare("no-revision", "the manual is not under version control");
            let hint = "an archive names its git revision; `--dirty` makes one without";
            return Err(vec![problem.hint(hint)]);
        }
        let tree = folder::read_below(&project.origin, &|path| selection.enters(path), &|path| {
            selection.takes(path)
        });
        let tree = tree.map_err(|why| vec![Problem::bare("bad-package", why)])?;
        let beside = neighbours::as_they_are(project);
        return finish(
            project,
            (tree, BTreeSet::new()),
            &beside,
            (name, version),
            None,
        );
    };
    let mut problems = taken::dirty(&work, &selection, "");
    let version = match (problems.is_empty(), options.dirty) {
        (true, _) => version,
        (false, true) => {
            problems.clear();
            format!("{version}+dirty")
        }
        (false, false) => return Err(problems),
    };
    let clean = !version.ends_with("+dirty");
    let (tree, mut untracked) = taken::files(&project.origin, &selection, &work, clean)?;
    let revision = revision(project, &work, &version, clean)?;
    if let Some(since) = &options.since {
        far_enough(project, &selection, &work, &tree, since)?;
    }
    let (beside, more) = neighbours::trees(project, &work, clean)?;
    untracked.extend(more);
    let named = (name, version);
    finish(project, (tree, untracked), &beside, named, Some(revision))
}

/// Its name and version: the package's own, or the given ones.
fn label(project: &Project, options: &Options) -> Result<(String, String), Vec<Problem>> {
    let package = project.manifest.as_ref().and_then(|m| m.package.as_ref());
    if let Some(package) = package {
        if options.name.is_some() || options.version.is_some() {
            let problem = Problem::bare("usage", "a package already has its name and version");
            return Err(vec![problem.hint("they are in `opsbook.toml`")]);
        }
        let version = package.version.value.to_string();
        return Ok((package.name.value.clone(), version));
    }
    let (Some(name), Some(version)) = (&options.name, &options.version) else {
        let message = "this manual is not a package: `opsbook.toml` has no `[package]`";
        let problem = Problem::bare("no-package", message);
        return Err(vec![problem.hint(
            "to pack a book that is not a package, pass `--name` and `--version`",
        )]);
    };
    let wrong = |what: String| vec![Problem::bare("usage", what)];
    if !crate::package::manifest::is_name(name) {
        return Err(wrong(format!("`{name}` is not a valid package name")));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    if version.is_empty() || !version.chars().all(good) {
        return Err(wrong(format!("`{version}` is not a valid version")));
    }
    Ok((name.clone(), version.clone()))
}

/// The revision and its tag; another revision must not have the same version.
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
            return Err(vec![problem.hint("changed files need a new version")]);
        }
        tag = tag.or(Some(name));
    }
    Ok(Revision {
        revision: work.revision.clone(),
        tag,
        clean,
    })
}

/// Compares the version with that of an earlier state: it must reflect the changes.
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
            "only a package has an earlier release".to_owned(),
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
        return Err(bare("no-package", format!("`{since}` is not a package")));
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
        "{is} is too close to {was}: the changes are {needed} ({})",
        why.join("; ")
    );
    let problem = Problem::error("version-too-small", package.version.span.clone(), message);
    Err(vec![problem])
}

fn finish(
    project: &Project,
    (tree, untracked): (Tree, BTreeSet<String>),
    beside: &Neighbours,
    (name, version): (String, String),
    git: Option<Revision>,
) -> Result<Packed, Vec<Problem>> {
    let bad = |why: String| vec![Problem::bare("bad-package", why)];
    let own = tree.content();
    let mut problems = refused(&tree, "");
    problems.extend(secret_files(project, &tree));
    for (name, tree) in beside {
        problems.extend(refused(tree, &format!("packages/{name}/")));
    }
    let tree = with_packages(project, tree, beside).map_err(bad)?;
    let packages = packages(project, beside);
    let opened = Opened::of(&tree, &packages).map_err(bad)?;
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
        packages,
        ..description
    };
    Ok(Packed {
        warnings: warnings(project, &tree),
        archive: Archive::new(description, tree),
    })
}

/// Adds the packages' files, in the folder where the reader looks for them first.
fn with_packages(project: &Project, mut tree: Tree, beside: &Neighbours) -> Result<Tree, String> {
    for part in project.parts.all.iter() {
        let files = beside.get(part.name()).unwrap_or(&part.tree);
        for (path, entry) in files.entries() {
            let path = format!("packages/{}/{path}", part.name());
            tree.add(&path, entry.clone())?;
        }
    }
    tree.check()?;
    Ok(tree)
}

fn packages(project: &Project, beside: &Neighbours) -> Vec<description::Part> {
    let parts = project.parts.all.iter();
    let parts = parts.map(|part| description::Part {
        name: part.name().to_owned(),
        version: part.version().to_string(),
        from: part.from.clone(),
        content: match beside.get(part.name()) {
            Some(tree) => tree.content(),
            None => part.content.clone(),
        },
    });
    parts.collect()
}

/// Reports files that must not be in an archive; `shown` is their path in it.
fn refused(tree: &Tree, shown: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, _) in tree.entries() {
        let named = crate::outside::line(&format!("{shown}{path}")).to_string();
        if looks_private(path) {
            let message = format!("`{named}` looks private");
            let problem = Problem::bare("private-file", message);
            let hint = "others will get the archive: leave it out with `exclude` in `opsbook.toml`";
            problems.push(problem.hint(hint));
        }
        if !archive::fits(&format!("{shown}{path}")) {
            let message = format!("the name `{named}` is too long for an archive");
            problems.push(Problem::bare("bad-package", message));
        }
    }
    problems
}

/// Hidden files of these names contain programs' passwords.
const KEEPS_PASSWORDS: [&str; 6] = [".netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".env"];

/// Whether a file's name says that it is private to this machine: the same rule as for a built
/// book, except files that a manual consists of.
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
        // Hidden files are included only if somebody named them.
        Component::Normal(name) => Some(name.to_string_lossy().trim_start_matches('.').to_owned()),
        _ => None,
    });
    let shown: PathBuf = parts.filter(|part| part != "nodes").collect();
    is_private(&shown)
}

/// Files from which `nodes.yaml` reads secrets.
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
                let message = format!("the archive would contain the secret `{}`", path.display());
                let problem = Problem::error("secret-file", value.value.span.clone(), message);
                let hint = "move it out of the manual, or add it to `exclude` in `opsbook.toml`";
                problems.push(problem.hint(hint));
            }
        }
    }
    problems
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
            Work::Manual(text) => text.text.to_string(),
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

/// The differences between an archive and a revision of a repository: paths, each with a
/// description.
///
/// # Errors
/// An error of git.
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
    let mut differing = taken::differing(&own, &of_git, "");
    differing.extend(neighbours::compare(
        archive,
        root,
        &revision,
        subdir.as_deref(),
    )?);
    Ok(differing)
}
