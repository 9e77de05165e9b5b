//! `opsbook runs`: lists the runs of a gateway.

use std::io::Write;

use clap::Args;

use super::{At, speak};
use crate::cli::Streams;
use crate::cli::context::Chosen;
use crate::cli::error::Failure;
use crate::cli::form::{self, Form};
use crate::event::Status;
use crate::report::style::status_style;
use crate::report::table::{self, Cell};
use crate::wire::{Ended, RunsPage, endpoint};

/// Show the runs of a gateway, newest first
#[derive(Args, Debug)]
pub(crate) struct RunsArgs {
    /// Only runs on this node
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only runs of this procedure
    #[arg(long, value_name = "PROCEDURE")]
    procedure: Option<String>,
    /// Only runs in this state: queued, running, halted, ended, …
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only runs that this person ordered
    #[arg(long, value_name = "PERSON")]
    by: Option<String>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    at: At,
}

pub(crate) fn runs(args: &RunsArgs, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let client = args.at.client(dir)?;
    let asked = [
        ("node", &args.node),
        ("procedure", &args.procedure),
        ("state", &args.state),
        ("by", &args.by),
    ];
    let asked = asked.iter().filter_map(|(name, value)| {
        let value = value.as_ref()?;
        Some(format!("{name}={}", in_query(value)))
    });
    let query: Vec<String> = asked.collect();
    let path = format!("{}?{}", endpoint::RUNS, query.join("&"));
    let page: RunsPage = speak(&client, streams, args.form.is_json(), async |client| {
        client.get(&path).await
    })?;
    if args.form.is_json() {
        for run in &page.runs {
            form::line(run, streams)?;
        }
        return Ok(0);
    }
    let rows = page.runs.iter().map(|run| {
        let status = run.status.map_or("", Ended::word);
        let cells: [&str; 6] = [
            &run.run,
            &run.procedure,
            &run.nodes.join(","),
            run.state.word(),
            status,
            &run.owner,
        ];
        let why = match &run.break_glass {
            Some(why) => Cell::new(&format!("BREAK GLASS: {why}"), status_style(Status::Failed)),
            None => Cell::from(run.reason.as_deref().unwrap_or_default()),
        };
        cells.into_iter().map(Cell::from).chain([why]).collect()
    });
    let heading = [
        "RUN",
        "PROCEDURE",
        "NODES",
        "STATE",
        "STATUS",
        "OWNER",
        "REASON",
    ];
    table::write(&heading, rows.collect(), &mut streams.people())?;
    if page.after.is_some() {
        writeln!(streams.talk, "these are the newest {}", page.runs.len())?;
    }
    Ok(0)
}

/// Escapes a value for a query string.
pub(crate) fn in_query(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value
        .bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_a_query_is_one_value() {
        assert_eq!(in_query("web-1.x~_"), "web-1.x~_");
        assert_eq!(
            in_query("a&b=c d\r\n%/é"),
            "a%26b%3Dc%20d%0D%0A%25%2F%C3%A9"
        );
    }
}
