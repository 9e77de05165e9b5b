//! Finds characters that are invisible or reorder the displayed text: the reader would see
//! something else than what runs.

use crate::source::{Passage, Problem};
use crate::{Block, Kind, Page};

/// Checks the fence and the content of a tagged block.
pub(super) fn check(page: &Page, block: &Block, problems: &mut Vec<Problem>) {
    let opening = page.text.text[block.range.clone()]
        .lines()
        .next()
        .map_or(0, str::len);
    let opening = block.range.start..block.range.start + opening;
    let runs = matches!(block.kind, Some(Kind::Step | Kind::Check));
    look(&page.text.slice(opening), false, problems);
    look(&block.text, runs, problems);
}

fn look(text: &Passage, runs: bool, problems: &mut Vec<Problem>) {
    if text
        .text
        .bytes()
        .all(|b| b.is_ascii() && (b >= b' ' || b"\t\n\r".contains(&b)) && b != 0x7f)
    {
        return;
    }
    for (at, c) in text.text.char_indices() {
        let span = || text.span(at..at + c.len_utf8());
        if let Some(what) = hidden(c) {
            problems.push(Problem::error(
                "hidden-character",
                span(),
                format!("{what} (U+{:04X}) in a tagged block", u32::from(c)),
            ));
        } else if runs && is_odd_space(c) {
            problems.push(
                Problem::warning(
                    "odd-space",
                    span(),
                    format!(
                        "a space character (U+{:04X}) that shells do not treat as a space",
                        u32::from(c)
                    ),
                )
                .hint("it often comes with text that was copied from a web page"),
            );
        }
    }
}

fn hidden(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => {
            "a hidden character that changes the direction of text"
        }
        '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2064}'
        | '\u{206a}'..='\u{206f}'
        | '\u{feff}'
        | '\u{ad}'
        | '\u{180e}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{e0000}'..='\u{e007f}' => "an invisible character",
        '\t' | '\n' | '\r' => return None,
        c if c.is_control() => "a control character",
        _ => return None,
    })
}

fn is_odd_space(c: char) -> bool {
    c != ' ' && c.is_whitespace() && !c.is_ascii()
}
