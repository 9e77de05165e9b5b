//! Links from a page to the files of the project that it names: included texts, templates, and
//! files to deliver.

use std::ops::Range;
use std::path::Path;

use lsp_types::DocumentLink;

use crate::fence;
use crate::names;
use crate::place::Columns;
use crate::snapshot::Snapshot;

/// The most links of a page: each costs a look at the disk.
const MOST: usize = 1_000;
/// The keys whose value is a file, in a block of deliveries.
const KEYS: [&str; 2] = ["template:", "file:"];

pub fn of(snapshot: &Snapshot, file: &Path, text: &str, columns: Columns) -> Vec<DocumentLink> {
    let ranges = included(text).chain(delivered(text)).take(MOST);
    let mut links: Vec<(usize, DocumentLink)> = ranges
        .filter_map(|range| {
            let target = names::of_file(snapshot, file, &text[range.clone()])?;
            let link = DocumentLink {
                range: columns.range(text, range.clone()),
                target: Some(target.uri),
                tooltip: None,
                data: None,
            };
            Some((range.start, link))
        })
        .collect();
    links.sort_by_key(|(at, _)| *at);
    links.into_iter().map(|(_, link)| link).collect()
}

/// The paths in `{{#include PATH:LINES}}` and its kind.
fn included(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("{{#").filter_map(|(open, mark)| {
        let line = text[open..].split('\n').next().unwrap_or_default();
        let words = line
            .split("}}")
            .next()
            .filter(|words| words.len() < line.len())?;
        let (directive, rest) = words[mark.len()..].split_once(' ')?;
        if !directive.ends_with("include") {
            return None;
        }
        let path = rest.trim_start();
        let start = open + words.len() - path.len();
        let path = path.split([':', ' ']).next().unwrap_or_default();
        (!path.is_empty()).then(|| start..start + path.len())
    })
}

/// The values of `template:` and `file:`.
fn delivered(text: &str) -> impl Iterator<Item = Range<usize>> {
    let blocks = fence::all(text).into_iter();
    let blocks = blocks.filter(|fence| fence.kind() == "deliver");
    blocks.flat_map(|fence| {
        let mut found = Vec::new();
        let mut at = fence.body.start;
        for line in text[fence.body].split_inclusive('\n') {
            found.extend(value(line).map(|range| at + range.start..at + range.end));
            at += line.len();
        }
        found
    })
}

fn value(line: &str) -> Option<Range<usize>> {
    let key = KEYS.iter().find_map(|key| {
        let at = line.find(key)?;
        let before = line[..at].trim_end();
        (before.is_empty() || before.ends_with(['-', '{', ','])).then_some(at + key.len())
    })?;
    let rest = line[key..].trim_start_matches([' ', '"', '\'']);
    let start = line.len() - rest.len();
    let path = rest.split([',', '}', '"', '\'', '#', '\n', '\r']).next()?;
    let path = path.trim_end();
    (!path.is_empty()).then(|| start..start + path.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_where_they_are_files() {
        let text = "{{#include a/b.md:2:4}} {{#rustdoc_include c.sh}} {{#title x}} {{#include\n\n```yaml deliver\n- template: site.conf # why\n- {as: x, file: \"d e.txt\"}\nprofile: no\n```\n\n```yaml checks\nfile: no\n```\n";
        let paths = included(text).chain(delivered(text));
        let paths: Vec<&str> = paths.map(|range| &text[range]).collect();
        assert_eq!(paths, ["a/b.md", "c.sh", "site.conf", "d e.txt"]);
    }
}
