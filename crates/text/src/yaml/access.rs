//! Typed access to values. The errors say what was found instead.

use super::{Map, Value, Yaml};
use crate::source::Problem;

impl Yaml {
    /// The map, if it is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, if it is one.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Yaml]> {
        match &self.value {
            Value::Seq(values) => Some(values),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The integer, if it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self.value {
            Value::Int(value, _) => Some(value),
            _ => None,
        }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The value of a key; `None` if this is not a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        Some(&self.as_map()?.get(key)?.value)
    }

    /// The number of values in it, including itself.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + match &self.value {
            Value::Seq(values) => values.iter().map(Yaml::count).sum(),
            Value::Map(map) => map.values().map(|entry| entry.value.count()).sum(),
            _ => 0,
        }
    }

    /// The map; otherwise an error at its place.
    pub fn expect_map(&self) -> Result<&Map, Problem> {
        self.as_map().ok_or_else(|| self.mismatch("a map"))
    }

    /// The list; otherwise an error at its place.
    pub fn expect_seq(&self) -> Result<&[Yaml], Problem> {
        self.as_seq().ok_or_else(|| self.mismatch("a list"))
    }

    /// A text, or a number or boolean as written; not null.
    pub fn expect_text(&self) -> Result<&str, Problem> {
        match self.text() {
            Some(text) if !self.is_null() => Ok(text),
            _ => Err(self.mismatch("text")),
        }
    }

    /// The boolean; otherwise an error at its place.
    pub fn expect_bool(&self) -> Result<bool, Problem> {
        let problem = || match self.text().map(str::to_lowercase).as_deref() {
            Some("yes" | "on" | "y") => self.mismatch("`true` or `false`").hint("write `true`"),
            Some("no" | "off" | "n") => self.mismatch("`true` or `false`").hint("write `false`"),
            _ => self.mismatch("`true` or `false`"),
        };
        self.as_bool().ok_or_else(problem)
    }

    /// The integer; otherwise an error at its place.
    pub fn expect_int(&self) -> Result<i64, Problem> {
        self.as_int().ok_or_else(|| self.mismatch("a whole number"))
    }

    /// A list of texts; a single text counts as a list of one.
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

/// One error for each unknown key of a map.
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
