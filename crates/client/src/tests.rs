//! A client connected to a listener with scripted answers.

use opsbook_wire::version::Installed;
use opsbook_wire::{About, Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::{Client, ClientError, Token};

/// What the listener does with a request.
#[derive(Clone)]
enum Then {
    Answer(&'static str, &'static str),
    /// Answers, then closes the connection.
    AnswerAndClose(&'static str),
    /// Closes the connection.
    Close,
}

const ABOUT: &str =
    r#"{"name":"g","version":"0.4.2","api":[1],"login":["peer"],"segments":["here"]}"#;

/// Follows the script, request by request, and returns the requests.
async fn serve(then: Vec<Then>) -> (Client, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut then = then.into_iter();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = String::new();
            loop {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap_or(0);
                if read == 0 {
                    break;
                }
                seen += &String::from_utf8_lossy(&piece[..read]);
                let Some((head, body)) = seen.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                if body.len() < length.map_or(0, |length| length.parse().unwrap()) {
                    continue;
                }
                tell.send(std::mem::take(&mut seen)).unwrap();
                let (status, body, close) = match then.next() {
                    Some(Then::Answer(status, body)) => (status, body, false),
                    Some(Then::AnswerAndClose(body)) => ("200 OK", body, true),
                    Some(Then::Close) | None => break,
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nopsbook-wants: 0.4.2\r\nopsbook-upgrade: get it\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                if close {
                    break;
                }
            }
        }
    });
    let token = Some(Token::new("s3cret"));
    let client = Client::new(address.parse().unwrap(), token, "0.4.1", Installed::Deb);
    (client, told)
}

#[tokio::test]
async fn each_request_says_who_asks_and_a_closed_connection_is_opened_again() {
    let ok = Then::Answer("200 OK", ABOUT);
    let (client, mut told) = serve(vec![
        ok.clone(),
        ok.clone(),
        Then::AnswerAndClose(ABOUT),
        ok,
    ])
    .await;
    assert_eq!(client.older(), None);
    for _ in 0..3 {
        client.get::<About>("/v1").await.unwrap();
    }
    client.get::<About>("/v1").await.unwrap();
    let older = client.older().unwrap();
    assert_eq!(older.wants, "0.4.2");
    assert_eq!(older.upgrade.as_deref(), Some("get it"));
    let request = told.recv().await.unwrap();
    for line in [
        "GET /v1 HTTP/1.1\r\n",
        "\r\nopsbook-version: 0.4.1\r\n",
        "\r\nopsbook-api: 1\r\n",
        "\r\nopsbook-installed: deb\r\n",
        "\r\nauthorization: Bearer s3cret\r\n",
    ] {
        assert!(request.contains(line), "{line} is not in {request}");
    }
    assert!(!format!("{client:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_problem_a_broken_connection_and_a_stranger_are_told_apart() {
    let too_old = r#"{"type":"too-old","title":"t","status":426,"detail":"this program is too old","upgrade":"apt-get install opsbook=0.4.2-1"}"#;
    let (client, _told) = serve(vec![
        Then::Answer("426 Upgrade Required", too_old),
        Then::Answer("200 OK", "<html>"),
        Then::Answer("404 Not Found", "nothing here"),
        Then::Answer("502 Bad Gateway", "a proxy speaks"),
    ])
    .await;
    let error = client.get::<About>("/v1").await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::TooOld));
    assert!(!error.may_pass());
    for _ in 0..2 {
        let error = client.get::<About>("/v1").await.unwrap_err();
        assert!(matches!(error, ClientError::Strange { .. }) && !error.may_pass());
    }
    assert!(client.get::<About>("/v1").await.unwrap_err().may_pass());
    let (client, _told) = serve(vec![Then::Close]).await;
    let error = client
        .post_once::<About>("/v1/asks", &1, "key")
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }) && error.may_pass());
}

#[tokio::test]
async fn where_nobody_listens_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}/no.sock", folder.path().display());
    let client = Client::new(address.parse().unwrap(), None, "0.4.1", Installed::Archive);
    let error = client.get::<About>("/v1").await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("cannot reach the gateway unix:/"),
        "{said}"
    );
}
