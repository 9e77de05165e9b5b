//! Nodes and their values as shown to people.

use super::*;

/// The manual's example of three environments.
fn environments() -> Nodes {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .join("tests/fixtures/environments");
    let (nodes, problems) = load(
        &crate::files::Files::of(&root),
        &crate::manual::Settings::default(),
    );
    assert_eq!(drawn(&problems), "");
    assert_eq!(drawn(&nodes.check_all()), "");
    nodes
}

fn show_text(name: &str, names: &[&str]) -> String {
    let node = environments().evaluate(name, &[]).unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    show::text(&node, &explain::explain(&node, &names).unwrap(), false)
}

#[test]
fn every_value_of_the_example_is_explained() {
    let nodes = environments();
    exactly(
        "environments/expected/show-web2.txt",
        &show_text("web2", &[]),
    );
    exactly("environments/expected/show-db1.txt", &show_text("db1", &[]));
    exactly("environments/expected/show-box.txt", &show_text("box", &[]));
    exactly(
        "environments/expected/show-web2-limits.txt",
        &show_text("web2", &["limits", "address"]),
    );
    let node = nodes
        .evaluate("db1", &[("app_port".into(), "6432".into())])
        .unwrap();
    let values = explain::explain(&node, &[]).unwrap();
    exactly(
        "environments/expected/show-db1.json",
        &show::json(&node, &values),
    );
    exactly(
        "environments/expected/show-db1.yaml",
        &show::yaml(&node, &[]),
    );
    let (left, right) = (
        nodes.evaluate("web1-stg", &[]).unwrap(),
        nodes.evaluate("web2", &[]).unwrap(),
    );
    let differences = explain::diff(&left, &right);
    exactly(
        "environments/expected/diff.txt",
        &show::diff_text(&left, &right, &differences, false),
    );
    exactly(
        "environments/expected/diff.json",
        &show::diff_json(&left, &right, &differences),
    );
    exactly(
        "environments/expected/nodes.txt",
        &show::table_text(&explain::table(&nodes, None).unwrap().0, false),
    );
    exactly(
        "environments/expected/nodes-web.json",
        &show::table_json(&explain::table(&nodes, Some("@web&@prod")).unwrap().0),
    );
    let painted = show::text(&node, &values, true);
    assert_eq!(
        anstream::adapter::strip_str(&painted).to_string(),
        show::text(&node, &values, false)
    );
}

#[test]
fn what_a_terminal_would_not_show_is_shown_of_a_reference_too() {
    let node = evaluated(r#"a: {secret: {command: [pass, "p\t\e[2J\u202e"]}}"#, &[]);
    let values = explain::explain(&node, &[]).unwrap();
    assert_eq!(
        values[0].shown,
        "secret (command pass p \u{fffd}[2J\u{fffd})"
    );
}

#[test]
fn the_manual_shows_the_example_as_it_is() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let page = std::fs::read_to_string(root.join("manual/nodes.md")).unwrap();
    let folder = root.join("tests/fixtures/environments");
    for name in [
        "nodes/00-base.yaml",
        "nodes/10-environments.yaml",
        "nodes/20-nodes.yaml",
        "expected/nodes.txt",
        "expected/show-web2.txt",
        "expected/show-db1.txt",
        "expected/diff.txt",
    ] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(page.contains(&format!(" example\n{text}```\n")), "{name}");
    }
}
