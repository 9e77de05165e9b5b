//! `opsbook ping`: who answers, as whom, how fast; and for the others, the true cause.

use std::io::Write;
use std::sync::Arc;

use clap::Args;
use tokio::task::JoinSet;

use crate::cli::complete;
use crate::cli::error::{Failure, exit};
use crate::cli::{Streams, block_on};
use crate::engine::target;
use crate::event::Status;
use crate::nodes::Node;
use crate::project::Project;
use crate::session::{self, OpenError, OpenOptions, Pong, SudoWay};

/// Open sessions side by side and say who answers
///
/// As whom, with which shell and sudo, how fast; and for the others the true cause, each
/// told apart: authentication, host key unknown or changed, refused, no route, name, jump host.
#[derive(Args, Debug)]
pub(crate) struct Ping {
    /// Nodes or selectors; all nodes if absent
    #[arg(value_name = "SELECTOR", add = complete::nodes())]
    nodes: Vec<String>,
}

pub(crate) fn run(args: &Ping, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    let names: Vec<String> = if args.nodes.is_empty() {
        project.nodes.names().map(str::to_owned).collect()
    } else {
        project
            .nodes
            .select(&args.nodes.join(","))?
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    self::names(&names, project, streams)
}

/// Pings nodes that are chosen already.
pub(crate) fn names(
    names: &[String],
    project: &Project,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    crate::session::raise_limits();
    let nodes: Result<Vec<Arc<Node>>, _> = names
        .iter()
        .map(|name| project.nodes.evaluate(name, &[]).map(Arc::new))
        .collect();
    let nodes = nodes?;
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let bad = block_on(async {
        let mut tasks = JoinSet::new();
        for node in nodes {
            tasks.spawn(async move {
                (
                    node.name.clone(),
                    session::ping(&target(&node), &OpenOptions::default()).await,
                )
            });
        }
        let mut bad = 0;
        while let Some(Ok((name, said))) = tasks.join_next().await {
            match said {
                Ok(Pong {
                    hello,
                    round_trip,
                    sudo,
                }) => {
                    let sudo = match sudo {
                        SudoWay::Root => "is root".to_owned(),
                        SudoWay::Missing => "no sudo".to_owned(),
                        SudoWay::Free => "sudo without a password".to_owned(),
                        SudoWay::Asks => "sudo with a password".to_owned(),
                        SudoWay::Refuses(said) => format!("sudo refuses: {}", said.line()),
                    };
                    let (connect, answer) = (hello.connect.as_millis(), round_trip.as_millis());
                    writeln!(
                        streams.people(),
                        "{name:<width$}  {} on {}, {}, {sudo}, {} cores, reached in {connect} ms, answers in {answer} ms",
                        hello.user.line(),
                        hello.hostname.line(),
                        hello.shell.line(),
                        hello.cores
                    )?;
                }
                Err(error) => {
                    bad += 1;
                    writeln!(streams.people(), "{name:<width$}  {}", one_line(&error))?;
                }
            }
        }
        Ok(bad)
    })?;
    Ok(if bad == 0 { 0 } else { exit(Status::Error) })
}

fn one_line(error: &OpenError) -> String {
    match error.said.last_line() {
        Some(said) => format!("{error}: {said}"),
        None => error.to_string(),
    }
}
