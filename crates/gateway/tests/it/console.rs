//! ! The book as console, in a real browser: a person logs in, reads, runs, watches, answers.

use std::sync::Arc;

use opsbook_wire as wire;
use serde_json::json;
use wire::{EndState, Ended, Lines, News, PartEnd, PartKey};

use crate::drive::{Browser, Screen};
use crate::lab::{Journal, hello};
use crate::served::{On, Served};
use crate::skip::or_skip;

/// A scripted runner.
struct Runner {
    served: Arc<Served>,
    runtime: tokio::runtime::Runtime,
}

impl Runner {
    fn work(&self, parts: &[&PartKey], ended: Vec<PartEnd>) -> News {
        let mut hello = hello("boot", parts);
        hello.ended = ended;
        let news = self.served.post("/v1/runner/work?wait=20", &hello);
        serde_json::from_value(self.runtime.block_on(news)).unwrap()
    }

    fn send(&self, journal: &Journal, key: &PartKey) {
        let all = journal.lines.len();
        let lines = Lines {
            parts: vec![journal.part(key, 0..all)],
        };
        let acked = self.served.post("/v1/runner/events", &lines);
        self.runtime.block_on(acked);
    }
}

fn began() -> Runner {
    began_with("")
}

fn began_with(config: &str) -> Runner {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let served = Arc::new(runtime.block_on(Served::with(On::Sqlite, config)));
    Runner { served, runtime }
}

/// Returns the text of an element of the page by its id.
const SAYS: &str = "return document.getElementById(arguments[0]).textContent";

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, from the login to the end"
)]
fn a_person_runs_watches_and_answers_where_they_read() {
    let name = "a_person_runs_watches_and_answers_where_they_read";
    let Some(browser) = or_skip(name, Browser::open(Screen::Desk)) else {
        return;
    };
    let runner = began();
    let link = runner
        .runtime
        .block_on(runner.served.running.link())
        .unwrap();
    browser.go(&link.url);
    browser.until(
        "return location.pathname === '/' && document.documentElement.dataset.console === 'ready'",
    );
    browser.picture("console-1-read");
    // The card names the procedures and nodes that the person may run; the button names its action.
    let nodes =
        "return [...document.querySelectorAll('.opsc datalist option')].map((o) => o.value).join()";
    assert_eq!(browser.text(nodes, &[]), "web1,web2,far1");
    browser.keys(".opsc input[name=nodes]", "web1");
    assert_eq!(
        browser.text("return document.querySelector('.opsc-go').textContent", &[]),
        "run on web1"
    );
    browser.click(".opsc-go");
    let news = runner.work(&[], Vec::new());
    let part = &news.parts[0];
    assert_eq!(
        (part.node.as_str(), part.words.as_slice()),
        ("web1", &["web1".to_owned()][..])
    );
    let key = part.key();
    let mut journal = Journal::new(&part.run);
    journal
        .line(
            1,
            r#""event":"step-started","name":"web.deploy/look","title":"Look","limit_seconds":600"#,
        )
        .output(1, "version 2 <b>on web1</b>\\n")
        .line(1, r#""event":"step-ended","status":"OK","milliseconds":9"#)
        .line(
            2,
            r#""event":"asked","question":"Run it now?","choices":["yes","no"]"#,
        );
    runner.send(&journal, &key);
    browser.until("return !!document.querySelector('.opsc-question')");
    let look = browser.text(SAYS, &["web.deploy/look"]);
    assert!(
        look.contains("web1: OK") && look.contains("version 2 <b>on web1</b>"),
        "{look}"
    );
    let go = browser.text(SAYS, &["web.deploy/go"]);
    assert!(
        go.contains("web1 asks: Run it now?"),
        "the question stands where the step does: {go}"
    );
    browser.picture("console-2-question");
    browser.click(".opsc-question button");
    let news = runner.work(&[&key], Vec::new());
    assert_eq!(
        (news.answers[0].seq, news.answers[0].answer.as_str()),
        (4, "yes")
    );
    journal
        .line(2, r#""event":"answered","answer":"yes","question":4"#)
        .line(2, r#""event":"step-started","name":"web.deploy/go","title":"Go","limit_seconds":600"#)
        .line(2, r#""event":"step-ended","status":"FAILED","exit":1,"cause":"exit status 1","milliseconds":9"#);
    runner.send(&journal, &key);
    let end = |epoch, state, status| PartEnd {
        run: key.run.clone(),
        node: "web1".into(),
        epoch,
        state,
        status: Some(status),
        cause: Some("step 2 failed".into()),
    };
    runner.work(&[], vec![end(1, EndState::Halted, Ended::Failed)]);
    browser.until("return document.querySelector('.opsc tr')?.dataset.state === 'halted'");
    let card = browser.text(SAYS, &["web.deploy"]);
    assert!(
        card.contains("halted: FAILED") && card.contains("step 2 failed"),
        "{card}"
    );
    assert!(
        browser
            .text(SAYS, &["web.deploy/go"])
            .contains("web1: FAILED: exit status 1")
    );
    browser.picture("console-3-halted");
    // Resumed, to its end.
    browser.ask("[...document.querySelectorAll('.opsc tr button')].find((b) => b.textContent === 'resume').click()", &[]);
    let news = runner.work(&[], Vec::new());
    assert_eq!(
        (news.parts[0].epoch, news.parts[0].mode),
        (2, wire::Mode::Adopt)
    );
    runner.work(&[], vec![end(2, EndState::Ended, Ended::Ok)]);
    browser.until("return document.querySelector('.opsc-state')?.dataset.state === 'ended'");
    // The same page, opened again, finds the run; this page does not run another text.
    let page = runner.served.root.join("web.md");
    let text = std::fs::read_to_string(&page).unwrap();
    std::fs::write(&page, text.replace("going", "going faster")).unwrap();
    browser.click(".opsc-go");
    browser.until("return document.querySelector('.opsc-said').textContent.includes('has changed since it was shown')");
    browser.picture("console-4-changed");
    let runs = runner.runtime.block_on(runner.served.get("/v1/runs"));
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs}");
    assert_eq!(runs["runs"][0]["status"], json!("OK"));
}

#[test]
fn a_run_that_waits_for_approval_shows_what_will_be_done_and_the_command() {
    let name = "a_run_that_waits_for_approval_shows_what_will_be_done_and_the_command";
    let Some(browser) = or_skip(name, Browser::open(Screen::Desk)) else {
        return;
    };
    let runner = began();
    let person = runner.served.running.gateway.local.person.clone();
    let rules = format!(
        "opsbook: 1\nrules:\n  - {{who: {person}, may: [read, run, stop], procedures: '*', nodes: '*', approve: {{count: 1, by: bo}}}}\n"
    );
    std::fs::write(runner.served.root.join("access.yaml"), rules).unwrap();
    let link = runner
        .runtime
        .block_on(runner.served.running.link())
        .unwrap();
    browser.go(&link.url);
    browser.until(
        "return location.pathname === '/' && document.documentElement.dataset.console === 'ready'",
    );
    browser.keys(".opsc input[name=nodes]", "web1");
    browser.click(".opsc-go");
    browser.until("return !!document.querySelector('.opsc-approval code')");
    let runs = runner.runtime.block_on(runner.served.get("/v1/runs"));
    let run = runs["runs"][0]["run"].as_str().unwrap();
    let said = browser.text(
        "return document.querySelector('.opsc-approval').textContent",
        &[],
    );
    let waits = format!("Waits for 1 approval by bo: opsbook approve {run}");
    assert!(said.contains(&waits), "{said}");
    browser.click(".opsc-approval summary");
    browser.until(
        "return document.querySelector('.opsc-approval pre').textContent.includes('version = 2')",
    );
    browser.picture("console-5-approval");
}

#[test]
fn a_check_that_fails_is_shown_where_it_stands_in_the_book() {
    let name = "a_check_that_fails_is_shown_where_it_stands_in_the_book";
    let Some(browser) = or_skip(name, Browser::open(Screen::Desk)) else {
        return;
    };
    let runner = began_with(
        "[schedules.drift]\nchecks = \"machine::*\"\nnodes = \"web1\"\nevery = \"1s\"\n",
    );
    let page = format!(
        "{}\n## Machine\n\n```yaml checks\nid: machine\n```\n\n```sh check id=machine.disk\ntrue\n```\n",
        crate::served::PAGE
    );
    std::fs::write(runner.served.root.join("web.md"), page).unwrap();
    let round = loop {
        let news = runner.work(&[], Vec::new());
        if let Some(round) = news.rounds.into_iter().next() {
            break round;
        }
    };
    let checked = json!({"id": round.id, "nodes": [{"node": "web1", "others": [
        {"check": "machine::disk", "outcome": "failed", "evidence": "free: expected 10, found <b>2</b>", "place": "web.md:30"}
    ]}]});
    let taken = runner.served.post("/v1/runner/checks", &checked);
    assert_eq!(runner.runtime.block_on(taken)["taken"], true);
    let link = runner
        .runtime
        .block_on(runner.served.running.link())
        .unwrap();
    browser.go(&link.url);
    browser.until(
        "return location.pathname === '/' && document.documentElement.dataset.console === 'ready'",
    );
    let said = browser.text(
        "return document.querySelector('.opsc-drift').textContent",
        &[],
    );
    assert!(
        said.contains("web1 machine::disk: FAILED since") && said.contains("found <b>2</b>"),
        "{said}"
    );
    browser.picture("console-6-drift");
}

#[test]
fn what_runs_where_and_who_was_here_stand_on_one_page() {
    let name = "what_runs_where_and_who_was_here_stand_on_one_page";
    let Some(browser) = or_skip(name, Browser::open(Screen::Desk)) else {
        return;
    };
    let runner = began_with(
        "[schedules.look]\nmanual = \"shop\"\nchecks = \"*\"\nnodes = \"web1\"\nevery = \"1s\"\n\
         [manuals.shop]\nsource = \"{root}\"\n[manuals.other]\nsource = \"{root}\"\n",
    );
    let (served, runtime) = (&runner.served, &runner.runtime);
    std::fs::write(served.root.join("book.toml"), crate::several::APPLICATIONS).unwrap();
    let round = loop {
        let news = runner.work(&[], Vec::new());
        if let Some(round) = news.rounds.into_iter().next() {
            break round;
        }
    };
    let unknown = "20261129-170000-ab12";
    let checked = json!({"id": round.id, "nodes": [{"node": "web1", "held": ["a::b"],
        "runs": [{"run": unknown, "how": "holds"}]}]});
    runtime.block_on(served.post("/v1/runner/checks", &checked));
    let deployed = crate::several::deployed(served, "1.4", Ended::Ok);
    let deployed = runtime.block_on(deployed);
    let mut laptop = crate::sync::Laptop::new(
        "20261129-180000-ab12",
        &["web2"],
        Some("the gateway is <b>down</b>"),
    );
    laptop.line(&json!({"event": "run-ended", "status": "OK"}));
    let mut body = laptop.all();
    body["manual"] = json!("shop");
    runtime.block_on(served.post("/v1/sync", &body));
    browser.go(&runtime.block_on(served.running.link()).unwrap().url);
    let ready = "return document.documentElement.dataset.console === 'ready'";
    browser.until(ready);
    // With several manuals the console lists their books.
    let says = |id: &str| browser.text(SAYS, &[id]);
    let (applications, findings, runs) = (says("applications"), says("findings"), says("runs"));
    assert!(
        applications.contains("1.4") && applications.contains(&deployed),
        "{applications}"
    );
    assert!(
        findings.contains(unknown) && findings.contains("holds the node"),
        "{findings}"
    );
    assert!(
        runs.contains("BREAK GLASS: the gateway is <b>down</b>"),
        "{runs}"
    );
    let red = "return getComputedStyle(document.querySelector('#runs tr.opsc-bad td')).color";
    assert_eq!(browser.text(red, &[]), "rgb(192, 38, 45)");
    browser.picture("console-7-overview");
    browser.click("nav a[href='/manuals/shop/']");
    browser.until("return location.pathname === '/manuals/shop/'");
    browser.until(ready);
    let nodes =
        "return [...document.querySelectorAll('.opsc datalist option')].map((o) => o.value).join()";
    assert_eq!(browser.text(nodes, &[]), "web1,web2,far1");
    let earlier = browser.text(
        "return document.querySelector('.opsc-runs').textContent",
        &[],
    );
    assert!(earlier.contains("BREAK GLASS"), "{earlier}");
    browser.click(".opsc-way");
    browser.until("return location.pathname === '/console/overview'");
    browser.until(ready);
    assert!(says("applications").contains("1.4"));
}
