//! Probes that read the node's files: files, users, ports, processes, services.

use super::*;

#[test]
fn file() {
    let node = plain();
    let root = node.root();
    std::fs::write(root.join("a b'c"), "alpha\nbe\0ta\n").unwrap();
    std::fs::set_permissions(root.join("a b'c"), std::fs::Permissions::from_mode(0o2640)).unwrap();
    std::os::unix::fs::symlink("a b'c", root.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
    let root = root.display();
    for (check, expected) in [
        (
            r#"file: {"ROOT/a b'c": {exists: true, filetype: file, mode: "2640", size: 12}}"#,
            "holds",
        ),
        (
            r#"file: {"ROOT/a b'c": {contents: [alpha, "/^be.ta$/", "!gamma"]}}"#,
            "holds",
        ),
        (
            r#"file: {"ROOT/a b'c": {sha256: 2f4d4d8e9a3b, md5: {have-len: 32}, sha512: {have-len: 128}}}"#,
            r#"sha256: expected "2f4d4d8e9a3b", found "e2371dd88e80b9b27b2fb2e5ba6d0e0e0b2cc6ed3f9b7a5e1f1a5c1b5e0ea5c9""#,
        ),
        (
            r#"file: {x: {path: "ROOT/a b'c", mode: "0600"}}"#,
            r#"mode: expected "0600", found "2640""#,
        ),
        (
            "file: {ROOT/link: {filetype: symlink, linked-to: \"a b'c\", contents: [alpha]}}",
            "holds",
        ),
        (
            "file: {ROOT/dangling: {exists: true, linked-to: nowhere}}",
            "holds",
        ),
        (
            "file: {ROOT/dangling: {contents: [x]}}",
            "cannot look: the target of the link does not exist",
        ),
        ("file: {ROOT: {filetype: directory}}", "holds"),
        (
            "file: {ROOT: {contents: [x]}}",
            "cannot look: a directory has no contents to read",
        ),
        (
            "file: {ROOT/none/at/all: {exists: false, mode: 0600}}",
            "holds",
        ),
        (
            "file: {ROOT/none: {mode: 0600}}",
            "exists: expected true, found false",
        ),
        ("file: {/dev/null: {filetype: character-device}}", "holds"),
        (
            "file: {~nobody-here/x: {}}",
            "cannot look: no local user `nobody-here`",
        ),
    ] {
        let check = check.replace("ROOT", &root.to_string());
        for shell in shells() {
            let said = say(&node, &shell, &one(&check));
            if expected.starts_with("sha256") {
                assert!(said.starts_with(&expected[..38]), "{said}");
                continue;
            }
            assert_eq!(said, expected, "{check} under {shell:?}");
        }
    }
}

#[test]
fn file_without_stat() {
    let node = Node::new().tools(&["ls"]);
    let path = node.root().join("x");
    std::fs::write(&path, "x").unwrap();
    for mode in [0o644, 0o4755, 0o2640, 0o1777, 0o7000] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let check = format!(
            "file: {{{}: {{mode: \"{mode:04o}\", size: 1}}}}",
            path.display()
        );
        table(&node, &[(&check, "holds")]);
    }
    let check = format!("file: {{{}: {{sha256: x}}}}", path.display());
    table_without(
        &node,
        &[(&check, "cannot look: no `sha256sum` or `openssl`")],
    );
}

#[test]
fn what_is_closed_is_not_absent() {
    let node = plain().file("secret", "x").by_nobody();
    let (closed, secret) = (node.root().join("closed"), node.root().join("secret"));
    std::fs::create_dir(&closed).unwrap();
    let mode = std::fs::Permissions::from_mode;
    std::fs::set_permissions(&closed, mode(0o000)).unwrap();
    std::fs::set_permissions(&secret, mode(0o000)).unwrap();
    let (closed, secret) = (closed.display(), secret.display());
    table(
        &node,
        &[
            (
                &format!("file: {{{closed}/x/y: {{exists: false}}}}"),
                &format!("cannot look: no permission to look into `{closed}`"),
            ),
            (
                &format!("file: {{{secret}: {{contents: ['!y']}}}}"),
                &format!("cannot look: no permission to read `{secret}`"),
            ),
            (
                &format!("file: {{{secret}: {{mode: 0000, sha256: x}}}}"),
                &format!("cannot look: no permission to read `{secret}`"),
            ),
            (
                &format!("file: {{{secret}: {{mode: 0600, sha256: x}}}}"),
                r#"mode: expected "0600", found "0000""#,
            ),
        ],
    );
    std::fs::set_permissions(node.root().join("closed"), mode(0o700)).unwrap();
}

#[test]
fn command() {
    let node = Node::new().tools(&["cat"]);
    table(
        &node,
        &[
            (
                "command: {'echo hi; echo oh >&2': {exit-status: 0, stdout: [hi], stderr: [oh]}}",
                "holds",
            ),
            (
                "command: {'printf hi': {exit-status: 0, stdout: hi, stderr: ''}}",
                "holds",
            ),
            ("command: {'exit 3': {exit-status: 3}}", "holds"),
            ("command: {x: {exec: 'false', exit-status: 1}}", "holds"),
            (
                "command: {'exit 3': {}}",
                "exit-status: expected 0, found 3",
            ),
            (
                "command: {'foobar': {exit-status: 127, stderr: ['/^sh: (line )?1?:? ?foobar: (command )?not found$/']}}",
                "holds",
            ),
            (
                "command: {'echo a b': {exit-status: 0, stdout: [c]}}",
                r#"stdout: expected lines with ["c"], found "a b\n""#,
            ),
            ("command: {'cat': {exit-status: 0, stdout: ''}}", "holds"),
            (
                "command: {'fact stdout forged': {exit-status: 127}}",
                "holds",
            ),
            (
                "command: {'printf \"\\nexit-status 0\\n\"; exit 1': {exit-status: 1}}",
                "holds",
            ),
        ],
    );
}

#[test]
fn service_of_systemd() {
    let node = plain().file("run/systemd/system/x", "").stub(
        "systemctl",
        r"case $* in
*is-enabled*sysv*) exit 0 ;;
*is-enabled*) exit 1 ;;
*unread*) printf 'LoadState=loaded\nActiveState=inactive\nUnitFileState=bad\n' ;;
*lost*) printf 'LoadState=not-found\nActiveState=active\nUnitFileState=\n' ;;
*nginx*) printf 'LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n' ;;
*broken*) printf 'LoadState=loaded\nActiveState=failed\nUnitFileState=disabled\n' ;;
*masked*) printf 'LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n' ;;
*sysv*) printf 'LoadState=loaded\nActiveState=active\nUnitFileState=generated\n' ;;
*bus*) echo 'Failed to connect to bus'; exit 1 ;;
*) printf 'LoadState=not-found\nActiveState=inactive\nUnitFileState=\n' ;;
esac",
    );
    table(
        &node,
        &[
            (
                "service: {nginx: {enabled: true, running: true, failed: false}}",
                "holds",
            ),
            (
                "service: {broken: {enabled: true, running: true, failed: false}}",
                "enabled: expected true, found false; running: expected true, found false; failed: expected false, found true",
            ),
            ("service: {masked: {masked: true, running: false}}", "holds"),
            ("service: {sysv: {enabled: true, running: true}}", "holds"),
            (
                "service: {none: {exists: false, enabled: false, running: false}}",
                "holds",
            ),
            (
                "service: {bus: {running: false}}",
                "cannot look: systemctl: Failed to connect to bus",
            ),
            (
                "service: {unread: {enabled: false}}",
                "cannot look: systemd cannot read its file",
            ),
            (
                "service: {lost: {exists: false}}",
                "exists: expected false, found true",
            ),
        ],
    );
}

#[test]
fn service_elsewhere() {
    let openrc = plain()
        .file("etc/init.d/sshd", "")
        .file("etc/runlevels/default/sshd", "")
        .file("etc/init.d/crond", "")
        .stub("rc-service", "[ $1 = sshd ] || exit 3");
    table(
        &openrc,
        &[
            (
                "service: {sshd: {enabled: true, running: true, runlevels: [default]}}",
                "holds",
            ),
            (
                "service: {crond: {enabled: true, running: true}}",
                "enabled: expected true, found false; running: expected true, found false",
            ),
            ("service: {none: {exists: false, running: false}}", "holds"),
        ],
    );
    let scripts = plain()
        .file("etc/init.d/nginx", "")
        .file("etc/rc3.d/S20nginx", "")
        .file("etc/rc5.d/S20nginx", "")
        .stub("service", "exit 0");
    table(
        &scripts,
        &[(
            "service: {nginx: {enabled: true, running: true, runlevels: ['3', '5']}}",
            "holds",
        )],
    );
    let unsure = plain()
        .file("etc/init.d/old", "")
        .file("etc/init.d/odd", "")
        .stub(
            "service",
            "case $1 in old) echo 'Usage: old {start|stop}'; exit 3 ;; esac; exit 4",
        );
    table(
        &unsure,
        &[
            (
                "service: {old: {running: false}}",
                "cannot look: Usage: old {start|stop} (status 200)",
            ),
            (
                "service: {odd: {running: false, failed: false}}",
                "cannot look: its script (status 4)",
            ),
        ],
    );
    let stopped = plain().stub(
        "systemctl",
        "case $2 in nginx) echo disabled; exit 1 ;; esac; echo 'Failed to read'; exit 1",
    );
    table(
        &stopped,
        &[
            (
                "service: {nginx: {running: false}}",
                "cannot look: systemd is installed, but does not run here",
            ),
            ("service: {nginx: {enabled: false}}", "holds"),
            (
                "service: {other: {enabled: false}}",
                "cannot look: systemctl: Failed to read",
            ),
        ],
    );
    table(
        &plain(),
        &[(
            "service: {nginx: {running: false}}",
            "cannot look: no systemd, OpenRC or init scripts",
        )],
    );
}

#[test]
fn port() {
    let tcp = "  sl  local_address rem_address   st\n   0: 0100007F:0016 00000000:0000 0A 0 0\n   1: 00000000:01BB 00000000:0000 0A 0 0\n   2: 0100007F:1F90 0100007F:8888 01 0 0\n   3: 0200007F:0016 00000000:0000 0A 0 0\n";
    let tcp6 = "  sl  local_address\n   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0 0\n";
    let node = plain()
        .file("proc/net/tcp", tcp)
        .file("proc/net/tcp6", tcp6)
        .file(
            "proc/net/udp",
            "  sl\n   0: 3500007F:0035 00000000:0000 07 0 0\n",
        );
    table(
        &node,
        &[
            (
                "port: {tcp:22: {ip: {consist-of: [127.0.0.1, 127.0.0.2]}}}",
                "holds",
            ),
            ("port: {443: {listening: true, ip: 0.0.0.0}}", "holds"),
            (
                "port: {tcp:8080: {listening: true}}",
                "listening: expected true, found false",
            ),
            ("port: {tcp6:80: {ip: ['::']}}", "holds"),
            ("port: {tcp:80: {listening: false}}", "holds"),
            ("port: {udp:53: {ip: [127.0.0.53]}}", "holds"),
            ("port: {udp6:53: {listening: false}}", "holds"),
        ],
    );
    let ss = plain().stub(
        "ss",
        r"case $1 in -4) echo 'LISTEN 0 128 127.0.0.1:22 0.0.0.0:*' ;; *) echo 'LISTEN 0 128 *:80 *:*'; echo 'LISTEN 0 128 [::1]:25 [::]:*' ;; esac",
    );
    table(
        &ss,
        &[
            ("port: {tcp:22: {ip: [127.0.0.1]}}", "holds"),
            ("port: {tcp6:80: {ip: ['::']}}", "holds"),
            ("port: {tcp6:25: {ip: ['::1']}}", "holds"),
            (
                "port: {tcp:80: {listening: true}}",
                "listening: expected true, found false",
            ),
        ],
    );
    let netstat = plain().stub(
        "netstat",
        r"echo 'Active Internet connections'; echo 'Proto Recv-Q Send-Q Local Address Foreign Address State'
echo 'tcp 0 0 0.0.0.0:22 0.0.0.0:* LISTEN'; echo 'tcp6 0 0 :::80 :::* LISTEN'",
    );
    table(
        &netstat,
        &[
            ("port: {tcp:22: {ip: [0.0.0.0]}}", "holds"),
            ("port: {tcp6:80: {ip: ['::']}}", "holds"),
            ("port: {tcp:80: {listening: false}}", "holds"),
        ],
    );
    table_without(
        &plain(),
        &[(
            "port: {22: {listening: false}}",
            "cannot look: no `/proc/net`, `ss` or `netstat`",
        )],
    );
}

#[test]
fn process() {
    let node = plain()
        .file("proc/1/stat", "1 (init) S 0 1\n")
        .file("proc/20/stat", "20 (nginx) S 1 1\n")
        .file("proc/21/stat", "21 (nginx) R 1 1\n")
        .file("proc/22/stat", "22 (nginx) Z 1 1\n")
        .file("proc/23/stat", "23 (ended) Z 1 1\n")
        .file("proc/24/stat", "24 (a) S (b) S 1 1\n")
        .file("proc/30/stat", "30 (a-long-name-of-) S 1 1\n");
    table(
        &node,
        &[
            ("process: {nginx: {running: true, count: 2}}", "holds"),
            (
                "process: {a-long-name-of-a-program: {running: true}}",
                "holds",
            ),
            (
                "process: {ngin: {running: true}}",
                "running: expected true, found false",
            ),
            ("process: {gone: {running: false, count: 0}}", "holds"),
            ("process: {ended: {running: false}}", "holds"),
            ("process: {'a) S (b': {count: 1}}", "holds"),
        ],
    );
    let hidden = plain()
        .file("proc/1/status", "")
        .file("proc/self/stat", "20 (sh) R 1 1\n")
        .file("proc/20/stat", "20 (sh) R 1 1\n");
    table(
        &hidden,
        &[
            ("process: {sh: {running: true}}", "holds"),
            (
                "process: {sh: {count: {lt: 2}}}",
                "cannot look: the kernel hides the processes of others",
            ),
            (
                "process: {nginx: {running: false}}",
                "cannot look: the kernel hides the processes of others",
            ),
        ],
    );
    table(
        &plain().stub("ps", "echo S init; echo Z old; echo Ss nginx"),
        &[
            ("process: {nginx: {running: true}}", "holds"),
            ("process: {old: {running: false}}", "holds"),
        ],
    );
    table_without(
        &plain(),
        &[(
            "process: {nginx: {running: false}}",
            "cannot look: no `/proc` with `sed`, and no `ps`",
        )],
    );
}

#[test]
fn users_and_groups() {
    let node = plain()
        .file(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nana:x:1000:100::/home/ana:/bin/ash\nanastasia:x:1001:100::/:\n",
        )
        .file("etc/group", "root:x:0:\nusers:x:100:\nwheel:x:10:root,ana\nana:x:7:anastasia\n");
    table(
        &node,
        &[
            (
                "user: {ana: {exists: true, uid: 1000, gid: 100, home: /home/ana, shell: /bin/ash, groups: {consist-of: [users, wheel]}}}",
                "holds",
            ),
            ("user: {ana: {uid: '1000'}}", "holds"),
            (
                "user: {ana: {groups: [root]}}",
                r#"groups: expected containing ["root"], found ["users", "wheel"]"#,
            ),
            ("user: {an: {}}", "exists: expected true, found false"),
            ("user: {bob: {exists: false}}", "holds"),
            ("group: {wheel: {gid: 10, members: [ana]}}", "holds"),
            ("group: {users: {members: {consist-of: []}}}", "holds"),
            ("group: {wheel: {gid: 11}}", "gid: expected 11, found 10"),
            ("group: {gone: {exists: false}}", "holds"),
        ],
    );
    let ldap = node
        .stub(
            "getent",
            "case $* in 'passwd eve') echo 'eve:*:5000:5000::/home/eve:/bin/sh' ;; 'group far') echo 'far:*:5000:eve' ;; *) exit 2 ;; esac",
        )
        .stub("id", "echo far near");
    table(
        &ldap,
        &[
            ("user: {eve: {uid: 5000, groups: [near]}}", "holds"),
            ("group: {far: {gid: 5000}}", "holds"),
            ("user: {bob: {exists: false}}", "holds"),
        ],
    );
    table(
        &plain(),
        &[
            (
                "user: {root: {exists: false}}",
                "cannot look: no readable `/etc/passwd` and no `getent`",
            ),
            (
                "group: {root: {exists: false}}",
                "cannot look: no readable `/etc/group` and no `getent`",
            ),
        ],
    );
}
