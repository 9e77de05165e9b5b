//! Helpers of all contracts: read a document, a map, a validated text.

use std::time::Duration;

use crate::Spanned;
use crate::model::attributes::positive;
use crate::source::{Passage, Problem, Span};
use crate::yaml::{self, Entry, Map, Value, Yaml};

pub(super) fn document(text: &Passage, problems: &mut Vec<Problem>) -> Option<Yaml> {
    if text.text.trim().is_empty() {
        return None;
    }
    let (yaml, found) = yaml::read(text);
    problems.extend(found);
    yaml.filter(|yaml| yaml.value != Value::Null)
}

pub(super) fn map_of(
    text: &Passage,
    place: &Span,
    what: &str,
    problems: &mut Vec<Problem>,
) -> Option<Map> {
    let before = problems.len();
    match document(text, problems) {
        Some(Yaml {
            value: Value::Map(map),
            ..
        }) => return Some(map),
        Some(yaml) => {
            problems.push(wrong_kind(&yaml, what).hint("write keys and values, as in `id: NAME`"));
        }
        None if problems.len() == before => {
            problems.push(empty(place, what).hint("write keys and values, as in `id: NAME`"));
        }
        None => {}
    }
    None
}

/// `like` is how to write it instead.
pub(super) fn as_map<'a>(
    value: &'a Yaml,
    what: &str,
    like: &str,
    problems: &mut Vec<Problem>,
) -> Option<&'a Map> {
    if let Value::Map(map) = &value.value {
        return Some(map);
    }
    problems.push(wrong_kind(value, what).hint(format!("write `{like}`")));
    None
}

pub(super) fn string(
    value: &Yaml,
    what: &str,
    problems: &mut Vec<Problem>,
) -> Option<Spanned<String>> {
    checked(value, what, |text| Ok(text.to_owned()), problems)
}

pub(super) fn checked<T>(
    value: &Yaml,
    what: &str,
    check: impl Fn(&str) -> Result<T, String>,
    problems: &mut Vec<Problem>,
) -> Option<Spanned<T>> {
    let text = value.text().filter(|_| value.value != Value::Null);
    let Some(text) = text else {
        problems.push(wrong_kind(value, what));
        return None;
    };
    match check(text) {
        Ok(checked) => Some(Spanned {
            value: checked,
            span: value.span.clone(),
        }),
        Err(message) => {
            problems.push(Problem::error("bad-contract", value.span.clone(), message));
            None
        }
    }
}

pub(super) fn strings(
    value: &Yaml,
    what: &str,
    problems: &mut Vec<Problem>,
) -> Vec<Spanned<String>> {
    match &value.value {
        Value::Seq(items) => items
            .iter()
            .filter_map(|item| string(item, what, problems))
            .collect(),
        _ => string(value, what, problems).into_iter().collect(),
    }
}

pub(super) fn time(value: &Yaml, problems: &mut Vec<Problem>) -> Option<Duration> {
    checked(value, "a duration", positive, problems).map(|time| time.value)
}

pub(super) fn wrong_kind(value: &Yaml, what: &str) -> Problem {
    Problem::error(
        "bad-contract",
        value.span.clone(),
        format!("{what} cannot be {}", value.kind()),
    )
}

pub(super) fn unknown_key(key: &str, entry: &Entry, what: &str, known: &[&'static str]) -> Problem {
    Problem::error(
        "unknown-key",
        entry.key.clone(),
        format!("unknown key `{key}` of {what}"),
    )
    .did_you_mean(key, known.iter().copied())
}

pub(super) fn no_id(place: &Span, what: &str) -> Problem {
    Problem::error("no-id", place.clone(), format!("this {what} has no `id`"))
        .hint("write a line `id: NAME` in this block")
}

pub(super) fn empty(place: &Span, what: &str) -> Problem {
    Problem::error(
        "empty-contract",
        place.clone(),
        format!("{what} cannot be empty"),
    )
}
