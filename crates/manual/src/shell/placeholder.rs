//! The author's placeholders: `<release>` in a command becomes `"${version}"`, one word in any
//! quotes. Also finds text that looks like an undeclared placeholder.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use indexmap::IndexMap;
use regex::Regex;

use crate::Spanned;
use crate::interpolation::{Interpolated, Part};
use crate::shell::scan::{Context, Scan, scan};
use crate::source::{Passage, Problem};

/// The `replace:` map of a procedure, prepared for search.
pub(crate) struct Placeholders {
    search: Option<AhoCorasick>,
    entries: Vec<Placeholder>,
}

struct Placeholder {
    written: Spanned<String>,
    value: Interpolated,
    used: Cell<bool>,
}

impl Placeholders {
    /// No placeholders.
    pub fn none() -> Placeholders {
        Placeholders {
            search: None,
            entries: Vec::new(),
        }
    }

    pub fn new(declared: &IndexMap<String, Spanned<String>>) -> Placeholders {
        if declared.is_empty() {
            return Placeholders::none();
        }
        let entries = declared
            .iter()
            .map(|(written, value)| Placeholder {
                written: Spanned {
                    value: written.clone(),
                    span: value.span.clone(),
                },
                value: Interpolated::read(&value.value),
                used: Cell::new(false),
            })
            .collect();
        Placeholders {
            search: AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(declared.keys())
                .ok(),
            entries,
        }
    }

    /// The declarations that no text of the procedure has used.
    pub fn unused(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.entries
            .iter()
            .filter(|entry| !entry.used.get())
            .map(|entry| &entry.written)
    }

    /// Replaces placeholders in commands by variables.
    pub fn in_shell(&self, text: &Passage, problems: &mut Vec<Problem>) -> Passage {
        let found = self.find(&text.text);
        if found.is_empty() && !text.text.contains('<') {
            return text.clone();
        }
        // Mask placeholders as words: otherwise `<` is a redirection and `<<` a here-document.
        let masked = masked(&text.text, &found);
        let scan = scan(&masked);
        undeclared(text, &masked, |at| scan.context(at), problems);
        self.splice(text, &found, |entry, range| {
            match scan.context(range.start) {
                Context::Comment => None,
                Context::HereDocQuoted => {
                    problems.push(quoted_here_document(text, entry, range));
                    None
                }
                context => Some(entry.in_context(context)),
            }
        })
    }

    /// Replaces placeholders in text with `${name}` references: expectations, file names.
    pub fn in_text(&self, text: &Passage) -> Passage {
        self.splice(text, &self.find(&text.text), |entry, _| {
            Some(entry.as_text())
        })
    }

    /// The same for a name.
    pub fn in_name(&self, name: &str) -> String {
        let mut replaced = String::new();
        let mut done = 0;
        for (index, range) in self.find(name) {
            replaced.push_str(&name[done..range.start]);
            replaced.push_str(&self.entries[index].as_text());
            done = range.end;
        }
        replaced + &name[done..]
    }

    /// Replaces placeholders in a template by `{{ name }}`.
    pub fn in_template(&self, text: &Passage) -> Passage {
        self.splice(text, &self.find(&text.text), |entry, _| {
            Some(entry.as_template())
        })
    }

    /// Reports placeholders where no substitution is possible.
    pub fn refuse(&self, text: &Passage, interpreter: &str, problems: &mut Vec<Problem>) {
        for (index, range) in self.find(&text.text) {
            problems.push(
                Problem::error(
                    "placeholder-in-script",
                    text.span(range),
                    format!(
                        "`{}` cannot be replaced in a script for `{interpreter}`",
                        self.entries[index].written.value
                    ),
                )
                .hint("read the variable from the environment instead"),
            );
        }
    }

    fn find(&self, text: &str) -> Vec<(usize, Range<usize>)> {
        let Some(search) = &self.search else {
            return Vec::new();
        };
        let found: Vec<_> = search
            .find_iter(text)
            .map(|found| (found.pattern().as_usize(), found.range()))
            .collect();
        for (index, _) in &found {
            self.entries[*index].used.set(true);
        }
        found
    }

    fn splice(
        &self,
        text: &Passage,
        found: &[(usize, Range<usize>)],
        mut new: impl FnMut(&Placeholder, &Range<usize>) -> Option<String>,
    ) -> Passage {
        let mut replaced = Passage::default();
        let mut done = 0;
        for (index, range) in found {
            let Some(new) = new(&self.entries[*index], range) else {
                continue;
            };
            replaced.push_from(text, done..range.start);
            let place = text.span(range.clone());
            replaced.push(&new, &place.source, place.start as usize);
            done = range.end;
        }
        if done == 0 {
            return text.clone();
        }
        replaced.push_from(text, done..text.text.len());
        replaced
    }
}

impl Placeholder {
    fn in_context(&self, context: Context) -> String {
        match context {
            Context::Single => format!("'\"{}\"'", self.escaped("\\\"$`")),
            Context::AnsiC => format!("'\"{}\"$'", self.escaped("\\\"$`")),
            Context::Double => self.escaped("\\\"$`"),
            Context::HereDoc => self.escaped("\\$`"),
            Context::Arithmetic => self.escaped(""),
            Context::Plain | Context::Comment | Context::HereDocQuoted => {
                format!("\"{}\"", self.escaped("\\\"$`"))
            }
        }
    }

    /// The value, with a backslash before these characters in its literal parts.
    fn escaped(&self, special: &str) -> String {
        self.join(
            |text| {
                text.chars().fold(String::new(), |mut out, c| {
                    if special.contains(c) {
                        out.push('\\');
                    }
                    out.push(c);
                    out
                })
            },
            |name| format!("${{{name}}}"),
        )
    }

    fn as_text(&self) -> String {
        self.join(
            |text| text.replace("${", "$${"),
            |name| format!("${{{name}}}"),
        )
    }

    fn as_template(&self) -> String {
        self.join(str::to_owned, |name| format!("{{{{ {name} }}}}"))
    }

    fn join(&self, text: impl Fn(&str) -> String, name: impl Fn(&str) -> String) -> String {
        self.value
            .parts()
            .iter()
            .map(|part| match part {
                Part::Written(literal) | Part::Value(literal) => text(literal),
                Part::Name(variable) => name(variable),
            })
            .collect()
    }
}

fn masked<'t>(text: &'t str, found: &[(usize, Range<usize>)]) -> Cow<'t, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for (_, range) in found {
        masked.push_str(&text[done..range.start]);
        // Each byte becomes one letter, so offsets and line ends stay the same.
        masked.extend(std::iter::repeat_n('x', range.len()));
        done = range.end;
    }
    masked.push_str(&text[done..]);
    Cow::Owned(masked)
}

fn quoted_here_document(text: &Passage, entry: &Placeholder, range: &Range<usize>) -> Problem {
    Problem::error(
        "placeholder-in-quoted-text",
        text.span(range.clone()),
        format!(
            "`{}` cannot be replaced in a here-document whose word is quoted",
            entry.written.value
        ),
    )
    .hint("without quotes around the word, the shell puts variables in")
}

/// Finds `<name>` in a command. Outside quotes a shell reads it as two redirections; an intended
/// redirection has a space: `< in > out`. Within quotes it may be intended, so it is only a
/// warning. Markup is allowed: an HTML element, or a name that the same block closes with
/// `</name>`.
fn undeclared(
    text: &Passage,
    masked: &str,
    context: impl Fn(usize) -> Context,
    problems: &mut Vec<Problem>,
) {
    for range in suspects(masked, &context) {
        let written = &masked[range.clone()];
        let message = format!("nothing replaces the placeholder `{written}`");
        let span = text.span(range.clone());
        let bare = context(range.start + range.len() / 2) == Context::Plain;
        problems.push(if bare && !is_two_redirections(masked, &range) {
            Problem::error("undeclared-placeholder", span, message)
                .hint("declare it under `replace:` in the contract; redirections have spaces: `< in > out`")
        } else {
            Problem::warning("undeclared-placeholder", span, message)
                .hint("declare it under `replace:` in the contract, or write `allow=undeclared-placeholder` on the fence")
        });
    }
}

/// `sort <in>out` is a redirection for certain: the next word begins directly after it.
fn is_two_redirections(text: &str, range: &Range<usize>) -> bool {
    let (before, after) = (&text[..range.start], &text[range.end..]);
    let words = text[range.clone()].contains([' ', '|', ',']);
    let begins = before.is_empty() || before.ends_with([' ', '\t', '\n']);
    let target = after.starts_with(|c: char| c.is_ascii_alphanumeric() || "$\"'&".contains(c))
        || after.starts_with("/dev/");
    begins && target && !words
}

/// The text with undeclared placeholders masked as words, for the shell parser: they are already
/// reported.
pub(crate) fn without_undeclared(text: &str, scan: &Scan) -> Option<String> {
    let found = suspects(text, &|at| scan.context(at));
    let found: Vec<_> = found.into_iter().map(|range| (0, range)).collect();
    (!found.is_empty()).then(|| masked(text, &found).into_owned())
}

fn suspects(text: &str, context: &dyn Fn(usize) -> Context) -> Vec<Range<usize>> {
    static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"<<?([A-Za-z](?:[A-Za-z0-9 _./:|,-]*[A-Za-z0-9_])?)>>?")
            .expect("a constant pattern")
    });
    let mut suspects = Vec::new();
    if !text.contains('<') {
        return suspects;
    }
    for found in PLACEHOLDER.captures_iter(text) {
        let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else {
            continue;
        };
        let before = text[..whole.start()].bytes().next_back();
        let doubled = whole.as_str().starts_with("<<");
        let closed_twice = whole.as_str().ends_with(">>");
        let name = name.as_str();
        let meant = match context(whole.start() + whole.as_str().len() / 2) {
            Context::Comment | Context::Arithmetic => false,
            Context::Plain => {
                !matches!(before, Some(b'<' | b'\\'))
                    && (!doubled || closed_twice && !ends_here(text, name))
            }
            _ => {
                !doubled
                    && !matches!(before, Some(b'?' | b'P' | b'\\'))
                    && !is_markup(text, name)
                    && !is_file_handle(name)
                    && !is_usage(text, &whole.range())
            }
        };
        if meant {
            suspects.push(whole.range());
        }
    }
    suspects
}

/// Whether a here-document with this word ends somewhere.
fn ends_here(text: &str, word: &str) -> bool {
    text.lines()
        .any(|line| line.trim_start_matches('\t') == word)
}

/// Perl reads lines with `<STDIN>`.
fn is_file_handle(name: &str) -> bool {
    matches!(
        name,
        "STDIN" | "STDOUT" | "STDERR" | "ARGV" | "DATA" | "FH" | "IN" | "FILE"
    )
}

/// A usage text: `usage: backup <host>`.
fn is_usage(text: &str, range: &Range<usize>) -> bool {
    /// How many lines above to search for the beginning of such a text.
    const LINES: usize = 12;
    let line_end = text[range.end..]
        .find('\n')
        .map_or(text.len(), |at| range.end + at);
    let above = text[..range.start].rmatch_indices('\n').nth(LINES);
    let near = &text[above.map_or(0, |(at, _)| at)..line_end];
    let near = near.to_ascii_lowercase();
    near.contains("usage") || near.contains("--help")
}

fn is_markup(text: &str, name: &str) -> bool {
    const ELEMENTS: [&str; 48] = [
        "a", "b", "body", "br", "button", "code", "dd", "div", "dl", "dt", "em", "footer", "form",
        "h1", "h2", "h3", "h4", "head", "header", "hr", "html", "i", "img", "input", "label", "li",
        "link", "main", "meta", "nav", "ol", "p", "pre", "script", "section", "small", "span",
        "strong", "style", "table", "tbody", "td", "th", "thead", "title", "tr", "u", "ul",
    ];
    let element = name.split(' ').next().unwrap_or_default();
    ELEMENTS.contains(&element.to_ascii_lowercase().as_str())
        || text.contains(&format!("</{element}"))
        || name.contains(['.', '/', ':', '|', ','])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source, Span};

    fn replaced(text: &str) -> String {
        let source = Source::new("a.md", text);
        let span = Span::new(&source, 0..0);
        let declare = |value: &str| Spanned {
            value: value.to_owned(),
            span: span.clone(),
        };
        let declared = IndexMap::from([
            ("<release>".to_owned(), declare("${version}")),
            ("<<APP>>".to_owned(), declare("${app}")),
            ("example.com".to_owned(), declare("www.${domain}$")),
        ]);
        let mut problems = Vec::new();
        let text = Placeholders::new(&declared).in_shell(&Passage::whole(&source), &mut problems);
        match problems.first() {
            None => text.text.to_string(),
            Some(problem) => format!(
                "{}: {}",
                problem.code,
                problem.span.as_ref().unwrap().text()
            ),
        }
    }

    #[test]
    fn a_placeholder_is_one_word_in_its_quotes() {
        for (text, expected) in [
            ("get <release>", "get \"${version}\""),
            ("get \"v<release>\"", "get \"v${version}\""),
            ("get 'v<release>'", "get 'v'\"${version}\"''"),
            ("get $'v<release>'", "get $'v'\"${version}\"$''"),
            (
                "cat <<E\nv<release> \"\nE\n",
                "cat <<E\nv${version} \"\nE\n",
            ),
            (
                "cat <<'E'\nv<release>\nE\n",
                "placeholder-in-quoted-text: <release>",
            ),
            ("x # <release>", "x # <release>"),
            (
                "push <<APP>>\necho '<<APP>>'",
                "push \"${app}\"\necho ''\"${app}\"''",
            ),
            ("ping example.com/x", "ping \"www.${domain}\\$\"/x"),
            ("a \"$(b <release>)\"", "a \"$(b \"${version}\")\""),
        ] {
            assert_eq!(replaced(text), expected, "{text}");
        }
    }

    #[test]
    fn undeclared_placeholders_are_told_from_redirections_and_markup() {
        for (text, found) in [
            ("stop <container name>", "<container name>"),
            ("defrag --data-dir <path/to/dir>", "<path/to/dir>"),
            ("push <<NAME>>", "<<NAME>>"),
            ("echo \"<your-token>\"", "?<your-token>"),
            ("echo '<token>'", "?<token>"),
            ("cat <<E\nx=<token>\nE", "?<token>"),
            ("usage() { echo \"usage: $0 <host> <port>\"; }", ""),
            (
                "cat <<E\nUsage: x [-v] <file>\n  <file>  what to read\nE",
                "",
            ),
            ("perl -ne 'while (<STDIN>) { print }'", ""),
            ("sort <in>out", "?<in>"),
            ("sort <in>\"$out\"", "?<in>"),
            ("cp <path>/x /tmp", "<path>"),
            ("tar xf <release>.tar", "<release>"),
            ("sort <in >out", ""),
            ("sort < in > out", ""),
            ("cat <<EOF >out\nx\nEOF", ""),
            ("cat <<EOF>>out\nx\nEOF", ""),
            ("diff <(a) >(b)", ""),
            ("exec 3<&0 4>&1", ""),
            ("x # <token>", ""),
            ("echo $((a<b)) '<h1>x</h1>' '<br>' '<p class=x>'", ""),
            (
                "cat <<'E'\n<Directory>\n</Directory>\n#include <stdio.h>\nE",
                "",
            ),
            ("grep -P '(?<word>x)' 'a\\<b>'", ""),
            ("git commit --author='A <a@b.c>'", ""),
            ("cat <<<x", ""),
        ] {
            let source = Source::new("a.md", text);
            let mut problems = Vec::new();
            Placeholders::none().in_shell(&Passage::whole(&source), &mut problems);
            let doubt = |p: &Problem| if p.is_error() { "" } else { "?" };
            let got: Vec<String> = problems
                .iter()
                .map(|p| doubt(p).to_owned() + p.span.as_ref().unwrap().text())
                .collect();
            assert_eq!(got.join(" "), found, "{text}");
        }
    }
}
