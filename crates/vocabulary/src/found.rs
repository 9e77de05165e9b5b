//! Values that a probe found, and the conversions for matchers, as in goss.

use std::fmt;

use indexmap::IndexMap;

use crate::interpolation::Interpolated;

/// A value found on a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It was looked for and does not exist.
    Absent,
    /// A boolean.
    Bool(bool),
    /// A number; probes report integers.
    Number(f64),
    /// A text.
    Text(String),
    /// Only in expectations: a text with open names.
    Open(Interpolated),
    /// A list.
    List(Vec<Found>),
    /// A map, in the order of its source.
    Map(IndexMap<String, Found>),
}

impl Found {
    /// A text of the author.
    #[must_use]
    pub fn written(text: &str) -> Found {
        let read = Interpolated::read(text);
        match read.known() {
            Some(text) => Found::Text(text),
            None => Found::Open(read),
        }
    }

    /// Substitutes values in every text.
    pub fn fill(&mut self, value: &mut dyn FnMut(&str) -> Option<String>) {
        match self {
            Found::Open(text) => {
                let filled = text.fill(value);
                *self = filled.known().map_or(Found::Open(filled), Found::Text);
            }
            Found::List(items) => items.iter_mut().for_each(|item| item.fill(value)),
            Found::Map(map) => map.values_mut().for_each(|item| item.fill(value)),
            Found::Absent | Found::Bool(_) | Found::Number(_) | Found::Text(_) => {}
        }
    }

    /// As text: list items one per line.
    #[must_use]
    pub fn as_text(&self) -> String {
        match self {
            Found::Absent => String::new(),
            Found::Bool(value) => value.to_string(),
            Found::Number(value) => number_text(*value),
            Found::Text(text) => text.clone(),
            Found::Open(text) => text.to_string(),
            Found::List(items) => items
                .iter()
                .map(Found::as_text)
                .collect::<Vec<_>>()
                .join("\n"),
            Found::Map(_) => self.to_string(),
        }
    }

    /// As a number, if its text is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Found::Number(value) => Some(*value),
            Found::Text(_) | Found::List(_) => parse_number(&self.as_text()),
            Found::Absent | Found::Bool(_) | Found::Open(_) | Found::Map(_) => None,
        }
    }

    /// As a list: the lines of a text, the values of a map.
    #[must_use]
    pub fn as_list(&self) -> Vec<Found> {
        match self {
            Found::List(items) => items.clone(),
            Found::Text(text) => text
                .split('\n')
                .map(|line| Found::Text(line.to_owned()))
                .collect(),
            Found::Map(map) => map.values().cloned().collect(),
            Found::Absent => Vec::new(),
            other => vec![other.clone()],
        }
    }

    /// The number of items of a list or map, or of bytes of a text.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        match self {
            Found::List(items) => Some(items.len()),
            Found::Map(map) => Some(map.len()),
            Found::Text(text) => Some(text.len()),
            Found::Absent | Found::Bool(_) | Found::Number(_) | Found::Open(_) => None,
        }
    }

    /// From JSON that a node has printed.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Found {
        use serde_json::Value;
        match value {
            Value::Null => Found::Absent,
            Value::Bool(value) => Found::Bool(*value),
            Value::Number(number) => number
                .as_f64()
                .map_or_else(|| Found::Text(number.to_string()), Found::Number),
            Value::String(text) => Found::Text(text.clone()),
            Value::Array(items) => Found::List(items.iter().map(Found::from_json).collect()),
            Value::Object(map) => Found::Map(
                map.iter()
                    .map(|(key, value)| (key.clone(), Found::from_json(value)))
                    .collect(),
            ),
        }
    }
}

/// For evidence: texts quoted, lists in brackets.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Absent => f.write_str("nothing"),
            Found::Bool(value) => write!(f, "{value}"),
            Found::Number(value) => f.write_str(&number_text(*value)),
            Found::Text(text) => write!(f, "{text:?}"),
            Found::Open(text) => write!(f, "{:?}", text.to_string()),
            Found::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Found::Map(map) => {
                f.write_str("{")?;
                for (index, (key, value)) in map.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{key:?}: {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

#[must_use]
pub fn parse_number(text: &str) -> Option<f64> {
    text.trim()
        .parse::<f64>()
        .ok()
        .filter(|number| !number.is_nan())
}

/// Integers without a fraction.
#[must_use]
pub fn number_text(value: f64) -> String {
    value.to_string()
}
