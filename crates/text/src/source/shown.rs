//! Text of somebody else made fit to be shown to people.

use crate::outside::is_hidden;

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
pub(super) fn harmless(text: &str) -> String {
    const MAX_BYTES: usize = 4096;
    let kept = &text[..text.floor_char_boundary(MAX_BYTES.min(text.len()))];
    let shown = kept.split('\n').map(visible).collect::<Vec<_>>().join("\n");
    shown + if kept.len() < text.len() { "…" } else { "" }
}

/// `1 step`, `2 steps`: a count with its thing in the right number.
#[must_use]
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
