//! Text that an author edits, places in it, and problems drawn with their excerpt.
//!
//! Knows no format: Markdown, YAML and the engine all point here. A place always means the
//! file that the author edits, also where a block came through an include, an indented list
//! or a quote.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use unicode_width::UnicodeWidthStr;

/// One file's text. `path` is how messages name it: relative to the project where possible.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    /// Byte offset of the first character of each line.
    lines: Vec<u32>,
}

/// A byte range of one source.
#[derive(Clone)]
pub struct Span {
    pub source: Arc<Source>,
    pub start: u32,
    pub end: u32,
}

/// A line and column, both counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// Text gathered from one or more sources, each byte of which still knows its place: the
/// content of a fence in a list, or a page with its includes put in.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    pub text: String,
    /// Sorted by `at`; each holds until the next one.
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
struct Segment {
    at: u32,
    source: Arc<Source>,
    offset: u32,
}

/// How bad a problem is. Errors stop every command that would touch a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Error,
}

/// Something wrong in a text, with its place. Displays as the place, the message, the
/// excerpt and at most one hint; every drawing of an excerpt in opsbook is this one.
#[derive(Clone, Debug)]
pub struct Problem {
    pub severity: Severity,
    /// A stable name in kebab-case for machines and for the reference: `unknown-role`.
    pub code: &'static str,
    pub message: String,
    pub span: Option<Span>,
    /// Second places that explain the first: `first defined here`.
    pub notes: Vec<(Span, String)>,
    pub hint: Option<String>,
}

impl Source {
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Source> {
        let text = text.into();
        let lines = std::iter::once(0)
            .chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| offset(at + 1)))
            .collect();
        Arc::new(Source {
            path: path.into(),
            text,
            lines,
        })
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
    #[must_use]
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Span {
        Span {
            source: Arc::clone(source),
            start: offset(range.start),
            end: offset(range.end),
        }
    }

    #[must_use]
    pub fn position(&self) -> Position {
        self.source.position(self.start)
    }

    #[must_use]
    pub fn line(&self) -> u32 {
        self.position().line
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.source.path
    }

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
        format!("{}:{}", self.source.path.display(), self.line())
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

impl Passage {
    /// All of a source.
    #[must_use]
    pub fn whole(source: &Arc<Source>) -> Passage {
        let mut passage = Passage::default();
        passage.push(&source.text, source, 0);
        passage
    }

    /// Appends `text`, which stands at `offset` of `source`. The texts may differ (a tab
    /// made into spaces): only the start is then exact.
    pub fn push(&mut self, text: &str, source: &Arc<Source>, offset: usize) {
        if text.is_empty() && !self.segments.is_empty() {
            return;
        }
        let at = crate::source::offset(self.text.len());
        let offset = crate::source::offset(offset);
        let continues = self.segments.last().is_some_and(|last| {
            Arc::ptr_eq(&last.source, source) && last.offset + (at - last.at) == offset
        });
        if !continues {
            if self.segments.is_empty() {
                // Most passages have no second one.
                self.segments.reserve_exact(1);
            }
            self.segments.push(Segment {
                at,
                source: Arc::clone(source),
                offset,
            });
        }
        self.text.push_str(text);
    }

    /// Whether anything, also empty text, was ever put in: then [`Passage::span`] works.
    #[must_use]
    pub fn has_place(&self) -> bool {
        !self.segments.is_empty()
    }

    /// Appends a range of another passage, places kept.
    pub fn push_from(&mut self, other: &Passage, range: Range<usize>) {
        let mut from = range.start;
        while from < range.end {
            let index = other.segment(from);
            let segment = &other.segments[index];
            let until = other
                .segments
                .get(index + 1)
                .map_or(usize::MAX, |next| next.at as usize);
            let to = until.min(range.end);
            let offset = segment.offset as usize + (from - segment.at as usize);
            self.push(&other.text[from..to], &segment.source, offset);
            from = to;
        }
    }

    /// A range of this passage as a passage of its own.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Passage {
        let mut slice = Passage::default();
        slice.push_from(self, range.clone());
        if !slice.has_place() && self.has_place() {
            let here = self.span(range.start..range.start);
            slice.push("", &here.source, here.start as usize);
        }
        slice
    }

    /// Where a range of this text stands in the file that the author edits. A range over
    /// several sources ends with the source in which it starts.
    ///
    /// # Panics
    /// Where nothing was ever pushed: an empty passage has no place.
    #[must_use]
    pub fn span(&self, range: Range<usize>) -> Span {
        let place = |at: usize| {
            let segment = &self.segments[self.segment(at)];
            (
                &segment.source,
                segment.offset as usize + (at - segment.at as usize),
            )
        };
        let (source, start) = place(range.start);
        let end = if range.end > range.start {
            let (last, end) = place(range.end - 1);
            if Arc::ptr_eq(last, source) {
                end + 1
            } else {
                start + 1
            }
        } else {
            start
        };
        let length = source.text.len();
        Span::new(source, start.min(length)..end.max(start).min(length))
    }

    fn segment(&self, at: usize) -> usize {
        self.segments
            .partition_point(|segment| segment.at as usize <= at)
            .saturating_sub(1)
    }
}

impl Problem {
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Problem {
        Problem {
            span: Some(span),
            ..Problem::bare(code, message)
        }
    }

    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Warning,
            ..Problem::error(code, span, message)
        }
    }

    /// An error about something that has no text: a file that is not there.
    #[must_use]
    pub fn bare(code: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Error,
            code,
            message: message.into(),
            span: None,
            notes: Vec::new(),
            hint: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Adds `did you mean …?` where one of the known names is near.
    #[must_use]
    pub fn did_you_mean<'a>(
        self,
        written: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Problem {
        match nearest(written, known) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    #[must_use]
    pub fn note(mut self, span: Span, text: impl Into<String>) -> Problem {
        self.notes.push((span, text.into()));
        self
    }

    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let message = harmless(&self.message);
        match &self.span {
            None => write!(f, "{severity}: {message}")?,
            Some(span) => {
                let Position { line, column } = span.position();
                write!(
                    f,
                    "{}:{line}:{column}: {severity}: {message}",
                    span.path().display()
                )?;
                excerpt(f, span)?;
            }
        }
        for (span, text) in &self.notes {
            let Position { line, column } = span.position();
            write!(f, "\n{}:{line}:{column}: {text}", span.path().display())?;
            excerpt(f, span)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {}", harmless(hint)),
            None => Ok(()),
        }
    }
}

/// The line of a span with carets under it, tabs as one space, long lines cut around it.
fn excerpt(f: &mut fmt::Formatter<'_>, span: &Span) -> fmt::Result {
    const WIDTH: usize = 120;
    let position = span.position();
    let line = span.source.line(position.line);
    let from: usize = line
        .chars()
        .take(position.column as usize - 1)
        .map(char::len_utf8)
        .sum();
    let length = (span.end - span.start) as usize;
    let until = line.floor_char_boundary((from + length).min(line.len()));
    let skip = if from > WIDTH {
        line.floor_char_boundary(from - WIDTH / 4)
    } else {
        0
    };
    let end = line.floor_char_boundary((skip + WIDTH * 2).min(line.len()));
    let shown = visible(&line[skip..end]);
    let margin = visible(&line[skip..from]).width();
    let carets = visible(&line[from.min(end)..until.clamp(from.min(end), end)])
        .width()
        .max(1);
    let number = position.line.to_string();
    let blank = " ".repeat(number.len());
    write!(
        f,
        "\n{blank} |\n{number} | {shown}\n{blank} | {}{}",
        " ".repeat(margin),
        "^".repeat(carets)
    )
}

/// Control and direction characters made harmless, each shown in one column.
#[must_use]
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if is_hidden(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The name of a test: what cannot be shown, line ends among it, is written as an escape. Names
/// stand in lines of lists and reports.
#[must_use]
pub fn in_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// The same for text of several lines, cut where it is too long to be read: messages may
/// hold names that a file made up.
fn harmless(text: &str) -> String {
    const MAX_BYTES: usize = 4096;
    let kept = &text[..text.floor_char_boundary(MAX_BYTES.min(text.len()))];
    let shown = kept.split('\n').map(visible).collect::<Vec<_>>().join("\n");
    shown + if kept.len() < text.len() { "…" } else { "" }
}

/// What a terminal does not show as a character: controls, directions, zero widths.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The known name that was probably meant, if one is near enough to say so.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = written.chars().count();
    let allowed = match length {
        0..=2 => 1,
        3..=6 => 2,
        _ => 3,
    };
    known
        .into_iter()
        // As many changes at least as one is longer: asked first, for texts of any length.
        .filter(|name| name.chars().count().abs_diff(length) <= allowed)
        .map(|name| {
            (
                strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Sources are bounded far below 4 GiB where they are read.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_drawn_with_its_place_excerpt_and_hint() {
        let source = Source::new("manual/a.md", "one\n```sh stpe id=x\n");
        let problem = Problem::error(
            "unknown-role",
            Span::new(&source, 10..14),
            "unknown role `stpe`",
        )
        .did_you_mean("stpe", ["check", "step"]);
        assert_eq!(
            problem.to_string(),
            "manual/a.md:2:7: error: unknown role `stpe`\n  |\n2 | ```sh stpe id=x\n  |       ^^^^\n\nhint: did you mean `step`?"
        );
    }

    #[test]
    fn wide_and_hidden_characters_keep_the_carets_in_place() {
        let source = Source::new("a.md", "\t日本 x\u{202e}y");
        let at = source.text.find('x').unwrap();
        let problem = Problem::warning("w", Span::new(&source, at..at + 1), "m");
        assert_eq!(
            problem.to_string(),
            "a.md:1:5: warning: m\n  |\n1 |  日本 x\u{fffd}y\n  |       ^"
        );
    }

    #[test]
    fn a_passage_keeps_the_places_of_its_sources() {
        let a = Source::new("a", "0123456789");
        let b = Source::new("b", "abcdef");
        let mut page = Passage::default();
        page.push("234", &a, 2);
        page.push("bcd", &b, 1);
        page.push("89", &a, 8);
        let block = page.slice(2..7);
        assert_eq!(block.text, "4bcd8");
        assert_eq!(format!("{:?}", block.span(0..1)), "a:1:5+1");
        assert_eq!(format!("{:?}", block.span(1..4)), "b:1:2+3");
        assert_eq!(format!("{:?}", block.span(4..5)), "a:1:9+1");
        assert_eq!(format!("{:?}", block.span(5..5)), "a:1:10+0");
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("nginx", ["ngnix", "apache"]), Some("ngnix"));
        assert_eq!(nearest("x", ["step", "check"]), None);
        assert_eq!(
            nearest("web.deply", ["web.deploy", "web.rollback"]),
            Some("web.deploy")
        );
    }
}
