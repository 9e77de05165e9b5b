//! `opsbook packages`: the packages of a book. Only `update` writes the lock; only `update`,
//! `fetch`, `add` and `outdated` contact repositories.

mod compare;
mod edit;
mod update;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::cli::Streams;
use crate::cli::context::{self, Chosen};
use crate::cli::error::Failure;
use crate::files::Files;
use crate::outside;
use crate::package::cache::Kind;
use crate::package::folder;
use crate::package::manifest::{self, At, From, Manifest};
use crate::package::resolve::{Part, resolve};
use crate::package::store::{Reach, Store};
use crate::source::{Problem, Source};

/// Show the packages of this book, or change them
#[derive(Args, Debug)]
#[command(after_help = "\
Only `update`, `fetch`, `add` and `outdated` ask repositories, by your own `git`. Only `update` and
`add` write `opsbook.lock`. Everything else works without a network.")]
pub(crate) struct Packages {
    #[command(subcommand)]
    what: Option<What>,
    /// JSON for programs; `opsbook schema packages` describes it
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a package to `opsbook.toml`, and lock it
    Add(Add),
    /// Lock the packages in `opsbook.toml`, and report the changes
    Update {
        /// Only these may change
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Change the one package to this tag
        #[arg(long, value_name = "TAG")]
        to: Option<String>,
    },
    /// Fetch the locked packages into the cache
    Fetch,
    /// Copy the locked packages into a folder of the book
    Vendor {
        /// The folder; `packages` if absent
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Show newer tags of the packages
    Outdated,
    /// Show the differences between two states of a package
    Diff {
        /// The package
        name: String,
        /// The other state: an archive or a folder; the locked one if absent
        old: Option<PathBuf>,
    },
    /// Remove everything from the cache that was unused for 90 days
    Gc,
}

#[derive(Args, Debug)]
struct Add {
    /// The package's name
    name: String,
    /// The repository
    #[arg(long, value_name = "URL", requires = "tag")]
    git: Option<String>,
    /// The tag
    #[arg(long)]
    tag: Option<String>,
    /// A place in a container registry: registry.example.net/ops/shop
    #[arg(long, value_name = "PLACE", requires = "tag", conflicts_with_all = ["git", "archive", "path"])]
    oci: Option<String>,
    /// The folder of the package in the repository
    #[arg(long, requires = "git")]
    subdir: Option<String>,
    /// An archive
    #[arg(long, value_name = "FILE", conflicts_with_all = ["git", "path"])]
    archive: Option<String>,
    /// A folder
    #[arg(long, value_name = "DIR", conflicts_with = "git")]
    path: Option<String>,
}

pub(crate) fn run(args: &Packages, from: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    match &args.what {
        None => list(args.json, from, streams),
        Some(What::Add(add)) => edit::add(add, from, streams),
        Some(What::Update { names, to }) => {
            let root = context::find_root(from)?;
            if let Some(tag) = to {
                let [name] = &names[..] else {
                    return Err(Problem::bare(
                        "usage",
                        "`--to` needs the name of one \
                         package",
                    )
                    .into());
                };
                edit::move_to(&root, name, tag)?;
            }
            update::update(&root, names, streams)
        }
        Some(What::Fetch) => fetch(&context::find_root(from)?, streams),
        Some(What::Vendor { dir }) => vendor(&context::find_root(from)?, dir.as_deref(), streams),
        Some(What::Outdated) => compare::outdated(&context::find_root(from)?, streams),
        Some(What::Diff { name, old }) => compare::diff(name, old.as_deref(), from, streams),
        Some(What::Gc) => gc(streams),
    }
}

fn manifest_of(root: &Path) -> Result<Manifest, Failure> {
    let text = Files::of(root).text(Path::new(manifest::FILE), 1 << 24);
    let text = text.map_err(|why| {
        let problem = Problem::bare("no-package", format!("`{}`: {why}", manifest::FILE));
        problem.hint("`opsbook packages add` writes the first package into it")
    })?;
    let (manifest, problems) = manifest::read(&Source::new(manifest::FILE, text));
    if problems.iter().any(Problem::is_error) {
        return Err(problems.into());
    }
    Ok(manifest)
}

fn list(json: bool, from: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let place = context::place(from)?;
    let parts = &place.parts.all;
    if json {
        let parts: Vec<_> = parts.iter().map(as_json).collect();
        let all = serde_json::json!({"v": 1, "packages": parts});
        writeln!(streams.data(), "{all:#}")?;
        return Ok(0);
    }
    if parts.is_empty() {
        writeln!(streams.people(), "this manual uses no packages")?;
        return Ok(0);
    }
    let mut rows = vec![["NAME", "VERSION", "FROM", "SIGNED", "OWNERS"].map(str::to_owned)];
    rows.extend(parts.iter().map(|part| {
        let from = part
            .replaces
            .as_ref()
            .map(|path| format!("{path} (on this machine alone)"));
        let owners = part.package().map(|package| package.owners.join(", "));
        [
            part.name().to_owned(),
            part.version().to_string(),
            from.unwrap_or_else(|| part.from.clone()),
            { part.signed.as_ref() }.map_or_else(|| "-".to_owned(), |signed| signed.by.clone()),
            owners.unwrap_or_default(),
        ]
    }));
    let widths: Vec<usize> = (0..5)
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        writeln!(streams.people(), "{}", outside::line(line.trim_end()))?;
    }
    Ok(0)
}

fn as_json(part: &Part) -> serde_json::Value {
    serde_json::json!({
        "name": part.name(),
        "version": part.version().to_string(),
        "from": part.from,
        "content": part.content,
        "signed": part.signed.as_ref().map(|signed| &signed.by),
        "by": part.by,
        "owners": part.package().map(|package| &package.owners),
        "replaced_by": part.replaces,
    })
}

/// A package that the manifest does not have.
fn unknown<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Failure {
    let problem = Problem::bare("usage", format!("there is no package `{name}`"));
    problem.did_you_mean(name, known).into()
}

/// The tag of a package's origin.
fn tag_of(from: &From) -> Option<&str> {
    match from {
        From::Git {
            at: At::Tag(tag), ..
        }
        | From::Oci { tag, .. } => Some(tag),
        From::Git { .. } | From::Archive(_) | From::Path(_) => None,
    }
}

fn fetch(root: &Path, streams: &mut Streams) -> Result<u8, Failure> {
    let manifest = manifest_of(root)?;
    let store = Store::open(root, &manifest)?;
    let mut problems = Vec::new();
    for locked in &store.lock.packages {
        match store.fetch(locked) {
            Ok(true) => writeln!(streams.people(), "{} {}", locked.name, locked.version)?,
            Ok(false) => {}
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() {
        Ok(0)
    } else {
        Err(problems.into())
    }
}

fn vendor(root: &Path, dir: Option<&Path>, streams: &mut Streams) -> Result<u8, Failure> {
    let manifest = manifest_of(root)?;
    let store = Store::open(root, &manifest)?;
    let parts = resolve(&manifest, &mut |wanted| store.get(wanted, Reach::Locked))?;
    let into = root.join(dir.unwrap_or(Path::new("packages")));
    std::fs::create_dir_all(&into)?;
    for part in parts
        .iter()
        .filter(|part| !matches!(part.asked, From::Path(_)))
    {
        let place = into.join(part.name());
        let aside = tempfile::Builder::new().prefix(".new-").tempdir_in(&into)?;
        let whole = aside.path().join("files");
        folder::write(&part.tree, &whole)?;
        folder::open(&whole)?;
        if place.exists() {
            folder::remove(&place)?;
        }
        std::fs::rename(&whole, &place)?;
        writeln!(streams.people(), "{} {}", part.name(), part.version())?;
    }
    Ok(0)
}

/// Removes cache entries older than 90 days. They are unpacked or fetched again when needed.
fn gc(streams: &mut Streams) -> Result<u8, Failure> {
    const KEPT: std::time::Duration = std::time::Duration::from_hours(90 * 24);
    let cache = crate::package::cache::Cache::of_user();
    let mut removed = 0;
    let folders = [
        cache.folder(Kind::Books),
        cache.folder(Kind::Packages),
        cache.repositories(),
    ];
    for folder in folders {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let path = entry.path();
            let used = path.symlink_metadata().and_then(|found| found.modified());
            let old = used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age > KEPT));
            if old && folder::remove(&path).is_ok() {
                removed += 1;
            }
        }
    }
    writeln!(
        streams.people(),
        "{}",
        crate::source::counted(removed, "folder")
    )?;
    Ok(0)
}
