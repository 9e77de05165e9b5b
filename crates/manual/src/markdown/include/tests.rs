use super::*;

const CODE: &str = "one\n// ANCHOR: a\ntwo\n// ANCHOR: b\nthree\n// ANCHOR_END: b\nfour\n// ANCHOR_END: a\nfive\n// ANCHOR: a\nsix\n// ANCHOR_END: a\n";

/// Expands a page that can include `x.rs`, `sub/y.md` and other files.
fn expanded(text: &str) -> (Passage, Vec<String>) {
    let source = Source::new("manual/a.md", text);
    let read = |path: &Path| -> Result<Arc<Source>, Refused> {
        let text = match path.to_str().unwrap() {
            "manual/x.rs" => CODE,
            "manual/sub/y.md" => "<{{#include z.md}}>\n",
            "manual/sub/z.md" => "z\n",
            "manual/crlf.txt" => "1\r\n2\r\n3\r\n",
            "manual/self.md" => "s{{#include self.md}}",
            "../out.md" => "out",
            "manual/blank.txt" => "a\n\nb\n",
            "manual/empty.md" => "",
            "manual/open.sh" => "before\n# ANCHOR: part\nwanted\n# ANCHOR_END: prat\ndanger\n",
            "/etc/hostname" => return Err(Refused::Outside),
            _ => return Err(Refused::Missing),
        };
        Ok(Source::new(path, text))
    };
    let mut problems = Vec::new();
    let included = expand(&source, 0, &read, &mut problems);
    let codes = problems
        .iter()
        .map(|p| format!("{} {}", p.code, p.message))
        .collect();
    (included.text, codes)
}

#[test]
fn includes_have_the_books_meaning() {
    for (text, result) in [
        ("a {{#include sub/z.md}} b", "a z b"),
        ("{{#include sub/y.md}}", "<z>"),
        ("{{ #include sub/z.md }}", "z"),
        (
            "\\{{#include sub/z.md}} {{#include sub/z.md}}",
            "{{#include sub/z.md}} {{#include sub/z.md}}",
        ),
        (
            "\\{{#include sub/z.md}}\n{{#include sub/z.md}}",
            "{{#include sub/z.md}}\nz",
        ),
        ("{{#include x.rs:1}}", "one"),
        ("{{#include x.rs:3:5}}", "two\n// ANCHOR: b\nthree"),
        ("{{#include x.rs::1}}", "one"),
        ("{{#include x.rs:12:}}", "// ANCHOR_END: a"),
        ("{{#include x.rs:a}}", "two\nthree\nfour"),
        ("{{#include x.rs:b}}", "three"),
        ("{{#include crlf.txt:2:}}", "2\n3"),
        ("{{#include crlf.txt}}", "1\n2\n3"),
        ("{{#rustdoc_include crlf.txt:2}}", "# 1\n2\n# 3"),
        (
            "{{#rustdoc_include x.rs:b}}",
            "# one\n# two\nthree\n# four\n# five\n# six",
        ),
        (
            "{{#playground sub/z.md editable}}",
            "```rust,editable\nz\n```\n",
        ),
        ("{{#title New}}{{x}} {{#unknown y}}", "{{x}} {{#unknown y}}"),
        ("{{#include empty.md}}", ""),
        ("{{ a }} {{{{ #include}}", "{{ a }} {{{{ #include}}"),
    ] {
        let (passage, problems) = expanded(text);
        assert_eq!(passage.text, result, "{text}");
        assert_eq!(problems, [""; 0], "{text}");
    }
}

#[test]
fn what_is_included_in_a_list_or_a_quote_stays_in_it() {
    for (text, result) in [
        (
            "1. x\n   ```sh\n   {{#include crlf.txt}}\n   ```\n",
            "1. x\n   ```sh\n   1\n   2\n   3\n   ```\n",
        ),
        ("> {{#include x.rs:a}}", "> two\n> three\n> four"),
        ("\t{{#include blank.txt}}", "\ta\n\n\tb"),
        ("> {{#include blank.txt}}", "> a\n>\n> b"),
        ("  {{#include sub/y.md}}", "  <z>"),
        ("a {{#include crlf.txt}}", "a 1\n2\n3"),
    ] {
        assert_eq!(expanded(text).0.text, result, "{text}");
    }
    let (passage, _) = expanded("   {{#include x.rs:a}}");
    let at = passage.text.find("three").unwrap();
    assert_eq!(
        format!("{:?}", passage.span(at..at + 5)),
        "manual/x.rs:5:1+5"
    );
}

#[test]
fn an_anchor_that_never_ends_names_the_end_that_may_be_meant() {
    let source = Source::new("manual/a.md", "{{#include open.sh:part}}");
    let read = |path: &Path| {
        let text = "# ANCHOR: part\nwanted\n# ANCHOR_END: prat\ndanger\n";
        Ok(Source::new(path, text))
    };
    let mut problems = Vec::new();
    expand(&source, 0, &read, &mut problems);
    let hint =
        "write `ANCHOR_END: part` after its last line; did you mean that by `ANCHOR_END: prat`?";
    assert_eq!(problems[0].hint.as_deref(), Some(hint));
}

#[test]
fn included_text_knows_its_file() {
    let (passage, _) = expanded("x\n{{#include x.rs:a}}\ny {{#include crlf.txt}}");
    let at = |needle: &str| {
        let at = passage.text.find(needle).unwrap();
        format!("{:?}", passage.span(at..at + needle.len()))
    };
    assert_eq!(at("two"), "manual/x.rs:3:1+3");
    assert_eq!(at("four"), "manual/x.rs:7:1+4");
    assert_eq!(at("y"), "manual/a.md:3:1+1");
    assert_eq!(at("3"), "manual/crlf.txt:3:1+1");
}

#[test]
fn what_cannot_be_included_is_said() {
    for (text, result, problem) in [
        (
            "a {{#include none.md}} b",
            "a {{#include none.md}} b",
            "broken-include cannot include `manual/none.md`: there is no such file",
        ),
        (
            "{{#include x.rs:none}}",
            "",
            "broken-include `manual/x.rs` has no anchor `none`",
        ),
        (
            "{{#include x.rs:99}}",
            "",
            "broken-include `manual/x.rs` has no line 99",
        ),
        (
            "{{#rustdoc_include x.rs:none}}",
            "# one\n# two\n# three\n# four\n# five\n# six",
            "broken-include `manual/x.rs` has no anchor `none`",
        ),
        (
            "{{#include open.sh:part}}",
            "wanted\ndanger",
            "broken-include the anchor `part` of `manual/open.sh` never ends, so everything after it would be included",
        ),
        (
            "{{#include self.md}}",
            "s",
            "include-itself `manual/self.md` includes itself",
        ),
        (
            "{{#include ../../out.md}}",
            "out",
            "include-outside `../out.md` is outside of this manual",
        ),
        (
            "a{{#include /etc/hostname:x}}b",
            "ab",
            "include-outside cannot include `/etc/hostname`: it is outside the project",
        ),
    ] {
        let (passage, problems) = expanded(text);
        assert_eq!(passage.text, result, "{text}");
        assert_eq!(problems, [problem], "{text}");
    }
}
