//! Renders the pages of a large book in parts on all cores; each page is written once and freed.
//!
//! mdBook renders a book as a whole and keeps it in memory. The content of a page depends only on
//! that page, so small books with a theme that shows only the content give the same bytes.
//! [`Frames`] provides the rest of each page.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use mdbook_driver::config::{HtmlConfig, Print, Search};
use mdbook_html::HtmlHandlebars;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_renderer::{RenderContext, Renderer};

use super::frames::Frames;
use super::generated;
use super::html::END_OF_TABLE;
use super::inorder::in_order;
use super::links::html_of;

/// Few pages in a part, so that few are in memory.
const PART: usize = 8;
/// The bytes of Markdown that are rendered at once: mdBook takes about 50 times as much memory for
/// them.
const PIECE: usize = 64 * 1024;
/// mdBook's files that a part does not need.
const UNUSED: [&str; 16] = [
    "head.hbs",
    "header.hbs",
    "toc.js.hbs",
    "toc.html.hbs",
    "book.js",
    "css/chrome.css",
    "css/general.css",
    "css/print.css",
    "css/variables.css",
    "favicon.png",
    "highlight.js",
    "clipboard.min.js",
    "highlight.css",
    "tomorrow-night.css",
    "ayu-highlight.css",
    "fonts/fonts.css",
];

/// A page that lacks only its frame.
pub(super) struct Words<'a> {
    pub(super) chapter: &'a Chapter,
    pub(super) html: String,
}

/// Writes the pages of a book. `prepare` returns a chapter with its final Markdown; `inspect`
/// extracts data from the content of each page, and `collect` gets the data in the order of the book.
pub(super) fn render<T: Send>(
    context: &RenderContext,
    frames: &Frames<'_>,
    chapters: &[Chapter],
    prepare: &(dyn Fn(&Chapter) -> Chapter + Sync),
    inspect: &(dyn Fn(&mut Words<'_>) -> T + Sync),
    mut collect: impl FnMut(T) -> Result<()> + Send,
) -> Result<()> {
    let room = room()?;
    let destination = context.destination.as_path();
    let pages: Vec<PathBuf> = chapters.iter().map(html_of).collect();
    let folders: BTreeSet<&Path> = pages.iter().filter_map(|page| page.parent()).collect();
    for folder in folders {
        std::fs::create_dir_all(destination.join(folder))?;
    }
    // If two chapters have the same path, the last one is used.
    let last: HashMap<&Path, usize> = pages.iter().map(PathBuf::as_path).zip(0..).collect();
    let bare = bare(context, room.path())?;
    let index = Path::new("index.html");
    let own_index = last.get(index).copied();
    let index = destination.join(index);
    // A redirect to the first page already exists if a copy would be wrong.
    let copied = own_index.is_none() && pages[0].components().count() == 1;
    let part = |number: usize| -> Result<Vec<T>> {
        let own = number * PART..((number + 1) * PART).min(chapters.len());
        let folder = room.path().join(number.to_string());
        let mut texts = vec![String::new(); own.len()];
        let prepared = chapters[own.clone()].iter().map(prepare);
        let pieces = prepared.enumerate();
        let pieces =
            pieces.flat_map(|(at, own)| in_pieces(own).into_iter().map(move |own| (at, own)));
        for_each_batch(pieces, |batch| {
            let pages: Vec<_> = { batch.iter() }
                .map(|(at, own)| (*at, html_of(own)))
                .collect();
            let items = batch.into_iter().map(|(_, own)| BookItem::Chapter(own));
            let mut context = bare.clone();
            context.book = Book::new_with_items(items.collect());
            context.destination.clone_from(&folder);
            HtmlHandlebars::new().render(&context)?;
            pages.into_iter().try_for_each(|(at, page)| {
                let html = std::fs::read_to_string(folder.join(&page));
                texts[at] += &html.with_context(|| format!("cannot read `{}`", page.display()))?;
                Ok(())
            })
        })?;
        let mut facts = Vec::with_capacity(own.len());
        for (number, html) in own.zip(texts) {
            let chapter = &chapters[number];
            let mut words = Words { chapter, html };
            facts.push(inspect(&mut words));
            if number == 0 && copied {
                std::fs::write(&index, frames.index(&words.html)?)?;
            }
            if last.get(pages[number].as_path()) == Some(&number) {
                let page = frames.page(number, &words.html)?;
                std::fs::write(destination.join(&pages[number]), page)?;
            }
        }
        std::fs::remove_dir_all(&folder)?;
        Ok(facts)
    };
    in_order(chapters.len().div_ceil(PART), part, |facts| {
        facts.into_iter().try_for_each(&mut collect)
    })
}

/// Calls `render` with as many pieces at a time as have [`PIECE`] bytes together, or with one.
fn for_each_batch(
    pieces: impl Iterator<Item = (usize, Chapter)>,
    mut render: impl FnMut(Vec<(usize, Chapter)>) -> Result<()>,
) -> Result<()> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    for (at, piece) in pieces {
        if bytes > 0 && bytes + piece.content.len() > PIECE {
            render(std::mem::take(&mut batch))?;
            bytes = 0;
        }
        bytes += piece.content.len();
        batch.push((at, piece));
    }
    render(batch)
}

/// Splits a long generated chapter after its tables. Markdown begins anew there, whatever another
/// preprocessor has added.
fn in_pieces(chapter: Chapter) -> Vec<Chapter> {
    if chapter.content.len() <= PIECE || !generated::is(&chapter) {
        return vec![chapter];
    }
    let mut texts = Vec::new();
    let mut text = String::new();
    for block in chapter.content.split_inclusive(END_OF_TABLE) {
        text += block;
        if text.len() >= PIECE {
            texts.push(std::mem::take(&mut text));
        }
    }
    if !text.is_empty() {
        texts.push(text);
    }
    let path = chapter.path.unwrap_or_default();
    let piece = |(number, text): (usize, String)| {
        let path = path.with_extension(format!("{number}.md"));
        Chapter::new(&chapter.name, text, path, Vec::new())
    };
    (0..).zip(texts).map(piece).collect()
}

/// A folder for temporary files: in memory if possible, because creating a file on disk takes
/// longer than rendering a page.
fn room() -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("opsbook-pages-");
    let room = builder
        .tempdir_in("/dev/shm")
        .or_else(|_| builder.tempdir());
    room.context("cannot make a temporary folder")
}

/// The settings of a part: a theme that shows only the content of a page.
fn bare(context: &RenderContext, room: &Path) -> Result<RenderContext> {
    let theme = room.join("theme");
    for folder in ["css", "fonts"] {
        std::fs::create_dir_all(theme.join(folder))?;
    }
    for file in UNUSED {
        std::fs::write(theme.join(file), "")?;
    }
    std::fs::write(theme.join("index.hbs"), "{{{content}}}")?;
    let root = room.join("root");
    std::fs::create_dir_all(root.join(&context.config.book.src))?;

    let mut config = context.config.clone();
    let mut html: HtmlConfig = config.get("output.html")?.unwrap_or_default();
    html.theme = Some(theme);
    html.additional_css.clear();
    html.additional_js.clear();
    html.redirect.clear();
    html.hash_files = false;
    html.input_404 = Some(String::new());
    html.cname = None;
    let mut print = Print::default();
    print.enable = false;
    html.print = print;
    let mut search = Search::default();
    search.enable = false;
    html.search = Some(search);
    config.set("output.html", html)?;
    let destination = room.join("none");
    Ok(RenderContext::new(&root, Book::new(), config, destination))
}

#[cfg(test)]
#[path = "shards_tests.rs"]
mod tests;
