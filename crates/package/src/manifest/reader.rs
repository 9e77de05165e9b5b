//! Helpers for reading `opsbook.toml` and `opsbook.lock`: tables with known keys, and values of one
//! type, each with its place.

use std::ops::Range;
use std::sync::Arc;

use semver::Version;
use toml::de::{DeTable, DeValue};

use opsbook_text::source::{Problem, Source, Span};

use super::Spanned;

pub(crate) type Table<'t> = DeTable<'t>;
pub(crate) type Item<'t> = toml::Spanned<DeValue<'t>>;

pub(crate) struct Reader<'s> {
    pub source: &'s Arc<Source>,
    pub problems: Vec<Problem>,
}

impl<'s> Reader<'s> {
    pub fn new(source: &'s Arc<Source>) -> Reader<'s> {
        Reader {
            source,
            problems: Vec::new(),
        }
    }

    /// Reads the whole document.
    pub fn document<T>(&mut self, of: impl FnOnce(&mut Reader<'s>, &Table<'_>) -> T) -> T {
        let (document, errors) = DeTable::parse_recoverable(&self.source.text);
        let whole = errors.is_empty();
        for error in errors {
            let span = self.span(error.span().unwrap_or(0..0));
            let problem = Problem::error("bad-package", span, error.message());
            self.problems.push(problem);
        }
        let before = self.problems.len();
        let read = of(self, document.get_ref());
        // In malformed text, keys may seem to be in the wrong table.
        if !whole {
            self.problems.truncate(before);
        }
        read
    }

    pub fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.source, range)
    }

    pub fn known(&mut self, table: &Table<'_>, place: &str, known: &[&'static str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let message = format!("unknown key `{name}` of {place}");
            let problem = Problem::error("unknown-key", self.span(key.span()), message);
            let problem = problem.did_you_mean(name, known.iter().copied());
            self.problems.push(problem);
        }
    }

    /// A nested table, and the place of its name.
    pub fn table<'t>(&mut self, from: &'t Table<'t>, key: &str) -> Option<(&'t Table<'t>, Span)> {
        let (name, value) = from.get_key_value(key)?;
        let span = self.span(name.span());
        if let DeValue::Table(table) = value.get_ref() {
            return Some((table, span));
        }
        self.wrong(value, key, "a table");
        None
    }

    pub fn string(&mut self, table: &Table<'_>, key: &str) -> Option<Spanned<String>> {
        let value = table.get(key)?;
        self.text(value, key)
    }

    pub fn text(&mut self, value: &Item<'_>, key: &str) -> Option<Spanned<String>> {
        let Some(found) = value.get_ref().as_str() else {
            self.wrong(value, key, "text");
            return None;
        };
        Some(Spanned {
            value: found.to_owned(),
            span: self.span(value.span()),
        })
    }

    pub fn boolean(&mut self, table: &Table<'_>, key: &str) -> bool {
        let Some(value) = table.get(key) else {
            return false;
        };
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(value, key, "`true` or `false`");
        }
        found.unwrap_or_default()
    }

    pub fn strings(&mut self, table: &Table<'_>, key: &str) -> Vec<Spanned<String>> {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong(value, key, "a list of texts");
            return Vec::new();
        };
        let texts = list.iter().filter_map(|value| self.text(value, key));
        texts.collect()
    }

    /// A date, or a text.
    pub fn date(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Datetime(date) if date.date.is_some() && date.time.is_none() => {
                Some(date.to_string())
            }
            _ => {
                self.wrong(value, key, "a date such as 2027-03-01");
                None
            }
        }
    }

    /// A required value.
    pub fn wanted<T>(&mut self, value: Option<T>, key: &str, table: &Span) -> Option<T> {
        if value.is_none() {
            let message = format!("`{key}` is missing");
            let problem = Problem::error("bad-package", table.clone(), message);
            self.problems.push(problem);
        }
        value
    }

    /// A version number.
    pub fn version(&mut self, text: Spanned<String>) -> Option<Spanned<Version>> {
        let Spanned { value, span } = text;
        let wrong = match Version::parse(&value) {
            Ok(version) if version.build.is_empty() => {
                let value = version;
                return Some(Spanned { value, span });
            }
            Ok(_) => "a version cannot have build metadata".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("`{value}` is not a valid version: {wrong}");
        let problem = Problem::error("bad-package", span, message);
        self.problems
            .push(problem.hint("three numbers, such as `1.4.2` (semver.org)"));
        None
    }

    pub fn wrong(&mut self, value: &Item<'_>, key: &str, wanted: &str) {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'i']) {
            "an"
        } else {
            "a"
        };
        let message = format!("`{key}` is {wanted}, not {article} {found}");
        let span = self.span(value.span());
        self.problems
            .push(Problem::error("bad-package", span, message));
    }
}
