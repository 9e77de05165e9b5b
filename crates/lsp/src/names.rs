//! The meaning of the name at a place, its definition, and its uses.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use lsp_types::{Location, Position};

use crate::files::normal;
use crate::manual::{Procedure, Step};
use crate::place::{Columns, uri};
use crate::snapshot::Snapshot;
use crate::source::{Source, Span};

/// A name in a text, by kind.
#[derive(Debug, PartialEq, Eq)]
pub enum Name<'t> {
    /// `$port`, `${port}`, `{{ port }}`.
    Value(&'t str),
    /// `@web`
    Group(&'t str),
    /// A node, a procedure, a group of checks, a step, a check, a file.
    Word(&'t str),
}

impl Name<'_> {
    pub fn text(&self) -> &str {
        match self {
            Name::Value(name) | Name::Group(name) | Name::Word(name) => name,
        }
    }
}

/// The name at an offset, and its range without `$`, `@` and braces.
pub fn at(text: &str, byte: usize) -> Option<(Name<'_>, Range<usize>)> {
    let part = |letter: char| letter.is_alphanumeric() || "_-./:".contains(letter);
    let byte = byte.min(text.len());
    let start = text[..byte]
        .char_indices()
        .rev()
        .take_while(|(_, letter)| part(*letter))
        .last()
        .map_or(byte, |(at, _)| at);
    let end = text[byte..].find(|letter| !part(letter));
    let end = end.map_or(text.len(), |at| byte + at);
    let before = &text[..start];
    let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let value = before.ends_with('$')
        || before.ends_with("${")
        || before.trim_end_matches(' ').ends_with("{{");
    if value {
        let end = text[start..].find(|letter| !letters(letter));
        let end = end.map_or(text.len(), |at| start + at);
        return (end > start && byte <= end).then(|| (Name::Value(&text[start..end]), start..end));
    }
    // A full stop or a colon at the end belongs to the sentence.
    let word = text[start..end].trim_end_matches(['.', ':', '/', '-']);
    if word.is_empty() || byte > start + word.len() {
        return None;
    }
    let range = start..start + word.len();
    let name = if before.ends_with('@') {
        Name::Group(word)
    } else {
        Name::Word(word)
    };
    Some((name, range))
}

/// The definitions of a name: several if several layers define a value.
pub fn definitions(
    snapshot: &Snapshot,
    file: &Path,
    byte: usize,
    name: &Name<'_>,
    columns: Columns,
) -> Vec<Location> {
    let spans = match name {
        Name::Value(name) => values(snapshot, file, byte, name),
        Name::Group(name) => snapshot
            .project
            .nodes
            .group_place(name)
            .into_iter()
            .cloned()
            .collect(),
        Name::Word(name) => words(snapshot, file, byte, name),
    };
    let mut found: Vec<Location> = Vec::new();
    for span in &spans {
        let location = snapshot.location(columns, span);
        found.extend(location.filter(|location| !found.contains(location)));
    }
    if let (Name::Word(name), true) = (name, found.is_empty()) {
        found.extend(of_file(snapshot, file, name));
    }
    found
}

fn values(snapshot: &Snapshot, file: &Path, byte: usize, name: &str) -> Vec<Span> {
    let procedure = snapshot.procedure_at(file, byte);
    let param = procedure.and_then(|procedure| procedure.params.get(name));
    let captures = procedure.into_iter().flat_map(|procedure| &procedure.steps);
    let captures = captures.filter(|step| step.capture.as_deref() == Some(name));
    let role = procedure.and_then(|procedure| procedure.roles.get(name));
    let own = param.map(|param| param.span.clone()).into_iter();
    let own = own.chain(role.map(|role| role.span.clone()));
    let own: Vec<Span> = own.chain(captures.map(|step| step.span.clone())).collect();
    if !own.is_empty() {
        return own;
    }
    let mut spans = Vec::new();
    for node in snapshot.nodes() {
        if let Some(value) = node.leaves.get(name) {
            let origins = std::iter::once(&value.origin).chain(&value.overrode);
            spans.extend(origins.filter_map(|origin| origin.span.clone()));
        }
    }
    let mut seen = BTreeSet::new();
    spans.retain(|span| seen.insert((span.path().to_owned(), span.start)));
    spans
}

fn words(snapshot: &Snapshot, file: &Path, byte: usize, name: &str) -> Vec<Span> {
    let manual = &snapshot.project.manual;
    let named = |step: &Step| step.id.as_deref() == Some(name);
    let procedures = manual.procedures.get(name).map(|procedure| &procedure.span);
    let groups = manual.groups.get(name).map(|group| &group.span);
    let node = snapshot.project.nodes.place(name);
    let mut spans: Vec<Span> = { procedures.into_iter().chain(groups).chain(node) }
        .cloned()
        .collect();
    let checks = manual.groups.values().flat_map(|group| &group.checks);
    let checks = checks.filter(|check| check.name == name);
    spans.extend(checks.map(|check| check.span.clone()));
    if let Some((procedure, rest)) = name.split_once('/') {
        let procedure = manual.procedures.get(procedure);
        spans.extend(procedure.and_then(|procedure| within(procedure, rest)));
    }
    if spans.is_empty() {
        let own = snapshot.procedure_at(file, byte);
        let steps = own.into_iter().flat_map(|procedure| &procedure.steps);
        spans.extend(
            steps
                .filter(|step| named(step))
                .map(|step| step.span.clone()),
        );
        let role = own.and_then(|procedure| procedure.roles.get(name));
        spans.extend(role.map(|role| role.span.clone()));
    }
    spans
}

/// A step or a check of a procedure.
fn within(procedure: &Procedure, name: &str) -> Option<Span> {
    let mut steps = procedure.steps.iter();
    let step = steps.find(|step| step.id.as_deref() == Some(name));
    let full = format!("{}/{name}", procedure.id);
    let check = || procedure.checks().find(|check| check.name == full);
    step.map(|step| step.span.clone())
        .or_else(|| check().map(|check| check.span.clone()))
}

/// A file of the project: by its path, relative to the page, or in `templates/`.
pub fn of_file(snapshot: &Snapshot, file: &Path, name: &str) -> Option<Location> {
    let beside = file.parent().unwrap_or(Path::new(""));
    let places = [
        Path::new("").to_owned(),
        beside.to_owned(),
        "templates".into(),
    ];
    let mut places = places.iter().map(|folder| normal(&folder.join(name)));
    let path = places.find(|path| snapshot.project.files.is_file(path))?;
    let start = Position::default();
    Some(Location {
        uri: uri(&snapshot.edited(&path))?,
        range: lsp_types::Range::new(start, start),
    })
}

/// The uses of a name in all pages and node files.
pub fn references(snapshot: &Snapshot, name: &Name<'_>, columns: Columns) -> Vec<Location> {
    let mut found = Vec::new();
    for source in sources(snapshot) {
        let Some(uri) = uri(&snapshot.edited(&source.path)) else {
            continue;
        };
        for (at, _) in source.text.match_indices(name.text()) {
            let range = at..at + name.text().len();
            if means(&source.text, &range, name) {
                let range = columns.range(&source.text, range);
                found.push(Location {
                    uri: uri.clone(),
                    range,
                });
            }
        }
    }
    found
}

/// Whether this occurrence has the same name, not only a part of another.
fn means(text: &str, range: &Range<usize>, name: &Name<'_>) -> bool {
    match (at(text, range.start + 1), name) {
        (Some((there, found)), _) if there == *name && found == *range => true,
        // In YAML a value is a key, and as an attribute a word: `port: 80`, `capture=port`.
        (_, Name::Value(_)) => {
            let (before, after) = (&text[..range.start], &text[range.end..]);
            let line = before.rsplit('\n').next().unwrap_or_default();
            let opens = line.trim().is_empty()
                || line.ends_with("{ ")
                || line.ends_with('{')
                || line.ends_with(", ");
            (opens && after.starts_with(':')) || line.ends_with("capture=")
        }
        // A step is `install` on its fence, and `web.deploy/install` elsewhere.
        _ => false,
    }
}

/// The texts of all pages and node files.
pub fn sources(snapshot: &Snapshot) -> Vec<std::sync::Arc<Source>> {
    let mut sources: Vec<_> = { snapshot.project.manual.pages.iter() }
        .map(|page| page.source.clone())
        .collect();
    let nodes = &snapshot.project.nodes;
    let places = nodes.names().filter_map(|name| nodes.place(name));
    let groups = nodes
        .group_names()
        .filter_map(|name| nodes.group_place(name));
    for span in places.chain(groups) {
        sources.push(span.source.clone());
    }
    let mut seen = BTreeSet::new();
    sources.retain(|source| seen.insert(source.path.clone()));
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_with_what_stands_before_it() {
        let text = "run web.deploy, on @web at ${port}: $dir/x {{ name }} web1.";
        let at = |part: &str| {
            let byte = text.find(part).unwrap() + 1;
            at(text, byte).map(|(name, range)| (format!("{name:?}"), &text[range]))
        };
        let named = |kind: &str, name| Some((format!("{kind}(\"{name}\")"), name));
        assert_eq!(at("web.deploy"), named("Word", "web.deploy"));
        assert_eq!(at("web at"), named("Group", "web"));
        assert_eq!(at("port}"), named("Value", "port"));
        assert_eq!(at("dir/"), named("Value", "dir"));
        assert_eq!(at("name }"), named("Value", "name"));
        assert_eq!(at("web1."), named("Word", "web1"));
        assert_eq!(at(", on"), None);
    }
}
