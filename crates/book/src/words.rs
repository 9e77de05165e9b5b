//! Converts words of other site generators within a page into their equivalents in the book: boxes
//! (`!!! note`, `:::`, alert shortcodes), tabs, wiki links, diagrams. Unknown words stay unchanged
//! and are counted.
//!
//! Works on lines outside of fences. Drops no text: the text of a box stays in the box.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::html::text as escaped;

/// How often each unknown word occurred.
pub(super) type Unknown = BTreeMap<String, usize>;

/// The page with known words converted.
pub(super) fn page(
    text: &str,
    links: &dyn Fn(&str) -> Option<String>,
    unknown: &mut Unknown,
) -> String {
    if !WORTH.is_match(text) {
        return text.to_owned();
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let mut reader = Reader { links, unknown };
    reader.lines(&lines, 0).join("\n")
}

/// A page without any of these is skipped.
static WORTH: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?m)^\s*(!!!|\?\?\?|:::|=== "|```+ ?mermaid|~~~+ ?mermaid)|\{\{[<%]|\{%|\{\{ *[a-z_]+\(|\[\["#,
    )
});
static BOX: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"^( *)(?:!!!|\?\?\?\+?) +([A-Za-z][\w-]*)([^"]*?)(?: +"(.*)")? *$"#));
static TAB: LazyLock<Regex> = LazyLock::new(|| regex(r#"^( *)===[!+]? +"(.*)" *$"#));
static COLONS: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"^( *)(:{3,}) *\{?\.?(?:callout-)?([A-Za-z]+)\}? *(?:\[(.*)\]|(.*?))? *$")
});
static OPENS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^( *)\{\{[<%] *([a-z-]+)([^>%]*?) *[>%]\}\} *$"));
static SHORT: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\{\{[<%] */?([\w./-]+)[^}]*\}\}|\{% *([\w]+)[^}]*%\}|\{\{ *([a-z_]+)\([^}]*\}\}")
});
static WIKI: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\[\[([^\[\]|\n]+)(?:\|([^\[\]|\n]+))?\]\]"));
static TITLE: LazyLock<Regex> = LazyLock::new(|| regex(r#"title="([^"]*)""#));
static COLOUR: LazyLock<Regex> = LazyLock::new(|| regex(r#"(?:color|type)="([^"]*)""#));
static FENCE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^[ >]*(?:[-*+] +|\d+[.)] +)?(`{3,}|~{3,})(.*)$"));

#[expect(
    clippy::unwrap_used,
    reason = "a pattern of ours, and a test reads each of them"
)]
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// The deepest nesting of boxes.
const DEEPEST: usize = 8;
/// Shortcodes whose name is a kind of box.
const BOXES: [&str; 10] = [
    "alert",
    "note",
    "warning",
    "caution",
    "hint",
    "callout",
    "tip",
    "info",
    "admonition",
    "notice",
];

struct Reader<'a> {
    links: &'a dyn Fn(&str) -> Option<String>,
    unknown: &'a mut Unknown,
}

impl Reader<'_> {
    fn lines(&mut self, lines: &[&str], depth: usize) -> Vec<String> {
        let mut out: Vec<String> = Vec::with_capacity(lines.len());
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            if let Some(end) = fence_end(lines, at) {
                if let Some(note) = diagram(line) {
                    out.push(note);
                }
                out.extend(lines[at..end].iter().map(|line| (*line).to_owned()));
                at = end;
            } else if let Some((shown, end)) = (depth < DEEPEST)
                .then(|| self.container(lines, at, depth))
                .flatten()
            {
                out.extend(shown);
                at = end;
            } else {
                out.push(self.inline(line));
                at += 1;
            }
        }
        out
    }

    /// A box or tab that begins here, converted, and the line after it.
    fn container(
        &mut self,
        lines: &[&str],
        at: usize,
        depth: usize,
    ) -> Option<(Vec<String>, usize)> {
        let line = lines[at];
        if let Some(found) = BOX.captures(line) {
            let indent = &found[1];
            let (inner, end) = indented(lines, at + 1, indent.len() + 4);
            let title = found.get(4).or_else(|| {
                found
                    .get(3)
                    .filter(|words| !words.as_str().trim().is_empty())
            });
            let title = title.map(|title| title.as_str().trim());
            return Some((self.boxed(indent, &found[2], title, &inner, depth), end));
        }
        if let Some(found) = TAB.captures(line) {
            let indent = &found[1];
            let (inner, end) = indented(lines, at + 1, indent.len() + 4);
            let mut shown = vec![
                String::new(),
                format!("{indent}<p class=\"ops-tab\">{}</p>", escaped(&found[2])),
                String::new(),
            ];
            let inner: Vec<&str> = inner.iter().map(String::as_str).collect();
            let inner = self.lines(&inner, depth + 1);
            shown.extend(inner.iter().map(|line| prefixed(indent, line)));
            return Some((shown, end));
        }
        if let Some(found) = COLONS.captures(line) {
            let (indent, colons) = (&found[1], &found[2]);
            let end = closed(lines, at + 1, |line| line.trim() == colons)?;
            let title = found.get(4).or_else(|| found.get(5));
            let title = title
                .map(|title| title.as_str().trim())
                .filter(|title| !title.is_empty());
            let inner = dedented(&lines[at + 1..end], indent.len());
            return Some((self.boxed(indent, &found[3], title, &inner, depth), end + 1));
        }
        let found = OPENS.captures(line)?;
        let (indent, name, more) = (&found[1], &found[2], &found[3]);
        if !BOXES.contains(&name) {
            return None;
        }
        let end = closed(lines, at + 1, |line| ends(line, name))?;
        let (kind, title) = alert(name, more);
        let inner = dedented(&lines[at + 1..end], indent.len());
        Some((
            self.boxed(indent, &kind, title.as_deref(), &inner, depth),
            end + 1,
        ))
    }

    /// A box in the syntax of the book's renderer.
    fn boxed(
        &mut self,
        indent: &str,
        kind: &str,
        title: Option<&str>,
        inner: &[String],
        depth: usize,
    ) -> Vec<String> {
        let mut shown = vec![String::new(), format!("{indent}> [!{}]", known(kind))];
        if let Some(title) = title.filter(|title| !title.is_empty()) {
            shown.push(format!("{indent}> **{title}**"));
            shown.push(format!("{indent}>"));
        }
        let inner: Vec<&str> = inner.iter().map(String::as_str).collect();
        for line in self.lines(&inner, depth + 1) {
            shown.push(format!("{indent}> {line}").trim_end().to_owned());
        }
        shown.push(String::new());
        shown
    }

    /// Converts wiki links and counts unknown shortcodes, outside of code.
    fn inline(&mut self, line: &str) -> String {
        if !line.contains("[[") && !line.contains("{{") && !line.contains("{%") {
            return line.to_owned();
        }
        let mut out = String::new();
        for (index, part) in line.split('`').enumerate() {
            if index > 0 {
                out.push('`');
            }
            if index % 2 == 1 {
                out.push_str(part);
                continue;
            }
            for found in SHORT.captures_iter(part) {
                if let Some(name) = (1..4).find_map(|group| found.get(group)) {
                    *self.unknown.entry(name.as_str().to_owned()).or_default() += 1;
                }
            }
            let linked = WIKI.replace_all(part, |found: &Captures<'_>| self.wiki(found));
            out.push_str(&linked);
        }
        out
    }

    /// `[[Page]]`, `[[words|Page]]` or `[[Page|words]]`, if such a page exists.
    fn wiki(&self, found: &Captures<'_>) -> String {
        let first = found[1].trim();
        let second = found.get(2).map(|words| words.as_str().trim());
        let to = |name: &str| {
            let (page, anchor) = name.split_once('#').unwrap_or((name, ""));
            let page = (self.links)(page)?;
            Some(match anchor {
                "" => page,
                anchor => format!("{page}#{}", anchor.to_lowercase().replace(' ', "-")),
            })
        };
        let link = match second {
            None => to(first).map(|link| (first, link)),
            Some(second) => to(second)
                .map(|link| (first, link))
                .or_else(|| to(first).map(|link| (second, link))),
        };
        match link {
            Some((words, link)) => format!("[{words}](<{link}>)"),
            None => found[0].to_owned(),
        }
    }
}

/// The line after the fence that opens here.
fn fence_end(lines: &[&str], at: usize) -> Option<usize> {
    let found = FENCE.captures(lines[at])?;
    let (marks, info) = (&found[1], &found[2]);
    if marks.starts_with('`') && info.contains('`') {
        return None;
    }
    let closes = |line: &&str| {
        let line = line.trim_start_matches([' ', '>']).trim_end();
        line.len() >= marks.len() && line.chars().all(|c| marks.starts_with(c))
    };
    let rest = &lines[at + 1..];
    let end = rest.iter().position(closes);
    Some(end.map_or(lines.len(), |end| at + end + 2))
}

/// A diagram's text is shown as text. Mermaid's script has more than three megabytes, ten times the
/// rest of a book, and the text is readable.
fn diagram(line: &str) -> Option<String> {
    let found = FENCE.captures(line)?;
    let language = found[2].split_whitespace().next()?;
    let language = language.trim_matches(['{', '}', '.']);
    let indent = line.len() - line.trim_start_matches([' ', '>']).len();
    (language == "mermaid").then(|| {
        format!(
            "{}<p class=\"ops-tab\">A diagram, in the words of Mermaid</p>\n",
            &line[..indent]
        )
    })
}

/// The lines with at least this indentation, without it, and the blank lines between them.
fn indented(lines: &[&str], from: usize, depth: usize) -> (Vec<String>, usize) {
    let deep = |line: &str| {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        spaces >= depth || line.starts_with('\t')
    };
    let mut end = from;
    for (index, line) in lines.iter().enumerate().skip(from) {
        if deep(line) && !line.trim().is_empty() {
            end = index + 1;
        } else if !line.trim().is_empty() {
            break;
        }
    }
    (dedented(&lines[from..end], depth), end)
}

fn dedented(lines: &[&str], depth: usize) -> Vec<String> {
    let less = |line: &&str| {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        match line.strip_prefix('\t') {
            Some(rest) if depth >= 4 => rest.to_owned(),
            _ => line[spaces.min(depth)..].to_owned(),
        }
    };
    lines.iter().map(less).collect()
}

/// The first line outside of fences that closes.
fn closed(lines: &[&str], from: usize, closes: impl Fn(&str) -> bool) -> Option<usize> {
    let mut at = from;
    while at < lines.len() {
        match fence_end(lines, at) {
            Some(end) => at = end,
            None if closes(lines[at]) => return Some(at),
            None => at += 1,
        }
    }
    None
}

fn ends(line: &str, name: &str) -> bool {
    let line = line.trim();
    let inner = line
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    let inner = inner.map(|inner| inner.trim_matches(['<', '>', '%', ' ']));
    inner
        .and_then(|inner| inner.strip_prefix('/'))
        .map(str::trim)
        == Some(name)
}

/// The kind and the title of a box shortcode.
fn alert(name: &str, more: &str) -> (String, Option<String>) {
    let title = TITLE.captures(more).map(|found| found[1].to_owned());
    let colour = COLOUR.captures(more).map(|found| found[1].to_owned());
    let word = more
        .split_whitespace()
        .next()
        .filter(|word| !word.contains(['=', '"']));
    let kind = colour.or_else(|| word.map(str::to_owned));
    (kind.unwrap_or_else(|| name.to_owned()), title)
}

/// One of the book's five kinds of boxes.
fn known(kind: &str) -> &'static str {
    match kind.to_lowercase().as_str() {
        "tip" | "hint" | "success" | "check" | "done" => "TIP",
        "important" => "IMPORTANT",
        "warning" | "attention" | "warn" => "WARNING",
        "caution" | "danger" | "error" | "failure" | "fail" | "bug" => "CAUTION",
        _ => "NOTE",
    }
}

fn prefixed(indent: &str, line: &str) -> String {
    if line.is_empty() {
        return String::new();
    }
    format!("{indent}{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, Vec<String>) {
        let links = |name: &str| (name == "Back up").then(|| "back-up.md".to_owned());
        let mut unknown = Unknown::new();
        let shown = page(text, &links, &mut unknown);
        let unknown = unknown
            .iter()
            .map(|(word, count)| format!("{word} {count}"));
        (shown, unknown.collect())
    }

    #[test]
    fn words_of_others_are_those_of_the_book() {
        for (text, expected) in [
            (
                "!!! note\n    One.\n\n    Two.\nAfter.",
                "\n> [!NOTE]\n> One.\n>\n> Two.\n\nAfter.",
            ),
            (
                "!!! warning \"A **b**\"\n    x",
                "\n> [!WARNING]\n> **A **b****\n>\n> x\n",
            ),
            ("??? danger \"\"\n    x", "\n> [!CAUTION]\n> x\n"),
            (
                "!!! warning Two words\n    x",
                "\n> [!WARNING]\n> **Two words**\n>\n> x\n",
            ),
            (
                "!!! note\n    ```sh\n    !!! no box\n    ```",
                "\n> [!NOTE]\n> ```sh\n> !!! no box\n> ```\n",
            ),
            (
                "1. a\n\n    !!! tip\n        x\n",
                "1. a\n\n\n    > [!TIP]\n    > x\n\n",
            ),
            (":::tip[T]\nx\n:::\n", "\n> [!TIP]\n> **T**\n>\n> x\n\n"),
            ("::: danger\nx\n", "::: danger\nx\n"),
            (
                "=== \"Debian & co\"\n\n    ```sh\n    a\n    ```\n\n=== \"Other\"\n\n    b\n",
                "\n<p class=\"ops-tab\">Debian &amp; co</p>\n\n\n```sh\na\n```\n\n\
                 \n<p class=\"ops-tab\">Other</p>\n\n\nb\n",
            ),
            (
                "{{% alert title=\"Careful\" color=\"warning\" %}}\nx\n{{% /alert %}}",
                "\n> [!WARNING]\n> **Careful**\n>\n> x\n",
            ),
            (
                "{{< hint danger >}}\nx\n{{< /hint >}}",
                "\n> [!CAUTION]\n> x\n",
            ),
            (
                "See [[Back up]], [[how|Back up#The Way]], [[nothing]] and `[[Back up]]`.",
                "See [Back up](<back-up.md>), [how](<back-up.md#the-way>), [[nothing]] and `[[Back up]]`.",
            ),
            (
                "```mermaid\ngraph TD\n```\n",
                "<p class=\"ops-tab\">A diagram, in the words of Mermaid</p>\n\n```mermaid\ngraph TD\n```\n",
            ),
            ("```sh\n!!! note\n    x\n```", "```sh\n!!! note\n    x\n```"),
            ("~~~\n[[Back up]]\n~~~", "~~~\n[[Back up]]\n~~~"),
        ] {
            assert_eq!(read(text).0, expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_stays_and_is_counted() {
        let text = "{{< param x >}} and {{< param y >}}, `{{< code >}}`\n\n{{ youtube(id=1) }} {% if %}\n\n```\n{{< no >}}\n```\n";
        let (shown, unknown) = read(text);
        assert_eq!(shown, text);
        assert_eq!(unknown, ["if 1", "param 2", "youtube 1"]);
        for pattern in [
            &*WORTH, &*BOX, &*TAB, &*COLONS, &*OPENS, &*SHORT, &*WIKI, &*TITLE, &*COLOUR, &*FENCE,
        ] {
            assert!(!pattern.as_str().is_empty());
        }
    }

    #[test]
    fn boxes_within_boxes_end() {
        let mut text = String::new();
        for depth in 0..200 {
            text += &format!("{}!!! note\n", " ".repeat(depth * 4));
        }
        assert!(read(&text).0.contains("[!NOTE]"));
    }
}
