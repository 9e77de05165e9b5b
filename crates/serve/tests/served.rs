//! ! A manual that is served while its author edits it, with the requests of a browser.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use opsbook_project::merge::place;
use opsbook_serve::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn manual(pages: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let marker = root.join("ran");
    let settings = format!(
        "[book]\nsrc = \"manual\"\n[preprocessor.mine]\ncommand = \"touch {}\"\n",
        marker.display()
    );
    write(root, "book.toml", &settings);
    let mut summary = String::new();
    for n in 0..pages {
        summary += &format!("- [Page {n}](p{n}.md)\n");
        write(root, &format!("manual/p{n}.md"), &page(n, "first"));
    }
    write(root, "manual/SUMMARY.md", &summary);
    write(
        root,
        "nodes.yaml",
        "opsbook: 1\nnodes:\n  here: {transport: local}\n",
    );
    folder
}

fn page(n: usize, word: &str) -> String {
    format!(
        "# Page {n}\n\nIt says {word}.\n\n```yaml procedure\nid: p{n}\n```\n\n```sh step id=one\necho {word}\n```\n"
    )
}

async fn ask(port: u16, line: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The milliseconds of work that the server reports.
fn work(answer: &str) -> f64 {
    let (_, rest) = answer.split_once("page;dur=").unwrap();
    rest.split_once('\r').unwrap().0.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_page_is_shown_with_what_is_wrong_in_it_and_nothing_is_run() {
    let folder = manual(3);
    let root = folder.path();
    let server = Server::open(place(root).unwrap(), 0).await.unwrap();
    let port = server.address().port();
    assert!(server.address().ip().is_loopback());
    tokio::spawn(server.run(Box::new(|_| {})));
    let own = format!("127.0.0.1:{port}");
    let get = async |path: &str| ask(port, &format!("GET {path}"), &own).await;

    let text = get("/p1.html").await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(
        text.contains("It says first.") && text.contains("data-name=\"p1/one\""),
        "{text}"
    );
    assert!(
        text.contains("/-/live.js") && text.contains("connect-src 'self'"),
        "{text}"
    );
    // Neither the frame nor another page is lost.
    assert!(
        text.contains("mdbook-sidebar") && text.contains("ops-about"),
        "{text}"
    );

    // A waiting browser is notified.
    let mut waiting = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET /-/changes HTTP/1.1\r\nHost: {own}\r\n\r\n");
    waiting.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    waiting.read_exact(&mut head).await.unwrap();
    write(
        root,
        "manual/p1.md",
        &page(1, "second").replace("sh step id=one", "sh step id=one tiemout=5"),
    );
    let mut told = String::new();
    let begun = Instant::now();
    while !told.contains("data:") {
        assert!(begun.elapsed() < Duration::from_secs(30), "{told}");
        let mut bytes = [0; 512];
        let count = waiting.read(&mut bytes).await.unwrap();
        told += &String::from_utf8_lossy(&bytes[..count]);
    }
    let text = get("/p1.html").await;
    assert!(text.contains("It says second."), "{text}");
    let problem = text.find("ops-problem-error").unwrap();
    assert!(text.contains("tiemout"), "{text}");
    assert!(
        problem > text.find("It says second.").unwrap(),
        "not at its place: {text}"
    );
    // The repair removes the problem.
    write(root, "manual/p1.md", &page(1, "third"));
    let text = get("/p1.html").await;
    assert!(
        text.contains("It says third.") && !text.contains("ops-problem"),
        "{text}"
    );

    // Another list of pages is another book.
    write(root, "manual/new.md", "# New\n\nNew words.\n");
    let summary = std::fs::read_to_string(root.join("manual/SUMMARY.md")).unwrap();
    write(root, "manual/SUMMARY.md", &(summary + "- [New](new.md)\n"));
    let begun = Instant::now();
    while !get("/new.html").await.contains("New words.") {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the new page never came"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!root.join("ran").exists(), "a command was run");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_looks_by_the_names_of_this_address_are_answered() {
    let folder = manual(1);
    write(folder.path(), "manual/secret.txt", "not for the book");
    let server = Server::open(place(folder.path()).unwrap(), 0)
        .await
        .unwrap();
    let port = server.address().port();
    tokio::spawn(server.run(Box::new(|_| {})));
    for (line, host, status) in [
        ("GET /", format!("127.0.0.1:{port}"), 200),
        ("GET /", format!("localhost:{port}"), 200),
        ("HEAD /p0.html", format!("localhost:{port}"), 200),
        ("GET /", "127.0.0.1".to_owned(), 421),
        ("GET /", format!("evil.example:{port}"), 421),
        ("GET /-/changes", format!("evil.example:{port}"), 421),
        ("GET /", format!("localhost:{}", port ^ 1), 421),
        ("POST /", format!("localhost:{port}"), 405),
        ("DELETE /p0.html", format!("localhost:{port}"), 405),
        ("GET /../book.toml", format!("localhost:{port}"), 404),
        ("GET /%2e%2e/book.toml", format!("localhost:{port}"), 404),
        ("GET /secret.txt", format!("localhost:{port}"), 404),
        ("GET /opsbook/opsbook.css", format!("localhost:{port}"), 200),
    ] {
        let answer = ask(port, line, &host).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{line} {host}: {answer}"
        );
        assert!(!answer.contains("not for the book"));
    }
}

/// The work for one page does not grow with the manual.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_many_takes_no_longer_than_one_of_few() {
    let folder = manual(300);
    let server = Server::open(place(folder.path()).unwrap(), 0)
        .await
        .unwrap();
    let port = server.address().port();
    tokio::spawn(server.run(Box::new(|_| {})));
    let own = format!("127.0.0.1:{port}");
    let mut best = f64::MAX;
    for n in 0..8 {
        write(
            folder.path(),
            "manual/p150.md",
            &page(150, &format!("word{n}")),
        );
        let answer = ask(port, "GET /p150.html", &own).await;
        assert!(answer.contains(&format!("It says word{n}.")), "{answer}");
        best = best.min(work(&answer));
    }
    // An unoptimised build on a busy machine: ten times the calm value.
    assert!(best < 1000.0, "{best} ms");
}

/// A book with a package in a neighbouring folder: a change there appears.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_package_is_shown_as_it_is_now_with_its_version_and_owners() {
    let folder = manual(1);
    let root = folder.path();
    write(
        root,
        "opsbook.toml",
        "[packages]\nshop = {path = \"parts/shop\"}\n[book]\nexclude = [\"parts/**\"]\n",
    );
    let package = |version: &str| {
        let text = format!(
            "[package]\nname = \"shop\"\nversion = \"{version}\"\nowners = [\"shop-ops@example.net\"]\n"
        );
        write(root, "parts/shop/opsbook.toml", &text);
    };
    package("1.4.2");
    write(root, "parts/shop/book.toml", "[book]\nsrc = \"manual\"\n");
    write(
        root,
        "parts/shop/manual/SUMMARY.md",
        "- [Release](release.md)\n",
    );
    let release = |word: &str| {
        let text = format!("# Release\n\nIt says {word}.\n");
        write(root, "parts/shop/manual/release.md", &text);
    };
    release("first");
    let server = Server::open(place(root).unwrap(), 0).await.unwrap();
    let port = server.address().port();
    tokio::spawn(server.run(Box::new(|_| {})));
    let own = format!("127.0.0.1:{port}");
    let page = "GET /packages/shop/manual/release.html";
    let until = async |wanted: &str| {
        let begin = Instant::now();
        loop {
            let text = ask(port, page, &own).await;
            if text.contains(wanted) {
                return text;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "{wanted}: {text}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let text = until("It says first.").await;
    assert!(
        text.contains("<em>shop 1.4.2 · shop-ops@example.net</em>"),
        "{text}"
    );
    release("second");
    until("It says second.").await;
    package("1.5.0");
    write(
        root,
        "parts/shop/manual/release.md",
        "# Release\n\nIt says third.\n",
    );
    until("shop 1.5.0 ·").await;
    // A half-written file shows a problem, and the book returns afterwards.
    write(root, "parts/shop/opsbook.toml", "[package\n");
    release("fourth");
    package("1.6.0");
    release("fifth");
    until("shop 1.6.0 ·").await;
}
