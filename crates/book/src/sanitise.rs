//! Sanitises a page: allows Markdown and harmless HTML, nothing that a browser would run or send.
//! Knows Markdown and HTML, no manual.
//!
//! Works on the Markdown just before mdBook renders it, with mdBook's parsers. The result is parsed
//! again until nothing is left to remove, because a removal may join its neighbours into something
//! new.

use std::ops::Range;

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Tag, TagEnd};

mod rules;
mod tokens;

/// A page that still changes after this many passes is shown as plain text.
const READINGS: usize = 4;
/// An invisible block that ends on its own line.
pub(super) const BLOCK: &str = "<!-- -->";
/// Unlike a comment it never begins a block.
const INLINE: &str = "<span></span>";

/// A part of a page that was removed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Removed {
    /// `<script>`, or an attribute of an element that stayed.
    pub(super) what: Vec<String>,
    /// The first line of the passage in the page.
    pub(super) written: String,
}

struct Change {
    range: Range<usize>,
    instead: String,
    what: Vec<String>,
}

/// The sanitised page, and the removed parts.
pub(super) fn sanitised(text: String, options: &MarkdownOptions) -> (String, Vec<Removed>) {
    let mut text = text;
    let mut removed = Vec::new();
    for _ in 0..READINGS {
        let changes = changes(&text, options);
        if changes.is_empty() {
            return (text, removed);
        }
        removed.extend(changes.iter().map(|change| Removed {
            what: change.what.clone(),
            written: first_line(&text[change.range.clone()]).to_owned(),
        }));
        text = applied(&text, &changes);
    }
    (as_plain_text(&text), removed)
}

fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    &line[..line.floor_char_boundary(200)]
}

fn applied(text: &str, changes: &[Change]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for change in changes.iter().filter(|change| !change.range.is_empty()) {
        if change.range.start >= done {
            out.push_str(&text[done..change.range.start]);
            out.push_str(&change.instead);
            done = change.range.end;
        }
    }
    out.push_str(&text[done..]);
    out
}

/// In the order of the page.
fn changes(text: &str, options: &MarkdownOptions) -> Vec<Change> {
    let mut reader = Reader {
        text,
        changes: Vec::new(),
        block: None,
        links: Vec::new(),
    };
    for (event, range) in new_cmark_parser(text, options).into_offset_iter() {
        reader.event(event, range);
    }
    reader.changes.sort_by_key(|change| change.range.start);
    reader.changes
}

struct Reader<'a> {
    text: &'a str,
    changes: Vec<Change>,
    /// The open HTML block.
    block: Option<(Range<usize>, String)>,
    /// Open links and images.
    links: Vec<Link>,
}

struct Link {
    /// Why it is not allowed.
    bad: Option<String>,
    autolink: bool,
    /// The replacement of a picture.
    picture: Option<String>,
    /// The target is allowed.
    leads: bool,
    /// The current end of its text.
    end: usize,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        let end = range.end;
        match event {
            Event::Start(Tag::HtmlBlock) => self.block = Some((range, String::new())),
            Event::Html(html) | Event::Text(html) if self.block.is_some() => {
                if let Some((_, block)) = &mut self.block {
                    block.push_str(&html);
                }
            }
            Event::End(TagEnd::HtmlBlock) => self.html_block(),
            Event::InlineHtml(html) => self.inline(&html, range),
            Event::Start(Tag::Heading {
                id, classes, attrs, ..
            }) => self.heading(id.as_deref(), &classes, &attrs, &range),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => self.fence(&info, &range),
            Event::Text(text) | Event::Code(text) => self.words(&text),
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                ..
            }) => return self.open(&dest_url, link_type, 1, &range),
            Event::Start(Tag::Image {
                link_type,
                dest_url,
                ..
            }) => return self.open(&dest_url, link_type, 2, &range),
            Event::End(TagEnd::Link | TagEnd::Image) => self.close(&range),
            _ => {}
        }
        if let Some(link) = self.links.last_mut() {
            link.end = end.max(link.end);
        }
    }

    fn html_block(&mut self) {
        let Some((range, html)) = self.block.take() else {
            return;
        };
        if let Some(filtered) = tokens::filtered(html.trim_end()) {
            let ends = self.text[range.clone()].ends_with('\n');
            let end = if ends { "\n" } else { "" };
            self.changes.push(Change {
                range,
                instead: format!("{BLOCK}{}{end}", filtered.html),
                what: filtered.what,
            });
        }
    }

    fn inline(&mut self, html: &str, range: Range<usize>) {
        let Some(filtered) = tokens::filtered(html) else {
            return;
        };
        // A tag that is now on one line could begin a block.
        let instead = if filtered.html.is_empty() || html.contains('\n') {
            format!("{INLINE}{}", filtered.html)
        } else {
            filtered.html
        };
        self.changes.push(Change {
            range,
            instead,
            what: filtered.what,
        });
    }

    /// mdBook turns each word after the language into a class.
    fn fence(&mut self, info: &str, range: &Range<usize>) {
        let words = || info.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        let bad = |word: &&str| !rules::allows_class(word);
        let line = self.text[range.clone()].lines().next().unwrap_or_default();
        let marks = line.trim_start_matches([' ', '`', '~']);
        if !words().skip(1).any(|word| bad(&word)) {
            return;
        }
        let kept: Vec<&str> = words()
            .take(1)
            .chain(words().skip(1).filter(|w| !bad(w)))
            .collect();
        let end = range.start + line.trim_end().len();
        self.changes.push(Change {
            range: range.start + line.len() - marks.len()..end,
            instead: kept.join(" "),
            what: words()
                .skip(1)
                .filter(bad)
                .take(6)
                .map(|word| format!("the class `{word}` of a block"))
                .collect(),
        });
    }

    /// `# Title {#id .class key=value}`: mdBook writes the keys unescaped.
    fn heading(
        &mut self,
        id: Option<&str>,
        classes: &[CowStr<'_>],
        attrs: &[(CowStr<'_>, Option<CowStr<'_>>)],
        range: &Range<usize>,
    ) {
        let bad = |name: &str, value: &str| {
            let stays = rules::attribute_of(name, value, "h1") == rules::Attribute::Stays;
            !rules::is_plain(name) || !stays
        };
        let names = attrs
            .iter()
            .filter(|(name, value)| bad(name, value.as_deref().unwrap_or_default()))
            .map(|(name, _)| &**name);
        let bad_id = id.filter(|id| !rules::allows_id(id)).map(|_| "id");
        let bad_class = classes.iter().find(|class| !rules::allows_class(class));
        let what = bad_id
            .into_iter()
            .chain(bad_class.map(|_| "class"))
            .chain(names)
            .take(6)
            .map(|name| rules::attribute(name, "a heading"))
            .collect::<Vec<_>>();
        let text = &self.text[range.clone()];
        let (Some(open), Some(close)) = (text.rfind('{'), text.rfind('}')) else {
            return;
        };
        if what.is_empty() || close < open {
            return;
        }
        let kept = text[open + 1..close]
            .split_ascii_whitespace()
            .filter(|word| {
                if let Some(id) = word.strip_prefix('#') {
                    return rules::allows_id(id);
                }
                if let Some(class) = word.strip_prefix('.') {
                    return rules::allows_class(class);
                }
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                !bad(name, value)
            });
        let kept: Vec<&str> = kept.collect();
        let instead = if kept.is_empty() {
            INLINE.to_owned()
        } else {
            format!("{{{}}}", kept.join(" "))
        };
        let range = range.start + open..range.start + close + 1;
        self.changes.push(Change {
            range,
            instead,
            what,
        });
    }

    fn open(&mut self, url: &str, kind: LinkType, mark: usize, range: &Range<usize>) {
        let bad = if mark == 1 {
            (!rules::allows_link(url)).then(|| rules::scheme(url))
        } else if rules::is_local(url, "img") {
            None
        } else if rules::allows_link(url) {
            Some("an image from elsewhere".to_owned())
        } else {
            Some(rules::scheme(url))
        };
        self.links.push(Link {
            bad,
            picture: (mark == 2).then(String::new),
            leads: rules::allows_link(url),
            autolink: matches!(kind, LinkType::Autolink),
            end: range.start + mark,
        });
    }

    /// Keeps the link's text and its brackets, so that nothing is joined.
    fn close(&mut self, range: &Range<usize>) {
        let Some(link) = self.links.pop() else {
            return;
        };
        let Some(what) = link.bad else {
            return;
        };
        let (range, instead) = if let Some(words) = link.picture.filter(|_| link.leads) {
            self.elsewhere(words, range)
        } else if link.autolink {
            (range.clone(), literal(&self.text[range.clone()]))
        } else {
            (link.end.min(range.end)..range.end, "](#)".to_owned())
        };
        self.changes.push(Change {
            range,
            instead,
            what: vec![what],
        });
    }
}

impl Reader<'_> {
    /// An external picture becomes a link to it, or within a link, its text.
    fn elsewhere(&self, words: String, range: &Range<usize>) -> (Range<usize>, String) {
        if self.links.is_empty() {
            return (range.start..range.start + 1, String::new());
        }
        (range.clone(), literal(&words))
    }

    fn words(&mut self, text: &str) {
        const MOST: usize = 1_000;
        if let Some(words) = self.links.last_mut().and_then(|link| link.picture.as_mut())
            && words.len() < MOST
        {
            words.push_str(text);
        }
    }
}

/// A page that is not rendered, as plain text.
pub(super) fn as_plain_text(text: &str) -> String {
    format!("{BLOCK}<pre>{}</pre>\n", tokens::text(text))
}

/// Whether an SVG picture would run or load something when opened by itself.
pub(super) fn svg_acts(svg: &str) -> bool {
    tokens::svg_acts(svg)
}

/// Whether HTML contains something active.
pub(super) fn acts(html: &str) -> bool {
    tokens::page_acts(html)
}

/// Whether a page may link to this address.
pub(super) fn may_lead(url: &str) -> bool {
    rules::allows_link(url)
}

/// Escapes text for Markdown and HTML.
pub(super) fn literal(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_ascii_punctuation() => format!("&#{};", c as u32),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
