//! HTML pieces for captions and cards, each on one line.

use std::fmt::Write as _;
use std::time::Duration;

pub(super) fn command(line: &str) -> String {
    format!(
        "<pre class=\"ops-command\"><code class=\"language-sh\">{}</code></pre>",
        text(line)
    )
}

pub(super) fn role(word: &str) -> String {
    format!("<strong class=\"ops-role\">{}</strong> ", text(word))
}

/// The name of a block, as a link to it.
pub(super) fn name(id: &str) -> String {
    format!(
        "<a class=\"ops-name\" href=\"#{}\">{}</a> ",
        attribute(id),
        text(id)
    )
}

pub(super) fn reference(id: &str) -> String {
    format!("<a href=\"#{}\">{}</a>", attribute(id), code(id))
}

pub(super) fn badge(words: &str) -> String {
    format!("<span class=\"ops-badge\">{}</span> ", text(words))
}

pub(super) fn badge_of(kind: &str, words: &str) -> String {
    format!(
        "<span class=\"ops-badge ops-badge-{kind}\">{}</span> ",
        text(words)
    )
}

pub(super) fn code(words: &str) -> String {
    format!("<code>{}</code>", text(words))
}

pub(super) fn time(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        n if n % 3_600_000 == 0 => format!("{} h", n / 3_600_000),
        n if n % 60_000 == 0 => format!("{} min", n / 60_000),
        n if n % 1000 == 0 => format!("{} s", n / 1000),
        n => format!("{n} ms"),
    }
}

pub(super) fn text(words: &str) -> String {
    let escaped = words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    escaped.replace(['\n', '\r'], " ")
}

pub(super) fn attribute(words: &str) -> String {
    text(words).replace('"', "&quot;")
}

/// The end of each of our tables, with a blank line.
pub(super) const END_OF_TABLE: &str = "</table></div>\n\n";

/// The most rows of a table, and the bytes after which it ends. A longer list becomes several
/// tables, so that no part of a page is large.
const ROWS: usize = 200;
const BYTES: usize = 32 * 1024;

/// Tables that scroll on a narrow screen, each followed by a blank line.
pub(super) fn table(head: &[&str], rows: impl Iterator<Item = String>) -> String {
    let head: String = head.iter().map(|word| format!("<th>{word}</th>")).collect();
    let mut tables = String::new();
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let mut own = String::new();
        for row in rows.by_ref().take(ROWS) {
            own += &row;
            if own.len() >= BYTES {
                break;
            }
        }
        // Writing into a string cannot fail.
        let _ = write!(
            tables,
            "<div class=\"ops-wide ops-sifted\"><table><thead><tr>{head}</tr></thead>\
             <tbody>{own}</tbody>{END_OF_TABLE}"
        );
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_ends_after_many_rows_or_bytes() {
        let tables = |rows: usize, bytes: usize| {
            let row = "x".repeat(bytes);
            let rows = std::iter::repeat_n(row, rows);
            table(&["Row"], rows).matches(END_OF_TABLE).count()
        };
        assert_eq!(tables(0, 1), 0);
        assert_eq!(tables(ROWS, 1), 1);
        assert_eq!(tables(ROWS + 1, 1), 2);
        assert_eq!(tables(3, BYTES), 3);
    }
}
