//! `SUMMARY.md` -> the pages of the book in order, read by the book's own parser.
//!
//! That parser knows no places, so the places of links come from a second look at the text.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mdbook_markdown::pulldown_cmark::{Event, Parser, Tag};
use mdbook_summary::{SummaryItem, parse_summary};

use crate::manual::include::normal;
use crate::source::{Problem, Source, Span};

/// A chapter with a file; drafts have none and are left out.
pub(crate) struct Entry {
    pub title: String,
    /// Relative to the source folder.
    pub path: PathBuf,
    pub span: Span,
}

/// Reads the list; a list that the book refuses is a problem, and gives no pages.
pub(crate) fn read(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let text = source.text.trim_start_matches('\u{feff}');
    let summary = match parse_summary(text) {
        Ok(summary) => summary,
        Err(error) => {
            let cause = error.root_cause().to_string();
            problems.push(refused(source, &cause));
            return Vec::new();
        }
    };
    let places = places(source);
    let mut entries = Vec::new();
    for item in summary
        .prefix_chapters
        .into_iter()
        .chain(summary.numbered_chapters)
        .chain(summary.suffix_chapters)
    {
        collect(item, &places, source, &mut entries);
    }
    entries
}

fn collect(
    item: SummaryItem,
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
        });
    }
    for nested in link.nested_items {
        collect(nested, places, source, entries);
    }
}

fn places(source: &Arc<Source>) -> HashMap<PathBuf, Span> {
    let mut places = HashMap::new();
    for (event, range) in Parser::new(&source.text).into_offset_iter() {
        if let Event::Start(Tag::Link { dest_url, .. }) = event {
            let path = normal(Path::new(&dest_url.replace("%20", " ")));
            places
                .entry(path)
                .or_insert_with(|| Span::new(source, range));
        }
    }
    places
}

/// `failed to parse SUMMARY.md line 3, column 1: …` with its place.
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
            "the book refuses this list of pages: {}",
            message.to_lowercase()
        ),
    )
}
