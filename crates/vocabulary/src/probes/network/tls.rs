//! The probe of certificates, with a test server.

use super::*;

/// A TLS server on 127.0.0.1 with its own certificate, stopped when dropped.
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
            r#"valid: expected true, found false: hostname mismatch; problem: expected "ok", found "hostname mismatch""#,
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
            "valid: expected true, found false: hostname mismatch",
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
