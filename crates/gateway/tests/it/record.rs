//! ! The record: a signed log of everything that ended. It exposes later changes and deletions.

use std::time::{Duration, Instant};

use opsbook_project::record::{Known, Verified, goes_on, verify};
use opsbook_wire as wire;
use wire::record::{Log, Record};
use wire::{Lines, News, PartKey};

use crate::lab::{Journal, hello};
use crate::served::{On, Request, Served};

const BOUND: Duration = Duration::from_mins(1);

struct Team {
    served: Served,
    folder: tempfile::TempDir,
}

impl Team {
    /// Creates a finished run on web1 with this many lines.
    async fn run(&self, lines: usize) -> String {
        let run = self.served.ask(&["web1"]).await;
        let news = self
            .served
            .post("/v1/runner/work?wait=5", &hello("b", &[]))
            .await;
        let news: News = serde_json::from_value(news).unwrap();
        let key = news.parts[0].key();
        let mut journal = Journal::new(&run);
        for number in 0..lines {
            journal.line(1, &format!(r#""event":"warned","text":"line {number}""#));
        }
        self.send(&journal, &key).await;
        let mut hello = hello("b", &[]);
        hello.ended = vec![wire::PartEnd {
            run: key.run.clone(),
            node: key.node.clone(),
            epoch: 1,
            state: wire::EndState::Ended,
            status: Some(wire::Ended::Ok),
            cause: None,
        }];
        self.served.post("/v1/runner/beat", &hello).await;
        run
    }

    async fn send(&self, journal: &Journal, key: &PartKey) {
        let lines = Lines {
            parts: vec![journal.part(key, 0..journal.lines.len())],
        };
        self.served.post("/v1/runner/events", &lines).await;
    }

    /// Waits until the log has this many leaves, and returns it.
    async fn log(&self, size: u64, from: u64) -> Log {
        let begin = Instant::now();
        loop {
            let log = self.served.get(&format!("/v1/record?from={from}")).await;
            let log: Log = serde_json::from_value(log).unwrap();
            if log
                .checkpoint
                .as_ref()
                .is_some_and(|newest| newest.size >= size)
            {
                return log;
            }
            assert!(begin.elapsed() < BOUND, "{log:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn record(&self, run: &str) -> Record {
        let record = self.served.get(&format!("/v1/runs/{run}/record")).await;
        serde_json::from_value(record).unwrap()
    }

    fn verified(&self, record: &Record) -> Verified {
        let key = self.folder.path().join("key");
        verify(
            record,
            Known {
                key: Some(&key),
                ..Known::default()
            },
        )
    }

    async fn forge(&self, statement: &'static str) {
        let store = &self.served.running.gateway.store;
        sqlx::query(store.sql(statement))
            .execute(store.pool())
            .await
            .unwrap();
    }
}

async fn what_is_altered_or_dropped_is_found_out(on: On) {
    let served = Served::with(on, "name = \"gw\"\n").await;
    let team = Team {
        served,
        folder: tempfile::tempdir().unwrap(),
    };
    let first = team.run(8).await;
    let kept = team.log(1, 0).await.checkpoint.unwrap();
    let signers = format!("gw {}\n", kept.key);
    std::fs::write(team.folder.path().join("key"), signers).unwrap();
    let second = team.run(3).await;
    let log = team.log(2, kept.size).await;
    let key = team.folder.path().join("key");
    goes_on(&kept, &log, Some(&key)).unwrap();
    let good = team.record(&first).await;
    let verified = team.verified(&good);
    assert_eq!((verified.wrong, verified.open), (Vec::new(), Vec::new()));
    assert!(
        verified
            .holds
            .iter()
            .any(|line| line == "web1, controller 1: up to line 8, leaf 1 of the 2 of the log"),
        "{:?}",
        verified.holds
    );
    // In the store: a byte of a line, then a line.
    team.forge("update event set line = replace(line, 'line 5', 'line 9')")
        .await;
    let wrong = team.verified(&team.record(&first).await).wrong;
    assert!(
        wrong[0].starts_with("web1, controller 1, line 7: the hash of the line before it"),
        "{wrong:?}"
    );
    team.forge("delete from event where seq = 6").await;
    let wrong = team.verified(&team.record(&first).await).wrong;
    assert!(
        wrong[0].contains("number 7 follows 5: lines are missing"),
        "{wrong:?}"
    );
    // A key other than the gateway's.
    let mut other = good.clone();
    other.checkpoint.as_mut().unwrap().size = 3;
    let wrong = team.verified(&other).wrong;
    assert!(wrong[0].contains("not signed by `gw`"), "{wrong:?}");
    // Somebody drops a run: the others are no longer in the signed log, and the log does not
    // continue the kept one.
    team.forge("delete from head where n = 0").await;
    let wrong = team.verified(&team.record(&second).await).wrong;
    assert!(
        wrong
            .iter()
            .any(|why| why.contains("is not in the signed log")),
        "{wrong:?}"
    );
    // A complete forgery, as the holder of the gateway's key could make it.
    team.forge("update head set n = 0 where n = 1").await;
    team.forge("delete from tree").await;
    team.forge("delete from checkpoint").await;
    team.forge("delete from head").await;
    team.run(2).await;
    let log = team.log(1, kept.size).await;
    let why = goes_on(&kept, &log, Some(&key)).unwrap_err();
    assert!(why.contains("something was removed or changed"), "{why}");
}

async fn a_part_that_is_under_way_is_in_the_log_already(on: On) {
    let served = Served::with(on, "name = \"gw\"\n[record]\nevery = \"1s\"\n").await;
    let team = Team {
        served,
        folder: tempfile::tempdir().unwrap(),
    };
    let run = team.served.ask(&["web1"]).await;
    let news = team
        .served
        .post("/v1/runner/work?wait=5", &hello("b", &[]))
        .await;
    let news: News = serde_json::from_value(news).unwrap();
    let key = news.parts[0].key();
    let mut journal = Journal::new(&run);
    for number in 0..3 {
        journal.line(1, &format!(r#""event":"warned","text":"line {number}""#));
    }
    team.send(&journal, &key).await;
    let first = team.log(1, 0).await.checkpoint.unwrap();
    let signers = format!("gw {}\n", first.key);
    std::fs::write(team.folder.path().join("key"), signers).unwrap();
    journal.line(1, r#""event":"warned","text":"later""#);
    team.send(&journal, &key).await;
    team.log(2, first.size).await;
    let record = team.record(&run).await;
    let thread = &record.threads[0];
    assert_eq!(
        (thread.earlier[0].last, thread.head.as_ref().unwrap().last),
        (3, 4)
    );
    let verified = team.verified(&record);
    assert_eq!((verified.wrong, verified.open), (Vec::new(), Vec::new()));
    // Somebody with write access to the store rewrites a recorded entry and everything that follows
    // from it.
    let mut forged = record.clone();
    let mut other = Journal::new(&run);
    for number in 0..4 {
        other.line(1, &format!(r#""event":"warned","text":"other {number}""#));
    }
    forged.threads[0].lines.clone_from(&other.lines);
    let last = opsbook_gateway::token::sha256(&other.lines[3]);
    forged.threads[0].head.as_mut().unwrap().last_sha256 = last;
    let wrong = team.verified(&forged).wrong;
    assert!(
        wrong
            .iter()
            .any(|why| why.contains("its line 3 is missing, or differs from the recorded one")),
        "{wrong:?}"
    );
    // Newer lines are reported as not yet logged.
    let mut more = record.clone();
    journal.line(1, r#""event":"warned","text":"newest""#);
    more.threads[0].lines.clone_from(&journal.lines);
    let open = team.verified(&more).open;
    assert!(
        open[0].contains("after number 4 are not in the log yet"),
        "{open:?}"
    );
}

async fn the_log_is_for_those_who_may_read_something(on: On) {
    let config = "[schedules.look]\nprocedure = \"web.deploy\"\nnodes = \"web1\"\nevery = \"24h\"\n\
                  [schedules.drift]\nchecks = \"machine::*\"\nnodes = \"db1\"\nevery = \"24h\"\n";
    let served = Served::with(on, config).await;
    let write = |name: &str, text: &str| std::fs::write(served.root.join(name), text).unwrap();
    write(
        "SUMMARY.md",
        "# Summary\n\n- [Web](web.md)\n- [Machine](machine.md)\n",
    );
    let page = "# Machine\n\n```yaml checks\nid: machine\n```\n\nIt has room.\n\n```sh check id=machine.room\ntrue\n```\n";
    write("machine.md", page);
    write(
        "access.yaml",
        "opsbook: 1\nrules:\n  - {who: ana, may: [read], procedures: 'web.*', nodes: web1}\n  \
         - {who: bo, may: [run], procedures: '*', nodes: '*'}\n  \
         - {who: cy, may: [read], procedures: 'web.*', nodes: web2}\n  \
         - {who: dee, may: [read], procedures: 'machine::room', nodes: '*'}\n",
    );
    let store = &served.running.gateway.store;
    for (who, log, schedules) in [
        ("ana", 200, &["look"][..]),
        ("bo", 403, &[]),
        // No part of the run is on a node where they may read.
        ("cy", 200, &[]),
        ("dee", 200, &["drift"]),
        ("eve", 403, &[]),
    ] {
        let token = store.new_login(who, "token", 600).await.unwrap().0;
        let get = async |path: &str| served.tcp(Request::get(path).bearer(&token)).await;
        assert_eq!(get("/v1/record").await.status, log, "{who}");
        let seen = get("/v1/schedules").await.json();
        let names: Vec<&str> = { seen.as_array().unwrap().iter() }
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, schedules, "{who}: {seen}");
    }
}

crate::on_both!(
    what_is_altered_or_dropped_is_found_out,
    a_part_that_is_under_way_is_in_the_log_already,
    the_log_is_for_those_who_may_read_something,
);
