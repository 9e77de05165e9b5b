//! Text that an author edits, places in it, and problems drawn with an excerpt.
//!
//! Knows no format: Markdown, YAML and the engine all use this. A place always means the file that
//! the author edits, even if a block comes from an include, an indented list or a quote.

mod nearest;
mod offsets;
mod passage;
mod passage_text;
mod problem;
mod shown;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use nearest::{misspelt, nearest};
pub use offsets::Offsets;
pub use passage::Passage;
pub use passage_text::PassageText;
pub use shown::{counted, in_one_line, visible};

pub use crate::outside::is_hidden;
pub use problem::{Concern, OnlyFor, Problem, SETTLED_BY_A_WORD, Severity, first_of_each};

/// The text of one file.
#[derive(Debug)]
pub struct Source {
    /// The file's path relative to the project, which identifies it.
    pub path: PathBuf,
    /// Its name in messages, if it belongs to a package.
    pub packaged: Option<Packaged>,
    /// The whole text.
    pub text: String,
    /// Byte offset of the first character of each line.
    lines: Vec<u32>,
}

/// A package's file: opsbook reads a copy, and people know the original by another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packaged {
    /// The name of the package.
    pub package: String,
    /// Its name in messages: the file that people can edit, otherwise `shop:manual/release.md`.
    pub shown: PathBuf,
    /// The text below the title of its pages, in Markdown: version, owners, source.
    pub about: String,
}

/// A byte range of one source.
#[derive(Clone)]
pub struct Span {
    /// The source.
    pub source: Arc<Source>,
    /// The offset of its first byte.
    pub start: u32,
    /// The offset after its last byte.
    pub end: u32,
}

/// A line and column, both counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Source {
    /// From the name of a file and its text.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Source> {
        Source::of(path, None, text)
    }

    /// The same for a file that may belong to a package.
    #[must_use]
    pub fn of(
        path: impl Into<PathBuf>,
        packaged: Option<Packaged>,
        text: impl Into<String>,
    ) -> Arc<Source> {
        let text = text.into();
        let ends = || memchr::memchr_iter(b'\n', text.as_bytes());
        let mut lines = Vec::with_capacity(1 + ends().count());
        lines.push(0);
        lines.extend(ends().map(|at| offset(at + 1)));
        Arc::new(Source {
            path: path.into(),
            packaged,
            text,
            lines,
        })
    }

    /// The file's name in messages.
    #[must_use]
    pub fn shown(&self) -> &Path {
        match &self.packaged {
            Some(packaged) => &packaged.shown,
            None => &self.path,
        }
    }

    /// The position of a byte offset; an offset past the end means the end.
    #[must_use]
    pub fn position(&self, at: u32) -> Position {
        let line = self.lines.partition_point(|&start| start <= at).max(1);
        let start = self.lines[line - 1] as usize;
        let end = (at as usize).clamp(start, self.text.len());
        let column = self.text.as_bytes()[start..end]
            .iter()
            .filter(|b| !is_continuation(**b))
            .count();
        Position {
            line: offset(line),
            column: offset(column + 1),
        }
    }

    /// The text of a line counted from 1, without its line end; empty past the last one.
    #[must_use]
    pub fn line(&self, line: u32) -> &str {
        let Some(&start) = self.lines.get(line.saturating_sub(1) as usize) else {
            return "";
        };
        let rest = &self.text[start as usize..];
        rest.split('\n')
            .next()
            .unwrap_or_default()
            .trim_end_matches('\r')
    }
}

impl Span {
    /// The place of a range of bytes. Offsets above 4 GiB are not supported, and no source is that
    /// large.
    /// large.
    #[must_use]
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Span {
        Span {
            source: Arc::clone(source),
            start: offset(range.start),
            end: offset(range.end),
        }
    }

    /// The position of its first byte.
    #[must_use]
    pub fn position(&self) -> Position {
        self.source.position(self.start)
    }

    /// The line of its first byte, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.position().line
    }

    /// The file's name in messages.
    #[must_use]
    pub fn shown(&self) -> &Path {
        self.source.shown()
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// The text at the place.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source
            .text
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// The first occurrence of a word within it; the whole place if there is none.
    #[must_use]
    pub fn narrowed(&self, word: &str) -> Span {
        if word.is_empty() {
            return self.clone();
        }
        let text = self.text();
        let joined = |c: char| c.is_alphanumeric() || "._-*?".contains(c);
        let alone = |at: &usize| {
            !text[..*at].ends_with(joined) && !text[at + word.len()..].starts_with(joined)
        };
        let found = text.match_indices(word).map(|(at, _)| at).find(alone);
        self.part(found, word.len())
    }

    /// The first occurrence of `${name}` from here to the end of the block; this place if there is
    /// none.
    #[must_use]
    pub fn reference(&self, name: &str) -> Span {
        /// Blocks are short; longer ones are not searched for each error.
        const MOST: usize = 16 * 1024;
        let start = self.start as usize;
        let most = self.source.text.floor_char_boundary(start + MOST);
        let rest = self.source.text.get(start..most).unwrap_or_default();
        let end = rest.find("\n```").unwrap_or(rest.len());
        let reference = format!("${{{name}}}");
        self.part(rest[..end].find(&reference), reference.len())
    }

    fn part(&self, at: Option<usize>, length: usize) -> Span {
        let Some(at) = at else {
            return self.clone();
        };
        let start = self.start as usize + at;
        Span::new(&self.source, start..start + length)
    }

    /// `file:line`, the usual form of places.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.shown().display(), self.line())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position();
        write!(
            f,
            "{}:{line}:{column}+{}",
            self.source.path.display(),
            self.end - self.start
        )
    }
}

impl Eq for Span {}

/// Equal if they cover the same bytes of the same path.
impl PartialEq for Span {
    fn eq(&self, other: &Span) -> bool {
        (self.start, self.end, &self.source.path) == (other.start, other.end, &other.source.path)
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Sources are limited far below 4 GiB when they are read.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
