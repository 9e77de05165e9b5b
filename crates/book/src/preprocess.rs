//! The preprocessor `opsbook`: adds the marks to each chapter. In process for `opsbook build`, over
//! JSON for plain `mdbook build`; the pages are the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mdbook_driver::config::{Config, HtmlConfig};
use mdbook_markdown::MarkdownOptions;
use mdbook_preprocessor::book::{Book, Chapter};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::manual::{Manual, Page, Wanted};
use crate::project::{Project, merge};
use crate::source::Problem;

use super::blocks::Blocks;
use super::chapters;
use super::foreign::{Foreign, Wiki};
use super::formulas::Formulas;
use super::recorded::Recorded;
use super::refer;
use super::refer::generated;
use super::state::{self, Numbers};
use super::whole::Whole;
use super::{BookError, embed, mark, notices, pages, render, sanitise, words};

/// The preprocessor's name in `book.toml`.
const NAME: &str = "opsbook";

/// Implements `command = "opsbook preprocess"`: takes a book as JSON, returns the marked book.
/// Returns the problems of the manual.
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
        // mdBook does not know the packages, and has read its list before it calls us: use the
        // chapters of the assembled book.
        book = super::load(&files, context.config.clone(), &manual, &mut problems)?.book;
        pages::put_contents(&mut book, &manual);
    }
    let blocks = Blocks::of(&manual);
    let whole = Whole {
        manual: &manual,
        nodes: &nodes,
        recorded: &recorded,
        blocks: &blocks,
    };
    let (chapters, groups) = (chapters::all(&whole), whole.groups_told());
    let manual = Arc::new(manual);
    let opsbook = Opsbook::new(Arc::clone(&manual), recorded).with(chapters, groups);
    let removed = opsbook.removed();
    let mut book = opsbook.run(&context, book).map_err(failed)?;
    problems.extend(take(&removed));
    if !parts.all.is_empty() {
        problems.extend(embed::packages(
            &mut book,
            &manual,
            &files,
            &markdown(&context.config),
        ));
    }
    // With plain mdBook, our style sheet can only be in the page itself.
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

/// Whether the preprocessor supports one of mdBook's renderers.
#[must_use]
pub fn supports(renderer: &str) -> bool {
    renderer == "html"
}

pub(super) struct Opsbook {
    manual: Arc<Manual>,
    recorded: Arc<Recorded>,
    /// For a folder written for another site generator.
    foreign: Option<Foreign>,
    /// Chapters generated from the whole manual. Removed once they are in the book: in a large
    /// one, each has megabytes.
    chapters: Mutex<Vec<Chapter>>,
    /// Groups of nodes that one of them describes.
    groups: HashSet<String>,
    /// Parts of pages that are not in the book.
    removed: Arc<Mutex<Vec<Problem>>>,
}

/// Takes the collected problems.
pub(super) fn take(removed: &Mutex<Vec<Problem>>) -> Vec<Problem> {
    std::mem::take(&mut removed.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Opsbook {
    pub(super) fn new(manual: Arc<Manual>, recorded: Arc<Recorded>) -> Opsbook {
        Opsbook {
            manual,
            recorded,
            foreign: None,
            chapters: Mutex::default(),
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
            chapters: Mutex::new(chapters),
            groups,
            ..self
        }
    }

    pub(super) fn foreign(self, source: &Path) -> Opsbook {
        let foreign = Some(Foreign::new(source, &self.manual));
        Opsbook { foreign, ..self }
    }

    /// The state page, if anything is recorded.
    fn page_of_state(&self) -> Option<Chapter> {
        if self.recorded.results.is_empty() || self.manual.settings.chapters == Wanted::No {
            return None;
        }
        let numbers = Numbers::of(&self.recorded.results, &self.manual);
        let content = numbers.page(&|test| refer::place_of(&self.manual, test));
        Some(generated(state::TITLE, content, state::PAGE))
    }

    /// Takes the generated chapters, the last of the book, except those whose path a page has.
    pub(super) fn generated(&self) -> Vec<Chapter> {
        let mut chapters: Vec<Chapter> = self.page_of_state().into_iter().collect();
        let mut own = self.chapters.lock().unwrap_or_else(PoisonError::into_inner);
        chapters.append(&mut own);
        chapters.retain(|chapter| {
            let taken = |page: &Page| Some(&page.path) == chapter.path.as_ref();
            !self.manual.pages.iter().any(taken)
        });
        chapters
    }
}

/// Prepares each chapter for rendering; several in parallel.
pub(super) struct Work<'a> {
    opsbook: &'a Opsbook,
    options: MarkdownOptions,
    marks: mark::Marks<'a>,
    /// Each with its index.
    pages: HashMap<&'a Path, (usize, &'a Page)>,
    wiki: Wiki,
    said: Mutex<Findings>,
}

/// Data collected from pages, in any order.
#[derive(Default)]
struct Findings {
    /// Unknown words.
    unknown: words::Unknown,
    /// Removed parts, by the index of the page.
    removed: BTreeMap<usize, Vec<Problem>>,
}

impl<'a> Work<'a> {
    pub(super) fn of(opsbook: &'a Opsbook, config: &Config) -> Work<'a> {
        let manual = &opsbook.manual;
        let pages = manual.pages.iter();
        Work {
            opsbook,
            options: markdown(config),
            marks: mark::Marks::new(manual, &opsbook.recorded, &opsbook.groups),
            pages: { pages.zip(0..) }
                .map(|(page, number)| (page.path.as_path(), (number, page)))
                .collect(),
            wiki: Wiki::of(manual),
            said: Mutex::default(),
        }
    }

    fn page_of(&self, chapter: &Chapter) -> Option<(usize, &'a Page)> {
        self.pages.get(written_in(chapter)?.as_path()).copied()
    }

    /// The browser title of a chapter, if its page sets one.
    pub(super) fn title(&self, chapter: &Chapter) -> Option<(PathBuf, String)> {
        let title = self.page_of(chapter)?.1.set_title.clone()?;
        Some((chapter.path.clone()?, title))
    }

    /// A chapter with its final text.
    pub(super) fn with_text(&self, chapter: &Chapter) -> Chapter {
        let mut chapter = chapter.clone();
        if let Some((_, page)) = self.page_of(&chapter) {
            chapter.content = pages::content(page);
        }
        self.chapter(&mut chapter);
        chapter
    }

    fn chapter(&self, chapter: &mut Chapter) {
        let (opsbook, options) = (self.opsbook, &self.options);
        let page = self.page_of(chapter);
        let mut formulas = Formulas::default();
        if let Some((_, page)) = page {
            if page.plain {
                chapter.content = sanitise::as_plain_text(&page.text.text);
                return;
            }
            if page.withheld {
                chapter.content = page.text.text.to_string();
            }
            chapter.content = self.marks.page(&chapter.content, page, options);
            if opsbook.manual.settings.foreign_words == Wanted::Yes {
                let links = |name: &str| self.wiki.link(&page.path, name);
                let mut unknown = words::Unknown::new();
                chapter.content = words::page(&chapter.content, &links, &mut unknown);
                for (word, count) in unknown {
                    *self.said().unknown.entry(word).or_default() += count;
                }
            }
            formulas = Formulas::take(&mut chapter.content, page.formulas, options);
            if let Some(foreign) = &opsbook.foreign {
                chapter.content = foreign.page(&chapter.content, &page.path, options);
            }
        }
        if !opsbook.manual.settings.allow_html {
            self.sanitise(chapter, page);
        }
        formulas.put(&mut chapter.content);
    }

    /// All HTML of a chapter passes through here, except that of formulas.
    fn sanitise(&self, chapter: &mut Chapter, page: Option<(usize, &Page)>) {
        let content = std::mem::take(&mut chapter.content);
        let (content, removed) = sanitise::sanitised(content, &self.options);
        chapter.content = content;
        if !removed.is_empty() {
            let (number, page) = page.unzip();
            let found = notices::removed(&removed, &chapter.name, page);
            let mut said = self.said();
            let all = said.removed.entry(number.unwrap_or(usize::MAX));
            all.or_default().extend(found);
        }
    }

    fn said(&self) -> MutexGuard<'_, Findings> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports removed parts and unknown words.
    pub(super) fn end(&self) {
        let said = std::mem::take(&mut *self.said());
        let mut all = { self.opsbook.removed.lock() }.unwrap_or_else(PoisonError::into_inner);
        all.extend(said.removed.into_values().flatten());
        all.extend(notices::unknown(&said.unknown));
    }
}

impl Preprocessor for Opsbook {
    fn name(&self) -> &'static str {
        NAME
    }

    fn supports_renderer(&self, renderer: &str) -> anyhow::Result<bool> {
        Ok(supports(renderer))
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> anyhow::Result<Book> {
        let work = Work::of(self, &context.config);
        for chapter in self.generated() {
            book.push_item(chapter);
        }
        book.for_each_chapter_mut(|chapter| {
            context
                .chapter_titles
                .borrow_mut()
                .extend(work.title(chapter));
            work.chapter(chapter);
        });
        work.end();
        Ok(book)
    }
}

/// One that is also used elsewhere.
pub(super) struct Shared(pub(super) Arc<Opsbook>);

impl Preprocessor for Shared {
    fn name(&self) -> &'static str {
        NAME
    }

    fn supports_renderer(&self, renderer: &str) -> anyhow::Result<bool> {
        self.0.supports_renderer(renderer)
    }

    fn run(&self, context: &PreprocessorContext, book: Book) -> anyhow::Result<Book> {
        self.0.run(context, book)
    }
}

/// Replaces [`Opsbook`] if chapters are prepared when they are rendered.
pub(super) struct Later;

impl Preprocessor for Later {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, _: &PreprocessorContext, book: Book) -> anyhow::Result<Book> {
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

/// A blank line would end the HTML block that contains the style.
fn one_line_style() -> String {
    let lines = render::STYLE.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
