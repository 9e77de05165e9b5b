//! The preprocessor `opsbook`: puts the marks into each chapter. In process for
//! `opsbook build`, over JSON for plain `mdbook build`; the pages are the same.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mdbook_driver::config::{Config, HtmlConfig};
use mdbook_markdown::MarkdownOptions;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::manual::{Manual, Page};
use crate::source::Problem;

use super::foreign::Foreign;
use super::{BookError, mark, render};

/// What `command = "opsbook preprocess"` does: a book as JSON in, the marked book out.
/// Returns what is wrong in the manual.
pub fn preprocess(input: impl Read, output: impl Write) -> Result<Vec<Problem>, BookError> {
    let failed = |error: anyhow::Error| BookError::Render(format!("{error:#}"));
    let (context, book) = mdbook_preprocessor::parse_input(input).map_err(failed)?;
    let (manual, problems) = crate::manual::load(&context.root);
    let mut book = Opsbook::new(Arc::new(manual))
        .run(&context, book)
        .map_err(failed)?;
    // Plain mdBook has no place for our style sheet but the page itself.
    book.for_each_chapter_mut(|chapter| {
        chapter.content = format!(
            "{}\n\n<style>{}</style>\n",
            chapter.content,
            one_line_style()
        );
    });
    serde_json::to_writer(output, &book).map_err(|error| failed(error.into()))?;
    Ok(problems)
}

/// Whether the preprocessor has something to say to a renderer of mdBook's.
#[must_use]
pub fn supports(renderer: &str) -> bool {
    renderer == "html"
}

pub(super) struct Opsbook {
    manual: Arc<Manual>,
    /// For a folder that was written for another site generator.
    foreign: Option<Foreign>,
}

impl Opsbook {
    pub(super) fn new(manual: Arc<Manual>) -> Opsbook {
        Opsbook {
            manual,
            foreign: None,
        }
    }

    pub(super) fn foreign(root: &Path, manual: Arc<Manual>) -> Opsbook {
        let foreign = Some(Foreign::new(root, &manual));
        Opsbook { manual, foreign }
    }
}

impl Preprocessor for Opsbook {
    fn name(&self) -> &'static str {
        "opsbook"
    }

    fn supports_renderer(&self, renderer: &str) -> anyhow::Result<bool> {
        Ok(supports(renderer))
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> anyhow::Result<Book> {
        let options = markdown(&context.config);
        let marks = mark::Marks::new(&self.manual);
        let pages: HashMap<&Path, &Page> = self
            .manual
            .pages
            .iter()
            .map(|page| (page.path.as_path(), page))
            .collect();
        book.for_each_mut(|item| {
            let BookItem::Chapter(chapter) = item else {
                return;
            };
            if let Some(page) = written_in(chapter).and_then(|path| pages.get(path.as_path())) {
                chapter.content = marks.page(&chapter.content, page, &options);
                if let Some(foreign) = &self.foreign {
                    chapter.content = foreign.page(&chapter.content, &page.path, &options);
                }
            }
        });
        Ok(book)
    }
}

/// The three switches that mdBook's renderer takes from the settings.
fn markdown(config: &Config) -> MarkdownOptions {
    let html: HtmlConfig = config.get("output.html").ok().flatten().unwrap_or_default();
    let mut options = MarkdownOptions::default();
    options.smart_punctuation = html.smart_punctuation;
    options.definition_lists = html.definition_lists;
    options.admonitions = html.admonitions;
    options
}

fn written_in(chapter: &Chapter) -> Option<&PathBuf> {
    chapter.source_path.as_ref().or(chapter.path.as_ref())
}

/// A blank line would end the HTML block in which the style stands.
fn one_line_style() -> String {
    let lines = render::STYLE.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
