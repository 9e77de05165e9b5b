//! Chapters that nobody wrote: they are made of the whole manual, its nodes, and what is
//! recorded. Here is what is put into their pages once these are rendered.

use std::path::Path;

use anyhow::Result;
use mdbook_preprocessor::book::Chapter;

use crate::manual::Manual;

use super::links::html_path;
use super::machines;
use super::recorded::Recorded;
use super::refer;
use super::state::{self, Numbers};

/// What their names begin with.
const NAMES: &str = "opsbook-";

/// Whether nobody wrote a chapter.
pub(super) fn is(chapter: &Chapter) -> bool {
    let path = chapter.path.as_deref().unwrap_or(Path::new(""));
    chapter.source_path.is_none() && path.to_string_lossy().starts_with(NAMES)
}

/// The pictures of the page of the state, and its numbers for machines.
pub(super) fn put_state(
    book: &Path,
    own: &Path,
    manual: &Manual,
    recorded: &Recorded,
) -> Result<()> {
    let page = book.join(html_path(Path::new(state::PAGE)));
    if recorded.results.is_empty() || !page.exists() {
        return Ok(());
    }
    let numbers = Numbers::of(&recorded.results, manual);
    let pictures = [
        (state::PICTURE, numbers.picture()),
        (state::HISTORY, numbers.history()),
    ];
    for page in [page, book.join("print.html")] {
        put(&page, &pictures)?;
    }
    std::fs::create_dir_all(own)?;
    std::fs::write(own.join("state.json"), numbers.json().to_string() + "\n")?;
    Ok(())
}

/// The script that makes the page of a chosen node.
pub(super) fn put_machines(book: &Path) -> Result<()> {
    let page = book.join(html_path(Path::new(refer::NODES)));
    if page.exists() {
        let html = std::fs::read_to_string(&page)?;
        if let Some(html) = machines::with_script(&html) {
            std::fs::write(&page, html)?;
        }
    }
    Ok(())
}

/// Puts pieces into a page in the place of their marks.
fn put(page: &Path, pieces: &[(&str, String)]) -> Result<()> {
    if !page.exists() {
        return Ok(());
    }
    let mut html = std::fs::read_to_string(page)?;
    for (mark, piece) in pieces {
        // Nothing that an author writes is taken for ours: the last one is.
        if let Some(at) = html.rfind(mark) {
            html.replace_range(at..at + mark.len(), piece);
        }
    }
    std::fs::write(page, html)?;
    Ok(())
}
