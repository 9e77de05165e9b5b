//! Recognises volatile parts of an output (times, numbers, ids) and values of the node in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

/// Shorter values occur by chance too often.
const SHORTEST: usize = 3;

/// The values that identify their name: each belongs to one name only.
pub(super) fn names(values: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let mut names: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for (name, value) in values {
        if value.len() >= SHORTEST && !value.contains(char::is_whitespace) {
            let known = names.entry(value);
            known
                .and_modify(|known| *known = None)
                .or_insert(Some(name));
        }
    }
    let names = names.into_iter();
    names
        .filter_map(|(value, name)| Some((value, name?)))
        .collect()
}

/// Replaces each whole word that is a value by `${name}`; escapes a literal `${` as `$${`.
pub(super) fn put_back(line: &str, names: &BTreeMap<&str, &str>) -> String {
    let mut text = String::new();
    for word in words(line) {
        match names.get(word) {
            Some(name) => text += &format!("${{{name}}}"),
            None => text += &word.replace("${", "$${"),
        }
    }
    text
}

/// Splits a line into words (letters, digits and the characters that join them) and the rest.
fn words(line: &str) -> Vec<&str> {
    static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"[\p{L}\p{N}](?:[\p{L}\p{N}._/-]*[\p{L}\p{N}])?|/[\p{L}\p{N}._/-]*[\p{L}\p{N}]")
            .ok()
    });
    let Some(word) = &*WORD else {
        return vec![line];
    };
    let mut pieces = Vec::new();
    let mut at = 0;
    for found in word.find_iter(line) {
        pieces.push(&line[at..found.start()]);
        pieces.push(found.as_str());
        at = found.end();
    }
    pieces.push(&line[at..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Volatile shapes, longest first: a description and a pattern. The first group of the pattern is
/// kept.
const SHAPES: [(&str, &str); 17] = [
    (
        "time",
        r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)(?:[A-Z][a-z]{2} +\d{1,2}|\d{1,2} [A-Z][a-z]{2}(?: \d{4})?)?(?:\d{4}-\d\d-\d\d)?,? *\d\d:\d\d(?::\d\d)?(?: [AP]M)?(?: [A-Z]{2,5}| [+-]\d{4})?(?: \d{4})?",
    ),
    (
        "time",
        r"\b\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z\b| ?[+-]\d\d:?\d\d\b| [A-Z]{3,4}\b)?",
    ),
    (
        "time",
        r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} \d\d:\d\d(?::\d\d)?(?: \d{4})?\b",
    ),
    ("load", r"\b(load averages?: ).*"),
    ("load", r"^\d+\.\d\d \d+\.\d\d \d+\.\d\d \d+/\d+ \d+$"),
    (
        "id",
        r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",
    ),
    (
        "address",
        r"\b(?:[0-9a-fA-F]{1,4}:){3,7}(?::?[0-9a-fA-F]{1,4})+\b",
    ),
    ("id", r"\b(?:[0-9]+[a-f]|[a-f]+[0-9])[0-9a-f]{10,}\b"),
    ("address", r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
    ("date", r"\b\d{4}-\d\d-\d\d\b"),
    ("time", r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b"),
    ("file of a moment", r"/tmp/[\w./-]*\.[A-Za-z0-9]{6,}\b"),
    ("pid", r"\b((?:[Pp]id|PID|Main PID)[ =:]+)\d+\b"),
    ("pid", r"(\b[a-z][\w-]*\[)\d+(?:\])"),
    (
        "duration",
        r"\b\d+(?:\.\d+)? ?(?:ms|us|µs|ns|s|sec|secs|seconds?|min|mins|minutes?|h|hours?|days?|weeks?|months?|years?)\b(?: \d+(?:\.\d+)? ?(?:ms|us|s|sec|seconds?|min|minutes?|h|hours?|days?)\b)*(?: ago)?",
    ),
    ("size", r"\b\d+(?:\.\d+)? ?(?:[KMGTP]i?B?|kB|bytes?)\b"),
    ("percent", r"\b\d+(?:\.\d+)? ?%"),
];

pub(super) fn elide(line: &str, elided: &mut BTreeSet<&'static str>) -> String {
    static SHAPED: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
        let shapes = SHAPES.iter();
        let shapes = shapes.filter_map(|(what, shape)| Some((*what, Regex::new(shape).ok()?)));
        shapes.collect()
    });
    let mut line = line.to_owned();
    for (what, shape) in &*SHAPED {
        let mut next = String::new();
        let mut at = 0;
        for found in shape.captures_iter(&line) {
            let Some(all) = found.get(0) else { continue };
            // Do not elide a part of a node's value.
            let within = line[..all.start()].rfind("${").is_some_and(|open| {
                line[open..]
                    .find('}')
                    .is_none_or(|close| open + close >= all.start())
            });
            if within || all.is_empty() || all.as_str().contains("[..]") && found.get(1).is_none() {
                continue;
            }
            elided.insert(what);
            next += &line[at..all.start()];
            next += found.get(1).map_or("", |kept| kept.as_str());
            next += "[..]";
            if all.as_str().ends_with(']') {
                next.push(']');
            }
            at = all.end();
        }
        next += &line[at..];
        line = next;
    }
    joined(&line)
}

/// Merges adjacent gaps.
pub(super) fn joined(line: &str) -> String {
    let mut line = line.to_owned();
    for twice in ["[..][..]", "[..] [..]", "[..], [..]"] {
        while line.contains(twice) {
            line = line.replace(twice, "[..]");
        }
    }
    line
}
