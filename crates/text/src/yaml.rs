//! The one reader of YAML: `nodes.yaml`, contracts and typed checks, with a span for every
//! value. The only place that names `saphyr_parser` and `serde_yaml`.
//!
//! YAML 1.2 core schema. Duplicate keys, tags, a second document, anchors, aliases and `<<`
//! (but in files of other tools),
//! nesting deeper than [`MAX_DEPTH`] and input larger than [`MAX_BYTES`] are problems with
//! their place. The source text of plain scalars is kept: `0644`, `1.10` and `NO` stay what
//! was written.

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

/// Levels of maps and sequences within each other.
pub const MAX_DEPTH: usize = 32;
/// Size of one file or block, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Values in one file or block, so that memory stays bounded too.
pub const MAX_VALUES: usize = 400_000;

/// One value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Yaml {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// A value of YAML 1.2, in which only `true` and `false` are truth values.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number and the text that it was written as.
    Int(i64, String),
    /// A number with a fraction or exponent, and how it is written.
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

/// One key of a map, and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key stands.
    pub key: Span,
    /// The value.
    pub value: Yaml,
}

impl Yaml {
    /// The text of a scalar as it was written: `0644` for the plain scalar `0644`, `""` for
    /// null, nothing for maps and sequences.
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

    /// What it is, for messages: `a map`, `a number`.
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
