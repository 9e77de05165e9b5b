//! Compares lines: a line `...` matches any lines, `[..]` anything within a line; or each line is a
//! regular expression.

use std::collections::HashMap;
use std::ops::Range;

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::{Glob, Mismatch};
use crate::interpolation::{Interpolated, Part};

/// Decides by comparing lines.
pub(super) fn decide(expected: &Interpolated, regex: bool, found: &[u8]) -> Result<(), Mismatch> {
    let pattern = pattern(expected, regex)?;
    let found = String::from_utf8_lossy(found);
    // Authors copy from terminals, which show a tab as spaces.
    let shown = !regex && !expected.to_string().contains('\t') && found.contains('\t');
    let found = if shown { on_a_terminal(&found) } else { found };
    let found = found_lines(&found);
    let mut at = 0;
    let last = pattern.len() - 1;
    for (index, segment) in pattern.iter().enumerate() {
        if index == 0 {
            at = leading(segment, &found, last == 0)?;
        } else if index == last {
            trailing(segment, &found[at..])?;
        } else {
            at += middle(segment, &found[at..])?;
        }
    }
    Ok(())
}

/// Lines that are not valid regular expressions.
pub(super) fn flaws(expected: &str) -> Vec<(Range<usize>, String)> {
    let mut flaws = Vec::new();
    let mut at = 0;
    for line in expected.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare != "..."
            && let Err(why) = parse(&Interpolated::read(bare))
        {
            flaws.push((at..at + bare.len(), why));
        }
        at += line.len();
    }
    flaws
}

/// Consecutive expected lines, between elisions.
struct Segment {
    lines: Vec<Line>,
    /// Number of the first line, from 1.
    number: usize,
}

struct Line {
    text: String,
    rule: Rule,
}

enum Rule {
    Literal,
    Glob(Glob),
    Regex(Regex),
}

impl Line {
    fn matches(&self, found: &str) -> bool {
        match &self.rule {
            Rule::Literal => self.text == found,
            Rule::Glob(glob) => glob.matches(found),
            Rule::Regex(regex) => regex.is_match(found),
        }
    }
}

/// Splits an expectation at its elisions; the result has at least one segment.
fn pattern(expected: &Interpolated, regex: bool) -> Result<Vec<Segment>, Mismatch> {
    let mut segments = vec![Segment {
        lines: Vec::new(),
        number: 1,
    }];
    for (index, line) in expected_lines(expected).into_iter().enumerate() {
        let text = line.to_string();
        let gaps = line.split("[..]").len() > 1;
        if is_elision(&line) {
            segments.push(Segment {
                lines: Vec::new(),
                number: index + 2,
            });
            continue;
        }
        let rule = if regex {
            let regex = compile(&line).map_err(|why| {
                Mismatch::new(format!("expected line {}: {why}", index + 1))
                    .between(Some(&text), None)
            })?;
            Rule::Regex(regex)
        } else if gaps {
            Rule::Glob(Glob::new(&line))
        } else {
            Rule::Literal
        };
        if let Some(segment) = segments.last_mut() {
            segment.lines.push(Line { text, rule });
        }
    }
    Ok(segments)
}

pub(super) fn compile(line: &Interpolated) -> Result<Regex, String> {
    line.regex(whole)
        .map_err(|error| no_regex(&error.to_string()))
}

/// Checks the syntax of a regular expression without compiling it: compiling takes time for each
/// state, and a short expression can have very many.
fn parse(line: &Interpolated) -> Result<(), String> {
    const MOST: usize = 100_000;
    let parsed = regex_syntax::parse(&line.regex_text(whole));
    let parsed = parsed.map_err(|error| no_regex(&error.to_string()))?;
    if states(&parsed) > MOST {
        return Err("this regular expression is too large: its repetitions multiply".to_owned());
    }
    Ok(())
}

/// An estimate of the states of the compiled expression.
fn states(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().len(),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len(),
        HirKind::Repetition(repeated) => {
            let times = repeated.max.unwrap_or(repeated.min.saturating_add(1));
            states(&repeated.sub).saturating_mul(times as usize)
        }
        HirKind::Capture(capture) => states(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let parts = parts.iter().map(states);
            parts.fold(0, usize::saturating_add)
        }
    }
}

fn whole(written: &str) -> String {
    format!("^(?:{written})$")
}

fn no_regex(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default();
    let last = last.trim_start_matches("error: ");
    format!("not a regular expression: {last}")
}

/// Whether the author wrote this line as `...`.
fn is_elision(line: &Interpolated) -> bool {
    matches!(line.parts(), [Part::Written(text)] if text.trim_start() == "...")
}

/// The expected lines without trailing white space and without blank lines at both ends.
fn expected_lines(text: &Interpolated) -> Vec<Interpolated> {
    let lines = text.lines().into_iter().map(Interpolated::trim_end);
    let mut lines: Vec<Interpolated> = lines.skip_while(Interpolated::is_empty).collect();
    while lines.last().is_some_and(Interpolated::is_empty) {
        lines.pop();
    }
    lines
}

/// The same for found lines.
fn found_lines(text: &str) -> Vec<&str> {
    let lines = text.split('\n').map(str::trim_end);
    let mut lines: Vec<&str> = lines.skip_while(|line| line.is_empty()).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}

/// Replaces tabs by spaces up to the next multiple of eight columns.
fn on_a_terminal(text: &str) -> std::borrow::Cow<'_, str> {
    let mut shown = String::with_capacity(text.len() + text.len() / 4);
    let mut column = 0;
    for letter in text.chars() {
        match letter {
            '\t' => {
                let spaces = 8 - column % 8;
                shown.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            '\n' => {
                shown.push(letter);
                column = 0;
            }
            letter => {
                shown.push(letter);
                column += 1;
            }
        }
    }
    shown.into()
}

/// Matches the lines before the first elision, or all lines if `all`.
fn leading(segment: &Segment, found: &[&str], all: bool) -> Result<usize, Mismatch> {
    for (index, line) in segment.lines.iter().enumerate() {
        let here = found.get(index).copied();
        if !here.is_some_and(|here| line.matches(here)) {
            return Err(differs(index + 1, Some(&line.text), here));
        }
    }
    let end = segment.lines.len();
    match found.get(end) {
        Some(extra) if all => Err(differs(end + 1, None, Some(extra))),
        _ => Ok(end),
    }
}

/// Matches the lines after the last elision with the end of the output.
fn trailing(segment: &Segment, found: &[&str]) -> Result<(), Mismatch> {
    let count = segment.lines.len();
    if found.len() < count {
        // Too short: report the first line that is missing.
        middle(segment, found)?;
    }
    let start = found.len().saturating_sub(count);
    for (index, line) in segment.lines.iter().enumerate() {
        let here = found.get(start + index).copied();
        if !here.is_some_and(|here| line.matches(here)) {
            let reason = format!(
                "expected line {} does not match the last line of the output",
                segment.number + index
            );
            return Err(Mismatch::new(reason).between(Some(&line.text), here));
        }
    }
    Ok(())
}

/// Finds the first match of a segment; returns the line after it. Follows all possible starts at
/// once, with one bit each (shift-and), so repeated lines cost no more than others.
fn middle(segment: &Segment, found: &[&str]) -> Result<usize, Mismatch> {
    let count = segment.lines.len();
    if count == 0 {
        return Ok(0);
    }
    let masks = Masks::new(segment);
    let mut alive = vec![0u64; masks.words];
    let mut best = 0;
    let mut scratch = vec![0u64; masks.words];
    for (index, line) in found.iter().enumerate() {
        masks.of(line, &mut scratch);
        let mut carry = 1;
        for (word, mask) in alive.iter_mut().zip(&scratch) {
            let next = *word >> 63;
            *word = ((*word << 1) | carry) & mask;
            carry = next;
        }
        best = best.max(longest(&alive));
        if best == count {
            return Ok(index + 1);
        }
    }
    let line = &segment.lines[best];
    let reason = format!(
        "expected line {} was not found in the {} remaining lines of output",
        segment.number + best,
        found.len()
    );
    Err(Mismatch::new(reason).between(Some(&line.text), None))
}

/// For each found line, the expected lines that it may match, as bits.
struct Masks<'a> {
    literal: HashMap<&'a str, Vec<u64>>,
    others: Vec<(usize, &'a Line)>,
    words: usize,
}

impl<'a> Masks<'a> {
    fn new(segment: &'a Segment) -> Masks<'a> {
        let words = segment.lines.len().div_ceil(64);
        let mut masks = Masks {
            literal: HashMap::new(),
            others: Vec::new(),
            words,
        };
        for (index, line) in segment.lines.iter().enumerate() {
            if let Rule::Literal = line.rule {
                let mask = masks
                    .literal
                    .entry(line.text.as_str())
                    .or_insert_with(|| vec![0; words]);
                mask[index / 64] |= 1 << (index % 64);
            } else {
                masks.others.push((index, line));
            }
        }
        masks
    }

    fn of(&self, found: &str, mask: &mut [u64]) {
        match self.literal.get(found) {
            Some(known) => mask.copy_from_slice(known),
            None => mask.fill(0),
        }
        for (index, line) in &self.others {
            if line.matches(found) {
                mask[index / 64] |= 1 << (index % 64);
            }
        }
    }
}

/// The number of matched lines of the longest partial match.
fn longest(alive: &[u64]) -> usize {
    alive
        .iter()
        .enumerate()
        .rev()
        .find(|(_, word)| **word != 0)
        .map_or(0, |(index, word)| {
            index * 64 + 64 - word.leading_zeros() as usize
        })
}

fn differs(line: usize, expected: Option<&str>, found: Option<&str>) -> Mismatch {
    let reason = match (expected, found) {
        (Some(_), None) => format!("the output ends before line {line}"),
        (None, Some(_)) => format!("the output has more text from line {line} on"),
        _ => format!("line {line} differs"),
    };
    Mismatch::new(reason).between(expected, found)
}
