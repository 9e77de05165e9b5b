//! ! Gateways that notify each other over NATS: with a server, without one, with one that delivers
//! everything twice and nonsense as well, and over TLS.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use opsbook_wire as wire;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::News;

use crate::lab::hello;
use crate::postgres::{certified, database, skipped};
use crate::served::{On, Served};

/// The longest wait of a waiter without a notification, on a busy machine.
const DEAF: Duration = Duration::from_secs(8);
/// Shorter than a waiter's own polling interval.
const RUNG: Duration = Duration::from_millis(3_500);
const BOUND: Duration = Duration::from_mins(1);

struct Nats {
    server: Child,
    port: u16,
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Nats {
    async fn start(port: u16) -> Option<Nats> {
        Nats::start_with(port, &["--auth", "hidden"]).await
    }

    async fn start_with(port: u16, more: &[&str]) -> Option<Nats> {
        let server = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = server.ok()?;
        let nats = Nats { server, port };
        let begin = Instant::now();
        while nats.connected().await.is_none() {
            assert!(begin.elapsed() < BOUND, "the server of NATS is silent");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(nats)
    }

    async fn connected(&self) -> Option<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.port)).await.ok()
    }

    /// Publishes this payload this many times, as another client that knows the token.
    async fn says(&self, payload: &str, times: usize) {
        let mut stream = self.connected().await.unwrap();
        let mut text = "CONNECT {\"verbose\":false,\"auth_token\":\"hidden\"}\r\n".to_owned();
        for _ in 0..times {
            text += &format!("PUB opsbook {}\r\n{payload}\r\n", payload.len());
        }
        text += "PING\r\n";
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut said = String::new();
        while !said.contains("PONG") {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "{said}");
            said += &String::from_utf8_lossy(&piece[..read]);
        }
    }
}

/// Returns the time until a runner at one gateway gets an order placed at another one. The runner
/// gives the order up, so that the node is free.
async fn takes(asked: &Served, works: &Served, boot: &str) -> Duration {
    let work = async {
        let news = works
            .post("/v1/runner/work?wait=20", &hello(boot, &[]))
            .await;
        serde_json::from_value::<News>(news).unwrap()
    };
    let ask = async {
        // The runner waits before the order.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        (asked.ask(&["web1"]).await, begun)
    };
    let (news, (run, begun)) = tokio::join!(work, ask);
    let took = begun.elapsed();
    assert_eq!(news.parts.len(), 1, "{news:?}");
    assert_eq!(news.parts[0].run, run);
    let store = &asked.running.gateway.store;
    for statement in [
        "update part set state = 'ended', status = 'OK'",
        "update run set state = 'ended', status = 'OK'",
    ] {
        sqlx::query(statement).execute(store.pool()).await.unwrap();
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doorbell_that_is_deaf_or_doubled_costs_seconds_and_nothing_else() {
    let test = "a_doorbell_that_is_deaf_or_doubled_costs_seconds_and_nothing_else";
    let Some(url) = database(test) else { return };
    let port = free_port();
    let Some(nats) = Nats::start(port).await else {
        skipped(test, "nats-server is not installed");
        return;
    };
    let config = format!(
        "[doorbell]\nkind = \"nats\"\nurl = \"nats://127.0.0.1:{port}\"\ntoken = {{command = \"echo hidden\"}}\n"
    );
    let one = Served::with(On::Postgres(url.clone()), &config).await;
    let two = one.another_with(&url, &config).await;
    // Until both are connected, nobody gets a notification.
    let begin = Instant::now();
    while takes(&one, &two, "a").await > RUNG {
        assert!(begin.elapsed() < BOUND, "nobody rings");
    }
    for payload in [
        "segment here\nsegment here\nrun x",
        "moon",
        "segment",
        "",
        "\u{0}\u{1}",
    ] {
        nats.says(payload, 200).await;
    }
    assert!(takes(&one, &two, "b").await < RUNG);
    drop(nats);
    let deaf = takes(&one, &two, "c").await;
    assert!(deaf < DEAF, "{deaf:?}");
    let _again = Nats::start(port).await;
    let begin = Instant::now();
    while takes(&one, &two, "d").await > RUNG {
        assert!(begin.elapsed() < BOUND, "nobody rings any more");
    }
}

fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// An authority, and a certificate of it for `localhost`: `NAME-ca.pem`, `NAME.pem`, `NAME.key`.
fn certificate(folder: &Path, name: &str) {
    let certified = certified("localhost");
    for (end, text) in [
        ("-ca.pem", certified.authority),
        (".pem", certified.own),
        (".key", certified.key),
    ] {
        std::fs::write(folder.join(format!("{name}{end}")), text).unwrap();
    }
}

/// What a gateway with these settings says of its doorbell.
async fn said(one: &Served, url: &str, config: &str) -> String {
    let other = one.another_with(url, config).await;
    let begin = Instant::now();
    loop {
        let told = other.told.lock().unwrap().concat();
        if told.contains("`[doorbell]`") {
            return told;
        }
        assert!(begin.elapsed() < BOUND, "it says nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The server and the gateways prove themselves by certificates, and the gateways also by a
/// password. Whoever proves nothing hears nothing, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_doorbell_over_tls_is_believed_only_with_its_certificate() {
    let test = "a_doorbell_over_tls_is_believed_only_with_its_certificate";
    let Some(url) = database(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["server", "other"] {
        certificate(folder.path(), name);
    }
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    let port = free_port();
    let settings = format!(
        "tls {{ cert_file: \"{0}\", key_file: \"{1}\", ca_file: \"{2}\", verify: true }}\n\
         authorization {{ user: ops, password: hidden }}\n",
        file("server.pem").display(),
        file("server.key").display(),
        file("server-ca.pem").display()
    );
    std::fs::write(file("nats.conf"), settings).unwrap();
    let path = file("nats.conf");
    let Some(_nats) = Nats::start_with(port, &["-c", path.to_str().unwrap()]).await else {
        skipped(test, "nats-server is not installed");
        return;
    };
    let config = |authority: &str, own: &str, password: &str| {
        format!(
            "[doorbell]\nkind = \"nats\"\nurl = \"tls://localhost:{port}\"\n\
             authority = \"{}\"\nuser = \"ops\"\npassword = {{command = \"echo {password}\"}}\n\
             certificate = \"{}\"\nkey = \"{}\"\n",
            file(authority).display(),
            file(&format!("{own}.pem")).display(),
            file(&format!("{own}.key")).display()
        )
    };
    let good = config("server-ca.pem", "server", "hidden");
    let one = Served::with(On::Postgres(url.clone()), &good).await;
    let two = one.another_with(&url, &good).await;
    let begin = Instant::now();
    while takes(&one, &two, "a").await > RUNG {
        assert!(begin.elapsed() < BOUND, "nobody rings: {:?}", one.told);
    }
    for (config, why) in [
        (config("other-ca.pem", "server", "hidden"), "certificate"),
        (config("server-ca.pem", "other", "hidden"), "certificate"),
        (
            config("server-ca.pem", "server", "guessed"),
            "authorization",
        ),
        (config("none.pem", "server", "hidden"), "none.pem"),
    ] {
        let told = said(&one, &url, &config).await;
        assert!(told.to_lowercase().contains(why), "{why}: {told}");
        assert!(!told.contains("guessed"), "{told}");
    }
}

/// Two gateways on one store, without a doorbell.
#[tokio::test(flavor = "multi_thread")]
async fn gateways_without_a_doorbell_hear_of_each_other_after_seconds() {
    let Some(url) = database("gateways_without_a_doorbell") else {
        return;
    };
    let config = "[doorbell]\nkind = \"process\"\n";
    let one = Served::with(On::Postgres(url.clone()), config).await;
    let two = one.another_with(&url, config).await;
    let deaf = takes(&one, &two, "a").await;
    assert!(deaf < DEAF, "{deaf:?}");
}
