//! Makes text from others fit to be shown.

use crate::outside::is_hidden;

/// Replaces control and direction characters; each takes one column.
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

/// A test's name in one line: escapes line ends and everything that cannot be shown, because names
/// appear in lists and reports.
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

/// The same for text of several lines, cut if it is too long to read: messages may contain names
/// from a malicious file.
pub(super) fn harmless(text: &str) -> String {
    const MAX_BYTES: usize = 4096;
    let kept = &text[..text.floor_char_boundary(MAX_BYTES.min(text.len()))];
    let shown = kept.split('\n').map(visible).collect::<Vec<_>>().join("\n");
    shown + if kept.len() < text.len() { "…" } else { "" }
}

/// A count with its noun in the singular or plural: `1 step`, `2 steps`.
#[must_use]
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
