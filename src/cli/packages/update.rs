//! Locks the packages of a book, and reports what has changed.

use std::io::Write as _;
use std::path::Path;

use super::{manifest_of, unknown};
use crate::cli::Streams;
use crate::cli::error::Failure;
use crate::journal;
use crate::outside;
use crate::package::cache::Kind;
use crate::package::chapter::template_content;
use crate::package::lock::{self, Lock, Locked, Replaced};
use crate::package::manifest::{From, Manifest};
use crate::package::resolve::{Part, resolve};
use crate::package::store::{Reach, Store};
use crate::project::releases;

/// The only writer of the lock.
pub(super) fn update(root: &Path, names: &[String], streams: &mut Streams) -> Result<u8, Failure> {
    let manifest = manifest_of(root)?;
    for name in names {
        if !manifest.packages.contains_key(name) {
            let known = manifest.packages.keys().map(String::as_str);
            return Err(unknown(name, known));
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
