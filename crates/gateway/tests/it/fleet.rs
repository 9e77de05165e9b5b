//! ! Many runners of one segment: who is woken for what, and what a message without news costs.

use std::time::{Duration, Instant};

use opsbook_gateway::bell::Topic;
use opsbook_gateway::store::hear::Heard;
use opsbook_wire as wire;
use serde_json::json;
use wire::{Acked, AnswerIn, Hello, News, Want};

use crate::lab::{Journal, hello, new_run, on_both, runner};
use crate::served::{On, Request, Served};

/// Shorter than the pause after which a gateway looks by itself.
const RUNG: Duration = Duration::from_millis(3_500);
/// Longer than that, on a busy machine.
const LOOKED: Duration = Duration::from_secs(12);

/// Waits for news as this runner, with room for two parts.
async fn waits(served: &Served, secret: &str, boot: &str) -> News {
    let hello = Hello {
        room: 2,
        ..hello(boot, &[])
    };
    let work = Request::post("/v1/runner/work?wait=20");
    let answer = served.tcp(work.bearer(secret).json(&hello)).await;
    serde_json::from_value(answer.json()).unwrap()
}

async fn secrets<const N: usize>(served: &Served) -> [String; N] {
    let store = &served.running.gateway.store;
    let mut secrets = [const { String::new() }; N];
    for (number, secret) in secrets.iter_mut().enumerate() {
        let name = format!("r{number}");
        *secret = store.enroll("here", &name).await.unwrap().1;
        // Everybody has been heard: nobody is waited for.
        let known = Request::post("/v1/runner/beat").bearer(secret);
        let known = known.json(&hello(&format!("b{number}"), &[]));
        assert_eq!(served.tcp(known).await.status, 200);
    }
    secrets
}

async fn one_ring_is_passed_on_until_everything_is_taken(on: On) {
    let served = Served::new(on).await;
    let [a, b, c] = secrets(&served).await;
    let gateway = &served.running.gateway;
    let ring = async {
        while gateway.bell.waiting("here") < 3 {
            tokio::task::yield_now().await;
        }
        let nodes = [
            ("web1", 1),
            ("web2", 1),
            ("web3", 1),
            ("web4", 1),
            ("db1", 1),
        ];
        let run = new_run("20261130-120000-abcd", &nodes);
        gateway.store.add_run(&run).await.unwrap();
        gateway.bell.ring(&Topic::Segment("here".into()));
        Instant::now()
    };
    let (rung, a, b, c) = tokio::join!(
        ring,
        waits(&served, &a, "b0"),
        waits(&served, &b, "b1"),
        waits(&served, &c, "b2")
    );
    assert!(rung.elapsed() < RUNG, "{:?}", rung.elapsed());
    let mut counts = [a, b, c].map(|news| news.parts.len());
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 2]);
}

async fn what_waits_is_found_without_a_ring(on: On) {
    let served = Served::new(on).await;
    let [a] = secrets(&served).await;
    let gateway = &served.running.gateway;
    let silent = async {
        while gateway.bell.waiting("here") < 1 {
            tokio::task::yield_now().await;
        }
        let run = new_run("20261130-120000-abcd", &[("web1", 1)]);
        gateway.store.add_run(&run).await.unwrap();
        Instant::now()
    };
    let (written, news) = tokio::join!(silent, waits(&served, &a, "b0"));
    assert_eq!(news.parts.len(), 1);
    assert!(written.elapsed() < LOOKED, "{:?}", written.elapsed());
}

async fn a_runner_that_floods_the_gateway_is_told_to_come_later(on: On) {
    let served = Served::new(on).await;
    let [a, b] = secrets(&served).await;
    let beat = async |secret: &str, boot| {
        let request = Request::post("/v1/runner/beat").bearer(secret);
        served.tcp(request.json(&hello(boot, &[]))).await
    };
    let flood = futures_util::future::join_all((0..32).map(|_| waits(&served, &a, "b0")));
    let others = async {
        while served.running.gateway.bell.waiting("here") < 32 {
            tokio::task::yield_now().await;
        }
        (beat(&a, "b0").await, beat(&b, "b1").await)
    };
    let (refused, taken) = tokio::select! {
        answers = others => answers,
        _ = flood => panic!("nothing waits for them"),
    };
    assert_eq!(refused.status, 429, "{refused:?}");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("too many open requests"), "{detail}");
    assert_eq!(taken.status, 200, "{taken:?}");
    // Whoever goes leaves room.
    let begun = Instant::now();
    while beat(&a, "b0").await.status != 200 {
        assert!(begun.elapsed() < LOOKED, "its share is never free again");
    }
}

crate::on_both!(
    a_runner_that_floods_the_gateway_is_told_to_come_later,
    one_ring_is_passed_on_until_everything_is_taken,
    what_waits_is_found_without_a_ring,
);

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_news_is_written_with_all_others() {
    on_both("a_message_without_news", async |lab| {
        let a = runner(&lab, "a").await;
        let seen = async || lab.store.runners().await.unwrap()[0].seen;
        let say = async |boot| {
            let said = lab.store.hear(&a, &hello(boot, &[]), Heard::InOrder).await;
            said.unwrap()
        };
        say("b1").await;
        let first = seen().await;
        assert!(first > 0);
        while lab.store.now().await.unwrap() == first {}
        say("b1").await;
        assert_eq!(seen().await, first);
        lab.store.sweep(0).await.unwrap();
        let second = seen().await;
        assert!(second > first);
        // Nobody was heard since.
        lab.store.sweep(0).await.unwrap();
        assert_eq!(seen().await, second);
        // A new process is news.
        while lab.store.now().await.unwrap() == second {}
        say("b2").await;
        assert!(seen().await > second);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_runner_waits_for_is_called() {
    on_both("everything_is_called", async |lab| {
        let a = runner(&lab, "a").await;
        let called = async || lab.store.calls().await.unwrap();
        let take = async |lines| {
            let mut acked = Acked::default();
            let taken = lab.store.take_lines(&lab.blobs, &a, &lines, &mut acked);
            assert!(taken.await.unwrap());
        };
        let (here, own) = (Topic::Segment("here".into()), Topic::Runner(a.id.clone()));
        assert_eq!(called().await, []);
        lab.store
            .add_run(&new_run("r1", &[("web1", 1)]))
            .await
            .unwrap();
        assert_eq!(called().await, [here]);
        let key = lab.store.claim(&a, "b", 1).await.unwrap().remove(0);
        assert_eq!(called().await, []);
        let mut journal = Journal::new("r1");
        journal.line(
            1,
            r#""event":"asked","question":"Go on?","choices":["yes"]"#,
        );
        take(journal.part(&key, 0..1)).await;
        assert_eq!(called().await, []);
        let answer: AnswerIn =
            serde_json::from_value(json!({"node": "web1", "epoch": 1, "seq": 1, "answer": "yes"}))
                .unwrap();
        lab.store.answer("r1", &answer, "ana").await.unwrap();
        assert_eq!(called().await, std::slice::from_ref(&own));
        journal.line(1, r#""event":"answered","answer":"yes","question":1"#);
        take(journal.part(&key, 1..2)).await;
        lab.store.stop("r1", &[], Want::Stop, "ana").await.unwrap();
        assert_eq!(called().await, [own]);
    })
    .await;
}
