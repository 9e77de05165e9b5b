//! A book that is made of packages: finds their files, compares them with the lock, and puts them
//! into one folder, from which everything else is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::Files;
use crate::journal::State;
use crate::manual::{self, DeliveryFrom, Manual, Work};
use crate::nodes::Nodes;
use crate::package::assemble::{self, Placed};
use crate::package::cache::Kind;
use crate::package::manifest::{From, Manifest, Skip};
use crate::package::resolve::{Part, resolve};
use crate::package::selection::Selection;
use crate::package::store::{Reach, Store};
use crate::package::{chapter, description, folder};
use crate::place::{self, Parts, Place};
use crate::source::{Concern, Packaged, Problem, Severity};

/// The place of a manual in a folder, with its packages.
///
/// # Errors
/// If a package is missing, differs from the lock, or conflicts with another one.
pub fn place(root: &Path) -> Result<Place, Vec<Problem>> {
    place_carrying(root, &[])
}

/// The same for an unpacked archive that contains these packages.
///
/// # Errors
/// The same as for [`place()`].
pub fn place_carrying(root: &Path, carried: &[description::Part]) -> Result<Place, Vec<Problem>> {
    let files = Files::of(root);
    let (manifest, problems) = place::manifest(&files);
    let manifest = manifest.filter(|manifest| !manifest.packages.is_empty());
    let Some(manifest) = manifest else {
        return Ok(Place::from(files));
    };
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    let store = Store::open(root, &manifest)?.carrying(carried);
    local_is_allowed(&store)?;
    let parts = resolve(&manifest, &mut |wanted| store.get(wanted, Reach::Locked))?;
    trusted(&manifest, &parts)?;
    understood(&parts)?;
    let (settings, _) = manual::load_settings(&files);
    let state = State::of(
        root,
        settings.state.as_ref().map(|state| state.value.as_path()),
    );
    let text = files
        .text(Path::new("book.toml"), 1 << 24)
        .unwrap_or_default();
    let source = assemble::source_of(&text, |folder| root.join(folder).is_dir());
    let selection = Selection::of(Some(&manifest));
    let built = |path: &str| {
        let first = path.split('/').next().unwrap_or_default();
        ["book", "target", "node_modules"].contains(&first) && first != source
    };
    let wanted = |path: &str| selection.takes(path) && !built(path);
    let enters = |path: &str| selection.enters(path) && !built(path);
    let bare = |code: &'static str, why: String| vec![Problem::bare(code, why)];
    let own = folder::read_below(root, &enters, &wanted).map_err(|why| bare("bad-package", why))?;
    let tree = assemble::assemble(&own, &source, &manifest, &parts)?;
    let kept = store.cache().keep(Kind::Books, &tree.content(), &tree);
    let kept = kept.map_err(|why| bare("content-differs", why.to_string()))?;
    let placed: Vec<_> = { parts.iter() }
        .map(|part| assemble::placed(&source, part))
        .collect();
    let shown = { placed.iter().zip(&parts) }.flat_map(|(placed, part)| {
        let carried = carried.iter().any(|one| one.name == placed.name);
        packaged(placed, part, carried)
    });
    Ok(Place {
        files: Files::below(&kept).with_packages(shown.collect()),
        state: Some(state),
        origin: Some(root.to_owned()),
        parts: Parts {
            placed,
            all: Arc::new(parts),
        },
        ..Place::from(files)
    })
}

/// The names of a package's files in messages: a file in a local folder by the path that people
/// edit, any other as `shop:manual/release.md`.
///
/// `carried`: the package is in an archive, so nobody edits it.
fn packaged(placed: &Placed, part: &Part, carried: bool) -> [(PathBuf, Packaged); 2] {
    let folder = match (&part.replaces, &part.asked) {
        (Some(path), _) => PathBuf::from(path),
        (None, From::Path(path)) if !carried => PathBuf::from(path),
        (None, From::Path(_) | From::Git { .. } | From::Archive(_) | From::Oci { .. }) => {
            format!("{}:", placed.name).into()
        }
    };
    let templates = match folder.to_str() {
        Some(name) if name.ends_with(':') => PathBuf::from(format!("{name}templates")),
        _ => folder.join("templates"),
    };
    let packaged = |shown: PathBuf| Packaged {
        package: placed.name.clone(),
        shown,
        about: chapter::line(part),
    };
    // Templates are read from the book's template folder.
    let read = Path::new("templates").join(&placed.pages);
    [
        (PathBuf::from(&placed.folder), packaged(folder)),
        (read, packaged(templates)),
    ]
}

/// One line for each package that is replaced on this machine.
#[must_use]
pub fn replaced(root: &Path) -> Vec<String> {
    use crate::package::selection::LOCAL;
    if !root.join(LOCAL).exists() {
        return Vec::new();
    }
    let (Some(manifest), _) = place::manifest(&Files::of(root)) else {
        return Vec::new();
    };
    let Ok(store) = Store::open(root, &manifest) else {
        return Vec::new();
    };
    let lines = store.local.iter().map(|(name, path)| {
        let instead = store
            .lock
            .get(name)
            .map(|locked| format!(" instead of {}", locked.version));
        let line = format!("with `{name}` from {path}{}", instead.unwrap_or_default());
        crate::outside::line(&line).to_string()
    });
    lines.collect()
}

/// A local replacement is for the person on this machine, not for tests on behalf of others.
fn local_is_allowed(store: &Store) -> Result<(), Vec<Problem>> {
    let ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
    match store.local.first() {
        Some((name, path)) if ci => {
            let message = format!("`opsbook.local.toml` has `{name}` from {path}");
            let problem = Problem::bare("local-replace", message);
            Err(vec![
                problem.hint("in CI, a book uses only locked packages"),
            ])
        }
        _ => Ok(()),
    }
}

/// Checks the opsbook version that each package requires.
fn understood(parts: &[Part]) -> Result<(), Vec<Problem>> {
    let needs = parts.iter().filter_map(|part| part.manifest.needs.as_ref());
    let problems = needs.filter_map(|needs| {
        let why = place::new_enough(Some(&needs.value)).err()?;
        Some(Problem::error("package-too-new", needs.span.clone(), why))
    });
    let problems: Vec<Problem> = problems.collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn trusted(manifest: &Manifest, parts: &[Part]) -> Result<(), Vec<Problem>> {
    let unsigned = parts
        .iter()
        .filter(|part| manifest.trust.require.covers(part.name()) && part.signed.is_none());
    let problems = unsigned.map(|part| {
        let message = format!("`{}` must be signed, but is not", part.name());
        let problem = match manifest.packages.get(part.name()) {
            Some(dependency) => Problem::error("not-signed", dependency.span.clone(), message),
            None => Problem::bare("not-signed", message),
        };
        problem.hint(
            "`require` under `[trust]` demands signatures; `opsbook pack --sign KEY` signs an \
             archive",
        )
    });
    let problems: Vec<Problem> = problems.collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Makes file names in a package's blocks relative to the package's folder.
pub(crate) fn relocate(manual: &mut Manual, parts: &Parts) {
    if parts.placed.is_empty() {
        return;
    }
    let pages: Vec<Option<&Placed>> = { manual.pages.iter() }
        .map(|page| parts.of_page(&page.path).map(|part| &parts.placed[part]))
        .collect();
    for procedure in manual.procedures.values_mut() {
        let Some(place) = pages.get(procedure.page).copied().flatten() else {
            continue;
        };
        for step in &mut procedure.steps {
            let Work::Deliver(deliveries) = &mut step.work else {
                continue;
            };
            for delivery in deliveries {
                match &mut delivery.from {
                    DeliveryFrom::File(path) | DeliveryFrom::Tree(path) => {
                        *path = format!("{}/{path}", place.folder);
                    }
                    DeliveryFrom::Template(name) => *name = format!("{}/{name}", place.pages),
                    DeliveryFrom::Inline(_)
                    | DeliveryFrom::Placed(_)
                    | DeliveryFrom::Machine { .. } => {}
                }
            }
        }
    }
    for group in manual.groups.values_mut() {
        let Some(place) = pages.get(group.page).copied().flatten() else {
            continue;
        };
        for check in &mut group.typed {
            if check.kind.value == "gossfile" {
                check.resource.value = format!("{}/{}", place.folder, check.resource.value);
            }
        }
    }
}

/// Removes problems about unlisted pages of a package: the package's own repository reports them.
pub(crate) fn told_at_home(problems: &mut Vec<Problem>, parts: &Parts) {
    problems.retain(|problem| {
        let path = problem.span.as_ref().map(crate::source::Span::path);
        let of_package = path.is_some_and(|path| {
            let mut placed = parts.placed.iter();
            placed.any(|place| path.starts_with(&place.folder))
        });
        problem.code != "page-not-listed" || !of_package
    });
}

/// Adds the values of all packages as a layer below those of the book.
pub(crate) fn lay_under(nodes: &mut Nodes, parts: &Parts) {
    for part in parts.all.iter() {
        if let Some((package, values)) = crate::interface::defaults(&part.manifest) {
            nodes.lay_under(package, values);
        }
    }
}

/// Removes the checks that the book skips, until the date that it gives.
pub(crate) fn skip(manual: &mut Manual, manifest: &Manifest, today: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for skip in &manifest.overrides.checks {
        let Some(group) = manual.groups.get_mut(&skip.group) else {
            problems.push(unknown(
                skip,
                &format!("no group of checks is called `{}`", skip.group),
            ));
            continue;
        };
        if skip.until.as_deref().is_some_and(|until| until < today) {
            let until = skip.until.as_deref().unwrap_or_default();
            let message = format!("it was left out until {until}, and is evaluated again");
            problems.push(Problem {
                severity: Severity::Warning,
                ..Problem::error("skip-expired", skip.span.clone(), message)
            });
            continue;
        }
        let before = group.checks.len() + group.typed.len();
        match &skip.check {
            None => {
                group.checks.clear();
                group.typed.clear();
            }
            Some(name) => {
                // The name on its fence, or the name of its test.
                let listed = [".", "/"].map(|sign| format!("{}{sign}{name}", skip.group));
                let is_meant = |check: &str| check == name || listed.iter().any(|own| own == check);
                group.checks.retain(|check| !is_meant(&check.name));
                group.typed.retain(|check| {
                    let own = format!("{}: {}", check.kind.value, check.resource.value);
                    own != *name && check.resource.value != *name
                });
            }
        }
        if before == group.checks.len() + group.typed.len() {
            let name = skip.check.as_deref().unwrap_or_default();
            problems.push(unknown(
                skip,
                &format!("`{}` has no check `{name}`", skip.group),
            ));
        }
    }
    problems
}

fn unknown(skip: &Skip, message: &str) -> Problem {
    let problem = Problem::error("unknown-override", skip.span.clone(), message);
    problem.concerns(Concern::Project)
}

/// Reports replaced templates whose original in the package has changed since the lock was written.
pub(crate) fn replaced_have_changed(project: &crate::Project) -> Vec<Problem> {
    let Some(manifest) = &project.manifest else {
        return Vec::new();
    };
    let Ok(store) = Store::open(&project.origin, manifest) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for template in &manifest.overrides.templates {
        let name = format!("{}:{}", template.package, template.file);
        let part = project
            .parts
            .all
            .iter()
            .find(|part| part.name() == template.package);
        let now = part.and_then(|part| chapter::template_content(part, &template.file));
        let before = { store.lock.replaced.iter() }.find(|replaced| replaced.template == name);
        let (Some(now), Some(before)) = (now, before) else {
            continue;
        };
        if now != before.content {
            let message = format!("`{name}`, which this book replaces, has changed in the package");
            let problem = Problem {
                severity: Severity::Warning,
                ..Problem::error("replaced-has-changed", template.span.clone(), message)
            };
            problems.push(problem.hint(
                "compare the two; `opsbook packages update` accepts the \
                 change",
            ));
        }
    }
    problems
}

/// If plain mdBook is set up to call opsbook, mdBook parses `SUMMARY.md` first: reports lines that
/// mdBook cannot parse.
pub(crate) fn plain_mdbook(project: &crate::Project) -> Vec<Problem> {
    let files = Files::of(&project.origin);
    let text = |path: &Path| files.text(path, 1 << 24).unwrap_or_default();
    let calls = assemble::lets_mdbook_call(&text(Path::new("book.toml")));
    if project.parts.all.is_empty() || !calls {
        return Vec::new();
    }
    let path = project.manual.settings.source.join("SUMMARY.md");
    let source = crate::source::Source::new(&path, text(&path));
    let mut problems = Vec::new();
    let mut at = 0;
    for line in source.text.split_inclusive('\n') {
        if let Some((title, name)) = assemble::named_in_list(line)
            && let Some(found) = line.find("](package:")
        {
            let range = at + found + 2..at + found + 2 + "package:".len() + name.len();
            let span = crate::source::Span::new(&source, range);
            let message = "mdBook without opsbook does not find this chapter";
            let problem = Problem::warning("package-line", span, message);
            let hint = format!(
                "write `[{title}]() <!-- package:{name} -->`, which both \
                 understand"
            );
            problems.push(problem.hint(hint));
        }
        at += line.len();
    }
    problems
}

/// The output folder for an assembled manual: the same as for its own folder.
#[must_use]
pub fn build_folder(origin: &Path) -> PathBuf {
    let text = Files::of(origin).text(Path::new("book.toml"), 1 << 24);
    let text = text.unwrap_or_default();
    let said = text.lines().find_map(|line| {
        let value = line.trim().strip_prefix("build-dir")?.trim_start();
        let value = value.strip_prefix('=')?.trim();
        Some(value.trim_matches(['"', '\'']).to_owned())
    });
    origin.join(said.unwrap_or_else(|| "book".to_owned()))
}
