//! What nodes.yaml means, and every refusal as it is drawn.

use super::*;
use crate::source::Source;

const EXAMPLE: &str = "\
opsbook: 1
defaults:
  user: ops
  domain: example.net
  address: ${node}.${domain}
  log: /var/log/${app}
groups:
  web:     {app_port: 8000}
  staging: {domain: stg.example.net, rehearse: true}
  prod:    {domain: prod.example.net, confirm: step, batch: 1}
  prod-eu: {in: [prod], region: eu}
nodes:
  web1-stg: {groups: [web, staging]}
  web1:     {groups: [web, prod-eu], app_port: 8443}
  here:     {transport: local}
  box:      {transport: {exec: [docker, exec, -i, box, sh]}}
";

fn nodes(files: &[&str]) -> (Nodes, String) {
    let sources: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(index, text)| Source::new(format!("nodes/{index}.yaml"), *text))
        .collect();
    let (nodes, problems) = parse(&sources);
    (nodes, drawn(&problems))
}

fn example() -> Nodes {
    let (nodes, problems) = nodes(&[EXAMPLE]);
    assert_eq!(problems, "");
    nodes
}

fn drawn(problems: &[Problem]) -> String {
    let drawn: Vec<_> = problems.iter().map(ToString::to_string).collect();
    drawn.join("\n\n")
}

fn value(node: &Node, name: &str) -> String {
    node.values[name].value.text().unwrap_or("-").to_owned()
}

#[test]
fn later_layers_win_and_say_what_they_overrode() {
    let node = example().evaluate("web1", &[]).unwrap();
    assert_eq!(node.groups, ["web", "prod", "prod-eu"]);
    assert_eq!(value(&node, "app_port"), "8443");
    assert_eq!(value(&node, "address"), "web1.prod.example.net");
    let origin = |name: &str| {
        let value = &node.values[name];
        let place = |origin: &Origin| {
            let span = origin.span.as_ref().map(Span::place).unwrap_or_default();
            format!("{} {span}", origin.layer)
        };
        let overrode: Vec<_> = value.overrode.iter().map(place).collect();
        (place(&value.origin), overrode.join(", "))
    };
    assert_eq!(
        origin("app_port"),
        ("node nodes/0.yaml:14".into(), "@web nodes/0.yaml:8".into())
    );
    assert_eq!(
        origin("domain"),
        (
            "@prod nodes/0.yaml:10".into(),
            "defaults nodes/0.yaml:4".into()
        )
    );
    assert_eq!(
        origin("region"),
        ("@prod-eu nodes/0.yaml:11".into(), String::new())
    );
    assert_eq!(
        node.values["address"].written.as_deref(),
        Some("${node}.${domain}")
    );
    assert_eq!(node.confirm, Some(Confirm::Step));
    let Transport::Ssh(ssh) = node.transport else {
        panic!()
    };
    assert_eq!(
        (ssh.host.as_str(), ssh.user.as_deref()),
        ("web1.prod.example.net", Some("ops"))
    );
}

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
    for (selector, expected) in [
        ("", "error: an empty selector\n\nhint: all nodes are `*`"),
        (" ", "error: an empty selector\n\nhint: all nodes are `*`"),
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
            "error: unknown group `box`\n\nhint: `box` is a node, and selected without `@`",
        ),
        ("db*", "error: selector `db*` selects no node"),
        ("web1,db*", "error: selector `db*` selects no node"),
        (
            "web1,!@prod",
            "error: selector `web1,!@prod` selects no node",
        ),
        (
            "!web1",
            "error: selector `!web1` only excludes\n\nhint: say what to exclude from: `*,!web1`",
        ),
        (
            "!web1&!here",
            "error: `!web1&!here` only excludes\n\nhint: separate exclusions by commas: `*,!web1,!web2`",
        ),
        (
            "web[1]",
            "error: `[` in selector `web[1]`\n\nhint: a selector is `web1`, `web*`, `@web`, `@web&@staging` or `!web3`, joined by commas",
        ),
    ] {
        let problem = nodes.select(selector).unwrap_err();
        assert_eq!(problem.to_string(), expected, "{selector}");
    }
}

/// The example of three environments, as the manual shows it.
fn environments() -> Nodes {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/environments");
    let (nodes, problems) = load(&root, &crate::manual::Settings::default());
    assert_eq!(drawn(&problems), "");
    assert_eq!(drawn(&nodes.check_all()), "");
    nodes
}

/// Compares with a file; `OPSBOOK_BLESS=1` writes it anew.
#[track_caller]
fn exactly(name: &str, found: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = folder
        .join("tests/fixtures/environments/expected")
        .join(name);
    if std::env::var_os("OPSBOOK_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(
        found,
        std::fs::read_to_string(&path).unwrap_or_default(),
        "{name}"
    );
}

fn show_text(name: &str, names: &[&str]) -> String {
    let node = environments().evaluate(name, &[]).unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    show::text(&node, &explain::explain(&node, &names).unwrap(), false)
}

#[test]
fn every_value_of_the_example_is_explained() {
    let nodes = environments();
    exactly("show-web2.txt", &show_text("web2", &[]));
    exactly("show-db1.txt", &show_text("db1", &[]));
    exactly("show-box.txt", &show_text("box", &[]));
    exactly(
        "show-web2-limits.txt",
        &show_text("web2", &["limits", "address"]),
    );
    let node = nodes
        .evaluate("db1", &[("app_port".into(), "6432".into())])
        .unwrap();
    let values = explain::explain(&node, &[]).unwrap();
    exactly("show-db1.json", &show::json(&node, &values));
    exactly("show-db1.yaml", &show::yaml(&node, &[]));
    let (left, right) = (
        nodes.evaluate("web1-stg", &[]).unwrap(),
        nodes.evaluate("web2", &[]).unwrap(),
    );
    let differences = explain::diff(&left, &right);
    exactly(
        "diff.txt",
        &show::diff_text(&left, &right, &differences, false),
    );
    exactly("diff.json", &show::diff_json(&left, &right, &differences));
    exactly(
        "nodes.txt",
        &show::table_text(&explain::table(&nodes, None).unwrap(), false),
    );
    exactly(
        "nodes-web.json",
        &show::table_json(&explain::table(&nodes, Some("@web&@prod")).unwrap()),
    );
    let painted = show::text(&node, &values, true);
    assert_eq!(
        anstream::adapter::strip_str(&painted).to_string(),
        show::text(&node, &values, false)
    );
}
