//! `opsbook history` and `opsbook log`: past runs and their events.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::cli::Streams;
use crate::cli::complete;
use crate::cli::error::Failure;
use crate::cli::form::Form;
use crate::cli::gateway::record::VerifyRunArgs;
use crate::engine;
use crate::event::{Event, RunStarted, Status, What};
use crate::journal::{self, Record};
use crate::project::Project;
use crate::report::human::Human;
use crate::report::style::status_style;
use crate::report::table::{self, Cell};
use crate::source::Problem;

/// Show the runs of this manual, latest last
///
/// As JSON: one line for each run.
#[derive(Args, Debug)]
pub(crate) struct History {
    /// Only runs on this node
    #[arg(value_name = "NODE", add = complete::node())]
    node: Option<String>,
    #[command(flatten)]
    form: Form,
}

/// Show the events of a run
///
/// As JSON: the journal's own lines.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Log {
    #[command(subcommand)]
    pub about: Option<LogAbout>,
    /// The run, or a node, which means its latest run; the latest run if absent
    #[arg(value_name = "RUN|NODE", add = complete::runs())]
    which: Option<String>,
    #[command(flatten)]
    form: Form,
}

/// Other commands for the journal of a run.
#[derive(Subcommand, Debug)]
pub(crate) enum LogAbout {
    Verify(VerifyRunArgs),
}

pub(crate) fn history(
    args: &History,
    project: &Project,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    journal::readable(&project.state)?;
    let mut rows = Vec::new();
    let mut known = Vec::new();
    let mut other = "";
    for run in journal::runs(&project.state) {
        match journal::read(&project.state, &run) {
            Ok(record) => {
                let nodes = record.started().map(|started| started.nodes.clone());
                known.extend(nodes.clone().unwrap_or_default());
                let here = |node: &String| nodes.is_some_and(|nodes| nodes.contains(node));
                if args.node.as_ref().is_none_or(here) {
                    rows.push((run, record));
                }
            }
            Err(error) => {
                writeln!(streams.talk, "warning: {error}")?;
                other = "other ";
            }
        }
    }
    if let Some(node) = &args.node
        && !project.nodes.contains(node)
        && !known.contains(node)
    {
        let names = project
            .nodes
            .names()
            .chain(known.iter().map(String::as_str));
        let problem = Problem::bare("unknown-node", format!("unknown node `{node}`"));
        return Err(Failure::from(problem.did_you_mean(node, names)));
    }
    if args.form.is_json() {
        for (run, record) in &rows {
            let line = json(run, record);
            writeln!(streams.data(), "{line}")?;
        }
    } else if rows.is_empty() {
        let of = args.node.as_ref().map(|node| format!(" on `{node}`"));
        let of = of.unwrap_or_default();
        writeln!(streams.talk, "no {other}run{of} in this manual's journals")?;
    } else {
        let rows: Vec<_> = rows.iter().map(|(run, record)| row(run, record)).collect();
        let heading = [
            "RUN",
            "STATUS",
            "BEGAN",
            "TOOK",
            "PROCEDURE",
            "NODES",
            "BY",
            "",
        ];
        table::write(&heading, rows, &mut streams.people())?;
    }
    Ok(0)
}

fn row(run: &str, record: &Record) -> Vec<Cell> {
    let Some(started) = record.started() else {
        return vec![run.into(), "no start".into()];
    };
    let status = record.status();
    let style = status.map_or_else(anstyle::Style::new, status_style);
    let took = took(record).map(engine::human).unwrap_or_default();
    let by_hand = match by_hand(record) {
        0 => None,
        count => Some(format!("{count} skipped or by hand")),
    };
    let given_up = record.is_given_up_everywhere();
    let given_up = given_up.then(|| "given up".to_owned());
    let notes: Vec<String> = by_hand.into_iter().chain(given_up).collect();
    vec![
        run.into(),
        Cell::new(status.map_or("no end", Status::word), style),
        began(record)
            .map(|at| at.strftime("%Y-%m-%d %H:%MZ").to_string())
            .unwrap_or_default()
            .into(),
        took.into(),
        started.procedure.clone().into(),
        who(started).into(),
        format!("{}@{}", started.operator, started.controller).into(),
        notes.join(", ").into(),
    ]
}

/// The nodes, and their roles in a run over several.
fn who(started: &RunStarted) -> String {
    if started.roles.is_empty() {
        return started.nodes.join(", ");
    }
    let roles = started.roles.iter();
    let roles = roles.map(|(role, nodes)| format!("{role}={}", nodes.join(",")));
    roles.collect::<Vec<_>>().join(" ")
}

fn json(run: &str, record: &Record) -> serde_json::Value {
    let started = record.started();
    serde_json::json!({
        "v": 1,
        "run": run,
        "status": record.status().map(Status::word),
        "began": began(record).map(|at| at.to_string()),
        "seconds": took(record).map(|took| took.as_secs_f64()),
        "procedure": started.map(|started| &started.procedure),
        "nodes": started.map(|started| &started.nodes),
        "roles": started.map(|started| &started.roles),
        "operator": started.map(|started| &started.operator),
        "controller": started.map(|started| &started.controller),
        "by_hand": by_hand(record),
        "given_up": record.is_given_up_everywhere(),
    })
}

fn began(record: &Record) -> Option<Timestamp> {
    record.events.first()?.at.parse().ok()
}

/// How long controllers worked on it: from each start or resume to the last event before the next.
fn took(record: &Record) -> Option<Duration> {
    let at = |event: &Event| event.at.parse::<Timestamp>().ok();
    let mut whole = Duration::ZERO;
    let mut before = began(record)?;
    for event in &record.events {
        let now = at(event)?;
        if !matches!(event.what, What::RunResumed { .. }) {
            // A clock that was set back counts as no time.
            let passed = now.duration_since(before);
            whole += Duration::try_from(passed).unwrap_or_default();
        }
        before = now;
    }
    Some(whole)
}

/// The number of steps that were skipped or done by a person.
fn by_hand(record: &Record) -> usize {
    let passed = |event: &&Event| {
        matches!(&event.what, What::StepEnded(ended)
            if matches!(ended.status, Status::Skipped | Status::ByHand))
    };
    record.events.iter().filter(passed).count()
}

pub(crate) fn log(args: &Log, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    let run = crate::cli::which::which(project, args.which.as_deref(), false)?;
    let record = journal::read(&project.state, &run)?;
    if record.torn {
        writeln!(
            streams.talk,
            "warning: the last line of this journal is incomplete: its writer ended while it \
             wrote it"
        )?;
    }
    if record.events.is_empty() {
        writeln!(streams.talk, "warning: this journal has no complete line")?;
    }
    if args.form.is_json() {
        for event in &record.events {
            let line = serde_json::to_string(event).map_err(std::io::Error::from)?;
            writeln!(streams.data(), "{line}")?;
        }
        return Ok(0);
    }
    let mut human = Human::new(streams.data());
    for event in &record.events {
        human.event(event)?;
    }
    Ok(0)
}
