//! Many checks in one script.

use super::*;

#[test]
fn a_batch_keeps_what_belongs_to_each() {
    let node = plain()
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("etc/group", "root:x:0:\n")
        .file("proc/1/stat", "1 (init) S 0\n");
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
fn one_look_at_several_files_finds_what_a_look_at_each_does() {
    let node = plain();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for (name, mode) in [("a", 0o640), ("b", 0o4755), ("a b", 0o600), ("ab", 0o444)] {
        std::fs::write(at(name), name).unwrap();
        std::fs::set_permissions(at(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    std::fs::set_permissions(at("."), PermissionsExt::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink("a", at("link")).unwrap();
    let expected = [
        ("a", "mode: '0640', size: 1"),
        ("b", "mode: '4755', size: 1"),
        ("a b", "mode: '0600', size: 3"),
        ("ab", "mode: '0444', size: 2"),
        ("link", "mode: '0777', filetype: symlink"),
        ("none", "exists: false, mode: '0777'"),
        (".", "filetype: directory, mode: '0700'"),
    ];
    let checks = expected.map(|(name, what)| one(&format!("file: {{'{}': {{{what}}}}}", at(name))));
    let all: Vec<&Assertion> = checks.iter().collect();
    let batch = Batch::new(&all);
    assert!(
        batch
            .text
            .contains("\"$a0_path\" \"$a1_path\" \"$a3_path\""),
        "{}",
        batch.text
    );
    for shell in shells() {
        let (status, out, err) = run(&node, &shell, &batch);
        let facts = batch.split(status, &out, &err);
        for (check, facts) in checks.iter().zip(facts) {
            let decision = check.decide(&facts.unwrap());
            assert_eq!(decision, Decision::Holds, "{shell:?} {}", check.name());
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
    let mut nothing = batch.split(127, b"motd\n", b"sh: not found\n");
    let nothing = nothing.pop().unwrap().unwrap_err();
    assert_eq!(
        nothing.to_string(),
        "cannot look: the probe ended with status 127: sh: not found"
    );
}
