//! Formats a Markdown page for a terminal: headings stand out, links name the topics that they lead
//! to. Blocks stay unchanged with their fences, because the words after the language are what the
//! page is about.

use anstyle::{AnsiColor, Style};

const HEADING: Style = Style::new().bold();
const CODE: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));

const FENCE: Style = Style::new().dimmed();

/// Options of the display.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    /// Use colours.
    pub paint: bool,
    /// The topic of a page that a link leads to, if any.
    pub topic: &'a dyn Fn(&str) -> Option<String>,
}

/// The page with or without colours.
pub(super) fn page(text: &str, how: Shown<'_>) -> String {
    let mut shown = String::new();
    // The backquotes that close the current block.
    let mut fence: Option<String> = None;
    let mut blank = false;
    for line in text.lines() {
        let bare = line.trim_start();
        let ticks: String = bare.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if bare == open => {
                shown += &format!("{}\n", painted(line, FENCE, how.paint));
                fence = None;
            }
            Some(_) => shown += &format!("{line}\n"),
            None if ticks.len() >= 3 => {
                shown += &format!("{}\n", painted(line, FENCE, how.paint));
                fence = Some(ticks);
                blank = false;
            }
            None if bare.starts_with("<!--") && bare.ends_with("-->") => {}
            None if bare.is_empty() && blank => {}
            None => {
                shown += &format!("{}\n", prose(line, how));
                blank = bare.is_empty();
            }
        }
    }
    shown
}

fn prose(line: &str, how: Shown<'_>) -> String {
    let level = line.chars().take_while(|c| *c == '#').count();
    if (1..=6).contains(&level) && line[level..].starts_with(' ') {
        return painted(line[level..].trim(), HEADING, how.paint);
    }
    words(line, how)
}

/// Replaces links by their text; code and emphasis lose their marks if colours replace them.
fn words(line: &str, how: Shown<'_>) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['`', '[', '*']) {
        shown += &rest[..at];
        let (taken, text) = match &rest[at..] {
            from if from.starts_with('`') => code(from, how),
            from if from.starts_with("**") => stressed(from, "**", how),
            from if from.starts_with('[') => link(from, how),
            from => stressed(from, "*", how),
        };
        shown += &text;
        rest = &rest[at + taken..];
    }
    shown + rest
}

/// How much of the text was read, and its display.
fn code(text: &str, how: Shown<'_>) -> (usize, String) {
    match text[1..].find('`') {
        Some(end) if how.paint => (end + 2, painted(&text[1..=end], CODE, true)),
        Some(end) => (end + 2, text[..end + 2].to_owned()),
        None => (1, text[..1].to_owned()),
    }
}

fn stressed(text: &str, mark: &str, how: Shown<'_>) -> (usize, String) {
    let inner = &text[mark.len()..];
    match inner.find(mark) {
        Some(end) if end > 0 && !inner.starts_with(' ') => {
            let said = painted(&inner[..end], HEADING, how.paint);
            (2 * mark.len() + end, said)
        }
        _ => (mark.len(), mark.to_owned()),
    }
}

fn link(text: &str, how: Shown<'_>) -> (usize, String) {
    let parts = text[1..]
        .split_once("](")
        .and_then(|(label, rest)| Some((label, rest.split_once(')')?.0)));
    match parts {
        Some((label, target)) if !label.contains('[') => {
            let topic = (how.topic)(target);
            let topic = topic.map(|topic| format!(" (opsbook guide {topic})"));
            let said = words(label, how) + &topic.unwrap_or_default();
            (label.len() + target.len() + 4, said)
        }
        _ => (1, "[".to_owned()),
    }
}

fn painted(text: &str, style: Style, paint: bool) -> String {
    if paint {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indoc::indoc;

    #[test]
    fn a_page_is_shown_without_its_marks() {
        let text = indoc! {"
            # Your *first*

            See [the `format`](../format.md#a), **all** of it: 2 * 3 [x].

            <!-- write a -->
            ````markdown example
            ```sh step
            a
            ```
            ````
        "};
        let shown = indoc! {"
            Your *first*

            See the `format` (opsbook guide format), all of it: 2 * 3 [x].

            ````markdown example
            ```sh step
            a
            ```
            ````
        "};
        let topic = |target: &str| {
            target
                .starts_with("../format.md")
                .then(|| "format".to_owned())
        };
        let how = |paint| Shown {
            paint,
            topic: &topic,
        };
        assert_eq!(page(text, how(false)), shown);
        let paints = page("a `b`", how(true));
        assert_eq!(paints, "a \u{1b}[36mb\u{1b}[0m\n");
    }
}
