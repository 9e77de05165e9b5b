//! `opsbook packages`: the packages of a book. Only `update` writes the lock; only `update`,
//! `fetch`, `add` and `outdated` contact repositories.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::cli::Streams;
use crate::cli::context::{self, Chosen};
use crate::cli::error::Failure;
use crate::files::Files;
use crate::journal;
use crate::outside;
use crate::package::cache::Kind;
use crate::package::chapter::template_content;
use crate::package::lock::{self, Lock, Locked, Replaced};
use crate::package::manifest::{self, At, Dependency, From, Manifest};
use crate::package::resolve::{Part, resolve};
use crate::package::store::{self, Reach, Store};
use crate::package::{folder, git, oci};
use crate::project::releases;
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
        Some(What::Add(add)) => self::add(add, from, streams),
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
                move_to(&root, name, tag)?;
            }
            update(&root, names, streams)
        }
        Some(What::Fetch) => fetch(&context::find_root(from)?, streams),
        Some(What::Vendor { dir }) => vendor(&context::find_root(from)?, dir.as_deref(), streams),
        Some(What::Outdated) => outdated(&context::find_root(from)?, streams),
        Some(What::Diff { name, old }) => diff(name, old.as_deref(), from, streams),
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

fn add(args: &Add, from: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let root = context::find_root(from)?;
    let asked = match (&args.git, &args.tag, &args.archive, &args.path) {
        (Some(url), Some(tag), None, None) => From::Git {
            url: url.clone(),
            at: At::Tag(tag.clone()),
            subdir: args.subdir.clone(),
        },
        (None, Some(tag), None, None) if args.oci.is_some() => From::Oci {
            reference: args.oci.clone().unwrap_or_default(),
            tag: tag.clone(),
        },
        (None, None, Some(archive), None) => From::Archive(archive.clone()),
        (None, None, None, Some(path)) => From::Path(path.clone()),
        _ => {
            let problem = Problem::bare("usage", "name one source for the package");
            let hint =
                "`--git URL --tag TAG`, `--oci PLACE --tag TAG`, `--archive FILE` or `--path DIR`";
            return Err(problem.hint(hint).into());
        }
    };
    let path = root.join(manifest::FILE);
    let before = match Files::of(&root).text(Path::new(manifest::FILE), 1 << 24) {
        Ok(text) => text,
        Err(crate::files::Refused::Missing) => String::new(),
        Err(why) => return Err(Failure::Error(format!("`{}`: {why}", manifest::FILE))),
    };
    let source = Source::new(manifest::FILE, before.as_str());
    if manifest::read(&source).0.packages.contains_key(&args.name) {
        let problem = Problem::bare(
            "usage",
            format!("`{}` is already in `[packages]`", args.name),
        );
        return Err(problem
            .hint("`opsbook packages update NAME --to TAG` changes its tag")
            .into());
    }
    let span = crate::source::Span::new(&source, 0..0);
    let line = format!(
        "{} = {}\n",
        args.name,
        store::written(&Dependency { span, from: asked })
    );
    let after = with_line(&before, &line);
    let (_, problems) = manifest::read(&Source::new(manifest::FILE, after.as_str()));
    if problems.iter().any(Problem::is_error) {
        return Err(problems.into());
    }
    std::fs::write(&path, &after)?;
    let updated = update(&root, std::slice::from_ref(&args.name), streams);
    if updated.is_err() {
        // Undo: do not leave the name of a package that cannot be found.
        if before.is_empty() {
            let _ = std::fs::remove_file(&path);
        } else {
            let _ = std::fs::write(&path, &before);
        }
    }
    updated
}

/// Adds a line to `[packages]`, which is created if it does not exist.
fn with_line(text: &str, line: &str) -> String {
    let mut at = 0;
    for own in text.split_inclusive('\n') {
        at += own.len();
        if own.trim() == "[packages]" {
            let gap = if own.ends_with('\n') { "" } else { "\n" };
            return format!("{}{gap}{line}{}", &text[..at], &text[at..]);
        }
    }
    let gap = if text.is_empty() { "" } else { "\n" };
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{text}{end}{gap}[packages]\n{line}")
}

/// Changes the tag of a package.
fn move_to(root: &Path, name: &str, tag: &str) -> Result<(), Failure> {
    crate::package::address::check_ref(tag).map_err(|why| Problem::bare("usage", why))?;
    let manifest = manifest_of(root)?;
    let Some(dependency) = manifest.packages.get(name) else {
        let problem = Problem::bare("usage", format!("there is no package `{name}`"));
        return Err(problem
            .did_you_mean(name, manifest.packages.keys().map(String::as_str))
            .into());
    };
    let old = tag_of(&dependency.from)
        .ok_or_else(|| Problem::bare("usage", format!("`{name}` has no tag to change")))?;
    let text = &manifest.source.text;
    let start = dependency.span.start as usize;
    let quoted = [format!("\"{old}\""), format!("'{old}'")];
    let found = quoted.iter().find_map(|quoted| {
        let at = text[start..].find("tag").map(|at| start + at)?;
        Some((at + text[at..].find(quoted.as_str())?, quoted.len()))
    });
    let Some((at, length)) = found else {
        return Err(Failure::Error(format!(
            "the tag of `{name}` was not found in `opsbook.toml`"
        )));
    };
    let after = format!("{}\"{tag}\"{}", &text[..at], &text[at + length..]);
    let (read, problems) = manifest::read(&Source::new(manifest::FILE, after.as_str()));
    let moved = read.packages.get(name);
    let moved = moved.is_some_and(|dependency| tag_of(&dependency.from) == Some(tag));
    if !moved || problems.iter().any(Problem::is_error) {
        return Err(Failure::Error(format!(
            "the tag of `{name}` was not found in `opsbook.toml`"
        )));
    }
    std::fs::write(root.join(manifest::FILE), after)?;
    Ok(())
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

/// The only writer of the lock.
fn update(root: &Path, names: &[String], streams: &mut Streams) -> Result<u8, Failure> {
    let manifest = manifest_of(root)?;
    for name in names {
        if !manifest.packages.contains_key(name) {
            let known = manifest.packages.keys().map(String::as_str);
            let problem = Problem::bare("usage", format!("there is no package `{name}`"));
            return Err(problem.did_you_mean(name, known).into());
        }
    }
    let mut store = Store::open(root, &manifest)?;
    store.local.clear();
    let store = store;
    let mut parts = resolve(&manifest, &mut |wanted| {
        let fixed = !names.is_empty() && !names.iter().any(|name| name == wanted.name);
        if fixed && store.lock.get(wanted.name).is_some() {
            // Packages that are not named do not change.
            let locked = store.get(wanted, Reach::Locked);
            if locked.is_ok() {
                return locked;
            }
        }
        store.get(wanted, Reach::Update(names))
    })?;
    parts.retain(|part| !matches!(part.asked, From::Path(_)));
    let lock = lock_of(&manifest, &parts);
    let text = lock.text();
    let path = root.join(lock::FILE);
    let changed = std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str());
    for part in &parts {
        tell_change(&store, part, streams)?;
    }
    for gone in store
        .lock
        .packages
        .iter()
        .filter(|old| lock.get(&old.name).is_none())
    {
        writeln!(
            streams.people(),
            "{} {} was removed",
            gone.name,
            gone.version
        )?;
    }
    if !changed {
        writeln!(streams.people(), "nothing has changed")?;
        return Ok(0);
    }
    let mut file = tempfile::Builder::new();
    let file = file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = file.tempfile_in(root)?;
    file.write_all(text.as_bytes())?;
    file.persist(&path).map_err(|error| error.error)?;
    tell_halted(root, &store, &parts, streams)?;
    Ok(0)
}

/// Reports halted runs that began with a package that has now changed: resume or release them
/// first.
fn tell_halted(
    root: &Path,
    store: &Store,
    parts: &[Part],
    streams: &mut Streams,
) -> Result<(), Failure> {
    let state = crate::project::state_of_folder(root);
    let records = journal::runs(&state).into_iter();
    let records = records.filter_map(|run| journal::read(&state, &run).ok());
    let halted: Vec<journal::Record> = records.filter(journal::Record::is_halted).collect();
    for old in &store.lock.packages {
        let same = parts
            .iter()
            .any(|part| part.name() == old.name && part.content == old.content);
        let began = format!("{} {}", old.version, old.content);
        let of_old = halted.iter().filter(|record| {
            let started = record.started();
            started.is_some_and(|started| started.packages.get(&old.name) == Some(&began))
        });
        let number = of_old.count();
        if !same && number > 0 {
            let runs = crate::source::counted(number, "halted run");
            writeln!(
                streams.talk,
                "note: {runs} began with {} {}: `opsbook history` shows them, and `opsbook resume \
                 RUN --accept-changed` continues one",
                old.name, old.version
            )?;
        }
    }
    Ok(())
}

fn lock_of(manifest: &Manifest, parts: &[Part]) -> Lock {
    let packages = parts.iter().map(|part| Locked {
        name: part.name().to_owned(),
        version: part.version(),
        from: part.from.clone(),
        content: part.content.clone(),
        signed: part.signed.clone(),
        by: part.by.iter().cloned().collect(),
        span: None,
    });
    let replaced = manifest.overrides.templates.iter().filter_map(|template| {
        let part = parts.iter().find(|part| part.name() == template.package)?;
        Some(Replaced {
            template: format!("{}:{}", template.package, template.file),
            content: template_content(part, &template.file)?,
        })
    });
    Lock {
        packages: packages.collect(),
        replaced: replaced.collect(),
    }
}

/// `shop 1.4.1 -> 1.4.2`, with what was added, removed or changed.
fn tell_change(store: &Store, part: &Part, streams: &mut Streams) -> Result<(), Failure> {
    let (name, version) = (part.name(), part.version());
    match store.lock.get(name) {
        None => writeln!(streams.people(), "{name} {version} is new")?,
        Some(old) if old.content == part.content && old.version == version => {}
        Some(old) => {
            writeln!(streams.people(), "{name} {} -> {version}", old.version)?;
            let before = store
                .cache()
                .get(Kind::Packages, &old.content)
                .ok()
                .flatten();
            if let Some((_, before)) = before {
                let changes = releases::changes(&before, &part.tree).map_err(Failure::Error)?;
                for change in changes {
                    writeln!(streams.people(), "  {}", outside::line(&change.line()))?;
                }
            }
        }
    }
    Ok(())
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

fn outdated(root: &Path, streams: &mut Streams) -> Result<u8, Failure> {
    let manifest = manifest_of(root)?;
    let mut newer = 0;
    for (name, dependency) in &manifest.packages {
        let Some(tag) = tag_of(&dependency.from) else {
            continue;
        };
        let failed = |code: &'static str, why: &str| {
            let message = format!("`{name}`: {}", outside::line(why));
            let hint = git::hint(&message);
            let problem = Problem::error(code, dependency.span.clone(), message);
            match hint {
                Some(hint) if code == "git-failed" => problem.hint(hint),
                _ => problem,
            }
        };
        let tags: Vec<String> = match &dependency.from {
            From::Git { url, .. } => { git::tags(url) }
                .map(|tags| tags.into_iter().map(|(tag, _)| tag).collect())
                .map_err(|why| failed("git-failed", &why))?,
            From::Oci { reference, .. } => {
                oci::tags(reference).map_err(|why| failed(why.code, &why.message))?
            }
            From::Archive(_) | From::Path(_) => continue,
        };
        let number = |tag: &str| semver::Version::parse(tag.trim_start_matches('v')).ok();
        let Some(here) = number(tag) else { continue };
        let best = tags.iter().filter_map(|tag| Some((number(tag)?, tag)));
        let best = best
            .filter(|(version, _)| version.pre.is_empty() && *version > here)
            .max();
        if let Some((_, best)) = best {
            writeln!(streams.people(), "{name} {tag} -> {}", outside::line(best))?;
            newer += 1;
        }
    }
    if newer == 0 {
        writeln!(streams.people(), "nothing newer")?;
    }
    Ok(0)
}

fn diff(
    name: &str,
    old: Option<&Path>,
    from: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let place = context::place(from)?;
    let part = place.parts.all.iter().find(|part| part.name() == name);
    let Some(part) = part else {
        let known = place.parts.all.iter().map(Part::name);
        let problem = Problem::bare("usage", format!("there is no package `{name}`"));
        return Err(problem.did_you_mean(name, known).into());
    };
    let before = match old {
        Some(path) if path.is_dir() => folder::read(path, &|_| true).map_err(Failure::Error)?,
        Some(path) => {
            let archive = crate::cli::archive::read(path)?;
            archive.description.own(&archive.tree)
        }
        None => {
            let root = context::find_root(from)?;
            let store = Store::open(&root, &manifest_of(&root)?)?;
            let locked = store.lock.get(name).map(|locked| locked.content.clone());
            let kept = locked.map(|content| store.cache().get(Kind::Packages, &content));
            let kept = kept
                .transpose()
                .map_err(|why| Failure::Error(why.to_string()))?;
            let problem = Problem::bare(
                "package-missing",
                format!("the locked version of `{name}` is not here"),
            );
            kept.flatten()
                .ok_or_else(|| problem.hint("`opsbook packages fetch` downloads it"))?
                .1
        }
    };
    let changes = releases::changes(&before, &part.tree).map_err(Failure::Error)?;
    for change in &changes {
        writeln!(streams.people(), "{}", outside::line(&change.line()))?;
    }
    let needed = releases::needed(&changes);
    writeln!(streams.people(), "the next release is {needed}")?;
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
