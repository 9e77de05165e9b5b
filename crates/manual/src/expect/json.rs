//! Compares JSON values: the expected ones must be present, more may be. Expected list items must
//! come in order, with anything between them. `[..]` works within strings.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::ops::Range;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::{Number, Value};

use super::{Glob, Mismatch};
use crate::interpolation::Interpolated;

/// Decides by comparing JSON values.
pub(super) fn decide(expected: &Interpolated, found: &[u8]) -> Result<(), Mismatch> {
    let (expected, values) = expected
        .json()
        .map_err(|error| Mismatch::new(format!("the expectation is not JSON: {error}")))?;
    let found: Value = serde_json::from_slice(found).map_err(|error| {
        let start = String::from_utf8_lossy(&found[..found.len().min(200)]);
        let line = start.lines().next().unwrap_or_default();
        Mismatch::new(format!("the output is not JSON: {error}")).between(Some("JSON"), Some(line))
    })?;
    match (Compare { values }).difference(&expected, &found) {
        None => Ok(()),
        Some(Difference {
            mut path,
            expected,
            found,
        }) => {
            path.reverse();
            let path = if path.is_empty() {
                "the value".to_owned()
            } else {
                format!("`{}`", path.concat().trim_start_matches('.'))
            };
            let reason = if found.is_some() {
                format!("{path} differs")
            } else {
                format!("{path} is missing")
            };
            Err(Mismatch::new(reason).between(Some(&expected), found.as_deref()))
        }
    }
}

/// Why an expectation is not JSON, with values substituted.
pub(super) fn flaws(expected: &str) -> Vec<(Range<usize>, String)> {
    if expected.contains("${") {
        return Vec::new();
    }
    let Err(error) = serde_json::from_str::<EachOnce>(expected) else {
        return Vec::new();
    };
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let message = match error.classify() {
        Category::Data => message.to_owned(),
        _ => format!("not JSON: {message}"),
    };
    vec![(place(expected, &error), message)]
}

/// The range of the character at the error, or of the end of the text.
fn place(text: &str, error: &serde_json::Error) -> Range<usize> {
    let line: usize = text
        .split_inclusive('\n')
        .take(error.line().max(1) - 1)
        .map(str::len)
        .sum();
    let end = text.trim_end().len();
    let at = text.floor_char_boundary(line + error.column().max(1) - 1);
    if at >= end {
        let last = text[..end].rfind('\n').map_or(0, |before| before + 1);
        return last..end;
    }
    at..text.ceil_char_boundary(at + 1)
}

/// JSON in which no object repeats a key; `serde_json` would silently keep the last one.
struct EachOnce;

impl<'de> Deserialize<'de> for EachOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EachOnce, D::Error> {
        deserializer.deserialize_any(EachOnce)
    }
}

impl<'de> Visitor<'de> for EachOnce {
    type Value = EachOnce;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EachOnce, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            seen.insert(key);
            map.next_value::<EachOnce>()?;
        }
        Ok(EachOnce)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<EachOnce, A::Error> {
        while seq.next_element::<EachOnce>()?.is_some() {}
        Ok(EachOnce)
    }

    fn visit_bool<E>(self, _: bool) -> Result<EachOnce, E> {
        Ok(EachOnce)
    }

    fn visit_i64<E>(self, _: i64) -> Result<EachOnce, E> {
        Ok(EachOnce)
    }

    fn visit_u64<E>(self, _: u64) -> Result<EachOnce, E> {
        Ok(EachOnce)
    }

    fn visit_f64<E>(self, _: f64) -> Result<EachOnce, E> {
        Ok(EachOnce)
    }

    fn visit_str<E>(self, _: &str) -> Result<EachOnce, E> {
        Ok(EachOnce)
    }

    fn visit_unit<E>(self) -> Result<EachOnce, E> {
        Ok(EachOnce)
    }
}

struct Difference {
    /// Innermost part first.
    path: Vec<String>,
    expected: String,
    found: Option<String>,
}

/// The expected value, and the node values in its strings.
struct Compare {
    values: Vec<String>,
}

impl Compare {
    fn difference(&self, expected: &Value, found: &Value) -> Option<Difference> {
        match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => {
                expected.iter().find_map(|(key, value)| {
                    let below = match found.get(key) {
                        Some(found) => self.difference(value, found),
                        None => Some(self.absent(value)),
                    };
                    below.map(|below| below.under(&format!(".{key}")))
                })
            }
            (Value::Array(expected), Value::Array(found)) => self.list(expected, found),
            (Value::String(expected), Value::String(found))
                if Glob::new(&self.text(expected)).matches(found) =>
            {
                None
            }
            (Value::Number(expected), Value::Number(found)) if equal(expected, found) => None,
            _ if expected == found => None,
            _ => Some(Difference {
                path: Vec::new(),
                expected: self.short(expected),
                found: Some(short(found)),
            }),
        }
    }

    /// Each expected item matches the next fitting one; taking the first fit is always good enough.
    fn list(&self, expected: &[Value], found: &[Value]) -> Option<Difference> {
        let mut rest = found.iter();
        for (index, wanted) in expected.iter().enumerate() {
            let mut nearest = None;
            let fits = rest.any(|item| match self.difference(wanted, item) {
                None => true,
                Some(difference) => {
                    nearest.get_or_insert(difference);
                    false
                }
            });
            if !fits {
                let difference = match nearest {
                    Some(difference) if found.len() == 1 => difference,
                    _ => self.absent(wanted),
                };
                return Some(difference.under(&format!("[{index}]")));
            }
        }
        None
    }

    fn text(&self, expected: &str) -> Interpolated {
        Interpolated::in_marked(expected, &self.values)
    }

    fn absent(&self, expected: &Value) -> Difference {
        Difference {
            path: Vec::new(),
            expected: self.short(expected),
            found: None,
        }
    }

    /// A short form of the expected value, with node values substituted.
    fn short(&self, expected: &Value) -> String {
        self.text(&short(expected)).to_string()
    }
}

impl Difference {
    fn under(mut self, step: &str) -> Difference {
        self.path.push(step.to_owned());
        self
    }
}

fn equal(a: &Number, b: &Number) -> bool {
    a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
}

/// A short form of a value, long enough to recognise it.
fn short(value: &Value) -> String {
    match value {
        Value::Array(items) if items.len() > 8 => format!("a list of {} items", items.len()),
        Value::Object(map) if map.len() > 8 => format!("an object of {} keys", map.len()),
        _ => {
            let mut text = String::new();
            let _ = write!(text, "{value}");
            text
        }
    }
}
