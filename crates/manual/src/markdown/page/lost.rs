//! Finds lines that look like the fence of a tagged block but are none in the book: within HTML, or
//! indented so far that they are text. Such a block would silently never run.

use std::ops::Range;

use crate::source::{Passage, Problem};
use crate::{Block, Kind};

/// Checks the text of a page; `html` are its blocks of HTML.
pub(super) fn check(
    page: &Passage,
    blocks: &[Block],
    html: &[Range<usize>],
    problems: &mut Vec<Problem>,
) {
    let mut comments = None;
    for fence in ["```", "~~~"] {
        for at in memchr::memmem::find_iter(page.text.as_bytes(), fence) {
            let Some(line) = tagged(&page.text, at) else {
                continue;
            };
            let comments = comments.get_or_insert_with(|| comments_in(&page.text, html));
            if around(blocks, at, |block| &block.range).is_none()
                && around(comments, at, |range| range).is_none()
            {
                let in_html = around(html, at, |range| range).is_some();
                problems.push(lost(page, line, in_html));
            }
        }
    }
}

/// The line from its fence on, if the fence names an active kind.
fn tagged(text: &str, at: usize) -> Option<Range<usize>> {
    let marker = |b: &u8| b" \t>-*+.)".contains(b) || b.is_ascii_digit();
    // Search backwards from here: reading the line again for each fence would take quadratic time.
    let before = text.as_bytes()[..at].iter().rev().find(|b| !marker(b));
    if before.is_some_and(|b| *b != b'\n') {
        return None;
    }
    let line = text[at..].lines().next().unwrap_or_default().trim_end();
    let info = line.trim_start_matches(['`', '~']);
    let kind = info.split_ascii_whitespace().nth(1).and_then(Kind::named)?;
    (kind != Kind::Example && !info.contains('`')).then(|| at..at + line.len())
}

/// The ranges of HTML comments, in order.
fn comments_in(text: &str, html: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut comments = Vec::new();
    for block in html {
        let mut at = block.start;
        while let Some(open) = text[at..block.end].find("<!--") {
            let open = at + open;
            let close = text[open..block.end].find("-->");
            at = close.map_or(block.end, |close| open + close);
            comments.push(open..at);
        }
    }
    comments
}

fn around<T>(
    sorted: &[T],
    at: usize,
    range: impl Fn(&T) -> &Range<usize>,
) -> Option<&Range<usize>> {
    let after = sorted.partition_point(|one| range(one).start <= at);
    let last = sorted[..after].last()?;
    let range = range(last);
    range.contains(&at).then_some(range)
}

fn lost(page: &Passage, line: Range<usize>, html: bool) -> Problem {
    let (message, hint) = if html {
        (
            "this fence is inside HTML: the book does not treat it as a fence, and it would never \
             run",
            "leave an empty line before it",
        )
    } else {
        (
            "this fence is indented so far that the book treats it as text, and it would never run",
            "indent it like the paragraph or list item that it belongs to",
        )
    };
    Problem::error("lost-fence", page.span(line), message).hint(hint)
}
