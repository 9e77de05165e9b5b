//! `nav` of `mkdocs.yml`. Only that part of the file is read: the rest may use tags that belong
//! to MkDocs and its plugins.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::{Item, MAX_DEPTH, Pages};
use crate::files::normal;
use crate::source::{Passage, Problem, Severity, Source, Span};
use crate::yaml::{self, Value, Yaml};

pub(super) fn items(
    source: &Arc<Source>,
    pages: &Pages<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Item> {
    let read = |key: &str, problems: &mut Vec<Problem>| {
        let range = part(&source.text, key)?;
        let mut passage = Passage::default();
        passage.push(&source.text[range.clone()], source, range.start);
        let (yaml, found) = yaml::read(&passage);
        problems.extend(found.into_iter().map(|problem| Problem {
            severity: Severity::Warning,
            ..problem
        }));
        match yaml?.value {
            Value::Map(mut map) => map.shift_remove(key).map(|entry| entry.value),
            _ => None,
        }
    };
    let folder = read("docs_dir", &mut Vec::new());
    let folder = folder.as_ref().and_then(Yaml::text).unwrap_or("docs");
    let Some(nav) = read("nav", problems) else {
        return Vec::new();
    };
    let mut list = List {
        folder: Path::new(folder),
        pages,
        problems,
    };
    list.items(&nav, MAX_DEPTH)
}

/// The top level key with all that belongs to it.
fn part(text: &str, key: &str) -> Option<Range<usize>> {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let goes_on = line.starts_with([' ', '\t', '-', '#', '\r', '\n']);
        match start {
            Some(start) if !goes_on => return Some(start..at),
            None if line
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with(':')) =>
            {
                start = Some(at);
            }
            _ => {}
        }
        at += line.len();
    }
    start.map(|start| start..text.len())
}

struct List<'a> {
    folder: &'a Path,
    pages: &'a Pages<'a>,
    problems: &'a mut Vec<Problem>,
}

impl List<'_> {
    fn items(&mut self, yaml: &Yaml, depth: usize) -> Vec<Item> {
        let Value::Seq(items) = &yaml.value else {
            return Vec::new();
        };
        if depth == 0 {
            return Vec::new();
        }
        items
            .iter()
            .flat_map(|item| self.item(item, depth))
            .collect()
    }

    fn item(&mut self, yaml: &Yaml, depth: usize) -> Vec<Item> {
        match &yaml.value {
            Value::Map(map) => map
                .iter()
                .filter_map(|(title, entry)| {
                    let list = matches!(entry.value.value, Value::Seq(_));
                    Some(Item {
                        title: Some(title.clone()).filter(|title| !title.is_empty()),
                        page: if list {
                            None
                        } else {
                            Some(self.page(&entry.value)?)
                        },
                        items: self.items(&entry.value, depth - 1),
                    })
                })
                .collect(),
            _ => self
                .page(yaml)
                .map(|page| Item {
                    title: None,
                    page: Some(page),
                    items: Vec::new(),
                })
                .into_iter()
                .collect(),
        }
    }

    /// The page, where it is one of the manual. A link to elsewhere is no page.
    fn page(&mut self, yaml: &Yaml) -> Option<std::path::PathBuf> {
        let named = yaml.text()?;
        if named.is_empty() || named.contains("://") || named.contains('*') {
            return None;
        }
        let page = normal(&self.folder.join(named));
        let page = page.strip_prefix(normal(self.pages.folder)).ok()?;
        if self.pages.below.contains(page) {
            return (page.extension()? == "md").then(|| page.to_owned());
        }
        self.problems.push(missing(named, &yaml.span));
        None
    }
}

fn missing(named: &str, span: &Span) -> Problem {
    let message = format!("`{named}`: there is no such file");
    Problem::warning("missing-page", span.clone(), message)
}
