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
        // Its database is elsewhere (`%_dbpath`), and empty.
        .file("var/lib/rpm/rpmdb.sqlite", "of an earlier system")
        .stub(
            "rpm",
            "[ \"$1\" != -qa ] || exit 0; echo 'package nginx is not installed'; exit 1",
        );
    let arch = plain().file("etc/arch-release", "").stub(
        "pacman",
        "[ $# != 1 ] || exit 0; echo \"error: package 'nginx' was not found\"; exit 1",
    );
    let all = [(debian, "dpkg"), (redhat, "rpm"), (arch, "pacman")];
    for (node, tool) in all {
        let why = format!("cannot look: {tool} has no database of packages");
        table(&node, &[("package: {nginx: {installed: false}}", &why)]);
    }
}

/// The word that frames the facts comes from here: a node without any source of random numbers can
/// be looked at, and nothing that was written before can be taken for facts.
#[test]
fn a_node_without_random_numbers_is_looked_at() {
    let check = one("file: {/: {exists: true, filetype: directory}}");
    for node in [Node::new().tools(&["stat", "ls"]), Node::new()] {
        for shell in shells() {
            let (mut first, second) = (check.script(), check.script());
            assert_eq!(first.text, second.text, "sent to a session once");
            assert_ne!(
                first.variables, second.variables,
                "and framed anew each time"
            );
            first.text = first.text.replace("/proc/", "/nowhere/").into();
            let (status, out, err) = run(&node, &shell, &first);
            let facts = first.split(status, &out, &err).remove(0).unwrap();
            assert_eq!(check.decide(&facts), Decision::Holds, "{shell:?}");
            let facts = second.split(status, &out, &err).remove(0);
            assert!(facts.is_err(), "the words of another look");
        }
    }
}
