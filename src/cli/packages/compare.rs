//! Compares packages with newer tags, and with earlier contents.

use std::io::Write as _;
use std::path::Path;

use super::{manifest_of, tag_of, unknown};
use crate::cli::Streams;
use crate::cli::context::{self, Chosen};
use crate::cli::error::Failure;
use crate::outside;
use crate::package::cache::Kind;
use crate::package::manifest::From;
use crate::package::resolve::Part;
use crate::package::store::Store;
use crate::package::{folder, git, oci};
use crate::project::releases;
use crate::source::Problem;

pub(super) fn outdated(root: &Path, streams: &mut Streams) -> Result<u8, Failure> {
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

pub(super) fn diff(
    name: &str,
    old: Option<&Path>,
    from: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let place = context::place(from)?;
    let part = place.parts.all.iter().find(|part| part.name() == name);
    let Some(part) = part else {
        let known = place.parts.all.iter().map(Part::name);
        return Err(unknown(name, known));
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
