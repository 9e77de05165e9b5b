//! The only YAML reader: `nodes.yaml`, contracts and typed checks, with a span for every value.
//! Only this module names `saphyr_parser` and `serde_yaml`.
//!
//! YAML 1.2 core schema. Reported as problems with their places: duplicate keys, tags, a second
//! document, nesting deeper than [`MAX_DEPTH`], input larger than [`MAX_BYTES`], and (except in
//! files of other tools) anchors, aliases and `<<`. Plain scalars keep their text: `0644`, `1.10`
//! and `NO` stay as written.

mod access;
mod anchors;
mod convert;
mod reader;
mod scalar;
mod syntax;
mod typed;

pub use access::unknown_keys;
pub use convert::{entry_to_yaml, to_json, to_serde, to_yaml};
pub use reader::{read, read_with_anchors};
pub use scalar::plain_text;
pub use typed::typed;

use indexmap::IndexMap;

use crate::source::Span;

/// The deepest nesting of maps and sequences.
pub const MAX_DEPTH: usize = 32;
/// Size of one file or block, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most values in one file or block, to limit memory.
pub const MAX_VALUES: usize = 400_000;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Yaml {
    /// Its place.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// A YAML 1.2 value; only `true` and `false` are booleans.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number and the text that it was written as.
    Int(i64, String),
    /// A number with a fraction or exponent, and its text.
    Float(f64, String),
    /// A text.
    Str(String),
    /// A list.
    Seq(Vec<Yaml>),
    /// A map whose keys are texts.
    Map(Map),
}

/// Keys in the order of the source.
pub type Map = IndexMap<String, Entry>;

/// A key of a map, and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The place of the key.
    pub key: Span,
    /// The value.
    pub value: Yaml,
}

impl Yaml {
    /// The text of a scalar as written: `0644` for the plain scalar `0644`, `""` for null; `None`
    /// for maps and sequences.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Null => Some(""),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Int(_, text) | Value::Float(_, text) | Value::Str(text) => Some(text),
            Value::Seq(_) | Value::Map(_) => None,
        }
    }

    /// Its type, for messages: `a map`, `a number`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(..) | Value::Float(..) => "a number",
            Value::Str(_) => "text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

#[cfg(test)]
mod tests;
