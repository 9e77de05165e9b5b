//! Text that an author edits, places in it, and problems drawn with their excerpt.
//!
//! Knows no format: Markdown, YAML and the engine all point here. A place always means the
//! file that the author edits, also where a block came through an include, an indented list
//! or a quote.

mod nearest;
mod offsets;
mod passage;
mod problem;
mod shown;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use nearest::{misspelt, nearest};
pub use offsets::Offsets;
pub use passage::Passage;
pub use shown::{counted, in_one_line, visible};

pub use crate::outside::is_hidden;
pub use problem::{Concern, OnlyFor, Problem, SETTLED_BY_A_WORD, Severity, first_of_each};

/// One file's text.
#[derive(Debug)]
pub struct Source {
    /// The file, relative to the project. It is what the file is known by.
    pub path: PathBuf,
    /// What stands in messages instead, where the file is one of a package.
    pub packaged: Option<Packaged>,
    /// All of its text.
    pub text: String,
    /// Byte offset of the first character of each line.
    lines: Vec<u32>,
}

/// A file of a package: it is read from a copy, and a person knows it by another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packaged {
    /// The name of the package.
    pub package: String,
    /// As messages name it: the file that somebody can edit, else `shop:manual/release.md`.
    pub shown: PathBuf,
    /// What stands below the title of its pages, in Markdown: version, owners, source.
    pub about: String,
}

/// A byte range of one source.
#[derive(Clone)]
pub struct Span {
    /// The text in which the place is.
    pub source: Arc<Source>,
    /// Its first byte.
    pub start: u32,
    /// The byte after its last.
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
    /// Takes a text and the name of its file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Source> {
        Source::of(path, None, text)
    }

    /// The same of a file that may be one of a package.
    #[must_use]
    pub fn of(
        path: impl Into<PathBuf>,
        packaged: Option<Packaged>,
        text: impl Into<String>,
    ) -> Arc<Source> {
        let text = text.into();
        let lines = std::iter::once(0)
            .chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| offset(at + 1)))
            .collect();
        Arc::new(Source {
            path: path.into(),
            packaged,
            text,
            lines,
        })
    }

    /// How messages name the file.
    #[must_use]
    pub fn shown(&self) -> &Path {
        match &self.packaged {
            Some(packaged) => &packaged.shown,
            None => &self.path,
        }
    }

    /// The position of a byte offset; offsets past the end give the end.
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
    /// The place of a range of bytes. Offsets beyond 4 GiB are not kept, and no source is that
    /// large.
    #[must_use]
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Span {
        Span {
            source: Arc::clone(source),
            start: offset(range.start),
            end: offset(range.end),
        }
    }

    /// The line and column of its first byte.
    #[must_use]
    pub fn position(&self) -> Position {
        self.source.position(self.start)
    }

    /// The line of its first byte, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.position().line
    }

    /// The file, as messages name it.
    #[must_use]
    pub fn shown(&self) -> &Path {
        self.source.shown()
    }

    /// The file, as it is known by.
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

    /// The first place within it of a word; all of it where there is none.
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

    /// The first place of `${name}` from here to the end of the block; itself where there is
    /// none.
    #[must_use]
    pub fn reference(&self, name: &str) -> Span {
        /// Blocks are short; what is longer is not searched for each of its mistakes.
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

    /// `file:line`, the form in which steps, checks and values name their place.
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

/// Equal where they point at the same bytes of the same path.
impl PartialEq for Span {
    fn eq(&self, other: &Span) -> bool {
        (self.start, self.end, &self.source.path) == (other.start, other.end, &other.source.path)
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Sources are bounded far below 4 GiB where they are read.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
