//! A run that somebody has to approve: what is shown and signed, by whom, and for how long.

use opsbook_package::sign::sign_for;
use opsbook_wire as wire;
use serde_json::{Value, json};
use wire::approve::Statement;
use wire::{Hello, News};

use crate::lab::hello;
use crate::served::{Answer, On, Request, Served};

const RULES: &str = "opsbook: 1
groups: {oncall: [ana, bo, cy]}
rules:
  - {who: '@oncall', may: [read, run, stop], procedures: '*', nodes: web1}
  - {who: '@oncall', may: [read, run, stop], procedures: '*', nodes: web2, approve: {count: 2, by: [bo, cy, dee]}}
";

/// A gateway whose approvers have keys.
struct Approving {
    served: Served,
    keys: tempfile::TempDir,
}

impl Approving {
    async fn new(on: On) -> Approving {
        let keys = tempfile::tempdir().unwrap();
        let people = [("ana", "ana"), ("bo", "bo"), ("cy", "cy")];
        let signers = crate::lab::signers(keys.path(), &people);
        let config = format!(
            "name = \"gw\"\n[approval]\nallowed_signers = \"{}\"\n",
            signers.display()
        );
        let served = Served::with(on, &config).await;
        std::fs::write(served.root.join("access.yaml"), RULES).unwrap();
        Approving { served, keys }
    }

    async fn token(&self, person: &str) -> String {
        let store = &self.served.running.gateway.store;
        store.new_login(person, "token", 600).await.unwrap().0
    }

    async fn by(&self, person: &str, path: &str, body: &Value) -> Answer {
        let token = self.token(person).await;
        let request = Request::post(path).bearer(&token).json(body);
        self.served.tcp(request).await
    }

    async fn get(&self, path: &str) -> Value {
        let token = self.token("ana").await;
        let answer = self.served.tcp(Request::get(path).bearer(&token)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    async fn ask(&self, nodes: &[&str]) -> Value {
        let ask = json!({"procedure": "web.deploy", "nodes": nodes});
        let asked = self.by("ana", "/v1/asks", &ask).await;
        assert_eq!(asked.status, 201, "{asked:?}");
        asked.json()
    }

    /// What somebody would send, had they signed this with this key.
    async fn signed(&self, run: &str, key: &str, end: &str, purpose: &str) -> Value {
        let plan = self.get(&format!("/v1/runs/{run}/plan")).await;
        let document = plan["documents"]["web2"].as_str().unwrap();
        let sha256 = opsbook_gateway::token::sha256(document);
        let statement = Statement {
            run,
            node: "web2",
            sha256: &sha256,
            asked_by: "ana",
            manner: plan["manner"].as_str().unwrap(),
            not_after: end,
        };
        let key = self.keys.path().join(key);
        let signature = sign_for(purpose, &statement.text(), &key).unwrap();
        json!({"not_after": end, "parts": [{"node": "web2", "sha256": sha256, "signature": signature}]})
    }

    async fn approve(&self, run: &str, person: &str, body: &Value) -> Answer {
        self.by(person, &format!("/v1/runs/{run}/approvals"), body)
            .await
    }

    async fn work(&self, hello: &Hello) -> News {
        let body = serde_json::to_value(hello).unwrap();
        let news = self.served.post("/v1/runner/work?wait=0", &body).await;
        serde_json::from_value(news).unwrap()
    }
}

fn in_an_hour() -> String {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

const OURS: &str = "opsbook-approve@gw";

#[expect(clippy::too_many_lines, reason = "a table, and one story")]
async fn nothing_begins_before_enough_people_have_signed_what_will_be_done(on: On) {
    let team = Approving::new(on).await;
    let asked = team.ask(&["web1", "web2"]).await;
    assert_eq!(asked["state"], "waiting-approval");
    assert_eq!(asked["wants"], json!({"approvals": 2, "by": "bo, cy, dee"}));
    let run = asked["run"].as_str().unwrap();
    // Nothing of it, not even on the node that needs no approval.
    assert_eq!(team.work(&hello("b", &[])).await.parts, []);
    let plan = team.get(&format!("/v1/runs/{run}/plan")).await;
    let documents = plan["documents"].as_object().unwrap();
    assert_eq!(documents.keys().collect::<Vec<_>>(), ["web2"]);
    let document: Value = serde_json::from_str(documents["web2"].as_str().unwrap()).unwrap();
    assert_eq!(
        document["plans"]["web2"]["steps"][0]["values"]["version"],
        "2"
    );

    let end = in_an_hour();
    let good = team.signed(run, "bo", &end, OURS).await;
    let mut other = good.clone();
    other["parts"][0]["sha256"] = json!("0".repeat(64));
    let mut later = good.clone();
    later["not_after"] = json!("2026-12-24T00:00:00Z");
    let mut gone = good.clone();
    gone["not_after"] = json!("2020-12-24T00:00:00Z");
    let mut elsewhere = good.clone();
    elsewhere["parts"][0]["node"] = json!("web1");
    for (why, who, body, kind) in [
        (
            "who asked",
            "ana",
            &team.signed(run, "ana", &end, OURS).await,
            "not-allowed",
        ),
        ("another's key", "cy", &good, "not-allowed"),
        ("no reader", "eve", &good, "not-found"),
        (
            "another purpose",
            "bo",
            &team.signed(run, "bo", &end, "opsbook-approve@other").await,
            "not-allowed",
        ),
        ("another text", "bo", &other, "changed"),
        ("a longer time", "bo", &later, "not-allowed"),
        ("a time that is over", "bo", &gone, "wrong"),
        ("a node without a need", "bo", &elsewhere, "not-found"),
        (
            "no parts",
            "bo",
            &json!({"not_after": end, "parts": []}),
            "malformed",
        ),
        (
            "an unknown field",
            "bo",
            &json!({"not_after": end, "parts": [], "x": 1}),
            "malformed",
        ),
    ] {
        let answer = team.approve(run, who, body).await;
        assert_eq!(answer.kind(), kind, "{why}: {answer:?}");
    }
    let first = team.approve(run, "bo", &good).await.json();
    assert_eq!(first["state"], "waiting-approval");
    assert_eq!(first["approvals"][0]["by"], "bo");
    // The same person twice is one person.
    team.approve(run, "bo", &good).await.json();
    assert_eq!(team.work(&hello("b", &[])).await.parts, []);
    let cys = team.signed(run, "cy", &end, OURS).await;
    let second = team.approve(run, "cy", &cys).await.json();
    assert_eq!(
        (&second["state"], &second["wants"]),
        (&json!("queued"), &json!(null))
    );
    let parts = team.work(&hello("b", &[])).await.parts;
    assert_eq!(parts.len(), 2);
    assert_eq!(
        (parts[0].consent.is_none(), parts[1].asked_by.as_str()),
        (true, "ana")
    );
    let consent = parts[1].consent.as_ref().unwrap();
    assert_eq!(json!(consent.sha256), good["parts"][0]["sha256"]);
    let by: Vec<&str> = consent
        .approvals
        .iter()
        .map(|one| one.by.as_str())
        .collect();
    assert_eq!(by, ["bo", "cy"]);
}

async fn an_approval_that_ends_before_the_beginning_is_waited_for_again(on: On) {
    let team = Approving::new(on).await;
    let run = team.ask(&["web2"]).await["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let end = in_an_hour();
    for person in ["bo", "cy"] {
        let signed = team.signed(&run, person, &end, OURS).await;
        assert_eq!(team.approve(&run, person, &signed).await.status, 200);
    }
    let path = format!("/v1/runs/{run}");
    assert_eq!(team.get(&path).await["state"], "queued");
    let store = &team.served.running.gateway.store;
    let past = |text: &'static str| async move {
        sqlx::query(store.sql(text))
            .execute(store.pool())
            .await
            .unwrap();
    };
    past("update consent set until = {now} - 1").await;
    // Nobody gets it, also before anybody has looked at the time.
    assert_eq!(team.work(&hello("b", &[])).await.parts, []);
    let swept = store.sweep(60_000).await.unwrap();
    assert!(swept.expired.contains(&run) || team.get(&path).await["state"] == "waiting-approval");
    let view = team.get(&path).await;
    assert_eq!(view["state"], "waiting-approval");
    assert_eq!(view["parts"][0]["state"], "waiting");
    // Approved again, it goes on; once it has begun, the end of the approval is no end of it.
    let signed = team.signed(&run, "bo", &end, OURS).await;
    assert_eq!(
        team.approve(&run, "bo", &signed).await.json()["state"],
        "queued"
    );
    let work = team.work(&hello("b", &[])).await.parts.remove(0);
    past("update consent set until = {now} - 1").await;
    assert_eq!(team.work(&hello("c", &[])).await.parts[0].epoch, 2);
    // Long after it, a person decides.
    past("update consent set until = {now} - 8 * 24 * 3600000").await;
    assert_eq!(team.work(&hello("d", &[])).await.parts, []);
    store.sweep(60_000).await.unwrap();
    let view = team.get(&path).await;
    assert_eq!(
        (&view["state"], &view["parts"][0]["state"]),
        (&json!("halted"), &json!("halted"))
    );
    assert_eq!(work.epoch, 1);
}

crate::on_both!(
    nothing_begins_before_enough_people_have_signed_what_will_be_done,
    an_approval_that_ends_before_the_beginning_is_waited_for_again,
);
