//! Lines that look like the fence of a tagged block and are none for the book: within HTML, or
//! indented so far that they are text. What they hold would never run, in silence.

use std::ops::Range;

use crate::manual::{Block, Role};
use crate::source::{Passage, Problem};

/// Looks at the whole text of a page; `html` are its blocks of HTML.
pub(super) fn check(
    page: &Passage,
    blocks: &[Block],
    html: &[Range<usize>],
    problems: &mut Vec<Problem>,
) {
    for fence in ["```", "~~~"] {
        for at in memchr::memmem::find_iter(page.text.as_bytes(), fence) {
            let Some(line) = tagged(&page.text, at) else {
                continue;
            };
            let html = around(html, at, |range| range);
            if around(blocks, at, |block| &block.range).is_none()
                && !html.is_some_and(|html| in_comment(&page.text[html.start..at]))
            {
                problems.push(lost(page, line, html.is_some()));
            }
        }
    }
}

/// The line from its fence on, where that says a role that does something.
fn tagged(text: &str, at: usize) -> Option<Range<usize>> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let marker =
        |c: char| matches!(c, ' ' | '\t' | '>' | '-' | '*' | '+' | '.' | ')') || c.is_ascii_digit();
    if !text[start..at].chars().all(marker) {
        return None;
    }
    let line = text[at..].lines().next().unwrap_or_default().trim_end();
    let info = line.trim_start_matches(['`', '~']);
    let role = info.split_ascii_whitespace().nth(1).and_then(Role::named)?;
    (role != Role::Example && !info.contains('`')).then(|| at..at + line.len())
}

fn around<T>(sorted: &[T], at: usize, range: impl Fn(&T) -> &Range<usize>) -> Option<&Range<usize>>
where
    T: Sized,
{
    let after = sorted.partition_point(|one| range(one).start <= at);
    let last = sorted[..after].last()?;
    let range = range(last);
    range.contains(&at).then_some(range)
}

fn in_comment(html: &str) -> bool {
    html.rfind("<!--")
        .is_some_and(|open| !html[open..].contains("-->"))
}

fn lost(page: &Passage, line: Range<usize>, html: bool) -> Problem {
    let (message, hint) = if html {
        (
            "this fence stands within HTML: the book takes it for no fence, and it would never run",
            "leave an empty line before it",
        )
    } else {
        (
            "this fence is indented so far that the book takes it for text, and it would never run",
            "indent it as the paragraph or the list item to which it belongs",
        )
    };
    Problem::error("lost-fence", page.span(line), message).hint(hint)
}
