//! Rewrites the parser's error messages for people who do not know its grammar.

use super::MAX_DEPTH;
use crate::source::{Passage, Problem};

/// The parser's messages, identified by a part of their words; our message; the hint.
const WORDS: [(&str, &str, &str); 13] = [
    ("tab", "a tab where YAML wants spaces", "indent with spaces"),
    (
        "unknown anchor",
        "an alias to an anchor that does not exist",
        "YAML anchors are not supported; quote a text that begins with `*`",
    ),
    (
        "mapping values are not allowed",
        "a second `: ` in one value, or a wrong indentation",
        "put the value into quotes if the colon belongs to it",
    ),
    (
        "escape",
        "this text in double quotes contains an invalid `\\` escape",
        "write `\\\\`, or use single quotes, in which `\\` has no special meaning",
    ),
    (
        "trailing content after double-quoted",
        "there is text after the closing quote",
        "put the whole value into one pair of quotes",
    ),
    ("in quoted scalar", QUOTE, QUOTE_HINT),
    ("scanning a quoted scalar", QUOTE, QUOTE_HINT),
    (
        "parsing a block mapping",
        "wrong indentation, or a key without `:`",
        "the keys of one map begin in the same column",
    ),
    (
        "parsing a block collection",
        "wrong indentation, or an item without `-`",
        "the items of one list begin in the same column, each with `- `",
    ),
    (
        "simple key expect",
        "a key without `:`",
        "a key is followed by `: ` and its value",
    ),
    (
        "block sequence entries are not allowed",
        "an item of a list cannot begin here",
        "put the first `- ` on a line of its own",
    ),
    (
        "must be followed by a valid YAML whitespace",
        "a space is missing here",
        "write `: ` and `- `, or put the text into quotes",
    ),
    (
        "block scalar",
        "wrong indentation in a text of several lines",
        "indent every line of it at least as far as the first",
    ),
];

const QUOTE: &str = "this quote is never closed, or its text leaves the indentation";
const QUOTE_HINT: &str = "close the quote on the same line, or use `|` for text of several lines";

/// The problem for a parser error at a byte; `open` are the starts of the open maps and lists, the
/// innermost first.
pub(super) fn problem(
    text: &Passage,
    at: usize,
    info: &str,
    mut open: impl Iterator<Item = usize>,
) -> Problem {
    let at = if info.contains("tab") {
        the_tab(&text.text, at)
    } else {
        at
    };
    let rest = &text.text[at..];
    let length = rest
        .chars()
        .next()
        .filter(|c| *c != '\n')
        .map_or(0, char::len_utf8);
    let error = |message: &str| Problem::error("yaml-syntax", text.span(at..at + length), message);
    if info.contains("recursion limit") {
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        return Problem::error("yaml-too-deep", text.span(at..at + length), message);
    }
    if let Some(found) = info.strip_prefix("unexpected character: ") {
        let found = found.trim_matches(['`', '\'']);
        let found = if found.is_empty() {
            "a backtick".to_owned()
        } else {
            format!("`{found}`")
        };
        return error(&format!("a plain value cannot begin with {found}"))
            .hint("put the value into quotes");
    }
    if let Some(problem) = open.find_map(|open| bracket(text, at, open)) {
        return problem;
    }
    match WORDS.iter().find(|(part, ..)| info.contains(part)) {
        Some((_, message, hint)) => error(message).hint(*hint),
        None => error(&format!("invalid YAML: {info}")),
    }
}

/// The parser reports a later place than the tab.
fn the_tab(text: &str, at: usize) -> usize {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    text[line..at].find('\t').map_or(at, |tab| line + tab)
}

/// For an error within brackets: also shows the opening bracket.
fn bracket(text: &Passage, at: usize, open: usize) -> Option<Problem> {
    let (what, close) = match text.text[open..].chars().next()? {
        '[' => ("list", ']'),
        '{' => ("map", '}'),
        _ => return None,
    };
    let rest = text.text[at..].trim_start();
    let opened = text.span(open..open + 1);
    if rest.is_empty() {
        return Some(Problem::error(
            "yaml-syntax",
            opened,
            format!("this {what} is never closed with `{close}`"),
        ));
    }
    let at = text.text.len() - rest.len();
    let length = rest.chars().next().map_or(0, char::len_utf8);
    let message = format!("expected `,` or `{close}`");
    let problem = Problem::error("yaml-syntax", text.span(at..at + length), message);
    Some(problem.note(opened, format!("the {what} begins here")))
}
