//! Properties of the manual's parser on generated pages: a block's bytes are the author's, each
//! knows its place, and no page breaks the parser. The generator is deterministic.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use opsbook::interpolation::Interpolated;
use opsbook::manual::{
    Manual, PageSource, Settings, Work, coverage, expect, lint, parse, variables,
};
use opsbook::source::{Passage, Problem, Source};

fn parsed(text: &str) -> (Manual, Vec<Problem>) {
    let page = PageSource {
        path: PathBuf::from("a.md"),
        title: None,
        source: Source::new("a.md", text),
    };
    let included = "included\n```sh example\nincluded\n```\n";
    parse(Path::new(""), Settings::default(), vec![page], &|path| {
        Ok(Source::new(path, included))
    })
}

/// Xorshift: small, fast, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// A fence in a container, and the lines that must come out of it.
fn fence(random: &mut Random, number: usize) -> (String, String) {
    const LINES: [&str; 14] = [
        "echo \"$x\"",
        "",
        "  indented",
        "日本 ü",
        "# title",
        "> quoted",
        "- item",
        "`a` ``b``",
        "\\",
        "~~~",
        "a \\",
        "&amp; <b>",
        "...",
        "$ prompt",
    ];
    let (first, rest) = random.one(
        [
            ("", ""),
            ("> ", "> "),
            ("- ", "  "),
            ("1. ", "   "),
            ("> - ", ">   "),
            ("- > ", "  > "),
        ][..]
            .iter()
            .collect::<Vec<_>>()
            .as_slice(),
    );
    let marks = random.one(&["```", "````", "~~~~", "```````"]);
    let end = random.one(&["\n", "\r\n"]);
    let mut page = format!("{first}{marks}sh example id-{number}{end}");
    page = page.replace(&format!(" id-{number}"), "");
    let mut content = String::new();
    for _ in 0..random.below(6) {
        let line = random.one(&LINES);
        let _ = write!(page, "{rest}{line}{end}");
        content += line;
        content.push('\n');
    }
    let _ = write!(page, "{rest}{marks}{end}");
    (page, content)
}

#[test]
fn a_blocks_bytes_are_the_authors() {
    for seed in 1..800 {
        let mut random = Random(seed);
        let mut page = String::from("# Title\n\n");
        let mut contents = Vec::new();
        for number in 0..=random.below(5) {
            let (text, content) = fence(&mut random, number);
            page += &text;
            page += random.one(&["\n\ntext\n\n", "\n\n<!-- -->\n\n", "\n\n## Next\n\n"]);
            contents.push(content);
        }
        let (manual, problems) = parsed(&page);
        assert!(problems.is_empty(), "{page}\n{problems:?}");
        let blocks: Vec<&str> = manual.pages[0]
            .blocks
            .iter()
            .map(|b| &*b.text.text)
            .collect();
        assert_eq!(blocks, contents, "{page:?}");
        places(&manual);
    }
}

/// Each character of each block, script and expectation is at its stated place.
fn places(manual: &Manual) {
    for page in &manual.pages {
        exact(&page.text);
        for block in &page.blocks {
            exact(&block.text);
            let _ = block.span.position();
        }
    }
    for procedure in manual.procedures.values() {
        for step in &procedure.steps {
            if let (Work::Script(script), true) = (&step.work, procedure.replace.is_empty()) {
                exact(&script.text);
            }
            if let (Some(expect), true) = (&step.expect, procedure.replace.is_empty()) {
                exact(&expect.text);
            }
        }
    }
}

fn exact(passage: &Passage) {
    for (at, c) in passage.text.char_indices() {
        let span = passage.span(at..at + c.len_utf8());
        let there = span.source.text[span.start as usize..].chars().next();
        // The parser turns tabs in containers into spaces, and line ends into `\n`.
        let same = there == Some(c)
            || c == ' ' && there == Some('\t')
            || c == '\n' && matches!(there, Some('\r') | None);
        assert!(
            same,
            "{c:?} at {at} of {:?} is {there:?} at {span:?}",
            passage.text
        );
    }
}

const SEEDS: [&str; 4] = [
    include_str!("../fixtures/forty-mistakes/manual/mistakes.md"),
    include_str!("../../manual/format.md"),
    include_str!("../../manual/tour.md"),
    "---\ntitle: x\n---\n# P\n\n```yaml procedure\nid: p.q\nparams: {a: {pattern: 'x+'}}\nreplace: {\"<r>\": \"v${a}\"}\n```\n\n1. Do:\n\n   ```console step id=a capture=b\n   # title\n   $ echo '<r>' \\\n     \"$(cat <<E\n   > ${x:-y}\n   > E\n   > )\"\n   out [..]\n   ...\n   exit 1\n   ```\n\n   <!-- opsbook: check always -->\n   ```sh\n   test $((1 + 2)) = 3\n   ```\n   ```json expect\n   {\"a\": [1, \"x[..]\"]}\n   ```\n\n## C {#c}\n\n{{#include x.md}}\n\n> ```yaml checks\n> id: c\n> service: {a: {running: true}}\n> ```\n\n~~~sh check id=d.e eventually=5s/1s\nif a; then b; fi\n~~~\n```text expect regex\n^a+$\n```\n",
];

const PIECES: [&str; 40] = [
    "```",
    "~~~",
    "````",
    "\n",
    "\r\n",
    "\t",
    "> ",
    "- ",
    "1. ",
    "    ",
    "#",
    "## ",
    "sh step ",
    "sh check id=x ",
    "text expect",
    "yaml procedure",
    "yaml checks",
    "nginx file as=f",
    "id: ",
    "{",
    "}",
    "[",
    "\"",
    "'",
    "$ ",
    "$(",
    "${",
    "<<E\n",
    "<x>",
    "<!-- opsbook: check -->",
    "-->",
    "{{#include x.md}}",
    "\\",
    "\u{202e}",
    "é",
    "...",
    "[..]",
    "exit 3",
    "---\n",
    "\0",
];

fn mutate(text: &mut String, random: &mut Random) {
    for _ in 0..=random.below(8) {
        let at = text.floor_char_boundary(random.below(text.len() + 1));
        match random.below(4) {
            0 => text.insert_str(at, random.one(&PIECES)),
            1 => {
                let end = text.floor_char_boundary((at + random.below(40)).min(text.len()));
                text.replace_range(at..end.max(at), "");
            }
            2 => {
                let end = text.floor_char_boundary((at + random.below(200)).min(text.len()));
                let copy = text[at..end.max(at)].to_owned();
                let to = text.floor_char_boundary(random.below(text.len() + 1));
                text.insert_str(to, &copy);
            }
            _ => text.truncate(at.max(20).min(text.len())),
        }
        let end = text.floor_char_boundary(text.len());
        text.truncate(end);
    }
}

#[test]
fn no_page_breaks_the_parser() {
    for seed in 1..600u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut text = SEEDS[random.below(SEEDS.len())].to_owned();
        mutate(&mut text, &mut random);
        let (manual, mut problems) = parsed(&text);
        problems.extend(lint(&manual));
        places(&manual);
        let _ = coverage(&manual);
        for problem in &problems {
            let _ = problem.to_string();
        }
        for block in manual.pages.iter().flat_map(|page| &page.blocks) {
            let _ = variables(&block.text.text, "sh");
            for kind in [
                opsbook::manual::ExpectKind::Text,
                opsbook::manual::ExpectKind::Regex,
                opsbook::manual::ExpectKind::Json,
            ] {
                let _ =
                    expect::decide(&Interpolated::read(&block.text.text), kind, text.as_bytes());
            }
        }
    }
}

#[test]
fn deep_and_long_pages_are_read_in_time() {
    let started = std::time::Instant::now();
    for piece in [
        "> ",
        "- ",
        "[",
        "![",
        "*",
        "`",
        "<",
        "# a\n",
        "```\n",
        "```sh check id=a\na\n```\n\n",
        "<!-- opsbook: check -->\n",
        "{{#include x.md}}",
        "{{#",
        "[a](b)",
        "| a ",
        "$(",
        "x: ",
    ] {
        let (manual, problems) = parsed(&piece.repeat(10_000));
        let _ = (lint(&manual), problems.len());
    }
    for (before, piece, after) in [
        ("```sh check id=a\n", "$(", "\n```\n"),
        ("```sh check id=a\n", "{ ", "\n```\n"),
        ("```bash check id=a\n((", "( ", "\n```\n"),
        ("```sh check id=a\n", "if ", "\n```\n"),
        ("```sh check id=a\n", "<<A ", "\n```\n"),
        ("```sh check id=a\n", "$(<<B\n", "\n```\n"),
        ("```sh check id=a\n", "! ", "\n```\n"),
        ("```sh check id=a\n", "a=(", "\n```\n"),
        ("```bash check id=a\n", "[[ ( ", "\n```\n"),
        ("```bash check id=a\n", "${a:-", "\n```\n"),
        ("```sh check id=a\n", "`", "\n```\n"),
        ("```sh check id=a\n", "case x in ", "\n```\n"),
        ("```sh check id=a\n", "a && ", "\n```\n"),
        ("```sh check id=a\n", "f() ", "\n```\n"),
        ("```yaml checks\n", "[", "\n```\n"),
        ("```yaml checks\n", "- ", "\n```\n"),
        ("```yaml checks\n", "a:\n", "\n```\n"),
        (
            "# P\n```yaml procedure\nid: p\n```\n```console step\n",
            "$ a\nb\n",
            "```\n",
        ),
        (
            "# P\n```yaml procedure\nid: p\n```\n```console step\n",
            "# a\n$ a \\\n",
            "```\n",
        ),
    ] {
        let (manual, problems) = parsed(&format!("{before}{}{after}", piece.repeat(10_000)));
        let _ = (lint(&manual), problems.len());
    }
    // Quadratic work would take hours.
    assert!(started.elapsed() < std::time::Duration::from_mins(4));
}
