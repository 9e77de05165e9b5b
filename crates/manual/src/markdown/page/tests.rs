use super::*;
use crate::source::Source;

/// Each block as `language|kind|text|place of its text`, and the problems.
fn blocks(text: &str) -> (Vec<String>, Vec<String>) {
    let source = Source::new("a.md", text);
    let mut problems = Vec::new();
    let page = Passage::whole(&source);
    let walked = walk(&page, &MarkdownOptions::default(), &mut problems);
    let blocks = walked
        .blocks
        .iter()
        .map(|block| {
            let role = block.kind.map_or("-", crate::Kind::name);
            let place = block.text.span(0..block.text.text.len()).position();
            format!(
                "{}|{role}|{}|{}:{}",
                block.language, block.text.text, place.line, place.column
            )
        })
        .collect();
    let problems = problems
        .iter()
        .map(|problem| {
            let at = problem
                .span
                .as_ref()
                .map(crate::source::Span::position)
                .unwrap();
            format!("{}:{} {}", at.line, at.column, problem.code)
        })
        .collect();
    (blocks, problems)
}

#[test]
fn a_fence_is_what_the_book_takes_for_one() {
    for (text, block) in [
        ("```sh step\na\n```\n", "sh|step|a\n|2:1"),
        ("~~~ SH   step\na\n~~~\n", "sh|step|a\n|2:1"),
        (
            "````md\n```sh step\na\n```\n````\n",
            "md|-|```sh step\na\n```\n|2:1",
        ),
        (
            "- x\n\n  ```sh check id=a\n  a\n    b\n  ```\n",
            "sh|check|a\n  b\n|4:3",
        ),
        (
            "1. x\n   ```sh check id=a\n   a\n   ```\n",
            "sh|check|a\n|3:4",
        ),
        (
            "> ```sh check id=a\n> a\n>\n> b\n> ```\n",
            "sh|check|a\n\nb\n|2:3",
        ),
        (
            "> - > ```sh example\n>   > a\n>   > ```\n",
            "sh|example|a\n|2:7",
        ),
        (
            "```sh example\r\na\r\nb\r\n```\r\n",
            "sh|example|a\nb\n|2:1",
        ),
        ("-\t```sh example\n\ta\n\t```\n", "sh|example|a\n|2:2"),
        ("```\n```\n", "|-||1:4"),
        (
            "   ```sh example\n   a\n  b\n   ```\n",
            "sh|example|a\nb\n|2:4",
        ),
        ("```sh example\na\n```", "sh|example|a\n|2:1"),
        ("```sh example \t\n\ta\n`````\n", "sh|example|\ta\n|2:1"),
        ("Term\n: ```sh example\n  a\n  ```\n", "sh|example|a\n|3:3"),
    ] {
        let (blocks, problems) = blocks(text);
        assert_eq!(problems, [""; 0], "{text:?}");
        assert_eq!(blocks, [block], "{text:?}");
    }
}

#[test]
fn comments_tag_the_fence_below_them() {
    for text in [
        "<!-- opsbook: check id=a -->\n```sh\na\n```\n",
        "x\n<!-- opsbook: check id=a -->\n```sh\na\n```\n",
        "<!--opsbook:check id=a-->\n\n```sh title=x\na\n```\n",
        "> <!-- opsbook: check id=a -->\n> ```sh\n> a\n> ```\n",
        "- x\n  <!-- opsbook: check id=a -->\n  ```sh\n  a\n  ```\n",
    ] {
        let (blocks, problems) = blocks(text);
        let problems: Vec<&String> = problems
            .iter()
            .filter(|p| !p.ends_with("foreign-word"))
            .collect();
        assert!(problems.is_empty(), "{text:?} {problems:?}");
        assert!(
            blocks[0].starts_with("sh|check|a\n|"),
            "{text:?} {blocks:?}"
        );
    }
}

#[test]
fn what_is_meant_and_wrong_is_an_error_and_other_tools_words_are_prose() {
    for (text, problem) in [
        ("```sh\na\n", "1:1 unclosed-fence"),
        ("- ```sh\n  a\n\nb\n", "1:3 unclosed-fence"),
        ("```", "1:1 unclosed-fence"),
        ("> ```sh\n> a\n\nb\n", "1:3 unclosed-fence"),
        ("```sh setp\n```\n", "1:7 unknown-kind"),
        ("```sh verify id=a\n```\n", "1:7 unknown-kind"),
        ("```sh verify step\n```\n", "1:7 unknown-kind"),
        ("```sh title=x\n```\n", "1:7 foreign-word"),
        ("```sh {.line-numbers}\n```\n", "1:7 foreign-word"),
        ("```sh sudo\n```\n", "1:7 attribute-without-role"),
        ("```sh timeout=5m\n```\n", "1:7 attribute-without-role"),
        ("```check\n```\n", "1:4 role-without-language"),
        ("```sh,check\n```\n", "1:4 joined-role"),
        ("```bash#step\n```\n", "1:4 joined-role"),
        ("```sh step id=a\"b\n```\n", "1:15 not-a-token"),
        ("```sh step id=\n```\n", "1:12 bad-attribute"),
        ("<!-- opsbook: stpe -->\n```sh\n```\n", "1:15 unknown-kind"),
        ("<!-- opsbook check -->\n```sh\n```\n", "1:5 bad-comment"),
        ("<!-- opsbok: check -->\n```sh\n```\n", "1:5 bad-comment"),
        (
            "<!-- opsbook: check -->\ntext\n",
            "1:14 comment-without-fence",
        ),
        ("<!-- opsbook: check -->\n", "1:14 comment-without-fence"),
        (
            "<!-- opsbook: check -->\n# h\n\n```sh\n```\n",
            "1:14 comment-without-fence",
        ),
        (
            "<!-- opsbook: check -->\n```sh step\n```\n",
            "2:7 tagged-twice",
        ),
        (
            "<!-- opsbook: check\nid=a -->\n```sh\n```\n",
            "1:14 bad-comment",
        ),
    ] {
        assert_eq!(blocks(text).1, [problem], "{text:?}");
    }
    for text in [
        "```rust,no_run\n```\n",
        "```rust ignore\n```\n",
        "```rust,editable,hidelines=!\n```\n",
        "```example\n```\n",
        "```{.bash .x}\n```\n",
        "<!-- toc -->\n",
        "<!--\n```sh step\na\n```\n-->\n",
    ] {
        assert_eq!(blocks(text).1, [""; 0], "{text:?}");
    }
}

#[test]
fn links_are_found_in_markdown_and_html() {
    let source = Source::new(
        "a.md",
        "[a](b.md) ![c](d.png) <x@y.z> <https://e> [f]\n\n<a href=\"g.md\">g</a> <img src='h.png'>\n\n[f]: i.md\n",
    );
    let page = Passage::whole(&source);
    let walked = walk(&page, &MarkdownOptions::default(), &mut Vec::new());
    let targets: Vec<&str> = walked
        .links
        .iter()
        .map(|link| link.target.as_str())
        .collect();
    assert_eq!(
        targets,
        ["b.md", "d.png", "https://e", "i.md", "g.md", "h.png"]
    );
}

#[test]
fn a_tagged_fence_that_the_book_takes_for_something_else_is_found() {
    for (text, places) in [
        (
            "<details>\n```sh step id=a\nx\n```\n</details>\n",
            "2:1 lost-fence",
        ),
        ("<details>\n\n```sh step id=a\nx\n```\n\n</details>\n", ""),
        ("<!--\n```sh step id=a\nx\n```\n-->\n", ""),
        (
            "<div>\n<!-- x -->\n~~~sh check\nx\n~~~\n</div>\n",
            "3:1 lost-fence",
        ),
        ("Then:\n    ```sh step\n    x\n    ```\n", "2:5 lost-fence"),
        (
            "- a\n\n      ```sh step\n      x\n      ```\n",
            "3:7 lost-fence",
        ),
        (
            "> Then:\n>      ```text expect\n>      x\n",
            "2:8 lost-fence",
        ),
        ("Then:\n\n    ```sh example\n    x\n    ```\n", ""),
        ("Then:\n\n    ``` sh\n    x\n    ```\n", ""),
        ("````md\n    ```sh step\n````\n", ""),
        ("Inline ```sh step``` code\n```sh step```\n", ""),
        ("```sh\u{a0}step id=a\nx\n```\n", "1:6 other-space"),
        ("``` sh　check\nx\n```\n", "1:7 other-space"),
        (
            "```sh step timeout = 5m id=a\nx\n```\n",
            "1:12 spaced-attribute",
        ),
        ("```sh step timeout= 5m\nx\n```\n", "1:12 spaced-attribute"),
        ("```sh step timeout =5m\nx\n```\n", "1:12 spaced-attribute"),
        ("```sh step id=\nx\n```\n", "1:12 bad-attribute"),
        ("``` {.bash step id=x}\nx\n```\n", "1:12 joined-role"),
        ("``` { .sh .annotate file=\"x\" }\nx\n```\n", ""),
    ] {
        assert_eq!(blocks(text).1.join(" "), places, "{text}");
    }
}

#[test]
fn a_tagged_block_in_a_footnote_is_refused() {
    let text = "x[^1] y\n\n[^1]: Do:\n\n    ```sh step\n    a\n    ```\n\n    ```sh example\n    b\n    ```\n\n```sh step\nc\n```\n";
    let (blocks, problems) = blocks(text);
    assert_eq!(blocks[1], "sh|example|b\n|10:5");
    assert_eq!(blocks[2], "sh|step|c\n|14:1");
    assert_eq!(problems, ["5:11 in-footnote"]);
}

#[test]
fn more_than_a_thousand_headings_of_the_same_words_are_refused_once() {
    let walked = |count: usize| {
        let source = Source::new("a.md", "# A\n\n".repeat(count));
        let mut problems = Vec::new();
        let page = Passage::whole(&source);
        let exceeded = walk(&page, &MarkdownOptions::default(), &mut problems).exceeded;
        let at = problems
            .iter()
            .map(|p| format!("{} {}", p.code, p.span.as_ref().unwrap().line()));
        (exceeded, at.collect::<Vec<_>>())
    };
    assert_eq!(walked(1_000), (false, Vec::new()));
    assert_eq!(walked(3_000), (true, vec!["too-many 2001".to_owned()]));
}
