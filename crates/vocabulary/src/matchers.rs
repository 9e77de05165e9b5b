//! Matchers: expectations of a found value, with goss's semantics. Pure; knows neither YAML nor
//! probes.

use std::fmt;

use crate::found::{Found, number_text, parse_number};
use crate::go_regexp::regexp;
use crate::interpolation::Interpolated;
use crate::{json_path, patterns, versions};

/// One expectation. A substituted value is plain text: never a pattern or a part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Matcher {
    /// Equal after converting the found value to the expected type.
    Equal(Found),
    /// Equal without any conversion: `equal`.
    Exactly(Found),
    /// Permissions, compared as octal numbers.
    Mode(Interpolated),
    /// Patterns for the lines of a text.
    Patterns(Vec<Interpolated>),
    /// Each matches a different element: `contain-elements`, and any list.
    Elements(Vec<Matcher>),
    /// One element matches: `contain-element`.
    Element(Box<Matcher>),
    /// Each matches a different element, and no element is left: `consist-of`.
    ConsistOf(Vec<Matcher>),
    /// The text has this prefix: `have-prefix`.
    Prefix(Interpolated),
    /// The text has this suffix: `have-suffix`.
    Suffix(Interpolated),
    /// The text contains this: `contain-substring`.
    Substring(Interpolated),
    /// The text matches a Go regular expression: `match-regexp`.
    Regexp(Interpolated),
    /// The number of characters, elements or keys: `have-len`.
    Length(usize),
    /// One key matches: `have-key`.
    Key(Box<Matcher>),
    /// `have-key-with-value`.
    Entries(Vec<(String, Matcher)>),
    /// The number is a text, because it may contain a name.
    Compare(Comparison, Interpolated),
    /// The version satisfies a constraint: `semver-constraint`.
    Semver(Interpolated),
    /// JSON in the text, by path.
    Json(Vec<(String, Matcher)>),
    /// The inner matcher does not match: `not`.
    Not(Box<Matcher>),
    /// All of them match: `and`.
    And(Vec<Matcher>),
    /// One of them matches: `or`.
    Or(Vec<Matcher>),
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `gt`.
    Greater,
    /// `ge`.
    GreaterOrEqual,
    /// `lt`.
    Less,
    /// `le`.
    LessOrEqual,
}

impl Matcher {
    /// Whether the found value matches. A value that cannot be converted as needed is an error: as
    /// in goss, `not` does not turn it into a match.
    pub fn matches(&self, found: &Found) -> Result<bool, String> {
        if *found == Found::Absent {
            return Err("there is no such thing".to_owned());
        }
        match self {
            Matcher::Equal(expected) => equal(expected, found),
            Matcher::Exactly(expected) => Ok(expected == found),
            Matcher::Mode(expected) => Ok(same_mode(&expected.to_string(), &found.as_text())),
            Matcher::Patterns(patterns) => {
                patterns::missing(patterns, &found.as_text()).map(|missing| missing.is_empty())
            }
            Matcher::Elements(matchers) => {
                pairs(matchers, &found.as_list()).map(|pairs| pairs == matchers.len())
            }
            Matcher::Element(matcher) => any(found.as_list().iter(), |item| matcher.matches(item)),
            Matcher::ConsistOf(matchers) => {
                let items = found.as_list();
                Ok(items.len() == matchers.len() && pairs(matchers, &items)? == items.len())
            }
            Matcher::Prefix(text) => Ok(found.as_text().starts_with(&text.to_string())),
            Matcher::Suffix(text) => Ok(found.as_text().ends_with(&text.to_string())),
            Matcher::Substring(text) => Ok(found.as_text().contains(&text.to_string())),
            Matcher::Regexp(text) => Ok(regexp(text)?.is_match(&found.as_text())),
            Matcher::Length(length) => found
                .length()
                .map(|found| found == *length)
                .ok_or_else(|| format!("{found} has no length")),
            Matcher::Key(matcher) => any(map(found)?.keys(), |key| {
                matcher.matches(&Found::Text(key.clone()))
            }),
            Matcher::Entries(entries) => {
                let map = map(found)?;
                all(entries, |(key, matcher)| match map.get(key) {
                    Some(value) => matcher.matches(value),
                    None => Ok(false),
                })
            }
            Matcher::Compare(comparison, number) => {
                compare(*comparison, &number.to_string(), found)
            }
            Matcher::Semver(constraint) => versions::satisfies(&constraint.to_string(), found),
            Matcher::Json(paths) => {
                let json: serde_json::Value = serde_json::from_str(&found.as_text())
                    .map_err(|error| format!("it is not JSON: {error}"))?;
                all(paths, |(path, matcher)| {
                    let found = json_path::get(&json, path)
                        .ok_or_else(|| format!("there is no `{path}` in it"))?;
                    matcher.matches(&Found::from_json(&found))
                })
            }
            Matcher::Not(matcher) => matcher.matches(found).map(|matched| !matched),
            Matcher::And(matchers) => all(matchers, |matcher| matcher.matches(found)),
            Matcher::Or(matchers) => any(matchers.iter(), |matcher| matcher.matches(found)),
        }
    }

    /// Substitutes values in every text.
    pub fn fill(&mut self, value: &mut dyn FnMut(&str) -> Option<String>) {
        match self {
            Matcher::Equal(found) | Matcher::Exactly(found) => found.fill(value),
            Matcher::Mode(text)
            | Matcher::Prefix(text)
            | Matcher::Suffix(text)
            | Matcher::Substring(text)
            | Matcher::Regexp(text)
            | Matcher::Compare(_, text)
            | Matcher::Semver(text) => *text = text.fill(value),
            Matcher::Patterns(patterns) => {
                for text in patterns {
                    *text = text.fill(&mut *value);
                }
            }
            Matcher::Elements(matchers)
            | Matcher::ConsistOf(matchers)
            | Matcher::And(matchers)
            | Matcher::Or(matchers) => {
                for matcher in matchers {
                    matcher.fill(value);
                }
            }
            Matcher::Element(matcher) | Matcher::Key(matcher) | Matcher::Not(matcher) => {
                matcher.fill(value);
            }
            Matcher::Entries(entries) | Matcher::Json(entries) => {
                for (_, matcher) in entries {
                    matcher.fill(value);
                }
            }
            Matcher::Length(_) => {}
        }
    }
}

/// For evidence: `>= 21`, `"root"`, `containing "ok"`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Matcher::Equal(found) => write!(f, "{found}"),
            Matcher::Exactly(found) => write!(f, "exactly {found}"),
            Matcher::Mode(text) => write!(f, "{:?}", text.to_string()),
            Matcher::Patterns(patterns) => list(
                f,
                "lines with",
                patterns.iter().map(|p| format!("{:?}", p.to_string())),
            ),
            Matcher::Elements(matchers) => list(f, "containing", matchers),
            Matcher::Element(matcher) => write!(f, "containing {matcher}"),
            Matcher::ConsistOf(matchers) => list(f, "consisting of", matchers),
            Matcher::Prefix(text) => write!(f, "beginning with {:?}", text.to_string()),
            Matcher::Suffix(text) => write!(f, "ending with {:?}", text.to_string()),
            Matcher::Substring(text) => write!(f, "with {:?} in it", text.to_string()),
            Matcher::Regexp(text) => write!(f, "matching /{text}/"),
            Matcher::Length(length) => write!(f, "of length {length}"),
            Matcher::Key(matcher) => write!(f, "with a key {matcher}"),
            Matcher::Entries(entries) => {
                list(f, "with", entries.iter().map(|(k, m)| format!("{k}: {m}")))
            }
            Matcher::Compare(comparison, number) => write!(f, "{} {number}", comparison.sign()),
            Matcher::Semver(constraint) => write!(f, "of version {constraint}"),
            Matcher::Json(paths) => list(
                f,
                "JSON with",
                paths.iter().map(|(p, m)| format!("{p}: {m}")),
            ),
            Matcher::Not(matcher) => write!(f, "not {matcher}"),
            Matcher::And(matchers) => list(f, "all of", matchers),
            Matcher::Or(matchers) => list(f, "any of", matchers),
        }
    }
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
        }
    }
}

/// Permissions as a number: `0644`, `644` and `0o644` are equal.
#[must_use]
pub fn octal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
}

fn same_mode(expected: &str, found: &str) -> bool {
    octal(expected).is_some_and(|expected| octal(found) == Some(expected))
}

fn equal(expected: &Found, found: &Found) -> Result<bool, String> {
    Ok(match expected {
        Found::Text(text) => {
            let found = found.as_text();
            // A command's output ends with a line end, which authors rarely write.
            found == *text || found.strip_suffix('\n') == Some(text)
        }
        Found::Number(number) => {
            let found = found
                .as_number()
                .ok_or_else(|| format!("{found} is no number"))?;
            same_number(*number, found)
        }
        other => other == found,
    })
}

#[expect(clippy::float_cmp, reason = "numbers are equal as they are written")]
fn same_number(a: f64, b: f64) -> bool {
    a == b
}

fn compare(comparison: Comparison, number: &str, found: &Found) -> Result<bool, String> {
    let limit = parse_number(number).ok_or_else(|| format!("`{number}` is not a number"))?;
    let value = found
        .as_number()
        .ok_or_else(|| format!("{found} is no number"))?;
    Ok(match comparison {
        Comparison::Greater => value > limit,
        Comparison::GreaterOrEqual => value >= limit,
        Comparison::Less => value < limit,
        Comparison::LessOrEqual => value <= limit,
    })
}

fn map(found: &Found) -> Result<&indexmap::IndexMap<String, Found>, String> {
    match found {
        Found::Map(map) => Ok(map),
        other => Err(format!("{other} is no map")),
    }
}

fn all<T>(items: &[T], f: impl Fn(&T) -> Result<bool, String>) -> Result<bool, String> {
    for item in items {
        if !f(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True if any is true; the first error if none is.
fn any<T>(
    items: impl Iterator<Item = T>,
    f: impl Fn(T) -> Result<bool, String>,
) -> Result<bool, String> {
    let mut error = None;
    for item in items {
        match f(item) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(message) => error = error.or(Some(message)),
        }
    }
    error.map_or(Ok(false), Err)
}

/// The largest number of matchers that can each get a different element.
#[expect(
    clippy::unnecessary_wraps,
    reason = "called where errors are handed on"
)]
fn pairs(matchers: &[Matcher], items: &[Found]) -> Result<usize, String> {
    let fits: Vec<Vec<bool>> = matchers
        .iter()
        .map(|matcher| {
            items
                .iter()
                .map(|item| matcher.matches(item).unwrap_or(false))
                .collect()
        })
        .collect();
    let mut taken: Vec<Option<usize>> = vec![None; items.len()];
    let mut count = 0;
    for matcher in 0..matchers.len() {
        if place(matcher, &fits, &mut taken, &mut vec![false; items.len()]) {
            count += 1;
        }
    }
    Ok(count)
}

/// Assigns an element to a matcher; may reassign the elements of others.
fn place(
    matcher: usize,
    fits: &[Vec<bool>],
    taken: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    for item in 0..taken.len() {
        if !fits[matcher][item] || seen[item] {
            continue;
        }
        seen[item] = true;
        let free = match taken[item] {
            None => true,
            Some(other) => place(other, fits, taken, seen),
        };
        if free {
            taken[item] = Some(matcher);
            return true;
        }
    }
    false
}

fn list(
    f: &mut fmt::Formatter<'_>,
    word: &str,
    items: impl IntoIterator<Item = impl fmt::Display>,
) -> fmt::Result {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    write!(f, "{word} [{}]", items.join(", "))
}

/// A number in the author's notation.
#[must_use]
pub fn literal_number(value: f64) -> String {
    number_text(value)
}
