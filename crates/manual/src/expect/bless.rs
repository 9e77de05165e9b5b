//! Outputs of real runs -> an expectation: what was the same in all of them stays, what differs
//! or will differ is elided. What the author has written is kept where it still matches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::{Glob, decide};
use crate::ExpectKind;
use crate::interpolation::Interpolated;

/// More lines than that are nobody's expectation.
const MOST_LINES: usize = 2_000;
/// Shorter values stand for too much.
const SHORTEST: usize = 3;

/// What one run printed, with the values of its node.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Standard output.
    pub text: String,
    /// By name.
    pub values: BTreeMap<String, String>,
}

/// What is to be expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blessed {
    /// Its lines.
    pub lines: Vec<String>,
    /// What was elided, in words.
    pub elided: BTreeSet<&'static str>,
}

/// Why there is nothing to expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unblessed {
    /// It printed nothing in some run.
    Nothing,
    /// Nothing of it stays the same.
    NothingStays,
    /// It prints more lines than anybody would compare.
    TooLong(usize),
    /// The expectation that there is matches already.
    Holds,
}

impl std::fmt::Display for Unblessed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unblessed::Nothing => f.write_str("prints nothing: its exit status says all"),
            Unblessed::NothingStays => {
                f.write_str("prints nothing that stays: its exit status says all")
            }
            Unblessed::TooLong(lines) => write!(f, "prints {lines} lines"),
            Unblessed::Holds => f.write_str("is expected already"),
        }
    }
}

/// A line that was printed in all runs.
#[derive(Clone, Debug)]
enum Line {
    /// As the first run printed it, and as it is expected.
    Text { raw: String, text: String },
    /// Lines come and go here.
    Any,
}

/// Makes an expectation of what was printed by several runs; `existing` is the author's.
///
/// # Errors
/// Where there is nothing to write.
pub fn bless(runs: &[Printed], existing: Option<&str>, most: usize) -> Result<Blessed, Unblessed> {
    let holds = |lines: &str| runs.iter().all(|run| is_met(lines, run));
    if existing.is_some_and(holds) {
        return Err(Unblessed::Holds);
    }
    let mut elided = BTreeSet::new();
    let mut all = runs.iter().map(|run| lines_of(run, &mut elided));
    let Some(first) = all.next() else {
        return Err(Unblessed::Nothing);
    };
    let rest: Vec<Vec<Line>> = all.collect();
    let longest = rest.iter().chain([&first]).map(Vec::len).max();
    let longest = longest.unwrap_or(0);
    if longest > MOST_LINES {
        return Err(Unblessed::TooLong(longest));
    }
    if first.is_empty() || rest.iter().any(Vec::is_empty) {
        return Err(Unblessed::Nothing);
    }
    let merged = rest
        .iter()
        .fold(first, |merged, run| merge(&merged, run, &mut elided));
    let kept = existing.map(|existing| keep(existing, &merged, &runs[0]));
    let kept = kept.filter(|lines| holds(&lines.join("\n")));
    let lines = kept.unwrap_or_else(|| written(&merged));
    let says = |line: &String| !line.replace("[..]", "").trim().is_empty() && line != "...";
    if !lines.iter().any(says) {
        return Err(Unblessed::NothingStays);
    }
    if lines.len() > most {
        return Err(Unblessed::TooLong(lines.len()));
    }
    Ok(Blessed { lines, elided })
}

/// Whether a run prints what is expected, with the values of its node.
fn is_met(expected: &str, run: &Printed) -> bool {
    let filled = Interpolated::read(expected).fill(|name| run.values.get(name).cloned());
    decide(&filled, ExpectKind::Text, run.text.as_bytes()).is_ok()
}

/// The lines of one run, with its values put back and its volatile parts elided.
fn lines_of(run: &Printed, elided: &mut BTreeSet<&'static str>) -> Vec<Line> {
    let names = names(&run.values);
    let text = run.text.trim_end();
    let lines = text.split('\n').filter(|_| !text.is_empty());
    let lines = lines.map(|raw| {
        let raw = raw.trim_end();
        Line::Text {
            raw: raw.to_owned(),
            text: elide(&put_back(raw, &names), elided),
        }
    });
    lines.collect()
}

/// Values by which a name can be told: each is of one name alone.
fn names(values: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
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

/// A whole word that is a value becomes `${name}`; a literal `${` is written `$${`.
fn put_back(line: &str, names: &BTreeMap<&str, &str>) -> String {
    let mut text = String::new();
    for word in words(line) {
        match names.get(word) {
            Some(name) => text += &format!("${{{name}}}"),
            None => text += &word.replace("${", "$${"),
        }
    }
    text
}

/// A line in pieces that make it up: words of letters, digits and what joins them, and all else.
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

/// What two runs may have in common by chance, longest first: a word for it, and how it looks.
/// What stands in the first group stays.
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

fn elide(line: &str, elided: &mut BTreeSet<&'static str>) -> String {
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
            // A value of the node is none that comes and goes.
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

/// Gaps side by side are one.
fn joined(line: &str) -> String {
    let mut line = line.to_owned();
    for twice in ["[..][..]", "[..] [..]", "[..], [..]"] {
        while line.contains(twice) {
            line = line.replace(twice, "[..]");
        }
    }
    line
}

/// What is the same in both.
fn merge(one: &[Line], other: &[Line], elided: &mut BTreeSet<&'static str>) -> Vec<Line> {
    let plain = |lines: &[Line]| !lines.iter().any(|line| matches!(line, Line::Any));
    if one.len() == other.len() && plain(one) {
        let pairs = one.iter().zip(other);
        return pairs
            .map(|(one, other)| merged(one, other, elided))
            .collect();
    }
    elided.insert("lines that come and go");
    let mut merged_lines: Vec<Line> = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (a, b) in common(one, other) {
        if a > i || b > j {
            merged_lines.push(Line::Any);
        }
        merged_lines.push(one[a].clone());
        (i, j) = (a + 1, b + 1);
    }
    if i < one.len() || j < other.len() {
        merged_lines.push(Line::Any);
    }
    merged_lines.dedup_by(|a, b| matches!((a, b), (Line::Any, Line::Any)));
    merged_lines
}

fn merged(one: &Line, other: &Line, elided: &mut BTreeSet<&'static str>) -> Line {
    let (Line::Text { raw, text }, Line::Text { text: second, .. }) = (one, other) else {
        return Line::Any;
    };
    if text == second {
        return one.clone();
    }
    elided.insert("what differs");
    let (first, second): (Vec<&str>, Vec<&str>) = (split(text), split(second));
    let text = if first.len() == second.len() {
        let pairs = first.iter().zip(&second);
        let same = pairs.map(|(one, other)| if one == other { *one } else { "[..]" });
        same.collect()
    } else {
        let start = first
            .iter()
            .zip(&second)
            .take_while(|(a, b)| a == b)
            .count();
        let left = first.len().min(second.len()) - start;
        let ends = first.iter().rev().zip(second.iter().rev());
        let end = ends.take(left).take_while(|(a, b)| a == b).count();
        first[..start].concat() + "[..]" + &first[first.len() - end..].concat()
    };
    Line::Text {
        raw: raw.clone(),
        text: joined(&text),
    }
}

/// Words and what stands between them, each by itself.
fn split(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut at = 0;
    for (index, c) in line.char_indices() {
        if c.is_whitespace() {
            parts.push(&line[at..index]);
            parts.push(&line[index..index + c.len_utf8()]);
            at = index + c.len_utf8();
        }
    }
    parts.push(&line[at..]);
    parts
}

/// The longest common lines, as places in both.
fn common(one: &[Line], other: &[Line]) -> Vec<(usize, usize)> {
    pairs(one.len(), other.len(), |a, b| match (&one[a], &other[b]) {
        (Line::Text { text, .. }, Line::Text { text: second, .. }) => text == second,
        _ => false,
    })
}

/// The most pairs that come in the order of both.
fn pairs(one: usize, other: usize, fit: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let mut best = vec![vec![0_u16; other + 1]; one + 1];
    for a in (0..one).rev() {
        for b in (0..other).rev() {
            best[a][b] = if fit(a, b) {
                best[a + 1][b + 1] + 1
            } else {
                best[a + 1][b].max(best[a][b + 1])
            };
        }
    }
    let (mut a, mut b, mut found) = (0, 0, Vec::new());
    while a < one && b < other {
        if fit(a, b) && best[a][b] == best[a + 1][b + 1] + 1 {
            found.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if best[a + 1][b] >= best[a][b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    found
}

/// The author's lines that still match stay, with the elisions between them; only what does not
/// match is written anew.
fn keep(existing: &str, merged: &[Line], run: &Printed) -> Vec<String> {
    let old: Vec<&str> = existing.trim_end().lines().map(str::trim_end).collect();
    let globs: Vec<Option<Glob>> = { old.iter() }
        .map(|line| {
            let filled = Interpolated::read(line).fill(|name| run.values.get(name).cloned());
            (line.trim() != "...").then(|| Glob::new(&filled))
        })
        .collect();
    let found = pairs(old.len(), merged.len(), |a, b| {
        match (&globs[a], &merged[b]) {
            (Some(glob), Line::Text { raw, .. }) => glob.matches(raw),
            _ => false,
        }
    });
    let mut lines = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (a, b) in found.into_iter().chain([(old.len(), merged.len())]) {
        let (gap, new) = (&globs[i..a], written(&merged[j..b]));
        match gap.iter().position(Option::is_none) {
            None => lines.extend(new),
            // As many lines before and after the author's elision as there were.
            Some(before) => {
                let after = gap.iter().rev().position(Option::is_none).unwrap_or(0);
                let before = before.min(new.len());
                let after = after.min(new.len() - before);
                lines.extend(new[..before].iter().cloned());
                lines.push("...".to_owned());
                lines.extend(new[new.len() - after..].iter().cloned());
            }
        }
        lines.extend(old.get(a).map(|line| (*line).to_owned()));
        (i, j) = (a + 1, b + 1);
    }
    lines
}

fn written(lines: &[Line]) -> Vec<String> {
    let lines = lines.iter().map(|line| match line {
        Line::Text { text, .. } => text.clone(),
        Line::Any => "...".to_owned(),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(texts: &[&str]) -> Vec<Printed> {
        let values = [
            ("app_port", "8000"),
            ("host", "web1"),
            ("a", "same"),
            ("b", "same"),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let printed = texts.iter().map(|text| Printed {
            text: (*text).to_owned(),
            values: values.clone().into(),
        });
        printed.collect()
    }

    fn made(texts: &[&str], existing: Option<&str>) -> String {
        match bless(&runs(texts), existing, 20) {
            Ok(blessed) => blessed.lines.join("\n"),
            Err(why) => format!("{why:?}"),
        }
    }

    #[test]
    fn values_are_put_back_and_shapes_elided() {
        for (line, expected) in [
            ("listening on 8000", "listening on ${app_port}"),
            ("18000 8000a 0.0.0.0:8000", "18000 8000a [..]:${app_port}"),
            ("same ${HOME}", "same $${HOME}"),
            ("Sun Nov 29 12:49:04 UTC 2026", "NothingStays"),
            ("at 2026-11-29T12:49:04.123Z it", "at [..] it"),
            (
                "Nov 29 12:49:04 web1 sshd[812]: ok",
                "[..] ${host} sshd[[..]]: ok",
            ),
            (
                "Active: active (running) since Sun 2026-11-29 12:49:04 UTC; 3 days ago",
                "Active: active (running) since [..]; [..]",
            ),
            ("Main PID: 1234 (nginx)", "Main PID: [..] (nginx)"),
            ("load average: 0.10, 0.20, 0.30", "load average: [..]"),
            ("0.10 0.20 0.30 1/234 5678", "NothingStays"),
            ("id 0b5e7f9a1c3d5e7f9a1b done", "id [..] done"),
            ("uuid 123e4567-e89b-12d3-a456-426614174000", "uuid [..]"),
            ("used 1.5 GiB of 20G, 7%", "used [..] of [..]"),
            ("took 1h 2min 3s", "took [..]"),
            ("made /tmp/x.AbC123", "made [..]"),
            ("nginx version: nginx/1.22.1", "nginx version: nginx/1.22.1"),
            ("10 users, 3 groups", "10 users, 3 groups"),
            ("deadbeef", "deadbeef"),
        ] {
            assert_eq!(made(&[line, line], None), expected, "{line}");
        }
    }

    #[test]
    fn what_differs_between_runs_is_elided() {
        for (texts, expected) in [
            (["a 1 x\nb", "a 2 x\nb"], "a [..] x\nb"),
            (["a 1 x", "a 2 3 x"], "a [..] x"),
            (["a\nb\nc", "a\nc"], "a\n...\nc"),
            (["a\nc", "a\nc\nd"], "a\nc\n..."),
            (["x", "y"], "NothingStays"),
            (["", ""], "Nothing"),
            (["a", ""], "Nothing"),
        ] {
            assert_eq!(made(&texts, None), expected, "{texts:?}");
        }
        let long = "x\n".repeat(30);
        assert_eq!(made(&[&long, &long], None), "TooLong(30)");
    }

    #[test]
    fn what_the_author_wrote_stays_where_it_matches() {
        for (existing, text, expected) in [
            ("a\n[..]b", "a\nxb", "Holds"),
            (
                "state [..]\nold\nport ${app_port}",
                "state fine\nnew\nport 8000",
                "state [..]\nnew\nport ${app_port}",
            ),
            (
                "head\n...\ntail one",
                "head\n1\n2\ntail two",
                "head\n...\ntail two",
            ),
            (
                "head\n...\nmiddle\ntail one",
                "head\n1\nmiddle\ntail two",
                "head\n...\nmiddle\ntail two",
            ),
            ("gone", "new", "new"),
        ] {
            assert_eq!(made(&[text, text], Some(existing)), expected, "{existing}");
        }
    }
}
