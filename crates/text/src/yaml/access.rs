//! Taking a tree apart: typed looks at a value, each with the problem that says what was
//! found instead.

use super::{Map, Value, Yaml};
use crate::source::Problem;

impl Yaml {
    /// The map, where it is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, where it is one.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Yaml]> {
        match &self.value {
            Value::Seq(values) => Some(values),
            _ => None,
        }
    }

    /// The truth value, where it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number, where it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self.value {
            Value::Int(value, _) => Some(value),
            _ => None,
        }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The value under a key of a map; nothing where this is no map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        Some(&self.as_map()?.get(key)?.value)
    }

    /// How many values there are in this one, itself included.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + match &self.value {
            Value::Seq(values) => values.iter().map(Yaml::count).sum(),
            Value::Map(map) => map.values().map(|entry| entry.value.count()).sum(),
            _ => 0,
        }
    }

    /// The map; an error at its place where it is none.
    pub fn expect_map(&self) -> Result<&Map, Problem> {
        self.as_map().ok_or_else(|| self.mismatch("a map"))
    }

    /// The list; an error at its place where it is none.
    pub fn expect_seq(&self) -> Result<&[Yaml], Problem> {
        self.as_seq().ok_or_else(|| self.mismatch("a list"))
    }

    /// Text, or a number or bool as it was written; not nothing.
    pub fn expect_text(&self) -> Result<&str, Problem> {
        match self.text() {
            Some(text) if !self.is_null() => Ok(text),
            _ => Err(self.mismatch("text")),
        }
    }

    /// The truth value; an error at its place where it is none.
    pub fn expect_bool(&self) -> Result<bool, Problem> {
        let problem = || match self.text().map(str::to_lowercase).as_deref() {
            Some("yes" | "on" | "y") => self.mismatch("`true` or `false`").hint("write `true`"),
            Some("no" | "off" | "n") => self.mismatch("`true` or `false`").hint("write `false`"),
            _ => self.mismatch("`true` or `false`"),
        };
        self.as_bool().ok_or_else(problem)
    }

    /// The whole number; an error at its place where it is none.
    pub fn expect_int(&self) -> Result<i64, Problem> {
        self.as_int().ok_or_else(|| self.mismatch("a whole number"))
    }

    /// A list of texts; one text alone stands for a list of one.
    pub fn expect_texts(&self) -> Result<Vec<(&str, &Yaml)>, Problem> {
        match self.as_seq() {
            Some(values) => values
                .iter()
                .map(|value| Ok((value.expect_text()?, value)))
                .collect(),
            None => Ok(vec![(self.expect_text()?, self)]),
        }
    }

    /// `expected a map, found a list`, at this value.
    #[must_use]
    pub fn mismatch(&self, expected: &str) -> Problem {
        let found = match &self.value {
            Value::Str(text) if text.chars().count() <= 40 && !text.contains('\n') => {
                format!("text `{text}`")
            }
            Value::Int(_, text) | Value::Float(_, text) => format!("number `{text}`"),
            Value::Bool(value) => format!("`{value}`"),
            _ => self.kind().to_owned(),
        };
        Problem::error(
            "wrong-type",
            self.span.clone(),
            format!("expected {expected}, found {found}"),
        )
    }
}

/// One error for each key of a map that is not known here.
#[must_use]
pub fn unknown_keys(map: &Map, known: &[&str]) -> Vec<Problem> {
    map.iter()
        .filter(|(key, _)| !known.contains(&key.as_str()))
        .map(|(key, entry)| {
            Problem::error(
                "unknown-key",
                entry.key.clone(),
                format!("unknown key `{key}`"),
            )
            .did_you_mean(key, known.iter().copied())
        })
        .collect()
}
