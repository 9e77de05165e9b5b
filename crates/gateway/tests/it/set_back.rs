//! A store restored from an older state: the parts that runners hold and the store no longer
//! knows.

use opsbook_gateway::store::hear::Heard;
use opsbook_wire as wire;
use wire::{Acked, EndState, Ended, PartEnd, PartKey, PartState};

use crate::lab::{Journal, Lab, hello, new_run, on_both, runner};

fn key(run: &str, epoch: u64) -> PartKey {
    PartKey {
        run: run.into(),
        node: "web1".into(),
        epoch,
    }
}

async fn part(lab: &Lab, run: &str) -> (PartState, u64) {
    let view = lab.store.run(run).await.unwrap().unwrap();
    (view.parts[0].state, view.parts[0].epoch)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_keeps_what_the_store_has_forgotten() {
    on_both("a_runner_keeps_what_was_forgotten", async |lab| {
        let (a, b) = (runner(&lab, "a").await, runner(&lab, "b").await);
        let far = lab.store.enroll("dmz", "far").await.unwrap().0;
        for run in ["r1", "r2"] {
            let new = new_run(run, &[("web1", 1)]);
            lab.store.add_run(&new).await.unwrap();
        }
        let lost = async |runner, key: &PartKey| {
            let hello = hello("b1", &[key]);
            let heard = lab.store.hear(runner, &hello, Heard::InOrder).await;
            heard.unwrap().lost
        };
        // Impossible claims: a part of another segment, or a number that no store has issued.
        assert_eq!(lost(&far, &key("r1", 1)).await, [key("r1", 1)]);
        assert_eq!(lost(&a, &key("r1", 65)).await, [key("r1", 65)]);
        assert_eq!(lost(&a, &key("r1", u64::MAX)).await, [key("r1", u64::MAX)]);
        assert_eq!(part(&lab, "r1").await, (PartState::Queued, 0));
        assert_eq!(lost(&a, &key("r1", 2)).await, []);
        assert_eq!(part(&lab, "r1").await, (PartState::Leased, 2));
        // The store knows a part for the node; and the run may be ordered again.
        assert_eq!(lost(&b, &key("r2", 1)).await, []);
        assert_eq!(part(&lab, "r2").await, (PartState::Queued, 0));
        assert_eq!(lost(&b, &key("r3", 1)).await, []);
        // From now on the part belongs to the first runner, and to nobody else.
        assert_eq!(lost(&b, &key("r1", 2)).await, [key("r1", 2)]);
        assert_eq!(lab.store.claim(&b, "b1", 8).await.unwrap(), []);
        let mut ended = hello("b1", &[]);
        ended.ended.push(PartEnd {
            run: "r1".into(),
            node: "web1".into(),
            epoch: 3,
            state: EndState::Ended,
            status: Some(Ended::Ok),
            cause: None,
        });
        lab.store.hear(&a, &ended, Heard::InOrder).await.unwrap();
        assert_eq!(part(&lab, "r1").await, (PartState::Ended, 3));
        assert_eq!(lost(&a, &key("r1", 4)).await, [key("r1", 4)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_taken_under_a_lease_that_was_forgotten() {
    on_both("lines_under_a_forgotten_lease", async |lab| {
        let (a, b) = (runner(&lab, "a").await, runner(&lab, "b").await);
        let mut journal = Journal::new("r1");
        journal.line(1, r#""event":"step-ended","status":"OK","milliseconds":3"#);
        let lines = journal.part(&key("r1", 1), 0..1);
        let take = async |runner| {
            let mut acked = Acked::default();
            let taken = lab.store.take_lines(&lab.blobs, runner, &lines, &mut acked);
            (taken.await.unwrap(), acked)
        };
        // The run does not exist: the runner must send the lines again later; they are not refused.
        let (taken, acked) = take(&a).await;
        assert!(!taken && acked.refused.is_empty() && acked.acked.is_empty());
        assert_eq!(acked.unknown, ["r1:web1:1"]);
        let new = new_run("r1", &[("web1", 1)]);
        lab.store.add_run(&new).await.unwrap();
        let (taken, acked) = take(&a).await;
        assert!(taken && acked.unknown.is_empty(), "{acked:?}");
        assert_eq!(acked.acked["r1:web1:1"], 1);
        assert_eq!(part(&lab, "r1").await, (PartState::Leased, 1));
        let (taken, acked) = take(&b).await;
        assert!(!taken && acked.refused.contains_key("r1:web1:1"));
    })
    .await;
}

/// Its message and its lines arrive at the same time: neither takes the lease that the other has
/// just restored for another runner's.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_lease_is_restored_once_by_a_message_and_by_lines() {
    on_both("a_lease_restored_once", async |lab| {
        let a = runner(&lab, "a").await;
        for round in 0..60 {
            let run = format!("r{round}");
            let new = new_run(&run, &[("web1", 1)]);
            lab.store.add_run(&new).await.unwrap();
            let key = key(&run, 1);
            let mut journal = Journal::new(&run);
            journal.line(1, r#""event":"step-ended","status":"OK","milliseconds":3"#);
            let lines = journal.part(&key, 0..1);
            let mut acked = Acked::default();
            let named = hello("b1", &[&key]);
            let (heard, taken) = tokio::join!(
                lab.store.hear(&a, &named, Heard::InOrder),
                lab.store.take_lines(&lab.blobs, &a, &lines, &mut acked),
            );
            assert_eq!(heard.unwrap().lost, []);
            taken.unwrap();
            assert_eq!(acked.acked.get(&key.to_string()), Some(&1), "{acked:?}");
            assert_eq!(part(&lab, &run).await, (PartState::Leased, 1));
            let mut over = hello("b1", &[]);
            over.ended.push(PartEnd {
                run,
                node: key.node,
                epoch: 1,
                state: EndState::Ended,
                status: Some(Ended::Ok),
                cause: None,
            });
            lab.store.hear(&a, &over, Heard::InOrder).await.unwrap();
        }
    })
    .await;
}

/// The lines of a controller that has taken the part over are missing from their first on, and
/// those of the one before from the middle on: whoever has the part brings all of them.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_missing_before_the_first_are_waited_for() {
    on_both("lines_missing_before_the_first", async |lab| {
        let (a, b) = (runner(&lab, "a").await, runner(&lab, "b").await);
        let new = new_run("r1", &[("web1", 1)]);
        lab.store.add_run(&new).await.unwrap();
        let take = async |runner, lines| {
            let mut acked = Acked::default();
            let taken = lab.store.take_lines(&lab.blobs, runner, &lines, &mut acked);
            taken.await.unwrap();
            acked
        };
        let mut journal = Journal::new("r1");
        let ended = r#""event":"step-ended","status":"OK","milliseconds":3"#;
        journal.line(1, ended).output(1, "a").output(1, "b");
        take(&a, journal.part(&key("r1", 1), 0..1)).await;
        journal.next_epoch();
        journal.line(1, ended).output(2, "c").line(2, ended);
        // Nothing is taken for stored that is not.
        let acked = take(&b, journal.part(&key("r1", 2), 4..6)).await;
        assert_eq!((acked.acked["r1:web1:2"], acked.refused.len()), (0, 0));
        let acked = take(&b, journal.part(&key("r1", 2), 0..6)).await;
        assert_eq!(acked.acked["r1:web1:1"], 3);
        assert_eq!(acked.acked["r1:web1:2"], 6);
        let from = opsbook_gateway::store::events::From::default();
        let all = lab.store.lines(&lab.blobs, "r1", &from, 100).await.unwrap();
        let seqs: Vec<u64> = all.iter().map(|line| line.cursor.seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
        let acked = take(&a, journal.part(&key("r1", 1), 0..2)).await;
        assert_eq!(acked.acked["r1:web1:1"], 3);
    })
    .await;
}

/// Whoever asks first after the loss gets nothing before the others have said what they hold.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_given_out_before_runners_have_said_what_they_hold() {
    on_both("runners_first", async |lab| {
        let (a, b) = (runner(&lab, "a").await, runner(&lab, "b").await);
        for of in [&a, &b] {
            let said = lab.store.hear(of, &hello("b1", &[]), Heard::InOrder).await;
            said.unwrap();
        }
        let new = new_run("r1", &[("web1", 1)]);
        lab.store.add_run(&new).await.unwrap();
        lab.store.may_be_older();
        let claim = async |of| lab.store.claim(of, "b1", 8).await.unwrap();
        let first = hello("b1", &[]);
        lab.store.hear(&b, &first, Heard::InOrder).await.unwrap();
        assert_eq!(claim(&b).await, []);
        let first = hello("b1", &[&key("r1", 1)]);
        let heard = lab.store.hear(&a, &first, Heard::InOrder).await.unwrap();
        // Who waits looks again.
        assert!(heard.segments.contains("here"));
        assert_eq!(claim(&b).await, []);
        assert_eq!(part(&lab, "r1").await, (PartState::Leased, 1));
        let new = new_run("r2", &[("web2", 1)]);
        lab.store.add_run(&new).await.unwrap();
        assert_eq!(claim(&b).await.len(), 1);
    })
    .await;
}
