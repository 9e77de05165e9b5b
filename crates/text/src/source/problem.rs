//! A problem and how it is drawn: place, message, excerpt and at most one hint.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use unicode_width::UnicodeWidthStr;

use super::shown::{harmless, visible};
use super::{Position, Span, nearest};

/// The severity of a problem. Errors stop every command that would use a node.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Possibly intended: it stops only `--strict`.
    Warning,
    /// Certainly a mistake: nothing that it concerns runs.
    Error,
}

/// What a problem stops. Whoever finds a problem says what it may affect; another module, which
/// knows the manual, decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Concern {
    /// The procedure, group or check that contains its place; nothing if none does.
    #[default]
    Place,
    /// Everything on its page: other parts of the page may have been parsed wrongly.
    Page,
    /// The whole manual.
    Project,
    /// A node, wherever it is used.
    Node,
    /// A node, and every selection by groups or patterns: the node may or may not belong to it.
    Selection,
    /// A group of checks; the place is in a file that the group includes.
    Group(String),
    /// Typed checks of this kind.
    Kind(String),
    /// Readers only.
    Nothing,
}

impl Concern {
    /// The default for a problem with this code.
    fn of(code: &str) -> Concern {
        match code {
            "unclosed-fence"
            | "lost-fence"
            | "bad-comment"
            | "comment-without-fence"
            | "tagged-twice"
            | "in-footnote"
            | "broken-include" => Concern::Page,
            code if code.starts_with("include-") || code.contains("anchor-") => Concern::Page,
            "broken-link" | "broken-anchor" | "missing-page" | "page-not-listed"
            | "page-outside" | "too-many" | "bad-summary" | "no-summary" => Concern::Nothing,
            _ => Concern::Place,
        }
    }
}

/// Problems from opsbook's own analysis of scripts, which can be wrong about a correct script. The
/// author can therefore accept each with `allow=CODE` on the fence or `allow:` in the contract.
pub const SETTLED_BY_A_WORD: [&str; 9] = [
    "bash-in-sh",
    "needs-a-person",
    "never-ends",
    "odd-space",
    "prompt-in-script",
    "shell-syntax",
    "sudo-in-script",
    "undeclared-placeholder",
    "undefined-variable",
];

/// Problems of a line that may hold a secret: their place is shown, and never the line.
const WITHOUT_EXCERPT: [&str; 2] = ["plain-secret", "written-secret"];

/// An error or warning in a text, with its place. Its `Display` shows place, message, excerpt and
/// at most one hint; all excerpts in opsbook are drawn here.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// A stable kebab-case code for programs and for the reference: `unknown-kind`.
    pub code: &'static str,
    /// The message; [`Problem::sentence`] adds the nodes.
    pub message: String,
    /// The place; `None` if it is about no text.
    pub span: Option<Span>,
    /// Further places that explain the first: `first defined here`.
    pub notes: Vec<(Span, String)>,
    /// What to do instead, in one sentence without a full stop.
    pub hint: Option<String>,
    /// Boxed: few problems have it, and results stay small.
    pub only_for: Option<Box<OnlyFor>>,
    /// What must not run because of it.
    pub concern: Concern,
}

/// Names of the nodes for which something is wrong; it may be right for others.
#[derive(Clone, Debug)]
pub struct OnlyFor {
    nodes: Vec<String>,
}

impl Problem {
    /// An error with its code, its place, and the message.
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Problem {
        Problem {
            span: Some(span),
            ..Problem::bare(code, message)
        }
    }

    /// A warning with its code, its place, and the message.
    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Warning,
            ..Problem::error(code, span, message)
        }
    }

    /// An error without a place, such as a missing file.
    #[must_use]
    pub fn bare(code: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Error,
            code,
            message: message.into(),
            span: None,
            notes: Vec::new(),
            hint: None,
            only_for: None,
            concern: Concern::of(code),
        }
    }

    /// Adds the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the hint `did you mean …?` if a known name is similar.
    #[must_use]
    pub fn did_you_mean<'a>(
        self,
        written: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Problem {
        match nearest(written, known) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Adds a related place, such as the first of two that conflict.
    #[must_use]
    pub fn note(mut self, span: Span, text: impl Into<String>) -> Problem {
        self.notes.push((span, text.into()));
        self
    }

    /// Sets what must not run because of it.
    #[must_use]
    pub fn concerns(mut self, concern: Concern) -> Problem {
        self.concern = concern;
        self
    }

    /// Whether `allow=` on the fence can accept it.
    #[must_use]
    pub fn is_settled_by_a_word(&self) -> bool {
        SETTLED_BY_A_WORD.contains(&self.code)
    }

    /// Whether its author may silence it at a place: problems that may be intended, that concern
    /// only readers, or that opsbook's analysis of a script may have got wrong. All other errors
    /// stop something that would run wrongly, and stay.
    #[must_use]
    pub fn may_be_silenced(&self) -> bool {
        self.code != "unused-silence"
            && (self.severity == Severity::Warning
                || self.concern == Concern::Nothing
                || self.is_settled_by_a_word())
    }

    /// Limits it to one node.
    #[must_use]
    pub fn for_node(mut self, node: &str) -> Problem {
        let nodes = vec![node.to_owned()];
        self.only_for = Some(Box::new(OnlyFor { nodes }));
        self
    }

    /// Adds the nodes of the same problem.
    pub fn join(&mut self, other: &Problem) {
        if let (Some(own), Some(other)) = (&mut self.only_for, &other.only_for) {
            own.add(other);
        }
    }

    /// The message with its nodes.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.only_for {
            None => self.message.clone(),
            Some(only_for) => format!("{} {only_for}", self.message),
        }
    }

    /// A key that identifies the problem without drawing it.
    #[must_use]
    pub fn identity(&self) -> (&'static str, Option<(PathBuf, u32, u32)>, String) {
        let place = self.span.as_ref();
        let place = place.map(|span| (span.path().to_owned(), span.start, span.end));
        (self.code, place, self.sentence())
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl OnlyFor {
    fn add(&mut self, other: &OnlyFor) {
        for node in &other.nodes {
            if !self.nodes.contains(node) {
                self.nodes.push(node.clone());
            }
        }
    }
}

/// The first nodes by name.
impl fmt::Display for OnlyFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 4;
        let first: Vec<String> = self
            .nodes
            .iter()
            .take(MOST)
            .map(|node| format!("`{node}`"))
            .collect();
        let many = if self.nodes.len() > 1 { "s" } else { "" };
        write!(f, "for node{many} {}", first.join(", "))?;
        match self.nodes.len().saturating_sub(MOST) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let mut message = harmless(&self.sentence());
        if self.span.is_some() && self.may_be_silenced() {
            message = format!("{message} [{}]", self.code);
        }
        match &self.span {
            None => write!(f, "{severity}: {message}")?,
            Some(span) => {
                let Position { line, column } = span.position();
                write!(
                    f,
                    "{}:{line}:{column}: {severity}: {message}",
                    span.shown().display()
                )?;
                if !WITHOUT_EXCERPT.contains(&self.code) {
                    excerpt(f, span)?;
                }
            }
        }
        for (span, text) in &self.notes {
            let Position { line, column } = span.position();
            write!(f, "\n{}:{line}:{column}: {text}", span.shown().display())?;
            excerpt(f, span)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {}", harmless(hint)),
            None => Ok(()),
        }
    }
}

/// The most problems of one code that are drawn for one file.
const MOST_OF_A_KIND: usize = 100;

/// The problems to show: the first of each code in each file, and how many more there are. A
/// malicious page may have as many errors as letters, and each is drawn with its line.
#[must_use]
pub fn first_of_each(problems: &[Problem]) -> Vec<Problem> {
    let key = |problem: &Problem| {
        let path = problem.span.as_ref().map(|span| span.path().to_owned());
        (problem.code, problem.severity, path)
    };
    let mut counts = HashMap::new();
    for problem in problems {
        *counts.entry(key(problem)).or_insert(0_usize) += 1;
    }
    let mut seen = HashMap::new();
    let mut shown = Vec::new();
    for problem in problems {
        let key = key(problem);
        let count = seen.entry(key.clone()).or_insert(0_usize);
        *count += 1;
        if *count < MOST_OF_A_KIND || counts[&key] == MOST_OF_A_KIND {
            shown.push(problem.clone());
        } else if *count == MOST_OF_A_KIND {
            let more = counts[&key] - MOST_OF_A_KIND;
            let message = format!(
                "{}; {more} more of this kind (`{}`)",
                problem.message, problem.code
            );
            shown.push(Problem {
                message,
                ..problem.clone()
            });
        }
    }
    shown
}

/// Draws the line of a span with carets below it; a tab becomes one space, and long lines are cut.
fn excerpt(f: &mut fmt::Formatter<'_>, span: &Span) -> fmt::Result {
    const WIDTH: usize = 120;
    let position = span.position();
    let line = span.source.line(position.line);
    let from: usize = line
        .chars()
        .take(position.column as usize - 1)
        .map(char::len_utf8)
        .sum();
    let length = (span.end - span.start) as usize;
    let until = line.floor_char_boundary((from + length).min(line.len()));
    let skip = if from > WIDTH {
        line.floor_char_boundary(from - WIDTH / 4)
    } else {
        0
    };
    let end = line.floor_char_boundary((skip + WIDTH * 2).min(line.len()));
    let shown = visible(&line[skip..end]);
    let margin = visible(&line[skip..from]).width();
    let carets = visible(&line[from.min(end)..until.clamp(from.min(end), end)])
        .width()
        .max(1);
    let number = position.line.to_string();
    let blank = " ".repeat(number.len());
    write!(
        f,
        "\n{blank} |\n{number} | {shown}\n{blank} | {}{}",
        " ".repeat(margin),
        "^".repeat(carets)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn a_problem_is_drawn_with_its_place_excerpt_and_hint() {
        let source = Source::new("manual/a.md", "one\n```sh stpe id=x\n");
        let problem = Problem::error(
            "unknown-kind",
            Span::new(&source, 10..14),
            "unknown kind `stpe`",
        )
        .did_you_mean("stpe", ["check", "step"]);
        assert_eq!(
            problem.to_string(),
            "manual/a.md:2:7: error: unknown kind `stpe`\n  |\n2 | ```sh stpe id=x\n  |       ^^^^\n\nhint: did you mean `step`?"
        );
    }

    #[test]
    fn a_file_with_many_mistakes_of_a_kind_shows_the_first_hundred() {
        let source = Source::new("a.md", "x".repeat(300));
        let problem = |at| Problem::error("bad", Span::new(&source, at..at + 1), "wrong");
        for (count, shown, last) in [
            (99, 99, "wrong"),
            (100, 100, "wrong"),
            (300, 100, "wrong; 200 more of this kind (`bad`)"),
        ] {
            let all: Vec<Problem> = (0..count).map(problem).collect();
            let first = first_of_each(&all);
            assert_eq!((first.len(), &*first[shown - 1].message), (shown, last));
        }
    }

    #[test]
    fn what_is_wrong_for_some_nodes_names_the_first_of_them() {
        for (nodes, expected) in [
            ("a", "error: `x` is not defined for node `a`"),
            ("a b a", "error: `x` is not defined for nodes `a`, `b`"),
            (
                "a b c d e f",
                "error: `x` is not defined for nodes `a`, `b`, `c`, `d` and 2 more",
            ),
        ] {
            let of = |node| Problem::bare("x", "`x` is not defined").for_node(node);
            let mut all = nodes.split(' ').map(of);
            let mut first = all.next().unwrap();
            all.for_each(|problem| first.join(&problem));
            assert_eq!(first.to_string(), expected);
        }
    }

    #[test]
    fn wide_and_hidden_characters_keep_the_carets_in_place() {
        let source = Source::new("a.md", "\t日本 x\u{202e}y");
        let at = source.text.find('x').unwrap();
        let problem = Problem::warning("w", Span::new(&source, at..at + 1), "m");
        assert_eq!(
            problem.to_string(),
            "a.md:1:5: warning: m [w]\n  |\n1 |  日本 x\u{fffd}y\n  |       ^"
        );
    }
}
