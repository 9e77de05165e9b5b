//! Determines the packages of a book: those that it names, and those that they name. No solver:
//! each name occurs once; the book's choice is final; otherwise the highest requested version
//! within one major version is used. The caller provides the files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use semver::Version;

use opsbook_text::source::{Concern, Problem, Source};

use crate::manifest::{self, Dependency, From, Manifest, Package};
use crate::sign::Signed;
use crate::tree::Tree;

/// A package with its files.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its files, without those of other packages.
    pub tree: Tree,
    /// Its origin, as in the lock.
    pub from: String,
    /// The identity of its files.
    pub content: String,
    /// Its signer.
    pub signed: Option<Signed>,
    /// Who requires it.
    pub by: BTreeSet<String>,
    /// How it is requested.
    pub asked: From,
    /// A local package that replaces the requested one, on this machine only.
    pub replaces: Option<String>,
}

/// The files of a package from the caller.
pub struct Given {
    /// All of them.
    pub tree: Tree,
    /// Their origin, as in the lock.
    pub from: String,
    /// Their signer.
    pub signed: Option<Signed>,
    /// They replace the requested package, on this machine only.
    pub replaces: Option<String>,
}

/// A requested package.
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its origin.
    pub dependency: &'a Dependency,
    /// The chain of packages that request it, from the book down; empty for the book.
    pub chain: &'a [String],
    /// The origin of the requesting package; `None` for the book.
    pub asker: Option<&'a From>,
}

impl Part {
    /// Its description.
    #[must_use]
    pub fn package(&self) -> Option<&Package> {
        self.manifest.package.as_ref()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.package().map_or("", |package| &package.name.value)
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        let package = self.package();
        package.map_or(Version::new(0, 0, 0), |package| {
            package.version.value.clone()
        })
    }
}

/// All packages of a book, sorted by name.
///
/// # Errors
/// All conflicts.
pub fn resolve(
    book: &Manifest,
    get: &mut dyn FnMut(&Wanted<'_>) -> Result<Given, Box<Problem>>,
) -> Result<Vec<Part>, Vec<Problem>> {
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    let mut chains: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut problems = Vec::new();
    let own = book.package.as_ref().map(|own| own.name.value.clone());
    let mut queue: VecDeque<(String, Dependency, Vec<String>)> = { book.packages.iter() }
        .map(|(name, dependency)| (name.clone(), dependency.clone(), Vec::new()))
        .collect();
    while let Some((name, dependency, chain)) = queue.pop_front() {
        let asker = chain.last().map_or("book", String::as_str).to_owned();
        if chain.contains(&name) || own.as_ref() == Some(&name) {
            let mut round = chain.clone();
            round.push(name);
            let message = format!(
                "packages depend on each other in a circle: {}",
                round.join(" → ")
            );
            problems.push(Problem::error("package-cycle", dependency.span, message));
            continue;
        }
        if !chain.is_empty() && book.packages.contains_key(&name) {
            // The book's choice is final.
            if let Some(part) = parts.get_mut(&name) {
                part.by.insert(asker);
            }
            continue;
        }
        let asker_is = chain.last().and_then(|asker| parts.get(asker));
        let dependency = beside(dependency, asker_is.map(|asker| &asker.asked));
        let wanted = Wanted {
            name: &name,
            dependency: &dependency,
            chain: &chain,
            asker: asker_is.map(|asker| &asker.asked),
        };
        let part = get(&wanted).and_then(|given| part(&wanted, given));
        let mut part = match part {
            Ok(part) => part,
            Err(problem) => {
                problems.push(*problem);
                continue;
            }
        };
        part.by.insert(asker);
        if let Some(known) = parts.get_mut(&name) {
            if let Err(problem) = agree(known, &part, &chains[&name], &chain, &dependency) {
                problems.push(*problem);
                continue;
            }
            part.by.extend(known.by.iter().cloned());
            if part.version() <= known.version() {
                known.by = part.by;
                continue;
            }
        }
        let mut below = chain.clone();
        below.push(name.clone());
        for (name, dependency) in &part.manifest.packages {
            queue.push_back((name.clone(), dependency.clone(), below.clone()));
        }
        chains.insert(name.clone(), chain);
        parts.insert(name, part);
    }
    if !problems.is_empty() {
        let problems = problems.into_iter();
        return Err(problems
            .map(|problem| problem.concerns(Concern::Project))
            .collect());
    }
    Ok(reachable(book, parts))
}

/// A folder that a package names is relative to that package: in the same state of its repository,
/// or in the folder under development.
fn beside(dependency: Dependency, asker: Option<&From>) -> Dependency {
    let (From::Path(path), Some(asker)) = (&dependency.from, asker) else {
        return dependency;
    };
    let from = match asker {
        From::Git { url, at, subdir } => {
            let base = subdir.as_deref().unwrap_or_default();
            joined(base, path, false).map(|folder| From::Git {
                url: url.clone(),
                at: at.clone(),
                subdir: (!folder.is_empty()).then_some(folder),
            })
        }
        From::Path(base) => joined(base, path, true).map(From::Path),
        From::Archive(_) | From::Oci { .. } => None,
    };
    Dependency {
        from: from.unwrap_or(dependency.from),
        span: dependency.span,
    }
}

/// Joins and normalises: `examples/shop` and `../base` give `examples/base`. `up` says whether the
/// result may be above the starting folder.
#[must_use]
pub fn joined(base: &str, path: &str, up: bool) -> Option<String> {
    if path.starts_with('/') {
        return up.then(|| path.to_owned());
    }
    let rooted = base.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if up => parts.push(".."),
            ".." => return None,
            part => parts.push(part),
        }
    }
    let root = if rooted { "/" } else { "" };
    Some(format!("{root}{}", parts.join("/")))
}

/// Removes packages that only a replaced version had requested.
fn reachable(book: &Manifest, mut parts: BTreeMap<String, Part>) -> Vec<Part> {
    let mut kept = BTreeSet::new();
    let mut open: Vec<String> = book.packages.keys().cloned().collect();
    while let Some(name) = open.pop() {
        if let Some(part) = parts.get(&name).filter(|_| kept.insert(name.clone())) {
            open.extend(part.manifest.packages.keys().cloned());
        }
    }
    parts.retain(|name, _| kept.contains(name));
    for part in parts.values_mut() {
        part.by.retain(|by| by == "book" || kept.contains(by));
    }
    parts.into_values().collect()
}

fn part(wanted: &Wanted<'_>, given: Given) -> Result<Part, Box<Problem>> {
    let name = wanted.name;
    let bare = |code: &'static str, message: String| {
        Box::new(Problem::error(
            code,
            wanted.dependency.span.clone(),
            message,
        ))
    };
    let Some(text) = given.tree.text(manifest::FILE) else {
        return Err(bare(
            "no-package",
            format!("`{name}` has no `opsbook.toml`"),
        ));
    };
    let source = Source::new(format!("{name}:{}", manifest::FILE), text);
    let (manifest, found) = manifest::read(&source);
    if let Some(problem) = found.into_iter().find(Problem::is_error) {
        return Err(Box::new(problem));
    }
    let Some(package) = &manifest.package else {
        return Err(bare(
            "no-package",
            format!("`{name}` is not a package: it has no `[package]`"),
        ));
    };
    if package.name.value != name {
        let message = format!("`{name}` calls itself `{}`", package.name.value);
        let problem = bare("package-name-differs", message);
        return Err(Box::new(problem.hint("use this name for the package")));
    }
    let selection = crate::selection::Selection::of(Some(&manifest));
    let tree = given.tree.only(|path| selection.takes(path));
    Ok(Part {
        content: tree.content(),
        manifest,
        tree,
        from: given.from,
        signed: given.signed,
        by: BTreeSet::new(),
        asked: wanted.dependency.from.clone(),
        replaces: given.replaces,
    })
}

/// Two requests for one name must have the same source and the same major version.
fn agree(
    known: &Part,
    other: &Part,
    first: &[String],
    second: &[String],
    dependency: &Dependency,
) -> Result<(), Box<Problem>> {
    let (one, two) = (known.version(), other.version());
    let major = |version: &Version| match version.major {
        0 => (0, version.minor),
        major => (major, 0),
    };
    let source = |from: &From| match from {
        From::Git { url, subdir, .. } => format!("{url} {subdir:?}"),
        From::Oci { reference, .. } => reference.clone(),
        From::Archive(_) => "an archive".to_owned(),
        From::Path(path) => path.clone(),
    };
    let same_source = source(&known.asked) == source(&other.asked);
    if same_source && major(&one) == major(&two) {
        return Ok(());
    }
    let chain = |chain: &[String]| match chain {
        [] => "book".to_owned(),
        chain => format!("book → {}", chain.join(" → ")),
    };
    let name = known.name();
    let what = if same_source {
        ""
    } else {
        ", from two sources"
    };
    let message = format!(
        "`{name}` is required twice{what}: {one} by {}, {two} by {}",
        chain(first),
        chain(second)
    );
    let problem = Problem::error("package-conflict", dependency.span.clone(), message);
    let hint = format!("name `{name}` in `[packages]` of the book, which decides");
    Err(Box::new(problem.hint(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    fn manifest(text: &str) -> Manifest {
        let (manifest, problems) = manifest::read(&Source::new(manifest::FILE, text));
        assert!(problems.is_empty(), "{problems:?}");
        manifest
    }

    fn git(name: &str, tag: &str) -> String {
        format!("{name} = {{git = \"https://x.example/{name}\", tag = \"v{tag}\"}}\n")
    }

    /// Packages by name and tag, each with its requests.
    fn resolved(book: &str, known: &[(&str, &str, String)]) -> Result<String, String> {
        let book = manifest(&format!("[packages]\n{book}"));
        let mut get = |wanted: &Wanted<'_>| {
            let From::Git {
                at: manifest::At::Tag(tag),
                ..
            } = &wanted.dependency.from
            else {
                panic!()
            };
            let version = tag.trim_start_matches('v');
            let (name, _, asks) = { known.iter() }
                .find(|(name, tag, _)| *name == wanted.name && *tag == version)
                .unwrap();
            let text = format!(
                "[package]\nname = \"{name}\"\nversion = \"{version}\"\nowners = [\"x\"]\n[packages]\n{asks}"
            );
            let mut tree = Tree::default();
            let entry = Entry::file(false, text.into_bytes());
            tree.add(manifest::FILE, entry).unwrap();
            Ok(Given {
                tree,
                from: format!("git+{version}"),
                signed: None,
                replaces: None,
            })
        };
        let parts = resolve(&book, &mut get);
        let parts = parts.map_err(|problems| problems[0].to_string())?;
        let parts = parts.iter().map(|part| {
            let by: Vec<&str> = part.by.iter().map(String::as_str).collect();
            format!("{} {} by {}", part.name(), part.version(), by.join("+"))
        });
        Ok(parts.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn each_name_once_the_highest_within_a_major_version() {
        let known = [
            ("a", "1.0.0", git("base", "2.1.0")),
            ("b", "1.0.0", git("base", "2.3.0")),
            ("base", "2.1.0", git("old", "1.0.0")),
            ("base", "2.3.0", String::new()),
            ("old", "1.0.0", String::new()),
        ];
        let both = git("a", "1.0.0") + &git("b", "1.0.0");
        assert_eq!(
            resolved(&both, &known).unwrap(),
            "a 1.0.0 by book, b 1.0.0 by book, base 2.3.0 by a+b"
        );
        // The book's choice is final.
        assert_eq!(
            resolved(&(both + &git("base", "2.1.0")), &known).unwrap(),
            "a 1.0.0 by book, b 1.0.0 by book, base 2.1.0 by a+b+book, old 1.0.0 by base"
        );
    }

    #[test]
    fn a_folder_that_a_package_names_is_beside_that_package() {
        let path = |path: &str| From::Path(path.to_owned());
        let git = |subdir: Option<&str>| From::Git {
            url: "https://x.example/ops".to_owned(),
            at: manifest::At::Tag("v1".to_owned()),
            subdir: subdir.map(str::to_owned),
        };
        let archive = From::Archive("x.opsbook".to_owned());
        for (asker, named, found) in [
            (path("examples/shop"), "../base", path("examples/base")),
            (path("../shop"), "../../base", path("../../base")),
            (path("/srv/shop"), "../base", path("/srv/base")),
            (git(Some("a/shop")), "../base", git(Some("a/base"))),
            (git(Some("shop")), "..", git(None)),
            (git(None), "base", git(Some("base"))),
            // It stays a folder, and is refused.
            (git(None), "../base", path("../base")),
            (git(None), "/srv/base", path("/srv/base")),
            (archive, "../base", path("../base")),
        ] {
            let book = manifest(&format!("[packages]\nbase = {{path = \"{named}\"}}\n"));
            let dependency = book.packages["base"].clone();
            assert_eq!(
                beside(dependency, Some(&asker)).from,
                found,
                "{asker:?} {named}"
            );
        }
    }

    #[test]
    fn what_does_not_agree_is_an_error_with_both_chains() {
        let known = [
            ("a", "1.0.0", git("base", "2.1.0")),
            ("b", "1.0.0", git("base", "3.0.0")),
            ("base", "2.1.0", String::new()),
            ("base", "3.0.0", String::new()),
            ("round", "1.0.0", git("trip", "1.0.0")),
            ("trip", "1.0.0", git("round", "1.0.0")),
            ("zero", "1.0.0", git("nought", "0.1.0")),
            ("one", "1.0.0", git("nought", "0.2.0")),
            ("nought", "0.1.0", String::new()),
            ("nought", "0.2.0", String::new()),
        ];
        let both = git("a", "1.0.0") + &git("b", "1.0.0");
        assert_eq!(
            resolved(&both, &known).unwrap_err(),
            "b:opsbook.toml:6:1: error: `base` is required twice: 2.1.0 by book → a, 3.0.0 by \
             book → b\n  |\n6 | base = {git = \"https://x.example/base\", tag = \"v3.0.0\"}\n  | \
             ^^^^\n\nhint: name `base` in `[packages]` of the book, which decides"
        );
        assert!(resolved(&(both + &git("base", "3.0.0")), &known).is_ok());
        // A circular request is refused unless the book names both packages.
        let circle = resolved(&git("round", "1.0.0"), &known).unwrap_err();
        assert!(
            circle.contains("in a circle: round → trip → round"),
            "{circle}"
        );
        let minor = resolved(&(git("zero", "1.0.0") + &git("one", "1.0.0")), &known);
        assert!(minor.unwrap_err().contains("`nought` is required twice"));
    }
}
