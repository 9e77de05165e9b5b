//! `opsbook lock`: shows, acquires or releases the lock of a node.

use std::io::Write;

use clap::Subcommand;
use jiff::Timestamp;

use crate::cli::complete;
use crate::cli::error::Failure;
use crate::cli::form::Form;
use crate::cli::{Streams, block_on, locks, release, release_run};
use crate::engine::{Bundle, Operator, Owner, Passwords, Reach, bundle_dir};
use crate::project::Project;
use crate::project::{controller_name, operator_name};
use crate::random;
use crate::session::OpenOptions;

/// Show, acquire or release the lock of a node
///
/// The lock is the bundle directory on the node. A halted run keeps it; `release` moves its record
/// to the node's history and removes the rest.
#[derive(Debug, Subcommand)]
pub(crate) enum Lock {
    /// Show who holds the bundles of nodes
    ///
    /// Exit status 0 if all are free, 4 if one is held, 3 if one could not be reached.
    Status {
        /// Nodes or selectors; all nodes if absent
        #[arg(value_name = "SELECTOR", add = complete::nodes())]
        nodes: Vec<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Lock the node, so that nobody runs anything on it
    Acquire {
        /// The name of the node
        #[arg(value_name = "NODE", add = complete::node())]
        node: String,
        /// The reason, for people who find it locked
        #[arg(short, long, value_name = "TEXT")]
        message: String,
    },
    /// Release the bundle; with --run alone, everything that the run holds, on all its nodes
    ///
    /// Exit status 3 if a node could not be reached; the command can be repeated.
    Release {
        /// The node; all nodes of the run if absent
        #[arg(value_name = "NODE", required_unless_present = "run", add = complete::node())]
        node: Option<String>,
        /// The run that holds it, from `lock status`
        #[arg(long, value_name = "RUN", add = complete::runs())]
        run: Option<String>,
        /// Do not ask, even if a part of the run is still running, or the run holds other nodes as
        /// well
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) fn run(args: &Lock, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    match args {
        Lock::Status { nodes, form } => locks::status(nodes, *form, project, streams),
        Lock::Acquire { node, message } => at(project, node, async |reach, dir| {
            acquire(reach, dir, message, streams).await
        }),
        Lock::Release {
            node: Some(node),
            run,
            yes,
        } => at(project, node, async |reach, dir| {
            release::release(project, reach, dir, (run.as_deref(), *yes), streams).await
        }),
        Lock::Release {
            node: None,
            run,
            yes,
        } => {
            let run = run.as_deref().unwrap_or_default();
            release_run::release(project, run, *yes, streams)
        }
    }
}

/// With an open session to one node, and the path of its bundle.
fn at(
    project: &Project,
    node: &str,
    act: impl AsyncFnOnce(&Reach, &str) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    let node = crate::cli::bridge::one(project, node)?;
    block_on(async {
        let (operator, _) = Operator::new();
        let passwords = Passwords::new(operator, None);
        let reach = Reach::open(&node, &OpenOptions::default(), &passwords).await;
        let reach = reach.map_err(|error| {
            Failure::Error(format!(
                "`{}`: {error}: {}",
                node.name,
                error.said.trimmed().block()
            ))
        })?;
        let dir = bundle_dir(&node, reach.session().hello());
        let result = act(&reach, &dir).await;
        reach.close().await;
        result
    })
}

async fn acquire(
    reach: &Reach,
    dir: &str,
    message: &str,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let run = format!("lock-{}", random::hex::<4>());
    let owner = Owner {
        run: run.clone().into(),
        operator: operator_name().into(),
        controller: controller_name().into(),
        procedure: "lock acquire".into(),
        since: Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string()
            .into(),
        revision: None,
        message: Some(message.into()),
        ..Owner::default()
    };
    Bundle::open(reach.session(), dir, &owner, &random::hex::<8>(), None, &[]).await?;
    let name = &reach.node.name;
    writeln!(
        streams.people(),
        "{name}: held; `opsbook lock release {name} --run {run}` releases it"
    )?;
    Ok(0)
}
