//! `{{#include}}` and similar directives, with the same meaning as in the book: the included text
//! replaces them, and every byte keeps its origin.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use regex::Regex;

use crate::files::{Refused, normal};
use crate::source::{Passage, Problem, Source, Span, nearest};

/// Returns the source of an included file by its path, or the reason why it cannot.
pub type Includes<'a> = &'a (dyn Fn(&Path) -> Result<Arc<Source>, Refused> + Sync);

/// The deepest nesting of includes that the book follows.
const MAX_DEPTH: usize = 10;
/// The largest text that includes may produce for one page, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most text to search for the included parts of one page, in bytes; a file counts each time.
const MAX_READ: usize = 2 * MAX_BYTES;

/// The most includes of one page, nested ones among them.
const MAX_FILES: usize = 10_000;

/// A page with its includes expanded.
pub(crate) struct Included {
    pub text: Passage,
    /// `{{#title …}}`
    pub title: Option<String>,
    /// The included files, each with its offset in the page.
    pub files: Vec<(PathBuf, u32)>,
    /// A file was not included because it is outside the project.
    pub withheld: bool,
}

/// Expands the text of a page from `body` on.
pub(crate) fn expand(
    source: &Arc<Source>,
    body: usize,
    includes: Includes<'_>,
    problems: &mut Vec<Problem>,
) -> Included {
    let mut passage = Passage::default();
    passage.push(&source.text[body..], source, body);
    let mut expansion = Expansion {
        includes,
        problems,
        title: None,
        included: Vec::new(),
        at: 0,
        bytes: passage.text.len(),
        read: 0,
        full: false,
        withheld: false,
        within: vec![(source.path.clone(), String::new())],
    };
    let mut text = expansion.replace(passage, parent(&source.path), 0);
    if expansion.full {
        // The page is withheld: do not read it further.
        text = Passage::default();
        text.push(&source.text[body..], source, body);
    }
    Included {
        text,
        title: expansion.title,
        files: expansion.included,
        withheld: expansion.withheld,
    }
}

struct Expansion<'a> {
    includes: Includes<'a>,
    problems: &'a mut Vec<Problem>,
    title: Option<String>,
    included: Vec<(PathBuf, u32)>,
    /// The offset of the outermost include in the page.
    at: u32,
    bytes: usize,
    read: usize,
    /// A limit was exceeded: nothing more is read, and the error is reported once.
    full: bool,
    withheld: bool,
    /// The files and parts that are being included, outermost first.
    within: Vec<(PathBuf, String)>,
}

enum Part {
    All,
    Lines(Range<usize>),
    Anchor(String),
}

/// The book's pattern for its directives.
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\\\{\{#.*\}\}|\{\{\s*#([a-zA-Z0-9_]+)\s+([^}]+)\}\}").expect("a constant pattern")
});

impl Expansion<'_> {
    fn replace(&mut self, text: Passage, folder: &Path, depth: usize) -> Passage {
        if memchr::memmem::find(text.text.as_bytes(), b"{{").is_none() {
            return text;
        }
        let mut replaced = Passage::default();
        let mut done = 0;
        for found in LINK.captures_iter(&text.text) {
            let Some(whole) = found.get(0).map(|whole| whole.range()) else {
                continue;
            };
            let span = text.span(whole.clone());
            if depth == 0 {
                self.at = span.start;
            }
            let new = match (found.get(1), found.get(2)) {
                (Some(kind), Some(rest)) => {
                    self.link(kind.as_str(), rest.as_str(), folder, &span, depth)
                }
                // An escaped directive: the book drops the backslash.
                _ => Some(text.slice(whole.start + 1..whole.end)),
            };
            if let Some(new) = new {
                replaced.push_from(&text, done..whole.start);
                indented(&mut replaced, &new, &text, indent(&text.text, whole.start));
                done = whole.end;
            }
        }
        replaced.push_from(&text, done..text.text.len());
        if !replaced.has_place() {
            let start = text.span(0..0);
            replaced.push("", &start.source, start.start as usize);
        }
        replaced
    }

    /// The text that replaces one directive; `None` keeps it.
    fn link(
        &mut self,
        kind: &str,
        rest: &str,
        folder: &Path,
        span: &Span,
        depth: usize,
    ) -> Option<Passage> {
        if kind == "title" {
            self.title = Some(rest.to_owned());
            return Some(Passage::default());
        }
        let mut words = rest.split_whitespace();
        let target = words.next()?;
        let (path, part) = match kind {
            "include" | "rustdoc_include" => {
                let (path, part) = target.split_once(':').unwrap_or((target, ""));
                (path, part_of(part))
            }
            "playground" | "playpen" => (target, Part::All),
            _ => {
                self.misspelt(kind, span);
                return None;
            }
        };
        if self.full {
            return Some(Passage::default());
        }
        let source = match self.read(&normal(&folder.join(path)), span) {
            Ok(source) => source,
            Err(instead) => return instead,
        };
        let part_name = target.strip_prefix(path).unwrap_or_default();
        let this = (source.path.clone(), part_name.to_owned());
        if self.within.contains(&this) {
            let message = format!("`{}` includes itself", source.path.display());
            self.problems
                .push(Problem::error("include-itself", span.clone(), message));
            return Some(Passage::default());
        }
        if depth >= MAX_DEPTH {
            self.problems.push(Problem::error(
                "include-depth",
                span.clone(),
                format!("includes are nested deeper than {MAX_DEPTH} levels"),
            ));
            return Some(Passage::default());
        }
        self.read += source.text.len();
        if self.read > MAX_READ || self.included.len() > MAX_FILES {
            self.too_much(span);
            return Some(Passage::default());
        }
        let taken = match kind {
            "include" => self.take(&source, &part, span),
            "rustdoc_include" => self.hidden(&source, &part, span),
            _ => playground(&source, &words.collect::<Vec<_>>()),
        };
        self.bytes += taken.text.len();
        if self.bytes > MAX_BYTES {
            self.too_much(span);
            return Some(Passage::default());
        }
        self.within.push(this);
        let replaced = self.replace(taken, parent(&source.path), depth + 1);
        self.within.pop();
        Some(replaced)
    }

    fn too_much(&mut self, span: &Span) {
        self.full = true;
        let message = if self.bytes > MAX_BYTES {
            "the includes of this page have more than 16 MiB in total"
        } else if self.read > MAX_READ {
            "the files that this page includes have more than 32 MiB in total"
        } else {
            "this page has more than 10,000 includes"
        };
        self.problems
            .push(Problem::error("include-size", span.clone(), message));
    }

    /// A misspelt directive; the book leaves it unchanged.
    fn misspelt(&mut self, kind: &str, span: &Span) {
        if nearest(kind, ["include"]).is_some() {
            let message = format!("`#{kind}` is left unchanged");
            let problem = Problem::error("broken-include", span.clone(), message);
            self.problems.push(problem.did_you_mean(kind, ["include"]));
        }
    }

    /// The file, or the text to insert if it cannot be read.
    fn read(&mut self, path: &Path, span: &Span) -> Result<Arc<Source>, Option<Passage>> {
        let outside = path.is_absolute() || path.starts_with("..");
        match (self.includes)(path) {
            Ok(source) => {
                if outside {
                    self.problems.push(Problem::warning(
                        "include-outside",
                        span.clone(),
                        format!("`{}` is outside of this manual", path.display()),
                    ));
                }
                self.included.push((source.path.clone(), self.at.max(1)));
                Ok(source)
            }
            Err(why) => {
                let refused = why.is_outside();
                let code = if refused {
                    "include-outside"
                } else {
                    "broken-include"
                };
                let message = format!("cannot include `{}`: {why}", path.display());
                self.problems
                    .push(Problem::error(code, span.clone(), message));
                self.withheld |= refused;
                Err(refused.then(Passage::default))
            }
        }
    }

    fn take(&mut self, source: &Arc<Source>, part: &Part, span: &Span) -> Passage {
        self.is_there(source, part, span);
        let lines = kept(source, part);
        let mut passage = Passage::default();
        let mut rest = lines.iter();
        let from_first = rest.by_ref().skip_while(|(_, kept)| !*kept);
        // The book keeps only the first part of an anchor that opens twice.
        for (line, _) in from_first.take_while(|(_, kept)| *kept) {
            push_line(&mut passage, source, line);
        }
        passage
    }
}

impl Expansion<'_> {
    fn hidden(&mut self, source: &Arc<Source>, part: &Part, span: &Span) -> Passage {
        self.is_there(source, part, span);
        hide(source, part)
    }

    /// A missing or unterminated part is an error: a script would run with too little or too much
    /// text.
    fn is_there(&mut self, source: &Source, part: &Part, span: &Span) {
        let path = source.path.display();
        let wrong = |message: String| Problem::error("broken-include", span.clone(), message);
        match part {
            Part::All => {}
            Part::Lines(lines) => {
                let count = source.text.lines().count();
                if lines.start > 0 && lines.start >= count {
                    let message = format!("`{path}` has no line {}", lines.start + 1);
                    let hint = format!("it has {count}");
                    self.problems.push(wrong(message).hint(hint));
                }
            }
            Part::Anchor(name) => match anchors(&source.text, name) {
                Anchors::Closed => {}
                Anchors::Missing => {
                    let known = source.text.lines().filter_map(anchor);
                    let known: Vec<&str> =
                        known.filter(|a| !a.0).map(|a| a.1).take(1_000).collect();
                    let problem = wrong(format!("`{path}` has no anchor `{name}`"));
                    self.problems.push(problem.did_you_mean(name, known));
                }
                Anchors::Open => {
                    let ends = source.text.lines().filter_map(anchor);
                    let ends: Vec<&str> = ends.filter(|a| a.0).map(|a| a.1).take(1_000).collect();
                    let message = format!(
                        "the anchor `{name}` of `{path}` never ends, so everything after it would \
                         be included"
                    );
                    let near = nearest(name, ends).map_or(String::new(), |near| {
                        format!("; did you mean that by `ANCHOR_END: {near}`?")
                    });
                    let hint = format!("write `ANCHOR_END: {name}` after its last line{near}");
                    self.problems.push(wrong(message).hint(hint));
                }
            },
        }
    }
}

/// The indentation or quote marks before an include on its line.
fn indent(text: &str, at: usize) -> Range<usize> {
    let only = |b: &u8| matches!(b, b' ' | b'\t' | b'>');
    let before = text.as_bytes()[..at].iter().rev().find(|b| !only(b));
    if before.is_some_and(|b| *b != b'\n') {
        return at..at;
    }
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    line..at
}

/// Appends an included text. Each of its lines gets the indentation of the directive (a range of
/// the including text), so that it stays in the same list or quote.
fn indented(page: &mut Passage, new: &Passage, text: &Passage, indent: Range<usize>) {
    if indent.is_empty() || !new.text.contains('\n') {
        page.push_from(new, 0..new.text.len());
        return;
    }
    let bare = text.text[indent.clone()].trim_end().len();
    let mut at = 0;
    for line in new.text.split_inclusive('\n') {
        if at > 0 {
            let blank = line.trim().is_empty();
            let end = if blank {
                indent.start + bare
            } else {
                indent.end
            };
            page.push_from(text, indent.start..end);
        }
        page.push_from(new, at..at + line.len());
        at += line.len();
    }
}

/// Reads the part after the colon as `{{#include}}` does.
fn part_of(text: &str) -> Part {
    let mut parts = text.splitn(3, ':');
    let first = parts.next().unwrap_or_default();
    let second = parts.next().map(str::parse::<usize>);
    let start = match first.parse::<usize>() {
        Ok(line) => Some(line.saturating_sub(1)),
        Err(_) if first.is_empty() => None,
        Err(_) => return Part::Anchor(first.to_owned()),
    };
    match (start, second) {
        (Some(start), Some(Ok(end))) => Part::Lines(start..end),
        (Some(start), Some(Err(_))) => Part::Lines(start..usize::MAX),
        (Some(start), None) => Part::Lines(start..start.saturating_add(1)),
        (None, Some(Ok(end))) => Part::Lines(0..end),
        (None, _) => Part::All,
    }
}

static ANCHOR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"ANCHOR(?P<end>_END)?:\s*(?P<name>[\w_-]+)").expect("a constant pattern")
});

fn anchor(line: &str) -> Option<(bool, &str)> {
    memchr::memmem::find(line.as_bytes(), b"ANCHOR")?;
    let found = ANCHOR.captures(line)?;
    Some((found.name("end").is_some(), found.name("name")?.as_str()))
}

/// The state of an anchor in a file.
enum Anchors {
    Missing,
    Closed,
    Open,
}

/// An anchor may open and close more than once.
fn anchors(text: &str, name: &str) -> Anchors {
    let marks = text.lines().filter_map(anchor);
    let mut state = Anchors::Missing;
    for (end, here) in marks {
        match (&state, here == name, end) {
            (Anchors::Open, true, true) => state = Anchors::Closed,
            (_, true, false) => state = Anchors::Open,
            _ => {}
        }
    }
    state
}

/// The lines of a file without line ends, each with whether it is within the part. For an anchor,
/// the lines that mark anchors are left out.
fn kept(source: &Source, part: &Part) -> Vec<(Range<usize>, bool)> {
    let mut lines = Vec::new();
    let mut within = false;
    let base = source.text.as_ptr() as usize;
    for (number, line) in source.text.lines().enumerate() {
        let start = line.as_ptr() as usize - base;
        let range = start..start + line.len();
        match part {
            Part::All => lines.push((range, true)),
            Part::Lines(wanted) => lines.push((range, wanted.contains(&number))),
            Part::Anchor(name) => match anchor(line) {
                None => lines.push((range, within)),
                Some((end, here)) => {
                    if here == name && within == end {
                        within = !end;
                    }
                }
            },
        }
    }
    lines
}

/// Hides lines outside the part behind `# `, as rustdoc does.
fn hide(source: &Arc<Source>, part: &Part) -> Passage {
    let mut passage = Passage::default();
    for (line, kept) in kept(source, part) {
        if !kept {
            separate(&mut passage, source, line.start);
            passage.push("# ", source, line.start);
            passage.push(&source.text[line.clone()], source, line.start);
            continue;
        }
        push_line(&mut passage, source, &line);
    }
    passage
}

fn playground(source: &Arc<Source>, words: &[&str]) -> Passage {
    let mut passage = Passage::default();
    let comma = if words.is_empty() { "" } else { "," };
    passage.push(&format!("```rust{comma}{}\n", words.join(",")), source, 0);
    passage.push(&source.text, source, 0);
    let end = source.text.len();
    if !source.text.ends_with('\n') {
        passage.push("\n", source, end);
    }
    passage.push("```\n", source, end);
    passage
}

fn push_line(passage: &mut Passage, source: &Arc<Source>, line: &Range<usize>) {
    separate(passage, source, line.start);
    passage.push(&source.text[line.clone()], source, line.start);
}

/// Appends the line end between two lines; it belongs to the earlier line.
fn separate(passage: &mut Passage, source: &Arc<Source>, next: usize) {
    if !passage.text.is_empty() || passage.has_place() {
        passage.push("\n", source, next.saturating_sub(1));
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests;
