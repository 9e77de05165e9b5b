//! `${name}` in the author's texts. A text is parsed once. A substituted value is data: it is never
//! parsed again, neither for references nor as a pattern, an expression or JSON.

use std::fmt;
use std::ops::Range;

use regex::Regex;

/// A text of the author in which `${name}` means a value, and `$${` a literal `${`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interpolated {
    parts: Vec<Part>,
}

/// One part of an [`Interpolated`] text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Written by the author: patterns and expressions in it are active.
    Written(String),
    /// A substituted value: plain text.
    Value(String),
    /// A name without a value yet.
    Name(String),
}

/// A piece of a raw text, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text without a reference.
    Text(&'a str),
    /// `${name}`; the range covers all of it.
    Name(&'a str, Range<usize>),
    /// An invalid `${`; the range covers what was written.
    Wrong(Wrong<'a>, Range<usize>),
}

/// Why a `${` is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong<'a> {
    /// No `}` follows.
    Unclosed,
    /// `${HOME}`, `${a.b}`: not `[a-z][a-z0-9_]*`.
    Name(&'a str),
}

impl Interpolated {
    /// Parses a text of the author. An invalid `${` stays unchanged.
    #[must_use]
    pub fn read(text: &str) -> Interpolated {
        let mut parts = Vec::new();
        for piece in pieces(text) {
            match piece {
                Piece::Name(name, _) => parts.push(Part::Name(name.to_owned())),
                Piece::Text(text) => written(&mut parts, text),
                Piece::Wrong(_, range) => written(&mut parts, &text[range]),
            }
        }
        Interpolated { parts }
    }

    /// A text without references.
    #[must_use]
    pub fn literal(text: &str) -> Interpolated {
        let mut parts = Vec::new();
        written(&mut parts, text);
        Interpolated { parts }
    }

    /// Its parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Substitutes values. A name without a value stays.
    #[must_use]
    pub fn fill(&self, mut value: impl FnMut(&str) -> Option<String>) -> Interpolated {
        let parts = self.parts.iter().map(|part| match part {
            Part::Name(name) => value(name).map_or_else(|| part.clone(), Part::Value),
            known => known.clone(),
        });
        Interpolated {
            parts: parts.collect(),
        }
    }

    /// The names without a value, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Written(_) | Part::Value(_) => None,
        })
    }

    /// Whether some name has no value, so that the text is not known yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.names().next().is_some()
    }

    /// Whether it is an empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The text if every name has a value.
    #[must_use]
    pub fn known(&self) -> Option<String> {
        (!self.is_open()).then(|| self.to_string())
    }

    /// The lines of the text, each with its parts.
    #[must_use]
    pub fn lines(&self) -> Vec<Interpolated> {
        let mut lines = vec![Interpolated::default()];
        for part in &self.parts {
            let (text, make): (&str, fn(String) -> Part) = match part {
                Part::Written(text) => (text, Part::Written),
                Part::Value(text) => (text, Part::Value),
                Part::Name(_) => {
                    push(&mut lines, part.clone());
                    continue;
                }
            };
            for (number, line) in text.split('\n').enumerate() {
                if number > 0 {
                    lines.push(Interpolated::default());
                }
                if !line.is_empty() {
                    push(&mut lines, make(line.to_owned()));
                }
            }
        }
        lines
    }

    /// Removes white space at the end.
    #[must_use]
    pub fn trim_end(mut self) -> Interpolated {
        while let Some(Part::Written(text) | Part::Value(text)) = self.parts.last_mut() {
            text.truncate(text.trim_end().len());
            if !text.is_empty() {
                break;
            }
            self.parts.pop();
        }
        self
    }

    /// Splits at marks that the author wrote; a mark within a value does not count.
    #[must_use]
    pub fn split(&self, mark: &str) -> Vec<String> {
        let mut between = vec![String::new()];
        for part in &self.parts {
            let last = between.len() - 1;
            match part {
                Part::Written(text) => {
                    let mut split = text.split(mark);
                    between[last].push_str(split.next().unwrap_or_default());
                    between.extend(split.map(str::to_owned));
                }
                other => between[last].push_str(&other.to_string()),
            }
        }
        between
    }

    /// The text after a mark that the author wrote at its beginning.
    #[must_use]
    pub fn strip_prefix(&self, mark: char) -> Option<Interpolated> {
        let (Part::Written(first), rest) = self.parts.split_first()? else {
            return None;
        };
        let mut parts = Vec::new();
        written(&mut parts, first.strip_prefix(mark)?);
        parts.extend_from_slice(rest);
        Some(Interpolated { parts })
    }

    /// The text before a mark that the author wrote at its end.
    #[must_use]
    pub fn strip_suffix(&self, mark: char) -> Option<Interpolated> {
        let (Part::Written(last), rest) = self.parts.split_last()? else {
            return None;
        };
        let mut parts = rest.to_vec();
        written(&mut parts, last.strip_suffix(mark)?);
        Some(Interpolated { parts })
    }

    /// Compiles the text as a regular expression. `translate` is applied to the author's parts;
    /// values and names match literally.
    ///
    /// # Errors
    /// The error of the `regex` crate.
    pub fn regex(&self, translate: impl FnOnce(&str) -> String) -> Result<Regex, regex::Error> {
        Regex::new(&self.regex_text(translate))
    }

    /// The same, not compiled.
    #[must_use]
    pub fn regex_text(&self, translate: impl FnOnce(&str) -> String) -> String {
        let mut values = Vec::new();
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Written(written) => text.extend(written.chars().filter(|c| !is_mark(*c))),
                other => {
                    text.push(mark(values.len()));
                    values.push(other.to_string());
                }
            }
        }
        with_values(&translate(&text), &values)
    }

    /// Parses the text as JSON with references: within a string a value becomes a part of the
    /// string, elsewhere it must be valid JSON.
    ///
    /// The second result are the values behind the marks in the first one's strings;
    /// [`Interpolated::in_marked`] reads them.
    ///
    /// # Errors
    /// The value that is not valid at its place, or the error in the JSON.
    pub fn json(&self) -> Result<(serde_json::Value, Vec<String>), String> {
        let mut json = String::new();
        let mut values = Vec::new();
        let mut within = false;
        for part in &self.parts {
            let value = match part {
                Part::Written(text) => {
                    within = ends_within(text, within);
                    json.extend(text.chars().filter(|c| !is_mark(*c)));
                    continue;
                }
                other => other.to_string(),
            };
            if within {
                json.push(mark(values.len()));
                values.push(value);
            } else if serde_json::from_str::<serde_json::Value>(&value).is_ok() {
                json.push_str(&value);
            } else {
                return Err(format!(
                    "the value `{value}` is not JSON: write the reference within quotes"
                ));
            }
        }
        let json = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        Ok((json, values))
    }

    /// A string from [`Interpolated::json`], with its values.
    #[must_use]
    pub fn in_marked(text: &str, values: &[String]) -> Interpolated {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_mark(*c)) {
            written(&mut parts, &rest[..at]);
            let value = values.get(c as usize - FIRST_MARK as usize);
            parts.push(Part::Value(value.cloned().unwrap_or_default()));
            rest = &rest[at + c.len_utf8()..];
        }
        written(&mut parts, rest);
        Interpolated { parts }
    }
}

/// The text; a name without a value appears as written.
impl fmt::Display for Interpolated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| write!(f, "{part}"))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Written(text) | Part::Value(text) => f.write_str(text),
            Part::Name(name) => write!(f, "${{{name}}}"),
        }
    }
}

/// The pieces of a raw text, in order.
pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let (piece, length) = piece(rest, at);
        at += length;
        Some(piece)
    })
}

/// The invalid `${` in a raw text.
pub fn wrong_references(text: &str) -> impl Iterator<Item = Wrong<'_>> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Wrong(wrong, _) => Some(wrong),
        Piece::Text(_) | Piece::Name(..) => None,
    })
}

/// Whether this is a valid name of a value: `[a-z][a-z0-9_]*`.
#[must_use]
pub fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl Wrong<'_> {
    /// The error, in one sentence without a full stop.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Wrong::Unclosed => "`${` without `}`".to_owned(),
            Wrong::Name(name) => format!("`{name}` cannot be the name of a value"),
        }
    }

    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "a literal `${` is written `$${`"
    }
}

/// The first piece of a non-empty text, and its length.
fn piece(rest: &str, at: usize) -> (Piece<'_>, usize) {
    if rest.starts_with("$${") {
        return (Piece::Text(&rest[1..3]), 3);
    }
    let Some(inner) = rest.strip_prefix("${") else {
        let length = next_dollar(rest);
        return (Piece::Text(&rest[..length]), length);
    };
    let closed = inner.find('}').filter(|end| !inner[..*end].contains("${"));
    let Some(length) = closed else {
        return (Piece::Wrong(Wrong::Unclosed, at..at + 2), 2);
    };
    let name = &inner[..length];
    let range = at..at + length + 3;
    if is_variable_name(name) {
        (Piece::Name(name, range), length + 3)
    } else {
        (Piece::Wrong(Wrong::Name(name), range), length + 3)
    }
}

/// The length of the text before the next `$` that may begin a piece.
fn next_dollar(rest: &str) -> usize {
    rest.char_indices()
        .skip(1)
        .find(|(_, c)| *c == '$')
        .map_or(rest.len(), |(at, _)| at)
}

fn push(lines: &mut [Interpolated], part: Part) {
    if let Some(line) = lines.last_mut() {
        line.parts.push(part);
    }
}

/// Adjacent parts of the author are merged, so that marks of two characters are found.
fn written(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Written(last)) => last.push_str(text),
        _ => parts.push(Part::Written(text.to_owned())),
    }
}

/// Private-use characters that represent values while the surrounding text is parsed. The author's
/// own such characters are removed before.
const FIRST_MARK: char = '\u{F0000}';
const LAST_MARK: char = '\u{FFFFD}';

fn mark(index: usize) -> char {
    let offset = u32::try_from(index).unwrap_or(u32::MAX);
    let code = (FIRST_MARK as u32).saturating_add(offset);
    char::from_u32(code.min(LAST_MARK as u32)).unwrap_or(LAST_MARK)
}

fn is_mark(c: char) -> bool {
    (FIRST_MARK..=LAST_MARK).contains(&c)
}

/// An expression with its values instead of their marks: within brackets as characters, elsewhere
/// as one group.
fn with_values(expression: &str, values: &[String]) -> String {
    let mut out = String::new();
    let mut class = 0_usize;
    let mut escaped = false;
    for c in expression.chars() {
        match c {
            _ if is_mark(c) => {
                let value = values.get(c as usize - FIRST_MARK as usize);
                let value = regex::escape(value.map_or("", String::as_str));
                if class > 0 {
                    out.push_str(&value);
                } else {
                    out.push_str(&format!("(?:{value})"));
                }
                escaped = false;
                continue;
            }
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class += 1,
            ']' => class = class.saturating_sub(1),
            _ => {}
        }
        out.push(c);
    }
    out
}

/// Whether a position after this JSON fragment is within a string; `within` is the state before it.
fn ends_within(json: &str, mut within: bool) -> bool {
    let mut escaped = false;
    for c in json.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if within => escaped = true,
            '"' => within = !within,
            _ => {}
        }
    }
    within
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, value: &str) -> Interpolated {
        Interpolated::read(text).fill(|name| (name == "a").then(|| value.to_owned()))
    }

    #[test]
    fn references_literals_and_mistakes_are_told_apart() {
        let table: [(&str, Vec<Piece<'_>>); 7] = [
            ("", vec![]),
            (
                "a $b $",
                vec![Piece::Text("a "), Piece::Text("$b "), Piece::Text("$")],
            ),
            (
                "ü${a_1}b",
                vec![Piece::Text("ü"), Piece::Name("a_1", 2..8), Piece::Text("b")],
            ),
            ("$${a}", vec![Piece::Text("${"), Piece::Text("a}")]),
            (
                "$$${a}",
                vec![Piece::Text("$"), Piece::Text("${"), Piece::Text("a}")],
            ),
            (
                "x${a",
                vec![
                    Piece::Text("x"),
                    Piece::Wrong(Wrong::Unclosed, 1..3),
                    Piece::Text("a"),
                ],
            ),
            (
                "${A}${}",
                vec![
                    Piece::Wrong(Wrong::Name("A"), 0..4),
                    Piece::Wrong(Wrong::Name(""), 4..7),
                ],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(pieces(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn a_value_is_never_read_for_references() {
        for (text, value, expected) in [
            (
                "x ${a} ${b} $${a} ${A} ${a",
                "${b}",
                "x ${b} ${b} ${a} ${A} ${a",
            ),
            ("$${", "", "${"),
            ("${a}", "$${b}", "$${b}"),
        ] {
            let once = filled(text, value);
            assert_eq!(once.to_string(), expected);
            let again = once.fill(|name| (name == "b").then(|| "B".to_owned()));
            let twice = expected.replacen(" ${b} $", " B $", usize::from(text.contains(" ${b} ")));
            assert_eq!(again.to_string().len(), twice.len(), "{text}");
        }
        assert_eq!(filled("${a}", "${a}").known().as_deref(), Some("${a}"));
        assert_eq!(filled("${b}", "x").known(), None);
    }

    #[test]
    fn marks_within_values_separate_nothing() {
        assert_eq!(filled("x[..]${a}", "[..]y").split("[..]"), ["x", "[..]y"]);
        assert_eq!(
            filled("!${a}", "!x").strip_prefix('!').unwrap().to_string(),
            "!x"
        );
        assert_eq!(filled("${a}", "!x").strip_prefix('!'), None);
        assert_eq!(filled("/${a}", "x/").strip_suffix('/'), None);
        let lines: Vec<_> = filled("1\n2${a}\n", "x\ny").lines();
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["1", "2x", "y", ""]);
        assert_eq!(filled("${a} \t", "x  ").trim_end().to_string(), "x");
    }

    #[test]
    fn a_value_in_an_expression_stands_for_itself() {
        for (text, value, found, matches) in [
            ("^v${a}$", "1.2", "v1.2", true),
            ("^v${a}$", "1.2", "v1x2", false),
            ("^${a}+$", "ab", "abab", true),
            ("^[${a}]+$", "a-z]", "-z]a", true),
            ("^[${a}]+$", "a-z", "b", false),
            ("^\\[${a}$", ".*", "[.*", true),
            ("^\\[${a}$", ".*", "[x", false),
            ("^${a}$", ")(", ")(", true),
        ] {
            let regex = filled(text, value).regex(str::to_owned).unwrap();
            assert_eq!(regex.is_match(found), matches, "{text} {value} {found}");
        }
        assert!(filled("(${a}", ")").regex(str::to_owned).is_err());
    }

    #[test]
    fn a_value_in_json_stays_within_its_text() {
        let json = |text, value| {
            filled(text, value).json().map(|(json, values)| match json {
                serde_json::Value::String(text) => {
                    Interpolated::in_marked(&text, &values).to_string()
                }
                other => other.to_string(),
            })
        };
        assert_eq!(
            json("\"v${a}\"", "x\", \"y\\"),
            Ok("vx\", \"y\\".to_owned())
        );
        assert_eq!(json("{\"p\": ${a}}", "80"), Ok("{\"p\":80}".to_owned()));
        assert!(json("{\"p\": ${a}}", "80, \"q\": 1").is_err());
        assert!(json("{\"p\": ${a}}", "x").is_err());
    }
}
