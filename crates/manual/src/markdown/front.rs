//! Front matter: settings of a site generator above the text of a page, as YAML between `---` or
//! TOML between `+++`. Reads only the title and the position among the pages; the rest belongs to
//! other tools.

use std::ops::Range;
use std::sync::Arc;

use crate::source::{Passage, Problem, Severity, Source, Span};
use crate::yaml::{self, Value};

/// The front matter of a page.
#[derive(Default)]
pub(crate) struct Front {
    pub title: Option<String>,
    /// The offset where the text begins.
    pub body: usize,
    pub is_there: bool,
}

/// Reads the front matter.
pub(crate) fn read(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Front {
    let none = Front {
        body: start(&source.text),
        ..Front::default()
    };
    let Some(Found { kind, inner, end }) = find(&source.text) else {
        return none;
    };
    let read = match kind {
        Kind::Yaml => of_yaml(source, inner, problems),
        Kind::Toml => of_toml(source, inner, problems),
    };
    match read {
        Read::Settings(title) => Front {
            title,
            body: end,
            is_there: true,
        },
        Read::Nothing => Front { body: end, ..none },
        Read::Text => none,
    }
}

/// The position of a page among its siblings: `weight` in Hugo and Zola, `nav_order` in Jekyll
/// themes, `sidebar_position` in Docusaurus. Smaller comes first.
pub(crate) fn weight(text: &str) -> Option<f64> {
    let Found { inner, .. } = find(text)?;
    text[inner].lines().find_map(|line| {
        let (key, value) = line.split_once([':', '='])?;
        let known = ["weight", "nav_order", "sidebar_position"];
        let weight: f64 = known
            .contains(&key.trim_end())
            .then(|| value.split('#').next())??
            .trim()
            .parse()
            .ok()?;
        weight.is_finite().then_some(weight)
    })
}

/// Whether the page asks its generator for formulas: `math: true`, at any depth.
pub(crate) fn has_formulas(text: &str) -> bool {
    let asks = |line: &str| {
        let (key, value) = line.split_once([':', '='])?;
        let value = value.split('#').next()?.trim();
        Some(["math", "katex", "mathjax"].contains(&key.trim()) && value == "true")
    };
    find(text).is_some_and(|found| {
        text[found.inner]
            .lines()
            .any(|line| asks(line) == Some(true))
    })
}

enum Kind {
    Yaml,
    Toml,
}

struct Found {
    kind: Kind,
    /// The text between the two delimiter lines.
    inner: Range<usize>,
    /// The offset after the second delimiter line.
    end: usize,
}

fn find(text: &str) -> Option<Found> {
    let start = start(text);
    let (kind, ends, body) = if let Some(body) = line_end(text, start, "---") {
        (Kind::Yaml, ["---", "..."], body)
    } else {
        (Kind::Toml, ["+++", "+++"], line_end(text, start, "+++")?)
    };
    let mut at = body;
    for line in text[body..].split_inclusive('\n') {
        if ends.contains(&line.trim_end()) {
            return Some(Found {
                kind,
                inner: body..at,
                end: at + line.len(),
            });
        }
        // A horizontal rule at the top of a page is text, not front matter.
        if at == body && line.trim().is_empty() {
            break;
        }
        at += line.len();
    }
    None
}

fn start(text: &str) -> usize {
    if text.starts_with('\u{feff}') { 3 } else { 0 }
}

enum Read {
    Settings(Option<String>),
    /// Empty or invalid front matter; not a part of the text.
    Nothing,
    /// A part of the text.
    Text,
}

/// The text between two rules is front matter only if it is a map.
fn of_yaml(source: &Arc<Source>, inner: Range<usize>, problems: &mut Vec<Problem>) -> Read {
    let mut passage = Passage::default();
    passage.push(&source.text[inner.clone()], source, inner.start);
    if passage.text.trim().is_empty() {
        return Read::Nothing;
    }
    let (yaml, found) = yaml::read(&passage);
    match yaml.map(|yaml| yaml.value) {
        Some(Value::Map(map)) => {
            problems.extend(found.into_iter().map(lenient));
            let title = map.get("title").and_then(|title| title.value.text());
            Read::Settings(title.map(str::to_owned))
        }
        _ if looks_like_keys(&passage.text, ':') => {
            problems.extend(found.into_iter().map(lenient));
            Read::Nothing
        }
        _ => Read::Text,
    }
}

fn of_toml(source: &Arc<Source>, inner: Range<usize>, problems: &mut Vec<Problem>) -> Read {
    let text = &source.text[inner.clone()];
    match text.parse::<toml::Table>() {
        Ok(table) if table.is_empty() => Read::Nothing,
        Ok(table) => {
            let title = table.get("title").and_then(toml::Value::as_str);
            Read::Settings(title.map(str::to_owned))
        }
        Err(why) if looks_like_keys(text, '=') => {
            let at = why.span().unwrap_or(0..0);
            let span = Span::new(source, inner.start + at.start..inner.start + at.end);
            problems.push(Problem::warning("toml-syntax", span, why.message()));
            Read::Nothing
        }
        Err(_) => Read::Text,
    }
}

/// Front matter belongs to other tools, so its problems are only warnings: they reach no node.
fn lenient(problem: Problem) -> Problem {
    Problem {
        severity: Severity::Warning,
        ..problem
    }
}

fn looks_like_keys(text: &str, sign: char) -> bool {
    text.lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .and_then(|line| line.split_once(sign))
        .map(|(key, _)| key.trim_end_matches(' '))
        .is_some_and(|key| {
            let word = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
            !key.is_empty() && key.bytes().all(word)
        })
}

/// The end of the line at `at` if it equals `line`.
fn line_end(text: &str, at: usize, line: &str) -> Option<usize> {
    let rest = text.get(at..)?.strip_prefix(line)?;
    let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
    rest[blank..]
        .starts_with('\n')
        .then_some(at + line.len() + blank + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top(text: &str) -> (Option<String>, String, usize) {
        let source = Source::new("a.md", text);
        let mut problems = Vec::new();
        let front = read(&source, &mut problems);
        (front.title, text[front.body..].to_owned(), problems.len())
    }

    #[test]
    fn front_matter_of_each_kind_is_taken_off() {
        for (text, title, body, problems) in [
            ("---\ntitle: A\nweight: 2\n---\nb\n", Some("A"), "b\n", 0),
            ("\u{feff}---\ntitle: A\n...\nb\n", Some("A"), "b\n", 0),
            (
                "+++\ntitle = \"A\"\n[extra]\nx = [1]\n+++\nb\n",
                Some("A"),
                "b\n",
                0,
            ),
            ("+++\r\ntitle = 'A'\r\n+++\r\nb\n", Some("A"), "b\n", 0),
            ("+++\ndraft = true\n+++\nb\n", None, "b\n", 0),
            ("+++\ntitle = A\n+++\nb\n", None, "b\n", 1),
            ("---\n---\nb\n", None, "b\n", 0),
        ] {
            let expected = (title.map(str::to_owned), body.to_owned(), problems);
            assert_eq!(top(text), expected, "{text}");
        }
        for text in [
            "+++\n\ntext\n+++\n",
            "+++\nsome words\n+++\n",
            "+++ b/file\n+line\n",
            "+++\ntitle = \"A\"\n",
            "---\n\ntext\n---\n",
            "--- a\ntitle: x\n---\n",
        ] {
            assert_eq!(top(text), (None, text.to_owned(), 0), "{text}");
        }
    }

    #[test]
    fn a_page_asks_for_formulas_in_its_front_matter() {
        for (text, expected) in [
            ("---\nmath: true\n---\n", true),
            ("---\nparams:\n  math: true # KaTeX\n---\n", true),
            ("+++\n[extra]\nkatex = true\n+++\n", true),
            ("---\nmath: false\nmathematics: true\n---\n", false),
            ("---\ntitle: x\n---\nmath: true\n", false),
            ("math: true\n", false),
        ] {
            assert_eq!(has_formulas(text), expected, "{text}");
        }
    }

    #[test]
    fn the_weight_of_each_generator_is_known() {
        for (text, expected) in [
            ("---\nweight: 20\n---\n", Some(20.0)),
            ("---\ntitle: x\nnav_order: 1.5 # first\n---\n", Some(1.5)),
            ("---\nsidebar_position: -1\n---\n", Some(-1.0)),
            ("+++\nweight = 3\n+++\n", Some(3.0)),
            ("---\nweight: NaN\n---\n", None),
            ("---\n  weight: 1\n---\n", None),
            ("weight: 3\n", None),
            ("---\ntitle: x\n---\nweight: 3\n", None),
        ] {
            assert_eq!(weight(text), expected, "{text}");
        }
    }
}
