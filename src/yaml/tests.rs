//! What is read and what is refused, each refusal as it is drawn.

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
