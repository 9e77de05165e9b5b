use std::path::Path;

use super::*;
use crate::source::Source;
use crate::{PageSource, Settings, load, parse, sort};

/// All problems that `load` and `lint` report for a folder of `tests/fixtures`.
fn drawn(fixture: &str) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .join("tests/fixtures")
        .join(fixture);
    let (manual, mut problems) = load(&crate::files::Files::of(&root));
    problems.extend(lint(&manual));
    sort(&manual, &mut problems);
    let drawn: Vec<String> = problems.iter().map(Problem::to_string).collect();
    drawn.join("\n\n") + "\n"
}

#[test]
fn a_page_with_forty_mistakes_reports_all_forty() {
    let expected = include_str!("../../../../../tests/fixtures/forty-mistakes/expected.txt");
    let found = drawn("forty-mistakes");
    let errors = found
        .lines()
        .filter(|line| line.contains(": error: "))
        .count();
    assert_eq!(errors, 40);
    assert_eq!(found, expected, "{found}");
}

/// `line:column code: the marked text | hint` for each problem of one step.
fn of_step(block: &str) -> String {
    let text = format!("# P\n\n```yaml procedure\nid: p\n```\n{block}");
    let page = PageSource {
        path: "a.md".into(),
        title: None,
        source: Source::new("a.md", text),
    };
    let (manual, mut problems) = parse(Path::new(""), Settings::default(), vec![page], &|_| {
        Err(crate::files::Refused::Missing)
    });
    problems.extend(lint(&manual));
    let drawn: Vec<String> = problems
        .iter()
        .map(|problem| {
            let span = problem.span.as_ref().unwrap();
            let at = span.position();
            let hint = problem.hint.as_deref().map_or("", |hint| &hint[..12]);
            let (code, text) = (problem.code, span.text());
            format!("{}:{} {code}: {text} | {hint}", at.line, at.column)
        })
        .collect();
    drawn.join("\n")
}

#[test]
fn what_old_pages_hold_is_an_error_where_it_is_one() {
    for (block, found) in [
        (
            "```sh step\ncat <<X <<-'EOF'\na\nX\nb\nE\n```\n",
            "7:9 shell-syntax: <<-'EOF | ",
        ),
        (
            "```sh step\ncat <<EOF\na\n  EOF\n```\n",
            "7:5 shell-syntax: <<EOF | ",
        ),
        (
            "```sh step\nx\n```\n```json expect\n{\"a\": 1,\n \"a\": 2}\n```\n",
            "11:4 bad-expectation: \" | ",
        ),
        (
            "```sh step\nx\n```\n```json expect\n{\"é\": [1,]}\n```\n",
            "10:10 bad-expectation: ] | ",
        ),
        (
            "```sh step\nx\n```\n```json expect\n[1,\n 2\n```\n",
            "11:1 bad-expectation:  2 | ",
        ),
        (
            "```sh step\nif [[ a = b ]]; then\n  source x\nfi\n```\n",
            "7:4 bash-in-sh: [[ | if the node ",
        ),
        (
            "```sh step\nfunction f { true; }\nf\n```\n",
            "7:1 bash-in-sh: function | if the node ",
        ),
        (
            "```console step\n$ source x\n```\n",
            "7:3 bash-in-sh: source | if the node ",
        ),
        ("```bash step\n[[ a = b ]] && source x\n```\n", ""),
        ("```sh step\necho source '[[' \"let\"\n. ./x\n```\n", ""),
        // A `$ ` in a text that a script writes is not a prompt.
        ("```sh step\ncat >f <<E\n$ a\nE\n```\n", ""),
        ("```sh step\ncat >f <<'E'\n$ a\nE\n```\n", ""),
        ("```sh step\ncat >f <<-E\n$ a\n\tE\n```\n", ""),
        ("```sh step\necho 'x\n$ a'\necho \"x\n$ a\"\n```\n", ""),
        (
            "```sh step\ncat >f <<E\n$ a\nE\n$ b\n```\n",
            "10:1 prompt-in-script: $ | a transcript",
        ),
        (
            "```sh step\na\n$ b\n```\n",
            "8:1 prompt-in-script: $ | a transcript",
        ),
        // Output that looks like titles.
        (
            "```sh step\n$ curl m\n# HELP a\n# TYPE a\na 1\nb 2\n```\n",
            "10:1 transcript: a 1 | output ends ",
        ),
        (
            "```sh step\n$ cat f\nx\n# y\n```\n",
            "9:1 transcript: # y | output ends ",
        ),
        ("```sh step\n# y\n\n$ cat f\nx\n```\n", ""),
        // Mark the word before the end of the line, not the line end.
        (
            "```sh step\nb.filter(\n  c\n```\n",
            "7:1 shell-syntax: b.filter( | ",
        ),
        ("```sh step\na\n    }\nb\n```\n", "8:5 shell-syntax: } | "),
        ("```sh step\na (b)\n```\n", "7:4 shell-syntax: b) | "),
        (
            "```sh step\na=(b c)\n```\n",
            "7:3 shell-syntax: (b | bash does: i",
        ),
        ("```bash step\na=(b c)\n```\n", ""),
        (
            "```sh step\n$ cat <<E\nx\nE\n```\n",
            "7:7 shell-syntax: <<E | in a transcr",
        ),
        // A fence that the end of its list item closes.
        (
            "- a\n  ```sh step\n  b\n\nc\n",
            "7:3 unclosed-fence: ```sh step | close it wit",
        ),
    ] {
        assert_eq!(of_step(block), found, "{block}");
    }
}

#[test]
fn a_number_too_large_for_a_descriptor_stops_no_parser() {
    let number = "9".repeat(20);
    for script in [
        format!("x {number}>f 2>&1"),
        format!("{number}<f x"),
        format!("echo '{number}>'"),
    ] {
        assert_eq!(of_step(&format!("```sh step\n{script}\n```\n")), "");
    }
    let broken = of_step(&format!("```sh step\nx {number}>f | | y\n```\n"));
    assert!(broken.starts_with("7:28 shell-syntax: "), "{broken}");
}
