//! Formats results as annotations of GitHub Actions, next to the lines of the manual.

use std::fmt::Write as _;
use std::path::Path;

use crate::source::visible;
use crate::tested::{Results, Tested};

/// `folder` is the manual's folder within the checkout. Failures come first, then each cause for
/// tests that could not be evaluated, once: GitHub shows only the first few annotations.
#[must_use]
pub fn github(results: &Results, folder: Option<&Path>) -> String {
    let mut text = String::new();
    for test in results.failed() {
        annotate(&mut text, test, folder, &test.name);
    }
    for unseen in results.causes() {
        let title = match &unseen.tests[..] {
            [one] => format!("{}: could not look", one.name),
            many => format!("{}: {} tests could not look", unseen.node, many.len()),
        };
        annotate(&mut text, unseen.tests[0], folder, &title);
    }
    text
}

fn annotate(text: &mut String, test: &Tested, folder: Option<&Path>, title: &str) {
    let (file, line) = test.file_and_line(folder);
    // Formatting into a string cannot fail.
    let _ = writeln!(
        text,
        "::error file={},line={line},title={}::{}",
        property(&file),
        property(title),
        data(&format!("{}\n{}", test.headline(), test.story().trim_end()))
    );
}

/// Text of an annotation, on one line, with visible control characters.
pub(crate) fn data(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(visible).collect();
    lines
        .join("\n")
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

pub(crate) fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::github;
    use crate::tested::samples::results;
    use std::path::Path;

    #[test]
    fn an_annotation_is_one_line_at_its_place() {
        let text = github(&results(), Some(Path::new("docs")));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        let first = "::error file=docs/manual/web.md,line=14,title=web1%3A%3Aweb%3A%3Aservice/a#b::running: expected true";
        assert!(lines[0].starts_with(first), "{text}");
        assert!(
            lines[0].contains("%0A  wrong           running%0A"),
            "{text}"
        );
        assert!(
            lines[1].contains("title=web2%3A%3Aweb%3A%3Afile//etc/hosts%3A could not look::"),
            "{text}"
        );
        let elsewhere = github(&results(), None);
        assert!(
            elsewhere.starts_with("::error file=manual/web.md,line=14,"),
            "{elsewhere}"
        );
    }
}
