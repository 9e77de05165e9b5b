//! Probes of names, tested with output of `dig`, `getent` and `nslookup`.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table of facts")]
fn dns_of_a_server() {
    let dig = plain().stub(
        "dig",
        r#"header() { printf ';; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: %s, id: 1\n' "$1"; }
case $* in
*slow*) echo ';; communications error to 192.0.2.53#53: timed out'; echo ';; no servers could be reached'; exit 9 ;;
*refused*) header REFUSED ;;
*half*) header NOERROR; printf 'half.\t300\tIN\tA\t192.0.2.9\n'; header SERVFAIL ;;
*onlyone*) header NOERROR; printf 'one.\t300\tIN\tA\t192.0.2.9\n'; echo ';; connection timed out'; exit 9 ;;
*referral*) header NOERROR; echo ';; flags: qr rd; QUERY: 1, ANSWER: 0, AUTHORITY: 2' ;;
*nodata*) header NOERROR; echo ';; flags: qr aa rd; QUERY: 1, ANSWER: 0, AUTHORITY: 1' ;;
*none*) header NXDOMAIN ;;
*MX) header NOERROR; printf 'example.net.\t300\tIN\tMX\t10 mail.example.net.\nexample.net.\t300\tIN\tMX\t5 a.example.net.\n' ;;
*TXT) header NOERROR; printf 'TXT.example.net.\t300\tIN\tTXT\t"Hello  DNS" "second part"\n' ;;
*SSHFP) header NOERROR; printf 'h.\t300\tIN\tSSHFP\t1 2 422F22EF B548\n' ;;
*CAA) header NOERROR; printf 'h.\t300\tIN\tCAA\t0 issue "letsencrypt.org"\n' ;;
*'-x 192.0.2.1') header NOERROR; printf '1.2.0.192.in-addr.arpa.\t300\tIN\tPTR\thost.example.net.\n' ;;
*CNAME) header NOERROR; printf 'c.\t300\tIN\tCNAME\ta.example.net.\n' ;;
*'+time=1'*'-p 8053 @192.0.2.53'*' A '*' AAAA') header NOERROR; printf 'c.\t300\tIN\tCNAME\ta.example.net.\na.example.net.\t300\tIN\tA\t192.0.2.9\n'; header NOERROR; printf 'a.example.net.\t300\tIN\tAAAA\t2001:db8::9\n' ;;
*) echo 'unexpected' "$@"; exit 1 ;;
esac"#,
    );
    table(
        &dig,
        &[
            (
                "dns: {a.example.net: {server: '192.0.2.53:8053', addrs: {equal: [192.0.2.9, '2001:db8::9']}}}",
                "holds",
            ),
            (
                "dns: {MX:example.net: {server: 192.0.2.53, addrs: {equal: [10 mail.example.net., 5 a.example.net.]}}}",
                "holds",
            ),
            (
                "dns: {TXT:txt.example.net: {server: 192.0.2.53, addrs: {consist-of: ['Hello  DNS', second part]}}}",
                "holds",
            ),
            (
                "dns: {SSHFP:h: {server: 192.0.2.53, addrs: [1 2 422F22EFB548]}}",
                "holds",
            ),
            (
                "dns: {CAA:h: {server: 192.0.2.53, addrs: [0 issue letsencrypt.org]}}",
                "holds",
            ),
            (
                "dns: {PTR:192.0.2.1: {server: 192.0.2.53, addrs: [host.example.net.]}}",
                "holds",
            ),
            (
                "dns: {CNAME:c: {resolvable: true, server: 192.0.2.53, addrs: [b.]}}",
                r#"addrs: expected containing ["b."], found ["a.example.net."]"#,
            ),
            (
                "dns: {MX:none: {resolveable: false, server: 192.0.2.53}}",
                "holds",
            ),
            (
                "dns: {MX:slow: {resolvable: false, server: 192.0.2.53}}",
                "cannot look: no servers could be reached",
            ),
            (
                "dns: {half: {resolvable: true, server: 192.0.2.53}}",
                "holds",
            ),
            (
                "dns: {half: {server: 192.0.2.53, addrs: {consist-of: [192.0.2.9]}}}",
                "cannot look: the server answers `SERVFAIL`",
            ),
            (
                "dns: {onlyone: {server: 192.0.2.53, addrs: {consist-of: [192.0.2.9]}}}",
                "cannot look: the server does not answer all questions",
            ),
            (
                "dns: {MX:referral: {resolvable: false, server: 192.0.2.53}}",
                "cannot look: the server only refers to other servers",
            ),
            (
                "dns: {MX:nodata: {resolvable: false, server: 192.0.2.53}}",
                "holds",
            ),
            (
                "dns: {MX:refused: {resolvable: false, server: 192.0.2.53}}",
                "cannot look: the server answers `REFUSED`",
            ),
        ],
    );
}

#[test]
fn dns_of_the_node() {
    let getent = plain().stub(
        "getent",
        r"case $2 in
localhost) printf '::1             STREAM localhost\n::1             DGRAM\n127.0.0.1       STREAM\n' ;;
broken) exit 3 ;;
*) exit 2 ;;
esac",
    );
    table_without(
        &getent,
        &[(
            "dns: {nobody: {resolvable: false}}",
            "cannot look: `getent` cannot tell a missing name from a resolver that does not \
             answer; there is no `bash`, `dig` or `nslookup` to ask",
        )],
    );
    let getent = getent.stub(
        "bash",
        r#"for name; do :; done
case $name in
dead) echo 'bash: dead: Temporary failure in name resolution' >&2; exit 1 ;;
*) echo "bash: $name: Name or service not known" >&2; exit 1 ;;
esac"#,
    );
    table(
        &getent,
        &[
            (
                "dns: {dead: {resolvable: false}}",
                "cannot look: the resolver does not answer",
            ),
            (
                "dns: {localhost: {addrs: {consist-of: ['::1', 127.0.0.1]}}}",
                "holds",
            ),
            ("dns: {nobody: {resolvable: false}}", "holds"),
            (
                "dns: {nobody: {}}",
                "resolvable: expected true, found false",
            ),
            (
                "dns: {broken: {resolvable: false}}",
                "cannot look: getent ended with status 3",
            ),
        ],
    );
}

#[test]
fn dns_with_nslookup() {
    let hosts = "127.0.0.1\tlocalhost here # there\n::1 localhost\n";
    let nslookup = plain().file("etc/hosts", hosts).stub(
        "nslookup",
        r"case $* in
*timeout*) echo ';; connection timed out; no servers could be reached'; exit 1 ;;
*none*) printf 'Server:\t192.0.2.53\nAddress:\t192.0.2.53:53\n\n** server cannot find none: NXDOMAIN\n'; exit 1 ;;
*fails*) printf 'Server:\t192.0.2.53\nAddress:\t192.0.2.53:53\n\n** server can\047t find fails: SERVFAIL\n'; exit 1 ;;
*half*) printf 'Name:\ta\nAddress: 192.0.2.9\n** server can\047t find half: SERVFAIL\n'; exit 1 ;;
*empty*) ;;
*) printf 'Server:\t192.0.2.53\nAddress:\t192.0.2.53:53\n\nName:\ta\nAddress: 192.0.2.9\nName:\ta\nAddress: 2001:db8::9\n' ;;
esac",
    );
    table(
        &nslookup,
        &[
            (
                "dns: {localhost: {addrs: {consist-of: [127.0.0.1, '::1']}}}",
                "holds",
            ),
            ("dns: {here: {addrs: {consist-of: [127.0.0.1]}}}", "holds"),
            ("dns: {there: {addrs: [192.0.2.9]}}", "holds"),
            (
                "dns: {a: {server: 192.0.2.53, addrs: {consist-of: [192.0.2.9, '2001:db8::9']}}}",
                "holds",
            ),
            (
                "dns: {AAAA:a: {server: 192.0.2.53, addrs: {consist-of: ['2001:db8::9']}}}",
                "holds",
            ),
            (
                "dns: {A:a: {server: 192.0.2.53, addrs: {consist-of: [192.0.2.9]}}}",
                "holds",
            ),
            (
                "dns: {none: {server: 192.0.2.53, resolvable: false}}",
                "holds",
            ),
            (
                "dns: {timeout: {server: 192.0.2.53, resolvable: false}}",
                "cannot look: nslookup: ;; connection timed out; no servers could be reached",
            ),
            (
                "dns: {fails: {server: 192.0.2.53, resolvable: false}}",
                "cannot look: nslookup: ** server can't find fails: SERVFAIL",
            ),
            ("dns: {half: {server: 192.0.2.53}}", "holds"),
            (
                "dns: {half: {server: 192.0.2.53, addrs: {have-len: 1}}}",
                "cannot look: nslookup: ** server can't find half: SERVFAIL",
            ),
            (
                "dns: {empty: {server: 192.0.2.53, resolvable: false}}",
                "cannot look: nslookup reports nothing about it",
            ),
            (
                "dns: {MX:a: {server: 192.0.2.53, resolvable: false}}",
                "cannot look: no `dig`",
            ),
        ],
    );
    table_without(
        &plain(),
        &[
            (
                "dns: {x: {resolvable: false}}",
                "cannot look: no `getent`, `dig` or `nslookup`",
            ),
            (
                "dns: {x: {server: 192.0.2.53, resolvable: false}}",
                "cannot look: no `dig` or `nslookup`",
            ),
        ],
    );
}
