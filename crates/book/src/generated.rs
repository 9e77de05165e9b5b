//! Generated chapters, which come from the whole manual, its nodes, and recorded results. This
//! module adds their content after the pages are rendered.

use std::path::Path;

use anyhow::Result;
use mdbook_preprocessor::book::Chapter;

use crate::manual::Wanted;

use super::links::html_path;
use super::machines;
use super::refer;
use super::state::{self, Numbers};
use super::whole::Whole;

/// The prefix of their names.
const NAMES: &str = "opsbook-";

/// Whether a chapter is generated.
pub(super) fn is(chapter: &Chapter) -> bool {
    let path = chapter.path.as_deref().unwrap_or(Path::new(""));
    chapter.source_path.is_none() && path.to_string_lossy().starts_with(NAMES)
}

/// The pictures of the state page. They are not Markdown.
pub(super) struct Pictures(Option<[(&'static str, String); 2]>);

impl Pictures {
    /// `None` if nothing is recorded.
    pub(super) fn of(whole: &Whole<'_>) -> Pictures {
        let results = &whole.recorded.results;
        let numbers = || Numbers::of(results, whole.manual);
        Pictures((!results.is_empty()).then(|| {
            let numbers = numbers();
            [
                (state::PICTURE, numbers.picture()),
                (state::HISTORY, numbers.history()),
            ]
        }))
    }

    /// Inserts the pictures into the state page at their marks.
    pub(super) fn put_into(&self, html: &mut String, page: &Path) {
        if page != html_path(Path::new(state::PAGE)) {
            return;
        }
        for (mark, picture) in self.0.iter().flatten() {
            // Use the last mark: an author may have written the same text.
            if let Some(at) = html.rfind(mark) {
                html.replace_range(at..at + mark.len(), picture);
            }
        }
    }

    /// The same for a built book, and its print page.
    pub(super) fn put_into_files(&self, book: &Path) -> Result<()> {
        let page = html_path(Path::new(state::PAGE));
        if self.0.is_none() || !book.join(&page).exists() {
            return Ok(());
        }
        for file in [book.join(&page), book.join("print.html")] {
            if file.exists() {
                let mut html = std::fs::read_to_string(&file)?;
                self.put_into(&mut html, &page);
                std::fs::write(file, html)?;
            }
        }
        Ok(())
    }
}

/// Writes the data of the state page as JSON, if that page exists.
pub(super) fn write_state(whole: &Whole<'_>, own: &Path) -> Result<()> {
    let results = &whole.recorded.results;
    if results.is_empty() || whole.manual.settings.chapters == Wanted::No {
        return Ok(());
    }
    let numbers = Numbers::of(results, whole.manual);
    std::fs::create_dir_all(own)?;
    std::fs::write(own.join("state.json"), numbers.json().to_string() + "\n")?;
    Ok(())
}

/// Adds the script that builds the page of a chosen node.
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
