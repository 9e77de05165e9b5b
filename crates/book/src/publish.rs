//! Publishes files besides pages: those that a page names, except files that look private.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::files::{Files, Opened, Refused, is_private};
use crate::source::{Problem, Severity};

use super::copy::bring;
use super::sanitise;

/// A file that a page names and that may not be published, and why.
pub(super) struct Withheld {
    file: PathBuf,
    why: String,
}

/// Copies the named files from the source folder; returns those that may not be published.
/// Publishes documents with active content only if `all`.
pub(super) fn files(
    named: &HashSet<PathBuf>,
    files: &Files,
    source: &Path,
    book: &Path,
    all: bool,
) -> Vec<Withheld> {
    let mut withheld = Vec::new();
    let mut named: Vec<&PathBuf> = named.iter().collect();
    named.sort();
    for file in named {
        let to = book.join(file);
        if to.exists() {
            continue;
        }
        if let Err(why) = publish(files, &source.join(file), &to, all) {
            withheld.push(Withheld {
                file: file.clone(),
                why,
            });
        }
    }
    withheld
}

/// A missing file is reported with the links to it.
fn publish(files: &Files, from: &Path, to: &Path, all: bool) -> Result<(), String> {
    let opened = match files.open_public(from) {
        Ok(opened) => opened,
        Err(Refused::Missing | Refused::NotRegular("a folder")) => return Ok(()),
        Err(_) if is_private(from) => return Err("which looks private".to_owned()),
        Err(why) => return Err(format!("but {why}")),
    };
    if is_private(from) {
        return Err("which looks private".to_owned());
    }
    if !all && acts(from, opened) {
        return Err("in which a browser may run something".to_owned());
    }
    bring(files, from, to).map_err(|why| format!("but {why}"))
}

/// Whether a browser would do more than display the file. An SVG picture does if it contains a
/// script.
/// where it holds a script.
fn acts(file: &Path, opened: Opened) -> bool {
    const PICTURES: u64 = 16 * 1024 * 1024;
    let end = file.extension().unwrap_or_default();
    match end.to_string_lossy().to_lowercase().as_str() {
        "html" | "htm" | "shtml" | "xhtml" | "xht" | "xml" | "xsl" | "xslt" | "mht" | "mhtml"
        | "hta" | "svgz" | "swf" => true,
        "svg" => opened
            .text(PICTURES)
            .map_or(true, |text| sanitise::svg_acts(&text)),
        "" => {
            let mut start = Vec::new();
            let read = opened.file.take(4096).read_to_end(&mut start);
            read.is_err() || start.contains(&b'<') && !start.starts_with(b"#!")
        }
        _ => false,
    }
}

/// A warning for each named file that was not published.
pub(super) fn withheld(files: &[Withheld]) -> impl Iterator<Item = Problem> {
    files.iter().map(|Withheld { file, why }| {
        let file = file.display();
        let message = format!("a page links to `{file}`, {why}: it is not in the book");
        Problem {
            severity: Severity::Warning,
            ..Problem::bare("withheld-file", message)
        }
    })
}
