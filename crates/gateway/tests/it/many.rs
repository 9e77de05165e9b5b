//! ! Several gateways on one store, several hosts, and a store that moves.

use std::time::{Duration, Instant};

use opsbook_gateway::store::Store;
use opsbook_gateway::store::events::From;
use opsbook_gateway::store::migrate::copy;
use opsbook_wire as wire;
use serde_json::json;
use wire::{Acked, AnswerIn, News, Source};

use crate::lab::{Journal, hello, new_run, runner};
use crate::postgres::database;
use crate::served::{On, Request, Served};

#[tokio::test(flavor = "multi_thread")]
async fn gateways_on_one_store_are_one() {
    let name = "gateways_on_one_store_are_one";
    let Some(url) = database(name) else { return };
    let one = Served::new(On::Postgres(url.clone())).await;
    let two = one.another(&url).await;
    // A waiter at the second gateway gets an order placed at the first one at once.
    let work = async {
        let news = two.post("/v1/runner/work?wait=20", &hello("b", &[])).await;
        serde_json::from_value::<News>(news).unwrap()
    };
    let begun = Instant::now();
    let (news, run) = tokio::join!(work, one.ask(&["web1"]));
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    let key = news.parts[0].key();
    assert_eq!(key.run, run);
    // Two hosts' runners with the same name are two runners: neither takes the other's part.
    let other = one.post("/v1/runner/work", &hello("c", &[])).await;
    let other: News = serde_json::from_value(other).unwrap();
    assert_eq!(other, News::default());
    // The first gateway shows the lines that arrive at the second.
    let mut stream = one.stream(&format!("/v1/runs/{run}/events")).await;
    stream.until(r#""state":"leased""#).await;
    let mut journal = Journal::new(&run);
    journal.output(1, "from afar");
    let lines = json!({"parts": [journal.part(&key, 0..1)]});
    let begun = Instant::now();
    two.post("/v1/runner/events", &lines).await;
    stream.until("from afar").await;
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    // A gateway that stops leaves the other one working.
    one.running.stop().await;
    let view = two.get(&format!("/v1/runs/{run}")).await;
    assert_eq!(view["parts"][0]["state"], "leased");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_of_another_machine_has_the_manual_without_its_secrets() {
    let served = Served::new(On::Sqlite).await;
    let write = |name: &str, text: &str| std::fs::write(served.root.join(name), text).unwrap();
    write("key.txt", "hidden");
    write("list.txt", "in a list");
    write("wrong.txt", "of a node with an error");
    // No setting lets others see these files.
    for name in [".env", "tls.key", "id_ed25519"] {
        write(name, "of this machine alone");
    }
    let nodes = std::fs::read_to_string(served.root.join("nodes.yaml")).unwrap();
    write(
        "nodes.yaml",
        &nodes.replace(
            "db1: {}",
            "db1: {pass: {secret: {file: key.txt}}, all: [{secret: {file: list.txt}}]}\n  \
             db2: {pass: {secret: {file: wrong.txt}}, transport: moon}",
        ),
    );
    std::os::unix::fs::symlink("/etc/passwd", served.root.join("out.txt")).unwrap();
    let run = served.ask(&["far1"]).await;
    let store = &served.running.gateway.store;
    let (far, secret) = store.enroll("dmz", "r").await.unwrap();
    assert_eq!(far.id, "dmz.r");
    let work = Request::post("/v1/runner/work")
        .bearer(&secret)
        .json(&hello("b", &[]));
    let news: News = serde_json::from_value(served.tcp(work).await.json()).unwrap();
    assert_eq!(news.parts[0].run, run);
    let Source::Archive { sha256 } = &news.parts[0].source else {
        panic!("{:?}", news.parts[0].source)
    };
    let path = format!("/v1/runner/manual/shop/{sha256}.tar");
    let archive = served.tcp(Request::get(&path).bearer(&secret)).await;
    assert_eq!(archive.status, 200);
    let text = archive.body;
    assert!(text.contains("echo \"version $version\"") && text.contains("nodes.yaml"));
    for hidden in [
        "hidden",
        "in a list",
        "of a node with an error",
        "root:x:",
        "gateway.db",
        "of this machine alone",
    ] {
        assert!(!text.contains(hidden), "{hidden} is in the archive");
    }
    for (path, why) in [
        (
            format!("/v1/runner/manual/shop/{}.tar", "0".repeat(64)),
            "another sum",
        ),
        (
            "/v1/runner/manual/shop/..%2f..%2ftoken".to_owned(),
            "another file",
        ),
        (
            format!("/v1/runner/manual/other/{sha256}.tar"),
            "another manual",
        ),
    ] {
        let answer = served.tcp(Request::get(&path).bearer(&secret)).await;
        assert_eq!(answer.status, 404, "{why}: {answer:?}");
    }
    assert_eq!(served.tcp(Request::get(&path)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_to_a_server_whole() {
    let Some(url) = database("a_store_moves_to_a_server_whole") else {
        return;
    };
    let served = Served::new(On::Sqlite).await;
    let old = &served.running.gateway.store;
    let blobs = &served.running.gateway.blobs;
    let lab = crate::lab::Lab::of(old.clone(), blobs.clone());
    let a = runner(&lab, "a").await;
    old.add_run(&new_run("r1", &[("web1", 1), ("web2", 2)]))
        .await
        .unwrap();
    let key = old.claim(&a, "b", 1).await.unwrap().remove(0);
    let mut journal = Journal::new("r1");
    journal.output(1, "one").line(
        1,
        r#""event":"asked","question":"Go on?","choices":["yes"]"#,
    );
    let part = journal.part(&key, 0..2);
    old.take_lines(blobs, &a, &part, &mut Acked::default())
        .await
        .unwrap();
    let new = Store::open(&url).await.unwrap();
    let counts = copy(old, &new).await.unwrap();
    assert_eq!(
        (
            counts["run"],
            counts["part"],
            counts["event"],
            counts["chunk"]
        ),
        (1, 2, 1, 1)
    );
    assert_eq!(new.run("r1").await.unwrap(), old.run("r1").await.unwrap());
    let all = From::default();
    let lines = new.lines(blobs, "r1", &all, 9).await.unwrap();
    assert_eq!(lines, old.lines(blobs, "r1", &all, 9).await.unwrap());
    // The run continues there: the answer, the rest of the lines, the lease.
    let answer = AnswerIn {
        node: "web1".into(),
        epoch: 1,
        seq: 2,
        answer: "yes".into(),
        note: None,
    };
    new.answer("r1", &answer, "ana").await.unwrap();
    assert_eq!(new.answers(&a.id).await.unwrap().len(), 1);
    let why = copy(old, &new).await.unwrap_err().to_string();
    assert_eq!(why, "the store: the new store already has 1 runs");
}
