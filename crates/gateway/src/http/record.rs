//! The record of a run, for verification elsewhere; and the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::guard::Caller;
use super::refusal::{Answer, Refusal};
use super::runs::granted;
use crate::gateway::Gateway;
use crate::project::merkle::{Hash, consistency, hex, inclusion};
use crate::store::events::From;
use crate::wire::record::{Approved, Head, Log, Record, Thread};
use crate::wire::{Kind, RunView, Verb};

/// The most bytes of a record's lines.
const MOST: usize = 48 << 20;

pub(super) async fn record(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Answer<axum::Json<Record>> {
    let view = granted(&gateway, &caller, &run, Verb::Read).await?;
    let mut threads = threads(&gateway, &run).await?;
    let checkpoint = gateway.store.checkpoint().await?;
    if let Some(checkpoint) = &checkpoint {
        let leaves = gateway.store.leaves(checkpoint.size).await?;
        let hashes: Vec<Hash> = leaves
            .iter()
            .map(crate::store::record::Leaf::hash)
            .collect();
        for leaf in leaves.iter().filter(|leaf| leaf.run == run) {
            let of = threads.get_mut(&(leaf.node.clone(), leaf.epoch));
            if let Some(thread) = of {
                let number = usize::try_from(leaf.number).unwrap_or(usize::MAX);
                // A thread that was continued has a later leaf.
                thread.earlier.extend(thread.head.take());
                thread.head = Some(Head {
                    number: leaf.number,
                    last: leaf.last,
                    last_sha256: leaf.last_sha256.clone(),
                    proof: inclusion(&hashes, number).iter().map(hex).collect(),
                });
            }
        }
    }
    Ok(axum::Json(Record {
        approved: approved(&gateway, &view).await?,
        run: view.summary.run,
        gateway: gateway.name.clone(),
        procedure: view.summary.procedure,
        asked_by: view.summary.asked_by,
        threads: threads.into_values().collect(),
        checkpoint,
    }))
}

async fn threads(gateway: &Gateway, run: &str) -> Answer<BTreeMap<(String, u64), Thread>> {
    let mut threads: BTreeMap<(String, u64), Vec<(u64, String)>> = BTreeMap::new();
    let (mut from, mut bytes) = (From::default(), 0);
    loop {
        let lines = gateway
            .store
            .lines(&gateway.blobs, run, &from, 1_000)
            .await?;
        let Some(last) = lines.last() else { break };
        from.n = last.n;
        for line in lines {
            bytes += line.text.len();
            if bytes > MOST {
                let detail = "the record is too large for an answer";
                return Err(Refusal::new(Kind::TooLarge, detail));
            }
            let of = (line.cursor.node, line.cursor.epoch);
            threads
                .entry(of)
                .or_default()
                .push((line.cursor.seq, line.text));
        }
    }
    let threads = threads.into_iter().map(|((node, epoch), mut lines)| {
        lines.sort_by_key(|(seq, _)| *seq);
        let thread = Thread {
            node: node.clone(),
            epoch,
            lines: lines.into_iter().map(|(_, text)| text).collect(),
            head: None,
            earlier: Vec::new(),
        };
        ((node, epoch), thread)
    });
    Ok(threads.collect())
}

async fn approved(gateway: &Gateway, view: &RunView) -> Answer<Vec<Approved>> {
    let run = &view.summary.run;
    let mut all = Vec::new();
    for (node, document) in gateway.store.documents(run).await? {
        if let Some(consent) = gateway.store.consent(run, &node).await? {
            all.push(Approved {
                node,
                document,
                manner: consent.manner,
                approvals: consent.approvals,
            });
        }
    }
    Ok(all)
}

#[derive(Deserialize)]
pub(super) struct Since {
    #[serde(default)]
    from: u64,
}

/// The amount of work is itself information: the log is for those who may read a part of it.
pub(super) async fn log(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Query(Since { from }): Query<Since>,
) -> Answer<axum::Json<Log>> {
    let (here, who) = (Arc::clone(&gateway), caller.who());
    let reads = tokio::task::spawn_blocking(move || {
        let mut all = here.manuals.all();
        all.any(|manual| manual.read().is_ok_and(|read| read.reads_something(&who)))
    });
    if !reads.await? {
        let detail = format!("no rule lets `{}` read anything", caller.person);
        return Err(Refusal::new(Kind::NotAllowed, detail));
    }
    let checkpoint = gateway.store.checkpoint().await?;
    let mut proof = Vec::new();
    if let Some(newest) = checkpoint
        .as_ref()
        .filter(|newest| (1..newest.size).contains(&from))
    {
        let leaves = gateway.store.leaves(newest.size).await?;
        let hashes: Vec<Hash> = leaves
            .iter()
            .map(crate::store::record::Leaf::hash)
            .collect();
        let first = usize::try_from(from).unwrap_or(usize::MAX);
        proof = consistency(&hashes, first).iter().map(hex).collect();
    }
    Ok(axum::Json(Log {
        checkpoint,
        consistency: proof,
    }))
}
