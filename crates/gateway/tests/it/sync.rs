//! ! Runs that bypassed the gateway: their later report, each line chained to the one before, and
//! the findings on nodes until then.

use std::sync::{Arc, Mutex};

use opsbook_gateway::token::sha256;
use opsbook_project::record::{Known, verify};
use opsbook_wire as wire;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wire::News;
use wire::check::Round;
use wire::record::Record;

use crate::lab::hello;
use crate::served::{Answer, On, Request, Served};

const RUN: &str = "20261129-180000-ab12";

/// A journal as a laptop writes it.
pub struct Laptop {
    run: String,
    epoch: u64,
    lines: Vec<String>,
}

impl Laptop {
    /// A journal of a run of the shop's procedure on these nodes.
    pub fn new(run: &str, nodes: &[&str], glass: Option<&str>) -> Laptop {
        let mut laptop = Laptop {
            run: run.into(),
            epoch: 1,
            lines: Vec::new(),
        };
        let mut started = json!({
            "event": "run-started", "procedure": "web.deploy", "title": "Deploy the web",
            "place": "web.md:3", "nodes": nodes, "arguments": {"version": "7"},
            "operator": "ana", "controller": "desk", "version": "0.1.0", "revision": "abc",
            "clean": true, "plans": {},
        });
        if let Some(why) = glass {
            started["break_glass"] = json!(why);
        }
        laptop.line(&started);
        laptop
    }

    pub fn line(&mut self, event: &Value) -> &mut Laptop {
        let root = format!("opsbook run {}", self.run);
        let prev = self.lines.last().map_or_else(|| sha256(root), sha256);
        let mut line = json!({
            "v": 2, "seq": self.lines.len() + 1, "at": "2026-11-29T18:00:00Z", "run": self.run,
            "epoch": self.epoch, "prev": prev,
        });
        let fields = line.as_object_mut().unwrap();
        fields.extend(event.as_object().unwrap().clone());
        self.lines.push(line.to_string());
        self
    }

    fn on(&mut self, node: &str, event: &Value) -> &mut Laptop {
        let mut event = event.clone();
        event["node"] = json!(node);
        event["step"] = json!(1);
        self.line(&event)
    }

    fn body(&self, range: std::ops::Range<usize>) -> Value {
        json!({"run": self.run, "lines": self.lines[range]})
    }

    pub fn all(&self) -> Value {
        self.body(0..self.lines.len())
    }
}

fn ended(status: &str) -> Value {
    json!({"event": "run-ended", "status": status})
}

async fn by(served: &Served, person: &str, request: Request) -> Answer {
    let store = &served.running.gateway.store;
    let token = store.new_login(person, "token", 600).await.unwrap().0;
    served.tcp(request.bearer(&token)).await
}

async fn report(served: &Served, body: &Value) -> Answer {
    by(served, "ana", Request::post("/v1/sync").json(body)).await
}

#[expect(clippy::too_many_lines, reason = "one story")]
async fn a_journal_is_taken_in_once_and_only_as_it_was_written(on: On) {
    let served = Served::with(on, "name = \"gw\"\n[record]\nevery = \"1s\"\n").await;
    std::fs::write(served.root.join("book.toml"), crate::several::APPLICATIONS).unwrap();
    let mut laptop = Laptop::new(RUN, &["web1"], Some("the gateway is down"));
    laptop
        .on(
            "web1",
            &json!({"event": "output", "stream": "out", "text": "going"}),
        )
        .on(
            "web1",
            &json!({"event": "value-captured", "name": "released", "value": "7"}),
        );
    assert_eq!(report(&served, &laptop.body(0..0)).await.json()["acked"], 0);
    // In two pieces, each sent twice.
    let first = report(&served, &laptop.body(0..2)).await;
    assert_eq!(
        first.json(),
        json!({"run": RUN, "acked": 2, "state": "halted"})
    );
    assert_eq!(report(&served, &laptop.body(0..2)).await.json()["acked"], 2);
    laptop.line(&ended("OK"));
    let whole = report(&served, &laptop.body(1..4)).await.json();
    assert_eq!(
        whole,
        json!({"run": RUN, "acked": 4, "state": "ended", "status": "OK"})
    );
    assert_eq!(report(&served, &laptop.all()).await.json(), whole);
    let view = served.get(&format!("/v1/runs/{RUN}")).await;
    for (key, value) in [
        ("origin", "laptop"),
        ("asked_by", "ana"),
        ("break_glass", "the gateway is down"),
        ("procedure", "web.deploy"),
        ("status", "OK"),
    ] {
        assert_eq!(view[key], value, "{view}");
    }
    assert_eq!(view["asked"], "2026-11-29T18:00:00.000Z");
    let listed = served.get("/v1/runs?node=web1").await;
    assert_eq!(listed["runs"][0]["break_glass"], "the gateway is down");
    // The lines are the journal's, byte for byte, and can be proven.
    let events = Request::get(&format!("/v1/runs/{RUN}/events"));
    let events = served
        .unix(events.header("accept", "application/x-ndjson"))
        .await;
    assert_eq!(events.body.lines().collect::<Vec<_>>(), laptop.lines);
    let record = served.get(&format!("/v1/runs/{RUN}/record")).await;
    let record: Record = serde_json::from_value(record).unwrap();
    assert_eq!(verify(&record, Known::default()).wrong, [""; 0]);
    let applications = served.get("/v1/applications").await;
    assert_eq!(applications[0]["hosts"][0]["version"], "7");
    // Nobody can stop or resume it here, and no runner gets it.
    for (what, body) in [
        ("resume", json!({})),
        ("stop", json!({"nodes": [], "manner": "step"})),
    ] {
        let path = format!("/v1/runs/{RUN}/{what}");
        assert_eq!(
            served.unix(Request::post(&path).json(&body)).await.kind(),
            "state"
        );
    }
    let news = served
        .post("/v1/runner/work?wait=0", &hello("b", &[]))
        .await;
    assert_eq!(news["parts"], json!([]));
    // Resumed on the laptop, by its next controller.
    laptop.epoch = 2;
    laptop.line(&json!({"event": "run-resumed", "operator": "ana", "controller": "desk", "accepted_changes": false}));
    assert_eq!(
        report(&served, &laptop.all()).await.json()["state"],
        "halted"
    );
    laptop.line(&ended("FAILED"));
    let failed = report(&served, &laptop.all()).await.json();
    assert_eq!(
        (&failed["state"], &failed["status"]),
        (&json!("halted"), &json!("FAILED"))
    );
    // Several nodes form one part, and each of them leads to it.
    let mut several = Laptop::new("20261129-190000-ab12", &["web1", "web2"], None);
    several.line(&ended("OK"));
    assert_eq!(report(&served, &several.all()).await.json()["status"], "OK");
    let listed = served.get("/v1/runs?node=web2").await;
    assert_eq!(listed["runs"][0]["run"], several.run);
}

/// Among people with some permission, only those who may run can report the state of nodes, and
/// only of the run's nodes.
async fn who_may_only_read_says_nothing_of_how_machines_are(on: On) {
    let served = Served::with(on, "name = \"gw\"\n").await;
    std::fs::write(served.root.join("book.toml"), crate::several::APPLICATIONS).unwrap();
    let rules = "opsbook: 1\nrules:\n  - {who: [ana, ben], may: [read], procedures: '*', nodes: '*'}\n  \
                 - {who: ana, may: [run], procedures: '*', nodes: web1}\n";
    std::fs::write(served.root.join("access.yaml"), rules).unwrap();
    let captured = json!({"event": "value-captured", "name": "released", "value": "6"});
    let versions = async || {
        let applications = by(&served, "ana", Request::get("/v1/applications")).await;
        applications.json()[0]["hosts"].clone()
    };
    let before = versions().await;
    for (person, run, nodes, of) in [
        ("ben", "20261129-180000-0001", &["web1"][..], "web1"),
        ("ana", "20261129-180000-0002", &["web1", "web2"][..], "web1"),
        ("ana", "20261129-180000-0003", &["web1"][..], "web2"),
    ] {
        let mut laptop = Laptop::new(run, nodes, None);
        laptop.on(of, &captured).line(&ended("OK"));
        let request = Request::post("/v1/sync").json(&laptop.all());
        let answer = by(&served, person, request).await;
        assert_eq!(answer.json()["status"], "OK", "{run}");
        assert_eq!(versions().await, before, "{run}");
    }
    let mut laptop = Laptop::new(RUN, &["web1"], None);
    laptop.on("web1", &captured).line(&ended("OK"));
    assert_eq!(report(&served, &laptop.all()).await.json()["status"], "OK");
    assert_eq!(versions().await[0]["version"], "6");
}

type Alter = fn(&mut Laptop);

#[expect(clippy::too_many_lines, reason = "a table")]
async fn a_journal_that_was_altered_is_not_taken(on: On) {
    let served = Served::new(on).await;
    let journal = || {
        let mut laptop = Laptop::new(RUN, &["web1"], None);
        for number in 0..4 {
            laptop.on(
                "web1",
                &json!({"event": "warned", "text": format!("line {number}")}),
            );
        }
        laptop
    };
    let forgeries: [(&str, Alter, &str); 14] = [
        (
            "a byte",
            |l| l.lines[2] = l.lines[2].replace("line 1", "line 9"),
            "does not follow",
        ),
        (
            "a line less",
            |l| drop(l.lines.remove(2)),
            "lines before it are missing",
        ),
        (
            "two lines turned",
            |l| l.lines.swap(2, 3),
            "lines before it are missing",
        ),
        (
            "another run",
            |l| l.lines[3] = l.lines[3].replace(RUN, "20261129-180000-ab13"),
            "belongs to another run",
        ),
        (
            "no beginning",
            |l| drop(l.lines.remove(0)),
            "must say how the run was started",
        ),
        (
            "no chain",
            |l| {
                let mut line: Value = serde_json::from_str(&l.lines[1]).unwrap();
                line.as_object_mut().unwrap().remove("prev");
                l.lines[1] = line.to_string();
            },
            "not chained",
        ),
        (
            "another root",
            |l| {
                let line = l.lines[0].replace(&sha256(format!("opsbook run {RUN}")), &sha256("x"));
                l.lines[0] = line;
            },
            "does not follow",
        ),
        (
            "two lines in one",
            |l| l.lines[1] += "\n{}",
            "more than one line",
        ),
        ("no event", |l| l.lines[1] = "{}".into(), "not an event"),
        (
            "a long line",
            |l| l.lines[1] = format!("\"{}\"", "x".repeat(wire::limit::LINE)),
            "too long",
        ),
        ("no nodes", |l| *l = Laptop::new(RUN, &[], None), "no nodes"),
        (
            "an odd node",
            |l| *l = Laptop::new(RUN, &["../x"], None),
            "has an invalid name",
        ),
        (
            "a node that is no name later",
            |l| {
                l.on("a b", &json!({"event": "warned", "text": "x"}));
            },
            "its node is not a valid name",
        ),
        (
            "a controller from the past",
            |l| {
                l.epoch = 3;
                l.line(&json!({"event": "warned", "text": "x"}));
                l.epoch = 2;
                l.line(&json!({"event": "warned", "text": "x"}));
            },
            "after a later one",
        ),
    ];
    for (what, alter, said) in forgeries {
        let mut laptop = journal();
        alter(&mut laptop);
        let answer = report(&served, &laptop.all()).await;
        assert_eq!(answer.kind(), "wrong", "{what}: {answer:?}");
        assert!(answer.body.contains(said), "{what}: {answer:?}");
        // The gateway stored nothing of it.
        let runs = served.get("/v1/runs").await;
        assert_eq!(runs["runs"], json!([]), "{what}");
    }
    let odd = json!({"run": "../../x", "lines": []});
    assert_eq!(report(&served, &odd).await.kind(), "malformed");
    let unknown = json!({"run": RUN, "lines": [], "x": 1});
    assert_eq!(report(&served, &unknown).await.kind(), "malformed");
    let large = json!({"run": RUN, "lines": ["x".repeat(wire::limit::LINES_BODY)]});
    assert_eq!(report(&served, &large).await.kind(), "too-large");
    // Another journal of the same run, and another person's report.
    assert_eq!(report(&served, &journal().all()).await.status, 200);
    let mut other = journal();
    other.lines.truncate(4);
    other.on("web1", &json!({"event": "warned", "text": "another"}));
    let answer = report(&served, &other.all()).await;
    assert!(
        answer.body.contains("another journal of this run"),
        "{answer:?}"
    );
    let bos = by(
        &served,
        "bo",
        Request::post("/v1/sync").json(&journal().all()),
    )
    .await;
    assert_eq!(bos.kind(), "not-allowed");
    // Nobody can report one of the gateway's own runs.
    let own = served.ask(&["web1"]).await;
    let mine = Laptop::new(&own, &["web1"], None);
    assert_eq!(report(&served, &mine.all()).await.kind(), "state");
    // A person without read access cannot report it.
    std::fs::write(
        served.root.join("access.yaml"),
        "opsbook: 1\nrules:\n  - {who: ana, may: [read], procedures: 'web.*', nodes: web1}\n",
    )
    .unwrap();
    let foreign = Laptop::new("20261129-200000-ab12", &["web1", "web2"], None);
    assert_eq!(report(&served, &foreign.all()).await.kind(), "not-allowed");
}

/// Starts a program that receives notifications.
async fn listening(heard: Arc<Mutex<Vec<Value>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut text, mut piece) = (String::new(), [0; 4096]);
            while let Ok(read @ 1..) = stream.read(&mut piece).await {
                text += &String::from_utf8_lossy(&piece[..read]);
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    heard
                        .lock()
                        .unwrap()
                        .push(serde_json::from_str(body).unwrap());
                    break;
                }
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

async fn round(served: &Served) -> Round {
    loop {
        let mut hello = hello("b", &[]);
        hello.room = 1;
        let news = served.post("/v1/runner/work?wait=20", &hello).await;
        let mut news: News = serde_json::from_value(news).unwrap();
        if let Some(round) = news.rounds.pop() {
            return round;
        }
    }
}

async fn says(served: &Served, round: &Round, runs: &Value) -> Answer {
    let checked =
        json!({"id": round.id, "nodes": [{"node": "web1", "held": ["a::b"], "runs": runs}]});
    served
        .unix(Request::post("/v1/runner/checks").json(&checked))
        .await
}

#[expect(clippy::too_many_lines, reason = "one story")]
async fn a_run_that_nobody_knows_is_a_finding_until_it_is_reported(on: On) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let url = listening(Arc::clone(&heard)).await;
    let config = format!(
        "[schedules.look]\nchecks = \"*\"\nnodes = \"web1\"\nevery = \"1s\"\n\
         [hooks.chat]\nkind = \"webhook\"\nurl = \"{url}/hook\"\non = [\"unknown-run\", \"break-glass\"]\n\
         [alerts.main]\nkind = \"alertmanager\"\nurl = \"{url}/api/v2/alerts\"\n"
    );
    let served = Served::with(on, &config).await;
    let own = served.ask(&["web1"]).await;
    let first = round(&served).await;
    assert_eq!(first.traces, wire::check::Traces::Told);
    for odd in [
        json!([{"run": "../x", "how": "past"}]),
        json!([{"run": RUN, "how": "odd"}]),
    ] {
        assert_eq!(
            says(&served, &first, &odd).await.kind(),
            "malformed",
            "{odd}"
        );
    }
    let many: Vec<Value> = (0..300)
        .map(|n| json!({"run": format!("20261129-180000-{n:04}"), "how": "past"}))
        .collect();
    assert_eq!(
        says(&served, &first, &json!(many)).await.kind(),
        "malformed"
    );
    let seen = json!([{"run": RUN, "how": "holds"}, {"run": own, "how": "past"}]);
    assert_eq!(says(&served, &first, &seen).await.status, 200);
    let found = served.get("/v1/findings").await;
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        (&found[0]["node"], &found[0]["run"], &found[0]["how"]),
        (&json!("web1"), &json!(RUN), &json!("holds"))
    );
    // The same observation is one finding, since the same time.
    let second = round(&served).await;
    let past = json!([{"run": RUN, "how": "past"}]);
    assert_eq!(says(&served, &second, &past).await.status, 200);
    let again = served.get("/v1/findings?node=web1").await;
    assert_eq!(
        (&again[0]["how"], &again[0]["since"]),
        (&json!("past"), &found[0]["since"])
    );
    assert_eq!(served.get("/v1/findings?node=web2").await, json!([]));
    let told = |kind: &'static str| {
        let heard = Arc::clone(&heard);
        async move {
            for _ in 0..3_000 {
                let all: Vec<Value> = heard.lock().unwrap().clone();
                if let Some(body) = all
                    .iter()
                    .find(|body| body["kind"] == kind || body[0]["labels"]["alertname"] == kind)
                {
                    return body.clone();
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            panic!("never: {kind}");
        }
    };
    assert_eq!(told("unknown-run").await["run"], RUN);
    assert_eq!(told("OpsbookUnknownRun").await[0]["labels"]["node"], "web1");
    // Only people with read access there see it.
    std::fs::write(
        served.root.join("access.yaml"),
        "opsbook: 1\nrules:\n  - {who: ana, may: [read], procedures: 'web.*', nodes: web1}\n  \
         - {who: bo, may: [read], procedures: 'web.*', nodes: web2}\n",
    )
    .unwrap();
    for (who, count) in [("ana", 1), ("bo", 0)] {
        let seen = by(&served, who, Request::get("/v1/findings")).await.json();
        assert_eq!(seen.as_array().unwrap().len(), count, "{who}");
    }
    // The report explains it; and breaking the glass causes a notification.
    let mut laptop = Laptop::new(RUN, &["web1"], Some("nobody was there"));
    laptop.line(&ended("OK"));
    assert_eq!(report(&served, &laptop.all()).await.status, 200);
    let seen = by(&served, "ana", Request::get("/v1/findings"))
        .await
        .json();
    assert_eq!(seen, json!([]));
    assert_eq!(told("break-glass").await["reason"], "nobody was there");
}

crate::on_both!(
    a_journal_is_taken_in_once_and_only_as_it_was_written,
    a_journal_that_was_altered_is_not_taken,
    a_run_that_nobody_knows_is_a_finding_until_it_is_reported,
    who_may_only_read_says_nothing_of_how_machines_are,
);
