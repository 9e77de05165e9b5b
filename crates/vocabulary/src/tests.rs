//! Typed checks from YAML to the decision, without a node.

use super::*;
use crate::source::{Passage, Span};
use crate::yaml::{self, Value};

mod headers;
mod matchers;

/// The assertions of a contract, or its drawn problems.
pub(super) fn understand(text: &str) -> Result<Vec<Assertion>, String> {
    understand_with(Vocabulary::builtin(), text)
}

fn understand_with(vocabulary: &Vocabulary, text: &str) -> Result<Vec<Assertion>, String> {
    let source = Source::new("manual/web.md", text);
    let (yaml, mut problems) = yaml::read(&Passage::whole(&source));
    let mut assertions = Vec::new();
    if let Some(Value::Map(kinds)) = yaml.map(|yaml| yaml.value) {
        for (kind, entry) in &kinds {
            let Value::Map(resources) = &entry.value.value else {
                panic!("{kind} is no map");
            };
            for (resource, attributes) in resources {
                let spanned = |value: &str, span: &Span| Spanned {
                    value: value.to_owned(),
                    span: span.clone(),
                };
                let (assertion, more) = vocabulary.assertion(
                    &spanned(kind, &entry.key),
                    &spanned(resource, &attributes.key),
                    &attributes.value,
                );
                assertions.extend(assertion);
                problems.extend(more);
            }
        }
    }
    if problems.is_empty() {
        return Ok(assertions);
    }
    let drawn: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(drawn.join("\n"))
}

pub(super) fn one(text: &str) -> Assertion {
    one_of(Vocabulary::builtin(), text)
}

pub(super) fn one_of(vocabulary: &Vocabulary, text: &str) -> Assertion {
    let mut all = understand_with(vocabulary, text).unwrap();
    all.pop().unwrap()
}

/// Decides an assertion by the output of a probe.
fn decide(text: &str, printed: &str) -> String {
    let assertion = one(text);
    let facts = Facts::read(b"N", printed.as_bytes(), b"");
    in_one_line(&assertion.decide(&facts))
}

/// A decision in one line.
pub(super) fn in_one_line(decision: &Decision) -> String {
    match decision {
        Decision::Holds => "holds".to_owned(),
        Decision::CannotLook(error) => error.to_string(),
        Decision::Fails(evidence) => evidence
            .iter()
            .map(|e| {
                format!(
                    "{}: expected {}, found {}",
                    e.attribute,
                    e.expected.exact(),
                    e.found.exact()
                )
            })
            .collect::<Vec<_>>()
            .join("; "),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of facts")]
fn facts_decide() {
    let file =
        "exists true\nmode 0644\nowner root\nuid 0\nsize 12\nN > contents\nalpha\nbeta\n\nN .\n";
    for (check, printed, expected) in [
        ("file: {/x: {}}", file, "holds"),
        (
            "file: {/x: {mode: 0644, owner: root, uid: 0}}",
            file,
            "holds",
        ),
        ("file: {/x: {mode: '644', size: {gt: 10}}}", file, "holds"),
        ("file: {/x: {mode: 0o644}}", file, "holds"),
        (
            "file: {/x: {mode: '0600', owner: www}}",
            file,
            r#"mode: expected "0600", found "0644"; owner: expected "www", found "root""#,
        ),
        ("file: {/x: {contents: [alpha, '!gamma']}}", file, "holds"),
        ("file: {/x: {contains: [alpha]}}", file, "holds"),
        ("file: {/x: {contents: \"alpha\\nbeta\"}}", file, "holds"),
        (
            "file: {/x: {contents: [alpha, gamma, '!beta']}}",
            file,
            r#"contents: expected lines with ["gamma", "!beta"], found "alpha\nbeta\n""#,
        ),
        (
            "file: {/x: {group: wheel}}",
            file,
            "cannot look: the probe does not report `group`",
        ),
        (
            "file: {/x: {group: wheel, uid: 1}}",
            file,
            "uid: expected 1, found 0",
        ),
        (
            "file: {/x: {exists: false, mode: 0600}}",
            "exists false\n",
            "holds",
        ),
        (
            "file: {/x: {mode: 0600}}",
            "exists false\n",
            "exists: expected true, found false",
        ),
        (
            "file: {/x: {exists: false}}",
            file,
            "exists: expected false, found true",
        ),
        (
            "file: {/x: {}}",
            "cannot-look no permission to look into `/`\n",
            "cannot look: no permission to look into `/`",
        ),
        (
            "file: {/x: {linked-to: /y}}",
            "exists true\nabsent linked-to\n",
            "linked-to: expected \"/y\", found nothing",
        ),
        (
            "file: {/x: {linked-to: {not: /y}}}",
            "exists true\nabsent linked-to\n",
            "linked-to: expected not \"/y\", found nothing",
        ),
        (
            "port: {tcp:22: {ip: [0.0.0.0]}}",
            "listening true\nip 00000000\n",
            "holds",
        ),
        (
            "port: {22: {ip: {consist-of: []}}}",
            "listening true\nip 0100007F\n",
            r#"ip: expected consisting of [], found ["127.0.0.1"]"#,
        ),
        (
            "port: {22: {listening: false}}",
            "listening false\nnone ip\n",
            "holds",
        ),
        (
            "service: {x: {running: true}}",
            "running true\nenabled false\n",
            "holds",
        ),
        (
            "service: {x: {running: true}}",
            "running maybe\n",
            "cannot look: the probe reports `maybe` for `running`",
        ),
    ] {
        assert_eq!(decide(check, printed), expected, "{check}");
    }
}

#[test]
fn what_is_not_understood_is_drawn() {
    for (check, expected) in [
        (
            "file:\n  /x: {mod: 0600}\n",
            "manual/web.md:2:8: error: `file` has no attribute `mod`\n  |\n2 |   /x: {mod: 0600}\n  |        ^^^\n\nhint: did you mean `mode`?",
        ),
        (
            "serivce:\n  x: {running: true}\n",
            "manual/web.md:1:1: error: there is no type of check called `serivce`\n  |\n1 | serivce:\n  | ^^^^^^^\n\nhint: did you mean `service`?",
        ),
        (
            "service:\n  x: {running: yes}\n",
            "manual/web.md:2:16: error: `running` must be `true` or `false`, or a matcher; found text\n  |\n2 |   x: {running: yes}\n  |                ^^^\n\nhint: write `true`",
        ),
        (
            "service:\n  x: {}\n",
            "manual/web.md:2:3: error: `service/x` asserts nothing\n  |\n2 |   x: {}\n  |   ^\n\nhint: state what you expect of `enabled`, `running`, `exists`, `failed`, `masked`, `runlevels`",
        ),
        (
            "file:\n  /x: {contents: []}\n",
            "manual/web.md:2:18: warning: an empty list in `contents` asserts nothing [empty-list]\n  |\n2 |   /x: {contents: []}\n  |                  ^^\n\nhint: leave it out; write `\"\"` to expect no text",
        ),
        (
            "service:\n  x: {running: true, runlevels: []}\n",
            "manual/web.md:2:33: warning: an empty list in `runlevels` asserts nothing [empty-list]\n  |\n2 |   x: {running: true, runlevels: []}\n  |                                 ^^\n\nhint: leave it out; write `{consist-of: []}` to expect nothing",
        ),
        (
            "file:\n  /x: {contents: [a], contains: [b]}\n",
            "manual/web.md:2:23: error: `contents` is here twice\n  |\n2 |   /x: {contents: [a], contains: [b]}\n  |                       ^^^^^^^^\nmanual/web.md:2:8: first here\n  |\n2 |   /x: {contents: [a], contains: [b]}\n  |        ^^^^^^^^",
        ),
        (
            "file:\n  /x: {size: {gte: 3}}\n",
            "manual/web.md:2:15: error: unknown matcher `gte`\n  |\n2 |   /x: {size: {gte: 3}}\n  |               ^^^\n\nhint: did you mean `ge`?",
        ),
        (
            "file:\n  /x: {size: {gt: 3, lt: 5}}\n",
            "manual/web.md:2:22: error: `size` has a second matcher in one map\n  |\n2 |   /x: {size: {gt: 3, lt: 5}}\n  |                      ^^\n\nhint: list them under `and` or `or`",
        ),
        (
            "file:\n  /x: {eventually: 60/2s}\n",
            "manual/web.md:2:20: error: `60` has no unit: `60s`, `60m`, `60h`; `eventually` is as `60s/2s`\n  |\n2 |   /x: {eventually: 60/2s}\n  |                    ^^^^^",
        ),
        (
            "file:\n  /x: {mode: rw}\n",
            "manual/web.md:2:14: error: `rw` is not an octal mode, such as `\"0644\"`\n  |\n2 |   /x: {mode: rw}\n  |              ^^",
        ),
        (
            "file:\n  /x: {skip: {until: 2027-01-31}}\n",
            "manual/web.md:2:14: error: `skip` does not say its `reason`\n  |\n2 |   /x: {skip: {until: 2027-01-31}}\n  |              ^^^^^^^^^^^^^^^^^^^",
        ),
    ] {
        assert_eq!(understand(check).unwrap_err(), expected);
    }
}

#[test]
fn values_are_put_in_but_not_into_commands() {
    let mut put = |name: &str| match name {
        "port" => Some("80".to_owned()),
        "name" => Some("web".to_owned()),
        _ => None,
    };
    let mut port = one("port: {'tcp:${port}': {ip: ['${name}']}}");
    port.fill_arguments(&mut put);
    port.fill_expected(&mut put);
    assert_eq!(port.name(), "port/tcp:80");
    let told = port.arguments();
    assert_eq!(told[0].1.known().as_deref(), Some("tcp:80"));
    let facts = Facts::read(b"N", b"listening true\nip web\n", b"");
    assert_eq!(port.decide(&facts), Decision::Holds);

    let mut command = one("command: {'curl ${name}': {stdout: ['${name}']}}");
    command.fill_arguments(&mut put);
    command.fill_expected(&mut put);
    assert_eq!(command.name(), "command/curl ${name}");
    assert_eq!(command.commands().collect::<Vec<_>>(), ["curl ${name}"]);

    let mut number = one("file: {/x: {size: '${port}', mode: {not: '0${port}'}}}");
    number.fill_expected(&mut put);
    let facts = Facts::read(b"N", b"exists true\nsize 80\nmode 0644\n", b"");
    assert_eq!(number.decide(&facts), Decision::Holds);

    let mut compared = one("matching: {x: {content: '${port}', matches: {ge: '${port}'}}}");
    compared.fill_expected(&mut put);
    assert_eq!(compared.decide(&facts), Decision::Holds);
}

#[test]
fn a_value_that_is_left_open_is_a_variable_of_the_script() {
    let mut check = one(
        "http: {'http://${host}/': {password: '${pw}', request-headers: [\"A: it's ${pw}!\", 'B: $${nope'], status: 200}}",
    );
    let mut put = |name: &str| (name == "host").then(|| "shop".to_owned());
    check.fill_arguments(&mut put);
    check.fill_expected(&mut put);
    let commands: Vec<_> = check.commands().collect();
    assert_eq!(commands, ["\"${pw}\"", "\"${pw}\""]);
    let batch = check.script();
    assert!(batch.text.contains(" arg_password=${pw} "));
    assert!(
        batch
            .text
            .contains(" arg_request_headers=${a0_request_headers_0}${pw}${a0_request_headers_2} ")
    );
    let variable = |name: &str| {
        let found = batch.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(variable("a0_url"), Some("http://shop/"));
    assert_eq!(variable("a0_request_headers_0"), Some("A: it's "));
    assert_eq!(variable("a0_request_headers_2"), Some("!\nB: ${nope"));
    assert_eq!(variable("a0_password"), None);
}

#[test]
fn what_a_check_says_about_itself() {
    use std::time::Duration;
    let seconds = Duration::from_secs;
    let check = one(
        "command: {x: {exec: 'true', title: T, meta: {a: [1]}, timeout: 2000, retry_count: 3, retry_delay: 500ms, sudo: ana, on: local, skip: {reason: later, until: 2027-01-31}}}",
    );
    assert_eq!(check.title().as_deref(), Some("T"));
    assert_eq!(check.timeout(), Some(seconds(2)));
    assert_eq!(
        check.eventually(),
        Some((Duration::from_millis(1500), Duration::from_millis(500)))
    );
    assert_eq!(check.sudo().unwrap().0, "ana");
    assert_eq!(check.on(), crate::manual::On::Local);
    let waiver = check.skip().unwrap();
    assert_eq!(waiver.reason, "later");
    assert_eq!(waiver.until.unwrap().to_string(), "2027-01-31");
    assert!(check.may_wait());

    let plain = one("service: {x: {running: true, eventually: 60s/2s, skip: false, timeout: 3s}}");
    assert_eq!(plain.eventually(), Some((seconds(60), seconds(2))));
    assert_eq!(plain.timeout(), Some(seconds(3)));
    assert!(plain.skip().is_none() && !plain.may_wait());
    assert_eq!(one("command: {x: {}}").timeout(), Some(seconds(10)));
    let odd = one(r#"command: {"a\nb\u202e\t": {skip: {reason: "why\r\nnot\n"}}}"#);
    assert_eq!(odd.name(), r"command/a\nb\u{202e}\t");
    assert_eq!(odd.skip().unwrap().reason, r"why\r\nnot");
    let none = one("command: {x: {timeout: 0}}");
    assert_eq!(
        none.timeout(),
        Some(seconds(10)),
        "no time is the usual one"
    );
    assert_eq!(
        one("service: {x: {running: true, skip: true}}")
            .skip()
            .unwrap()
            .reason,
        "skipped in the manual"
    );
}
