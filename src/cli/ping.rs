//! `opsbook ping`: which nodes answer, as which user, how fast; and for the others, the true cause.

use std::io::Write;
use std::sync::Arc;

use clap::Args;
use tokio::task::JoinSet;

use crate::cli::complete;
use crate::cli::error::{Failure, exit};
use crate::cli::form::Form;
use crate::cli::{Streams, block_on};
use crate::engine::target;
use crate::event::Status;
use crate::nodes::Node;
use crate::project::Project;
use crate::session::{self, OpenError, OpenOptions, Pong, SudoWay};

/// Open sessions in parallel and say who answers
///
/// Shows user, shell, sudo and time of each node; for the others the true cause: authentication,
/// host key unknown or changed, refused, no route, name, jump host.
#[derive(Args, Debug)]
pub(crate) struct Ping {
    /// Nodes or selectors; all nodes if absent
    #[arg(value_name = "SELECTOR", add = complete::nodes())]
    nodes: Vec<String>,
    #[command(flatten)]
    form: Form,
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
    self::names(&names, project, args.form, streams)
}

/// Pings nodes that are already chosen.
pub(crate) fn names(
    names: &[String],
    project: &Project,
    form: Form,
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
                let options = OpenOptions {
                    name: node.name.clone(),
                    ..OpenOptions::default()
                };
                let said = session::ping(&target(&node), &options).await;
                (node.name.clone(), said)
            });
        }
        let mut bad = 0;
        while let Some(Ok((name, said))) = tasks.join_next().await {
            bad += usize::from(said.is_err());
            if form.is_json() {
                writeln!(streams.data(), "{}", json(&name, &said))?;
            } else {
                let said = in_words(&said);
                writeln!(streams.people(), "{name:<width$}  {said}")?;
            }
        }
        Ok(bad)
    })?;
    Ok(if bad == 0 { 0 } else { exit(Status::Error) })
}

fn in_words(said: &Result<Pong, OpenError>) -> String {
    let Pong {
        hello,
        round_trip,
        sudo,
    } = match said {
        Ok(pong) => pong,
        Err(error) => return error.sentence(),
    };
    let sudo = match sudo {
        SudoWay::Root => "is root".to_owned(),
        SudoWay::Missing => "no sudo".to_owned(),
        SudoWay::Free => "sudo without a password".to_owned(),
        SudoWay::Asks => "sudo with a password".to_owned(),
        SudoWay::Refuses(said) => format!("sudo refuses: {}", said.line()),
    };
    format!(
        "{} on {}, {}, {sudo}, {} cores, reached in {} ms, answers in {} ms",
        hello.user.line(),
        hello.hostname.line(),
        hello.shell.line(),
        hello.cores,
        hello.connect.as_millis(),
        round_trip.as_millis()
    )
}

fn json(name: &str, said: &Result<Pong, OpenError>) -> serde_json::Value {
    let Pong {
        hello,
        round_trip,
        sudo,
    } = match said {
        Ok(pong) => pong,
        Err(error) => {
            return serde_json::json!({
                "v": 1, "node": name, "reached": false, "cause": error.sentence(),
            });
        }
    };
    let sudo = match sudo {
        SudoWay::Root => "root",
        SudoWay::Missing => "missing",
        SudoWay::Free => "free",
        SudoWay::Asks => "password",
        SudoWay::Refuses(_) => "refused",
    };
    serde_json::json!({
        "v": 1, "node": name, "reached": true,
        "user": hello.user.exact(), "host": hello.hostname.exact(), "shell": hello.shell.exact(),
        "sudo": sudo, "cores": hello.cores,
        "connect_seconds": hello.connect.as_secs_f64(),
        "answer_seconds": round_trip.as_secs_f64(),
    })
}
