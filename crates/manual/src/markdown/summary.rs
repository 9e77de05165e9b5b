//! Reads the pages of the book in order from `SUMMARY.md`, with the book's own parser.
//!
//! That parser reports no places, so a second pass over the text finds the places of links.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mdbook_summary::{SummaryItem, parse_summary};
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use crate::files::normal;
use crate::source::{Problem, Source, Span};

/// The deepest nesting of chapters; the book names each chapter with all its parents.
pub const MAX_LEVELS: usize = 32;

/// A chapter with a file; draft chapters are left out.
#[derive(Clone)]
pub(crate) struct Entry {
    pub title: String,
    /// Relative to the source folder.
    pub path: PathBuf,
    pub span: Span,
    /// Nesting level, from 1.
    pub level: usize,
}

/// Reads the list. If the book refuses it, all its links count as pages, so that their problems are
/// found as well.
pub(crate) fn read(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let links = links(source);
    let places = each_once(&links, problems);
    let text = source.text.trim_start_matches('\u{feff}');
    let summary = match parse_summary(text) {
        Ok(summary) => summary,
        Err(error) => {
            let cause = error.root_cause().to_string();
            if !cause.starts_with("Duplicate file") {
                problems.push(refused(source, &cause));
            }
            let first = |link: &Entry| places.get(&link.path) == Some(&link.span);
            return links.iter().filter(|link| first(link)).cloned().collect();
        }
    };
    let mut entries = Vec::new();
    for item in summary
        .prefix_chapters
        .into_iter()
        .chain(summary.numbered_chapters)
        .chain(summary.suffix_chapters)
    {
        collect(item, 1, &places, source, &mut entries);
    }
    problems.extend(too_deep(&entries));
    entries.retain(|entry| entry.level <= MAX_LEVELS);
    let mut seen = HashSet::new();
    entries.retain(|entry| seen.insert(entry.path.clone()));
    entries
}

/// Reports the first page that is nested too deeply.
fn too_deep(entries: &[Entry]) -> Option<Problem> {
    let first = entries.iter().find(|entry| entry.level > MAX_LEVELS)?;
    let path = first.path.display();
    let message =
        format!("`{path}` is listed deeper than {MAX_LEVELS} levels, which the book does not show");
    Some(Problem::error("bad-summary", first.span.clone(), message))
}

fn collect(
    item: SummaryItem,
    level: usize,
    places: &HashMap<PathBuf, Span>,
    source: &Arc<Source>,
    entries: &mut Vec<Entry>,
) {
    let SummaryItem::Link(link) = item else {
        return;
    };
    if let Some(location) = link.location {
        let path = normal(&location);
        entries.push(Entry {
            title: link.name,
            span: places
                .get(&path)
                .cloned()
                .unwrap_or_else(|| Span::new(source, 0..0)),
            path,
            level,
        });
    }
    for nested in link.nested_items {
        collect(nested, level + 1, places, source, entries);
    }
}

/// All links of the text; links without a path are draft chapters.
fn links(source: &Arc<Source>) -> Vec<Entry> {
    let mut links: Vec<Entry> = Vec::new();
    let mut within = false;
    for (event, range) in Parser::new(&source.text).into_offset_iter() {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) if !dest_url.is_empty() => {
                within = true;
                links.push(Entry {
                    title: String::new(),
                    path: normal(Path::new(&dest_url.replace("%20", " "))),
                    span: Span::new(source, range),
                    level: 1,
                });
            }
            Event::End(TagEnd::Link) => within = false,
            Event::Text(text) | Event::Code(text) if within => {
                if let Some(link) = links.last_mut() {
                    link.title.push_str(&text);
                }
            }
            _ => {}
        }
    }
    links
}

/// The first place of each page; a page may occur only once in a book.
fn each_once(links: &[Entry], problems: &mut Vec<Problem>) -> HashMap<PathBuf, Span> {
    let mut places: HashMap<PathBuf, Span> = HashMap::new();
    for Entry { path, span, .. } in links {
        match places.get(path) {
            None => {
                places.insert(path.clone(), span.clone());
            }
            Some(first) => {
                let message = format!("`{}` is listed twice", path.display());
                problems.push(
                    Problem::error("bad-summary", span.clone(), message)
                        .note(first.clone(), "first listed here"),
                );
            }
        }
    }
    places
}

/// Turns `failed to parse SUMMARY.md line 3, column 1: …` into a problem with its place.
fn refused(source: &Arc<Source>, cause: &str) -> Problem {
    let (line, message) = cause
        .strip_prefix("failed to parse SUMMARY.md line ")
        .and_then(|rest| rest.split_once(", column "))
        .and_then(|(line, rest)| Some((line.parse().ok()?, rest.split_once(": ")?.1)))
        .unwrap_or((1, cause));
    let start: usize = source
        .text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let length = source.text[start..].lines().next().map_or(0, str::len);
    Problem::error(
        "bad-summary",
        Span::new(source, start..start + length),
        format!(
            "mdBook rejects this list of pages: {}",
            message.to_lowercase()
        ),
    )
}
