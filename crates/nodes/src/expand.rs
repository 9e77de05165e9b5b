//! Substitutes every `${name}` in values; each name is looked up in the same node. The length of
//! reference chains and the size of values are limited.

use std::collections::HashMap;

use super::layers::{Content, Item, Tree};
use super::{Layer, MAX_HINTS, reserved, secret};
use crate::interpolation::{Piece, Wrong, pieces};
use crate::source::{Problem, Span};
use crate::yaml::{Entry, Value, Yaml};

/// The longest chain of references.
const MAX_CHAIN: usize = 64;
/// The most bytes of one value after substitution.
const MAX_VALUE: usize = 1024 * 1024;

/// One leaf after substitution.
#[derive(Clone, Debug)]
pub(super) struct Expanded {
    pub value: Yaml,
    /// The text as written, if substitution changed it.
    pub written: Option<String>,
    /// Why it must not be used.
    pub undefined: Option<Box<Problem>>,
}

/// All leaves of one node by flat name, and the results so far.
pub(super) struct Expander<'a> {
    known: HashMap<String, Known<'a>>,
    done: HashMap<String, Expanded>,
    /// The references that are being followed, each with its place.
    path: Vec<(String, Span)>,
    problems: Vec<Problem>,
    /// How many more names may be compared with all others for hints.
    hints: std::ops::Range<usize>,
}

#[derive(Clone, Copy)]
enum Known<'a> {
    Leaf(&'a Item, &'a Yaml),
    Map(&'a Item),
}

/// Why a reference yields no text.
enum Missing {
    /// Reported already.
    Broken,
    Undefined(Box<Problem>),
}

impl Expanded {
    pub fn unchanged(value: Yaml) -> Expanded {
        Expanded {
            value,
            written: None,
            undefined: None,
        }
    }
}

impl<'a> Expander<'a> {
    pub fn new(tree: &'a Tree) -> Expander<'a> {
        let mut expander = Expander {
            known: HashMap::new(),
            done: HashMap::new(),
            path: Vec::new(),
            problems: Vec::new(),
            hints: 0..MAX_HINTS,
        };
        expander.index("", tree);
        expander
    }

    /// Every leaf in the order of the tree.
    pub fn expand_all(&mut self, tree: &'a Tree) -> Vec<Expanded> {
        let mut all = Vec::new();
        self.walk("", tree, &mut all);
        all
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn index(&mut self, prefix: &str, tree: &'a Tree) {
        for (key, item) in tree {
            let name = flat(prefix, key);
            let known = match &item.content {
                Content::Leaf(value) => Known::Leaf(item, value),
                Content::Map(_) => Known::Map(item),
            };
            if let Some(earlier) = self.known.insert(name.clone(), known) {
                self.collision(&name, item, earlier);
            }
            if let Content::Map(nested) = &item.content {
                self.index(&name, nested);
            }
        }
    }

    fn collision(&mut self, name: &str, item: &Item, earlier: Known<'_>) {
        let (Known::Leaf(earlier, _) | Known::Map(earlier)) = earlier;
        let message = format!("two values have the name `{name}`");
        let mut problem = match &item.origin.span {
            Some(span) => Problem::error("duplicate-name", span.clone(), message),
            None => Problem::bare("duplicate-name", message),
        };
        if let Some(span) = &earlier.origin.span {
            problem = problem.note(span.clone(), "the other one");
        }
        self.problems
            .push(problem.hint("`inner` in a map `outer` is named `outer_inner`"));
    }

    fn walk(&mut self, prefix: &str, tree: &'a Tree, all: &mut Vec<Expanded>) {
        for (key, item) in tree {
            let name = flat(prefix, key);
            match &item.content {
                Content::Map(nested) => self.walk(&name, nested, all),
                Content::Leaf(value) => all.push(self.leaf(&name, item, value)),
            }
        }
    }

    fn leaf(&mut self, name: &str, item: &Item, value: &Yaml) -> Expanded {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        self.path.push((name.to_owned(), value.span.clone()));
        let expanded = self.expand(item, value);
        self.path.pop();
        self.done.insert(name.to_owned(), expanded.clone());
        expanded
    }

    fn expand(&mut self, item: &Item, value: &Yaml) -> Expanded {
        if item.origin.layer == Layer::Set || !mentions(value) {
            self.check_secrets(value, true);
            return Expanded::unchanged(value.clone());
        }
        let mut expanded = Expanded::unchanged(value.clone());
        let mut undefined = None;
        self.within(&mut expanded.value, &mut undefined);
        self.check_secrets(&expanded.value, true);
        expanded.written = Some(match &value.value {
            Value::Str(text) => text.clone(),
            _ => value.span.text().to_owned(),
        });
        expanded.undefined = undefined;
        expanded
    }

    /// Substitutes references in a text, or in every text of a list or map.
    fn within(&mut self, value: &mut Yaml, undefined: &mut Option<Box<Problem>>) {
        match &mut value.value {
            Value::Str(text) if text.contains("${") => match self.text(text, &value.span) {
                Ok(expanded) => *text = expanded,
                Err(Missing::Broken) => {}
                Err(Missing::Undefined(problem)) => {
                    undefined.get_or_insert(problem);
                }
            },
            Value::Seq(values) => {
                for value in values {
                    self.within(value, undefined);
                }
            }
            Value::Map(map) => {
                for Entry { value, .. } in map.values_mut() {
                    self.within(value, undefined);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, span: &Span) -> Result<String, Missing> {
        let mut expanded = String::new();
        let mut missing = None;
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => expanded.push_str(text),
                Piece::Name(name, _) => match self.lookup(name, &within_span(span, name)) {
                    Ok(text) => expanded.push_str(&text),
                    Err(found) => missing = Some(missing.unwrap_or(found)),
                },
                Piece::Wrong(wrong, _) => {
                    self.wrong(wrong, span);
                    missing = Some(Missing::Broken);
                }
            }
            if expanded.len() > MAX_VALUE {
                let message = format!("this value is larger than {MAX_VALUE} bytes");
                self.problems
                    .push(Problem::error("value-too-large", span.clone(), message));
                return Err(Missing::Broken);
            }
        }
        missing.map_or(Ok(expanded), Err)
    }

    fn wrong(&mut self, wrong: Wrong<'_>, span: &Span) {
        let place = match wrong {
            Wrong::Name(name) => within_span(span, name),
            Wrong::Unclosed => span.clone(),
        };
        let problem = Problem::error("bad-reference", place, wrong.message()).hint(wrong.hint());
        self.problems.push(problem);
    }

    /// The text of the value that a reference names.
    fn lookup(&mut self, name: &str, at: &Span) -> Result<String, Missing> {
        if let Some(start) = self.path.iter().position(|(earlier, _)| earlier == name) {
            self.cycle(start, at);
            return Err(Missing::Broken);
        }
        let Some(known) = self.known.get(name).copied() else {
            return Err(Missing::Undefined(Box::new(self.undefined(name, at))));
        };
        let (item, value) = match known {
            Known::Leaf(item, value) => (item, value),
            Known::Map(_) => return Err(self.not_a_text(name, "a map", at)),
        };
        if self.path.len() > MAX_CHAIN {
            let message = format!("more than {MAX_CHAIN} values refer to each other in a chain");
            self.problems
                .push(Problem::error("chain-too-long", at.clone(), message));
            return Err(Missing::Broken);
        }
        let expanded = self.leaf(name, item, value);
        if let Some(problem) = expanded.undefined {
            return Err(Missing::Undefined(problem));
        }
        match expanded.value.text() {
            Some(text) => Ok(text.to_owned()),
            None => Err(self.not_a_text(name, kind(&expanded.value), at)),
        }
    }

    fn undefined(&mut self, name: &str, at: &Span) -> Problem {
        let problem = Problem::error(
            "undefined-value",
            at.clone(),
            format!("nothing defines `{name}`"),
        );
        if reserved::BUILT_IN.contains(&name) {
            return problem.hint(format!(
                "`{name}` exists only in a run, not in the definition of nodes"
            ));
        }
        match self.hints.next() {
            Some(_) => problem.did_you_mean(name, self.known.keys().map(String::as_str)),
            None => problem,
        }
    }

    fn not_a_text(&mut self, name: &str, kind: &str, at: &Span) -> Missing {
        let message = format!("`{name}` is {kind} and cannot be put into a text");
        self.problems
            .push(Problem::error("not-a-text", at.clone(), message));
        Missing::Broken
    }

    fn cycle(&mut self, start: usize, at: &Span) {
        let mut names: Vec<_> = self.path[start..]
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        names.push(names[0].clone());
        let message = format!("a value cannot refer to itself: {}", names.join(" to "));
        let mut problem = Problem::error("value-cycle", at.clone(), message);
        for (name, span) in &self.path[start..self.path.len() - 1] {
            problem = problem.note(
                span.clone(),
                format!("`{name}` refers to the next value here"),
            );
        }
        self.problems.push(problem);
    }

    /// Checks that a secret is well-formed and is not part of a larger text.
    fn check_secrets(&mut self, value: &Yaml, alone: bool) {
        match secret::reference(value) {
            Some(Err(problem)) => self.problems.push(*problem),
            Some(Ok(_)) if !alone => self.problems.push(
                Problem::error(
                    "secret-in-list",
                    value.span.clone(),
                    "a list contains a secret",
                )
                .hint("give the secret its own name"),
            ),
            Some(Ok(_)) => {}
            None => match &value.value {
                Value::Seq(values) => values
                    .iter()
                    .for_each(|value| self.check_secrets(value, false)),
                Value::Map(map) => map
                    .values()
                    .for_each(|entry| self.check_secrets(&entry.value, false)),
                _ => {}
            },
        }
    }
}

fn flat(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}_{key}")
    }
}

fn kind(value: &Yaml) -> &'static str {
    match secret::reference(value) {
        Some(_) => "a secret",
        None => value.kind(),
    }
}

fn mentions(value: &Yaml) -> bool {
    match &value.value {
        Value::Str(text) => text.contains("${"),
        Value::Seq(values) => values.iter().any(mentions),
        Value::Map(map) => map.values().any(|entry| mentions(&entry.value)),
        _ => false,
    }
}

/// The place of `${name}` within a value, if the source shows it literally.
fn within_span(span: &Span, name: &str) -> Span {
    let reference = format!("${{{name}}}");
    match span.text().find(&reference) {
        Some(at) => {
            let start = span.start as usize + at;
            Span::new(&span.source, start..start + reference.len())
        }
        None => span.clone(),
    }
}
