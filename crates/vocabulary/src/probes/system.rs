//! Probes that use system tools, replaced by stubs here.

use super::*;

#[test]
fn matching() {
    table(
        &plain(),
        &[
            ("matching: {a: {content: foo, matches: foo}}", "holds"),
            (
                "matching: {a: {content: [a, b, c], matches: [a, b]}}",
                "holds",
            ),
            (
                "matching: {a: {content: [a, b], matches: [a, b, b]}}",
                r#"matches: expected containing ["a", "b", "b"], found ["a", "b"]"#,
            ),
            (
                "matching: {a: {content: {foo: bar, baz: 1}, matches: {and: [{have-key: baz}]}}}",
                "holds",
            ),
            (
                "matching: {a: {content: \"x\\nfoo y\", as-reader: true, matches: [foo, '!bar']}}",
                "holds",
            ),
            (
                "matching: {a: {content: \"x\\nfoo y\", as-reader: true, matches: [bar]}}",
                r#"matches: expected lines with ["bar"], found "x\nfoo y""#,
            ),
        ],
    );
}

#[test]
fn sshd_config() {
    let node = plain().tools(&["tr"]).stub(
        "sshd",
        r"case $* in
-T) printf 'port 22\nport 2222\npermitrootlogin no\nsubsystem sftp internal-sftp\n' ;;
'-T -C user=ana') printf 'permitrootlogin yes\n' ;;
*) echo 'sshd: no hostkeys available -- exiting.' >&2; exit 1 ;;
esac",
    );
    table(
        &node,
        &[
            ("sshd-config: {PermitRootLogin: {value: no}}", "holds"),
            ("sshd-config: {port: {value: [22, 2222]}}", "error"),
            ("sshd-config: {port: {value: \"22\\n2222\"}}", "holds"),
            ("sshd-config: {permitrootlogin: {connection: user=ana, value: no}}", r#"value: expected "no", found "yes""#),
            ("sshd-config: {x: {connection: user=eve, value: no}}", "cannot look: sshd: sshd: no hostkeys available -- exiting."),
            ("sshd-config: {nonesuch: {value: no}}", "value: expected \"no\", found nothing: sshd knows no such option, or it is not set"),
        ].into_iter().filter(|(_, expected)| *expected != "error").collect::<Vec<_>>(),
    );
    table(
        &plain(),
        &[("sshd-config: {Port: {value: 22}}", "cannot look: no `sshd`")],
    );
}

#[test]
fn container() {
    let node = plain().stub(
        "docker",
        r#"for name; do :; done
case $name in
web) echo 'true|running|healthy|2|0|shop:1.2' ;;
old) echo 'false|exited|none|0|137|shop:1.1' ;;
denied) echo; echo 'permission denied while trying to connect to the daemon socket' >&2; exit 1 ;;
*) echo "Error: No such container: $name" >&2; exit 1 ;;
esac"#,
    );
    table(
        &node,
        &[
            (
                "container: {web: {health: healthy, restarts: {lt: 3}, image: {have-prefix: 'shop:'}}}",
                "holds",
            ),
            (
                "container: {old: {}}",
                "running: expected true, found false",
            ),
            (
                "container: {old: {running: false, status: exited, exit-status: 137}}",
                "holds",
            ),
            (
                "container: {gone: {}}",
                "exists: expected true, found false",
            ),
            ("container: {gone: {exists: false}}", "holds"),
            (
                "container: {denied: {exists: false}}",
                "cannot look: docker: permission denied while trying to connect to the daemon socket",
            ),
        ],
    );
    table(
        &plain(),
        &[
            (
                "container: {web: {exists: false}}",
                "cannot look: no `docker` or `podman`",
            ),
            (
                "container: {web: {engine: podman, exists: false}}",
                "cannot look: no `podman`",
            ),
        ],
    );
}

#[test]
fn socket() {
    let node = plain()
        .tools(&["awk"])
        .file(
            "proc/net/tcp",
            "  sl  local_address rem_address   st\n   0: 0100007F:01BB 00000000:0000 0A 0\n   1: 0100007F:01BB 0100007F:8888 01 0\n   2: 0100007F:01BB 0100007F:8889 08 0\n   3: 0100007F:8888 0100007F:01BB 01 0\n",
        )
        .file(
            "proc/net/tcp6",
            "  sl  local_address rem_address   st\n   0: 00000000000000000000000001000000:01BB 00000000000000000000000001000000:8888 01 0\n",
        )
        .file(
            "proc/net/unix",
            "Num       RefCount Protocol Flags    Type St Inode Path\n0000000000000000: 00000002 00000000 00010000 0001 01 111 /run/x.sock\n0000000000000000: 00000003 00000000 00000000 0001 03 112 /run/x.sock\n0000000000000000: 00000003 00000000 00000000 0001 03 113 /run/y.sock\n",
        );
    table(
        &node,
        &[
            (
                "socket: {tcp:443: {listening: true, established: 2, close-wait: 1, connections: 3}}",
                "holds",
            ),
            (
                "socket: {tcp:80: {listening: true}}",
                "listening: expected true, found false",
            ),
            (
                "socket: {unix:/run/x.sock: {listening: true, established: 1}}",
                "holds",
            ),
            ("socket: {unix:/run/y.sock: {listening: false}}", "holds"),
            (
                "socket: {unix:/run/z.sock: {listening: true}}",
                "listening: expected true, found false",
            ),
        ],
    );
    table(
        &plain(),
        &[
            (
                "socket: {tcp:443: {listening: false}}",
                "cannot look: no `/proc/net/tcp`",
            ),
            (
                "socket: {unix:/x: {listening: false}}",
                "cannot look: no `/proc/net/unix`",
            ),
        ],
    );
}
