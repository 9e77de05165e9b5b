//! ! Several manuals in one gateway, each with its own rules, book and runs; and which version runs
//! where.

use std::path::Path;
use std::process::Command;

use opsbook_wire as wire;
use serde_json::{Value, json};
use wire::News;

use crate::lab::{Journal, hello};
use crate::served::{Answer, On, Request, Served};

fn git(folder: &Path, words: &[&str]) {
    let done = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@t.example"])
        .args(words)
        .output()
        .unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
}

const DUMP: &str = "# Dump\n\n```yaml procedure\nid: db.dump\n```\n\nDump it.\n\n```sh step\ntrue\n```\n\n# Deploy\n\n```yaml procedure\nid: web.deploy\n```\n\nAlso here.\n\n```sh step\ntrue\n```\n";

/// Creates a repository with a manual for databases.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("book.toml", "[book]\ntitle = \"Databases\"\nsrc = \".\"\n");
    write("SUMMARY.md", "# Summary\n\n- [Dump](dump.md)\n");
    write("dump.md", DUMP);
    write(
        "nodes.yaml",
        "opsbook: 1\ndefaults: {transport: local}\nnodes:\n  db1: {}\n",
    );
    write(
        "access.yaml",
        "opsbook: 1\nrules:\n  - {who: [bo, root], may: [read, run], procedures: '*', nodes: '*'}\n",
    );
    git(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "--quiet", "-m", "all"]);
    folder
}

async fn by(served: &Served, person: &str, request: Request) -> Answer {
    let store = &served.running.gateway.store;
    let token = store.new_login(person, "token", 600).await.unwrap().0;
    served.tcp(request.bearer(&token)).await
}

fn names(views: &Value, key: &str) -> Vec<String> {
    let all = views.as_array().unwrap().iter();
    all.map(|view| {
        format!(
            "{} {}",
            view["manual"].as_str().unwrap(),
            view[key].as_str().unwrap()
        )
    })
    .collect()
}

#[expect(clippy::too_many_lines, reason = "one story")]
async fn each_manual_has_its_own_runs_rules_and_book(on: On) {
    let databases = repository();
    let config = format!(
        "[manuals.shop]\nsource = \"{{root}}\"\n[manuals.db]\nsource = \"file://{}\"\nbranch = \"main\"\n\
         [schedules.dump]\nmanual = \"db\"\nprocedure = \"db.dump\"\nnodes = \"db1\"\nevery = \"24h\"\n",
        databases.path().display()
    );
    let served = Served::with(on, &config).await;
    let all = served.get("/v1/procedures").await;
    assert_eq!(
        names(&all, "id"),
        ["db db.dump", "db web.deploy", "shop web.deploy"]
    );
    let hosts = served.get("/v1/hosts").await;
    assert_eq!(
        names(&hosts, "id"),
        ["db db1", "shop web1", "shop web2", "shop far1", "shop db1"]
    );
    let hosts = served.get("/v1/hosts?manual=shop&select=@web").await;
    assert_eq!(hosts.as_array().unwrap().len(), 3);
    // A procedure that only one manual has needs no manual's name; one that both have does.
    let ask = |body: Value| Request::post("/v1/asks").json(&body);
    let both = ask(json!({"procedure": "web.deploy", "nodes": ["db1"]}));
    let both = served.unix(both).await;
    assert_eq!(both.kind(), "wrong");
    assert!(both.body.contains("db, shop"), "{both:?}");
    let none = ask(json!({"manual": "x", "procedure": "db.dump", "nodes": ["db1"]}));
    assert_eq!(served.unix(none).await.kind(), "not-found");
    let deploy = json!({"manual": "shop", "procedure": "web.deploy", "nodes": ["web1"]});
    let shop = served.unix(ask(deploy)).await.json()["run"].clone();
    let dump = json!({"procedure": "db.dump", "nodes": ["db1"]});
    let db = served.unix(ask(dump.clone())).await.json()["run"].clone();
    // Each manual applies its own rules.
    assert_eq!(by(&served, "ana", ask(dump)).await.kind(), "not-allowed");
    let runs = by(&served, "ana", Request::get("/v1/runs")).await.json();
    let seen: Vec<&Value> = { runs["runs"].as_array().unwrap().iter() }
        .map(|run| &run["run"])
        .collect();
    assert_eq!(seen, [&shop]);
    let path = format!("/v1/runs/{}", db.as_str().unwrap());
    assert_eq!(by(&served, "ana", Request::get(&path)).await.status, 404);
    assert_eq!(
        by(&served, "bo", Request::get(&path)).await.json()["manual"],
        "db"
    );
    let of_db = served.get("/v1/runs?manual=db").await;
    assert_eq!(of_db["runs"].as_array().unwrap().len(), 1);
    let explain = "/v1/explain?person=ana&verb=run&node=db1&procedure=web.deploy";
    assert_eq!(served.unix(Request::get(explain)).await.kind(), "wrong");
    for (manual, granted) in [("db", false), ("shop", true)] {
        let explained = served.get(&format!("{explain}&manual={manual}")).await;
        assert_eq!(explained["granted"], granted, "{manual}");
    }
    let schedules = by(&served, "ana", Request::get("/v1/schedules")).await;
    assert_eq!(schedules.json(), json!([]));
    assert_eq!(served.get("/v1/schedules").await[0]["name"], "dump");
    // A runner on this host reads a folder; for a clone it gets an archive.
    let news = served
        .post("/v1/runner/work?wait=0", &hello("b", &[]))
        .await;
    let news: News = serde_json::from_value(news).unwrap();
    for work in &news.parts {
        match (&work.source, work.manual.as_str()) {
            (wire::Source::Folder { path }, "shop") => assert_eq!(Path::new(path), served.root),
            (wire::Source::Archive { sha256 }, "db") => {
                let archive = format!("/v1/runner/manual/db/{sha256}.tar");
                assert_eq!(served.unix(Request::get(&archive)).await.status, 200);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(news.parts.len(), 2);
    books(&served).await;
    // The branch gets a new commit.
    let text = DUMP.replace("Dump it.", "Dump all of it.");
    std::fs::write(databases.path().join("dump.md"), text).unwrap();
    git(databases.path(), &["commit", "--quiet", "-am", "more"]);
    let manual = served.running.gateway.manuals.one(Some("db")).unwrap();
    manual.bring().unwrap();
    let page = served.unix(Request::get("/manuals/db/dump.html")).await;
    assert!(page.body.contains("Dump all of it."), "{page:?}");
    // A failed fetch is reported, and the gateway keeps serving the previous revision.
    let gone = databases.path().with_extension("gone");
    std::fs::rename(databases.path(), &gone).unwrap();
    let why = manual.bring().unwrap_err();
    assert!(why.contains("not appear to be a git repository"), "{why}");
    assert_eq!(
        served
            .get("/v1/procedures?manual=db")
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    std::fs::rename(&gone, databases.path()).unwrap();
}

async fn books(served: &Served) {
    let get = async |path: &str| served.unix(Request::get(path)).await;
    let above = get("/").await;
    assert!(above.body.contains("href=\"/manuals/shop/\""), "{above:?}");
    assert!(above.head.contains("script-src 'self'"), "{above:?}");
    let moved = get("/manuals/shop").await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("/manuals/shop/"))
    );
    let page = get("/manuals/shop/web.html").await;
    assert!(
        page.body
            .contains("<meta name=\"opsbook-manual\" content=\"shop\">")
    );
    for (path, status) in [
        ("/manuals/shop/", 200),
        ("/manuals/db/dump.html", 200),
        ("/manuals/none/", 404),
        ("/manuals/shop/../db/dump.html", 404),
        ("/web.html", 404),
        ("/console/overview", 200),
        ("/console/overview.js", 200),
    ] {
        assert_eq!(get(path).await.status, status, "{path}");
    }
}

/// Finishes a run of the shop that captures this version on web1 with this status.
pub async fn deployed(served: &Served, version: &str, status: wire::Ended) -> String {
    let run = served.ask(&["web1"]).await;
    let mut free = hello("b", &[]);
    free.rounds = None;
    let news = served.post("/v1/runner/work?wait=5", &free).await;
    let news: News = serde_json::from_value(news).unwrap();
    let key = news.parts[0].key();
    let mut journal = Journal::new(&run);
    journal.line(
        1,
        &format!(r#""event":"value-captured","name":"released","value":"{version}""#),
    );
    let lines = wire::Lines {
        parts: vec![journal.part(&key, 0..1)],
    };
    served.post("/v1/runner/events", &lines).await;
    let mut said = hello("b", &[]);
    said.ended = vec![wire::PartEnd {
        run: key.run,
        node: key.node,
        epoch: 1,
        state: wire::EndState::Ended,
        status: Some(status),
        cause: None,
    }];
    served.post("/v1/runner/beat", &said).await;
    run
}

pub const APPLICATIONS: &str = "[book]\ntitle = \"Shop\"\nsrc = \".\"\n[applications.web]\nprocedures = \"web.*\"\nnodes = \"web*\"\nversion = \"released\"\n";

async fn what_runs_where_is_what_the_last_run_that_ended_ok_has_captured(on: On) {
    let served = Served::new(on).await;
    std::fs::write(served.root.join("book.toml"), APPLICATIONS).unwrap();
    // The book has the table of this manual as well.
    assert_eq!(served.unix(Request::get("/web.html")).await.status, 200);
    let host = async || {
        let all = served.get("/v1/applications").await;
        assert_eq!(
            (&all[0]["id"], &all[0]["procedures"]),
            (&json!("web"), &json!("web.*"))
        );
        assert_eq!(all[0]["hosts"][1], json!({"id": "web2"}));
        all[0]["hosts"][0].clone()
    };
    assert_eq!(host().await, json!({"id": "web1"}));
    let first = deployed(&served, "1.0", wire::Ended::Ok).await;
    let second = deployed(&served, "1.1", wire::Ended::Ok).await;
    let now = host().await;
    assert_eq!(
        (&now["version"], &now["run"]),
        (&json!("1.1"), &json!(second))
    );
    assert!(now["seen"].is_string() && now["since"].is_null(), "{now}");
    // A failed run has not deployed its version; the state of its node is unknown.
    let third = deployed(&served, "1.2", wire::Ended::Failed).await;
    let now = host().await;
    assert_eq!(
        (&now["version"], &now["run"], &now["since"]),
        (&json!("1.1"), &json!(second), &json!(third))
    );
    assert_ne!(first, second);
    assert_eq!(served.get("/v1/applications/web").await["id"], "web");
    let none = served.unix(Request::get("/v1/applications/none")).await;
    assert_eq!(none.kind(), "not-found");
    // A person without any read access does not see it.
    std::fs::write(
        served.root.join("access.yaml"),
        "opsbook: 1\nrules:\n  - {who: bo, may: [read], procedures: 'web.*', nodes: web2}\n",
    )
    .unwrap();
    let ana = by(&served, "ana", Request::get("/v1/applications")).await;
    assert_eq!(ana.json(), json!([]));
    let bo = by(&served, "bo", Request::get("/v1/applications")).await;
    assert_eq!(bo.json()[0]["hosts"], json!([{"id": "web2"}]));
}

crate::on_both!(
    each_manual_has_its_own_runs_rules_and_book,
    what_runs_where_is_what_the_last_run_that_ended_ok_has_captured,
);
