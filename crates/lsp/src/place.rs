//! Converts places: byte offsets from and to the editor's lines and columns, paths from and to
//! URIs.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use lsp_types::{Position, Range, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::source::Span;

/// Characters that are not escaped in a URI.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// How the editor counts columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    Utf8,
    Utf16,
}

impl Columns {
    fn width(self, letter: char) -> usize {
        match self {
            Columns::Utf8 => letter.len_utf8(),
            Columns::Utf16 => letter.len_utf16(),
        }
    }

    /// The number of columns of a text on one line.
    pub fn count(self, text: &str) -> u32 {
        let columns: usize = text.chars().map(|letter| self.width(letter)).sum();
        u32::try_from(columns).unwrap_or(u32::MAX)
    }

    /// The position of a byte; within a character, the position of its beginning.
    pub fn position(self, text: &str, byte: usize) -> Position {
        let byte = byte.min(text.len());
        let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..byte]).count();
        let start = text.as_bytes()[..byte]
            .iter()
            .rposition(|byte| *byte == b'\n');
        let start = start.map_or(0, |at| at + 1);
        let letters = text[start..].char_indices();
        let letters = letters.take_while(|(at, letter)| start + at + letter.len_utf8() <= byte);
        let column: usize = letters.map(|(_, letter)| self.width(letter)).sum();
        Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            character: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    /// The byte of a position; a position after the end of a line or of the text means that end.
    pub fn byte(self, text: &str, place: Position) -> usize {
        let mut start = 0;
        for _ in 0..place.line {
            match text[start..].find('\n') {
                Some(end) => start += end + 1,
                None => return text.len(),
            }
        }
        let line = text[start..].split(['\n', '\r']).next().unwrap_or_default();
        let mut column = 0;
        for (at, letter) in line.char_indices() {
            if column >= place.character as usize {
                return start + at;
            }
            column += self.width(letter);
        }
        start + line.len()
    }

    pub fn range(self, text: &str, bytes: std::ops::Range<usize>) -> Range {
        Range {
            start: self.position(text, bytes.start),
            end: self.position(text, bytes.end),
        }
    }

    pub fn of_span(self, span: &Span) -> Range {
        self.range(&span.source.text, span.start as usize..span.end as usize)
    }
}

/// The URI of a file.
pub fn uri(path: &Path) -> Option<Uri> {
    let path = utf8_percent_encode(path.to_str()?, PLAIN);
    Uri::from_str(&format!("file://{path}")).ok()
}

/// The file of a URI; `None` if it is not a file of this machine.
pub fn path(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = percent_decode_str(path).decode_utf8().ok()?;
    path.starts_with('/').then(|| PathBuf::from(path.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_editor() {
        let text = "a\té😀b\r\nzwei\n";
        let at = |byte, columns: Columns| {
            let place = columns.position(text, byte);
            (place.line, place.character)
        };
        // Before the smile, after it, and on the next line.
        assert_eq!(at(4, Columns::Utf16), (0, 3));
        assert_eq!(at(4, Columns::Utf8), (0, 4));
        assert_eq!(at(8, Columns::Utf16), (0, 5));
        assert_eq!(at(8, Columns::Utf8), (0, 8));
        assert_eq!(at(11, Columns::Utf16), (1, 0));
        for columns in [Columns::Utf8, Columns::Utf16] {
            for (byte, _) in text.char_indices().filter(|(_, letter)| *letter != '\n') {
                assert_eq!(columns.byte(text, columns.position(text, byte)), byte);
            }
            let behind = Position::new(0, 99);
            assert_eq!(columns.byte(text, behind), 9);
            assert_eq!(columns.byte(text, Position::new(9, 0)), text.len());
        }
    }

    #[test]
    fn an_address_is_a_file_and_back() {
        let file = Path::new("/srv/ops manual/é#1.md");
        let address = uri(file).unwrap();
        assert_eq!(address.as_str(), "file:///srv/ops%20manual/%C3%A9%231.md");
        assert_eq!(path(&address).unwrap(), file);
        for other in ["untitled:1", "https://example.org/a.md", "file:a.md"] {
            assert_eq!(path(&Uri::from_str(other).unwrap()), None, "{other}");
        }
    }
}
