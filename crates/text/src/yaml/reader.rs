//! Builds the tree from the parser's events. Drops what is not allowed and keeps the rest; stops if
//! the text is not YAML at all.
//!
//! The events come from `saphyr_parser`. The tree is ours, because no crate's tree knows the place
//! of every value and the text of scalars.

use std::ops::Range;

use indexmap::map::Entry as Slot;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use super::anchors::{self, Anchors};
use super::{Entry, MAX_BYTES, MAX_DEPTH, MAX_VALUES, Map, Value, Yaml, scalar, syntax};
use crate::source::{Offsets, Passage, Problem, Span};

/// More problems say nothing new, and a hostile file could have millions.
const MAX_PROBLEMS: usize = 100;

/// How many levels below the limit are skipped; deeper nesting is no honest mistake, and the parser
/// itself needs memory for each level.
const MAX_PASSED_OVER: usize = 1_000;

/// Reads one document. Reports all errors and returns everything that could be read; `None` if the
/// text is empty or its syntax is broken.
#[must_use]
pub fn read(text: &Passage) -> (Option<Yaml>, Vec<Problem>) {
    read_as(text, None)
}

/// The same for a file of another tool, which may contain anchors, aliases and `<<`.
#[must_use]
pub fn read_with_anchors(text: &Passage) -> (Option<Yaml>, Vec<Problem>) {
    read_as(text, Some(Anchors::default()))
}

fn read_as(text: &Passage, anchors: Option<Anchors>) -> (Option<Yaml>, Vec<Problem>) {
    if text.text.trim().is_empty() {
        return (None, Vec::new());
    }
    if text.text.len() > MAX_BYTES {
        let problem = Problem::error(
            "yaml-too-large",
            text.span(0..0),
            format!(
                "{} bytes of YAML; at most {MAX_BYTES} are read",
                text.text.len()
            ),
        );
        return (None, vec![problem]);
    }
    if let Some(problem) = control_character(text) {
        return (None, vec![problem]);
    }
    Reader::new(text, anchors).read()
}

/// The parser stops at some control characters as if the text ended.
fn control_character(text: &Passage) -> Option<Problem> {
    let at = text
        .text
        .bytes()
        .position(|b| b == 0x7f || (b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')))?;
    Some(
        Problem::error(
            "yaml-syntax",
            text.span(at..at + 1),
            format!(
                "control character {:#04x} in YAML",
                text.text.as_bytes()[at]
            ),
        )
        .hint("write it as an escape in double quotes, such as \"\\t\" or \"\\x1b\""),
    )
}

struct Reader<'a> {
    text: &'a Passage,
    offsets: Offsets,
    open: Vec<Open>,
    root: Option<Yaml>,
    problems: Vec<Problem>,
    values: usize,
    /// The number of open levels below the limit.
    too_deep: usize,
    /// `None` if anchors are problems.
    anchors: Option<Anchors>,
}

/// An open map or list.
struct Open {
    start: usize,
    /// The parser's number for its anchor; 0 without one.
    anchor: usize,
    content: Content,
}

enum Content {
    Seq(Vec<Yaml>),
    Map(Map, Key),
}

/// The state of an open map.
enum Key {
    /// The next value is a key.
    Awaited,
    Read(String, Span),
    /// The key was a problem; its value is dropped.
    Refused,
}

impl<'a> Reader<'a> {
    fn new(text: &'a Passage, anchors: Option<Anchors>) -> Reader<'a> {
        Reader {
            text,
            offsets: Offsets::of(&text.text),
            open: Vec::new(),
            root: None,
            problems: Vec::new(),
            values: 0,
            too_deep: 0,
            anchors,
        }
    }

    fn read(mut self) -> (Option<Yaml>, Vec<Problem>) {
        let mut parser = Parser::new_from_str(&self.text.text);
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, at) = match event {
                Ok(event) => event,
                Err(error) => {
                    self.problems.push(self.syntax(&error));
                    return (None, self.problems);
                }
            };
            let at = self.range(at.start.index(), at.end.index());
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
                if documents > 1 {
                    self.second_document(at);
                    break;
                }
            }
            self.event(event, at);
            if self.exhausted() {
                return (None, self.problems);
            }
        }
        (self.root, self.problems)
    }

    fn event(&mut self, event: Event<'_>, at: Range<usize>) {
        match event {
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                let at = self.undecorated(at, anchor, tag.is_some());
                let plain = style == ScalarStyle::Plain;
                let plain = plain && tag.is_none();
                let text = text.into_owned();
                if self.awaits_key() {
                    self.key(text, plain, at);
                } else {
                    let value = if plain {
                        scalar::plain(text)
                    } else {
                        Value::Str(text)
                    };
                    self.anchored_scalar(anchor, value, at);
                }
            }
            Event::SequenceStart(anchor, tag) => {
                let at = self.undecorated(at, anchor, tag.is_some());
                self.open(Content::Seq(Vec::new()), anchor, &at);
            }
            Event::MappingStart(anchor, tag) => {
                let at = self.undecorated(at, anchor, tag.is_some());
                self.open(Content::Map(Map::new(), Key::Awaited), anchor, &at);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at.end),
            _ => {}
        }
    }

    /// Reports the anchor and the tag before a value; returns the range of the value alone.
    fn undecorated(&mut self, at: Range<usize>, anchor: usize, tagged: bool) -> Range<usize> {
        if anchor == 0 && !tagged {
            return at;
        }
        let text = &self.text.text;
        let mut start = at.start;
        while text[start..].starts_with(['&', '!']) {
            let word = text[start..]
                .find(|c: char| c.is_whitespace() || ",[]{}".contains(c))
                .map_or(text.len(), |length| start + length);
            if text[start..].starts_with('!') {
                self.tag(start..word);
            } else if self.anchors.is_none() {
                self.anchored("yaml-anchor", "anchor", start..word);
            }
            start = word + (text[word..].len() - text[word..].trim_start().len());
        }
        start.min(at.end.max(at.start))..at.end.max(start)
    }

    /// Inserts the value of an alias; counts it, so that few lines cannot become many values.
    fn alias(&mut self, anchor: usize, at: Range<usize>) {
        let kept = self.anchors.as_ref().and_then(|known| known.get(anchor));
        let Some(kept) = kept else {
            self.anchored("yaml-alias", "alias", at.clone());
            return self.scalar(Value::Null, at);
        };
        self.values += kept.values;
        if self.too_deep > 0 || self.values > MAX_VALUES {
            return;
        }
        if self.open.len() + kept.levels > MAX_DEPTH {
            let problem = self.too_deep(at.clone());
            self.problems.push(problem);
            return self.scalar(Value::Null, at);
        }
        let yaml = kept.yaml.clone();
        self.add(yaml);
    }

    fn keep(&mut self, anchor: usize, yaml: &Yaml) {
        if let (Some(anchors), 1..) = (&mut self.anchors, anchor) {
            self.values += anchors.keep(anchor, yaml);
        }
    }

    fn anchored(&mut self, code: &'static str, what: &str, at: Range<usize>) {
        let word = self.text.text[at.clone()].trim_end().to_owned();
        let problem = self
            .problem(
                code,
                at,
                format!("{what} `{word}`: YAML anchors are not supported"),
            )
            .hint("write the value out, or put it into a variable and refer to it as `${name}`");
        self.problems.push(problem);
    }

    fn tag(&mut self, at: Range<usize>) {
        let tag = self.text.text[at.clone()].to_owned();
        let problem = self
            .problem(
                "yaml-tag",
                at,
                format!("tag `{tag}`: YAML tags are not supported"),
            )
            .hint("quote the text; a text that begins with `!` needs quotes, too");
        self.problems.push(problem);
    }

    fn awaits_key(&self) -> bool {
        self.too_deep == 0
            && matches!(
                self.open.last(),
                Some(Open {
                    content: Content::Map(_, Key::Awaited),
                    ..
                })
            )
    }

    fn key(&mut self, text: String, plain: bool, at: Range<usize>) {
        self.values += 1;
        let span = self.span(at.clone());
        let refused = if plain && text == "<<" && self.anchors.is_none() {
            Some(
                Problem::error(
                    "yaml-merge-key",
                    span.clone(),
                    "merge keys (`<<`) are not supported",
                )
                .hint("write the values out; nodes share values through `defaults` and `groups`"),
            )
        } else if plain && text.is_empty() {
            Some(Problem::error(
                "yaml-empty-key",
                span.clone(),
                "a value without a key",
            ))
        } else {
            None
        };
        let key = match refused {
            Some(problem) => {
                self.problems.push(problem);
                Key::Refused
            }
            None => Key::Read(text, span),
        };
        self.set_key(key);
    }

    fn set_key(&mut self, key: Key) {
        if let Some(Open {
            content: Content::Map(_, awaited),
            ..
        }) = self.open.last_mut()
        {
            *awaited = key;
        }
    }

    fn scalar(&mut self, value: Value, at: Range<usize>) {
        self.anchored_scalar(0, value, at);
    }

    fn anchored_scalar(&mut self, anchor: usize, value: Value, at: Range<usize>) {
        if self.too_deep == 0 {
            let span = self.span(at);
            let yaml = Yaml { span, value };
            self.keep(anchor, &yaml);
            self.add(yaml);
        }
    }

    fn too_deep(&self, at: Range<usize>) -> Problem {
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        self.problem("yaml-too-deep", at, message)
    }

    fn open(&mut self, content: Content, anchor: usize, at: &Range<usize>) {
        if self.too_deep > 0 || self.open.len() >= MAX_DEPTH {
            if self.too_deep == 0 {
                let problem = self.too_deep(at.clone());
                self.problems.push(problem);
            }
            self.too_deep += 1;
            return;
        }
        self.open.push(Open {
            start: at.start,
            anchor,
            content,
        });
    }

    fn close(&mut self, end: usize) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            if self.too_deep == 0 {
                self.scalar(Value::Null, end..end);
            }
            return;
        }
        let Some(Open {
            start,
            anchor,
            content,
        }) = self.open.pop()
        else {
            return;
        };
        // The parser sees the end of a block only at the next text.
        let end = start + self.text.text[start..end.max(start)].trim_end().len();
        let value = match content {
            Content::Seq(mut values) => {
                values.shrink_to_fit();
                Value::Seq(values)
            }
            Content::Map(mut map, _) => {
                if self.anchors.is_some() {
                    self.problems.extend(anchors::merge(&mut map));
                }
                // Most maps have one or two entries, and room for four.
                map.shrink_to_fit();
                Value::Map(map)
            }
        };
        let span = self.span(start..end);
        let yaml = Yaml { span, value };
        self.keep(anchor, &yaml);
        self.add(yaml);
    }

    /// Adds a complete value to its parent.
    fn add(&mut self, value: Yaml) {
        self.values += 1;
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return;
        };
        match &mut open.content {
            Content::Seq(values) => values.push(value),
            Content::Map(map, key) => match std::mem::replace(key, Key::Awaited) {
                Key::Read(name, span) => {
                    if let Some(problem) = insert(map, name, span, value) {
                        self.problems.push(problem);
                    }
                }
                Key::Refused => {}
                Key::Awaited => {
                    *key = Key::Refused;
                    let message = format!("{} cannot be a key; only text can", value.kind());
                    self.problems
                        .push(Problem::error("yaml-complex-key", value.span, message));
                }
            },
        }
    }

    fn exhausted(&mut self) -> bool {
        if self.too_deep > MAX_PASSED_OVER {
            return true;
        }
        if self.problems.len() >= MAX_PROBLEMS {
            self.problems.push(Problem::bare(
                "yaml-too-many-problems",
                "too many problems; the rest is not read",
            ));
            return true;
        }
        if self.values > MAX_VALUES {
            let message = format!("more than {MAX_VALUES} values");
            let problem = self.problem("yaml-too-many-values", 0..0, message);
            self.problems.push(problem);
            return true;
        }
        false
    }

    fn second_document(&mut self, at: Range<usize>) {
        let problem = self
            .problem(
                "yaml-second-document",
                at,
                "a second document; one file or block is one document",
            )
            .hint("remove the line `---`");
        self.problems.push(problem);
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let at = self.offsets.byte(error.marker().index(), &self.text.text);
        let open = self.open.iter().rev().map(|open| open.start);
        syntax::problem(self.text, at, error.info(), open)
    }

    fn problem(&self, code: &'static str, at: Range<usize>, message: impl Into<String>) -> Problem {
        Problem::error(code, self.span(at), message)
    }

    fn span(&self, at: Range<usize>) -> Span {
        self.text.span(at)
    }

    fn range(&self, start: usize, end: usize) -> Range<usize> {
        let start = self.offsets.byte(start, &self.text.text);
        start..self.offsets.byte(end, &self.text.text).max(start)
    }
}

fn insert(map: &mut Map, name: String, key: Span, value: Yaml) -> Option<Problem> {
    match map.entry(name) {
        Slot::Vacant(slot) => {
            slot.insert(Entry { key, value });
            None
        }
        Slot::Occupied(slot) => Some(
            Problem::error(
                "yaml-duplicate-key",
                key,
                format!("duplicate key `{}`", slot.key()),
            )
            .note(slot.get().key.clone(), "first defined here"),
        ),
    }
}
