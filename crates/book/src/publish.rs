//! Which files besides pages become part of the book: those that a page names, and of those
//! none that looks private.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::files::{Files, Opened, Refused, is_private};
use crate::source::{Problem, Severity};

use super::copy::bring;
use super::sanitise;

/// What a page names and may not have, and why.
pub(super) struct Withheld {
    file: PathBuf,
    why: String,
}

/// Copies what the pages name from the source folder; returns what they name and may not have.
/// Only `all` publishes documents in which a browser would run something.
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

/// What cannot be found is told with the links that lead there.
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

/// Whether a browser that opens the file would do more than show it. A picture in SVG does so
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

/// A warning for each file that a page names and that was kept back.
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
