//! Finds the formulas of a page. Markdown decides what is prose; within prose, delimiters decide.

use std::ops::Range;
use std::sync::LazyLock;

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use memchr::{memchr2_iter, memmem};
use pulldown_cmark::{CodeBlockKind, Event, LinkType, Tag, TagEnd};
use regex::Regex;

use super::{Shape, Syntax};

/// The most bytes of a formula. What follows the delimiter of a longer one is prose.
pub(super) const LONGEST: usize = 4_000;
/// The language of a fence with a formula.
const MATH: &str = "math";

/// A formula as written.
#[derive(Debug)]
pub(super) struct Found {
    /// Bytes of the page, with delimiters.
    pub(super) range: Range<usize>,
    /// Without delimiters, quote marks and escapes of Markdown.
    pub(super) tex: String,
    pub(super) shape: Shape,
}

struct Delimiter(&'static str, &'static str, Shape);

const MATHJAX: [Delimiter; 3] = [
    Delimiter("$$", "$$", Shape::Display),
    Delimiter(r"\\[", r"\\]", Shape::Display),
    Delimiter(r"\\(", r"\\)", Shape::Inline),
];
const TEX: [Delimiter; 4] = [
    Delimiter("$$", "$$", Shape::Display),
    Delimiter("$", "$", Shape::Inline),
    Delimiter(r"\[", r"\]", Shape::Display),
    Delimiter(r"\(", r"\)", Shape::Inline),
];

/// All formulas of a text in its order.
pub(super) fn find(text: &str, syntax: Syntax, options: &MarkdownOptions) -> Vec<Found> {
    let delimiters: &[Delimiter] = match syntax {
        Syntax::Fences => &[],
        Syntax::Mathjax => &MATHJAX,
        Syntax::Tex => &TEX,
    };
    let opens = |delimiter: &Delimiter| text.contains(delimiter.0);
    if !has_fence(text) && !delimiters.iter().any(opens) {
        return Vec::new();
    }
    let mut places = Places::of(text, options);
    let mut found = std::mem::take(&mut places.fences);
    let mut done = 0;
    for at in memchr2_iter(b'$', b'\\', text.as_bytes()) {
        let own = delimiters
            .iter()
            .find(|delimiter| text[at..].starts_with(delimiter.0));
        let (true, Some(delimiter)) = (at >= done, own) else {
            continue;
        };
        match places.formula(at, delimiter, syntax) {
            Some(formula) => {
                done = formula.range.end;
                found.push(formula);
            }
            // `$$` that opens nothing is not a `$` that does.
            None => done = at + delimiter.0.len(),
        }
    }
    found.sort_by_key(|formula| formula.range.start);
    found
}

fn has_fence(text: &str) -> bool {
    static FENCE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)(?:`{3}|~{3})[ \t]*math[ \t\r]*$").ok());
    FENCE.as_ref().is_some_and(|fence| fence.is_match(text))
}

/// The parts of a page, each in order.
struct Places<'t> {
    text: &'t str,
    /// Text where a formula may begin and end.
    prose: Vec<Range<usize>>,
    /// Parts that a formula may not overlap.
    walls: Vec<Range<usize>>,
    /// Where paragraphs, items and cells begin.
    starts: Vec<usize>,
    fences: Vec<Found>,
}

impl<'t> Places<'t> {
    fn of(text: &'t str, options: &MarkdownOptions) -> Places<'t> {
        let mut places = Places {
            text,
            prose: Vec::new(),
            walls: Vec::new(),
            starts: Vec::new(),
            fences: Vec::new(),
        };
        let mut fence: Option<Found> = None;
        for (event, range) in new_cmark_parser(text, options).into_offset_iter() {
            match (event, &mut fence) {
                (Event::Text(part), Some(fence)) => fence.tex.push_str(&part),
                (Event::End(TagEnd::CodeBlock), own) => places.fences.extend(own.take()),
                (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))), own)
                    if info.trim() == MATH =>
                {
                    *own = Some(Found {
                        range: range.clone(),
                        tex: String::new(),
                        shape: Shape::Fence,
                    });
                    places.wall(range);
                }
                (event, _) => places.event(&event, range),
            }
        }
        places
    }

    fn event(&mut self, event: &Event<'_>, range: Range<usize>) {
        match event {
            Event::Code(_)
            | Event::Start(
                Tag::CodeBlock(_)
                | Tag::HtmlBlock
                | Tag::Heading { .. }
                | Tag::Image { .. }
                | Tag::MetadataBlock(_)
                | Tag::Link {
                    link_type: LinkType::Autolink | LinkType::Email,
                    ..
                },
            ) => self.wall(range),
            Event::Start(
                Tag::Emphasis
                | Tag::Strong
                | Tag::Strikethrough
                | Tag::Superscript
                | Tag::Subscript
                | Tag::Link { .. },
            ) => {}
            Event::Start(_) => self.starts.push(range.start),
            Event::Text(_) if !self.is_walled(range.start) => match self.prose.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => self.prose.push(range),
            },
            _ => {}
        }
    }

    /// Adds a part. What it contains is no part of its own.
    fn wall(&mut self, range: Range<usize>) {
        if !self.is_walled(range.start) {
            self.walls.push(range);
        }
    }

    fn is_walled(&self, at: usize) -> bool {
        self.walls.last().is_some_and(|last| at < last.end)
    }

    /// The formula that a delimiter opens at a place.
    fn formula(&self, at: usize, delimiter: &Delimiter, syntax: Syntax) -> Option<Found> {
        let Delimiter(opens, closes, shape) = *delimiter;
        let text = self.text;
        let from = at + opens.len();
        if is_escaped(text, at) || !self.is_prose(from - 1) {
            return None;
        }
        let window = &text[from..text.floor_char_boundary(from + LONGEST)];
        let mut ends = memmem::find_iter(window.as_bytes(), closes).map(|end| from + end);
        let to = ends.find(|end| !is_escaped(text, *end))?;
        let end = to + closes.len();
        let body = &text[from..to];
        let is_one = match shape {
            Shape::Inline => self.is_one_part(from, to),
            Shape::Display | Shape::Fence => true,
        };
        let whole = is_one && !self.meets_wall(&(at..end)) && self.is_prose(end - 1);
        if !whole || !is_filled(body) || (opens == "$" && !is_tight(text, at, to)) {
            return None;
        }
        let tex = unquoted(text, at, body);
        Some(Found {
            range: at..end,
            tex: match syntax {
                Syntax::Mathjax => unescaped(&tex),
                _ => tex,
            },
            shape,
        })
    }

    /// Whether no paragraph, item or cell begins within.
    fn is_one_part(&self, from: usize, to: usize) -> bool {
        let next = self.starts.partition_point(|start| *start < from);
        self.starts.get(next).is_none_or(|start| *start >= to)
    }

    fn is_prose(&self, at: usize) -> bool {
        let next = self.prose.partition_point(|range| range.end <= at);
        self.prose
            .get(next)
            .is_some_and(|range| range.contains(&at))
    }

    fn meets_wall(&self, range: &Range<usize>) -> bool {
        let next = self.walls.partition_point(|wall| wall.end <= range.start);
        self.walls
            .get(next)
            .is_some_and(|wall| wall.start < range.end)
    }
}

fn is_escaped(text: &str, at: usize) -> bool {
    let before = text[..at].bytes().rev().take_while(|b| *b == b'\\');
    before.count() % 2 == 1
}

/// Not empty, and without a blank line, which ends a paragraph.
fn is_filled(body: &str) -> bool {
    let blank = |line: &str| line.trim_matches([' ', '\t', '\r', '>']).is_empty();
    let lines = body.matches('\n').count();
    let inner = body.split('\n').skip(1).take(lines.saturating_sub(1));
    !blank(body) && !inner.into_iter().any(blank)
}

/// Whether two `$` enclose a formula: `$5 or $10`, `$PATH:$HOME` and `${a}/${b}` are none.
fn is_tight(text: &str, open: usize, close: usize) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '$';
    let names = |c: char| joins(c) || matches!(c, '_' | '{' | '(');
    let before = text[..open].chars().next_back();
    let after = text[close + 1..].chars().next();
    let inner = &text[open + 1..close];
    !before.is_some_and(joins)
        && !after.is_some_and(names)
        && !inner.starts_with(char::is_whitespace)
        && !inner.ends_with(char::is_whitespace)
}

/// The following lines without the quote marks that the first line has.
fn unquoted(text: &str, at: usize, body: &str) -> String {
    if !body.contains('\n') {
        return body.to_owned();
    }
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let marks = text[line..at].bytes().filter(|b| *b == b'>').count();
    let mut lines = body.split('\n');
    let mut tex = lines.next().unwrap_or_default().to_owned();
    for mut line in lines {
        for _ in 0..marks {
            line = line.trim_start();
            line = line.strip_prefix('>').unwrap_or(line);
        }
        tex.push('\n');
        tex.push_str(line);
    }
    tex
}

/// As Markdown reads escapes: `\\,` is `\,`.
fn unescaped(tex: &str) -> String {
    let mut out = String::with_capacity(tex.len());
    let mut chars = tex.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, syntax: Syntax) -> Vec<String> {
        let found = find(text, syntax, &MarkdownOptions::default());
        let shown = found.iter().map(|found| {
            let mark = match found.shape {
                Shape::Inline => "i",
                Shape::Display => "d",
                Shape::Fence => "f",
            };
            format!("{mark}:{}", found.tex.trim())
        });
        shown.collect()
    }

    #[test]
    fn words_of_a_shell_and_prices_are_no_formulas() {
        for text in [
            "`$a$` and $PATH:$HOME or $5, $6 and $7.",
            "${a}/${b} $(date)-$(id) US$5-$6 \\$x\\$ \\\\(x\\\\)",
            "```sh\necho $$ $x$ $$\n```\n\n    $x$\n",
            "<div title=\"$x$\">\n$y$\n</div>\n",
            "# About $x$\n\n![$x$](a.png) [a](b$c$d) <https://a/$b$/c>\n",
            "- $a\n- b$\n\n$c `code`$ | $d\n\ne$\n",
            "[r]: b$c$d\n\n$$\n\nx$$ \\(x",
            "kill $$",
        ] {
            assert_eq!(found(text, Syntax::Tex), [""; 0], "{text}");
        }
        let text = "$a$ $$b$$ \\(c\\) \\\\(d\\\\)";
        assert_eq!(found(text, Syntax::Fences), [""; 0]);
    }

    #[test]
    fn formulas_are_found_as_their_generator_reads_them() {
        for (text, syntax, expected) in [
            (
                "$a_1*b*c$, ($x$) and $y<z>$.",
                Syntax::Tex,
                &["i:a_1*b*c", "i:x", "i:y<z>"][..],
            ),
            ("$5 and $x$", Syntax::Tex, &["i:x"]),
            (
                "a $$x$$ \\[y\\] \\(z\\)",
                Syntax::Tex,
                &["d:x", "d:y", "i:z"],
            ),
            ("$$\na\n- b \\\\\n$$", Syntax::Tex, &["d:a\n- b \\\\"]),
            (
                "> - $$\n>   a\n>   > b\n>   $$",
                Syntax::Tex,
                &["d:a\n   > b"],
            ),
            ("| a |\n|---|\n| $x$ |\n", Syntax::Tex, &["i:x"]),
            ("*$x$* [$y$](a.md)", Syntax::Tex, &["i:x", "i:y"]),
            (
                "\\\\( a\\_1 \\\\) \\\\[ \\mu \\\\\\\\ \\\\] $$b$$ $c$ \\(d\\)",
                Syntax::Mathjax,
                &["i:a_1", "d:\\mu \\\\", "d:b"],
            ),
            (
                "```math\nx\n```\n\n> ~~~ math\n> y\n> ~~~\n",
                Syntax::Fences,
                &["f:x", "f:y"],
            ),
            (
                "```mathematica\nx\n```\n```math step\ny\n```\n",
                Syntax::Fences,
                &[],
            ),
        ] {
            assert_eq!(found(text, syntax), expected, "{text}");
        }
    }

    /// Where the work grew with the square, this would not end within the limit of the runner.
    #[test]
    fn a_page_full_of_delimiters_is_read() {
        for unit in [
            "$", "$$", "\\(", "\\[", "$a ", "a$ ", "$a$", "> $$\n", "\\", "`$",
        ] {
            let text = unit.repeat(200_000 / unit.len());
            let found = find(&text, Syntax::Tex, &MarkdownOptions::default());
            let mut pairs = found.windows(2);
            assert!(
                pairs.all(|pair| pair[0].range.end <= pair[1].range.start),
                "{unit}"
            );
        }
    }
}
