//! One piece of HTML -> the same without what a page may not bring, on one line.
//! The only place that names `html5ever`.

use std::cell::{Cell, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::rules;

/// Things are named up to this many.
const NAMED: usize = 6;

/// What stays of a piece of HTML, and what does not.
pub(super) struct Filtered {
    pub(super) html: String,
    pub(super) what: Vec<String>,
}

/// Of so many attributes of one tag none is looked at.
const MOST_ATTRIBUTES: usize = 1_000;
/// HTML with more mistakes than this is written anew, so that the book's own reader does not
/// say each of them.
const MOST_MISTAKES: usize = 10;

/// Nothing where all of it may stay.
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
    // A tag that does not end here would go on in whatever a page says next.
    if writer.mistakes > mistakes {
        writer.removed("a tag or comment without its end".to_owned());
    }
    let changed = !writer.what.is_empty() || writer.mistakes > MOST_MISTAKES;
    changed.then_some(Filtered {
        html: writer.html,
        what: writer.what,
    })
}

/// Whether a tag has so many words that its reader, which compares each attribute with each,
/// would take long.
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

/// Whether a page holds what runs, loads or leads astray. It may have sounds and films.
pub(super) fn page_acts(html: &str) -> bool {
    acts(html, IN_PAGES)
}

/// Whether a picture in SVG holds more than shapes: scripts, other documents, links that run,
/// entities by which any of them could be hidden.
pub(super) fn svg_acts(svg: &str) -> bool {
    let lower = svg.to_ascii_lowercase();
    let entities = lower.contains("<!entity") || lower.contains("<?xml-stylesheet");
    entities || acts(svg, &[IN_PAGES, IN_PICTURES].concat())
}

/// Whether one of these elements is in it, or an attribute that runs or leads astray.
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

/// Looks for what is more than a shape.
struct Shapes {
    /// Elements that are.
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
                // What an animation puts into another attribute.
                "attributename" => {
                    !rules::is_plain(&attribute.value) || bare(&attribute.value) == "href"
                }
                _ => false,
            }
        };
        // Nobody reads the attributes of an end tag.
        let start = tag.kind == TagKind::StartTag;
        if start && (self.elements.contains(&element.as_str()) || tag.attrs.iter().any(attribute)) {
            self.acts.set(true);
        }
        TokenSinkResult::Continue
    }
}

/// Elements by which a page, or a picture, is more than one.
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
/// A page may have sounds and films of its own; a picture is still.
const IN_PICTURES: &[&str] = &["audio", "video"];

/// Text as HTML on one line, also in a table of Markdown.
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
    /// What the reader of HTML complains of.
    mistakes: usize,
    /// The element whose content is left out with it, and how deep within elements of its name.
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

/// How a browser reads on after a tag.
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

/// What stands within these is for a browser, not for a reader.
fn content_goes(name: &str) -> bool {
    matches!(name, "svg" | "math" | "select" | "datalist" | "template")
        || !matches!(raw(name), TokenSinkResult::Continue)
}
