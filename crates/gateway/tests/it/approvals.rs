//! ! A run that needs approval: what the approver sees and signs, who may approve, and for how
//! long.

use opsbook_package::sign::sign_for;
use opsbook_wire as wire;
use serde_json::{Value, json};
use wire::approve::Statement;
use wire::{Hello, News, PartKey};

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

    /// As above, for a person whose groups come from a provider.
    async fn of_groups(&self, person: &str, groups: &[&str]) -> String {
        let store = &self.served.running.gateway.store;
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let login = store.new_login_in((person, "oidc"), &groups, 600).await;
        login.unwrap().0
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

    /// Returns the body of an approval signed with this key.
    async fn signed(&self, run: &str, key: &str, end: &str, purpose: &str) -> Value {
        let plan = self.get(&format!("/v1/runs/{run}/plan")).await;
        let document = plan["documents"]["web2"].as_str().unwrap();
        let sha256 = opsbook_gateway::token::sha256(document);
        let statement = Statement {
            run,
            node: "web2",
            sha256: &sha256,
            asked_by: "ana",
            manner: plan["manners"]["web2"].as_str().unwrap(),
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

/// A store that lost its lease hears of it from the runner. Nobody gets a part that way while its
/// run waits for approval.
async fn a_runners_word_is_no_approval(on: On) {
    let team = Approving::new(on).await;
    let run = team.ask(&["web2"]).await["run"].clone();
    let run = run.as_str().unwrap();
    let key = PartKey {
        run: run.to_owned(),
        node: "web2".into(),
        epoch: 1,
    };
    let news = team.work(&hello("b1", &[&key])).await;
    assert!(news.parts.is_empty() && news.lost.is_empty(), "{news:?}");
    let view = team.get(&format!("/v1/runs/{run}")).await;
    assert_eq!(view["state"], "waiting-approval");
    assert_eq!(view["parts"][0]["state"], "waiting");
}

#[expect(clippy::too_many_lines, reason = "a table, and one story")]
async fn nothing_begins_before_enough_people_have_signed_what_will_be_done(on: On) {
    let team = Approving::new(on).await;
    let asked = team.ask(&["web1", "web2"]).await;
    assert_eq!(asked["state"], "waiting-approval");
    assert_eq!(asked["wants"], json!({"approvals": 2, "by": "bo, cy, dee"}));
    let run = asked["run"].as_str().unwrap();
    // No part of the run starts, not even on the node that needs no approval.
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
    // The same person twice counts once.
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
    // Nobody gets the part, even before the sweep has checked the time.
    assert_eq!(team.work(&hello("b", &[])).await.parts, []);
    let swept = store.sweep(60_000).await.unwrap();
    assert!(swept.expired.contains(&run) || team.get(&path).await["state"] == "waiting-approval");
    let view = team.get(&path).await;
    assert_eq!(view["state"], "waiting-approval");
    assert_eq!(view["parts"][0]["state"], "waiting");
    // After a new approval it continues; once the run has started, the end of the approval does not
    // end it.
    let signed = team.signed(&run, "bo", &end, OURS).await;
    assert_eq!(
        team.approve(&run, "bo", &signed).await.json()["state"],
        "queued"
    );
    let work = team.work(&hello("b", &[])).await.parts.remove(0);
    past("update consent set until = {now} - 1").await;
    assert_eq!(team.work(&hello("c", &[])).await.parts[0].epoch, 2);
    // Long after that, a person decides.
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

async fn a_run_is_gone_on_with_at_another_step_once_that_is_signed(on: On) {
    let team = Approving::new(on).await;
    let rules = RULES.replace("[read, run, stop]", "[read, run, stop, resume]");
    std::fs::write(team.served.root.join("access.yaml"), rules).unwrap();
    let run = team.ask(&["web2"]).await["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let (path, end) = (format!("/v1/runs/{run}"), in_an_hour());
    let approve = async || {
        let mut state = Value::Null;
        for person in ["bo", "cy"] {
            let signed = team.signed(&run, person, &end, OURS).await;
            let answer = team.approve(&run, person, &signed).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            state = answer.json()["state"].clone();
        }
        state
    };
    let halted = async |boot: &str| {
        let work = team.work(&hello(boot, &[])).await.parts.remove(0);
        let mut said = hello(boot, &[]);
        said.room = 0;
        said.ended = vec![wire::PartEnd {
            run: run.clone(),
            node: "web2".into(),
            epoch: work.epoch,
            state: wire::EndState::Halted,
            status: Some(wire::Ended::Failed),
            cause: None,
        }];
        team.work(&said).await;
        work
    };
    assert_eq!(approve().await, "queued");
    halted("b").await;
    // At the step where it halted: that is what was approved.
    let resume = async |body: Value| team.by("ana", &format!("{path}/resume"), &body).await;
    assert_eq!(resume(json!({})).await.json()["state"], "queued");
    halted("b").await;
    // At another step, or only up to one: nobody has approved that.
    for body in [json!({"start_at": 2}), json!({"stop_after": 1})] {
        assert_eq!(resume(body).await.json()["state"], "waiting-approval");
        assert_eq!(team.work(&hello("b", &[])).await.parts, []);
        let plan = team.get(&format!("{path}/plan")).await;
        let before = plan["manners"]["web2"].as_str().unwrap().to_owned();
        assert!(
            before.contains("steps 2 to the last") || before.contains("to 1"),
            "{before}"
        );
        assert_eq!(approve().await, "queued");
        let work = halted("b").await;
        let consent = work.consent.unwrap();
        assert_eq!(consent.manner, before);
        assert_eq!(
            before,
            wire::approve::manner(work.confirm, work.start_at, work.stop_after)
        );
        assert_eq!(consent.approvals.len(), 2);
    }
}

async fn who_approves_may_be_of_a_group_that_a_provider_names(on: On) {
    let team = Approving::new(on).await;
    let rules = "opsbook: 1\ngroups: {oncall: [], readers: []}\nrules:\n  \
                 - {who: ana, may: [read, run], procedures: '*', nodes: '*', approve: {count: 1, by: '@oncall'}}\n  \
                 - {who: ['@oncall', '@readers', bo], may: [read], procedures: '*', nodes: '*'}\n";
    std::fs::write(team.served.root.join("access.yaml"), rules).unwrap();
    let run = team.ask(&["web2"]).await["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let signed = team.signed(&run, "bo", &in_an_hour(), OURS).await;
    for (groups, status) in [(&["readers"][..], 403), (&["readers", "oncall"], 200)] {
        let token = team.of_groups("bo", groups).await;
        let request = Request::post(&format!("/v1/runs/{run}/approvals"));
        let answer = team.served.tcp(request.bearer(&token).json(&signed)).await;
        assert_eq!(answer.status, status, "{groups:?}: {answer:?}");
    }
    let work = team.work(&hello("b", &[])).await.parts.remove(0);
    let approvals = work.consent.unwrap().approvals;
    assert_eq!(
        (approvals[0].by.as_str(), &approvals[0].groups),
        ("bo", &vec!["oncall".to_owned()])
    );
}

async fn a_contract_may_want_an_approval(on: On) {
    let team = Approving::new(on).await;
    let page = crate::served::PAGE.replace(
        "nodes: \"@web\"\n",
        "nodes: \"@web\"\napprove: {count: 1, by: \"@oncall\"}\n",
    );
    std::fs::write(team.served.root.join("web.md"), page).unwrap();
    let asked = team.ask(&["web1"]).await;
    assert_eq!(asked["state"], "waiting-approval");
    assert_eq!(asked["wants"], json!({"approvals": 1, "by": "@oncall"}));
    let explained = "/v1/explain?person=ana&verb=run&procedure=web.deploy&node=web1";
    let explained = team.get(explained).await;
    assert_eq!(
        explained["approvals"][0]["place"], "web.md:6",
        "{explained}"
    );
    // A group that no rule names: nobody may run it.
    let page = std::fs::read_to_string(team.served.root.join("web.md")).unwrap();
    std::fs::write(
        team.served.root.join("web.md"),
        page.replace("@oncall", "@nobody"),
    )
    .unwrap();
    let ask = json!({"procedure": "web.deploy", "nodes": ["web1"]});
    let refused = team.by("ana", "/v1/asks", &ask).await;
    assert_eq!(refused.kind(), "wrong");
    assert!(
        refused.body.contains("there is no group `@nobody`"),
        "{refused:?}"
    );
}

crate::on_both!(
    a_runners_word_is_no_approval,
    a_run_is_gone_on_with_at_another_step_once_that_is_signed,
    who_approves_may_be_of_a_group_that_a_provider_names,
    a_contract_may_want_an_approval,
    nothing_begins_before_enough_people_have_signed_what_will_be_done,
    an_approval_that_ends_before_the_beginning_is_waited_for_again,
);
