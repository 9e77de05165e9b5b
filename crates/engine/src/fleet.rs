//! Runs a plan over its nodes: batch by batch, the nodes of a batch in parallel.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::event::{Status, What};
use crate::journal::{JournalError, Record};
use crate::node::{Ended, run_node};
use crate::plan::Plan;
use crate::plan::batch::in_batches;
use crate::source::counted;
use crate::{Options, Recorder, several};

const STOPPED: &str = "not started: the operator stopped the run";

/// Runs a plan, or continues the run that `resume` describes. The journal already contains the
/// start of the run.
///
/// # Errors
/// If the journal cannot be written.
pub async fn run(
    plan: Arc<Plan>,
    options: Arc<Options>,
    recorder: Recorder,
    resume: Option<Arc<Record>>,
) -> Result<Status, JournalError> {
    if let Some(binding) = &plan.binding {
        let resume = resume.as_deref();
        return several::run(&plan, binding, &options, &recorder, resume).await;
    }
    let (mut status, mut bad, mut last) = (Status::Ok, 0, None);
    let todo = nodes_to_do(&plan, resume.as_deref());
    let mut rest = todo.as_slice();
    let batches = in_batches(rest, &options.batches);
    for (number, batch) in (1..).zip(&batches) {
        rest = &rest[batch.len()..];
        if batches.len() > 1 {
            let nodes = batch.iter().map(|index| &plan.nodes[*index].node.name);
            let started = What::BatchStarted {
                batch: number,
                batches: batches.len(),
                nodes: nodes.cloned().collect(),
            };
            recorder.record(None, None, started)?;
        }
        for ended in run_batch(batch, &plan, &options, &recorder, resume.as_ref()).await {
            let ended = ended?;
            bad += usize::from(!ended.well);
            status = status.worse(ended.status);
            last = Some(ended);
        }
        let interrupted = *options.interrupts.borrow() > 0;
        if !rest.is_empty() && (interrupted || bad > options.max_fail) {
            let cause = if interrupted {
                STOPPED.to_owned()
            } else {
                format!(
                    "not started: {} of earlier batches did not end OK",
                    counted(bad, "node")
                )
            };
            for index in rest {
                not_started(&plan, *index, &cause, &recorder)?;
            }
            status = status.worse(Status::Stopped);
            break;
        }
        if !rest.is_empty() && !options.wait.is_zero() {
            let mut interrupts = options.interrupts.clone();
            tokio::select! {
                () = tokio::time::sleep(options.wait) => {}
                _ = interrupts.changed() => {}
            }
        }
    }
    recorder.record(None, None, What::RunEnded { status })?;
    // After success its session was released; otherwise something may still have to be cleaned up.
    if let Some(mut last) = last.filter(|last| last.status != Status::Ok) {
        last.closed().await;
    }
    Ok(status)
}

/// The nodes on which the run has not ended well yet.
fn nodes_to_do(plan: &Plan, resume: Option<&Record>) -> Vec<usize> {
    let ok = |index: usize| {
        let site = plan.nodes[index].site();
        resume.and_then(|record| record.node_status(site)) == Some(Status::Ok)
    };
    (0..plan.nodes.len()).filter(|index| !ok(*index)).collect()
}

async fn run_batch(
    batch: &[usize],
    plan: &Arc<Plan>,
    options: &Arc<Options>,
    recorder: &Recorder,
    resume: Option<&Arc<Record>>,
) -> Vec<Result<Ended, JournalError>> {
    let places = Arc::new(Semaphore::new(options.parallel.max(1)));
    let mut tasks = JoinSet::new();
    for &index in batch {
        let (plan, options, recorder) = (Arc::clone(plan), Arc::clone(options), recorder.clone());
        let resume = resume.cloned();
        // Nodes start in order. The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await.ok();
        tasks.spawn(async move {
            let _place = place;
            if *options.interrupts.borrow() > 0 {
                not_started(&plan, index, STOPPED, &recorder)?;
                return Ok(Ended {
                    status: Status::Stopped,
                    well: false,
                    closing: None,
                });
            }
            let node = &plan.nodes[index];
            (options.turn.0)(&node.node.name);
            let mut ended = Box::pin(run_node(
                &options,
                &recorder,
                &plan,
                node,
                resume.as_deref(),
            ))
            .await?;
            // Close the sessions of many nodes one by one, so that they do not pile up; with one
            // node, the session may close while the end of the run is written.
            if plan.nodes.len() > 1 {
                ended.closed().await;
            }
            Ok(ended)
        });
    }
    let mut results = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        results.push(joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())));
    }
    results
}

fn not_started(
    plan: &Plan,
    index: usize,
    cause: &str,
    recorder: &Recorder,
) -> Result<(), JournalError> {
    let status = Status::Stopped;
    let cause = Some(cause.into());
    let site = plan.nodes[index].site();
    recorder.record(Some(site), None, What::NodeEnded { status, cause })?;
    Ok(())
}
