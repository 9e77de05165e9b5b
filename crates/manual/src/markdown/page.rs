//! Parses the Markdown of one page into blocks, headings, links and anchors, in page order.
//!
//! Uses the book's own parser, so that the reader sees exactly what runs. Knows fences, but not
//! procedures or groups of checks.

use std::ops::Range;
use std::sync::LazyLock;

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Tag as Md, TagEnd};
use regex::Regex;

use crate::markdown::anchors::Anchors;
use crate::markdown::fence::{self, Info, Meaning, Tag};
use crate::source::{Passage, Problem, nearest};
use crate::{Block, Kind, Link, Silence, Spanned};

/// The result of the walk over a page.
#[derive(Default)]
pub(crate) struct Walked<'t> {
    pub blocks: Vec<Block>,
    /// Headings and tagged blocks in the order of the page.
    pub marks: Vec<Mark<'t>>,
    pub links: Vec<Link>,
    pub anchors: Vec<String>,
    /// A limit was exceeded: the book's renderer must not render the page.
    pub exceeded: bool,
    pub silences: Vec<Silence>,
}

pub(crate) enum Mark<'t> {
    Heading {
        level: usize,
        title: String,
    },
    Block {
        block: usize,
        tag: Tag<'t>,
        /// The sentence that introduces a block below its title.
        said: String,
    },
    /// A fence without a kind.
    Prose,
    /// An invalid block; the error has been reported.
    Broken {
        tag: Option<Tag<'t>>,
    },
}

fn is_silence(words: &str) -> bool {
    words.split_whitespace().next() == Some("silence")
}

/// Walks over the text of a page.
pub(crate) fn walk<'t>(
    page: &'t Passage,
    options: &MarkdownOptions,
    problems: &mut Vec<Problem>,
) -> Walked<'t> {
    let mut walk = Walk {
        page,
        problems,
        found: Walked::default(),
        anchors: Anchors::default(),
        fence: None,
        comment: None,
        heading: None,
        heading_at: 0..0,
        footnotes: 0,
        cells: 0,
        text: String::new(),
        indented: false,
        html: Vec::new(),
        paragraph: None,
        silences: 0,
    };
    for (event, range) in new_cmark_parser(&page.text, options).into_offset_iter() {
        walk.event(event, range);
    }
    walk.drop_comment();
    walk.silence_of_nothing();
    lost::check(page, &walk.found.blocks, &walk.html, walk.problems);
    walk.found.anchors = walk.anchors.finish();
    walk.found.blocks.shrink_to_fit();
    walk.found.links.shrink_to_fit();
    walk.found
}

struct Walk<'t, 'p> {
    page: &'t Passage,
    problems: &'p mut Vec<Problem>,
    found: Walked<'t>,
    anchors: Anchors,
    /// The open fence.
    fence: Option<Fence>,
    /// A comment that tags the next fence.
    comment: Option<Range<usize>>,
    heading: Option<usize>,
    heading_at: Range<usize>,
    /// Nesting of open footnotes.
    footnotes: usize,
    /// Table cells seen so far.
    cells: usize,
    /// The text of the current heading, paragraph or item, without markup.
    text: String,
    /// Inside an indented code block.
    indented: bool,
    /// Blocks of HTML.
    html: Vec<Range<usize>>,
    /// The open paragraph.
    paragraph: Option<Range<usize>>,
    /// How many of the silences already have their range.
    silences: usize,
}

struct Fence {
    range: Range<usize>,
    body: Passage,
}

impl Walk<'_, '_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Text(text) => self.text(&text, range),
            Event::Code(text) => self.text.push_str(&text),
            Event::SoftBreak | Event::HardBreak => self.text.push(' '),
            Event::Html(_) | Event::InlineHtml(_) => self.html(range),
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            _ => {}
        }
    }

    fn text(&mut self, text: &str, range: Range<usize>) {
        let Some(fence) = &mut self.fence else {
            if !self.indented {
                self.text.push_str(text);
            }
            return;
        };
        if self.page.text[range.clone()] == *text {
            fence.body.push_from(self.page, range);
        } else {
            let span = self.page.span(range);
            fence.body.push(text, &span.source, span.start as usize);
        }
    }

    fn start(&mut self, tag: Md<'_>, range: Range<usize>) {
        self.silenced(&tag, &range);
        match tag {
            Md::CodeBlock(CodeBlockKind::Fenced(_)) => {
                self.fence = Some(Fence {
                    range,
                    body: Passage::default(),
                });
            }
            Md::CodeBlock(CodeBlockKind::Indented) => {
                self.indented = true;
                self.drop_comment();
            }
            Md::Heading { level, id, .. } => {
                self.drop_comment();
                self.text.clear();
                self.heading = Some(depth(level));
                self.heading_at = first_line(&self.page.text, &range);
                if let Some(id) = id {
                    self.anchors.explicit(&id);
                    self.anchors.heading_has_id();
                }
            }
            Md::Paragraph => {
                // An inline comment directly before a fence closes its own paragraph.
                self.drop_comment();
                self.text.clear();
                self.paragraph = Some(range);
            }
            Md::HtmlBlock => self.html.push(range),
            Md::TableCell => self.count_cells(&range),
            Md::FootnoteDefinition(_) => self.footnotes += 1,
            Md::DefinitionListTitle => {
                self.text.clear();
                self.heading_at = first_line(&self.page.text, &range);
            }
            Md::Item => self.text.clear(),
            Md::Link {
                link_type: LinkType::Email,
                ..
            } => {}
            Md::Link { dest_url, .. } => self.link(&dest_url, range, false),
            Md::Image { dest_url, .. } => self.link(&dest_url, range, true),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock => {
                self.indented = false;
                if let Some(fence) = self.fence.take() {
                    self.block(fence);
                    self.text.clear();
                }
            }
            TagEnd::Heading(_) => {
                if let Some(level) = self.heading.take() {
                    self.count_alike();
                    let title = self.text.trim().to_owned();
                    self.found.marks.push(Mark::Heading { level, title });
                    self.text.clear();
                }
            }
            TagEnd::Paragraph => self.paragraph = None,
            TagEnd::FootnoteDefinition => self.footnotes -= 1,
            TagEnd::DefinitionListTitle => self.count_alike(),
            _ => {}
        }
    }

    /// The book makes a unique id for each heading and compares it with all headings of the same
    /// words, so many equal headings take quadratic time.
    fn count_alike(&mut self) {
        const MOST: u32 = 1_000;
        if self.anchors.heading(&self.text) == MOST && !self.found.exceeded {
            self.found.exceeded = true;
            let place = self.heading_at.clone();
            let message = format!("more than {MOST} headings of this page have the same text");
            let problem = Problem::error("too-many", self.page.span(place), message);
            self.problems
                .push(problem.hint("the book shows this page as plain text"));
        }
    }

    /// The book fills each row up to the number of cells in the first row: a short page can ask for
    /// very many cells.
    fn count_cells(&mut self, range: &Range<usize>) {
        self.cells += 1;
        if self.cells > 10_000 + self.page.text.len() / 2 && !self.found.exceeded {
            self.found.exceeded = true;
            let place = first_line(&self.page.text, range);
            let message = "the rows of this table lack more cells than they have";
            let problem = Problem::error("too-many", self.page.span(place), message);
            self.problems
                .push(problem.hint("the book shows this page as plain text"));
        }
    }

    fn link(&mut self, target: &str, range: Range<usize>, image: bool) {
        self.found.links.push(Link {
            target: target.to_owned(),
            range,
            image,
        });
    }

    fn html(&mut self, range: Range<usize>) {
        let text = &self.page.text[range.clone()];
        if let Some(inner) = comment(text) {
            let closed = text[inner.end..].starts_with("-->");
            self.comment(range.start + inner.start..range.start + inner.end, closed);
        } else {
            self.anchors.html(text);
            self.found.links.extend(html_links(text, &range));
        }
    }

    /// A comment that may be opsbook's; `range` is its inner text.
    fn comment(&mut self, range: Range<usize>, closed: bool) {
        let text = &self.page.text[range.clone()];
        let Some((word, _)) = text.split_once(':') else {
            if text.trim_start().starts_with("opsbook") {
                self.problems.push(
                    Problem::error(
                        "bad-comment",
                        self.page.span(range),
                        "an empty comment for opsbook",
                    )
                    .hint("write `<!-- opsbook: KIND … -->` on one line"),
                );
            }
            return;
        };
        let rest = range.start + word.len() + 1..range.end;
        let word = word.trim();
        if word == "opsbook" && !closed {
            self.problems.push(
                Problem::error(
                    "bad-comment",
                    self.page.span(rest),
                    "a comment for opsbook on several lines",
                )
                .hint("write `<!-- opsbook: KIND … -->` on one line"),
            );
        } else if word == "opsbook" && is_silence(&self.page.text[rest.clone()]) {
            self.silence(rest);
        } else if word == "opsbook" {
            self.drop_comment();
            self.comment = Some(rest);
        } else if nearest(word, ["opsbook"]).is_some() {
            self.problems.push(
                Problem::error(
                    "bad-comment",
                    self.page.span(range),
                    format!("unknown word `{word}` in a comment"),
                )
                .did_you_mean(word, ["opsbook"]),
            );
        }
    }

    /// `silence NAME NAME`: applies to its own paragraph or to the next element.
    fn silence(&mut self, range: Range<usize>) {
        let text = &self.page.text[range.clone()];
        let base = text.as_ptr() as usize;
        let words = text.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        let codes = words.skip(1).map(|word| {
            let start = range.start + (word.as_ptr() as usize - base);
            Spanned {
                value: word.to_owned(),
                span: self.page.span(start..start + word.len()),
            }
        });
        let codes: Vec<Spanned<String>> = codes.collect();
        if codes.is_empty() {
            let message = "this comment does not name the problem to silence";
            let problem = Problem::error("bad-silence", self.page.span(range.clone()), message);
            self.problems
                .push(problem.hint("`opsbook lint` shows its name in brackets"));
        }
        let here = self.paragraph.clone();
        let known = here.is_some();
        let range = here.unwrap_or(range.start..range.start);
        self.found.silences.push(Silence { codes, range });
        if known {
            let last = self.found.silences.len() - 1;
            self.found.silences.swap(self.silences, last);
            self.silences += 1;
        }
    }

    /// Begins the element after a comment, and sets the comment's range.
    fn silenced(&mut self, tag: &Md<'_>, range: &Range<usize>) {
        let is_block = matches!(
            tag,
            Md::Paragraph
                | Md::Heading { .. }
                | Md::CodeBlock(_)
                | Md::List(_)
                | Md::Item
                | Md::BlockQuote(_)
                | Md::Table(_)
                | Md::DefinitionList
        );
        if is_block {
            for silence in &mut self.found.silences[self.silences..] {
                silence.range.end = range.end;
            }
            self.silences = self.found.silences.len();
        }
    }

    fn silence_of_nothing(&mut self) {
        for silence in self.found.silences.drain(self.silences..) {
            for Spanned { span, .. } in silence.codes {
                let message = "nothing follows this comment";
                self.problems
                    .push(Problem::error("bad-silence", span, message));
            }
        }
    }

    /// Drops a comment that no fence follows.
    fn drop_comment(&mut self) {
        if let Some(range) = self.comment.take() {
            self.problems.push(
                Problem::error(
                    "comment-without-fence",
                    self.page.span(range),
                    "no fence follows this comment for opsbook",
                )
                .hint("put it on the line before the fence"),
            );
        }
    }

    fn block(&mut self, fence: Fence) {
        let Fence { range, body } = fence;
        let opening = first_line(&self.page.text, &range);
        let closed = is_closed(&self.page.text[range.clone()]);
        if !closed {
            let message = if self.page.text[range.end..].trim().is_empty() {
                "this fence is never closed: everything after it became its content"
            } else {
                "this fence is never closed: it ends with its list item or quote"
            };
            self.problems.push(
                Problem::error("unclosed-fence", self.page.span(opening.clone()), message)
                    .hint("close it with a line of the same characters"),
            );
        }
        let info = info(&self.page.text, &opening);
        let Info { language, meaning } = fence::read_info(self.page, info, self.problems);
        let mut place = opening.clone();
        let body = self.with_place(body, opening.end);
        let meaning = match self.adjacent_comment(range.start) {
            None => meaning,
            Some(comment) => {
                place = comment.clone();
                self.tagged_twice(&meaning, &comment);
                fence::read_comment(self.page, comment, self.problems)
            }
        };
        let meaning = self.not_in_a_footnote(meaning);
        let index = self.found.blocks.len();
        self.found.blocks.push(Block {
            range,
            language,
            kind: match &meaning {
                Meaning::Tagged(tag) => Some(tag.kind),
                Meaning::Prose | Meaning::Broken => None,
            },
            name: String::new(),
            text: body,
            span: self.page.span(place),
            is_misread: matches!(meaning, Meaning::Broken),
            allow: Vec::new(),
        });
        self.found.marks.push(match meaning {
            Meaning::Prose => Mark::Prose,
            Meaning::Broken => Mark::Broken { tag: None },
            // The contents of an unclosed block are not what the author meant.
            Meaning::Tagged(tag) if !closed => Mark::Broken { tag: Some(tag) },
            Meaning::Tagged(tag) => Mark::Block {
                block: index,
                said: match tag.kind {
                    Kind::Procedure | Kind::Checks | Kind::Each | Kind::Expect | Kind::Example => {
                        String::new()
                    }
                    _ => std::mem::take(&mut self.text),
                },
                tag,
            },
        });
    }

    /// Refuses tagged blocks in a footnote: the book shows footnotes at the end of the page, so
    /// steps would run in another order than the reader sees.
    fn not_in_a_footnote<'f>(&mut self, meaning: Meaning<'f>) -> Meaning<'f> {
        match meaning {
            Meaning::Tagged(tag) if self.footnotes > 0 && tag.kind != Kind::Example => {
                let message =
                    "this tagged block is in a footnote: the book shows it at the end of the page";
                let problem = Problem::error("in-footnote", self.page.span(tag.range), message);
                let hint = "move it into the text, or tag it `example` if it is never run";
                self.problems.push(problem.hint(hint));
                Meaning::Broken
            }
            meaning => meaning,
        }
    }

    /// Gives an empty block a place, too.
    fn with_place(&self, mut body: Passage, opening: usize) -> Passage {
        if !body.has_place() {
            let end = self.page.span(opening..opening);
            body.push("", &end.source, end.start as usize);
        }
        body
    }

    fn adjacent_comment(&mut self, fence: usize) -> Option<Range<usize>> {
        let comment = self.comment.take()?;
        let between = &self.page.text[comment.end..fence];
        let between = between.split_once("-->").map_or(between, |(_, rest)| rest);
        if between
            .bytes()
            .all(|b| b.is_ascii_whitespace() || b == b'>')
        {
            return Some(comment);
        }
        self.comment = Some(comment);
        self.drop_comment();
        None
    }

    fn tagged_twice(&mut self, meaning: &Meaning<'_>, comment: &Range<usize>) {
        if let Meaning::Tagged(tag) = meaning {
            self.problems.push(
                Problem::error(
                    "tagged-twice",
                    self.page.span(tag.range.clone()),
                    "this fence has a kind, and a comment before it has one too",
                )
                .note(self.page.span(comment.clone()), "the comment"),
            );
        }
    }
}

fn depth(level: HeadingLevel) -> usize {
    level as usize
}

/// The inner text of a piece of HTML that is one comment.
fn comment(html: &str) -> Option<Range<usize>> {
    let lead = html.len() - html.trim_start().len();
    let inner = html[lead..].strip_prefix("<!--")?;
    let end = inner.find("-->").unwrap_or(inner.trim_end().len());
    Some(lead + 4..lead + 4 + end)
}

/// `href` and `src` of HTML elements.
fn html_links(html: &str, range: &Range<usize>) -> Vec<Link> {
    static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?i)\s(href|src)\s*=\s*(?:"([^"]*)"|'([^']*)')"#).expect("a constant pattern")
    });
    if !html.contains('=') {
        return Vec::new();
    }
    ATTRIBUTE
        .captures_iter(html)
        .filter_map(|found| {
            let target = found.get(2).or(found.get(3))?;
            Some(Link {
                target: target.as_str().to_owned(),
                range: range.start + target.start()..range.start + target.end(),
                image: found[1].eq_ignore_ascii_case("src"),
            })
        })
        .collect()
}

/// The first line of a range, without its line end.
fn first_line(text: &str, range: &Range<usize>) -> Range<usize> {
    let line = text[range.clone()].lines().next().unwrap_or_default();
    range.start..range.start + line.len()
}

/// The info string on an opening line.
fn info(text: &str, opening: &Range<usize>) -> Range<usize> {
    let line = &text[opening.clone()];
    let after = line.trim_start_matches([' ', '\t']);
    let fence = after.bytes().next().unwrap_or(b'`') as char;
    let info = after.trim_start_matches(fence);
    opening.end - info.len()..opening.end
}

/// Whether the last line of a block closes it.
fn is_closed(block: &str) -> bool {
    let opening = block.trim_start_matches([' ', '\t']);
    let fence = opening.bytes().next().unwrap_or(b'`');
    let length = opening.bytes().take_while(|b| *b == fence).count();
    let Some((_, last)) = block.trim_end_matches(['\n', '\r']).rsplit_once('\n') else {
        return false;
    };
    let last = last.trim_matches([' ', '\t', '>', '\r']);
    last.len() >= length && last.bytes().all(|b| b == fence)
}

/// The first sentence of a block's introduction, on one line.
pub(crate) fn introduction(text: &str) -> String {
    let text = text.split('。').next().unwrap_or_default();
    let mut sentence = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if sentence.ends_with('.') {
            break;
        }
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(word);
    }
    sentence.truncate(sentence.trim_end_matches([':', '.', ' ']).len());
    sentence.shrink_to_fit();
    sentence
}

mod lost;
#[cfg(test)]
mod tests;
