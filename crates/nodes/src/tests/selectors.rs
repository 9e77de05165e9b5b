//! What selectors select, and their errors.

use super::*;
use crate::manual::Spanned;
use crate::source::{Source, Span};

#[test]
fn selectors() {
    let nodes = example();
    for (selector, expected) in [
        ("web1", "web1"),
        ("web*", "web1-stg web1"),
        ("*", "web1-stg web1 here box"),
        ("@web", "web1-stg web1"),
        ("@prod", "web1"),
        ("@prod*", "web1"),
        ("@web&@staging", "web1-stg"),
        ("@web & !@staging", "web1"),
        ("here,web1", "web1 here"),
        ("*,!web1,!@staging", "here box"),
        ("!box,*", "web1-stg web1 here"),
        ("b?x", "box"),
    ] {
        let selected = nodes
            .select(selector)
            .map_err(|problem| problem.to_string());
        assert_eq!(
            selected.map(|names| names.join(" ")),
            Ok(expected.to_owned()),
            "{selector}"
        );
    }
}

#[test]
fn a_wrong_selector_is_an_error_with_a_hint() {
    let nodes = example();
    for (selector, expected) in [
        (
            "",
            "error: an empty selector\n\nhint: `*` selects all nodes",
        ),
        (
            " ",
            "error: an empty selector\n\nhint: `*` selects all nodes",
        ),
        (",", "error: an empty name in selector `,`"),
        ("web1,", "error: an empty name in selector `web1,`"),
        ("web1&", "error: an empty name in selector `web1&`"),
        ("@", "error: an empty name in selector `@`"),
        ("!", "error: an empty name in selector `!`"),
        (
            "wbe1",
            "error: unknown node `wbe1`\n\nhint: did you mean `web1`?",
        ),
        (
            "web1,hree",
            "error: unknown node `hree`\n\nhint: did you mean `here`?",
        ),
        (
            "*,!hree",
            "error: unknown node `hree`\n\nhint: did you mean `here`?",
        ),
        (
            "web",
            "error: unknown node `web`\n\nhint: `web` is a group: `@web`",
        ),
        (
            "@wbe",
            "error: unknown group `wbe`\n\nhint: did you mean `@web`?",
        ),
        (
            "@box",
            "error: unknown group `box`\n\nhint: `box` is a node: select it without `@`",
        ),
        (
            "db*",
            "error: selector `db*` selects no node\n\nhint: `opsbook nodes` shows all nodes with their groups",
        ),
        (
            "web1,db*",
            "error: selector `db*` selects no node\n\nhint: `opsbook nodes` shows all nodes with their groups",
        ),
        (
            "web1,!@prod",
            "error: selector `web1,!@prod` selects no node\n\nhint: `opsbook nodes` shows all nodes with their groups",
        ),
        (
            "!web1",
            "error: selector `!web1` only excludes\n\nhint: name the nodes to exclude from: `*,!web1`",
        ),
        (
            "!web1&!here",
            "error: `!web1&!here` only excludes\n\nhint: separate exclusions by commas: `*,!web1,!web2`",
        ),
        (
            "web[1]",
            "error: `[` in selector `web[1]`\n\nhint: selectors are `web1`, `web*`, `@web`, `@web&@staging` and `!web3`, joined by commas",
        ),
    ] {
        let problem = nodes.select(selector).unwrap_err();
        assert_eq!(problem.to_string(), expected, "{selector}");
    }
}

#[test]
fn a_selector_in_a_contract_is_pointed_at_where_it_is_wrong() {
    let nodes = example();
    for (written, expected) in [
        ("\"\"", "\"\""),
        ("here,,box", "here,,box"),
        ("here,web[1]", "here,web[1]"),
        ("here,%", "%"),
        ("here, a`", "here, a`"),
        ("here,web10", "web10"),
        ("web1,@web&@nope", "nope"),
        ("here,db*", "db*"),
        ("web1,!@prod", "web1,!@prod"),
        ("*,!web1&!here", "!web1&!here"),
        ("!box", "!box"),
    ] {
        let source = Source::new("a.md", format!("nodes: {written}"));
        let selector = Spanned {
            value: written.trim_matches('"').to_owned(),
            span: Span::new(&source, 7..7 + written.len()),
        };
        let problem = nodes.select_at(&selector).unwrap_err();
        assert_eq!(problem.span.unwrap().text(), expected, "{written}");
    }
}
