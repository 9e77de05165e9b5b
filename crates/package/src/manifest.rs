//! `opsbook.toml`: the description of a package, the values that it reads, and the packages that it
//! or a book uses. Pure: parses a text into the manifest, and reports every problem with its place.

mod interface;
mod packages;
pub(crate) mod reader;

use std::collections::BTreeMap;
use std::sync::Arc;

use opsbook_text::source::{Concern, Problem, Source, Span};
use opsbook_text::yaml::Yaml;
use semver::Version;

use reader::{Reader, Table};

/// The file's name, next to `book.toml`.
pub const FILE: &str = "opsbook.toml";

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// The place where it is written.
    pub span: Span,
}

/// The contents of `opsbook.toml`.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its text.
    pub source: Arc<Source>,
    /// The package's description; `None` for a book that is not a package.
    pub package: Option<Package>,
    /// Every value that its blocks and templates read and no block sets.
    pub values: BTreeMap<String, Value>,
    /// The place of `[values]`: a package without this table may read no values.
    pub values_at: Option<Span>,
    /// Groups of nodes that it expects.
    pub groups: BTreeMap<String, Group>,
    /// The packages that it or the book uses.
    pub packages: BTreeMap<String, Dependency>,
    /// The book's replacements for parts of packages.
    pub overrides: Overrides,
    /// Whose signatures are trusted.
    pub trust: Trust,
    /// File patterns of `[package]` and `[book]`.
    pub files: Globs,
    /// The oldest opsbook that can read it.
    pub needs: Option<Spanned<String>>,
}

/// `[package]`.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its globally unique name.
    pub name: Spanned<String>,
    /// Its version.
    pub version: Spanned<Version>,
    /// One line.
    pub description: Option<String>,
    /// People, or a page that names them.
    pub owners: Vec<String>,
    /// The prefixes of the ids of its procedures and groups of checks.
    pub namespace: Vec<Spanned<String>>,
    /// Where its source can be read.
    pub repository: Option<String>,
    /// Its licence.
    pub license: Option<String>,
    /// The file that lists its changes.
    pub changelog: Option<Spanned<String>>,
}

/// The files of a folder that belong to a package or a book.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    /// Files to pack in addition to the tracked ones.
    pub include: Vec<String>,
    /// Files not to pack.
    pub exclude: Vec<String>,
}

/// A value that a package reads.
#[derive(Clone, Debug)]
pub struct Value {
    /// The place of its name.
    pub span: Span,
    /// Its default value.
    pub default: Option<Yaml>,
    /// A pattern that the whole value must match.
    pub pattern: Option<String>,
    /// A description for readers.
    pub help: Option<String>,
    /// Each node must define it.
    pub required: bool,
    /// It is a secret.
    pub secret: bool,
    /// The name belongs to the book and has no prefix.
    pub shared: bool,
}

/// A group of nodes that a package expects.
#[derive(Clone, Debug)]
pub struct Group {
    /// The place of its name.
    pub span: Span,
    /// A description for readers.
    pub help: String,
}

/// One of `[packages]`.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The place of its name.
    pub span: Span,
    /// The origin of the package.
    pub from: From,
}

/// The origin of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A repository.
    Git {
        /// Its address for `git`.
        url: String,
        /// The requested state.
        at: At,
        /// The folder of the package in the repository.
        subdir: Option<String>,
    },
    /// An archive in a container registry.
    Oci {
        /// Its place: `registry.example.net/ops/shop`.
        reference: String,
        /// The requested tag.
        tag: String,
    },
    /// An archive; path relative to the folder of `opsbook.toml`.
    Archive(String),
    /// A folder under development; path relative to that of `opsbook.toml`.
    Path(String),
}

/// A fixed state of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// A tag.
    Tag(String),
    /// A revision, 40 hexadecimal digits.
    Revision(String),
}

/// A book's replacements for parts of packages.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Templates `PACKAGE:FILE` and the book's files.
    pub templates: Vec<Template>,
    /// Checks that the book skips.
    pub checks: Vec<Skip>,
}

/// A book's template that replaces a package's.
#[derive(Clone, Debug)]
pub struct Template {
    /// The package.
    pub package: String,
    /// The package's file, below its `templates/`.
    pub file: String,
    /// The book's file, relative to the book.
    pub by: Spanned<String>,
    /// Where the override begins.
    pub span: Span,
}

/// A check that a book skips.
#[derive(Clone, Debug)]
pub struct Skip {
    /// The group of checks.
    pub group: String,
    /// The check within the group; `None` for the whole group.
    pub check: Option<String>,
    /// The reason.
    pub reason: String,
    /// The last day of the exception: `2027-03-01`.
    pub until: Option<String>,
    /// Its place.
    pub span: Span,
}

/// Whose signatures are trusted, and which packages need one.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// A file in the format of ssh's `allowed_signers`.
    pub signers: Option<Spanned<String>>,
    /// The packages that must be signed.
    pub require: Require,
}

/// Which packages must be signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// None.
    #[default]
    Nothing,
    /// All of them.
    All,
    /// These.
    Named(Vec<String>),
}

impl Require {
    /// Whether a package must be signed.
    #[must_use]
    pub fn covers(&self, package: &str) -> bool {
        match self {
            Require::Nothing => false,
            Require::All => true,
            Require::Named(names) => names.iter().any(|name| name == package),
        }
    }
}

/// Parses a manifest; unreadable parts are left out.
#[must_use]
pub fn read(source: &Arc<Source>) -> (Manifest, Vec<Problem>) {
    let mut reader = Reader::new(source);
    let manifest = reader.document(|reader, table| Manifest::of(reader, table));
    let problems = reader.problems.into_iter();
    let problems = problems.map(|problem| problem.concerns(Concern::Project));
    (manifest, problems.collect())
}

impl Manifest {
    fn of(reader: &mut Reader<'_>, table: &Table<'_>) -> Manifest {
        reader.known(
            table,
            "`opsbook.toml`",
            &[
                "package",
                "values",
                "groups",
                "packages",
                "overrides",
                "trust",
                "opsbook",
                "book",
            ],
        );
        let mut needs = reader.string(table, "opsbook");
        let mut files = Globs::default();
        if let Some((book, _)) = reader.table(table, "book") {
            reader.known(book, "`[book]`", &["include", "exclude"]);
            files.add(reader, book);
        }
        let package = reader.table(table, "package");
        let package = package.and_then(|(package, span)| {
            files.add(reader, package);
            needs = needs.take().or_else(|| reader.string(package, "opsbook"));
            Package::of(reader, package, span)
        });
        let values = reader.table(table, "values");
        let values_at = values.as_ref().map(|(_, span)| span.clone());
        Manifest {
            source: Arc::clone(reader.source),
            package,
            values: values
                .map(|(values, _)| interface::values(reader, values))
                .unwrap_or_default(),
            values_at,
            groups: { reader.table(table, "groups") }
                .map(|(groups, _)| interface::groups(reader, groups))
                .unwrap_or_default(),
            packages: { reader.table(table, "packages") }
                .map(|(packages, _)| packages::dependencies(reader, packages))
                .unwrap_or_default(),
            overrides: { reader.table(table, "overrides") }
                .map(|(overrides, _)| packages::overrides(reader, overrides))
                .unwrap_or_default(),
            trust: { reader.table(table, "trust") }
                .map(|(trust, _)| packages::trust(reader, trust))
                .unwrap_or_default(),
            files,
            needs,
        }
    }
}

impl Globs {
    fn add(&mut self, reader: &mut Reader<'_>, table: &Table<'_>) {
        let mut globs = |key| {
            let globs = reader.strings(table, key).into_iter();
            globs.map(|glob| glob.value)
        };
        self.include.extend(globs("include"));
        self.exclude.extend(globs("exclude"));
    }
}

impl Package {
    fn of(reader: &mut Reader<'_>, table: &Table<'_>, span: Span) -> Option<Package> {
        reader.known(
            table,
            "`[package]`",
            &[
                "name",
                "version",
                "description",
                "owners",
                "namespace",
                "repository",
                "license",
                "changelog",
                "opsbook",
                "include",
                "exclude",
            ],
        );
        let name = reader.string(table, "name");
        let name = reader.wanted(name, "name", &span).filter(|name| {
            let good = is_name(&name.value);
            if !good {
                let message = format!("`{}` is not a valid package name", name.value);
                let problem = Problem::error("bad-package", name.span.clone(), message);
                let hint = "lower case letters, digits and `-`, a letter first, at most 63";
                reader.problems.push(problem.hint(hint));
            }
            good
        });
        let version = reader.string(table, "version");
        let version = reader.wanted(version, "version", &span);
        let version = version.and_then(|version| reader.version(version));
        let owners = reader.strings(table, "owners");
        let owners: Vec<String> = owners.into_iter().map(|owner| owner.value).collect();
        if owners.iter().all(|owner| owner.trim().is_empty()) {
            let problem = Problem::error("package-without-owner", span, "a package has `owners`");
            let hint = "name people or a page: the book and each hand-off sheet show them";
            reader.problems.push(problem.hint(hint));
        }
        let (name, version) = (name?, version?);
        let namespace = reader.strings(table, "namespace");
        let namespace = if namespace.is_empty() {
            vec![Spanned {
                value: name.value.replace('-', "."),
                span: name.span.clone(),
            }]
        } else {
            namespace
        };
        let text = |reader: &mut Reader<'_>, key| reader.string(table, key).map(|text| text.value);
        Some(Package {
            description: text(reader, "description"),
            repository: text(reader, "repository"),
            license: text(reader, "license"),
            changelog: reader.string(table, "changelog"),
            name,
            version,
            owners,
            namespace,
        })
    }

    /// `shop 1.4.2`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} {}", self.name.value, self.version.value)
    }

    /// The longest of its prefixes that an id begins with, compared by whole words.
    #[must_use]
    pub fn claims(&self, id: &str) -> Option<&str> {
        let prefixes = self.namespace.iter().map(|prefix| prefix.value.as_str());
        let fitting = prefixes.filter(|prefix| is_within(id, prefix));
        fitting.max_by_key(|prefix| prefix.len())
    }
}

/// Whether an id has a prefix, by whole words: `shop.release` has the prefix `shop`, `shopping`
/// does not.
#[must_use]
pub fn is_within(id: &str, prefix: &str) -> bool {
    let rest = id.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// `[a-z][a-z0-9-]{0,62}`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && name.len() <= 63
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests;
