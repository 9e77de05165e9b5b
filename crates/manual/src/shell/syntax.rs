//! Shell syntax, with a real shell parser. Only this file and its folder name `brush_parser`.

mod commands;

use std::ops::Range;

use brush_parser::ast::Program;
use brush_parser::{ParseError, Parser, ParserOptions, SourcePosition, TokenizerError};

pub(crate) use commands::{Input, Simple, functions};

use crate::shell::scan::{Scan, scan};
use crate::source::{Passage, Problem};

/// The parser recurses, and its time doubles with each open parenthesis of an arithmetic
/// expression. Real scripts are far below these limits.
const MAX_ARITHMETIC: usize = 8;
const MAX_DEPTH: usize = 60;

/// The parser's error for a script.
pub(crate) struct NotUnderstood(ParseError);

/// Whether a script is nested too deeply for the parser.
pub(crate) fn is_too_deep(text: &str, scan: &Scan) -> bool {
    scan.arithmetic > MAX_ARITHMETIC || scan.depth + compounds(text, scan) > MAX_DEPTH
}

/// Parses a script into its commands.
pub(crate) fn understand(text: &str, sh: bool) -> Result<Vec<Simple>, NotUnderstood> {
    match read(text, sh) {
        Ok(program) => Ok(commands::simple_commands(&program, text)),
        Err(error) => by_parts(text, sh).ok_or(NotUnderstood(error)),
    }
}

/// The commands of a nested script, as in `sh -c SCRIPT`; empty if it cannot be parsed.
pub(crate) fn commands_of(script: &str) -> Vec<Simple> {
    let scan = scan(script);
    let deep = scan.arithmetic > MAX_ARITHMETIC || scan.depth > MAX_DEPTH;
    let commands = if deep {
        None
    } else {
        understand(script, false).ok()
    };
    commands.unwrap_or_default()
}

impl NotUnderstood {
    /// Whether the script ends too early.
    pub(crate) fn is_unfinished(&self) -> bool {
        !matches!(self.0, ParseError::ParsingNear(_))
    }

    /// The problem, with its place in the text.
    pub(crate) fn problem(&self, text: &Passage, interpreter: &str) -> Problem {
        let shell = if matches!(interpreter, "sh" | "dash") {
            "sh"
        } else {
            "bash"
        };
        let (at, message) = match &self.0 {
            ParseError::ParsingNear(position) => (
                place(text, position),
                format!("{shell} does not understand this"),
            ),
            ParseError::ParsingAtEndOfInput => (
                last_line(&text.text),
                "the script ends in the middle of a command".to_owned(),
            ),
            ParseError::Tokenizing { inner, position } => {
                let at = opening(inner).or(position.as_ref());
                let at = at.map_or_else(|| last_line(&text.text), |at| place(text, at));
                if let Some(fence) = fence_around(&text.text, at.start) {
                    let message = "a fence within this block: the block was not closed before it";
                    let problem = Problem::error("shell-syntax", text.span(fence), message);
                    return problem.hint("close it with a line of backticks only: ```");
                }
                (
                    here_document(&text.text, inner).unwrap_or(at),
                    unfinished(inner),
                )
            }
        };
        Problem::error("shell-syntax", text.span(at), message)
    }
}

/// The parser confuses the `)` of a `case` within `$(…)` with the end of `$(…)`. This parses the
/// outer script without the substitutions, and each substitution separately.
fn by_parts(text: &str, sh: bool) -> Option<Vec<Simple>> {
    let mut outside = text.to_owned();
    let mut inside = Vec::new();
    for range in scan(text).substitutions {
        let part = text.get(range.clone())?;
        if !part.contains("case") {
            continue;
        }
        // Skip an unterminated substitution.
        if text.as_bytes().get(range.end) != Some(&b')') {
            return None;
        }
        let found = understand(part, sh).ok()?;
        inside.extend(found.into_iter().map(|simple| simple.within(range.start)));
        let blank = |c: char| if c.is_ascii() && c != '\n' { ':' } else { c };
        let blank: String = part.chars().map(blank).collect();
        outside.replace_range(range, &blank);
    }
    if inside.is_empty() && outside == text {
        return None;
    }
    let program = read(&outside, sh).ok()?;
    let mut found = commands::simple_commands(&program, &outside);
    found.extend(inside);
    Some(found)
}

fn read(text: &str, sh: bool) -> Result<Program, ParseError> {
    let shorter = with_short_descriptors(text);
    let text = shorter.as_deref().unwrap_or(text);
    let options = ParserOptions {
        posix_mode: sh,
        sh_mode: sh,
        ..ParserOptions::default()
    };
    Parser::new(text.as_bytes(), &options).parse_program()
}

/// The parser panics on a descriptor number that is not an `i32`. Before `<` or `>`, keeping only
/// the last digit does not change the syntax; offsets stay the same.
fn with_short_descriptors(text: &str) -> Option<String> {
    const MOST: usize = 9;
    let bytes = text.as_bytes();
    let mut shorter: Option<String> = None;
    for at in memchr::memchr2_iter(b'<', b'>', bytes) {
        let digits = bytes[..at].iter().rev();
        let count = digits.take_while(|byte| byte.is_ascii_digit()).count();
        if count > MOST {
            let text = shorter.get_or_insert_with(|| text.to_owned());
            text.replace_range(at - count..at - 1, &" ".repeat(count - 1));
        }
    }
    shorter
}

/// The deepest nesting of compound commands.
fn compounds(text: &str, scan: &Scan) -> usize {
    let (mut open, mut most) = (0usize, 0);
    for word in scan.commands.iter().flatten() {
        match &text[word.clone()] {
            "{" | "if" | "while" | "until" | "for" | "case" | "select" | "[[" | "!" => open += 1,
            "}" | "fi" | "done" | "esac" | "]]" => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// The line at this place, if it looks like the first line of a fenced block.
fn fence_around(text: &str, at: usize) -> Option<Range<usize>> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next()?;
    let fence = line.trim();
    let start = start + line.len() - line.trim_start().len();
    fence
        .starts_with("```")
        .then_some(start..start + fence.len())
}

fn opening(error: &TokenizerError) -> Option<&SourcePosition> {
    match error {
        TokenizerError::UnterminatedSingleQuote(at)
        | TokenizerError::UnterminatedAnsiCQuote(at)
        | TokenizerError::UnterminatedDoubleQuote(at)
        | TokenizerError::UnterminatedBackquote(at) => Some(at),
        _ => None,
    }
}

/// Where the first unterminated here-document begins.
fn here_document(text: &str, error: &TokenizerError) -> Option<Range<usize>> {
    let TokenizerError::UnterminatedHereDocuments(tags, _) = error else {
        return None;
    };
    let tag = tags.split(',').next()?.trim_matches(['\'', '"', '\\']);
    let named = |(at, _): (usize, &str)| {
        let word = text[at + 2..].trim_start_matches(['-', ' ', '\'', '"', '\\']);
        let end = text.len() - word.len() + tag.len();
        word.starts_with(tag).then_some(at..end)
    };
    text.match_indices("<<").filter_map(named).last()
}

fn unfinished(error: &TokenizerError) -> String {
    match error {
        TokenizerError::UnterminatedSingleQuote(_) | TokenizerError::UnterminatedAnsiCQuote(_) => {
            "this single quote is never closed".to_owned()
        }
        TokenizerError::UnterminatedDoubleQuote(_) => {
            "this double quote is never closed".to_owned()
        }
        TokenizerError::UnterminatedBackquote(_) => "this backquote is never closed".to_owned(),
        TokenizerError::UnterminatedHereDocuments(tags, _) => {
            format!("the here-document `{tags}` never ends")
        }
        TokenizerError::UnterminatedExpansion | TokenizerError::UnterminatedVariable => {
            "an expansion is never closed".to_owned()
        }
        other => other.to_string(),
    }
}

/// The word at a parser position, which counts characters; at the end of a line, the word before
/// it.
fn place(text: &Passage, position: &SourcePosition) -> Range<usize> {
    let start = text
        .text
        .char_indices()
        .nth(position.index)
        .map_or(text.text.len(), |(at, _)| at);
    if start == text.text.len() {
        return last_line(&text.text);
    }
    let line = text.text[..start].rfind('\n').map_or(0, |at| at + 1);
    let before = text.text[line..start].trim_end();
    if text.text[start..].starts_with(['\n', '\r']) && !before.is_empty() {
        let end = line + before.len();
        let word = before.split_whitespace().next_back().map_or(0, str::len);
        return end - word..end;
    }
    let rest = &text.text[start..];
    let token = rest
        .find(|c: char| c.is_whitespace())
        .unwrap_or(rest.len())
        .max(rest.chars().next().map_or(0, char::len_utf8));
    start..start + token
}

fn last_line(text: &str) -> Range<usize> {
    let end = text.trim_end().len();
    let start = text[..end].rfind('\n').map_or(0, |at| at + 1);
    start..end
}
