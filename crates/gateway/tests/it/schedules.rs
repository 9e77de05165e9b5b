//! ! Schedules: one tick makes one round or run; the time since when a check has its result; and
//! notifications.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opsbook_wire as wire;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wire::News;
use wire::check::Round;

use crate::lab::hello;
use crate::served::{On, Request, Served};

const BOUND: Duration = Duration::from_mins(2);

/// A program that receives notifications and refuses the first one.
struct Listener {
    url: String,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Listener {
    async fn new() -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut first = true;
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = String::new();
                while !is_whole(&text) {
                    let mut piece = [0; 4096];
                    match stream.read(&mut piece).await {
                        Ok(read @ 1..) => text += &String::from_utf8_lossy(&piece[..read]),
                        _ => break,
                    }
                }
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let path = head.split(' ').nth(1).unwrap().to_owned();
                let no = path == "/hook" && std::mem::take(&mut first);
                let status = if no { "503 Later" } else { "200 OK" };
                if !no {
                    let body = serde_json::from_str(body).unwrap();
                    hears.lock().unwrap().push((path, body));
                }
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Listener { url, heard }
    }

    async fn until(&self, what: &str, find: impl Fn(&str, &Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let heard = self.heard.lock().unwrap().clone();
            if let Some((_, body)) = heard.iter().find(|(path, body)| find(path, body)) {
                return body.clone();
            }
            assert!(begin.elapsed() < BOUND, "never: {what}: {heard:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

/// Returns the next round, as a runner gets it.
async fn round(served: &Served) -> Round {
    let begin = Instant::now();
    loop {
        let mut hello = hello("b", &[]);
        hello.room = 1;
        let news = served.post("/v1/runner/work?wait=5", &hello).await;
        let mut news: News = serde_json::from_value(news).unwrap();
        if let Some(round) = news.rounds.pop() {
            return round;
        }
        assert!(begin.elapsed() < BOUND, "no round came");
    }
}

async fn says(served: &Served, round: &Round, held: &[&str], others: Value) -> bool {
    let checked = json!({
        "id": round.id,
        "nodes": [{"node": "web1", "held": held, "others": others}],
    });
    let taken = served.post("/v1/runner/checks", &checked).await;
    taken["taken"].as_bool().unwrap()
}

fn failed(evidence: &str) -> Value {
    json!([{"check": "machine::disk", "outcome": "failed", "evidence": evidence, "place": "machine.md:7"}])
}

/// More than go into one statement, all of them new, and then none.
async fn thousands_of_new_checks_are_stored_once(on: On) {
    let config = "[schedules.drift]\nchecks = \"machine::*\"\nnodes = \"web*\"\nevery = \"1s\"\n";
    let served = Served::with(on, config).await;
    let names: Vec<String> = (0..2_500).map(|n| format!("machine::check{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let spans = async || {
        let count =
            sqlx::query_scalar::<_, i64>("select count(*) from span where outcome = 'held'");
        let pool = served.running.gateway.store.pool();
        count.fetch_one(pool).await.unwrap()
    };
    for _ in 0..2 {
        let next = round(&served).await;
        assert!(says(&served, &next, &names, json!([])).await);
        assert_eq!(spans().await, 2_500);
    }
}

#[expect(clippy::too_many_lines, reason = "one story")]
async fn a_check_is_known_since_when_and_told_to_whoever_wants_to_know(on: On) {
    let listener = Listener::new().await;
    let url = &listener.url;
    let config = format!(
        "[schedules.drift]\nchecks = \"machine::*\"\nnodes = \"web*\"\nevery = \"1s\"\n\
         [alerts.main]\nkind = \"alertmanager\"\nurl = \"{url}/api/v2/alerts\"\n\
         [hooks.chat]\nkind = \"webhook\"\nurl = \"{url}/hook\"\non = [\"drift\", \"run-halted\"]\n"
    );
    let served = Served::with(on, &config).await;
    let store = &served.running.gateway.store;
    let first = round(&served).await;
    assert_eq!(first.nodes, ["web1", "web2"]);
    assert_eq!(first.checks, ["machine::*"]);
    let held = ["machine::disk", "machine::load"];
    assert!(says(&served, &first, &held, json!([])).await);
    assert!(
        !says(&served, &first, &held, json!([])).await,
        "it was taken"
    );
    let checks = served.get("/v1/checks").await;
    assert_eq!(checks.as_array().unwrap().len(), 2);
    assert_eq!(checks[0]["outcome"], "held");
    let since = checks[0]["since"].clone();
    // A run on the node, after which the disk is full.
    let run = served.ask(&["web1"]).await;
    let a = store.runner_here("here", "r").await.unwrap();
    store.claim(&a, "b", 1).await.unwrap();
    let second = round(&served).await;
    assert!(
        says(
            &served,
            &second,
            &["machine::load"],
            failed("free: expected 10, found 2")
        )
        .await
    );
    let checks = served.get("/v1/checks?outcome=failed").await;
    let disk = &checks[0];
    assert_eq!(
        (&disk["run_before"], &disk["evidence"]),
        (&json!(run), &json!("free: expected 10, found 2"))
    );
    assert!(disk["since"].as_str() > since.as_str());
    let alert = listener
        .until("an alert", |path, body| {
            path == "/api/v2/alerts" && body[0]["labels"]["alertname"] == "OpsbookCheckFailed"
        })
        .await;
    assert_eq!(alert[0]["startsAt"], disk["since"]);
    assert_eq!(alert[0]["labels"]["check"], "machine::disk");
    assert_eq!(alert[0]["labels"]["group"], "machine");
    assert_eq!(alert[0]["annotations"]["page"], "machine");
    assert_eq!(alert[0]["annotations"]["run_before"], json!(run));
    let end: jiff::Timestamp = alert[0]["endsAt"].as_str().unwrap().parse().unwrap();
    assert!(end > jiff::Timestamp::now());
    // The hook refused at first.
    let told = listener
        .until("a notice", |path, body| {
            path == "/hook" && body["outcome"] == "failed"
        })
        .await;
    assert_eq!(
        (&told["kind"], &told["node"], &told["check"]),
        (&json!("drift"), &json!("web1"), &json!("machine::disk"))
    );
    let metrics = served.unix(Request::get("/metrics")).await.body;
    let series = "opsbook_gateway_check_not_held{manual=\"shop\",node=\"web1\",group=\"machine\",check=\"machine::disk\",outcome=\"failed\"} 1";
    assert!(metrics.contains(series), "{metrics}");
    // Another observation: the check fails since the same time. Then nobody can observe the node,
    // which is neither a failure nor the end of an observed one.
    let third = round(&served).await;
    assert!(
        says(
            &served,
            &third,
            &["machine::load"],
            failed("free: expected 10, found 1")
        )
        .await
    );
    let again = served.get("/v1/checks?outcome=failed").await;
    assert_eq!(again[0]["since"], disk["since"]);
    assert_eq!(again[0]["evidence"], "free: expected 10, found 1");
    let fourth = round(&served).await;
    let mut unknown = failed("unreachable");
    unknown[0]["outcome"] = json!("unknown");
    assert!(says(&served, &fourth, &[], unknown).await);
    assert_eq!(served.get("/v1/checks?outcome=failed").await, json!([]));
    let all = served.get("/v1/checks").await;
    // A removed check has no result.
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    assert_eq!(all[0]["outcome"], "unknown");
    let fifth = round(&served).await;
    assert!(says(&served, &fifth, &["machine::disk"], json!([])).await);
    let history = served
        .get("/v1/checks?check=machine::disk&history=true")
        .await;
    assert_eq!(history.as_array().unwrap().len(), 4, "{history}");
    let turn = "update outbox set tries = 0 where id = 'turn'";
    sqlx::query(store.sql(turn))
        .execute(store.pool())
        .await
        .unwrap();
    let resolved = listener
        .until("the end of the alert", |path, body| {
            let end = body[0]["endsAt"].as_str().and_then(|end| end.parse().ok());
            path == "/api/v2/alerts"
                && end.is_some_and(|end: jiff::Timestamp| end <= jiff::Timestamp::now())
        })
        .await;
    let ends: Vec<&str> = resolved
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["labels"]["alertname"].as_str().unwrap())
        .collect();
    assert!(
        ends.contains(&"OpsbookCheckFailed") && ends.contains(&"OpsbookCheckUnknown"),
        "{resolved}"
    );
    let schedules = served.get("/v1/schedules").await;
    assert_eq!(
        (&schedules[0]["name"], &schedules[0]["what"]),
        (&json!("drift"), &json!("checks machine::*"))
    );
    // The gateway offers a round that a runner lost again at once.
    let lost = round(&served).await;
    assert_eq!(
        round(&served).await.id.rsplit_once('.').unwrap().0,
        lost.id.rsplit_once('.').unwrap().0
    );
}

async fn a_schedule_runs_a_procedure_when_the_rules_let_it(on: On) {
    let config = "[schedules.look]\nprocedure = \"web.deploy\"\nnodes = \"web1\"\nevery = \"1s\"\narguments = {version = \"9\"}\n\
                  [schedules.other]\nprocedure = \"web.deploy\"\nnodes = \"web2\"\nevery = \"1s\"\n";
    let served = Served::with(on, config).await;
    std::fs::write(
        served.root.join("access.yaml"),
        "opsbook: 1\nrules:\n  - {who: schedule.look, may: [run], procedures: 'web.*', nodes: web1}\n  - {who: root, may: [read], procedures: '*', nodes: '*'}\n",
    )
    .unwrap();
    let store = &served.running.gateway.store;
    let runs = async || {
        let all = store
            .runs(&opsbook_gateway::store::runs::Filter::default())
            .await
            .unwrap()
            .0;
        all.into_iter()
            .filter(|run| run.asked_by == "schedule.look")
            .collect::<Vec<_>>()
    };
    let until = async |count: usize| {
        let begin = Instant::now();
        loop {
            let runs = runs().await;
            if runs.len() >= count {
                return runs;
            }
            assert!(begin.elapsed() < BOUND, "{runs:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let first = until(1).await.remove(0);
    assert_eq!(first.origin, wire::Origin::Schedule);
    let error = async |name: &str| {
        let begin = Instant::now();
        loop {
            let seen = store.schedule(name).await.unwrap();
            if let Some(error) = seen.error {
                return error;
            }
            assert!(begin.elapsed() < BOUND, "{name} has no error");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        error("other")
            .await
            .contains("no rule of `access.yaml` lets `schedule.other` run")
    );
    // The next run waits for the end of this one.
    assert!(error("look").await.contains("has not ended"));
    assert_eq!(runs().await.len(), 1);
    store
        .stop(&first.run, &[], wire::Want::Hold, "bo")
        .await
        .unwrap();
    let second = until(2).await.remove(0);
    let view = store.run(&second.run).await.unwrap().unwrap();
    assert_eq!(view.arguments["version"], "9");
}

crate::on_both!(
    thousands_of_new_checks_are_stored_once,
    a_check_is_known_since_when_and_told_to_whoever_wants_to_know,
    a_schedule_runs_a_procedure_when_the_rules_let_it,
);

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_do_each_tick_once() {
    let Some(url) = crate::postgres::database("three_gateways_do_each_tick_once") else {
        return;
    };
    let mut config = String::new();
    for number in 0..20 {
        config += &format!(
            "[schedules.s{number}]\nprocedure = \"web.deploy\"\nnodes = \"web1\"\nevery = \"1s\"\n\
             [schedules.c{number}]\nchecks = \"*\"\nnodes = \"web*,far1\"\nevery = \"1s\"\n"
        );
    }
    let first = Served::with(On::Postgres(url.clone()), &config).await;
    let second = first.another_with(&url, &config).await;
    let third = first.another_with(&url, &config).await;
    let store = &first.running.gateway.store;
    let begin = Instant::now();
    let mut seen = std::collections::BTreeMap::new();
    let mut killed = Some(third);
    // Each run ends at once, so that the next tick makes a new one.
    let ticks = |seen: &std::collections::BTreeMap<(String, String), String>| {
        (0..20)
            .map(|number| {
                seen.keys()
                    .filter(|(who, _)| *who == format!("schedule.s{number}"))
                    .count()
            })
            .min()
            .unwrap()
    };
    while ticks(&seen) < 4 {
        assert!(begin.elapsed() < BOUND, "{seen:?}");
        sqlx::query("update run set state = 'ended'")
            .execute(store.pool())
            .await
            .unwrap();
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("select asked_by, ask_key, id from run")
                .fetch_all(store.pool())
                .await
                .unwrap();
        for (who, key, run) in rows {
            let before = seen.insert((who, key), run.clone());
            assert!(
                before.is_none_or(|before| before == run),
                "a tick has two runs"
            );
        }
        let (double,): (i64,) = sqlx::query_as(
            "select count(*) from (select 1 from round group by schedule, segment, slice, due having count(*) > 1) d",
        )
        .fetch_one(store.pool())
        .await
        .unwrap();
        assert_eq!(double, 0);
        if ticks(&seen) >= 2
            && let Some(gateway) = killed.take()
        {
            gateway.running.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Each tick of the checks wrote all rounds or none.
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as("select schedule, due, count(*) from round group by schedule, due")
            .fetch_all(store.pool())
            .await
            .unwrap();
    assert_eq!(rows.len(), 20, "{rows:?}");
    assert!(rows.iter().all(|(_, _, count)| *count == 2), "{rows:?}");
    drop(second);
}
