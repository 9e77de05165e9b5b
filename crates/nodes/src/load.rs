//! Reads `nodes.yaml` or `nodes/*.yaml` from disk. Reads only regular files of limited size.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Nodes, parse};
use crate::files::{Files, Refused};
use crate::manual::{Settings, Spanned};
use crate::source::{Problem, Source, Span};
use crate::yaml::MAX_BYTES;

/// The nodes of a manual without its own.
const BUILT_IN: &str = "opsbook: 1\nnodes:\n  here: {transport: local}\n";

/// The most bytes of all files of a folder together.
const MAX_TOTAL: usize = 4 * MAX_BYTES;

/// Reads the nodes of a project.
#[must_use]
pub fn load(files: &Files, settings: &Settings) -> (Nodes, Vec<Problem>) {
    let mut problems = Vec::new();
    let root = files.root();
    let sources = match find(root, settings) {
        Ok(Found::BuiltIn) => vec![Source::new("(built in)", BUILT_IN)],
        Ok(Found::File(path)) => read_all(files, &[path], &mut problems),
        Ok(Found::Folder(path)) => read_folder(files, &path, &mut problems),
        Err(problem) => {
            problems.push(problem);
            Vec::new()
        }
    };
    let (nodes, more) = parse(&sources);
    problems.extend(more);
    (nodes, problems)
}

/// Paths relative to the root.
enum Found {
    BuiltIn,
    File(PathBuf),
    Folder(PathBuf),
}

fn find(root: &Path, settings: &Settings) -> Result<Found, Problem> {
    if let Some(Spanned { value: path, span }) = &settings.nodes {
        return match root.join(path).metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(Found::Folder(path.clone())),
            Ok(_) => Ok(Found::File(path.clone())),
            Err(error) => Err(Problem {
                span: Some(span.clone()),
                ..unreadable(path, &error)
            }),
        };
    }
    let file = PathBuf::from("nodes.yaml");
    let folder = PathBuf::from("nodes");
    match (exists(root, &file)?, exists(root, &folder)?) {
        (true, true) => Err(Problem::bare(
            "nodes-twice",
            "both `nodes.yaml` and the folder `nodes/` exist",
        )
        .hint("move `nodes.yaml` into the folder, for instance as `nodes/00-base.yaml`")),
        (true, false) => Ok(Found::File(file)),
        (false, true) => Ok(Found::Folder(folder)),
        (false, false) if root.join("nodes.yml").exists() => {
            Err(Problem::bare("nodes-not-read", "`nodes.yml` is not read")
                .hint("name it `nodes.yaml`"))
        }
        (false, false) => Ok(Found::BuiltIn),
    }
}

/// A dangling link or an unreadable folder is an error, not an absent file.
fn exists(root: &Path, path: &Path) -> Result<bool, Problem> {
    match root.join(path).symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn read_folder(files: &Files, folder: &Path, problems: &mut Vec<Problem>) -> Vec<Arc<Source>> {
    match list(files, folder) {
        Ok((paths, passed_over)) => {
            problems.extend(passed_over);
            if paths.is_empty() {
                let message = format!("no `*.yaml` file in `{}/`", folder.display());
                problems.push(Problem::bare("nodes-missing", message));
            }
            read_all(files, &paths, problems)
        }
        Err(error) => {
            problems.push(unreadable(folder, &error));
            Vec::new()
        }
    }
}

/// The files to read, sorted by name, and warnings about files with similar names. Hidden files and
/// editor backups cause no warning.
fn list(from: &Files, folder: &Path) -> Result<(Vec<PathBuf>, Vec<Problem>), Refused> {
    let mut names = Vec::new();
    for entry in from.folder(folder)?.read_dir()? {
        names.push(PathBuf::from(entry?.file_name()));
    }
    names.sort();
    let mut files = Vec::new();
    let mut warnings = Vec::new();
    for name in names {
        let hidden = name.as_os_str().as_encoded_bytes().starts_with(b".");
        match name.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") if !hidden => files.push(folder.join(name)),
            Some("yml") if !hidden => warnings.push(not_read(&folder.join(name))),
            _ => {}
        }
    }
    Ok((files, warnings))
}

fn not_read(path: &Path) -> Problem {
    let mut problem = Problem::bare(
        "nodes-not-read",
        format!("`{}` is not read", path.display()),
    )
    .hint("name it `*.yaml`");
    problem.severity = crate::source::Severity::Warning;
    problem
}

fn read_all(files: &Files, paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<Arc<Source>> {
    let mut sources = Vec::new();
    let mut total = 0;
    for path in paths {
        match read(files, path) {
            Ok(source) => {
                total += source.text.len();
                sources.push(source);
            }
            Err(problem) => problems.push(problem),
        }
        if total > MAX_TOTAL {
            let message = format!("the files of nodes hold more than {MAX_TOTAL} bytes");
            problems.push(Problem::bare("nodes-too-large", message));
            return Vec::new();
        }
    }
    sources
}

fn read(files: &Files, path: &Path) -> Result<Arc<Source>, Problem> {
    let bytes = read_bounded(files, path).map_err(|error| unreadable(path, &error))?;
    let Some(bytes) = bytes else {
        let message = format!("`{}` holds more than {MAX_BYTES} bytes", path.display());
        return Err(Problem::bare("nodes-too-large", message));
    };
    String::from_utf8(bytes)
        .map(|text| Source::new(path, text))
        .map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let source = Source::new(path, String::from_utf8_lossy(error.as_bytes()));
            let span = Span::new(&source, at..at + '\u{fffd}'.len_utf8());
            Problem::error("not-utf-8", span, "this byte is not UTF-8")
                .hint("save the file as UTF-8")
        })
}

/// `None` if the file is too large, even if it grows while it is read.
fn read_bounded(files: &Files, path: &Path) -> Result<Option<Vec<u8>>, Refused> {
    if let Some(text) = files.unsaved(path) {
        let fits = text.len() <= MAX_BYTES;
        return Ok(fits.then(|| text.as_bytes().to_vec()));
    }
    let opened = files.open(path)?;
    if opened.size > MAX_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    opened
        .file
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() <= MAX_BYTES))
}

fn unreadable(path: &Path, error: &impl std::fmt::Display) -> Problem {
    let message = format!("cannot read `{}`: {error}", path.display());
    Problem::bare("nodes-unreadable", message)
}

#[cfg(test)]
mod tests;
