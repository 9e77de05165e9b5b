//! Adds the marks to a page's Markdown: each tagged block gets a caption, an anchor and a frame.
//! The block itself stays the same; the source file is never changed.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};

use crate::manual::{Block, Manual, Page};

use super::card::{Cards, Frame, Pages};
use super::recorded::Recorded;

/// Opens an HTML block that ends on its own line: no blank line is needed after it, so a tight list
/// stays tight.
const HTML: &str = "<!-- -->";

/// The marks of a whole manual.
pub(super) struct Marks<'a> {
    cards: Cards<'a>,
    pages: HashMap<&'a Path, usize>,
    /// HTML above a block, by page and block.
    notes: HashMap<(usize, usize), String>,
}

impl<'a> Marks<'a> {
    pub(super) fn new(
        manual: &'a Manual,
        recorded: &'a Recorded,
        groups: &'a HashSet<String>,
    ) -> Marks<'a> {
        let pages = manual.pages.iter().zip(0..);
        Marks {
            cards: Cards::new(manual, recorded, groups, Pages::All),
            pages: pages.map(|(page, n)| (page.path.as_path(), n)).collect(),
            notes: HashMap::new(),
        }
    }

    /// The marks of one page, with notes above some of its blocks.
    pub(super) fn of_page(
        manual: &'a Manual,
        recorded: &'a Recorded,
        groups: &'a HashSet<String>,
        page: usize,
        notes: HashMap<(usize, usize), String>,
    ) -> Marks<'a> {
        let path = manual.pages.get(page).map(|page| page.path.as_path());
        Marks {
            cards: Cards::new(manual, recorded, groups, Pages::One(page)),
            pages: path.map(|path| (path, page)).into_iter().collect(),
            notes,
        }
    }

    /// The chapter's Markdown without front matter and with marks.
    pub(super) fn page(&self, content: &str, page: &Page, options: &MarkdownOptions) -> String {
        let Some(&number) = self.pages.get(page.path.as_path()) else {
            return content.to_owned();
        };
        let (text, ranges) = located(content, page, options);
        let mut marked = String::with_capacity(text.len() * 2);
        let mut done = 0;
        for (block, range) in ranges {
            let Some(mut frame) = self.cards.frame(number, block) else {
                continue;
            };
            if let Some(note) = self.notes.get(&(number, block)) {
                frame.before.insert_str(0, note);
            }
            marked.push_str(&text[done..range.start]);
            framed(&mut marked, text, &range, &frame);
            done = range.end;
        }
        marked.push_str(&text[done..]);
        match &page.source.packaged {
            Some(packaged) => below_title(&marked, &packaged.about),
            None => marked,
        }
    }
}

/// The text with a paragraph below its first heading, or at the beginning.
fn below_title(text: &str, line: &str) -> String {
    let mut at = 0;
    for own in text.split_inclusive('\n') {
        at += own.len();
        if own.starts_with("```") || own.starts_with("~~~") {
            break;
        }
        if own.starts_with("# ") {
            return format!("{}\n*{line}*\n{}", &text[..at], &text[at..]);
        }
    }
    format!("*{line}*\n\n{text}")
}

type Located<'t> = (&'t str, Vec<(usize, Range<usize>)>);

/// The text without front matter, and the place of each tagged block in it.
fn located<'t>(content: &'t str, page: &Page, options: &MarkdownOptions) -> Located<'t> {
    let skip = front_matter(content, page);
    let text = &content[skip..];
    let known = page.text.text.trim_end();
    if let Some(before) = text.trim_end().strip_suffix(known)
        && !known.is_empty()
    {
        let blocks = page.blocks.iter().enumerate();
        let ranges = blocks
            .filter(|(_, block)| block.kind.is_some() && block.range.end <= known.len())
            .map(|(index, block)| {
                let Range { start, end } = block.range;
                (index, before.len() + start..before.len() + end)
            });
        return (text, ranges.collect());
    }
    // Another preprocessor changed the page: find the blocks again, in order.
    (text, aligned(&fences(text, options), &page.blocks))
}

/// The length of the chapter's front matter in bytes.
fn front_matter(content: &str, page: &Page) -> usize {
    let source = &page.source.text[..page.body];
    let written = source.trim_start_matches('\u{feff}');
    if !written.is_empty() && content.starts_with(written) {
        return written.len();
    }
    if !page.has_front_matter || content.trim_end() == page.text.text.trim_end() {
        return 0;
    }
    let body = ["---", "+++"].into_iter().find_map(|mark| {
        let (_, rest) = content
            .strip_prefix(mark)?
            .split_once(&format!("\n{mark}"))?;
        Some(rest.split_once('\n').map_or("", |(_, body)| body))
    });
    content.len() - body.unwrap_or(content).len()
}

fn fences(text: &str, options: &MarkdownOptions) -> Vec<(Range<usize>, String)> {
    let mut fences: Vec<(Range<usize>, String)> = Vec::new();
    let mut open = false;
    for (event, range) in new_cmark_parser(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                fences.push((range, String::new()));
                open = true;
            }
            Event::Text(part) if open => {
                if let Some((_, body)) = fences.last_mut() {
                    body.push_str(&part);
                }
            }
            Event::End(TagEnd::CodeBlock) => open = false,
            _ => {}
        }
    }
    fences
}

/// Pairs the tagged blocks with fences of the same text, in order.
fn aligned(fences: &[(Range<usize>, String)], blocks: &[Block]) -> Vec<(usize, Range<usize>)> {
    let mut next = 0;
    let mut pairs = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let same =
            |(_, body): &(Range<usize>, String)| body.trim_end() == block.text.text.trim_end();
        let Some(found) = fences[next..].iter().position(same) else {
            continue;
        };
        if block.kind.is_some() {
            pairs.push((index, fences[next + found].0.clone()));
        }
        next += found + 1;
    }
    pairs
}

/// Writes the block with its frame. Each line gets the block's list indentation and quote marks.
fn framed(out: &mut String, text: &str, range: &Range<usize>, frame: &Frame) {
    let block = &text[range.clone()];
    let line = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let depth: String = text[line..range.start].chars().map(continued).collect();
    let indent = &block[..block.len() - block.trim_start_matches(' ').len()];
    let (opening, body) = block.split_at(block.find('\n').unwrap_or(block.len()));
    // Writing into a string cannot fail.
    let _ = write!(out, "{indent}{HTML}{}\n{depth}", frame.before);
    out.push_str(&plain(opening));
    out.push_str(body);
    if !body.ends_with('\n') {
        out.push('\n');
    }
    let _ = write!(out, "{depth}{indent}{HTML}{}", frame.after);
    if block.ends_with('\n') {
        out.push('\n');
    }
}

/// The prefix for the following lines: quote marks stay, list markers become spaces.
fn continued(c: char) -> char {
    match c {
        '>' | '\t' => c,
        _ => ' ',
    }
}

/// The opening line with the language and mdBook's own words only: mdBook turns every other word
/// into a CSS class, and `hidden` or `next` would hide or move the block.
fn plain(opening: &str) -> String {
    let fence = opening.trim_start_matches(' ');
    let info = fence.trim_start_matches(['`', '~']);
    let head = &opening[..opening.len() - info.len()];
    let mut words = info.split_whitespace();
    let language = words.next().unwrap_or_default();
    let kept = words.filter(|word| {
        word.starts_with("hidelines=") || matches!(*word, "ignore" | "noplayground")
    });
    let words: Vec<&str> = std::iter::once(coloured(language)).chain(kept).collect();
    format!("{head}{}", words.join(" "))
}

/// The highlighter's name of a language.
fn coloured(language: &str) -> &str {
    match language {
        "py" => "python",
        "dash" | "ash" | "ksh" | "posix" => "bash",
        other if other.strip_prefix("python").is_some_and(is_version) => "python",
        other => other,
    }
}

fn is_version(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_as_deep_as_its_block() {
        let frame = Frame {
            before: "<div>".into(),
            after: "</div>".into(),
        };
        for (text, block, expected) in [
            (
                "```sh step\na\n```\n",
                "```sh step\na\n```",
                "<!-- --><div>\n```sh\na\n```\n<!-- --></div>",
            ),
            (
                "> - ~~~sh step id=x\n>   a\n>   ~~~\n",
                "~~~sh step id=x\n>   a\n>   ~~~",
                "<!-- --><div>\n>   ~~~sh\n>   a\n>   ~~~\n>   <!-- --></div>",
            ),
        ] {
            let at = text.find(block).unwrap();
            let mut out = String::new();
            framed(&mut out, text, &(at..at + block.len()), &frame);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn only_the_language_and_words_of_mdbook_stay() {
        for (opening, expected) in [
            ("```sh step id=next hidden", "```sh"),
            ("~~~~ text expect", "~~~~text"),
            ("```rust check ignore", "```rust ignore"),
            ("```sh check hidelines=!! x", "```sh hidelines=!!"),
            ("```python3.11 step", "```python"),
            ("```pythonic check", "```pythonic"),
            ("```dash step", "```bash"),
            ("```", "```"),
        ] {
            assert_eq!(plain(opening), expected);
        }
    }
}
