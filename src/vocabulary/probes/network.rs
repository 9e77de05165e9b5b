//! Probes that ask over the network: against servers of these tests on 127.0.0.1, and
//! against what tools print.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;

use super::*;

/// A server that answers by path, for as long as the test runs, and its address.
fn http_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: std::net::TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let (status, headers, text) = match path.as_str() {
        "/ok" => (
            "200 OK",
            "x-thing: a b\r\n",
            "line one\nall ok\n".to_owned(),
        ),
        "/moved" => ("302 Found", "Location: /ok\r\n", "gone".to_owned()),
        "/echo" => (
            "200 OK",
            "",
            format!("{head}{}", String::from_utf8(body).unwrap()),
        ),
        _ => ("404 Not Found", "", "no such page\n".to_owned()),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
}

/// A port on which nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn with_address(address: &str, cases: &[(&str, &str)], node: &Node) {
    let closed = format!("127.0.0.1:{}", closed_port());
    let put = |text: &str| text.replace("ADDRESS", address).replace("CLOSED", &closed);
    let cases: Vec<(String, String)> = cases.iter().map(|(a, b)| (put(a), put(b))).collect();
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    table(node, &cases);
}

/// Whether the tools are here; says so where they are not.
fn have(tools: &[&str]) -> bool {
    let there = |tool: &&str| {
        ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
            .iter()
            .any(|folder| Path::new(folder).join(tool).exists())
    };
    match tools.iter().find(|tool| !there(tool)) {
        None => true,
        Some(tool) => {
            skipped(&format!("`{tool}` is not installed"));
            false
        }
    }
}

#[test]
fn http() {
    if !have(&["curl"]) {
        return;
    }
    let node = plain().tools(&["curl"]);
    let address = http_server();
    with_address(
        &address,
        &[
            ("http: {'http://ADDRESS/ok': {body: [all ok, '!bad'], headers: ['X-Thing: a b', '/^Content-Length: [0-9]+$/']}}", "holds"),
            ("http: {'http://ADDRESS/ok': {body: \"line one\\nall ok\\n\"}}", "holds"),
            ("http: {x: {url: 'http://ADDRESS/moved', status: 200, body: [ok], headers: ['X-Thing']}}", "holds"),
            ("http: {'http://ADDRESS/moved': {status: 302, no-follow-redirects: true, headers: ['Location: /ok']}}", "holds"),
            ("http: {'http://ADDRESS/none': {body: [x]}}", "status: expected 200, found 404"),
            ("http: {'http://ADDRESS/none': {status: 404, body: [no such]}}", "holds"),
            (
                r#"http: {'http://ADDRESS/echo': {method: PUT, request-body: "{\"a\": \"b\\\\c\"}\nnext $x `y`", username: u, password: "p\"w", request-headers: ['X-One: 1 2', 'Host: shop'], body: ['PUT /echo', '{"a": "b\\c"}', 'next $x `y`', 'X-One: 1 2', 'Host: shop', 'Authorization: Basic dTpwInc=', 'User-Agent: opsbook', '!Content-Type']}}"#,
                "holds",
            ),
            (
                "http: {'http://CLOSED/': {}}",
                "status: expected 200, found nothing: curl: (7) Failed to connect to 127.0.0.1 port PORT after 0 ms: Couldn't connect to server",
            ),
            ("http: {'http://ADDRESS/ok': {ca-file: /nowhere.pem}}", "cannot look: cannot read `/nowhere.pem`"),
        ].into_iter().filter(|(check, _)| !check.contains("CLOSED")).collect::<Vec<_>>(),
        &node,
    );
    let refused = one(&format!(
        "http: {{'http://127.0.0.1:{}/': {{body: [x]}}}}",
        closed_port()
    ));
    let said = say(&node, &["dash"], &refused);
    assert!(
        said.starts_with("status: expected 200, found nothing: curl: (7)"),
        "{said}"
    );
    table_without(
        &plain(),
        &[(
            "http: {'http://127.0.0.1/': {status: {not: 200}}}",
            "cannot look: no `curl` or `wget`",
        )],
    );
}

#[test]
fn the_request_of_http_stands_in_no_argument_list() {
    let node = plain().stub("curl", "echo \"$@\" >&2; cat >/dev/null; exit 7");
    let check = one(
        "http: {'http://127.0.0.1/token': {password: canary, username: u, request-headers: ['A: canary'], request-body: canary}}",
    );
    for shell in shells() {
        let said = say(&node, &shell, &check);
        assert!(
            said.contains("--max-time") && !said.contains("canary"),
            "{said}"
        );
        assert!(!said.contains("token"), "{said}");
    }
}

#[test]
fn http_with_wget() {
    let node = plain().stub(
        "wget",
        r#"case $* in
*/ok) printf '  HTTP/1.1 302 Found\n  Location: /x\n  HTTP/1.1 200 OK\n  content-type: text/plain\n' >&2; echo fine ;;
*/falls) case $* in *-T*) exit 139 ;; esac; printf '  HTTP/1.1 200 OK\n' >&2; echo fine ;;
*/dead) exit 139 ;;
*/none) printf '  HTTP/1.1 404 Not Found\nwget: server returned error: HTTP/1.1 404 Not Found\n' >&2; exit 1 ;;
*) echo "wget: can't connect to remote host (127.0.0.1): Connection refused" >&2; exit 1 ;;
esac"#,
    );
    table(
        &node,
        &[
            (
                "http: {'http://127.0.0.1/ok': {body: [fine], headers: ['Content-Type: text/plain', '!Location']}}",
                "holds",
            ),
            (
                "http: {'http://127.0.0.1/none': {}}",
                "status: expected 200, found 404",
            ),
            ("http: {'http://127.0.0.1/falls': {body: [fine]}}", "holds"),
            (
                "http: {'http://127.0.0.1/dead': {status: 404}}",
                "cannot look: wget ended with status 139",
            ),
            (
                "http: {'http://127.0.0.1/refused': {}}",
                "status: expected 200, found nothing: wget: can't connect to remote host (127.0.0.1): Connection refused",
            ),
            (
                "http: {'http://127.0.0.1/ok': {method: POST}}",
                "cannot look: no `curl`, and `wget` cannot make such a request",
            ),
        ],
    );
}

#[test]
fn addr() {
    let cases = [
        ("addr: {'tcp://ADDRESS': {timeout: 900}}", "holds"),
        (
            "addr: {'ADDRESS': {reachable: true, timeout: 900ms}}",
            "holds",
        ),
        ("addr: {'tcp://CLOSED': {reachable: false}}", "holds"),
        (
            "addr: {'tcp://CLOSED': {}}",
            "reachable: expected true, found false",
        ),
    ];
    let address = http_server();
    for tools in [&["nc"][..], &["bash", "timeout"], &["curl"]] {
        if have(tools) {
            with_address(&address, &cases, &plain().tools(tools));
        }
    }
    table_without(
        &plain(),
        &[(
            "addr: {'tcp://127.0.0.1:1': {reachable: false}}",
            "cannot look: no fitting `nc`, no `bash` with `timeout`, no `curl`",
        )],
    );
}

#[test]
fn addr_of_a_socket_in_the_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name).display().to_string();
    let _open = std::os::unix::net::UnixListener::bind(path("open")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(path("closed")).unwrap());
    let holds = format!("addr: {{'unix://{}': {{reachable: true}}}}", path("open"));
    let closed = format!(
        "addr: {{'unix://{}': {{reachable: false}}}}",
        path("closed")
    );
    let nothing = format!("addr: {{'unix://{}': {{}}}}", path("none"));
    let absent = (&*nothing, "reachable: expected true, found false");
    for tools in [&["nc"][..], &["curl"]] {
        if have(tools) {
            let node = plain().tools(tools);
            table_without(&node, &[(&holds, "holds"), (&closed, "holds"), absent]);
        }
    }
    let listed = plain();
    std::os::unix::fs::symlink("/proc", listed.root().join("proc")).unwrap();
    let unknown = "cannot look: no `curl`, no fitting `nc`";
    table(&listed, &[(&holds, "holds"), (&closed, unknown), absent]);
    table(&plain(), &[(&holds, unknown)]);
}

#[test]
fn dns_of_a_server() {
    let dig = plain().stub(
        "dig",
        r#"header() { printf ';; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: %s, id: 1\n' "$1"; }
case $* in
*slow*) echo ';; communications error to 192.0.2.53#53: timed out'; echo ';; no servers could be reached'; exit 9 ;;
*refused*) header REFUSED ;;
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
                "dns: {MX:refused: {resolvable: false, server: 192.0.2.53}}",
                "cannot look: the server answers `REFUSED`",
            ),
            (
                "dns: {LOC:x: {resolvable: false, server: 192.0.2.53}}",
                "cannot look: `LOC` is no type of record that can be asked for",
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
    table(
        &getent,
        &[
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

/// A TLS server on 127.0.0.1 with a certificate of its own, for as long as it lives.
struct TlsServer {
    child: std::process::Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl TlsServer {
    fn start() -> TlsServer {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args(["-nodes", "-days", "30", "-subj", "/CN=shop.test/O=Shop"])
            .args([
                "-addext",
                "subjectAltName=DNS:shop.test,DNS:www.shop.test,IP:127.0.0.1",
            ])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let port = closed_port();
        let child = Command::new("openssl")
            .args([
                "s_server", "-quiet", "-key", "key.pem", "-cert", "cert.pem", "-accept",
            ])
            .arg(format!("127.0.0.1:{port}"))
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + LIMIT;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "the server does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        TlsServer {
            child,
            folder,
            port,
        }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn tls() {
    if !have(&["openssl", "timeout"]) {
        return;
    }
    let server = TlsServer::start();
    let node = plain().tools(&["openssl", "timeout"]);
    let cert = server.folder.path().join("cert.pem");
    let put = |text: &str| {
        text.replace("SERVER", &format!("127.0.0.1:{}", server.port))
            .replace("CERT", &cert.display().to_string())
            .replace("CLOSED", &format!("127.0.0.1:{}", closed_port()))
    };
    for (check, expected) in [
        (
            "tls: {SERVER: {server-name: shop.test, ca-file: CERT, days-left: {and: [{ge: 28}, {le: 30}]}, names: {consist-of: [shop.test, www.shop.test, 127.0.0.1]}, subject: {contain-substring: CN=shop.test}, protocol: {have-prefix: TLSv1}}}",
            "holds",
        ),
        ("tls: {SERVER: {ca-file: CERT}}", "holds"),
        (
            "tls: {SERVER: {server-name: other.test, ca-file: CERT, problem: ok}}",
            r#"valid: expected true, found false; problem: expected "ok", found "hostname mismatch""#,
        ),
        (
            "tls: {SERVER: {server-name: shop.test, valid: false, problem: {contain-substring: self}}}",
            "holds",
        ),
        (
            "tls: {CERT: {ca-file: CERT, days-left: {ge: 28}, issuer: O=Nobody}}",
            r#"issuer: expected "O=Nobody", found "O=Shop,CN=shop.test""#,
        ),
        (
            "tls: {CERT: {ca-file: CERT, server-name: nobody.test}}",
            "valid: expected true, found false",
        ),
        (
            "tls: {/nowhere.pem: {}}",
            "exists: expected true, found false",
        ),
        (
            "tls: {SERVER: {ca-file: /nowhere.pem}}",
            "cannot look: cannot read `/nowhere.pem`",
        ),
    ] {
        for shell in shells() {
            let said = say(&node, &shell, &one(&put(check)));
            assert_eq!(said, put(expected), "{check} under {shell:?}");
        }
    }
    let said = say(&node, &["dash"], &one(&put("tls: {CLOSED: {}}")));
    assert!(
        said.starts_with("exists: expected true, found false: "),
        "{said}"
    );
    table_without(
        &plain(),
        &[(
            "tls: {'127.0.0.1:1': {valid: false}}",
            "cannot look: no `openssl`",
        )],
    );
}
