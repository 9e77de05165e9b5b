//! Many checks in one script.

use super::*;

#[test]
fn a_batch_keeps_what_belongs_to_each() {
    let node = plain()
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("etc/group", "root:x:0:\n")
        .file("proc/1/comm", "init\n");
    let checks = [
        (
            "command: {'echo one; echo uno >&2': {stdout: [one], stderr: [uno]}}",
            true,
        ),
        ("user: {root: {uid: 0}}", true),
        (
            "command: {'echo two; IFS=:; set -f; exit 4': {exit-status: 4, stdout: [two], stderr: ''}}",
            true,
        ),
        ("user: {bob: {}}", false),
        ("process: {init: {running: true}}", true),
        ("command: {'cd /; false': {exit-status: 0}}", false),
        ("user: {root: {shell: /bin/sh}}", true),
    ];
    let assertions: Vec<Assertion> = checks.iter().map(|(check, _)| one(check)).collect();
    let all: Vec<&Assertion> = assertions.iter().collect();
    let batch = Batch::new(&all);
    for shell in shells() {
        let (status, out, err) = run(&node, &shell, &batch);
        assert_eq!(status, 0);
        let facts = batch.split(status, &out, &err);
        for ((assertion, facts), (check, holds)) in assertions.iter().zip(facts).zip(checks) {
            let decision = assertion.decide(&facts.unwrap());
            assert_eq!(decision == Decision::Holds, holds, "{check}: {decision:?}");
        }
    }
}

#[test]
fn what_was_stopped_is_not_known() {
    let node = plain();
    let checks = [
        one("command: {'echo one': {stdout: [one]}}"),
        one("command: {'kill -9 $$': {exit-status: 0}}"),
        one("command: {'true': {}}"),
    ];
    let all: Vec<&Assertion> = checks.iter().collect();
    let batch = Batch::new(&all);
    for shell in shells() {
        let (status, out, err) = run(&node, &shell, &batch);
        let facts = batch.split(status, &out, &err);
        assert!(facts[0].is_ok());
        assert!(facts[1].is_err() && facts[2].is_err());
    }
    let nothing = checks[0]
        .facts(127, b"motd\n", b"sh: not found\n")
        .unwrap_err();
    assert_eq!(
        nothing.to_string(),
        "cannot look: the probe ended with status 127: sh: not found"
    );
}
