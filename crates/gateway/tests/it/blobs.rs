//! ! Output in a bucket: a real S3 server that verifies its clients, and a connection to it that
//! the test cuts.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use opsbook_wire as wire;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wire::{Acked, News};

use crate::lab::{Journal, hello};
use crate::postgres::skipped;
use crate::served::{On, Request, Served};

const BOUND: Duration = Duration::from_mins(2);

/// A server with one bucket, `ops`, for one user.
pub struct S3 {
    server: Child,
    address: SocketAddr,
    id: String,
    secret: String,
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl S3 {
    async fn start(test: &str) -> Option<S3> {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/moto/bin/moto_server");
        if !program.exists() {
            skipped(test, "there is no server of S3: `tests/all.sh` installs it");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let server = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            // The number of anonymous requests below.
            .env("INITIAL_NO_AUTH_ACTION_COUNT", "4")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut s3 = S3 {
            server,
            address,
            id: String::new(),
            secret: String::new(),
        };
        let begin = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(begin.elapsed() < BOUND, "the server of S3 is silent");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
        let policy: String = policy.bytes().map(|byte| format!("%{byte:02X}")).collect();
        s3.ask(
            "iam",
            "POST",
            "/",
            "Action=CreateUser&UserName=ops&Version=2010-05-08",
        )
        .await;
        let put = format!(
            "Action=PutUserPolicy&UserName=ops&PolicyName=p&Version=2010-05-08&PolicyDocument={policy}"
        );
        s3.ask("iam", "POST", "/", &put).await;
        let key = s3
            .ask(
                "iam",
                "POST",
                "/",
                "Action=CreateAccessKey&UserName=ops&Version=2010-05-08",
            )
            .await;
        let between = |name: &str| {
            let (_, rest) = key.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        (s3.id, s3.secret) = (between("AccessKeyId"), between("SecretAccessKey"));
        s3.ask("s3", "PUT", "/ops", "").await;
        // From now on the server requires a signature.
        let refused = s3.ask("s3", "GET", "/ops/x", "").await;
        assert!(refused.contains("InvalidAccessKeyId"), "{refused}");
        Some(s3)
    }

    async fn ask(&self, service: &str, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=AKIAX/20130524/us-east-1/{service}/aws4_request,SignedHeaders=host,Signature=0\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }
}

/// A connection to a server that the test can cut.
struct Way {
    address: SocketAddr,
    open: Arc<AtomicBool>,
}

impl Way {
    async fn to(server: SocketAddr) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(AtomicBool::new(true));
        let is_open = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                if !is_open.load(Ordering::Relaxed) {
                    continue;
                }
                tokio::spawn(async move {
                    if let Ok(mut to) = TcpStream::connect(server).await {
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    }
                });
            }
        });
        Way { address, open }
    }

    fn is(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }
}

/// Writes a file that only this user can read.
fn secret(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

async fn waiting(served: &Served) -> i64 {
    let store = &served.running.gateway.store;
    let (count,): (i64,) = sqlx::query_as("select count(*) from spool")
        .fetch_one(store.pool())
        .await
        .unwrap();
    count
}

async fn until_nothing_waits(served: &Served) {
    let begin = Instant::now();
    while waiting(served).await > 0 {
        assert!(begin.elapsed() < BOUND, "output waits for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn output_waits_for_a_bucket_that_is_away_and_nothing_is_lost(on: On) {
    let Some(s3) = S3::start("output_waits_for_a_bucket").await else {
        return;
    };
    let way = Way::to(s3.address).await;
    let keys = tempfile::tempdir().unwrap();
    secret(&keys.path().join("id"), &s3.id);
    secret(&keys.path().join("secret"), &s3.secret);
    let config = format!(
        "[blobs]\nurl = \"s3://ops/out\"\n[blobs.s3]\nendpoint = \"http://{}\"\n\
         key = {{id = {{file = \"{1}/id\"}}, secret = {{file = \"{1}/secret\"}}}}\n",
        way.address,
        keys.path().display()
    );
    let served = Served::with(on, &config).await;
    let run = served.ask(&["web1"]).await;
    let news = served.post("/v1/runner/work", &hello("b", &[])).await;
    let news: News = serde_json::from_value(news).unwrap();
    let key = news.parts[0].key();
    let mut journal = Journal::new(&run);
    journal
        .line(1, r#""event":"warned","text":"zero""#)
        .output(1, "first");
    journal.line(1, r#""event":"warned","text":"one""#);
    let send = async |journal: &Journal, range: std::ops::Range<usize>| {
        let lines = json!({"parts": [journal.part(&key, range)]});
        let acked = served.post("/v1/runner/events", &lines).await;
        let acked: Acked = serde_json::from_value(acked).unwrap();
        acked.acked[&key.to_string()]
    };
    let printed = async || {
        let path = format!("/v1/runs/{run}/output?node=web1");
        served.unix(Request::get(&path)).await
    };
    let events = format!("/v1/runs/{run}/events");
    assert_eq!(send(&journal, 0..3).await, 3);
    until_nothing_waits(&served).await;
    assert_eq!(printed().await.body, "first");
    // The bucket is unreachable. Events and new output still arrive. The output in the bucket is
    // missing, and the answer says so.
    way.is(false);
    journal.output(1, " second");
    journal.line(1, r#""event":"warned","text":"two""#);
    assert_eq!(send(&journal, 3..5).await, 5);
    let mut stream = served.stream(&events).await;
    let seen = stream.until(r#""text":"two""#).await;
    assert!(
        seen.contains(" second") && !seen.contains("first"),
        "{seen}"
    );
    let away = printed().await;
    assert_eq!(away.status, 503, "{away:?}");
    assert_eq!(waiting(&served).await, 1);
    assert_eq!(served.unix(Request::get("/readyz")).await.status, 200);
    // There is a limit: beyond it the output waits on the runner, together with everything after
    // it.
    let store = &served.running.gateway.store;
    let fill = "insert into spool (blob, at, bytes, body) values ('x/full', 1, 67108864, '')";
    sqlx::query(fill).execute(store.pool()).await.unwrap();
    journal.line(1, r#""event":"warned","text":"three""#);
    journal.output(1, " third");
    journal.line(1, r#""event":"warned","text":"four""#);
    assert_eq!(send(&journal, 5..8).await, 6);
    assert_eq!(send(&journal, 6..8).await, 6);
    // The bucket returns: all waiting output is there, and the runner's kept output once.
    way.is(true);
    until_nothing_waits(&served).await;
    assert_eq!(send(&journal, 6..8).await, 8);
    until_nothing_waits(&served).await;
    let all = printed().await;
    assert_eq!((all.status, all.body.as_str()), (200, "first second third"));
    let mut stream = served.stream(&events).await;
    let seen = stream.until(r#""text":"four""#).await;
    assert_eq!(seen.matches("id: web1:1:").count(), 8, "{seen}");
}

crate::on_both!(output_waits_for_a_bucket_that_is_away_and_nothing_is_lost);

/// A gateway gets an archive that it has not made itself from the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn gateways_share_archives_by_the_bucket() {
    let test = "gateways_share_archives_by_the_bucket";
    let (Some(s3), Some(url)) = (S3::start(test).await, crate::postgres::database(test)) else {
        return;
    };
    let keys = tempfile::tempdir().unwrap();
    secret(&keys.path().join("secret"), &s3.secret);
    let config = format!(
        "[blobs.s3]\nendpoint = \"http://{}\"\n\
         key = {{id = {{command = \"echo {}\"}}, secret = {{file = \"{}/secret\"}}}}\n",
        s3.address,
        s3.id,
        keys.path().display()
    );
    let with_url = format!("[blobs]\nurl = \"s3://ops\"\n{config}");
    let one = Served::with(On::Postgres(url.clone()), &with_url).await;
    let two = one.another_in(&url, &with_url).await;
    one.ask(&["far1"]).await;
    let store = &one.running.gateway.store;
    let (_, secret) = store.enroll("dmz", "r").await.unwrap();
    let work = Request::post("/v1/runner/work").bearer(&secret);
    let news = two.tcp(work.json(&hello("b", &[]))).await.json();
    let news: News = serde_json::from_value(news).unwrap();
    let wire::Source::Archive { sha256 } = &news.parts[0].source else {
        panic!("{news:?}");
    };
    // The manual has changed by now: only the archive has the requested text.
    std::fs::write(one.root.join("web.md"), "# Nothing\n").unwrap();
    let path = format!("/v1/runner/manual/shop/{sha256}.tar");
    let begin = Instant::now();
    loop {
        let answer = two.tcp(Request::get(&path).bearer(&secret)).await;
        if answer.status == 200 {
            assert!(answer.body.contains("web.md"), "{answer:?}");
            return;
        }
        assert!(begin.elapsed() < BOUND, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
