//! Sanitises one piece of HTML, and puts it on one line. Only this file names `html5ever`.

use std::cell::{Cell, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::rules;

/// How many removed things are named.
const NAMED: usize = 6;

/// The allowed part of a piece of HTML, and what was removed.
pub(super) struct Filtered {
    pub(super) html: String,
    pub(super) what: Vec<String>,
}

/// A tag with more attributes is dropped without examining them.
const MOST_ATTRIBUTES: usize = 1_000;
/// HTML with more errors is rewritten, so that the book's own parser does not report each of them.
const MOST_MISTAKES: usize = 10;

/// `None` if everything is allowed.
pub(super) fn filtered(html: &str) -> Option<Filtered> {
    if has_a_crowded_tag(html) {
        return Some(Filtered {
            html: text(html),
            what: vec![format!("a tag with more than {MOST_ATTRIBUTES} attributes")],
        });
    }
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from(html));
    while let html5ever::TokenizerResult::Script(()) = tokenizer.feed(&queue) {}
    let mistakes = tokenizer.sink.0.borrow().mistakes;
    tokenizer.end();
    let mut writer = tokenizer.sink.0.into_inner();
    // A tag that does not end here would continue in the following text.
    if writer.mistakes > mistakes {
        writer.removed("a tag or comment without its end".to_owned());
    }
    let changed = !writer.what.is_empty() || writer.mistakes > MOST_MISTAKES;
    changed.then_some(Filtered {
        html: writer.html,
        what: writer.what,
    })
}

/// Whether a tag has so many attributes that the parser, which compares each with each, would be
/// slow.
fn has_a_crowded_tag(html: &str) -> bool {
    let mut words = 0;
    let mut blank = true;
    for byte in html.bytes() {
        match byte {
            b'<' | b'>' => words = 0,
            b if b.is_ascii_whitespace() || b == b'/' => blank = true,
            _ if blank => {
                blank = false;
                words += 1;
                if words > MOST_ATTRIBUTES {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Whether a page contains active or misleading content. Sounds and films are allowed.
pub(super) fn page_acts(html: &str) -> bool {
    acts(html, IN_PAGES)
}

/// Whether an SVG picture contains more than shapes: scripts, other documents, active links, or
/// entities that could hide one of them.
pub(super) fn svg_acts(svg: &str) -> bool {
    let lower = svg.to_ascii_lowercase();
    let entities = lower.contains("<!entity") || lower.contains("<?xml-stylesheet");
    entities || acts(svg, &[IN_PAGES, IN_PICTURES].concat())
}

/// Whether HTML contains one of these elements, or an active or misleading attribute.
fn acts(html: &str, elements: &[&'static str]) -> bool {
    let shapes = Shapes {
        elements: elements.to_vec(),
        acts: Cell::new(false),
    };
    let tokenizer = Tokenizer::new(shapes, TokenizerOpts::default());
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from(html));
    while let html5ever::TokenizerResult::Script(()) = tokenizer.feed(&queue) {}
    tokenizer.end();
    tokenizer.sink.acts.get()
}

/// Finds everything but shapes.
struct Shapes {
    /// The forbidden elements.
    elements: Vec<&'static str>,
    acts: Cell<bool>,
}

impl TokenSink for Shapes {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let Token::TagToken(tag) = token else {
            return TokenSinkResult::Continue;
        };
        let bare = |name: &str| name.rsplit(':').next().unwrap_or_default().to_lowercase();
        let element = bare(&tag.name);
        let attribute = |attribute: &html5ever::Attribute| {
            let name = bare(&attribute.name.local);
            match name.as_str() {
                name if name.starts_with("on") => true,
                "href" => {
                    !rules::allows_link(&attribute.value)
                        && !rules::is_local(&attribute.value, "img")
                }
                // The value that an animation writes into another attribute.
                "attributename" => {
                    !rules::is_plain(&attribute.value) || bare(&attribute.value) == "href"
                }
                _ => false,
            }
        };
        // Attributes of an end tag have no effect.
        let start = tag.kind == TagKind::StartTag;
        if start && (self.elements.contains(&element.as_str()) || tag.attrs.iter().any(attribute)) {
            self.acts.set(true);
        }
        TokenSinkResult::Continue
    }
}

/// Active elements in pages and pictures.
const IN_PAGES: &[&str] = &[
    "script",
    "foreignobject",
    "iframe",
    "object",
    "embed",
    "handler",
    "listener",
    "html",
    "body",
    "form",
];
/// A page may contain sounds and films; a picture may not.
const IN_PICTURES: &[&str] = &["audio", "video"];

/// Text as HTML on one line, also within a Markdown table.
pub(super) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\r' => {}
            '|' => out.push_str("&#124;"),
            '`' => out.push_str("&#96;"),
            c => out.push(c),
        }
    }
    out
}

#[derive(Default)]
struct Sink(RefCell<Writer>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        self.0.borrow_mut().token(token)
    }
}

#[derive(Default)]
struct Writer {
    html: String,
    what: Vec<String>,
    /// The number of HTML errors.
    mistakes: usize,
    /// The element that is removed with its content, and its nesting depth.
    within: Option<(String, usize)>,
}

impl Writer {
    fn token(&mut self, token: Token) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) => return self.tag(&tag),
            Token::CharacterTokens(chars) if self.within.is_none() => {
                self.html.push_str(&text(&chars));
            }
            Token::ParseError(_) => self.mistakes += 1,
            _ => {}
        }
        TokenSinkResult::Continue
    }

    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        let start = tag.kind == TagKind::StartTag;
        if let Some((outer, depth)) = &mut self.within {
            if outer == name {
                *depth = if start { *depth + 1 } else { *depth - 1 };
            }
            if *depth == 0 {
                self.within = None;
            }
            return if start {
                raw(name)
            } else {
                TokenSinkResult::Continue
            };
        }
        if !rules::allows_element(name) {
            self.removed(rules::element(name));
            if !start {
                return TokenSinkResult::Continue;
            }
            let read = raw(name);
            let alone = tag.self_closing && matches!(read, TokenSinkResult::Continue);
            if !alone && content_goes(name) {
                self.within = Some((name.to_owned(), 1));
            }
            return read;
        }
        if start {
            self.open(tag);
        } else if rules::is_plain(name) {
            self.html.push_str("</");
            self.html.push_str(name);
            self.html.push('>');
        }
        TokenSinkResult::Continue
    }

    fn open(&mut self, tag: &Tag) {
        let element: &str = &tag.name;
        let mut html = format!("<{element}");
        for attribute in &tag.attrs {
            let name: &str = &attribute.name.local;
            let becomes = rules::attribute_of(name, &attribute.value, element);
            let value: &str = match &becomes {
                rules::Attribute::Goes => "",
                rules::Attribute::Stays => &attribute.value,
                rules::Attribute::Becomes(value) => value,
            };
            if becomes != rules::Attribute::Stays {
                self.removed(rules::attribute(name, &rules::element(element)));
            }
            if becomes != rules::Attribute::Goes {
                html.push(' ');
                html.push_str(name);
                html.push_str("=\"");
                html.push_str(&text(value));
                html.push('"');
            }
        }
        html.push_str(if tag.self_closing { " />" } else { ">" });
        if rules::is_plain(element) {
            self.html.push_str(&html);
        }
    }

    fn removed(&mut self, what: String) {
        if self.what.len() < NAMED && !self.what.contains(&what) {
            self.what.push(what);
        }
    }
}

/// How a browser continues after a tag.
fn raw(name: &str) -> TokenSinkResult<()> {
    match name {
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" | "noscript" => {
            TokenSinkResult::RawData(RawKind::Rawtext)
        }
        "textarea" | "title" => TokenSinkResult::RawData(RawKind::Rcdata),
        "plaintext" => TokenSinkResult::Plaintext,
        _ => TokenSinkResult::Continue,
    }
}

/// Elements whose content is for browsers, not for readers.
fn content_goes(name: &str) -> bool {
    matches!(name, "svg" | "math" | "select" | "datalist" | "template")
        || !matches!(raw(name), TokenSinkResult::Continue)
}
