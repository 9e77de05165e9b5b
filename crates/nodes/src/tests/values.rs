//! The evaluation of one node's values.

use super::*;

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
    // An invalid address that nothing uses does no harm.
    let node = evaluated("transport: local, address: '${nope}'", &[]);
    assert_eq!(node.transport, Transport::Local);
}

#[test]
fn a_secret_that_is_written_down_is_refused_and_not_shown() {
    for text in [
        "e: {secret: hunter2}",
        "m: {e: {secret: hunter2}}",
        "e: {secret: [hunter2]}",
    ] {
        let (nodes, problems) = nodes(&[&format!("opsbook: 1\nnodes:\n  n: {{{text}}}\n")]);
        assert_eq!(problems, "");
        let said = nodes
            .evaluate("n", &[])
            .map_err(|problems| drawn(&problems));
        let said = said.err().unwrap_or_default();
        assert!(said.contains("never write its value"), "{text}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_value_that_may_be_a_secret_is_warned_of_and_not_shown() {
    let told = |values: &str| nodes(&[&format!("opsbook: 1\ndefaults: {{{values}}}\n")]).1;
    for text in [
        "db_password: hunter2",
        "db: {password: hunter2}",
        "api_token: 'hunter2 1'",
        "token: 'a${node}hunter2'",
    ] {
        let told = told(text);
        let warned = told.contains("0.yaml:2:") && told.contains("may be a secret");
        assert_eq!(warned, !text.contains("${node}"), "{text}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    for text in [
        "password: {secret: {env: X}}",
        "password: '${other}', other: x",
        "password_file: x",
        "password: ''",
        "use_password: true",
        "compass: north",
        "bypass: north",
        "secret: {env: X}",
        "tls: {private_key: /etc/ssl/private/a.key}",
    ] {
        assert_eq!(told(text), "", "{text}");
    }
}

#[test]
fn secrets_stay_references() {
    let node = evaluated(
        "a: {secret: {env: X}}, m: {b: {secret: {file: 'keys/${node}'}}}, c: {secret: {command: [pass, '${node}']}}, d: {secret: {prompt: pin}}, secret: true, e: {secret: false, f: z}",
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
            ("secret", "true"),
            ("e_secret", "false"),
            ("e_f", "z"),
        ])
    );
    assert_eq!(
        node.text("a").ok(),
        Some(Text::Secret(SecretRef::Env("X".into())))
    );
}
