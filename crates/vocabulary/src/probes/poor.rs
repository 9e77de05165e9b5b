//! Nodes that lack what most have: `/proc`, `ss`, `getent`, a service manager, a database of
//! packages. What cannot be known there is neither held nor failed.

use std::collections::BTreeSet;

use super::*;

/// One check of each type that looks at the system, written so that a wrong negative would hold.
const EACH: [&str; 19] = [
    "container: {web: {running: false}}",
    "dns: {nothing.invalid: {resolvable: false}}",
    "failed-units: {all: {count: 0}}",
    "group: {nobody-here: {exists: false}}",
    "http: {'http://127.0.0.1:2/': {status: 200}}",
    "interface: {eth7: {exists: false}}",
    "kernel-param: {net.core.none: {value: '1'}}",
    "mount: {/nowhere: {exists: false}}",
    "package: {nginx: {installed: false}}",
    "port: {tcp:22: {listening: false}}",
    "process: {nginx: {running: false}}",
    "reboot-required: {node: {required: false}}",
    "service: {nginx: {running: false, enabled: false}}",
    "socket: {tcp:443: {listening: false}}",
    "sshd-config: {PermitRootLogin: {value: 'no'}}",
    "time-sync: {clock: {synchronized: false}}",
    "timer: {certbot: {running: false}}",
    "tls: {127.0.0.1:4: {exists: false}}",
    "user: {nobody-here: {exists: false}}",
];

/// What needs nothing of the system, or has it in the shell.
const OTHERS: [&str; 4] = ["addr", "command", "file", "matching"];

#[test]
fn without_anything_no_type_says_what_it_cannot_know() {
    let node = Node::new().tools(&["cat", "ls"]);
    for shell in shells().iter().filter(|shell| shell[0] != "busybox") {
        for check in EACH {
            let said = say(&node, shell, &one(check));
            assert!(
                said.starts_with("cannot look: "),
                "{check} under {shell:?}: {said}"
            );
        }
    }
    let types: BTreeSet<&str> = Vocabulary::builtin()
        .types()
        .map(|kind| kind.name.as_str())
        .collect();
    let tried = EACH.iter().map(|check| check.split_once(':').unwrap().0);
    let tried: BTreeSet<&str> = tried.chain(OTHERS).collect();
    assert_eq!(tried, types, "a type is tried here, or needs nothing");
}

/// Tools that are there, say nothing wrong, and know nothing.
#[test]
fn a_tool_without_its_data_is_no_answer() {
    let node = plain()
        .file("etc/init.d/rcS", "")
        .file("etc/init.d/S50dropbear", "")
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("etc/group", "root:x:0:\n")
        .file(
            "etc/nsswitch.conf",
            "passwd: files [NOTFOUND=continue] sss # far\ngroup:\tfiles ldap\n",
        )
        .stub(
            "netstat",
            "echo 'netstat: /proc/net/tcp: No such file or directory' >&2; echo 'Active Internet connections'",
        );
    table_without(
        &node,
        &[
            (
                "port: {tcp:22: {listening: false}}",
                "cannot look: no `/proc/net`, which `netstat` reads, and no `ss`",
            ),
            (
                "service: {dropbear: {running: false, exists: false}}",
                "cannot look: no such script in `/etc/init.d`, and no runlevels: another init may know the service",
            ),
            (
                "service: {rcS: {enabled: false}}",
                "cannot look: this system starts its scripts by no runlevels",
            ),
            ("service: {rcS: {exists: true}}", "holds"),
            ("user: {root: {uid: 0}}", "holds"),
            (
                "user: {ana: {exists: false}}",
                "cannot look: no `getent`, and the system also looks for users elsewhere than in `/etc/passwd`",
            ),
            (
                "group: {far: {exists: false}}",
                "cannot look: no `getent`, and the system also looks for groups elsewhere than in `/etc/group`",
            ),
        ],
    );
    let files_alone = plain()
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("etc/nsswitch.conf", "passwd: files systemd\ngroup: files\n");
    table_without(&files_alone, &[("user: {ana: {exists: false}}", "holds")]);
}

#[test]
fn a_package_manager_without_its_database_knows_no_package() {
    let debian = plain().file("etc/debian_version", "12\n").stub(
        "dpkg-query",
        "echo 'dpkg-query: no packages found matching nginx' >&2; exit 1",
    );
    let redhat = plain()
        .file("etc/redhat-release", "9\n")
        .stub("rpm", "echo 'package nginx is not installed'; exit 1");
    for (node, tool) in [(debian, "dpkg"), (redhat, "rpm")] {
        let why = format!("cannot look: {tool} has no database of packages");
        table(&node, &[("package: {nginx: {installed: false}}", &why)]);
    }
}

/// Without `/proc`, the word that frames the facts is still one that nobody can guess.
#[test]
fn the_word_around_facts_is_random_or_nothing_is_known() {
    let mut batch = one("file: {/: {exists: true}}").script();
    let text = batch.text.replace("/proc/sys/", "/nowhere/");
    assert_ne!(text, *batch.text);
    batch.text = text.into();
    let word = |node: &Node, shell: &[&str]| {
        let (status, out, err) = run(node, shell, &batch);
        let said = String::from_utf8([out, err].concat()).unwrap();
        let word = said.strip_prefix("\nopsbook-facts ");
        let word = word.and_then(|rest| rest.lines().next()).map(str::to_owned);
        (status, word, said)
    };
    for tools in [&["od", "tr", "stat", "ls"][..], &["mktemp", "stat", "ls"]] {
        let node = Node::new().tools(tools);
        for shell in shells() {
            let (first, second) = (word(&node, &shell).1, word(&node, &shell).1);
            let (first, second) = (first.unwrap(), second.unwrap());
            assert!(first.len() >= 16 && !first.contains(' '), "{first}");
            assert_ne!(first, second, "{shell:?}");
        }
    }
    let node = Node::new().tools(&["stat", "ls"]);
    for shell in shells().iter().filter(|shell| shell[0] != "busybox") {
        let (status, _, said) = word(&node, shell);
        assert!(status != 0 && said.contains("no random number"), "{said}");
    }
}
