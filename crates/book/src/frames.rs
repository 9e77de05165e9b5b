//! Renders the frame of a page only once: mdBook renders a sample page whose content, title and
//! neighbours are marks, and each page of a large book fills them.
//!
//! mdBook evaluates its template for each page, and copies the list of all chapters each time, so
//! its time grows with the square of the number of pages. Of all the template's inputs, a page's
//! folder depth determines the prefix of its links, and its position whether it has a previous and
//! a next page. So a few sample pages represent all.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use mdbook_driver::config::HtmlConfig;
use mdbook_html::HtmlHandlebars;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_renderer::{RenderContext, Renderer};

use super::about::About;
use super::contents;
use super::links::html_of;

/// The prefix of all marks.
const MARK: &str = "opsbook-frame-";
/// The folder of the sample pages.
const FOLDER: &str = "opsbook-frames";
/// A theme's templates for pages.
const TEMPLATES: [&str; 3] = ["index.hbs", "header.hbs", "head.hbs"];
/// Page variables in mdBook's own templates.
const SAID: [&str; 9] = [
    "title",
    "{content}",
    "#if previous",
    "previous.link",
    "#if next",
    "next.link",
    "git_repository_edit_url",
    "#if git_repository_edit_url",
    "#if fragment_map",
];
/// Variables that differ between pages.
const OF_PAGES: [&str; 10] = [
    "title",
    "content",
    "previous",
    "next",
    "path",
    "section",
    "chapter_title",
    "git_repository_edit_url",
    "is_index",
    "fragment_map",
];

/// Whether a theme uses only the page variables of mdBook's own templates.
pub(super) fn possible(theme: &Path) -> bool {
    TEMPLATES.iter().all(|name| {
        let text = std::fs::read_to_string(theme.join(name)).unwrap_or_default();
        text.split("{{").skip(1).all(|rest| {
            let said = rest.split("}}").next().unwrap_or_default().trim();
            let word = |word: &str| OF_PAGES.contains(&word) || word == "chapters";
            let mut words = said.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            !said.starts_with("#toc") && (!words.any(word) || SAID.contains(&said))
        })
    })
}

/// The kind of place that determines a page's frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    First,
    Last,
    /// The folder depth.
    Within(usize),
    /// The page with this index, some of whose addresses differ.
    Own(usize),
    /// The copy of the first page.
    Index,
}

/// A sample page.
struct Sample {
    place: Place,
    /// The path of its Markdown.
    path: PathBuf,
    mark: String,
}

#[derive(Clone, Copy)]
enum Slot {
    Title,
    Content,
    Previous,
    Next,
    Source,
    Foot,
}

enum Piece {
    Text(String),
    Slot(Slot),
}

/// A page, cut at its marks.
struct Frame(Vec<Piece>);

/// The frames of a book.
pub(super) struct Frames<'a> {
    of: HashMap<Place, Frame>,
    about: Option<&'a About>,
    chapters: &'a [Chapter],
    book_title: String,
    titles: HashMap<PathBuf, String>,
}

/// Renders a book of sample pages into the destination, with everything except pages: styles,
/// scripts, contents, an empty print page. `dress` post-processes the files. `context` contains the
/// list of the book, `chapters` its pages.
pub(super) fn render<'a>(
    context: &RenderContext,
    chapters: &'a [Chapter],
    about: Option<&'a About>,
    dress: impl FnOnce(&Path) -> Result<()>,
) -> Result<Frames<'a>> {
    let html: HtmlConfig = context.config.get("output.html")?.unwrap_or_default();
    let samples = samples(&html, chapters)?;
    let destination = &context.destination;
    HtmlHandlebars::new().render(&marked(context, &html, chapters, &samples)?)?;
    contents::put(destination, &context.book.items, &html)?;
    dress(destination)?;

    let mut of = HashMap::new();
    let index = std::fs::read_to_string(destination.join("index.html"))?;
    of.insert(Place::Index, Frame::of(&index, &samples, 0, about));
    for (number, sample) in samples.iter().enumerate() {
        let path = destination.join(sample.path.with_extension("html"));
        let html = std::fs::read_to_string(&path)?;
        std::fs::remove_file(&path)?;
        let frame = Frame::of(&html, &samples, number, about);
        of.insert(sample.place.clone(), frame);
    }
    let folder = destination.join(FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(Frames {
        of,
        about,
        chapters,
        book_title: context.config.book.title.clone().unwrap_or_default(),
        titles: context.chapter_titles.clone(),
    })
}

/// A sample page for each kind of place in the book.
fn samples(html: &HtmlConfig, chapters: &[Chapter]) -> Result<Vec<Sample>> {
    let pages: HashMap<PathBuf, usize> = chapters.iter().map(html_of).zip(0..).collect();
    let mut own = BTreeSet::new();
    for from in html.redirect.keys() {
        let (page, anchor) = from.split_once('#').unwrap_or((from, ""));
        let Some(number) = pages.get(Path::new(page.trim_start_matches('/'))) else {
            continue;
        };
        if anchor.is_empty() {
            bail!(
                "`[output.html.redirect]` leads away from `{page}`, which is a page of the book: \
                 delete the line, or the page"
            );
        }
        own.insert(*number);
    }
    let last = chapters.len() - 1;
    let depths: BTreeSet<usize> = chapters.iter().map(depth).collect();
    let within = depths
        .into_iter()
        .map(|depth| (Place::Within(depth), depth));
    let own = own.range(1..last);
    let own = own.map(|number| (Place::Own(*number), depth(&chapters[*number])));
    let places = std::iter::once((Place::First, depth(&chapters[0])))
        .chain(within)
        .chain(own)
        .chain([(Place::Last, depth(&chapters[last]))]);
    let sample = |((place, depth), number): ((Place, usize), usize)| {
        let mark = format!("{MARK}{number}");
        let folders: PathBuf = std::iter::repeat_n(FOLDER, depth).collect();
        let path = folders.join(format!("{mark}.md"));
        Sample { place, path, mark }
    };
    Ok(places.zip(0..).map(sample).collect())
}

/// The book of sample pages.
fn marked(
    context: &RenderContext,
    html: &HtmlConfig,
    chapters: &[Chapter],
    samples: &[Sample],
) -> Result<RenderContext> {
    let mut redirect = html.redirect.clone();
    let mut titles = HashMap::new();
    let mut items = Vec::new();
    for sample in samples {
        let content = format!("{}-content\n", sample.mark);
        let chapter = Chapter::new(&sample.mark, content, &sample.path, Vec::new());
        titles.insert(sample.path.clone(), format!("{}-title", sample.mark));
        items.push(BookItem::Chapter(chapter));
        let number = match sample.place {
            Place::First => 0,
            Place::Last => chapters.len() - 1,
            Place::Own(number) => number,
            Place::Within(_) | Place::Index => continue,
        };
        let page = format!("/{}#", html_of(&chapters[number]).display());
        let own = sample.path.with_extension("html");
        for (from, to) in &html.redirect {
            if let Some(anchor) = from.strip_prefix(&page) {
                redirect.remove(from);
                redirect.insert(format!("/{}#{anchor}", own.display()), to.clone());
            }
        }
    }
    let mut marked = RenderContext::new(
        &context.root,
        Book::new_with_items(items),
        context.config.clone(),
        &context.destination,
    );
    marked.chapter_titles = titles;
    marked.config.set("output.html.redirect", redirect)?;
    Ok(marked)
}

impl Frame {
    fn of(html: &str, samples: &[Sample], number: usize, about: Option<&About>) -> Frame {
        let own = &samples[number];
        let link = |sample: &Sample| sample.path.with_extension("html").display().to_string();
        let before = number.checked_sub(1).map(|before| &samples[before]);
        let after = samples.get(number + 1);
        let marks = [
            (Some(format!("{}-title", own.mark)), Slot::Title),
            (
                Some(format!("<p>{}-content</p>\n", own.mark)),
                Slot::Content,
            ),
            (before.map(link), Slot::Previous),
            (after.map(link), Slot::Next),
            (Some(own.path.display().to_string()), Slot::Source),
            (about.map(|about| about.foot.clone()), Slot::Foot),
        ];
        let marks = marks.into_iter();
        let marks: Vec<(String, Slot)> = marks
            .filter_map(|(mark, slot)| Some((mark?, slot)))
            .collect();
        let mut pieces = Vec::new();
        let mut rest = html;
        loop {
            let found = marks
                .iter()
                .filter_map(|(mark, slot)| Some((rest.find(mark)?, mark, slot)));
            let Some((at, mark, slot)) = found.min_by_key(|(at, ..)| *at) else {
                pieces.push(Piece::Text(rest.to_owned()));
                return Frame(pieces);
            };
            pieces.push(Piece::Text(rest[..at].to_owned()));
            pieces.push(Piece::Slot(*slot));
            rest = &rest[at + mark.len()..];
        }
    }
}

impl Frames<'_> {
    /// The page with this index, with its content in its frame.
    pub(super) fn page(&self, number: usize, content: &str) -> Result<String> {
        let chapter = &self.chapters[number];
        let place = match number {
            0 => Place::First,
            last if last + 1 == self.chapters.len() => Place::Last,
            _ if self.of.contains_key(&Place::Own(number)) => Place::Own(number),
            _ => Place::Within(depth(chapter)),
        };
        self.filled(&place, number, content)
    }

    /// The copy of the first page, for `index.html`.
    pub(super) fn index(&self, content: &str) -> Result<String> {
        self.filled(&Place::Index, 0, content)
    }

    fn filled(&self, place: &Place, number: usize, content: &str) -> Result<String> {
        let chapter = &self.chapters[number];
        let Frame(pieces) = self.of.get(place).context("a page has no frame")?;
        let page = match place {
            Place::Index => PathBuf::from("index.html"),
            _ => html_of(chapter),
        };
        let link = |number: Option<usize>| {
            let chapter = number.and_then(|number| self.chapters.get(number));
            escaped(&chapter.map(html_of).unwrap_or_default().to_string_lossy())
        };
        let mut html = String::with_capacity(content.len() + 32 * 1024);
        for piece in pieces {
            let slot = match piece {
                Piece::Text(text) => {
                    html.push_str(text);
                    continue;
                }
                Piece::Slot(slot) => slot,
            };
            match slot {
                Slot::Content => html.push_str(content),
                Slot::Title => html.push_str(&escaped(&self.title(chapter))),
                Slot::Previous => html.push_str(&link(number.checked_sub(1))),
                Slot::Next => html.push_str(&link(Some(number + 1))),
                Slot::Source => {
                    let source = chapter.source_path.as_deref().unwrap_or(Path::new(""));
                    html.push_str(&escaped(&source.to_string_lossy()));
                }
                Slot::Foot => {
                    let foot = self.about.map(|about| about.foot_of(&page));
                    html.push_str(&foot.unwrap_or_default());
                }
            }
        }
        Ok(html)
    }

    /// The browser title of a page.
    fn title(&self, chapter: &Chapter) -> String {
        let set = chapter.path.as_ref().and_then(|path| self.titles.get(path));
        match set {
            Some(title) => title.clone(),
            None if self.book_title.is_empty() => chapter.name.clone(),
            None => format!("{} - {}", chapter.name, self.book_title),
        }
    }
}

fn depth(chapter: &Chapter) -> usize {
    let path = chapter.path.as_deref().unwrap_or(Path::new(""));
    path.components().count().saturating_sub(1)
}

/// Escapes like the template engine (Handlebars): pages must be the same, byte for byte.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            '`' => out.push_str("&#x60;"),
            '=' => out.push_str("&#x3D;"),
            c => out.push(c),
        }
    }
    out
}
