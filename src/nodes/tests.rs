//! What nodes.yaml means, and every refusal as it is drawn.

use super::*;
use crate::manual::Spanned;
use crate::source::{Source, Span};

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
        &show::table_text(&explain::table(&nodes, None).unwrap(), false),
    );
    exactly(
        "environments/expected/nodes-web.json",
        &show::table_json(&explain::table(&nodes, Some("@web&@prod")).unwrap()),
    );
    let painted = show::text(&node, &values, true);
    assert_eq!(
        anstream::adapter::strip_str(&painted).to_string(),
        show::text(&node, &values, false)
    );
}

/// Files that are refused as they are read.
const REFUSED_FILES: [&str; 11] = [
    "opsbook: 1\nnodes:\n  a: {groups: [wbe]}\ngroups: {web: {}, db: {in: wep}}\n",
    "opsbook: 2\nnodse: {}\n",
    "nodes: {a: }\n",
    "- a\n",
    "opsbook: 1\nnodes: [a]\ngroups: 5\ndefaults: x\n",
    "opsbook: 1\nnodes: {a: 5, b: [x], 'a b': {}, -x: {}, '': {}}\n",
    "opsbook: 1\ngroups:\n  a: {in: [b]}\n  b: {in: [c]}\n  c: {in: a}\n  d: {in: d}\n",
    "opsbook: 1\ndefaults: {groups: [x], in: y}\ngroups: {g: {groups: [g]}}\nnodes: {n: {in: [g]}}\n",
    "opsbook: 1\nnodes:\n  a: {transport: loacl}\n  b: {transport: telnet}\n  c: {transport: exec}\n  d: {transport: {exec: sh}}\n  e: {transport: {exec: []}}\n  f: {transport: {exce: [sh]}}\n  g: {transport: [ssh]}\n",
    "opsbook: 1\nnodes:\n  a: {App-Port: 1, node: x, run_id: 5, trasport: local, 9x: 1}\n",
    "opsbook: 1\ngroups: {g: {}}\nnodes: {a: {groups: [g, g]}, b: {groups: {g: 1}}, c: {groups: [[g]]}}\n",
];

/// Nodes that are refused when they are evaluated, and an argument where one is given.
const REFUSED_NODES: [(&str, &str); 21] = [
    ("a: {x: '${y}', y: '${z}', z: '${x}'}", ""),
    ("a: {x: '${x}'}", ""),
    ("a: {x: '${Foo} ${y'}", ""),
    (
        "a: {x: '${l} ${m} ${s}', l: [1], m: {k: v}, s: {secret: {env: X}}}",
        "",
    ),
    ("a: {address: '${nope}'}", ""),
    ("a: {prot: 1, address: '${port}'}", ""),
    ("a: {address: '${run_id}'}", ""),
    ("a: {port: http}", ""),
    ("a: {port: 0}", ""),
    ("a: {address: -oProxyCommand=x, user: 'a b', jump: [x]}", ""),
    ("a: {rehearse: yes, confirm: maybe, bundle_dir: ''}", ""),
    ("a: {ssh_options: [ServerAliveInterval=5, '-x', 'A']}", ""),
    ("a: {m: {k: 1}, m_k: 2}", ""),
    (
        "a: {s: {secret: {env: X}, user: y}, t: {secret: {evn: X}}, u: {secret: {}}, v: {secret: {command: pass x}}, w: {secret: {file: ''}}}",
        "",
    ),
    ("a: {l: [{secret: {env: X}}]}", ""),
    ("a: {port: 1}", "port=x"),
    ("a: {port: 1}", "node=x"),
    ("a: {port: 1}", "Port=x"),
    ("a: {p: {secret: {env: X}}}", "p=canary-5a1e"),
    ("a: {p: {q: {secret: {env: X}}}}", "p_q=canary-5a1e"),
    ("b: {}", ""),
];

#[test]
fn what_is_refused_is_drawn() {
    let mut found = String::new();
    for text in REFUSED_FILES {
        found.extend([text, "\n", &nodes(&[text]).1, "\n\n----\n"]);
    }
    for (text, set) in REFUSED_NODES {
        let text = format!("opsbook: 1\nnodes:\n  {text}\n");
        let (nodes, problems) = nodes(&[&text]);
        let set: Vec<_> = set
            .split_once('=')
            .into_iter()
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        let refused = nodes.evaluate("a", &set).expect_err(&text);
        found.extend([&text, "\n", &problems, &drawn(&refused), "\n\n----\n"]);
    }
    assert!(!found.contains("canary"));
    exactly("nodes/refused.txt", &found);
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

/// One node `n` of these values.
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

fn plain(node: &Node) -> Vec<(String, String)> {
    let text = |text| match text {
        Text::Plain(text) => text,
        Text::Secret(reference) => format!("secret {reference}"),
    };
    node.texts()
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn values_are_substituted_once_as_text() {
    let node = evaluated(
        "mode: 0644, v: 1.10, no: NO, lit: '$${v} $v $$ ${v}', once: '${lit}', deep: '${m_k}${m_k}', m: {k: 'x${v}', up: {K: 1, k2: 2}}, l: ['${v}', {a: '${no}'}]",
        &[],
    );
    assert_eq!(
        plain(&node),
        pairs(&[
            ("node", "n"),
            ("mode", "0644"),
            ("v", "1.10"),
            ("no", "NO"),
            ("lit", "${v} $v $$ 1.10"),
            ("once", "${v} $v $$ 1.10"),
            ("deep", "x1.10x1.10"),
            ("m_k", "x1.10"),
            ("m_up_k2", "2"),
        ])
    );
    let list = explain::explain(&node, &["l".into(), "m_up_K".into()]).unwrap();
    assert_eq!(list[0].shown, "[1.10, {a: NO}]");
    assert_eq!(list[1].shown, "1");
    assert!(
        node.text("l")
            .unwrap_err()
            .unwrap()
            .message
            .contains("is a list")
    );
    assert!(
        node.text("m")
            .unwrap_err()
            .unwrap()
            .message
            .contains("is a map")
    );
    assert!(node.text("nothing").unwrap_err().is_none());
}

#[test]
fn arguments_come_last_and_are_never_expanded() {
    let node = evaluated(
        "a: '${b}', b: x, m: {k: 1, l: 2}, transport: ssh",
        &[
            ("b", "${a} $(id)"),
            ("m_k", "007"),
            ("new", "true"),
            ("transport", "local"),
            ("b", "${a}"),
        ],
    );
    assert_eq!(
        plain(&node),
        pairs(&[
            ("node", "n"),
            ("a", "${a}"),
            ("b", "${a}"),
            ("m_k", "007"),
            ("m_l", "2"),
            ("transport", "local"),
            ("new", "true"),
        ])
    );
    assert_eq!(node.transport, Transport::Local);
    assert_eq!(node.values["b"].overrode.len(), 2);
    assert_eq!(node.leaves["m_k"].origin.layer, Layer::Set);
}

#[test]
fn a_contract_s_defaults_lie_between_the_node_and_the_arguments() {
    let (nodes, _) = nodes(&["opsbook: 1\nnodes: {n: {version: 1, url: 'x/${version}'}}\n"]);
    let source = Source::new("manual/a.md", "default: 2-${node}");
    let params = [(
        "version".to_owned(),
        "2-${node}".to_owned(),
        Span::new(&source, 9..18),
    )];
    let node = nodes.evaluate_with("n", &params, &[]).unwrap();
    assert_eq!(value(&node, "url"), "x/2-n");
    assert_eq!(node.values["version"].origin.layer, Layer::Param);
    let set = [("version".to_owned(), "3".to_owned())];
    let node = nodes.evaluate_with("n", &params, &set).unwrap();
    assert_eq!(value(&node, "url"), "x/3");
}

#[test]
fn an_undefined_name_is_an_error_only_where_it_is_used() {
    let node = evaluated(
        "log: '/var/${app}', dir: '${log}/x', l: ['${app}'], user: ops",
        &[],
    );
    assert_eq!(plain(&node), pairs(&[("node", "n"), ("user", "ops")]));
    let problem = node.text("dir").unwrap_err().unwrap();
    assert_eq!(
        problem.to_string(),
        "nodes/0.yaml:3:18: error: nothing defines `app`\n  |\n3 |   n: {log: '/var/${app}', dir: '${log}/x', l: ['${app}'], user: ops}\n  |                  ^^^^^^"
    );
    assert!(node.text("l").unwrap_err().is_some());
    // An address that nothing asks for does no harm.
    let node = evaluated("transport: local, address: '${nope}'", &[]);
    assert_eq!(node.transport, Transport::Local);
}

#[test]
fn secrets_stay_references() {
    let node = evaluated(
        "a: {secret: {env: X}}, m: {b: {secret: {file: 'keys/${node}'}}}, c: {secret: {command: [pass, '${node}']}}, d: {secret: {prompt: pin}}, secret: x, e: {secret: y}",
        &[],
    );
    assert_eq!(
        plain(&node),
        pairs(&[
            ("node", "n"),
            ("a", "secret env X"),
            ("m_b", "secret file keys/n"),
            ("c", "secret command pass n"),
            ("d", "secret asked for"),
            ("secret", "x"),
            ("e_secret", "y"),
        ])
    );
    assert_eq!(
        node.text("a").ok(),
        Some(Text::Secret(SecretRef::Env("X".into())))
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
fn bombs_are_refused_in_little_time() {
    let mut laughs = vec!["x0: 'ha ha ha ha ha ha ha ha ha ha'".to_owned()];
    laughs.extend(
        (1..=30).map(|level| format!("x{level}: '${{x{0}}}${{x{0}}}${{x{0}}}'", level - 1)),
    );
    let chain: Vec<_> = (0..10_000)
        .map(|level| format!("x{level}: '${{x{}}}'", level + 1))
        .collect();
    let groups: Vec<_> = (0..1000)
        .map(|level| format!("g{level}: {{in: [g{}]}}", level + 1))
        .collect();
    let refused = |values: &str| {
        let (nodes, _) = nodes(&[&format!("opsbook: 1\nnodes:\n  n: {{{values}}}\n")]);
        nodes.evaluate("n", &[]).unwrap_err().swap_remove(0).code
    };
    assert_eq!(refused(&laughs.join(", ")), "value-too-large");
    assert_eq!(refused(&chain.join(", ")), "chain-too-long");
    let many = format!("opsbook: 1\ndefaults: {{l: [{}]}}\n", "1,".repeat(250_000));
    assert_eq!(
        nodes(&[&many, &many, &many]).1,
        "error: the files of nodes hold more than 400000 values"
    );
    let (_, problems) = nodes(&[&format!(
        "opsbook: 1\ngroups: {{{}, g1000: {{}}}}\n",
        groups.join(", ")
    )]);
    assert!(
        problems.contains("groups are nested deeper than 32 levels"),
        "{problems}"
    );
}

#[test]
fn the_manual_shows_the_example_as_it_is() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
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
