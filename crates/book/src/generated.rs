//! Chapters that nobody wrote: they are made of the whole manual, its nodes, and what is
//! recorded. Here is what is put into their pages once these are rendered.

use std::path::Path;

use anyhow::Result;
use mdbook_preprocessor::book::Chapter;

use crate::manual::Wanted;

use super::links::html_path;
use super::machines;
use super::refer;
use super::state::{self, Numbers};
use super::whole::Whole;

/// What their names begin with.
const NAMES: &str = "opsbook-";

/// Whether nobody wrote a chapter.
pub(super) fn is(chapter: &Chapter) -> bool {
    let path = chapter.path.as_deref().unwrap_or(Path::new(""));
    chapter.source_path.is_none() && path.to_string_lossy().starts_with(NAMES)
}

/// The pictures of the page of the state. They do not go through Markdown.
pub(super) struct Pictures(Option<[(&'static str, String); 2]>);

impl Pictures {
    /// None where nothing is recorded.
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

    /// Puts them into the page of the state, in the place of their marks.
    pub(super) fn put_into(&self, html: &mut String, page: &Path) {
        if page != html_path(Path::new(state::PAGE)) {
            return;
        }
        for (mark, picture) in self.0.iter().flatten() {
            // Nothing that an author writes is taken for ours: the last one is.
            if let Some(at) = html.rfind(mark) {
                html.replace_range(at..at + mark.len(), picture);
            }
        }
    }

    /// The same of a built book, and of its page of all pages.
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

/// The numbers of the page of the state for machines, where there is one.
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
