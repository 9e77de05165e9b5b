//! ! The queue, the lines and the questions, on both databases.

use opsbook_gateway::store::Store;
use opsbook_gateway::store::events::From;
use opsbook_gateway::store::hear::Heard;
use opsbook_gateway::store::questions::Won;
use opsbook_gateway::store::queue::Swept;
use opsbook_gateway::store::runs::{Filter, Written};
use opsbook_wire as wire;
use wire::{
    Acked, AnswerIn, EndState, Ended, HandOver, Mode, PartEnd, PartKey, PartState, Release, Resume,
    RunState, Want,
};

use crate::lab::{Journal, Lab, hello, new_run, on_both, runner};

fn end(key: &PartKey, state: EndState, status: Ended) -> PartEnd {
    PartEnd {
        run: key.run.clone(),
        node: key.node.clone(),
        epoch: key.epoch,
        state,
        status: Some(status),
        cause: Some("because".into()),
    }
}

async fn part(lab: &Lab, run: &str, node: &str) -> (PartState, Option<Ended>, u64) {
    let view = lab.store.run(run).await.unwrap().unwrap();
    let part = view
        .parts
        .into_iter()
        .find(|part| part.node == node)
        .unwrap();
    (part.state, part.status, part.epoch)
}

async fn state(lab: &Lab, run: &str) -> (RunState, Option<Ended>) {
    let view = lab.store.run(run).await.unwrap().unwrap();
    (view.summary.state, view.summary.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ask_of_the_same_name_makes_one_run() {
    on_both("an_ask_of_the_same_name_makes_one_run", async |lab| {
        let mut new = new_run("r1", &[("web1", 1)]);
        new.ask_key = Some("k".into());
        assert_eq!(lab.store.add_run(&new).await.unwrap(), Written::New);
        new.run = "r2".into();
        let known = Written::Known {
            run: "r1".into(),
            ask_sha256: "a".into(),
        };
        assert_eq!(lab.store.add_run(&new).await.unwrap(), known);
        new.asked_by = "bo".into();
        assert_eq!(lab.store.add_run(&new).await.unwrap(), Written::New);
        new.run = "r3".into();
        new.ask_key = None;
        assert_eq!(lab.store.add_run(&new).await.unwrap(), Written::New);
        let (runs, more) = lab.store.runs(&Filter::default()).await.unwrap();
        let names: Vec<&str> = runs.iter().map(|run| run.run.as_str()).collect();
        assert_eq!((names, more), (vec!["r3", "r2", "r1"], false));
        let older = Filter {
            manual: None,
            after: Some("r3".into()),
            by: Some("bo".into()),
            node: Some("web1".into()),
            procedure: Some("web.deploy".into()),
            state: Some(RunState::Queued),
        };
        let (runs, _) = lab.store.runs(&older).await.unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].nodes, ["web1"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_has_one_part_at_a_time_and_a_runner_no_more_than_its_room() {
    on_both("a_node_has_one_part_at_a_time", async |lab| {
        let a = runner(&lab, "a").await;
        for run in ["r1", "r2"] {
            let new = new_run(run, &[("web1", 1), ("web2", 1), ("web3", 1)]);
            lab.store.add_run(&new).await.unwrap();
        }
        let two = lab.store.claim(&a, "b1", 2).await.unwrap();
        let names: Vec<String> = two.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["r1:web1:1", "r1:web2:1"]);
        let rest = lab.store.claim(&a, "b1", 8).await.unwrap();
        let names: Vec<String> = rest.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["r1:web3:1"], "the nodes of r2 are taken");
        assert_eq!(lab.store.claim(&a, "b1", 0).await.unwrap(), []);
        let work = lab.store.work(&two[0]).await.unwrap();
        assert_eq!(
            (work.mode, work.words, work.operator),
            (Mode::Begin, vec!["web1".into()], "ana".into())
        );
        assert_eq!(state(&lab, "r1").await, (RunState::Running, None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_at_once_give_each_part_to_one() {
    on_both("claims_at_once_give_each_part_to_one", async |lab| {
        let nodes: Vec<String> = (0..40).map(|number| format!("n{number}")).collect();
        let parts: Vec<(&str, usize)> = nodes.iter().map(|node| (node.as_str(), 1)).collect();
        lab.store.add_run(&new_run("r1", &parts)).await.unwrap();
        lab.store.add_run(&new_run("r2", &parts)).await.unwrap();
        let mut claims = tokio::task::JoinSet::new();
        for number in 0..8 {
            let lab = lab.clone();
            claims.spawn(async move {
                let runner = runner(&lab, &format!("runner{number}")).await;
                let mut got = Vec::new();
                for _ in 0..4 {
                    got.extend(lab.store.claim(&runner, "b", 3).await.unwrap());
                }
                got
            });
        }
        let mut all: Vec<PartKey> = claims.join_all().await.into_iter().flatten().collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "no part twice");
        let mut held: Vec<&str> = all.iter().map(|key| key.node.as_str()).collect();
        held.sort_unstable();
        held.dedup();
        assert_eq!(held.len(), count, "no node twice");
        assert!(count >= 30, "{count} were given away");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_runs_out_is_unseen_then_offered_and_never_failed() {
    on_both("a_lease_that_runs_out_is_unseen", async |lab| {
        let (a, b) = (runner(&lab, "a").await, runner(&lab, "b").await);
        lab.store
            .add_run(&new_run("r1", &[("web1", 1)]))
            .await
            .unwrap();
        let key = lab.store.claim(&a, "boot", 1).await.unwrap().remove(0);
        assert_eq!(lab.store.sweep(60_000).await.unwrap(), Swept::default());
        expire(&lab).await;
        let swept = lab.store.sweep(60_000).await.unwrap();
        assert_eq!(swept.unseen, ["r1"]);
        assert_eq!(part(&lab, "r1", "web1").await, (PartState::Unseen, None, 1));
        assert_eq!(state(&lab, "r1").await, (RunState::Running, None));
        // The gateway has never seen the only other runner: nobody could take the part.
        assert_eq!(lab.store.sweep(0).await.unwrap(), Swept::default());
        // Its own runner returns: it gets the lease again.
        lab.store
            .hear(&a, &hello("boot", &[&key]), Heard::Beside)
            .await
            .unwrap();
        assert_eq!(part(&lab, "r1", "web1").await, (PartState::Leased, None, 1));
        expire(&lab).await;
        lab.store
            .hear(&b, &hello("other", &[]), Heard::InOrder)
            .await
            .unwrap();
        let swept = lab.store.sweep(0).await.unwrap();
        assert_eq!(swept.offered, [("r1".to_owned(), "here".to_owned())]);
        // Nobody has taken the part yet, and its own runner returns: it continues.
        let heard = lab
            .store
            .hear(&a, &hello("boot", &[&key]), Heard::Beside)
            .await
            .unwrap();
        assert_eq!(heard.lost, []);
        assert_eq!(part(&lab, "r1", "web1").await, (PartState::Leased, None, 1));
        expire(&lab).await;
        lab.store.sweep(0).await.unwrap();
        lab.store.sweep(0).await.unwrap();
        let adopted = lab.store.claim(&b, "other", 1).await.unwrap().remove(0);
        assert_eq!(
            (adopted.epoch, lab.store.work(&adopted).await.unwrap().mode),
            (2, Mode::Adopt)
        );
        // The first runner returns too late: it has lost the part, and its end changes nothing.
        let mut late = hello("boot", &[&key]);
        let heard = lab.store.hear(&a, &late, Heard::Beside).await.unwrap();
        assert_eq!(heard.lost, std::slice::from_ref(&key));
        late.parts.clear();
        late.ended = vec![end(&key, EndState::Ended, Ended::Failed)];
        let heard = lab.store.hear(&a, &late, Heard::InOrder).await.unwrap();
        assert_eq!((heard.ended, heard.lost), (vec![key], vec![]));
        assert_eq!(part(&lab, "r1", "web1").await, (PartState::Leased, None, 2));
    })
    .await;
}

/// Expires all leases.
async fn expire(lab: &Lab) {
    sqlx::query("update part set lease_until = 1")
        .execute(lab.store.pool())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_was_lost_is_offered_again() {
    on_both("a_claim_whose_answer_was_lost", async |lab| {
        let a = runner(&lab, "a").await;
        lab.store
            .add_run(&new_run("r1", &[("web1", 1)]))
            .await
            .unwrap();
        let key = lab.store.claim(&a, "boot", 1).await.unwrap().remove(0);
        // A heartbeat may have been sent before the answer arrived: it proves nothing.
        lab.store
            .hear(&a, &hello("boot", &[]), Heard::Beside)
            .await
            .unwrap();
        assert_eq!(part(&lab, "r1", "web1").await.0, PartState::Leased);
        lab.store
            .hear(&a, &hello("boot", &[]), Heard::InOrder)
            .await
            .unwrap();
        assert_eq!(part(&lab, "r1", "web1").await, (PartState::Queued, None, 1));
        let again = lab.store.claim(&a, "boot", 1).await.unwrap().remove(0);
        assert_eq!(
            (again.epoch, lab.store.work(&again).await.unwrap().mode),
            (2, Mode::Adopt)
        );
        // A restarted runner keeps the parts that it names.
        let heard = lab
            .store
            .hear(&a, &hello("new boot", &[&again]), Heard::Beside)
            .await
            .unwrap();
        assert_eq!(heard.lost, []);
        // The store offers the others at once.
        lab.store
            .hear(&a, &hello("newer boot", &[]), Heard::Beside)
            .await
            .unwrap();
        assert_eq!(part(&lab, "r1", "web1").await, (PartState::Queued, None, 2));
        assert_eq!(key.epoch, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_follow_where_the_one_before_went_well() {
    on_both("batches_follow", async |lab| {
        let a = runner(&lab, "a").await;
        let new = new_run("r1", &[("w1", 1), ("w2", 2), ("w3", 3)]);
        lab.store.add_run(&new).await.unwrap();
        let first = lab.store.claim(&a, "b", 9).await.unwrap();
        assert_eq!(first.len(), 1, "the others wait");
        let mut word = hello("b", &[]);
        word.ended = vec![end(&first[0], EndState::Ended, Ended::Ok)];
        let heard = lab.store.hear(&a, &word, Heard::InOrder).await.unwrap();
        assert_eq!(heard.segments.into_iter().collect::<Vec<_>>(), ["here"]);
        let second = lab.store.claim(&a, "b", 9).await.unwrap();
        assert_eq!(second[0].node, "w2");
        word.ended = vec![end(&second[0], EndState::Halted, Ended::Failed)];
        lab.store.hear(&a, &word, Heard::InOrder).await.unwrap();
        assert_eq!(
            lab.store.claim(&a, "b", 9).await.unwrap(),
            [],
            "w3 waits for a person"
        );
        assert_eq!(
            state(&lab, "r1").await,
            (RunState::Halted, Some(Ended::Failed))
        );
        // The run continues with w2; w3 follows once w2 is OK.
        lab.store
            .resume("r1", &Resume::default(), "ana")
            .await
            .unwrap();
        let again = lab.store.claim(&a, "b", 9).await.unwrap();
        assert_eq!(
            (again[0].node.as_str(), again[0].epoch, again.len()),
            ("w2", 2, 1)
        );
        word.ended = vec![end(&again[0], EndState::Ended, Ended::Ok)];
        lab.store.hear(&a, &word, Heard::InOrder).await.unwrap();
        let third = lab.store.claim(&a, "b", 9).await.unwrap();
        word.ended = vec![end(&third[0], EndState::Halted, Ended::Error)];
        lab.store.hear(&a, &word, Heard::InOrder).await.unwrap();
        // Given up: a runner removes the bundle, and then the run is over.
        lab.store
            .release("r1", &Release::default(), "ana")
            .await
            .unwrap();
        let given_up = lab.store.claim(&a, "b", 9).await.unwrap();
        assert_eq!(
            lab.store.work(&given_up[0]).await.unwrap().mode,
            Mode::Release
        );
        word.ended = vec![end(&given_up[0], EndState::Ended, Ended::Skipped)];
        lab.store.hear(&a, &word, Heard::InOrder).await.unwrap();
        assert_eq!(state(&lab, "r1").await.0, RunState::Ended);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_again_and_again_waits_for_a_person() {
    on_both("a_process_that_ends_again", async |lab| {
        let a = runner(&lab, "a").await;
        lab.store
            .add_run(&new_run("r1", &[("web1", 1)]))
            .await
            .unwrap();
        for crash in 1..=5 {
            sqlx::query("update part set not_before = null")
                .execute(lab.store.pool())
                .await
                .unwrap();
            let key = lab.store.claim(&a, "b", 1).await.unwrap().remove(0);
            assert_eq!(key.epoch, crash);
            let mut word = hello("b", &[]);
            word.ended = vec![end(&key, EndState::Crashed, Ended::Error)];
            lab.store.hear(&a, &word, Heard::InOrder).await.unwrap();
        }
        assert_eq!(
            part(&lab, "r1", "web1").await,
            (PartState::Halted, Some(Ended::Error), 5)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_reaches_whoever_has_the_part() {
    on_both("a_stop_reaches_whoever_has_the_part", async |lab| {
        let a = runner(&lab, "a").await;
        lab.store
            .add_run(&new_run("r1", &[("w1", 1), ("w2", 2)]))
            .await
            .unwrap();
        let key = lab.store.claim(&a, "b", 9).await.unwrap().remove(0);
        let told = lab.store.stop("r1", &[], Want::Hold, "bo").await.unwrap();
        assert_eq!(told, std::slice::from_ref(&a.id));
        let wants = lab.store.wants(&a.id).await.unwrap();
        assert_eq!(
            (wants.len(), wants[0].node.as_str(), wants[0].wants),
            (1, "w1", Want::Hold)
        );
        assert_eq!(
            part(&lab, "r1", "w2").await,
            (PartState::Ended, Some(Ended::Stopped), 0)
        );
        let mut word = hello("b", &[]);
        word.ended = vec![end(&key, EndState::Halted, Ended::Stopped)];
        lab.store.hear(&a, &word, Heard::InOrder).await.unwrap();
        assert_eq!(lab.store.wants(&a.id).await.unwrap(), []);
        assert_eq!(
            state(&lab, "r1").await,
            (RunState::Halted, Some(Ended::Stopped))
        );
        let to = HandOver {
            to: "cy".into(),
            note: Some("mind w1".into()),
        };
        lab.store.hand_over("r1", &to, "bo").await.unwrap();
        assert_eq!(
            lab.store.run("r1").await.unwrap().unwrap().summary.owner,
            "cy"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_kept_once_in_their_order_byte_for_byte() {
    on_both("lines_are_kept_once", async |lab| {
        let a = runner(&lab, "a").await;
        lab.store
            .add_run(&new_run("r1", &[("web1", 1)]))
            .await
            .unwrap();
        let key = lab.store.claim(&a, "b", 1).await.unwrap().remove(0);
        let mut journal = Journal::new("r1");
        journal
            .line(
                1,
                r#""event":"step-started","name":"web.deploy/1","title":"x","limit_seconds":600"#,
            )
            .output(1, "one ünï\\u0000")
            .output(1, "two")
            .line(1, r#""event":"moon-landed","crew":3"#)
            .output(1, "three")
            .line(1, r#""event":"step-ended","status":"OK","milliseconds":3"#);
        let mut acked = Acked::default();
        let take = async |range: std::ops::Range<usize>, acked: &mut Acked| {
            *acked = Acked::default();
            let part = journal.part(&key, range);
            lab.store
                .take_lines(&lab.blobs, &a, &part, acked)
                .await
                .unwrap()
        };
        assert!(take(0..2, &mut acked).await);
        assert_eq!(acked.acked["r1:web1:1"], 2);
        // A gap is refused.
        assert!(!take(3..6, &mut acked).await);
        assert_eq!((acked.acked["r1:web1:1"], acked.refused.len()), (2, 0));
        // Known lines are skipped, wherever the request begins.
        assert!(take(0..4, &mut acked).await);
        assert!(!take(0..4, &mut acked).await);
        assert!(take(2..6, &mut acked).await);
        assert_eq!(acked.acked["r1:web1:1"], 6);
        let all = lab
            .store
            .lines(&lab.blobs, "r1", &From::default(), 100)
            .await
            .unwrap();
        let texts: Vec<&str> = all.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, journal.lines);
        let numbers: Vec<i64> = all.iter().map(|line| line.n).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
        let places: Vec<String> = all.iter().map(|line| line.cursor.to_string()).collect();
        assert_eq!(places[4], "web1:1:5");
        // From any position, in pieces of any size, the lines are the same.
        for (place, line) in all.iter().enumerate() {
            let n = lab.store.number_of("r1", &line.cursor).await.unwrap();
            assert_eq!(n, Some(line.n), "{}", line.cursor);
            for most in 1..4 {
                let mut from = From {
                    n: line.n,
                    node: Some("web1".into()),
                    ..From::default()
                };
                let mut rest = Vec::new();
                loop {
                    let more = lab
                        .store
                        .lines(&lab.blobs, "r1", &from, most)
                        .await
                        .unwrap();
                    let Some(last) = more.last() else { break };
                    from.n = last.n;
                    rest.extend(more);
                }
                assert_eq!(rest, all[place + 1..], "after {place}, {most} at a time");
            }
        }
        assert_eq!(part(&lab, "r1", "web1").await.2, 1);
        assert_eq!(
            lab.store.run("r1").await.unwrap().unwrap().parts[0].step,
            Some(1)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_controllers_of_a_part_are_two_threads() {
    on_both("two_controllers_of_a_part", async |lab| {
        let (a, b) = (runner(&lab, "a").await, runner(&lab, "b").await);
        lab.store
            .add_run(&new_run("r1", &[("web1", 1)]))
            .await
            .unwrap();
        let first = lab.store.claim(&a, "b", 1).await.unwrap().remove(0);
        let mut journal = Journal::new("r1");
        journal.output(1, "a").output(1, "b");
        let mut acked = Acked::default();
        let part = journal.part(&first, 0..2);
        lab.store
            .take_lines(&lab.blobs, &a, &part, &mut acked)
            .await
            .unwrap();
        lab.store
            .hear(&b, &hello("b", &[]), Heard::InOrder)
            .await
            .unwrap();
        expire(&lab).await;
        lab.store.sweep(0).await.unwrap();
        lab.store.sweep(0).await.unwrap();
        let second = lab.store.claim(&b, "b", 1).await.unwrap().remove(0);
        // The first controller continues under its own number; the second from where the gateway
        // was.
        let mut late = Journal::new("r1");
        late.lines = journal.lines.clone();
        late.output(1, "late");
        journal.next_epoch();
        journal.output(1, "new");
        let part = journal.part(&second, 0..3);
        let mut acked = Acked::default();
        lab.store
            .take_lines(&lab.blobs, &b, &part, &mut acked)
            .await
            .unwrap();
        assert_eq!(acked.acked["r1:web1:1"], 2);
        assert_eq!(acked.acked["r1:web1:2"], 3);
        let part = late.part(&first, 0..3);
        let mut acked = Acked::default();
        lab.store
            .take_lines(&lab.blobs, &a, &part, &mut acked)
            .await
            .unwrap();
        assert_eq!(acked.acked["r1:web1:1"], 3);
        let all = lab
            .store
            .lines(&lab.blobs, "r1", &From::default(), 100)
            .await
            .unwrap();
        let places: Vec<String> = all.iter().map(|line| line.cursor.to_string()).collect();
        assert_eq!(places, ["web1:1:1", "web1:1:2", "web1:2:3", "web1:1:3"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_cannot_be_are_refused() {
    on_both("lines_that_cannot_be_are_refused", async |lab| {
        let (a, b) = (runner(&lab, "a").await, runner(&lab, "b").await);
        lab.store
            .add_run(&new_run("r1", &[("web1", 1)]))
            .await
            .unwrap();
        let key = lab.store.claim(&a, "b", 1).await.unwrap().remove(0);
        let mut journal = Journal::new("r1");
        journal.output(1, "a").output(1, "b");
        let other = Journal::new("r9").output(1, "a").lines[0].clone();
        let mut newer = Journal::new("r1");
        newer.next_epoch();
        newer.output(1, "x");
        let long = format!("\"{}\"", "x".repeat(wire::limit::LINE));
        for (who, lines, said) in [
            (
                &b,
                vec![journal.lines[0].clone()],
                "controller 1 of the part is not this runner's",
            ),
            (
                &a,
                vec!["{".to_owned()],
                "line 1 of the request: it is not an event",
            ),
            (
                &a,
                vec![journal.lines[0].clone() + "\n{}"],
                "line 1 of the request: it is more than one line",
            ),
            (
                &a,
                vec![other],
                "line 1 of the request: it belongs to another run",
            ),
            (
                &a,
                newer.lines.clone(),
                "line 1 of the request: its numbers are not those of this lease",
            ),
            (&a, vec![long], "line 1 of the request: it is too long"),
            (
                &a,
                vec![
                    journal.lines[0].clone(),
                    journal.lines[1].replace("\"prev\":\"", "\"prev\":\"0"),
                ],
                "line 2 does not follow from the line before it",
            ),
        ] {
            let mut part = journal.part(&key, 0..0);
            part.lines = lines;
            let mut acked = Acked::default();
            lab.store
                .take_lines(&lab.blobs, who, &part, &mut acked)
                .await
                .unwrap();
            let refused = acked
                .refused
                .get("r1:web1:1")
                .map(String::as_str)
                .unwrap_or_default();
            assert!(refused.starts_with(said), "{refused}");
        }
        let stored = lab
            .store
            .lines(&lab.blobs, "r1", &From::default(), 9)
            .await
            .unwrap();
        assert_eq!(stored.len(), 1, "the good line before a bad one is kept");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_wins() {
    on_both("the_first_answer_wins", async |lab| {
        let a = runner(&lab, "a").await;
        lab.store
            .add_run(&new_run("r1", &[("web1", 1)]))
            .await
            .unwrap();
        let key = lab.store.claim(&a, "b", 1).await.unwrap().remove(0);
        let mut journal = Journal::new("r1");
        journal.line(
            2,
            r#""event":"asked","question":"Go on?","choices":["yes","no"]"#,
        );
        let part = journal.part(&key, 0..1);
        lab.store
            .take_lines(&lab.blobs, &a, &part, &mut Acked::default())
            .await
            .unwrap();
        let view = lab.store.run("r1").await.unwrap().unwrap();
        let question = &view.questions[0];
        assert_eq!((question.text.as_str(), question.step), ("Go on?", Some(2)));
        let answer = |answer: &str, seq| AnswerIn {
            node: "web1".into(),
            epoch: 1,
            seq,
            answer: answer.into(),
            note: None,
        };
        let say = async |word: &str, seq, by: &str| {
            lab.store
                .answer("r1", &answer(word, seq), by)
                .await
                .unwrap()
        };
        assert_eq!(say("yes", 2, "bo").await, Won::None);
        assert_eq!(
            say("maybe", 1, "bo").await,
            Won::NoChoice(vec!["yes".into(), "no".into()])
        );
        let (one, two) = tokio::join!(say("yes", 1, "bo"), say("no", 1, "cy"));
        let other = |answer: &str, by: &str| Won::Other {
            answer: answer.into(),
            by: by.into(),
        };
        assert!(
            (one == Won::This && two == other("yes", "bo"))
                || (two == Won::This && one == other("no", "cy")),
            "{one:?} {two:?}"
        );
        let (word, by) = if one == Won::This {
            ("yes", "bo")
        } else {
            ("no", "cy")
        };
        assert_eq!(say(word, 1, by).await, Won::This, "the same again");
        let told = lab.store.answers(&a.id).await.unwrap();
        assert_eq!(
            (told[0].answer.as_str(), told[0].by.as_str(), told[0].seq),
            (word, by, 1)
        );
        assert_eq!(
            lab.store.answers(&a.id).await.unwrap().len(),
            1,
            "again until it is seen"
        );
        journal.line(2, r#""event":"answered","answer":"yes","question":1"#);
        let part = journal.part(&key, 1..2);
        lab.store
            .take_lines(&lab.blobs, &a, &part, &mut Acked::default())
            .await
            .unwrap();
        assert_eq!(lab.store.answers(&a.id).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_good_once_and_logins_end() {
    on_both("tickets_are_good_once", async |lab| {
        let (ticket, _) = lab.store.new_ticket("link", "ana", 60).await.unwrap();
        assert_eq!(
            lab.store.take_ticket("enroll", &ticket).await.unwrap(),
            None
        );
        assert_eq!(
            lab.store.take_ticket("link", &ticket).await.unwrap(),
            Some("ana".into())
        );
        assert_eq!(lab.store.take_ticket("link", &ticket).await.unwrap(), None);
        let (old, _) = lab.store.new_ticket("link", "ana", -1).await.unwrap();
        assert_eq!(lab.store.take_ticket("link", &old).await.unwrap(), None);
        let (token, _) = lab.store.new_login("ana", "ssh", 60).await.unwrap();
        assert_eq!(
            lab.store.login(&token).await.unwrap().unwrap().person,
            "ana"
        );
        lab.store.log_out(&token).await.unwrap();
        assert_eq!(lab.store.login(&token).await.unwrap(), None);
        let (old, _) = lab.store.new_login("ana", "ssh", -1).await.unwrap();
        assert_eq!(lab.store.login(&old).await.unwrap(), None);
        let (runner, secret) = lab.store.enroll("dmz", "r").await.unwrap();
        assert_eq!(
            lab.store.runner(&secret).await.unwrap(),
            Some(runner.clone())
        );
        let (same, newer) = lab.store.enroll("dmz", "r").await.unwrap();
        assert_eq!(
            (same, lab.store.runner(&secret).await.unwrap()),
            (runner, None)
        );
        assert!(lab.store.runner(&newer).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_machine_proves_who_it_is() {
    let test = "a_database_of_another_machine_proves_who_it_is";
    let Some(server) = crate::postgres::over_tls(test) else {
        return;
    };
    let with = |words: &str| format!("{}?{words}", server.url);
    let known = format!(
        "sslmode=verify-full&sslrootcert={}",
        server.authority.display()
    );
    let store = Store::open(&with(&known)).await.unwrap();
    assert!(store.runs(&Filter::default()).await.unwrap().0.is_empty());
    // No known authority signed the server's certificate.
    let unknown = Store::open(&with("sslmode=verify-full")).await.unwrap_err();
    assert!(unknown.to_string().contains("certificate"), "{unknown}");
    // The server refuses clients without TLS.
    let clear = Store::open(&with("sslmode=disable")).await.unwrap_err();
    assert!(clear.to_string().contains("pg_hba"), "{clear}");
}
