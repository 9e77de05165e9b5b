use super::{ExpectKind, Interpolated, Mismatch, flaws};

fn decide(expected: &str, kind: ExpectKind, found: &[u8]) -> Result<(), Mismatch> {
    super::decide(&Interpolated::read(expected), kind, found)
}

/// Decides with `value` for `${a}`.
fn with_value(expected: &str, kind: ExpectKind, value: &str, found: &str) -> bool {
    let expected = Interpolated::read(expected).fill(|_| Some(value.to_owned()));
    super::decide(&expected, kind, found.as_bytes()).is_ok()
}

#[test]
fn a_value_is_text_whatever_stands_in_it() {
    let text = |expected, value, found| with_value(expected, ExpectKind::Text, value, found);
    assert!(!text("${a}", "...", "anything"));
    assert!(text("${a}", "...", "..."));
    assert!(!text("v${a}", "[..]", "vx"));
    assert!(text("v${a}[..]", "[..]", "v[..]x"));
    assert!(text("${a}", "x\ny", "x\ny"));
    assert!(text("...\n${a}", "x", "y\nx"));
    let regex = |expected, value, found| with_value(expected, ExpectKind::Regex, value, found);
    assert!(!regex("v${a}", "1.2", "v1x2"));
    assert!(regex("v${a}.*", "1.2", "v1.2-rc"));
    let json = |expected, value, found| with_value(expected, ExpectKind::Json, value, found);
    assert!(!json(r#"{"v": "${a}"}"#, "[..]", r#"{"v": "x"}"#));
    assert!(!json(
        r#"{"v": "${a}"}"#,
        r#"x", "w": "y"#,
        r#"{"v": "x", "w": "y"}"#
    ));
    assert!(json(r#"{"v": "${a}"}"#, r#"x"y"#, r#"{"v": "x\"y"}"#));
    assert!(json(r#"{"v": ${a}}"#, "80", r#"{"v": 80, "w": 1}"#));
    assert!(!json(
        r#"{"v": ${a}}"#,
        r#"80, "w": 1"#,
        r#"{"v": 80, "w": 1}"#
    ));
}

fn text(expected: &str, found: &str) -> String {
    drawn(decide(expected, ExpectKind::Text, found.as_bytes()))
}

fn json(expected: &str, found: &str) -> String {
    drawn(decide(expected, ExpectKind::Json, found.as_bytes()))
}

fn drawn(result: Result<(), Mismatch>) -> String {
    result.map_or_else(|mismatch| mismatch.to_string(), |()| "holds".to_owned())
}

#[test]
fn text_holds_or_names_the_first_difference() {
    for (expected, found, outcome) in [
        ("35\n", "35\n", "holds"),
        ("35\n", "35", "holds"),
        ("35  \n\n", "35\t\r\n\n\n", "holds"),
        ("", "", "holds"),
        (
            "",
            "x",
            "the output has more text from line 1 on\n  expected: (nothing more)\n  found:    x",
        ),
        (
            "35\n",
            "0\n",
            "line 1 differs\n  expected: 35\n  found:    0",
        ),
        (
            "a\nb\n",
            "a\n",
            "the output ends before line 2\n  expected: b\n  found:    (nothing)",
        ),
        (
            "a\n",
            "a\nb\n",
            "the output has more text from line 2 on\n  expected: (nothing more)\n  found:    b",
        ),
        (" a", "a", "line 1 differs\n  expected:  a\n  found:    a"),
        (
            "replication lag: 0s",
            "replication lag: 9000s",
            "line 1 differs\n  expected: replication lag: 0s\n  found:    replication lag: 9000s",
        ),
        ("...", "", "holds"),
        ("...", "a\nb", "holds"),
        ("a\n...\n", "a", "holds"),
        ("a\n...\nc", "a\nb\nb\nc", "holds"),
        (
            "a\n...\nc",
            "a\nc\nb",
            "expected line 3 does not match the last line of the output\n  expected: c\n  found:    b",
        ),
        (
            "...\nb\nc\n...\nb\nd\n...",
            "b\nb\nc\nb\nc\nb\nd\nx",
            "holds",
        ),
        (
            "...\nb\nd\n...",
            "b\nc\nb",
            "expected line 3 was not found in the 3 remaining lines of output\n  expected: d\n  found:    (nothing)",
        ),
        (
            "a\n...\na",
            "a",
            "expected line 3 was not found in the 0 remaining lines of output\n  expected: a\n  found:    (nothing)",
        ),
        ("up [..] days, load [..]", "up 3 days, load 0.1", "holds"),
        (
            "[..]a[..]a",
            "a",
            "line 1 differs\n  expected: [..]a[..]a\n  found:    a",
        ),
        (
            "[..]",
            "",
            "the output ends before line 1\n  expected: [..]\n  found:    (nothing)",
        ),
        (
            "x[..]x",
            "x",
            "line 1 differs\n  expected: x[..]x\n  found:    x",
        ),
    ] {
        assert_eq!(
            text(expected, found),
            outcome,
            "{expected:?} against {found:?}"
        );
    }
}

#[test]
fn output_that_is_not_utf8_is_compared_all_the_same() {
    assert_eq!(
        drawn(decide("a[..]", ExpectKind::Text, b"a\xff\xfe")),
        "holds"
    );
}

#[test]
fn regular_expressions_match_whole_lines() {
    let regex =
        |expected: &str, found: &str| drawn(decide(expected, ExpectKind::Regex, found.as_bytes()));
    assert_eq!(regex(r"3\d", "35"), "holds");
    assert_eq!(regex(r"v\d+|dev", "v12"), "holds");
    assert_eq!(
        regex(r"3\d", "350"),
        "line 1 differs\n  expected: 3\\d\n  found:    350"
    );
    assert_eq!(regex("a.\n...\nc", "ab\nx\ny\nc"), "holds");
    assert_eq!(
        regex("(", "x"),
        "expected line 1: not a regular expression: unclosed group\n  expected: (\n  found:    (nothing)"
    );
    assert_eq!(
        flaws("ok\n(\n${version}\\d\n", ExpectKind::Regex),
        [(3..4, "not a regular expression: unclosed group".to_owned())]
    );
}

#[test]
fn json_is_a_subset() {
    for (expected, found, outcome) in [
        (r#"{"a":1}"#, r#"{"b":2,"a":1.0}"#, "holds"),
        (r#"{"a":{"b":[2]}}"#, r#"{"a":{"b":[1,2,3]}}"#, "holds"),
        (r#"{"v":"1.[..]"}"#, r#"{"v":"1.22"}"#, "holds"),
        (
            r#"{"a":{"b":2}}"#,
            r#"{"a":{"b":3}}"#,
            "`a.b` differs\n  expected: 2\n  found:    3",
        ),
        (
            r#"{"a":{"c":2}}"#,
            r#"{"a":{"b":3}}"#,
            "`a.c` is missing\n  expected: 2\n  found:    (nothing)",
        ),
        (
            r#"[{"n":"x"},{"n":"y"}]"#,
            r#"[{"n":"y"},{"n":"x"}]"#,
            "`[1]` is missing\n  expected: {\"n\":\"y\"}\n  found:    (nothing)",
        ),
        (
            r#"[{"n":"x"}]"#,
            r#"[{"n":"y"}]"#,
            "`[0].n` differs\n  expected: \"x\"\n  found:    \"y\"",
        ),
        (
            "true",
            "false",
            "the value differs\n  expected: true\n  found:    false",
        ),
        (
            "1",
            "oops\nno",
            "the output is not JSON: expected value at line 1 column 1\n  expected: JSON\n  found:    oops",
        ),
        (
            "{",
            "1",
            "the expectation is not JSON: EOF while parsing an object at line 1 column 1",
        ),
    ] {
        assert_eq!(json(expected, found), outcome, "{expected} against {found}");
    }
    assert_eq!(flaws("{\n  x\n}", ExpectKind::Json).len(), 1);
    assert_eq!(flaws("{\"a\": ${n}}", ExpectKind::Json), []);
}

#[test]
fn repeated_lines_and_gaps_take_linear_time() {
    let found = "a\n".repeat(200_000);
    let expected = format!("...\n{}b\n...\nc", "a\n".repeat(2_000));
    let started = std::time::Instant::now();
    assert!(decide(&expected, ExpectKind::Text, found.as_bytes()).is_err());
    let line = "a".repeat(200_000);
    let gaps = "[..]a".repeat(10_000) + "b";
    assert!(decide(&gaps, ExpectKind::Text, line.as_bytes()).is_err());
    // A backtracking matcher would take days.
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_tab_is_what_a_terminal_shows_and_empty_lines_around_all_are_none() {
    for (expected, found, outcome) in [
        ("35\n", "\n\n35\n", "holds"),
        ("\n35\n", "35\n", "holds"),
        ("     1  a\nb       c", "     1\ta\nb\tc\n", "holds"),
        (
            "1 2",
            "1\t2",
            "line 1 differs\n  expected: 1 2\n  found:    1       2",
        ),
        ("a\tb", "a\tb", "holds"),
        (
            "a\tb",
            "a       b",
            "line 1 differs\n  expected: a\tb\n  found:    a       b",
        ),
    ] {
        assert_eq!(
            text(expected, found),
            outcome,
            "{expected:?} against {found:?}"
        );
    }
}
