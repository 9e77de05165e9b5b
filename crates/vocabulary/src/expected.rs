//! Parses YAML into matchers. Reports errors with their places; never stops at the first.

use indexmap::IndexMap;

use crate::found::{Found, parse_number};
use crate::go_regexp::regexp;
use crate::header::FactKind;
use crate::interpolation::Interpolated;
use crate::matchers::{Comparison, Matcher, octal};
use crate::source::{Problem, Span};
use crate::yaml::{Value, Yaml};
use crate::{json_path, patterns, versions};

const MATCHERS: &[&str] = &[
    "and",
    "consist-of",
    "contain-element",
    "contain-elements",
    "contain-substring",
    "equal",
    "ge",
    "gjson",
    "gt",
    "have-key",
    "have-key-with-value",
    "have-len",
    "have-patterns",
    "have-prefix",
    "have-suffix",
    "le",
    "lt",
    "match-regexp",
    "not",
    "or",
    "semver-constraint",
];

/// Parses the expectation of one fact.
pub fn expected(name: &str, kind: FactKind, yaml: &Yaml) -> Result<Matcher, Vec<Problem>> {
    let mut reader = Reader {
        name,
        mode: kind == FactKind::Mode,
        lines: matches!(kind, FactKind::Lines | FactKind::Headers),
        problems: Vec::new(),
    };
    let matcher = reader.top(kind, yaml);
    match matcher {
        Some(matcher) if reader.problems.is_empty() => Ok(matcher),
        _ => Err(reader.problems),
    }
}

/// The default expectation in a header, `= VALUE`.
#[must_use]
pub fn stated(kind: FactKind, text: &str) -> Matcher {
    match (kind, text) {
        (FactKind::Bool, _) => Matcher::Equal(Found::Bool(text == "true")),
        (FactKind::Mode, _) => Matcher::Mode(Interpolated::literal(text)),
        (FactKind::List | FactKind::Sorted | FactKind::Addresses, "[]") => Matcher::Length(0),
        (FactKind::Int, _) => match parse_number(text) {
            Some(number) => Matcher::Equal(Found::Number(number)),
            None => Matcher::Equal(Found::Text(text.to_owned())),
        },
        _ => Matcher::Equal(Found::Text(text.to_owned())),
    }
}

/// A plain value, as in `content` of `matching`.
#[must_use]
pub fn literal(yaml: &Yaml) -> Found {
    match &yaml.value {
        Value::Null => Found::Absent,
        Value::Bool(value) => Found::Bool(*value),
        Value::Int(..) | Value::Float(..) => Found::Number(number(yaml).unwrap_or(f64::NAN)),
        Value::Str(text) => Found::written(text),
        Value::Seq(items) => Found::List(items.iter().map(literal).collect()),
        Value::Map(map) => Found::Map(
            map.iter()
                .map(|(key, entry)| (key.clone(), literal(&entry.value)))
                .collect::<IndexMap<_, _>>(),
        ),
    }
}

/// Whether a raw text contains a reference, so that it is not known yet.
#[must_use]
pub fn is_open(text: &str) -> bool {
    text.contains("${")
}

struct Reader<'a> {
    name: &'a str,
    mode: bool,
    /// The current value is text of several lines, for which a list means patterns.
    lines: bool,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn top(&mut self, kind: FactKind, yaml: &Yaml) -> Option<Matcher> {
        let fits = match (&yaml.value, kind) {
            (Value::Null, _) => return self.missing(yaml),
            (Value::Str(text), FactKind::Int | FactKind::Days) => {
                if let Some(number) = parse_number(text) {
                    return Some(Matcher::Equal(Found::Number(number)));
                }
                is_open(text)
            }
            (Value::Map(_), _)
            | (_, FactKind::Given)
            | (Value::Seq(_), FactKind::List | FactKind::Sorted | FactKind::Addresses) => true,
            (Value::Seq(_), _) => self.lines,
            (Value::Str(text), FactKind::Bool) => is_open(text),
            (Value::Bool(_), FactKind::Int | FactKind::Days) => false,
            (value, FactKind::Bool) => matches!(value, Value::Bool(_)),
            _ => true,
        };
        if fits {
            return self.any(yaml);
        }
        let message = format!(
            "`{}` must be {}, or a matcher; found {}",
            self.name,
            kind_in_words(kind),
            yaml.kind()
        );
        let problem = Problem::error("wrong-type", yaml.span.clone(), message);
        let problem = match (kind, yaml.text()) {
            (FactKind::Bool, Some("yes" | "on")) => problem.hint("write `true`"),
            (FactKind::Bool, Some("no" | "off")) => problem.hint("write `false`"),
            _ => problem,
        };
        self.problems.push(problem);
        None
    }

    /// A matcher, wherever one is allowed.
    fn any(&mut self, yaml: &Yaml) -> Option<Matcher> {
        match &yaml.value {
            Value::Null => self.missing(yaml),
            Value::Seq(_) if self.lines => self.patterns(yaml),
            Value::Seq(items) => {
                let matchers = self.some(yaml, items)?;
                Some(Matcher::Elements(matchers))
            }
            Value::Map(map) => {
                let mut entries = map.iter();
                match (entries.next(), entries.next()) {
                    (Some((name, entry)), None) => {
                        self.named(&name.replace('_', "-"), &entry.key, &entry.value)
                    }
                    (None, _) => self.wrong(&yaml.span, "an empty map asserts nothing"),
                    (Some(_), Some((_, second))) => {
                        let problem = Problem::error(
                            "two-matchers",
                            second.key.clone(),
                            format!("`{}` has a second matcher in one map", self.name),
                        );
                        self.problems
                            .push(problem.hint("list them under `and` or `or`"));
                        None
                    }
                }
            }
            _ if self.mode => self.octal(yaml),
            _ => Some(Matcher::Equal(literal(yaml))),
        }
    }

    fn named(&mut self, name: &str, key: &Span, yaml: &Yaml) -> Option<Matcher> {
        Some(match name {
            "equal" if self.mode && yaml.text().is_some() => self.octal(yaml)?,
            "equal" => Matcher::Exactly(literal(yaml)),
            "have-prefix" => Matcher::Prefix(self.text(name, yaml)?),
            "have-suffix" => Matcher::Suffix(self.text(name, yaml)?),
            "contain-substring" => Matcher::Substring(self.text(name, yaml)?),
            "match-regexp" => {
                let text = self.text(name, yaml)?;
                if !text.is_open() {
                    self.check(yaml, regexp(&text).map(|_| ()))?;
                }
                Matcher::Regexp(text)
            }
            "semver-constraint" => {
                let text = self.text(name, yaml)?;
                if let Some(text) = text.known() {
                    self.check(yaml, versions::check(&text))?;
                }
                Matcher::Semver(text)
            }
            "have-len" => match &yaml.value {
                Value::Int(length, _) if *length >= 0 => {
                    Matcher::Length(usize::try_from(*length).unwrap_or(usize::MAX))
                }
                _ => return self.wrong(&yaml.span, "`have-len` takes a number"),
            },
            "have-patterns" => self.patterns(yaml)?,
            "have-key" => Matcher::Key(Box::new(self.item(|reader| reader.any(yaml))?)),
            "have-key-with-value" => {
                Matcher::Entries(self.item(|reader| reader.entries(name, yaml))?)
            }
            "gjson" => {
                let entries = self.item(|reader| reader.entries(name, yaml))?;
                for (path, _) in entries.iter().filter(|(path, _)| !is_open(path)) {
                    self.check(yaml, json_path::check(path))?;
                }
                Matcher::Json(entries)
            }
            "contain-element" => match &yaml.value {
                Value::Seq(_) | Value::Null | Value::Bool(_) => {
                    return self.wrong(
                        &yaml.span,
                        "`contain-element` takes one value or matcher; `contain-elements` takes a list",
                    );
                }
                _ => Matcher::Element(Box::new(self.item(|reader| reader.any(yaml))?)),
            },
            "contain-elements" => Matcher::Elements(self.item(|reader| reader.list(name, yaml))?),
            // The only list that may be empty: it requires that nothing is found.
            "consist-of" if matches!(&yaml.value, Value::Seq(items) if items.is_empty()) => {
                Matcher::ConsistOf(Vec::new())
            }
            "consist-of" => Matcher::ConsistOf(self.item(|reader| reader.list(name, yaml))?),
            "and" => Matcher::And(self.list(name, yaml)?),
            "or" => Matcher::Or(self.list(name, yaml)?),
            "not" => Matcher::Not(Box::new(self.any(yaml)?)),
            "gt" => Matcher::Compare(Comparison::Greater, self.number(name, yaml)?),
            "ge" => Matcher::Compare(Comparison::GreaterOrEqual, self.number(name, yaml)?),
            "lt" => Matcher::Compare(Comparison::Less, self.number(name, yaml)?),
            "le" => Matcher::Compare(Comparison::LessOrEqual, self.number(name, yaml)?),
            "xml" => return self.wrong(key, "the matcher `xml` is not supported"),
            other => {
                let message = format!("unknown matcher `{other}`");
                let problem = Problem::error("unknown-matcher", key.clone(), message);
                self.problems
                    .push(problem.did_you_mean(other, MATCHERS.iter().copied()));
                return None;
            }
        })
    }

    /// Parses the expectation of a part of the value, which is not text of several lines.
    fn item<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let lines = std::mem::take(&mut self.lines);
        let read = read(self);
        self.lines = lines;
        read
    }

    fn list(&mut self, name: &str, yaml: &Yaml) -> Option<Vec<Matcher>> {
        match &yaml.value {
            Value::Seq(items) => self.some(yaml, items),
            _ => self.wrong(&yaml.span, &format!("`{name}` takes a list")),
        }
    }

    fn some(&mut self, yaml: &Yaml, items: &[Yaml]) -> Option<Vec<Matcher>> {
        if items.is_empty() {
            return self.empty(yaml, "write `{consist-of: []}` to expect nothing");
        }
        let matchers: Vec<_> = items.iter().map(|item| self.any(item)).collect();
        matchers.into_iter().collect()
    }

    fn entries(&mut self, name: &str, yaml: &Yaml) -> Option<Vec<(String, Matcher)>> {
        let Value::Map(map) = &yaml.value else {
            return self.wrong(&yaml.span, &format!("`{name}` takes a map"));
        };
        let entries: Vec<_> = map
            .iter()
            .map(|(key, entry)| Some((key.clone(), self.any(&entry.value)?)))
            .collect();
        entries.into_iter().collect()
    }

    fn patterns(&mut self, yaml: &Yaml) -> Option<Matcher> {
        let Value::Seq(items) = &yaml.value else {
            return self.wrong(&yaml.span, "patterns are a list");
        };
        if items.is_empty() {
            return self.empty(yaml, "write `\"\"` to expect no text");
        }
        // With a map among them, the list means elements, not patterns.
        if items.iter().any(|item| matches!(item.value, Value::Map(_))) {
            let matchers = self.item(|reader| reader.some(yaml, items))?;
            return Some(Matcher::Elements(matchers));
        }
        let mut texts = Vec::new();
        for item in items {
            let text = self.text("a pattern", item)?;
            if !text.is_open() {
                self.check(item, patterns::check(&text))?;
            }
            texts.push(text);
        }
        Some(Matcher::Patterns(texts))
    }

    fn octal(&mut self, yaml: &Yaml) -> Option<Matcher> {
        let text = yaml.text().unwrap_or_default();
        if is_open(text) || octal(text).is_some() {
            return Some(Matcher::Mode(Interpolated::read(text)));
        }
        self.wrong(
            &yaml.span,
            &format!("`{text}` is not an octal mode, such as `\"0644\"`"),
        )
    }

    fn number(&mut self, name: &str, yaml: &Yaml) -> Option<Interpolated> {
        match yaml.text() {
            Some(text) if is_open(text) => Some(Interpolated::read(text)),
            Some(_) => match number(yaml) {
                Some(number) => {
                    let number = super::matchers::literal_number(number);
                    Some(Interpolated::literal(&number))
                }
                None => self.wrong(&yaml.span, &format!("`{name}` takes a number")),
            },
            None => self.wrong(&yaml.span, &format!("`{name}` takes a number")),
        }
    }

    fn text(&mut self, name: &str, yaml: &Yaml) -> Option<Interpolated> {
        match (yaml.text(), &yaml.value) {
            (None, _) | (_, Value::Null) => self.wrong(
                &yaml.span,
                &format!("{} is text; found {}", quoted(name), yaml.kind()),
            ),
            (Some(text), _) => Some(Interpolated::read(text)),
        }
    }

    fn check(&mut self, yaml: &Yaml, result: Result<(), String>) -> Option<()> {
        match result {
            Ok(()) => Some(()),
            Err(message) => self.wrong(&yaml.span, &message),
        }
    }

    fn missing<T>(&mut self, yaml: &Yaml) -> Option<T> {
        let message = format!("`{}` has no value", self.name);
        self.wrong(&yaml.span, &message)
    }

    fn empty<T>(&mut self, yaml: &Yaml, hint: &str) -> Option<T> {
        let message = format!("an empty list in `{}` asserts nothing", self.name);
        let problem = Problem::error("empty-list", yaml.span.clone(), message);
        self.problems
            .push(problem.hint(format!("leave it out; {hint}")));
        None
    }

    fn wrong<T>(&mut self, span: &Span, message: &str) -> Option<T> {
        self.problems
            .push(Problem::error("bad-matcher", span.clone(), message));
        None
    }
}

/// The number of a scalar, in any YAML notation.
fn number(yaml: &Yaml) -> Option<f64> {
    match &yaml.value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers are compared as in goss"
        )]
        Value::Int(value, text) => Some(parse_number(text).unwrap_or(*value as f64)),
        Value::Float(value, _) => Some(*value),
        Value::Str(text) => parse_number(text),
        _ => None,
    }
}

fn kind_in_words(kind: FactKind) -> &'static str {
    match kind {
        FactKind::Bool => "`true` or `false`",
        FactKind::Int | FactKind::Days => "a number",
        FactKind::Text => "text",
        FactKind::Mode => "an octal mode",
        FactKind::List | FactKind::Sorted | FactKind::Addresses => "a list",
        FactKind::Lines | FactKind::Headers => "text or a list of patterns",
        FactKind::Given => "a value",
    }
}

fn quoted(name: &str) -> String {
    if name.contains(' ') {
        name.to_owned()
    } else {
        format!("`{name}`")
    }
}
