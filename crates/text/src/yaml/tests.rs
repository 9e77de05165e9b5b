//! What is read and what is refused, each error as drawn.

use super::*;
use crate::source::{Passage, Problem, Source};

fn read_text(text: &str) -> (Option<Yaml>, Vec<Problem>) {
    read(&Passage::whole(&Source::new("a.yaml", text)))
}

fn drawn(text: &str) -> String {
    let (_, problems) = read_text(text);
    let drawn: Vec<_> = problems.iter().map(ToString::to_string).collect();
    drawn.join("\n\n")
}

fn sound(text: &str) -> Yaml {
    let (yaml, problems) = read_text(text);
    assert_eq!(format!("{problems:?}"), "[]", "{text}");
    yaml.expect("a document")
}

#[test]
fn every_value_and_key_knows_its_bytes() {
    let root = sound("é: [ü, {b: 'q''s'}]\n日本:\n  - x: |\n      one\n  -\nz: 0644\n");
    let map = root.as_map().unwrap();
    assert_eq!(map["é"].key.text(), "é");
    let list = map["é"].value.as_seq().unwrap();
    assert_eq!(map["é"].value.span.text(), "[ü, {b: 'q''s'}]");
    assert_eq!(list[0].span.text(), "ü");
    assert_eq!(list[1].span.text(), "{b: 'q''s'}");
    assert_eq!(list[1].get("b").unwrap().text(), Some("q's"));
    assert_eq!(map["日本"].key.text(), "日本");
    let list = map["日本"].value.as_seq().unwrap();
    assert_eq!(list[0].get("x").unwrap().text(), Some("one\n"));
    assert!(list[1].is_null());
    assert_eq!(map["z"].value.span.place(), "a.yaml:6");
    assert_eq!(map["z"].value.value, Value::Int(644, "0644".to_owned()));
    assert_eq!(root.span.start, 0);
}

#[test]
fn a_block_in_an_indented_list_points_at_the_page() {
    let page = Source::new(
        "manual/a.md",
        "1. x\n   ```yaml\n   ü: 1\n   b: yes\n   ```\n",
    );
    let mut block = Passage::default();
    block.push("ü: 1\n", &page, 19);
    block.push("b: yes\n", &page, 28);
    let (root, problems) = read(&block);
    assert!(problems.is_empty());
    let root = root.unwrap();
    let problem = root.get("b").unwrap().expect_bool().unwrap_err();
    assert_eq!(
        problem.to_string(),
        "manual/a.md:4:7: error: expected `true` or `false`, found text `yes`\n  |\n4 |    b: yes\n  |       ^^^\n\nhint: write `true`"
    );
}

#[test]
fn line_ends_and_byte_order_marks_do_not_move_places() {
    let root = sound("\u{feff}a: 1\r\nü:\r\n  c: [x, y]\r\n");
    let c = root.get("ü").unwrap().get("c").unwrap();
    assert_eq!(c.span.text(), "[x, y]");
    assert_eq!(c.span.place(), "a.yaml:3");
}

#[test]
fn nothing_is_read_from_nothing() {
    for text in ["", "\n\n", "# only a comment\n"] {
        assert_eq!(read_text(text).0, None, "{text:?}");
        assert!(read_text(text).1.is_empty());
    }
    assert!(read(&Passage::default()).0.is_none());
    assert!(sound("---\n").is_null());
}

#[test]
fn a_duplicate_key_is_drawn_with_both_places() {
    assert_eq!(
        drawn("a: 1\nb: 2\na: 3\n"),
        "a.yaml:3:1: error: duplicate key `a`\n  |\n3 | a: 3\n  | ^\na.yaml:1:1: first defined here\n  |\n1 | a: 1\n  | ^"
    );
    let (root, _) = read_text("a: 1\nb: 2\na: 3\n");
    assert_eq!(root.unwrap().get("a").unwrap().text(), Some("1"));
}

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Site {
    name: String,
    mode: Option<String>,
    port: u16,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Plain,
    Limit(u32),
}

#[test]
fn types_take_texts_as_they_were_written() {
    let yaml = sound("name: 1.10\nmode: 0644\nport: 80\nkind: {limit: 3}\ntags: [NO, 0x1]\n");
    assert_eq!(
        typed::<Site>(&yaml).unwrap(),
        Site {
            name: "1.10".into(),
            mode: Some("0644".into()),
            port: 80,
            kind: Kind::Limit(3),
            tags: vec!["NO".into(), "0x1".into()],
        }
    );
}

#[test]
fn wrong_types_are_drawn_at_the_value() {
    for (text, expected) in [
        (
            "name: a\nprot: 1\n",
            "a.yaml:2:1: error: unknown key `prot`\n  |\n2 | prot: 1\n  | ^^^^\n\nhint: did you mean `port`?",
        ),
        (
            "name: a\nport: http\n",
            "a.yaml:2:7: error: expected u16, found text `http`\n  |\n2 | port: http\n  |       ^^^^",
        ),
        (
            "name: a\nport: 70000\n",
            "a.yaml:2:7: error: invalid value: integer `70000`, expected u16\n  |\n2 | port: 70000\n  |       ^^^^^",
        ),
        (
            "name: a\n",
            "a.yaml:1:1: error: `port` is missing\n  |\n1 | name: a\n  | ^^^^^^^",
        ),
        (
            "name: [a]\nport: 1\n",
            "a.yaml:1:7: error: expected text, found a list\n  |\n1 | name: [a]\n  |       ^^^",
        ),
        (
            "name: a\nport: 1\ntags:\n- b\n- {c: 1}\n",
            "a.yaml:5:3: error: expected text, found a map\n  |\n5 | - {c: 1}\n  |   ^^^^^^",
        ),
        (
            "name: a\nport: 1\nkind: plian\n",
            "a.yaml:3:7: error: expected one of `plain`, `limit`, found `plian`\n  |\n3 | kind: plian\n  |       ^^^^^\n\nhint: did you mean `plain`?",
        ),
        (
            "name: a\nport: 1\nkind: limit\n",
            "a.yaml:3:7: error: `limit` needs a value\n  |\n3 | kind: limit\n  |       ^^^^^",
        ),
    ] {
        let problem = typed::<Site>(&sound(text)).unwrap_err();
        assert_eq!(problem.to_string(), expected);
    }
}

#[test]
fn what_is_written_reads_back_as_the_same_texts() {
    let text = "a: 0644\nb: 1.10\nc: NO\nd: \"0644\"\ne: ''\nf: null\ng: [1, 2.5, true, .inf]\nh: {x: \"a\\nb\", 'y z': ' '}\ni: 2027-01-31\nj: '5'\n";
    let first = sound(text);
    let second = sound(&to_yaml(&first));
    assert_eq!(texts(&first), texts(&second));
    assert_eq!(
        to_json(&first).to_string(),
        r#"{"a":"0644","b":"1.10","c":"NO","d":"0644","e":"","f":null,"g":[1,2.5,true,".inf"],"h":{"x":"a\nb","y z":" "},"i":"2027-01-31","j":"5"}"#
    );
}

#[test]
fn what_ends_a_line_elsewhere_is_text() {
    let text = "a: {\"b\\L\": [\"c\\u2029 d\", \"\\N\", 1]}\n";
    let first = sound(text);
    let second = sound(&to_yaml(&first));
    assert_eq!(texts(&first), texts(&second));
    let Value::Map(map) = &first.value else {
        panic!("a map");
    };
    assert_eq!(
        entry_to_yaml("a", &map["a"].value),
        "\"a\": {\"b\\u2028\":[\"c\\u2029 d\",\"\\u0085\",1]}\n"
    );
}

fn texts(yaml: &Yaml) -> Vec<String> {
    match &yaml.value {
        Value::Seq(values) => values.iter().flat_map(texts).collect(),
        Value::Map(map) => map
            .iter()
            .flat_map(|(key, entry)| std::iter::once(key.clone()).chain(texts(&entry.value)))
            .collect(),
        _ => vec![yaml.text().unwrap_or_default().to_owned()],
    }
}

/// Texts that are refused, completely or in part.
const REFUSED: [&str; 35] = [
    "a: 1\nb: 2\na: 3\n",
    "a: {b: 1, b: 2, b: 3}\n",
    "a: &x 1\nb: *x\n",
    "a: &x\n  k: v\n",
    "&x a: &y 1\n",
    "a: !!str 5\nb: !inc {x: 1}\nc: !<tag:x> [1]\n",
    "a: !t &x v\nb: &z !u w\n",
    "a:\n  <<: {b: 1}\n  c: 2\n",
    "? [a, b]\n: 3\n? {c: 1}\n: 4\nd: 5\n",
    "a: 1\n---\nb: 2\n---\nc: 3\n",
    "a: 1\n...\nb: 2\n",
    "a:\n\tb: 1\n",
    "a: \"x\n\ty\"\n",
    "a: 'never\nb: 3\n",
    "a: \"never",
    "a: {b: [1, 2}\n",
    "a: {b\n",
    "a: [1, 2\nb: 3\n",
    "a: @x\n",
    "a: `x`\n",
    "a: %x\n",
    "a: b: c\n",
    "a: *nope\n",
    "a: 1\n b: 2\n",
    "a:\n  b: 1\n c: 2\n",
    "- a\nb: c\n",
    "a: x\u{0}y\n",
    ": 1\n",
    "a: \"\\q\"\n",
    "a: \"x\" y\n",
    "a: 'it's'\n",
    "a: - b\n",
    "a:b\nc: d\n",
    "日本: 1\n日本: 'ü\n",
    "a:\n- b\n  c\n- d: [e: f: g]\n",
];

#[test]
fn what_is_refused_is_drawn() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/yaml/refused.txt"
    );
    let found: Vec<_> = REFUSED
        .iter()
        .map(|text| format!("{}\n{}\n\n----\n", text.escape_debug(), drawn(text)))
        .collect();
    let found = found.concat();
    if std::env::var_os("OPSBOOK_BLESS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(path).unwrap_or_default());
}

#[test]
fn what_is_sound_is_kept_beside_what_is_refused() {
    let (root, problems) =
        read_text("a: &x 1\nb: *x\nc: {d: 1, d: 2}\n? [k]\n: 1\ne: !t f\ng: h\n");
    assert_eq!(problems.len(), 5);
    let root = root.unwrap();
    let keys: Vec<_> = root.as_map().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["a", "b", "c", "e", "g"]);
    assert_eq!(root.get("c").unwrap().get("d").unwrap().text(), Some("1"));
    assert_eq!(root.get("e").unwrap().text(), Some("f"));
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("{}x{}", "[".repeat(levels), "]".repeat(levels));
    assert!(read_text(&nested(MAX_DEPTH)).1.is_empty());
    for levels in [MAX_DEPTH + 1, 200, 20_000, 1_000_000] {
        let (_, problems) = read_text(&nested(levels));
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        assert!(codes.contains(&"yaml-too-deep"), "{levels}: {problems:?}");
    }
    let blocks: Vec<_> = (0..2_000)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    assert_eq!(read_text(&blocks.concat()).1[0].code, "yaml-too-deep");
    // The part that is not too deep is kept.
    let (root, _) = read_text(&format!("a: {}\nb: 1\n", nested(MAX_DEPTH)));
    assert_eq!(root.unwrap().get("b").unwrap().text(), Some("1"));
}

#[test]
fn size_and_number_are_bounded() {
    let code = |text: &str| {
        let (root, problems) = read_text(text);
        assert!(root.is_none());
        problems.last().unwrap().code
    };
    assert_eq!(code(&"x".repeat(MAX_BYTES + 1)), "yaml-too-large");
    assert_eq!(
        code(&format!("[{}]", "1,".repeat(MAX_VALUES + 2))),
        "yaml-too-many-values"
    );
    assert_eq!(code(&"- !a b\n".repeat(1_000)), "yaml-too-many-problems");
    let laughs: Vec<_> = (1..40)
        .map(|level| format!("x{level}: &x{level} [*x{0}, *x{0}, *x{0}]\n", level - 1))
        .collect();
    assert_eq!(
        code(&format!("x0: &x0 lol\n{}", laughs.concat())),
        "yaml-too-many-problems"
    );
}

#[test]
fn places_are_found_in_linear_time() {
    // Quadratic work would take minutes here.
    let lines: Vec<_> = (0..50_000)
        .map(|line| format!("ü{line}: ['日本', ü]\n"))
        .collect();
    let root = sound(&lines.concat());
    let map = root.as_map().unwrap();
    let last = &map[map.len() - 1].value.as_seq().unwrap()[0];
    assert_eq!((last.span.text(), last.span.line()), ("'日本'", 50_000));
}

/// Each alias counts as its value, so few lines cannot become many values.
#[test]
fn anchors_are_copies_that_count() {
    let read = |text: &str| read_with_anchors(&Passage::whole(&Source::new("a.yaml", text)));
    let (yaml, problems) = read("a: &x {p: 1, q: [2]}\nb: {<<: *x, p: 3}\nc: [*x, *x]\n");
    assert!(problems.is_empty(), "{problems:?}");
    let json = to_json(&yaml.unwrap()).to_string();
    assert_eq!(
        json,
        r#"{"a":{"p":1,"q":[2]},"b":{"p":3,"q":[2]},"c":[{"p":1,"q":[2]},{"p":1,"q":[2]}]}"#
    );
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut deep = "a0: &a0 [x]\n".to_owned();
    for n in 1..40 {
        let of = format!("*a{}", n - 1);
        laughs += &format!("a{n}: &a{n} [{}]\n", [of.as_str(); 10].join(", "));
        deep += &format!("a{n}: &a{n} [{of}]\n");
    }
    for (text, expected) in [
        (laughs.as_str(), "more than 400000 values"),
        (&deep, "nested deeper than 32 levels"),
        ("a: *b\n", "an alias to an anchor that does not exist"),
        ("a: &x {b: *x}\n", "anchors are not supported"),
    ] {
        let (_, problems) = read(text);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{problems:?}"
        );
    }
}
