//! `book.toml` -> the settings that the manual needs; what is wrong in it, with its place.
//! The only place that names `toml`.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::manual::{MarkdownSettings, Settings};
use crate::source::{Problem, Source, Span};

/// Keys of our table; the second half belongs to the book builder.
const OPSBOOK: [&str; 8] = [
    "strict",
    "nodes",
    "command",
    "after",
    "before",
    "renderer",
    "renderers",
    "optional",
];

/// Reads the settings; what cannot be read has its default.
pub(crate) fn read(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Settings {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    for error in errors {
        let span = Span::new(source, error.span().unwrap_or(0..0));
        problems.push(Problem::error("bad-settings", span, error.message()));
    }
    let mut reader = Reader { source, problems };
    let book = table.get_ref();
    reader.known_keys(book);
    let ours = reader.table(book, &["preprocessor", "opsbook"]);
    let html = reader.table(book, &["output", "html"]);
    let switch = |reader: &mut Reader<'_>, key| {
        html.and_then(|html| reader.boolean(html, key))
            .unwrap_or(true)
    };
    Settings {
        strict: ours
            .and_then(|ours| reader.boolean(ours, "strict"))
            .unwrap_or_default(),
        nodes: ours
            .and_then(|ours| reader.string(ours, "nodes"))
            .map(PathBuf::from),
        source: reader
            .table(book, &["book"])
            .and_then(|book| reader.string(book, "src"))
            .map_or_else(|| PathBuf::from("src"), PathBuf::from),
        markdown: MarkdownSettings {
            smart_punctuation: switch(&mut reader, "smart-punctuation"),
            definition_lists: switch(&mut reader, "definition-lists"),
            admonitions: switch(&mut reader, "admonitions"),
        },
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn known_keys(&mut self, book: &DeTable<'_>) {
        let Some(ours) = self.table(book, &["preprocessor", "opsbook"]) else {
            return;
        };
        for key in ours.keys() {
            let name: &str = key.get_ref();
            if !OPSBOOK.contains(&name) {
                let problem = Problem::error(
                    "unknown-key",
                    self.span(key.span()),
                    format!("unknown key `{name}` of `[preprocessor.opsbook]`"),
                );
                self.problems.push(problem.did_you_mean(name, OPSBOOK));
            }
        }
    }

    fn table<'t>(&mut self, from: &'t DeTable<'t>, path: &[&str]) -> Option<&'t DeTable<'t>> {
        let mut table = from;
        for name in path {
            let value = table.get(*name)?;
            let DeValue::Table(inner) = value.get_ref() else {
                self.wrong(value, name, "a table");
                return None;
            };
            table = inner;
        }
        Some(table)
    }

    fn boolean(&mut self, table: &DeTable<'_>, key: &str) -> Option<bool> {
        let value = table.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(value, key, "`true` or `false`");
        }
        found
    }

    fn string(&mut self, table: &DeTable<'_>, key: &str) -> Option<String> {
        let value = table.get(key)?;
        let found = value.get_ref().as_str().map(str::to_owned);
        if found.is_none() {
            self.wrong(value, key, "text");
        }
        found
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, key: &str, wanted: &str) {
        let found = value.get_ref().type_str();
        self.problems.push(Problem::error(
            "bad-settings",
            self.span(value.span()),
            format!("`{key}` is {wanted}, not a {found}"),
        ));
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.source, range)
    }
}
