//! The meaning of nodes.yaml.

use super::*;
use crate::source::Source;

mod explained;
mod refused;
mod selectors;
mod values;

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

/// Compares with a file; `OPSBOOK_BLESS=1` rewrites it.
#[track_caller]
fn exactly(name: &str, found: &str) {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let path = folder.join("tests/fixtures").join(name);
    if std::env::var_os("OPSBOOK_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(
        found,
        std::fs::read_to_string(&path).unwrap_or_default(),
        "{name}"
    );
}

#[test]
fn files_merge_by_key_and_null_removes() {
    let (nodes, problems) = nodes(&[
        "opsbook: 1\ndefaults: {a: 1, m: {x: 1, y: 2}, l: [1, 2], z: 9}\ngroups: {g: {b: 1, c: 1}, h: {}}\nnodes: {n: {groups: [g], b: 2, d: 1}, gone: {}, empty: }\n",
        "opsbook: 1\ndefaults: {a: 2, m: {x: null, z: 3}, l: [3]}\ngroups: {g: {c: null}, h: null}\nnodes: {n: {b: null, z: null}, gone: null, late: {d: 5}}\n",
    ]);
    assert_eq!(problems, "");
    assert_eq!(nodes.names().collect::<Vec<_>>(), ["n", "empty", "late"]);
    assert_eq!(nodes.group_names().collect::<Vec<_>>(), ["g"]);
    let node = nodes.evaluate("n", &[]).unwrap();
    let found: Vec<_> = explain::explain(&node, &[])
        .unwrap()
        .into_iter()
        .map(|value| {
            let place = |place: &explain::Place| {
                format!("{}/{}", place.layer, place.file.clone().unwrap_or_default())
            };
            let over: Vec<_> = value
                .overrode
                .iter()
                .map(|over| format!(" over {} {}", over.value, place(&over.origin)))
                .collect();
            format!(
                "{}={} {}{}",
                value.name,
                value.shown,
                place(&value.origin),
                over.concat()
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "a=2 defaults/nodes/1.yaml over 1 defaults/nodes/0.yaml",
            "b=1 @g/nodes/0.yaml",
            "d=1 node/nodes/0.yaml",
            "l=[3] defaults/nodes/1.yaml over [1, 2] defaults/nodes/0.yaml",
            "m_y=2 defaults/nodes/0.yaml",
            "m_z=3 defaults/nodes/1.yaml",
        ]
    );
}

#[test]
fn groups_come_after_those_they_are_in_and_each_once() {
    let (nodes, problems) = nodes(&[
        "opsbook: 1\ngroups:\n  base: {x: base}\n  a: {in: [base], x: a}\n  b: {in: [base, late], x: b}\n  late: {x: late}\nnodes: {n: {groups: [b, a, base]}}\n",
    ]);
    assert_eq!(problems, "");
    let node = nodes.evaluate("n", &[]).unwrap();
    assert_eq!(node.groups, ["base", "late", "b", "a"]);
    assert_eq!(value(&node, "x"), "a");
}

/// Evaluates a node `n` with these values.
fn evaluated(values: &str, set: &[(&str, &str)]) -> Node {
    let (nodes, problems) = nodes(&[&format!("opsbook: 1\nnodes:\n  n: {{{values}}}\n")]);
    assert_eq!(problems, "");
    let set: Vec<_> = set
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    nodes
        .evaluate("n", &set)
        .map_err(|problems| drawn(&problems))
        .unwrap()
}

#[test]
fn what_other_tools_call_it_is_not_taken_for_a_value_in_silence() {
    for (written, meant) in [
        ("ansible_host: web1", Some("address")),
        ("host: 192.0.2.7", Some("address")),
        ("hostname: '2001:db8::7'", Some("address")),
        ("ssh_port: 2222", Some("port")),
        ("bastion: jump1", Some("jump")),
        ("host: www.example.net", None),
        ("ip: 192.0.2.7", None),
    ] {
        let (_, problems) = nodes(&[&format!("opsbook: 1\nnodes: {{a: {{{written}}}}}\n")]);
        let meant = meant.map(|meant| format!("hint: did you mean `{meant}`?"));
        assert_eq!(
            problems.lines().last().unwrap_or_default(),
            meant.unwrap_or_default(),
            "{written}"
        );
    }
}
