//! Pages of any kind through the parser, the lint and the expectations: nothing may panic,
//! and every block must know its place. No file is read and nothing runs.
#![no_main]

use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use opsbook::manual::{ExpectKind, PageSource, Settings, coverage, expect, lint, parse, variables};
use opsbook::source::Source;

fuzz_target!(|text: &str| {
    // After `\0`, what an expectation is compared with.
    let (text, found) = text.split_once('\0').unwrap_or((text, "found\n"));
    let page = PageSource {
        path: PathBuf::from("a.md"),
        title: None,
        source: Source::new("a.md", text),
    };
    let included = "a\n<!-- ANCHOR: x -->\n```sh check id=i\ntrue\n```\n{{#include b.md}}\n";
    let (manual, mut problems) = parse(Path::new(""), Settings::default(), vec![page], &|path| {
        Ok(Source::new(path, included))
    });
    problems.extend(lint(&manual));
    for problem in &problems {
        let _ = problem.to_string();
    }
    let _ = coverage(&manual);
    for block in manual.pages.iter().flat_map(|page| &page.blocks) {
        for (at, c) in block.text.text.char_indices() {
            let span = block.text.span(at..at + c.len_utf8());
            let there = span.source.text[span.start as usize..].chars().next();
            assert!(there == Some(c) || c == ' ' || c == '\n', "{c:?} is {there:?}");
        }
        let _ = variables(&block.text.text, "sh");
        for kind in [ExpectKind::Text, ExpectKind::Regex, ExpectKind::Json] {
            let _ = expect::flaws(&block.text.text, kind);
            let _ = expect::decide(&block.text.text, kind, found.as_bytes());
        }
    }
});
