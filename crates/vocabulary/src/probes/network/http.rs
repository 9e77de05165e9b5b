//! Probes of web servers, and a server for them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;

use super::*;

/// Starts a server that answers by path until the test ends; returns its address.
pub(super) fn http_server() -> String {
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
