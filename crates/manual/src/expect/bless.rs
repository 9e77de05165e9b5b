//! Makes an expectation from the outputs of real runs. Keeps what all outputs share, elides what
//! differs or will differ, and keeps the author's text where it still matches.

mod json;
mod places;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::{Glob, decide, lines};
use crate::ExpectKind;
use crate::interpolation::{Interpolated, Part};

use shapes::{elide, joined, names, put_back};

/// Nobody would compare an output with more lines.
const MOST_LINES: usize = 2_000;
/// The output of one run, with the values of its node.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Standard output.
    pub text: String,
    /// The node's values by name.
    pub values: BTreeMap<String, String>,
}

/// The new expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blessed {
    /// How to compare it: the author's kind if an expectation exists.
    pub kind: ExpectKind,
    /// Its lines.
    pub lines: Vec<String>,
    /// Descriptions of the elided parts.
    pub elided: BTreeSet<&'static str>,
}

/// Why no expectation was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unblessed {
    /// Some run printed nothing.
    Nothing,
    /// The runs have nothing in common.
    NothingStays,
    /// The output has more lines than anybody would compare.
    TooLong(usize),
    /// The existing expectation already matches.
    Holds,
    /// The author's kind of expectation cannot express the output; the reason.
    Yours(String),
}

impl std::fmt::Display for Unblessed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unblessed::Nothing => f.write_str("prints nothing: only its exit status matters"),
            Unblessed::NothingStays => {
                f.write_str("prints nothing that stays the same: only its exit status matters")
            }
            Unblessed::TooLong(lines) => write!(f, "prints {lines} lines"),
            Unblessed::Holds => f.write_str("is expected already"),
            Unblessed::Yours(why) => write!(f, "{why}: change it yourself"),
        }
    }
}

/// A line that all runs printed.
#[derive(Clone, Debug)]
enum Line {
    /// As the first run printed it, and as the expectation shows it.
    Text { raw: String, text: String },
    /// Any lines may be here.
    Any,
}

/// Makes an expectation from the outputs of several runs. `existing` is the author's expectation,
/// whose form is kept. Without it, a JSON object becomes a JSON expectation, and everything else
/// lines.
///
/// # Errors
/// Returns the reason where no expectation can be made.
pub fn bless(
    runs: &[Printed],
    existing: Option<(&str, ExpectKind)>,
    most: usize,
) -> Result<Blessed, Unblessed> {
    let holds = |text: &str, kind| runs.iter().all(|run| is_met(text, kind, run));
    if existing.is_some_and(|(text, kind)| holds(text, kind)) {
        return Err(Unblessed::Holds);
    }
    let blessed = match existing {
        Some((text, ExpectKind::Json)) => json::changed(text, runs)?,
        Some((text, kind)) => by_lines(runs, Some(text), kind)?,
        None => match json::learned(runs) {
            Some(blessed) => blessed,
            None => by_lines(runs, None, ExpectKind::Text)?,
        },
    };
    // Values of several nodes, or a line with two elisions, can make the result wrong.
    if !holds(&blessed.lines.join("\n"), blessed.kind) {
        let why = "the generated expectation does not match each run";
        return Err(Unblessed::Yours(why.to_owned()));
    }
    if blessed.lines.len() > most {
        return Err(Unblessed::TooLong(blessed.lines.len()));
    }
    Ok(blessed)
}

fn by_lines(
    runs: &[Printed],
    existing: Option<&str>,
    kind: ExpectKind,
) -> Result<Blessed, Unblessed> {
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
    let holds = |lines: &Vec<String>| {
        let text = lines.join("\n");
        runs.iter().all(|run| is_met(&text, kind, run))
    };
    let anew = written(&merged, ExpectKind::Text);
    let kept = existing.map(|existing| keep(existing, kind, &merged, &runs[0]));
    let kept = kept.filter(holds);
    let stays = match (&kept, kind) {
        (Some(lines), ExpectKind::Text) => lines,
        _ => &anew,
    };
    if !stays.iter().any(|line| says(line) && line != "...") {
        return Err(Unblessed::NothingStays);
    }
    let lines = kept.unwrap_or_else(|| written(&merged, kind));
    Ok(Blessed {
        kind,
        lines,
        elided,
    })
}

/// Whether a line contains anything besides elisions.
fn says(line: &str) -> bool {
    !line.replace("[..]", "").trim().is_empty()
}

/// Whether a run's output meets an expectation, with the values of its node.
fn is_met(expected: &str, kind: ExpectKind, run: &Printed) -> bool {
    let filled = Interpolated::read(expected).fill(|name| run.values.get(name).cloned());
    decide(&filled, kind, run.text.as_bytes()).is_ok()
}

/// The lines of one run, with values replaced by their names and volatile parts elided.
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

/// The lines that both have in common.
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

/// Splits a line into words and the separators between them.
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

/// The longest common subsequence of lines, as indexes into both.
fn common(one: &[Line], other: &[Line]) -> Vec<(usize, usize)> {
    pairs(one.len(), other.len(), |a, b| match (&one[a], &other[b]) {
        (Line::Text { text, .. }, Line::Text { text: second, .. }) => text == second,
        _ => false,
    })
}

/// The largest set of matching pairs whose order is the same on both sides.
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

/// A line of the author's expectation, with a node's values substituted.
enum Wanted {
    /// Any lines.
    Any,
    Glob(Glob),
    Regex(Option<Regex>),
}

impl Wanted {
    fn new(line: &str, kind: ExpectKind, run: &Printed) -> Wanted {
        let filled = Interpolated::read(line).fill(|name| run.values.get(name).cloned());
        match kind {
            _ if line.trim() == "..." => Wanted::Any,
            ExpectKind::Regex => Wanted::Regex(lines::compile(&filled).ok()),
            _ => Wanted::Glob(Glob::new(&filled)),
        }
    }

    fn matches(&self, line: &Line) -> bool {
        match (self, line) {
            (Wanted::Glob(glob), Line::Text { raw, .. }) => glob.matches(raw),
            (Wanted::Regex(Some(regex)), Line::Text { raw, .. }) => regex.is_match(raw),
            _ => false,
        }
    }
}

/// Keeps the author's lines that still match, and the elisions between them; replaces only the
/// others.
fn keep(existing: &str, kind: ExpectKind, merged: &[Line], run: &Printed) -> Vec<String> {
    let old: Vec<&str> = existing.trim_end().lines().map(str::trim_end).collect();
    let wanted = old.iter().map(|line| Wanted::new(line, kind, run));
    let wanted: Vec<Wanted> = wanted.collect();
    let found = pairs(old.len(), merged.len(), |a, b| {
        wanted[a].matches(&merged[b])
    });
    let is_any = |wanted: &Wanted| matches!(wanted, Wanted::Any);
    let mut lines = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (a, b) in found.into_iter().chain([(old.len(), merged.len())]) {
        let (gap, new) = (&wanted[i..a], written(&merged[j..b], kind));
        match gap.iter().position(is_any) {
            None => lines.extend(new),
            // Keep as many lines before and after the author's elision as before.
            Some(before) => {
                let after = gap.iter().rev().position(is_any).unwrap_or(0);
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

fn written(lines: &[Line], kind: ExpectKind) -> Vec<String> {
    let lines = lines.iter().map(|line| match line {
        Line::Text { text, .. } if kind == ExpectKind::Regex => as_regex(text),
        Line::Text { text, .. } => text.clone(),
        Line::Any => "...".to_owned(),
    });
    lines.collect()
}

/// A line with elisions as a regular expression.
fn as_regex(line: &str) -> String {
    let parts = Interpolated::read(line)
        .parts()
        .iter()
        .map(|part| match part {
            Part::Name(name) => format!("${{{name}}}"),
            Part::Written(text) | Part::Value(text) => {
                let texts: Vec<String> = text.split("[..]").map(regex::escape).collect();
                texts.join(".*")
            }
        })
        .collect::<Vec<String>>();
    parts.concat()
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
        as_kind(texts, existing.map(|text| (text, ExpectKind::Text)))
    }

    fn as_kind(texts: &[&str], existing: Option<(&str, ExpectKind)>) -> String {
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

    #[test]
    fn expressions_that_still_match_stay() {
        for (existing, text, expected) in [
            (r"v\d+", "v12", "Holds"),
            (
                "state .*\nold\n${host}:\\d+",
                "state fine\nnew (1)\nweb1:80",
                "state .*\nnew \\(1\\)\n${host}:\\d+",
            ),
            ("gone", "took 3 s, on 8000", r"took .*, on \$\{app_port\}"),
            ("a\n...\nold", "a\n1\n2\nnew.", "a\n...\nnew\\."),
            ("x", "12:13:14", "NothingStays"),
        ] {
            let expected = expected.replace("\\$\\{app_port\\}", "${app_port}");
            let made = as_kind(&[text, text], Some((existing, ExpectKind::Regex)));
            assert_eq!(made, expected, "{existing}");
        }
    }
}
