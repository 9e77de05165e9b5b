//! Runs any text through the parser, the lint and the expectations. The body of a fuzz target, and
//! of a test without a fuzzer. Reads no file and runs nothing.

use std::path::{Path, PathBuf};

use super::{ExpectKind, PageSource, Settings, coverage, expect, lint, parse, variables};
use crate::interpolation::Interpolated;
use crate::source::Source;

/// The content of every included file.
const INCLUDED: &str = "a\n<!-- ANCHOR: x -->\n```sh check id=i\ntrue\n```\n{{#include b.md}}\n";

/// # Panics
/// Where an invariant is broken: every block knows its place, every problem can be drawn, a
/// substituted value is plain text. The part after `\0` is used as an output.
pub fn exercise(text: &str) {
    let (text, found) = text.split_once('\0').unwrap_or((text, "found\n"));
    let page = PageSource {
        path: PathBuf::from("a.md"),
        title: None,
        source: Source::new("a.md", text),
    };
    let include = |path: &Path| Ok(Source::new(path, INCLUDED));
    let (manual, mut problems) = parse(Path::new(""), Settings::default(), vec![page], &include);
    problems.extend(lint(&manual));
    for problem in &problems {
        let drawn = problem.to_string();
        assert!(!drawn.chars().any(|c| c == '\u{1b}'), "{drawn:?}");
    }
    let _ = coverage(&manual);
    for block in manual.pages.iter().flat_map(|page| &page.blocks) {
        for (at, c) in block.text.text.char_indices() {
            let span = block.text.span(at..at + c.len_utf8());
            let there = span.source.text[span.start as usize..].chars().next();
            assert!(
                there == Some(c) || c == ' ' || c == '\n',
                "{c:?} is {there:?}"
            );
        }
        let _ = variables(&block.text.text, "sh");
        expectations(&block.text.text, found);
    }
}

/// Compares the output with the text, and with the text in which every name has a value.
fn expectations(text: &str, found: &str) {
    let written = Interpolated::read(text);
    let filled = written.fill(|_| Some("${b} .* [..] ...".to_owned()));
    assert_eq!(filled.names().count(), 0, "a value was read again");
    for kind in [ExpectKind::Text, ExpectKind::Regex, ExpectKind::Json] {
        let _ = expect::flaws(text, kind);
        for expected in [&written, &filled] {
            let _ = expect::decide(expected, kind, found.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages of this project, each truncated at many places: the seeds of the fuzzer.
    #[test]
    fn pages_cut_off_anywhere_break_no_promise() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let pages = [
            "tests/fixtures/forty-mistakes/manual",
            "src/cli/init/minimal/manual",
            "src/cli/init/service/manual/service",
        ];
        let mut seen = 0;
        for folder in pages {
            for entry in std::fs::read_dir(root.join(folder)).unwrap().flatten() {
                if entry.path().extension().is_none_or(|end| end != "md") {
                    continue;
                }
                let text = std::fs::read_to_string(entry.path()).unwrap();
                exercise(&text);
                let step = (text.len() / 12).max(1);
                for at in (0..text.len()).step_by(step) {
                    let at = text.floor_char_boundary(at);
                    exercise(&text[..at]);
                    exercise(&text[at..]);
                }
                seen += 1;
            }
        }
        assert!(seen > 3, "{seen} pages");
    }
}
