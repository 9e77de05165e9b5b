//! The preprocessor `opsbook`: puts the marks into each chapter. In process for
//! `opsbook build`, over JSON for plain `mdbook build`; the pages are the same.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mdbook_driver::config::{Config, HtmlConfig};
use mdbook_markdown::MarkdownOptions;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::manual::{Manual, Page, Wanted};
use crate::project::{Project, merge};
use crate::source::Problem;

use super::blocks::Blocks;
use super::chapters;
use super::foreign::{Foreign, Wiki};
use super::recorded::Recorded;
use super::refer;
use super::refer::generated;
use super::state::{self, Numbers};
use super::whole::Whole;
use super::{BookError, mark, notices, render, sanitise, words};

/// What `command = "opsbook preprocess"` does: a book as JSON in, the marked book out.
/// Returns what is wrong in the manual.
pub fn preprocess(input: impl Read, output: impl Write) -> Result<Vec<Problem>, BookError> {
    let failed = |error: anyhow::Error| BookError::Render(format!("{error:#}"));
    let (context, mut book) = mdbook_preprocessor::parse_input(input).map_err(failed)?;
    let place = merge::place(&context.root).map_err(|problems| BookError::Load {
        root: context.root.clone(),
        why: { problems.first() }.map_or_else(String::new, ToString::to_string),
    })?;
    let recorded = Arc::new(Recorded::load(&place));
    let Project {
        manual,
        nodes,
        parts,
        files,
        mut problems,
        ..
    } = Project::read(place);
    if !parts.all.is_empty() {
        // mdBook knows none of the packages, and has read its list before it asks anybody: all
        // chapters are those of the book that is made of them.
        book = super::load(&files, context.config.clone(), &manual, &mut problems)?.book;
    }
    let blocks = Blocks::of(&manual);
    let whole = Whole {
        manual: &manual,
        nodes: &nodes,
        recorded: &recorded,
        blocks: &blocks,
    };
    let (chapters, groups) = (chapters::all(&whole), whole.groups_told());
    let opsbook = Opsbook::new(Arc::new(manual), recorded).with(chapters, groups);
    let removed = opsbook.removed();
    let mut book = opsbook.run(&context, book).map_err(failed)?;
    problems.extend(take(&removed));
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
    recorded: Arc<Recorded>,
    /// For a folder that was written for another site generator.
    foreign: Option<Foreign>,
    /// Chapters that are made of the whole manual.
    chapters: Vec<Chapter>,
    /// Groups of nodes that one of them tells of.
    groups: HashSet<String>,
    /// What pages say that is not in the book.
    removed: Arc<Mutex<Vec<Problem>>>,
}

/// What was gathered so far.
pub(super) fn take(removed: &Mutex<Vec<Problem>>) -> Vec<Problem> {
    std::mem::take(&mut removed.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Opsbook {
    pub(super) fn new(manual: Arc<Manual>, recorded: Arc<Recorded>) -> Opsbook {
        Opsbook {
            manual,
            recorded,
            foreign: None,
            chapters: Vec::new(),
            groups: HashSet::new(),
            removed: Arc::default(),
        }
    }

    /// Filled by `run`.
    pub(super) fn removed(&self) -> Arc<Mutex<Vec<Problem>>> {
        Arc::clone(&self.removed)
    }

    pub(super) fn with(self, chapters: Vec<Chapter>, groups: HashSet<String>) -> Opsbook {
        Opsbook {
            chapters,
            groups,
            ..self
        }
    }

    pub(super) fn foreign(self, source: &Path) -> Opsbook {
        let foreign = Some(Foreign::new(source, &self.manual));
        Opsbook { foreign, ..self }
    }

    /// The page of the state, where anything is recorded.
    fn page_of_state(&self) -> Option<Chapter> {
        if self.recorded.results.is_empty() || self.manual.settings.chapters == Wanted::No {
            return None;
        }
        let numbers = Numbers::of(&self.recorded.results, &self.manual);
        let content = numbers.page(&|test| refer::place_of(&self.manual, test));
        Some(generated(state::TITLE, content, state::PAGE))
    }

    /// Chapters that nobody wrote, the last of the book; none whose place a page has.
    fn generated(&self) -> Vec<Chapter> {
        let mut chapters: Vec<Chapter> = self.page_of_state().into_iter().collect();
        chapters.extend(self.chapters.iter().cloned());
        chapters.retain(|chapter| {
            let taken = |page: &Page| Some(&page.path) == chapter.path.as_ref();
            !self.manual.pages.iter().any(taken)
        });
        chapters
    }

    /// The last word on a chapter: whatever put HTML into it, it goes through here.
    fn sanitise(&self, chapter: &mut Chapter, page: Option<&Page>, options: &MarkdownOptions) {
        if self.manual.settings.allow_html {
            return;
        }
        let content = std::mem::take(&mut chapter.content);
        let (content, removed) = sanitise::sanitised(content, options);
        chapter.content = content;
        if !removed.is_empty() {
            let found = notices::removed(&removed, &chapter.name, page);
            let mut all = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(found);
        }
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
        let marks = mark::Marks::new(&self.manual, &self.recorded, &self.groups);
        let pages: HashMap<&Path, &Page> = self
            .manual
            .pages
            .iter()
            .map(|page| (page.path.as_path(), page))
            .collect();
        let wiki = Wiki::of(&self.manual);
        let mut unknown = words::Unknown::new();
        book.for_each_mut(|item| {
            let BookItem::Chapter(chapter) = item else {
                return;
            };
            let page = written_in(chapter).and_then(|path| pages.get(path.as_path()).copied());
            if let Some(page) = page {
                if let (Some(title), Some(path)) = (&page.set_title, &chapter.path) {
                    let mut titles = context.chapter_titles.borrow_mut();
                    titles.insert(path.clone(), title.clone());
                }
                if page.plain {
                    chapter.content = sanitise::as_plain_text(&page.text.text);
                    return;
                }
                if page.withheld {
                    chapter.content.clone_from(&page.text.text);
                }
                chapter.content = marks.page(&chapter.content, page, &options);
                if self.manual.settings.foreign_words == Wanted::Yes {
                    let links = |name: &str| wiki.link(&page.path, name);
                    chapter.content = words::page(&chapter.content, &links, &mut unknown);
                }
                if let Some(foreign) = &self.foreign {
                    chapter.content = foreign.page(&chapter.content, &page.path, &options);
                }
            }
            self.sanitise(chapter, page, &options);
        });
        if let Some(problem) = notices::unknown(&unknown) {
            let mut all = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(problem);
        }
        for mut chapter in self.generated() {
            self.sanitise(&mut chapter, None, &options);
            book.push_item(chapter);
        }
        Ok(book)
    }
}

/// The three switches that mdBook's renderer takes from the settings.
pub(super) fn markdown(config: &Config) -> MarkdownOptions {
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
