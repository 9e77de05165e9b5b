//! A large book, rendered in parts on all cores.
//!
//! mdBook's own build takes time with the square of the number of pages, because it copies the
//! list of all chapters for each page. What a page looks like depends on its neighbours only,
//! so small books of [previous, some pages, next] give the same bytes. The frame (styles,
//! scripts, table of contents) comes from a book whose chapters are all drafts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow};
use mdbook_driver::config::{HtmlConfig, SearchChapterSettings};
use mdbook_html::HtmlHandlebars;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_renderer::{RenderContext, Renderer};

use super::names::Names;
use super::{contents, print};

/// Pages in one part. Each part writes its own styles and fonts, which costs more than the
/// square of so few pages.
const PART: usize = 100;

/// Whether parts would give the same book: not where the theme asks for the list of chapters
/// on each page.
pub(super) fn possible(theme: &Path) -> bool {
    let templates = ["index.hbs", "header.hbs", "head.hbs", "redirect.hbs"];
    templates.iter().all(|name| {
        let text = std::fs::read_to_string(theme.join(name)).unwrap_or_default();
        !text.contains("#toc") && !text.contains("chapters")
    })
}

/// Renders the book into its destination, as [`HtmlHandlebars`] would.
pub(super) fn render(mut context: RenderContext) -> Result<()> {
    let items = std::mem::take(&mut context.book);
    let destination = &context.destination.clone();
    let book = Whole::new(context, &items)?;
    render_frame(&book, items)?;
    let mut names = Names::default();
    contents::fill(destination, &book.chapters)?;
    names.rename(destination, "toc", "js")?;

    let room = tempfile::tempdir()?;
    let parts = book.parts(room.path())?;
    names.rename(destination, "searchindex", "js")?;
    names.put_into_frame(destination)?;
    for part in &parts {
        let mut names = names.clone();
        names.also(&part.folder)?;
        for page in &part.pages {
            names.copy(&part.folder.join(page), &destination.join(page))?;
        }
    }
    if book.html.print.enable {
        print::fill(destination, &book.chapters)?;
    }
    Ok(())
}

struct Whole {
    /// With no book in it.
    context: RenderContext,
    html: HtmlConfig,
    /// Without their nested items, in the order of the book.
    chapters: Vec<Chapter>,
}

/// Some pages, rendered.
struct Part {
    folder: PathBuf,
    pages: Vec<PathBuf>,
}

impl Whole {
    fn new(context: RenderContext, book: &Book) -> Result<Whole> {
        let html: HtmlConfig = context.config.get("output.html")?.unwrap_or_default();
        let chapters = book.chapters().map(alone).collect();
        Ok(Whole {
            context,
            html,
            chapters,
        })
    }

    /// All pages, in parts, on all cores; in the order of the book.
    fn parts(&self, room: &Path) -> Result<Vec<Part>> {
        let count = self.chapters.len().div_ceil(PART);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let heard = tracing::dispatcher::get_default(Clone::clone);
        let work = || {
            tracing::dispatcher::with_default(&heard, || {
                let mut done = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Ok(done);
                    }
                    let folder = room.join(number.to_string());
                    done.push((number, self.part(number, folder)?));
                }
            })
        };
        let mut parts: Vec<(usize, Part)> = Vec::with_capacity(count);
        std::thread::scope(|scope| -> Result<()> {
            let workers: Vec<_> = (0..cores.min(count)).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                let done: Result<Vec<(usize, Part)>> = worker
                    .join()
                    .map_err(|_| anyhow!("mdBook panicked while it rendered a page"))?;
                parts.extend(done?);
            }
            Ok(())
        })?;
        parts.sort_by_key(|(number, _)| *number);
        Ok(parts.into_iter().map(|(_, part)| part).collect())
    }

    fn part(&self, number: usize, folder: PathBuf) -> Result<Part> {
        let from = number * PART;
        let to = (from + PART).min(self.chapters.len());
        let around = from.saturating_sub(1)..(to + 1).min(self.chapters.len());
        let chapters: Vec<Chapter> = around
            .map(|index| {
                let mut chapter = self.chapters[index].clone();
                if !(from..to).contains(&index) {
                    // Only the name and the place of a neighbour are seen.
                    chapter.content.clear();
                }
                chapter
            })
            .collect();
        let own = &self.chapters[from..to];
        let mut context = self.context.clone();
        let config = &mut context.config;
        config.set(
            "output.html.redirect",
            self.redirects(|page| page_in(own, page)),
        )?;
        context.book = Book::new_with_items(chapters.into_iter().map(BookItem::Chapter).collect());
        context.destination.clone_from(&folder);
        bare_theme(&mut context, &folder)?;
        HtmlHandlebars::new().render(&context)?;

        let mut pages: Vec<PathBuf> = own.iter().filter_map(page_of).collect();
        if number == 0 {
            pages.push(PathBuf::from("index.html"));
        }
        Ok(Part { folder, pages })
    }

    fn redirects(&self, keep: impl Fn(&str) -> bool) -> HashMap<String, String> {
        let mut redirect = self.html.redirect.clone();
        redirect.retain(|from, _| {
            let page = from.split('#').next().unwrap_or_default();
            keep(page.trim_start_matches('/'))
        });
        redirect
    }
}

/// Everything but the pages: each chapter is a draft, so that there is no page to render.
fn render_frame(book: &Whole, items: Book) -> Result<()> {
    let mut context = book.context.clone();
    context.book = items;
    contents::draft(&mut context.book.items);
    let none: HashMap<String, SearchChapterSettings> = HashMap::new();
    context.config.set("output.html.search.chapter", none)?;
    let elsewhere = book.redirects(|page| !page_in(&book.chapters, page));
    context.config.set("output.html.redirect", elsewhere)?;
    HtmlHandlebars::new().render(&context)
}

/// A theme whose table of contents is empty: a part has no use for it.
fn bare_theme(context: &mut RenderContext, folder: &Path) -> Result<()> {
    let html: HtmlConfig = context.config.get("output.html")?.unwrap_or_default();
    let theme = folder.with_extension("theme");
    std::fs::create_dir_all(&theme)?;
    super::copy::copy_tree(&html.theme_dir(&context.root), &theme)?;
    for template in ["toc.js.hbs", "toc.html.hbs"] {
        std::fs::write(theme.join(template), "")?;
    }
    context.config.set("output.html.theme", &theme)
}

/// A chapter as a book of few pages holds it.
fn alone(chapter: &Chapter) -> Chapter {
    Chapter {
        sub_items: Vec::new(),
        ..chapter.clone()
    }
}

fn page_of(chapter: &Chapter) -> Option<PathBuf> {
    chapter
        .path
        .as_ref()
        .map(|path| path.with_extension("html"))
}

fn page_in(chapters: &[Chapter], page: &str) -> bool {
    chapters
        .iter()
        .any(|chapter| page_of(chapter).is_some_and(|own| own == Path::new(page)))
}

#[cfg(test)]
#[path = "shards_tests.rs"]
mod tests;
