//! `opsbook stop` and `hand-over`, and resuming or releasing a run: sends an order to a gateway,
//! and shows the resulting state.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::watch;
use super::{At, speak};
use crate::cli::Streams;
use crate::cli::context::Chosen;
use crate::cli::error::Failure;
use crate::wire::{self, HandOver, Release, Resume, RunView, Stop, endpoint};

/// Stop a run: parts that have not begun do not begin
#[derive(Args, Debug)]
pub(crate) struct StopArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Only on these nodes
    #[arg(value_name = "NODE")]
    nodes: Vec<String>,
    /// What happens to the current step
    #[arg(long, value_enum, default_value_t = Manner::AfterStep)]
    manner: Manner,
    #[command(flatten)]
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Manner {
    /// It runs to its end, with its checks
    AfterStep,
    /// It is killed: TERM, and KILL ten seconds later
    Step,
    /// It continues unattended
    Leave,
}

/// Give a run up: its bundles are removed from the nodes, and nobody can resume it
#[derive(Args, Debug)]
pub(crate) struct GiveUpArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Only on these nodes
    #[arg(value_name = "NODE")]
    nodes: Vec<String>,
    /// The reason
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    at: At,
}

/// Hand a run over: its questions go to somebody else, and nothing starts again
#[derive(Args, Debug)]
pub(crate) struct HandOverArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// The new person
    #[arg(value_name = "PERSON")]
    to: String,
    /// A note for them
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    at: At,
}

pub(crate) fn stop(args: &StopArgs, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let stop = Stop {
        nodes: args.nodes.clone(),
        manner: match args.manner {
            Manner::AfterStep => wire::Manner::AfterStep,
            Manner::Step => wire::Manner::Step,
            Manner::Leave => wire::Manner::Leave,
        },
    };
    order(&args.at, dir, (endpoint::STOP, &args.run), &stop, streams)
}

pub(crate) fn hand_over(
    args: &HandOverArgs,
    dir: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let hand_over = HandOver {
        to: args.to.clone(),
        note: args.note.clone(),
    };
    order(
        &args.at,
        dir,
        (endpoint::HAND_OVER, &args.run),
        &hand_over,
        streams,
    )
}

pub(crate) fn give_up(
    args: &GiveUpArgs,
    dir: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let release = Release {
        nodes: args.nodes.clone(),
        note: args.note.clone(),
    };
    order(
        &args.at,
        dir,
        (endpoint::RELEASE, &args.run),
        &release,
        streams,
    )
}

/// `opsbook resume RUN --via gateway`: resumes the run there, and shows it.
pub(crate) fn resume(run: &str, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let at = At::default();
    let client = at.client(dir)?;
    let path = endpoint::of(endpoint::RESUME, &[run]);
    let _: RunView = speak(&client, streams, false, async |client| {
        client.post(&path, &Resume::default()).await
    })?;
    watch::follow(&client, run, None, false, streams)
}

fn order(
    at: &At,
    dir: &Chosen,
    (path, run): (&str, &str),
    body: &impl Serialize,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let client = at.client(dir)?;
    let path = endpoint::of(path, &[run]);
    let view: RunView = speak(&client, streams, false, async |client| {
        client.post(&path, body).await
    })?;
    let mut out = streams.people();
    let state = view.summary.state.word();
    writeln!(out, "run {run}: {state}, owner {}", view.summary.owner)?;
    for part in &view.parts {
        let wants = part
            .wants
            .map(|wants| format!(", {} requested, not delivered yet", wants.word()));
        writeln!(
            out,
            "  {}: {}{}",
            part.node,
            part.state.word(),
            wants.unwrap_or_default()
        )?;
    }
    Ok(0)
}
