//! `opsbook history` and `opsbook log`: what was run, and what happened.

use std::io::Write;

use clap::Args;

use crate::cli::Streams;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::event::Status;
use crate::journal;
use crate::report::human::{Human, status_style};

/// Show the runs of this manual, the latest last
#[derive(Args, Debug)]
pub(crate) struct History {
    /// Only runs on this node
    #[arg(value_name = "NODE")]
    node: Option<String>,
}

/// Show what happened in a run
#[derive(Args, Debug)]
pub(crate) struct Log {
    /// The run, or the node whose latest run is meant
    #[arg(value_name = "RUN|NODE")]
    which: Option<String>,
    /// The journal's own lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn history(
    args: &History,
    context: &Context,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    journal::readable(&context.root)?;
    for run in journal::runs(&context.root) {
        let record = match journal::read(&context.root, &run) {
            Ok(record) => record,
            Err(error) => {
                writeln!(streams.talk, "warning: {error}")?;
                continue;
            }
        };
        let Some(started) = record.started() else {
            writeln!(streams.people(), "{run}  {:<9}", "no start")?;
            continue;
        };
        if args
            .node
            .as_ref()
            .is_some_and(|node| !started.nodes.contains(node))
        {
            continue;
        }
        let status = record.status();
        let word = status.map_or("no end", Status::word);
        let style = status.map_or_else(anstyle::Style::new, status_style);
        let by_hand = record.events.iter().filter(|event| {
            matches!(&event.what, crate::event::What::StepEnded(ended) if matches!(ended.status, Status::Skipped | Status::ByHand))
        });
        let by_hand = match by_hand.count() {
            0 => String::new(),
            count => format!("  {count} skipped or by hand"),
        };
        writeln!(
            streams.people(),
            "{run}  {style}{word:<9}{style:#}  {}  on {}  by {}@{}{by_hand}",
            started.procedure,
            started.nodes.join(", "),
            started.operator,
            started.controller
        )?;
    }
    Ok(0)
}

pub(crate) fn log(args: &Log, context: &Context, streams: &mut Streams) -> Result<u8, Failure> {
    let run = crate::cli::which::which(context, args.which.as_deref(), false)?;
    let record = journal::read(&context.root, &run)?;
    if record.torn {
        writeln!(
            streams.talk,
            "warning: the last line of this journal is torn: its writer died over it"
        )?;
    }
    if args.json {
        for event in &record.events {
            let line = serde_json::to_string(event).map_err(std::io::Error::from)?;
            writeln!(streams.out, "{line}")?;
        }
        return Ok(0);
    }
    let mut human = Human::new(&mut streams.out);
    for event in &record.events {
        human.event(event)?;
    }
    Ok(0)
}
