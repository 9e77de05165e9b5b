//! A folder -> the manual in it. All reading of files for the manual is here.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::manual::include::normal;
use crate::manual::parse::{PageSource, parse};
use crate::manual::summary::{self, Entry};
use crate::manual::{Manual, Settings, order, settings};
use crate::source::{Problem, Source, Span};

/// Larger files are refused: a manual is text for people.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Reads the manual below a folder. Everything wrong is reported; what could be read is
/// returned. A folder without `SUMMARY.md` is taken as a manual of all its `*.md` files.
#[must_use]
pub fn load(root: &Path) -> (Manual, Vec<Problem>) {
    let mut problems = Vec::new();
    let book = read(root, Path::new("book.toml"));
    let settings = match &book {
        Ok(source) => settings::read(source, &mut problems),
        Err(_) => Settings::default(),
    };
    let pages = match (read(root, &settings.source.join("SUMMARY.md")), &book) {
        (Ok(summary), _) => from_summary(root, &settings, &summary, &mut problems),
        (Err(why), Ok(book)) if book_needs_summary(root, &settings) => {
            problems.push(no_summary(book, &settings, &why));
            Vec::new()
        }
        _ => from_folder(root, &settings, &mut problems),
    };
    if let Err(why) = book
        && pages.is_empty()
    {
        problems.push(no_manual(root, &why));
    }
    let files = Files {
        root,
        read: Mutex::default(),
    };
    let (manual, found) = parse(root, settings, pages, &|path| files.include(path));
    problems.extend(found);
    order::sort(&manual, &mut problems);
    (manual, problems)
}

fn no_manual(root: &Path, why: &str) -> Problem {
    Problem::bare(
        "no-manual",
        format!("`{}` holds no manual: `book.toml`: {why}", root.display()),
    )
    .hint("`opsbook init DIR` writes a small manual to begin with")
}

fn no_summary(book: &Arc<Source>, settings: &Settings, why: &str) -> Problem {
    let path = settings.source.join("SUMMARY.md");
    Problem::error(
        "no-summary",
        Span::new(book, 0..0),
        format!("`{}`: {why}", path.display()),
    )
    .hint("`SUMMARY.md` lists the pages; `src` under `[book]` names its folder")
}

/// A book whose source folder has no pages at all has most likely named the wrong folder.
fn book_needs_summary(root: &Path, settings: &Settings) -> bool {
    markdown_files(&root.join(&settings.source)).is_empty()
}

fn from_summary(
    root: &Path,
    settings: &Settings,
    summary: &Arc<Source>,
    problems: &mut Vec<Problem>,
) -> Vec<PageSource> {
    let entries = summary::read(summary, problems);
    let mut pages = Vec::new();
    let mut listed = HashSet::new();
    for Entry { title, path, span } in entries {
        listed.insert(path.clone());
        match read(root, &settings.source.join(&path)) {
            Ok(source) => pages.push(PageSource {
                path,
                title: Some(title),
                source,
            }),
            Err(why) => problems.push(Problem::error(
                "missing-page",
                span,
                format!("`{}`: {why}", path.display()),
            )),
        }
    }
    unlisted(root, settings, &listed, problems);
    pages
}

/// Pages that stand in the folder but not in the book are never read by anybody.
fn unlisted(
    root: &Path,
    settings: &Settings,
    listed: &HashSet<PathBuf>,
    problems: &mut Vec<Problem>,
) {
    for path in markdown_files(&root.join(&settings.source)) {
        if listed.contains(&path) || path == Path::new("SUMMARY.md") {
            continue;
        }
        let shown = Source::new(settings.source.join(&path), "");
        problems.push(Problem::warning(
            "page-not-listed",
            Span::new(&shown, 0..0),
            "this page is not in `SUMMARY.md`: nobody reads it, and nothing of it runs",
        ));
    }
}

/// Every Markdown file below the source folder, or the root, in the order of their names.
fn from_folder(root: &Path, settings: &Settings, problems: &mut Vec<Problem>) -> Vec<PageSource> {
    let mut folder = settings.source.clone();
    if !root.join(&folder).is_dir() {
        folder = PathBuf::new();
    }
    let mut pages = Vec::new();
    for path in markdown_files(&root.join(&folder)) {
        match read(root, &folder.join(&path)) {
            Ok(source) => pages.push(PageSource {
                path,
                title: None,
                source,
            }),
            Err(why) => problems.push(Problem::bare(
                "missing-page",
                format!("`{}`: {why}", folder.join(&path).display()),
            )),
        }
    }
    pages
}

/// Relative to the folder; hidden files and folders, and built books, are left out.
fn markdown_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder.join(&below)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let path = below.join(&name);
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if !kind.is_dir() && path.extension() == Some(OsStr::new("md")) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Files that pages include, each read once.
struct Files<'a> {
    root: &'a Path,
    read: Mutex<HashMap<PathBuf, Result<Arc<Source>, String>>>,
}

impl Files<'_> {
    fn include(&self, path: &Path) -> Result<Arc<Source>, String> {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(path.to_owned())
            .or_insert_with(|| read(self.root, path))
            .clone()
    }
}

/// Reads a file below the root; messages name it as `path`.
fn read(root: &Path, path: &Path) -> Result<Arc<Source>, String> {
    let full = root.join(path);
    let size = fs::metadata(&full).map_err(|error| why(&error))?.len();
    if size > MAX_BYTES {
        return Err("it is larger than 64 MiB".to_owned());
    }
    let text = fs::read_to_string(&full).map_err(|error| why(&error))?;
    Ok(Source::new(normal(path), text))
}

fn why(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}
