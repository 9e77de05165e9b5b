//! Network probes, tested with servers on 127.0.0.1 and with recorded output of tools.

use std::net::TcpListener;

use super::*;

mod dns;
mod http;
mod tls;

use http::http_server;

/// A port without a listener.
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

/// Whether the tools exist; reports a skip if not.
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
fn addr() {
    let cases = [
        ("addr: {'tcp://ADDRESS': {timeout: 900}}", "holds"),
        (
            "addr: {'ADDRESS': {reachable: true, timeout: 900ms}}",
            "holds",
        ),
        ("addr: {'tcp://CLOSED': {reachable: false}}", "holds"),
    ];
    let address = http_server();
    for tools in [&["nc"][..], &["bash", "timeout"], &["curl"]] {
        if have(tools) {
            let node = plain().tools(tools);
            with_address(&address, &cases, &node);
            let closed = format!("addr: {{'tcp://127.0.0.1:{}': {{}}}}", closed_port());
            let lost = "addr: {'tcp://no-such-name.invalid:1': {reachable: false}}";
            for shell in shells() {
                let said = say(&node, &shell, &one(&closed));
                assert!(
                    said.starts_with("reachable: expected true, found false"),
                    "{said}"
                );
                let said = say(&node, &shell, &one(lost));
                assert!(said.starts_with("cannot look: "), "{said}");
            }
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
