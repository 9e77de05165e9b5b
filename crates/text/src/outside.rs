//! Text from outside: from a node, from another user's bundle, from a journal.
//!
//! It has no `Display`: the caller must choose how to print it, and each way makes it harmless.
//! Printed, it cannot move the cursor, change a title, reverse the reading direction, hide
//! anything, end a line, or be a command to a CI system that reads the log. Data formats get the
//! original text.

mod neutral;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use neutral::{Net, commands, is_hidden};

/// The most characters shown of one line.
const MOST: usize = 2000;
/// The most lines shown of a block.
const MOST_LINES: usize = 200;

/// Text from outside, unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outside(String);

impl Outside {
    /// From bytes; invalid UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Outside {
        Outside(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The original text: for comparisons, for a shell (quoted), for data formats. Never for a
    /// terminal or a log.
    #[must_use]
    pub fn exact(&self) -> &str {
        &self.0
    }

    /// The original text, for a data format or a comparison; never for a terminal.
    #[must_use]
    pub fn into_exact(self) -> String {
        self.0
    }

    /// Whether it is an empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The whole text as one line, with visible line ends.
    #[must_use]
    pub fn line(&self) -> Line<'_> {
        line(&self.0)
    }

    /// All its lines.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.0.lines().map(line)
    }

    /// Its lines, limited to what a person can read.
    #[must_use]
    pub fn block(&self) -> Block<'_> {
        block(&self.0)
    }

    /// The last non-empty line, usually the most informative one.
    #[must_use]
    pub fn last_line(&self) -> Option<Line<'_>> {
        let lines = self.0.lines().map(str::trim);
        lines.rev().find(|line| !line.is_empty()).map(line)
    }

    /// Without white space at both ends.
    #[must_use]
    pub fn trimmed(&self) -> Outside {
        Outside(self.0.trim().to_owned())
    }
}

impl From<String> for Outside {
    fn from(text: String) -> Outside {
        Outside(text)
    }
}

impl From<&str> for Outside {
    fn from(text: &str) -> Outside {
        Outside(text.to_owned())
    }
}

impl PartialEq<str> for Outside {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Outside {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<String> for Outside {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

/// Text of any origin as one harmless line.
#[must_use]
pub fn line(text: &str) -> Line<'_> {
    Line(text)
}

/// Text of any origin as harmless lines.
#[must_use]
pub fn block(text: &str) -> Block<'_> {
    Block(text)
}

/// One harmless line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a>(&'a str);

/// Harmless lines.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.0.char_indices().nth(MOST).map(|(at, _)| at);
        let shown = neutral::line(&self.0[..kept.unwrap_or(self.0.len())]);
        f.pad(&match kept {
            Some(at) => format!("{shown}… ({} bytes more)", self.0.len() - at),
            None => shown,
        })
    }
}

impl fmt::Display for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, text) in self.0.lines().take(MOST_LINES).enumerate() {
            let end = if index > 0 { "\n" } else { "" };
            write!(f, "{end}{}", line(text))?;
        }
        match self.0.lines().count().saturating_sub(MOST_LINES) {
            0 => Ok(()),
            more => write!(f, "\n… ({more} lines more)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Detects whether a type has a `Display`, without requiring it.
    struct Asked<T>(std::marker::PhantomData<T>);

    trait Plain {
        const PRINTS: bool = false;
    }

    impl<T> Plain for T {}

    impl<T: fmt::Display> Asked<T> {
        const PRINTS: bool = true;
    }

    #[test]
    fn text_from_outside_cannot_be_printed_as_it_is() {
        const { assert!(!Asked::<Outside>::PRINTS) };
        const { assert!(Asked::<Line<'_>>::PRINTS, "the question itself works") };
    }

    #[test]
    fn a_journal_keeps_it_and_gives_it_back_as_what_it_is() {
        let text = Outside::from("\u{1b}]52;c;aGk=\u{7}\n::error::x");
        let kept = serde_json::to_string(&text).unwrap();
        assert_eq!(serde_json::from_str::<Outside>(&kept).unwrap(), text);
        assert_eq!(text.line().to_string(), "\\x1b]52;c;aGk=\\x07\\n::error::x");
        assert_eq!(
            text.block().to_string(),
            "\\x1b]52;c;aGk=\\x07\n\\::error::x"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let text = Outside::from("é".repeat(MOST + 3));
        let shown = text.line().to_string();
        assert!(shown.ends_with("é… (6 bytes more)"), "{shown}");
        assert_eq!(shown.matches('é').count(), MOST);
        let text = Outside::from("x\n".repeat(MOST_LINES + 7));
        assert!(text.block().to_string().ends_with("x\n… (7 lines more)"));
    }

    #[test]
    fn a_width_counts_as_with_any_text() {
        assert_eq!(format!("{:>4}|", line("ab")), "  ab|");
    }

    #[test]
    fn the_last_words_are_found() {
        let said = Outside::from("one\n \u{1b}[2Jtwo \n\n");
        assert_eq!(said.last_line().unwrap().to_string(), "\\x1b[2Jtwo");
        assert!(Outside::default().last_line().is_none());
    }
}
