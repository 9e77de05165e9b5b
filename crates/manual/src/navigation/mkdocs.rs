//! Reads `nav` from `mkdocs.yml`. Only that part of the file is parsed: the rest may use YAML tags
//! of MkDocs and its plugins.

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

/// Whether `markdown_extensions` names `pymdownx.arithmatex`.
pub(super) fn has_formulas(text: &str) -> bool {
    let part = part(text, "markdown_extensions");
    part.is_some_and(|part| {
        let lines = text[part].lines();
        let mut lines = lines.filter_map(|line| line.split('#').next());
        lines.any(|line| line.contains("pymdownx.arithmatex"))
    })
}

/// The lines of a top-level key and its value.
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
                    let title = Some(title.clone()).filter(|title| !title.is_empty());
                    self.entry(title, &entry.value, depth)
                })
                .collect(),
            _ => self.entry(None, yaml, depth).into_iter().collect(),
        }
    }

    /// A page, a section, or a folder that means all its pages. External links are ignored.
    fn entry(&mut self, title: Option<String>, yaml: &Yaml, depth: usize) -> Option<Item> {
        if matches!(yaml.value, Value::Seq(_)) {
            return Some(Item {
                title,
                page: None,
                items: self.items(yaml, depth - 1),
            });
        }
        let named = yaml.text()?;
        if named.is_empty() || named.contains("://") || named.contains('*') {
            return None;
        }
        let path = normal(&self.folder.join(named));
        let path = path.strip_prefix(normal(self.pages.folder)).ok()?;
        if self.pages.below.contains(path) {
            return is_page(path).then(|| Item {
                title,
                page: Some(path.to_owned()),
                items: Vec::new(),
            });
        }
        let items = self.below(path);
        if items.is_empty() {
            self.problems.push(missing(named, &yaml.span));
            return None;
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Some(Item {
            title: title.or(name),
            page: None,
            items,
        })
    }

    fn below(&self, folder: &Path) -> Vec<Item> {
        let pages = self.pages.below.iter();
        let pages = pages.filter(|page| page.starts_with(folder) && is_page(page));
        let items = pages.map(|page| Item {
            title: None,
            page: Some(page.clone()),
            items: Vec::new(),
        });
        items.collect()
    }
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "md")
}

fn missing(named: &str, span: &Span) -> Problem {
    let message = format!("`{named}`: there is no such file");
    Problem::warning("missing-page", span.clone(), message)
}
