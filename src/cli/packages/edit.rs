//! Changes `opsbook.toml`: a package more, or another tag of one.

use std::path::Path;

use super::update::update;
use super::{Add, manifest_of, tag_of, unknown};
use crate::cli::Streams;
use crate::cli::context::{self, Chosen};
use crate::cli::error::Failure;
use crate::files::Files;
use crate::package::manifest::{self, At, Dependency, From};
use crate::package::store;
use crate::source::{Problem, Source};

pub(super) fn add(args: &Add, from: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
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
pub(super) fn move_to(root: &Path, name: &str, tag: &str) -> Result<(), Failure> {
    crate::package::address::check_ref(tag).map_err(|why| Problem::bare("usage", why))?;
    let manifest = manifest_of(root)?;
    let Some(dependency) = manifest.packages.get(name) else {
        return Err(unknown(name, manifest.packages.keys().map(String::as_str)));
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
