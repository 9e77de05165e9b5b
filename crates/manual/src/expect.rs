//! Decides whether an output matches a page's expectation. Pure; the engine calls it with all
//! values substituted and shows the evidence. A substituted value is plain text: `...`, `[..]`,
//! regular expressions and JSON have a meaning only where the author wrote them.
//!
//! Lines are compared without trailing white space; blank lines at the end do not count.
//! Time is linear in the length of the output, even with many elisions.

pub mod bless;
mod json;
mod lines;

use std::fmt;

use crate::ExpectKind;
use crate::interpolation::Interpolated;

/// The first difference between an output and its expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// A short description: `line 2 differs`.
    pub reason: String,
    /// The expected line or JSON value; `None` if the output should have ended.
    pub expected: Option<String>,
    /// The line or value that was found instead; `None` if the output ended.
    pub found: Option<String>,
}

/// Compares an output with an expectation whose values are already substituted.
pub fn decide(expected: &Interpolated, kind: ExpectKind, found: &[u8]) -> Result<(), Mismatch> {
    match kind {
        ExpectKind::Text => lines::decide(expected, false, found),
        ExpectKind::Regex => lines::decide(expected, true, found),
        ExpectKind::Json => json::decide(expected, found),
    }
}

/// Errors of the expectation itself, with the range and the reason of each. Values that are not yet
/// substituted count as plain text.
#[must_use]
pub fn flaws(expected: &str, kind: ExpectKind) -> Vec<(std::ops::Range<usize>, String)> {
    match kind {
        ExpectKind::Text => Vec::new(),
        ExpectKind::Regex => lines::flaws(expected),
        ExpectKind::Json => json::flaws(expected),
    }
}

impl Mismatch {
    fn new(reason: impl Into<String>) -> Mismatch {
        Mismatch {
            reason: reason.into(),
            expected: None,
            found: None,
        }
    }

    fn between(mut self, expected: Option<&str>, found: Option<&str>) -> Mismatch {
        self.expected = expected.map(shortened);
        self.found = found.map(shortened);
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if self.expected.is_none() && self.found.is_none() {
            return Ok(());
        }
        let expected = self.expected.as_deref().unwrap_or("(nothing more)");
        let found = self.found.as_deref().unwrap_or("(nothing)");
        write!(f, "\n  expected: {expected}\n  found:    {found}")
    }
}

impl std::error::Error for Mismatch {}

/// Shortens a line of evidence.
fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    if text.len() <= MOST {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MOST)])
}

/// A literal text with gaps: `[..]` matches anything.
struct Glob {
    parts: Vec<String>,
}

impl Glob {
    fn new(pattern: &Interpolated) -> Glob {
        Glob {
            parts: pattern.split("[..]"),
        }
    }

    /// The leftmost match of each part is always good enough, so one pass suffices.
    fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|all| all == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in middle {
            match memchr::memmem::find(rest.as_bytes(), part.as_bytes()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests;
