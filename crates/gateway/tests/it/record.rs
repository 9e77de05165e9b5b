//! The record: what ended is in a signed log, and whoever alters or drops something of it is
//! found out.

use std::time::{Duration, Instant};

use opsbook_project::record::{Known, Verified, goes_on, verify};
use opsbook_wire as wire;
use wire::record::{Log, Record};
use wire::{Lines, News, PartKey};

use crate::lab::{Journal, hello};
use crate::served::{On, Served};

const BOUND: Duration = Duration::from_mins(1);

struct Team {
    served: Served,
    folder: tempfile::TempDir,
}

impl Team {
    /// A run on web1 that has ended, of so many lines.
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

    /// The log, once it has so many leaves.
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
            .any(|line| line == "web1, controller 1: leaf 1 of the 2 of the log"),
        "{:?}",
        verified.holds
    );
    // In the store: a byte of a line, then a line.
    team.forge("update event set line = replace(line, 'line 5', 'line 9')")
        .await;
    let wrong = team.verified(&team.record(&first).await).wrong;
    assert!(
        wrong[0].starts_with("web1, controller 1, line 7: the line before it"),
        "{wrong:?}"
    );
    team.forge("delete from event where seq = 6").await;
    let wrong = team.verified(&team.record(&first).await).wrong;
    assert!(
        wrong[0].contains("number 7 follows 5: lines are missing"),
        "{wrong:?}"
    );
    // Another key than the gateway's.
    let mut other = good.clone();
    other.checkpoint.as_mut().unwrap().size = 3;
    let wrong = team.verified(&other).wrong;
    assert!(wrong[0].contains("not signed by `gw`"), "{wrong:?}");
    // A run is dropped: the others are not in the log that was signed any more, and the log does
    // not go on from what was kept.
    team.forge("delete from head where n = 0").await;
    let wrong = team.verified(&team.record(&second).await).wrong;
    assert!(
        wrong
            .iter()
            .any(|why| why.contains("is not in the log that was signed")),
        "{wrong:?}"
    );
    // All of it made anew, as who has the gateway's key could.
    team.forge("update head set n = 0 where n = 1").await;
    team.forge("delete from tree").await;
    team.forge("delete from checkpoint").await;
    team.forge("delete from head").await;
    team.run(2).await;
    let log = team.log(1, kept.size).await;
    let why = goes_on(&kept, &log, Some(&key)).unwrap_err();
    assert!(why.contains("something was left out or altered"), "{why}");
}

crate::on_both!(what_is_altered_or_dropped_is_found_out);
