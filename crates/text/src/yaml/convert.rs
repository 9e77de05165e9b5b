//! Converts the tree: to `serde_yaml` for writing, and to JSON. A number whose text is not
//! canonical (`0644`, `1.10`) becomes a text, so that nothing is lost.

use super::{Value, Yaml};

/// The same value for `serde`, without places.
#[must_use]
pub fn to_serde(yaml: &Yaml) -> serde_yaml::Value {
    match &yaml.value {
        Value::Null => serde_yaml::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number, text) if is_canonical_int(*number, text) => (*number).into(),
        Value::Float(number, text) if is_canonical_float(*number, text) => (*number).into(),
        Value::Int(_, text) | Value::Float(_, text) | Value::Str(text) => text.as_str().into(),
        Value::Seq(values) => values.iter().map(to_serde).collect::<Vec<_>>().into(),
        Value::Map(map) => {
            let pairs = map
                .iter()
                .map(|(key, entry)| (key.as_str().into(), to_serde(&entry.value)));
            serde_yaml::Value::Mapping(pairs.collect())
        }
    }
}

/// The same value as JSON, without places.
#[must_use]
pub fn to_json(yaml: &Yaml) -> serde_json::Value {
    match &yaml.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number, text) if is_canonical_int(*number, text) => (*number).into(),
        Value::Float(number, text) if is_canonical_float(*number, text) => (*number).into(),
        Value::Int(_, text) | Value::Float(_, text) | Value::Str(text) => text.as_str().into(),
        Value::Seq(values) => values.iter().map(to_json).collect(),
        Value::Map(map) => map
            .iter()
            .map(|(key, entry)| (key.clone(), to_json(&entry.value)))
            .collect(),
    }
}

/// A document that [`read`](super::read) parses to the same texts; ends in a newline.
#[must_use]
pub fn to_yaml(yaml: &Yaml) -> String {
    // This cannot fail for values from `to_serde`.
    let text = serde_yaml::to_string(&to_serde(yaml)).unwrap_or_default();
    if text.contains(BREAKS) {
        escaped(&to_json(yaml)) + "\n"
    } else {
        text
    }
}

/// One entry of a map, in the form of [`to_yaml`].
#[must_use]
pub fn entry_to_yaml(key: &str, value: &Yaml) -> String {
    let map = serde_yaml::Mapping::from_iter([(key.into(), to_serde(value))]);
    let text = serde_yaml::to_string(&map).unwrap_or_default();
    if text.contains(BREAKS) {
        format!("{}: {}\n", escaped(&key.into()), escaped(&to_json(value)))
    } else {
        text
    }
}

/// Line ends in YAML 1.1, which is written, but ordinary text in 1.2, which is read.
const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// JSON, which is also YAML, with escapes for characters that could be taken as line ends.
fn escaped(json: &serde_json::Value) -> String {
    BREAKS.iter().fold(json.to_string(), |text, &end| {
        text.replace(end, &format!("\\u{:04x}", end as u32))
    })
}

fn is_canonical_int(number: i64, text: &str) -> bool {
    number.to_string() == text
}

/// Numbers that JSON cannot represent are never canonical.
fn is_canonical_float(number: f64, text: &str) -> bool {
    number.is_finite()
        && serde_json::Number::from_f64(number).is_some_and(|json| json.to_string() == text)
}
