//! `opsbook sync` reports runs that bypassed the gateway; `opsbook findings` shows unreported runs
//! that left a trace on nodes.

use std::io::Write;

use clap::Args;

use super::runs::in_query;
use super::{At, speak};
use crate::cli::Streams;
use crate::cli::context::{Chosen, find_root};
use crate::cli::error::Failure;
use crate::cli::form::{self, Form};
use crate::journal;
use crate::project::state_of_folder;
use crate::report::table::{self, Cell};
use crate::wire::sync::{FindingView, Sync, Synced};
use crate::wire::{Ended, endpoint, limit};

/// The most bytes of the lines in one request: leaves room for JSON escapes.
const AT_ONCE: usize = limit::LINES_BODY / 3;
/// How many of the latest runs are reported if none is named.
const NEWEST: usize = 200;

/// Report runs of this machine to the gateway
///
/// Runs without the gateway are in this manual's journals. Their lines are sent unchanged, and the
/// gateway verifies that each follows the one before; lines that it has are not sent again. An
/// unreported run that left a trace on a node is a finding there (`opsbook findings`).
#[derive(Args, Debug)]
pub(crate) struct SyncArgs {
    /// Only these runs; the latest 200 of this manual if absent
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// The manual, if the gateway has several
    #[arg(long, value_name = "MANUAL")]
    manual: Option<String>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    at: At,
}

/// Show runs that left a trace on nodes, and that the gateway does not know
#[derive(Args, Debug)]
pub(crate) struct FindingsArgs {
    /// Only on this node
    #[arg(value_name = "NODE")]
    node: Option<String>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    at: At,
}

pub(crate) fn sync(args: &SyncArgs, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let root = find_root(dir)?;
    let state = state_of_folder(&root);
    journal::readable(&state)?;
    let client = args.at.client(dir)?;
    let all = journal::runs(&state);
    let runs = if args.runs.is_empty() {
        all[all.len().saturating_sub(NEWEST)..].to_vec()
    } else {
        args.runs.clone()
    };
    if runs.is_empty() {
        writeln!(
            streams.talk,
            "this manual has no journals: nothing to report"
        )?;
    }
    let mut worst = 0;
    for run in runs {
        // Verify the hash chain here as well: the message then names the damaged line.
        let lines = journal::read(&state, &run)
            .map_err(Failure::from)
            .and_then(|record| {
                let text = std::fs::read_to_string(&record.path)?;
                let lines = text.lines().take(record.events.len());
                Ok::<_, Failure>(lines.map(str::to_owned).collect::<Vec<_>>())
            });
        let sent = lines.and_then(|lines| {
            let machine = args.form.is_json();
            speak(&client, streams, machine, async |client| {
                report(client, &run, args.manual.as_deref(), &lines).await
            })
        });
        match sent {
            Ok(synced) if args.form.is_json() => {
                form::line(&synced, streams)?;
            }
            Ok(synced) => {
                let status = synced.status.map_or("", Ended::word);
                writeln!(
                    streams.people(),
                    "run {run}: {} lines {status}",
                    synced.acked
                )?;
            }
            // An error of one run does not stop the others.
            Err(failure) if args.runs.is_empty() => {
                worst = 1;
                writeln!(streams.talk, "run {run}: not reported")?;
                failure.tell(streams);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(worst)
}

/// Sends the lines that the gateway lacks.
async fn report(
    client: &crate::client::Client,
    run: &str,
    manual: Option<&str>,
    lines: &[String],
) -> Result<Synced, crate::client::ClientError> {
    let of = |lines: Vec<String>| Sync {
        manual: manual.map(str::to_owned),
        run: run.to_owned(),
        lines,
    };
    let mut synced: Synced = client.post(endpoint::SYNC, &of(Vec::new())).await?;
    loop {
        let have = usize::try_from(synced.acked).unwrap_or(usize::MAX);
        let (mut size, mut some) = (0, Vec::new());
        // Send the gateway's last line again, so that it notices a different journal.
        for line in lines.iter().skip(have.saturating_sub(1)) {
            size += line.len();
            if size > AT_ONCE && some.len() > 1 {
                break;
            }
            some.push(line.clone());
        }
        let last = have.saturating_sub(1) + some.len() >= lines.len();
        if !some.is_empty() {
            synced = client.post(endpoint::SYNC, &of(some)).await?;
        }
        if last || usize::try_from(synced.acked).unwrap_or(usize::MAX) <= have {
            return Ok(synced);
        }
    }
}

pub(crate) fn findings(
    args: &FindingsArgs,
    dir: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let client = args.at.client(dir)?;
    let query = args.node.as_ref();
    let query = query.map(|node| format!("?node={}", in_query(node)));
    let path = format!("{}{}", endpoint::FINDINGS, query.unwrap_or_default());
    let all: Vec<FindingView> = speak(&client, streams, args.form.is_json(), async |client| {
        client.get(&path).await
    })?;
    if args.form.is_json() {
        for found in &all {
            form::line(found, streams)?;
        }
    } else if all.is_empty() {
        writeln!(streams.talk, "the gateway knows every run that was found")?;
    } else {
        let rows = all.iter().map(|found| {
            let cells: [&str; 5] = [
                &found.node,
                &found.run,
                found.how.word(),
                &found.since,
                &found.seen,
            ];
            cells.into_iter().map(Cell::from).collect::<Vec<_>>()
        });
        let heading = ["NODE", "RUN", "", "FOUND", "SEEN"];
        table::write(&heading, rows.collect(), &mut streams.people())?;
    }
    Ok(u8::from(!all.is_empty()))
}
