//! `[values]` and `[groups]`: the values that a package reads, and the nodes that it expects.

use std::collections::BTreeMap;

use toml::de::DeValue;

use opsbook_text::source::{Problem, Span};
use opsbook_text::yaml::{self, Entry, Yaml};

use super::reader::{Item, Reader, Table};
use super::{Group, Value};

const KEYS: [&str; 6] = ["default", "pattern", "help", "required", "secret", "shared"];

pub(super) fn values(reader: &mut Reader<'_>, table: &Table<'_>) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let span = reader.span(name.span());
        let name: &str = name.get_ref();
        if !opsbook_text::interpolation::is_variable_name(name) {
            let message = format!("`{name}` cannot be the name of a value");
            reader
                .problems
                .push(Problem::error("bad-name", span, message));
            continue;
        }
        let DeValue::Table(said) = value.get_ref() else {
            reader.wrong(value, name, "a table such as `{default = 8000}`");
            continue;
        };
        values.insert(name.to_owned(), one(reader, said, span));
    }
    values
}

fn one(reader: &mut Reader<'_>, said: &Table<'_>, span: Span) -> Value {
    reader.known(said, "a value", &KEYS);
    let default = said.get("default").map(|value| yaml_of(reader, value));
    let pattern = reader.string(said, "pattern").and_then(|pattern| {
        let text = format!("^(?:{})$", pattern.value);
        match regex::Regex::new(&text) {
            Ok(_) => Some(text),
            Err(error) => {
                let message = format!("`pattern` is not a valid regular expression: {error}");
                let problem = Problem::error("bad-package", pattern.span, message);
                reader.problems.push(problem);
                None
            }
        }
    });
    let value = Value {
        default,
        pattern,
        help: reader.string(said, "help").map(|help| help.value),
        required: reader.boolean(said, "required"),
        secret: reader.boolean(said, "secret"),
        shared: reader.boolean(said, "shared"),
        span,
    };
    let clash = match (&value.default, value.required, value.secret) {
        (Some(_), true, _) => Some("a value with `required` cannot have a `default`"),
        (Some(_), _, true) => Some(
            "a secret cannot have a `default`, which would be in the \
             archive",
        ),
        _ => None,
    };
    if let Some(clash) = clash {
        let problem = Problem::error("bad-package", value.span.clone(), clash);
        reader.problems.push(problem);
    }
    value
}

/// Converts a TOML value into a value of `nodes.yaml`; numbers keep their text.
fn yaml_of(reader: &mut Reader<'_>, item: &Item<'_>) -> Yaml {
    let span = reader.span(item.span());
    let value = match item.get_ref() {
        DeValue::String(text) => yaml::Value::Str(text.to_string()),
        DeValue::Boolean(value) => yaml::Value::Bool(*value),
        DeValue::Integer(_) | DeValue::Float(_) => yaml::plain_text(span.text()),
        DeValue::Datetime(date) => yaml::Value::Str(date.to_string()),
        DeValue::Array(list) => {
            let list = list.iter().map(|item| yaml_of(reader, item));
            yaml::Value::Seq(list.collect())
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, item)| {
                let entry = Entry {
                    key: reader.span(key.span()),
                    value: yaml_of(reader, item),
                };
                (key.get_ref().to_string(), entry)
            });
            yaml::Value::Map(entries.collect())
        }
    };
    Yaml { span, value }
}

pub(super) fn groups(reader: &mut Reader<'_>, table: &Table<'_>) -> BTreeMap<String, Group> {
    let mut groups = BTreeMap::new();
    for (name, value) in table {
        let span = reader.span(name.span());
        let name: &str = name.get_ref();
        if let Some(help) = reader.text(value, name) {
            let help = help.value;
            groups.insert(name.to_owned(), Group { span, help });
        }
    }
    groups
}
