//! Verifies a record: each line follows the one before it, its end is in the log, the log is the
//! signed one, and what ran is what was approved. Needs no gateway and trusts none.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::approval::sha256;
use crate::merkle::{Hash, is_beginning, is_included, leaf, unhex};
use crate::package::sign::is_signed_by;
use crate::wire::approve::{Document, Statement, namespace as approves};
use crate::wire::record::{
    Approved, Checkpoint, Head, Log, Record, Thread, leaf as text_of, namespace,
};

/// What a person has for the verification.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// A checkpoint that was stored elsewhere.
    pub checkpoint: Option<&'a Checkpoint>,
    /// The gateway's key: a file in the format of ssh's `allowed_signers`, with the gateway's name.
    pub key: Option<&'a Path>,
    /// The approvers' keys: a file in the same format.
    pub approvers: Option<&'a Path>,
}

/// The results as sentences; errors have their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// What is verified.
    pub holds: Vec<String>,
    /// What could not be verified, and why.
    pub open: Vec<String>,
    /// What is wrong.
    pub wrong: Vec<String>,
}

/// Verifies a record.
#[must_use]
pub fn verify(record: &Record, known: Known<'_>) -> Verified {
    let mut verified = Verified::default();
    for thread in &record.threads {
        match chain(record, thread) {
            Ok(count) => verified.holds.push(format!(
                "{}, controller {}: {count} lines, each follows the one before",
                thread.node, thread.epoch
            )),
            Err(why) => verified.wrong.push(why),
        }
        follows(record, thread, &mut verified);
    }
    let checkpoint = known.checkpoint.or(record.checkpoint.as_ref());
    match checkpoint {
        None => verified
            .open
            .push("there is no checkpoint: perhaps nothing has been recorded yet".to_owned()),
        Some(checkpoint) => {
            signed(checkpoint, known.key, &mut verified);
            let own = record
                .checkpoint
                .as_ref()
                .is_some_and(|own| own.size == checkpoint.size);
            for thread in &record.threads {
                included(record, thread, (checkpoint, own), &mut verified);
            }
        }
    }
    for approved in &record.approved {
        of_approval(record, approved, known.approvers, &mut verified);
    }
    verified
}

/// Verifies the hash chain of a thread.
fn chain(record: &Record, thread: &Thread) -> Result<usize, String> {
    let mut before: Option<(u64, String)> = None;
    for (place, line) in (1..).zip(&thread.lines) {
        let at = format!("{}, controller {}, line {place}", thread.node, thread.epoch);
        let value: Value =
            serde_json::from_str(line).map_err(|_| format!("{at}: it is not an event"))?;
        if value["run"] != record.run.as_str() {
            return Err(format!("{at}: it belongs to another run"));
        }
        let seq = value["seq"]
            .as_u64()
            .ok_or_else(|| format!("{at}: it has no number"))?;
        if let Some((last, sum)) = &before {
            if seq != last + 1 {
                return Err(format!(
                    "{at}: number {seq} follows {last}: lines are missing"
                ));
            }
            if value["prev"] != sum.as_str() {
                return Err(format!(
                    "{at}: the hash of the line before it does not match"
                ));
            }
        }
        before = Some((seq, sha256(line)));
    }
    Ok(thread.lines.len())
}

/// The first line of a later controller must follow a line of an earlier one.
fn follows(record: &Record, thread: &Thread, verified: &mut Verified) {
    let Some(first) = thread
        .lines
        .first()
        .and_then(|line| serde_json::from_str::<Value>(line).ok())
    else {
        return;
    };
    let (seq, prev) = (
        first["seq"].as_u64().unwrap_or_default(),
        first["prev"].as_str(),
    );
    let earlier = record.threads.iter();
    let earlier = earlier.filter(|other| other.node == thread.node && other.epoch < thread.epoch);
    let lines = earlier.flat_map(|other| &other.lines);
    let mut sums: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in lines {
        if let Ok(value) = serde_json::from_str::<Value>(line) {
            let seq = value["seq"].as_u64().unwrap_or_default();
            sums.entry(seq).or_default().push(sha256(line));
        }
    }
    let place = format!("{}, controller {}, line 1", thread.node, thread.epoch);
    match (
        seq.checked_sub(1).and_then(|before| sums.get(&before)),
        prev,
    ) {
        (Some(sums), Some(prev)) if !sums.iter().any(|sum| sum == prev) => {
            verified.wrong.push(format!(
                "{place}: it does not follow a line of an earlier controller"
            ));
        }
        (None, _) if seq > 1 => verified.wrong.push(format!(
            "{place}: number {seq} is the first: lines are missing"
        )),
        _ => {}
    }
}

fn signed(checkpoint: &Checkpoint, key: Option<&Path>, verified: &mut Verified) {
    let about = format!(
        "checkpoint of size {}, made at {}",
        checkpoint.size, checkpoint.at
    );
    let Some(key) = key else {
        verified.open.push(format!(
            "{about}: the signature was not verified (`--key FILE`)"
        ));
        return;
    };
    let namespace = namespace(&checkpoint.gateway);
    let of = (namespace.as_str(), &*checkpoint.text());
    match is_signed_by(&checkpoint.gateway, of, &checkpoint.signature, key) {
        Ok(()) => verified
            .holds
            .push(format!("{about}: signed by `{}`", checkpoint.gateway)),
        Err(why) => verified.wrong.push(format!(
            "{about}: not signed by `{}`: {why}",
            checkpoint.gateway
        )),
    }
}

fn included(
    record: &Record,
    thread: &Thread,
    checkpoint: (&Checkpoint, bool),
    verified: &mut Verified,
) {
    let place = format!("{}, controller {}", thread.node, thread.epoch);
    let Some(head) = &thread.head else {
        verified
            .open
            .push(format!("{place}: it is not in the log yet"));
        return;
    };
    let mut sums: BTreeMap<u64, String> = BTreeMap::new();
    for line in &thread.lines {
        if let Ok(value) = serde_json::from_str::<Value>(line) {
            sums.insert(value["seq"].as_u64().unwrap_or_default(), sha256(line));
        }
    }
    for head in thread.earlier.iter().chain([head]) {
        of_head(
            record,
            (thread, &place),
            (head, &sums),
            checkpoint,
            verified,
        );
    }
    let last = sums.last_key_value().map_or(0, |(seq, _)| *seq);
    if last > head.last && verified.wrong.is_empty() {
        verified.open.push(format!(
            "{place}: its lines after number {} are not in the log yet",
            head.last
        ));
    }
}

/// The recorded line must be unchanged, with a valid proof of its place in the log.
fn of_head(
    record: &Record,
    (thread, place): (&Thread, &str),
    (head, sums): (&Head, &BTreeMap<u64, String>),
    (checkpoint, own): (&Checkpoint, bool),
    verified: &mut Verified,
) {
    let last = head.last;
    if sums.get(&last) != Some(&head.last_sha256) {
        verified.wrong.push(format!(
            "{place}: its line {last} is missing, or differs from the recorded one"
        ));
        return;
    }
    if !own {
        verified.open.push(format!(
            "{place}: its proof is for another checkpoint; `opsbook record save` gets one for the newest"
        ));
        return;
    }
    let text = text_of(
        &record.run,
        &thread.node,
        thread.epoch,
        last,
        &head.last_sha256,
    );
    let proof: Option<Vec<Hash>> = head.proof.iter().map(|hash| unhex(hash)).collect();
    let shown = match (proof, unhex(&checkpoint.root)) {
        (Some(proof), Some(root)) => is_included(
            leaf(text.as_bytes()),
            (head.number, checkpoint.size),
            &proof,
            &root,
        ),
        _ => false,
    };
    if shown {
        let (number, size) = (head.number + 1, checkpoint.size);
        verified.holds.push(format!(
            "{place}: up to line {last}, leaf {number} of the {size} of the log"
        ));
    } else {
        verified
            .wrong
            .push(format!("{place}: it is not in the signed log"));
    }
}

/// The signed document must match the plans in each journal.
fn of_approval(
    record: &Record,
    approved: &Approved,
    approvers: Option<&Path>,
    verified: &mut Verified,
) {
    let node = &approved.node;
    if let Err(why) = is_planned(record, approved) {
        verified.wrong.push(format!("{node}: {why}"));
    }
    let Some(approvers) = approvers else {
        let why = "the approvals were not verified (`--approvers FILE`)";
        verified.open.push(format!("{node}: {why}"));
        return;
    };
    for approval in &approved.approvals {
        let statement = Statement {
            run: &record.run,
            node,
            sha256: &sha256(&approved.document),
            asked_by: &record.asked_by,
            manner: &approved.manner,
            not_after: &approval.not_after,
        };
        let namespace = approves(&record.gateway);
        let of = (namespace.as_str(), &*statement.text());
        match is_signed_by(&approval.by, of, &approval.signature, approvers) {
            Ok(()) => verified
                .holds
                .push(format!("{node}: approved by `{}`", approval.by)),
            Err(why) => verified.wrong.push(format!(
                "{node}: the signature of the approval of `{}` does not match: {why}",
                approval.by
            )),
        }
    }
}

fn is_planned(record: &Record, approved: &Approved) -> Result<(), String> {
    let document: Document = serde_json::from_str(&approved.document)
        .map_err(|_| "the approved plan cannot be read".to_owned())?;
    let threads = record.threads.iter();
    for thread in threads.filter(|thread| thread.node == approved.node) {
        for line in &thread.lines {
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if event["event"] != "run-started" {
                continue;
            }
            if event["plans"] != document.plans {
                let epoch = thread.epoch;
                return Err(format!(
                    "the plan of controller {epoch} differs from the approved one"
                ));
            }
        }
    }
    Ok(())
}

/// Whether a gateway's log continues a stored checkpoint: nothing before it was removed or changed.
///
/// # Errors
/// Why it does not.
pub fn goes_on(kept: &Checkpoint, log: &Log, key: Option<&Path>) -> Result<(), String> {
    let newest = log
        .checkpoint
        .as_ref()
        .ok_or("the log is empty, but was not before")?;
    if let Some(key) = key {
        let namespace = namespace(&newest.gateway);
        is_signed_by(
            &newest.gateway,
            (&namespace, &newest.text()),
            &newest.signature,
            key,
        )
        .map_err(|why| {
            format!(
                "the checkpoint is not signed by `{}`: {why}",
                newest.gateway
            )
        })?;
    }
    let proof: Option<Vec<Hash>> = log.consistency.iter().map(|hash| unhex(hash)).collect();
    let roots = unhex(&kept.root).zip(unhex(&newest.root)).zip(proof);
    let shown = roots.is_some_and(|((before, now), proof)| {
        is_beginning((kept.size, &before), (newest.size, &now), &proof)
    });
    if shown {
        return Ok(());
    }
    Err(format!(
        "the log of {} leaves at {} is not the beginning of the one of {} leaves at {}: something \
         was removed or changed",
        kept.size, kept.at, newest.size, newest.at
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{hex, inclusion, root};

    /// A record of a run with two controllers, in a log of three leaves.
    fn record() -> Record {
        let line = |seq: u64, epoch: u64, prev: &str, word: &str| {
            format!(
                r#"{{"v":2,"seq":{seq},"at":"","run":"R","node":"web1","epoch":{epoch},"event":"warned","text":"{word}","prev":"{prev}"}}"#
            )
        };
        let one = line(1, 1, "", "one");
        let two = line(2, 1, &sha256(&one), "two");
        let three = line(3, 2, &sha256(&two), "three");
        let four = line(4, 2, &sha256(&three), "four");
        let ends = [(1, 2, sha256(&two)), (2, 4, sha256(&four))];
        let texts = ends
            .iter()
            .map(|(epoch, last, sum)| text_of("R", "web1", *epoch, *last, sum));
        let mut leaves: Vec<Hash> = vec![leaf(b"another run")];
        leaves.extend(texts.map(|text| leaf(text.as_bytes())));
        let head = |number: usize, last, sum: &str| Head {
            number: number as u64,
            last,
            last_sha256: sum.to_owned(),
            proof: inclusion(&leaves, number).iter().map(hex).collect(),
        };
        Record {
            run: "R".into(),
            gateway: "gw".into(),
            procedure: "p".into(),
            asked_by: "ana".into(),
            threads: vec![
                Thread {
                    node: "web1".into(),
                    epoch: 1,
                    head: Some(head(1, 2, &sha256(&two))),
                    earlier: Vec::new(),
                    lines: vec![one, two],
                },
                Thread {
                    node: "web1".into(),
                    epoch: 2,
                    head: Some(head(2, 4, &sha256(&four))),
                    earlier: Vec::new(),
                    lines: vec![three, four],
                },
            ],
            approved: Vec::new(),
            checkpoint: Some(Checkpoint {
                size: 3,
                root: hex(&root(&leaves)),
                at: "2026-11-29T18:00:00Z".into(),
                gateway: "gw".into(),
                signature: String::new(),
                key: String::new(),
            }),
        }
    }

    #[test]
    fn any_byte_of_any_line_and_any_line_that_is_dropped_is_noticed() {
        let good = record();
        let verified = verify(&good, Known::default());
        assert_eq!(verified.wrong, [""; 0]);
        assert_eq!(verified.holds.len(), 4, "{verified:?}");
        for thread in 0..2 {
            for line in 0..2 {
                let mut dropped = good.clone();
                dropped.threads[thread].lines.remove(line);
                let wrong = verify(&dropped, Known::default()).wrong;
                assert!(!wrong.is_empty(), "thread {thread} without line {line}");
                for byte in 0..good.threads[thread].lines[line].len() {
                    let mut flipped = good.clone();
                    let text = &mut flipped.threads[thread].lines[line];
                    let mut bytes = std::mem::take(text).into_bytes();
                    bytes[byte] ^= 1;
                    *text = String::from_utf8(bytes).unwrap();
                    let wrong = verify(&flipped, Known::default()).wrong;
                    assert!(
                        !wrong.is_empty(),
                        "thread {thread}, line {line}, byte {byte}"
                    );
                    assert!(
                        wrong.iter().all(|why| why.starts_with("web1, controller")),
                        "{wrong:?}"
                    );
                }
            }
        }
        let mut gone = good.clone();
        gone.threads.remove(0);
        assert!(verify(&gone, Known::default()).wrong[0].contains("lines are missing"));
    }
}
