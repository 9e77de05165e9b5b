//! Silences in comments and in `book.toml`.

use std::path::Path;

use crate::files::Refused;
use crate::source::{Problem, Source, Span};
use crate::{PageSource, Settings, Spanned, lint, parse, settle, unused_silences};

/// The remaining problems, the number of silenced ones, and the unused silences.
fn told(text: &str, settings: &[&str]) -> (Vec<String>, usize, Vec<String>) {
    let page = PageSource {
        path: "a.md".into(),
        title: None,
        source: Source::new("manual/a.md", text),
    };
    let silence = settings.iter().map(|line| Spanned {
        value: (*line).to_owned(),
        span: Span::new(&Source::new("book.toml", *line), 0..line.len()),
    });
    let settings = Settings {
        silence: silence.collect(),
        ..Settings::default()
    };
    let (manual, mut problems) = parse(Path::new(""), settings, vec![page], &|_| {
        Err(Refused::Missing)
    });
    problems.extend(lint(&manual));
    let line = |problem: &Problem| {
        let line = problem.span.as_ref().map_or(0, Span::line);
        format!("{line} {}: {}", problem.code, problem.message)
    };
    let unused = unused_silences(&manual, &problems);
    let settled = settle(&manual, problems);
    let left = settled.problems.iter();
    let left = left.map(|problem| line(problem).split(':').next().unwrap_or("").to_owned());
    (
        left.collect(),
        settled.silenced,
        unused.iter().map(line).collect(),
    )
}

#[test]
fn a_comment_silences_what_follows_it_or_its_paragraph() {
    let text = "# A\n\n<!-- opsbook: silence foreign-word -->\n```sh title=x\ntrue\n```\n\n```sh title=x\ntrue\n```\n\n[a](x.md) <!-- opsbook: silence broken-link -->\nand [b](y.md)\n\n[c](z.md)\n";
    let (left, silenced, unused) = told(text, &[]);
    assert_eq!(left, ["8 foreign-word", "15 broken-link"]);
    assert_eq!(silenced, 3);
    assert!(unused.is_empty(), "{unused:?}");
    let (left, silenced, unused) = told(text, &["broken-link manual/*.md", "foreign-word"]);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!((silenced, unused.len()), (5, 0));
}

#[test]
fn one_tags_the_fence_and_another_silences_it() {
    let text = "# A\n\n```yaml procedure\nid: p\n```\n\n<!-- opsbook: silence sudo-in-script -->\n<!-- opsbook: step id=a -->\n```sh\nsudo true\n```\n";
    assert_eq!(told(text, &[]), (vec![], 1, vec![]));
}

#[test]
fn a_silence_that_does_nothing_is_told_and_an_error_stays() {
    let text = "# A\n\n<!-- opsbook: silence foreign-wort, unknown-kind -->\n```sh stpe\ntrue\n```\n\n```sh title=x\n:\n```\n\n<!-- opsbook: silence -->\n\nWords.\n\n<!-- opsbook: silence x -->\n";
    let (left, silenced, unused) = told(text, &["broken-link other/*"]);
    assert_eq!(
        left,
        [
            "4 unknown-kind",
            "8 foreign-word",
            "12 bad-silence",
            "16 bad-silence"
        ]
    );
    assert_eq!(silenced, 0);
    assert_eq!(
        unused,
        [
            "3 unused-silence: there is no problem `foreign-wort` here to silence",
            "3 unused-silence: `unknown-kind` cannot be silenced: the script would do something wrong",
            "1 unused-silence: there is no problem `broken-link` here to silence",
        ]
    );
}
