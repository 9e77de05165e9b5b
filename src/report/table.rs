//! Rows in aligned columns, two spaces apart, nothing at the ends of lines.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

/// Text of one cell, and how it is painted.
pub struct Cell(pub String, pub Style);

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell(text, Style::new())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::from(text.to_owned())
    }
}

/// Writes a heading and rows of as many cells.
///
/// # Errors
/// Where nobody reads any more.
pub fn write(heading: &[&str], rows: &[Vec<Cell>], out: &mut dyn Write) -> io::Result<()> {
    let faint = Style::new().dimmed();
    let heading = heading.iter().map(|title| Cell((*title).to_owned(), faint));
    let heading: Vec<Cell> = heading.collect();
    let mut widths = vec![0; heading.len()];
    for row in rows.iter().chain([&heading]) {
        for (width, Cell(text, _)) in widths.iter_mut().zip(row) {
            *width = text.width().max(*width);
        }
    }
    for row in [&heading].into_iter().chain(rows) {
        let last = row.iter().rposition(|Cell(text, _)| !text.is_empty());
        for (column, Cell(text, style)) in row.iter().enumerate() {
            match last {
                Some(last) if column < last => {
                    let padding = " ".repeat(widths[column] - text.width() + 2);
                    write!(out, "{style}{text}{style:#}{padding}")?;
                }
                Some(last) if column == last => write!(out, "{style}{text}{style:#}")?,
                _ => {}
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_no_line_ends_with_blanks() {
        let rows = [
            vec!["a".into(), "日本".into(), "".into()],
            vec!["bcd".into(), "".into(), "x".into()],
        ];
        let mut out = Vec::new();
        write(&["N", "", "MORE"], &rows, &mut out).unwrap();
        let text = anstream::adapter::strip_bytes(&out).into_vec();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "N          MORE\na    日本\nbcd        x\n");
    }
}
