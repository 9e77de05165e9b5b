//! Matchers, decided without facts: `matching` has its content in the manual.

use super::*;

#[track_caller]
fn holds(check: &str, expected: bool) {
    let decision = one(check).decide(&Facts::default());
    assert_eq!(
        decision == Decision::Holds,
        expected,
        "{check}: {decision:?}"
    );
}

/// The examples of goss's documentation.
#[test]
fn matchers_mean_what_they_mean_in_goss() {
    for (content, matches, expected) in [
        ("foo", "foo", true),
        ("foo", "bar", false),
        (
            "42",
            "{and: ['42', {have-prefix: '4'}, {have-suffix: '2'}, {match-regexp: '\\d{2}'}, {contain-substring: '2'}]}",
            true,
        ),
        ("'42'", "{and: [42, 42.0, {gt: 40}, {lt: 45}]}", true),
        ("'128.3'", "{and: [128.3, {le: 129}, {gt: 120.2}]}", true),
        (
            "[foo, bar, moo]",
            "{and: [{contain-elements: [foo, bar]}, [foo, bar], {equal: [foo, bar, moo]}, {consist-of: [foo, {have-prefix: m}, bar]}, {contain-element: {have-prefix: b}}]}",
            true,
        ),
        ("[foo, bar, moo]", "{equal: [bar, foo, moo]}", false),
        ("[foo, bar, moo]", "{consist-of: [foo, bar]}", false),
        ("[group1, group2]", "[group1, group2, group2]", false),
        (
            "['45', '46', '47']",
            "[{contain-element: {match-regexp: '4.'}}]",
            true,
        ),
        (
            "['45', '46', '47']",
            "[{match-regexp: '4.'}, '45', {and: [{ge: 46}, {le: 50}]}]",
            true,
        ),
        ("[2]", "{contain-element: 2}", true),
        ("{foo: bar, baz: bing}", "{and: [{have-key: baz}]}", true),
        ("{foo: bar}", "{not: {have-key: baz}}", true),
        (
            "{foo: bar}",
            "{have-key-with-value: {foo: {have-prefix: b}}}",
            true,
        ),
        ("{foo: bar}", "{have-key-with-value: {foo: c}}", false),
        (
            "[1.0.1, 1.9.9]",
            "{semver-constraint: '>1.0.0 <2.0.0 !=1.5.0'}",
            true,
        ),
        (
            "[1.0.1, 1.5.0, 1.9.9]",
            "{not: {semver-constraint: '>1.0.0 <2.0.0 !=1.5.0'}}",
            true,
        ),
        ("abc", "{have-len: 3}", true),
        ("[a, b]", "{have-len: 3}", false),
        ("abc", "{or: [{have-len: 9}, {have-suffix: c}]}", true),
        ("abc", "{or: [{gt: 9}, {lt: 9}]}", false),
        ("abc", "{not: {gt: 9}}", false),
        ("true", "true", true),
        ("'true'", "true", false),
        (
            "'{\"foo\": \"bar\", \"moo\": {\"nested\": \"cow\"}, \"count\": \"15\"}'",
            "{gjson: {moo.nested: cow, foo: {have-prefix: b}, count: {le: 25}, '@this': {have-key: foo}, moo: {and: [{have-key: nested}, {not: {have-key: nested2}}]}}}",
            true,
        ),
        ("'{\"a\": 1}'", "{gjson: {b: 1}}", false),
        ("no json", "{not: {gjson: {b: 1}}}", false),
        (
            "\"x\\nfoo y\\n\"",
            "{have-patterns: [foo, '!bar', '/^x$/']}",
            true,
        ),
        ("\"a\\nb\"", "{contain-elements: [a, {not: c}]}", true),
    ] {
        let check = format!("matching: {{x: {{content: {content}, matches: {matches}}}}}");
        holds(&check, expected);
    }
}

#[test]
fn a_list_is_patterns_wherever_the_text_has_many_lines() {
    for (matches, expected) in [
        ("[foo, '!bar']", true),
        ("{not: [foo, '!bar']}", false),
        ("{not: [bar]}", true),
        (
            "{and: [[foo], {not: [bar]}, {contain-element: foo y}]}",
            true,
        ),
        ("{contain-elements: [foo]}", false),
        ("{contain-elements: [foo y, x]}", true),
        ("[{have-prefix: foo}, x]", true),
        ("{consist-of: [x, foo y, '']}", true),
    ] {
        let check = format!(
            "matching: {{x: {{as-reader: true, content: \"x\\nfoo y\\n\", matches: {matches}}}}}"
        );
        holds(&check, expected);
    }
}

#[test]
fn matchers_that_are_wrong_are_refused() {
    for (matches, expected) in [
        ("{xml: {xpath: a}}", "the matcher `xml` is not supported"),
        (
            "{match-regexp: '('}",
            "`(` is not a valid regular expression: unclosed group",
        ),
        ("{semver-constraint: '>1'}", "`1` is not a semantic version"),
        ("{have-len: x}", "`have-len` takes a number"),
        ("{gt: x}", "`gt` takes a number"),
        ("{and: x}", "`and` takes a list"),
        ("{and: []}", "an empty list in `matches` asserts nothing"),
        (
            "{contain-element: [a]}",
            "`contain-element` takes one value or matcher; `contain-elements` takes a list",
        ),
        ("{}", "an empty map asserts nothing"),
        ("{gjson: x}", "`gjson` takes a map"),
        (
            "{have-patterns: ['/(/']}",
            "`(` is not a valid regular expression: unclosed group",
        ),
        ("~", "`matches` has no value"),
    ] {
        let check = format!("matching:\n  x: {{content: a, matches: {matches}}}\n");
        let drawn = understand(&check).unwrap_err();
        let message = drawn
            .lines()
            .next()
            .unwrap()
            .split("error: ")
            .nth(1)
            .unwrap();
        assert_eq!(message, expected, "{check}");
    }
}
