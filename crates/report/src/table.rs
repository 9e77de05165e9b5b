//! Aligned columns, separated by two spaces, without spaces at the ends of lines.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::source::visible;

/// The text of a cell, and its style.
pub struct Cell(String, Style);

impl Cell {
    /// Escapes what cannot be shown in one line: a journal may come from anybody.
    #[must_use]
    pub fn new(text: &str, style: Style) -> Cell {
        Cell(visible(text), style)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::new(&text, Style::new())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::new(text, Style::new())
    }
}

/// Writes a heading and rows with the same number of cells.
///
/// # Errors
/// If the output is closed.
pub fn write(heading: &[&str], rows: Vec<Vec<Cell>>, out: &mut dyn Write) -> io::Result<()> {
    let faint = Style::new().dimmed();
    let heading = heading.iter().map(|title| Cell::new(title, faint));
    let mut all = vec![heading.collect()];
    all.extend(rows);
    self::rows(&all, out)
}

/// Writes rows. Empty columns take no space.
///
/// # Errors
/// If the output is closed.
pub fn rows(rows: &[Vec<Cell>], out: &mut dyn Write) -> io::Result<()> {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, Cell(text, _)) in widths.iter_mut().zip(row) {
            *width = text.width().max(*width);
        }
    }
    for row in rows {
        let last = row.iter().rposition(|Cell(text, _)| !text.is_empty());
        let cells = row.iter().zip(&widths).enumerate();
        for (column, (Cell(text, style), width)) in cells.take(last.map_or(0, |last| last + 1)) {
            write!(out, "{style}{text}{style:#}")?;
            if Some(column) != last && *width > 0 {
                write!(out, "{}", " ".repeat(width - text.width() + 2))?;
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
        let rows = vec![
            vec!["a".into(), "日本".into(), "".into()],
            vec!["b\nd".into(), "".into(), "x".into()],
        ];
        let mut out = Vec::new();
        write(&["N", "", "MORE"], rows, &mut out).unwrap();
        let text = anstream::adapter::strip_bytes(&out).into_vec();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "N          MORE\na    日本\nb\u{fffd}d        x\n");
    }
}
