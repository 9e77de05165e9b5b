//! `opsbook lock`: who holds a node's bundle; take it, or give it up.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Subcommand;
use jiff::Timestamp;

use crate::cli::error::{Failure, exit};
use crate::cli::terminal;
use crate::cli::tty::is_anybody_there;
use crate::cli::{Streams, block_on, locks};
use crate::engine::{
    Alive, Answer, Bundle, BundleError, Held, Operator, Owner, Passwords, Reach, bundle_dir,
    random_mark,
};
use crate::event::{Status, What};
use crate::journal::{Journal, JournalError};
use crate::outside::line;
use crate::project::Project;
use crate::project::{controller_name, operator_name};
use crate::report::known::Known;
use crate::session::OpenOptions;

/// Show, take or give up the lock of a node
///
/// The lock is the bundle directory on the node. A halted run keeps it; `release` moves its
/// record to the node's history and removes the rest.
#[derive(Debug, Subcommand)]
pub(crate) enum Lock {
    /// Say who holds the bundles of nodes
    ///
    /// Exit status 0 where all are free, 4 where one is held, 3 where one could not be asked.
    Status {
        /// Nodes or selectors; all nodes if absent
        #[arg(value_name = "SELECTOR")]
        nodes: Vec<String>,
    },
    /// Hold the node, so that nobody runs anything on it
    Acquire {
        #[arg(value_name = "NODE")]
        node: String,
        /// Why, for those who find it held
        #[arg(short, long, value_name = "TEXT")]
        message: String,
    },
    /// Give the bundle up
    Release {
        #[arg(value_name = "NODE")]
        node: String,
        /// The run that holds it, as `lock status` says
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// Do not ask, though something of the run is still running
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) fn run(args: &Lock, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    match args {
        Lock::Status { nodes } => locks::status(nodes, project, streams),
        Lock::Acquire { node, message } => at(project, node, async |reach, dir| {
            acquire(reach, dir, message, streams).await
        }),
        Lock::Release { node, run, yes } => at(project, node, async |reach, dir| {
            release(project, reach, dir, (run.as_deref(), *yes), streams).await
        }),
    }
}

/// With the open session of one node, and the place of its bundle.
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

/// What lives loses its bundle: a controller stops before its next step, a step goes on.
async fn sure(name: &str, held: &Held, streams: &mut Streams) -> Result<bool, Failure> {
    let about = format!("{name}: {}\n", held.sentence());
    if !is_anybody_there() {
        writeln!(
            streams.talk,
            "error: {about}\nhint: `--yes` gives it up all the same"
        )?;
        return Ok(false);
    }
    match terminal::sure(about.clone(), about, "give it up all the same?").await {
        Answer::Quit => Err(Failure::Stopped("nothing was given up".to_owned())),
        answer => Ok(matches!(answer, Answer::Yes)),
    }
}

async fn acquire(
    reach: &Reach,
    dir: &str,
    message: &str,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let run = format!("lock-{}", &random_mark()[..8]);
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
    Bundle::open(reach.session(), dir, &owner, &random_mark(), None, &[]).await?;
    let name = &reach.node.name;
    writeln!(
        streams.people(),
        "{name}: held; `opsbook lock release {name} --run {run}` gives it up"
    )?;
    Ok(0)
}

async fn release(
    project: &Project,
    reach: &Reach,
    dir: &str,
    (run, yes): (Option<&str>, bool),
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let name = &reach.node.name;
    let Some(held) = Bundle::look(reach.session(), dir).await? else {
        writeln!(streams.people(), "{name}: it is free already")?;
        return Ok(0);
    };
    let owner = held.owner.as_ref().map(|owner| owner.run.exact());
    if let (Some(owner), None) = (owner, run) {
        writeln!(
            streams.talk,
            "error: {name}: {}\n\nhint: `--run {}` says that this is the one to give up",
            held.sentence(),
            line(owner)
        )?;
        return Ok(2);
    }
    if held.alive == Alive::Live && !yes && !sure(name, &held, streams).await? {
        return Ok(exit(Status::Blocked));
    }
    let wanted = run.or(owner).unwrap_or_default();
    match Bundle::release(reach.session(), dir, wanted).await {
        Ok(()) => {}
        Err(BundleError::Gone) => {
            writeln!(streams.people(), "{name}: it is free already")?;
            return Ok(0);
        }
        Err(error) => return Err(error.into()),
    }
    writeln!(
        streams.people(),
        "{name}: released; its record is in the node's history"
    )?;
    match written_down(project, wanted, name, dir) {
        Ok(left) => {
            for (user, path) in left {
                writeln!(
                    streams.people(),
                    "{name}: {path}, the bundle of {user}, stays until a step runs as {user} again"
                )?;
            }
        }
        Err(error) => writeln!(streams.talk, "warning: {error}")?,
    }
    Ok(0)
}

/// That there is nothing to go on with, in the run's journal where that is here; which bundles
/// of other users it has left.
fn written_down(
    project: &Project,
    run: &str,
    node: &str,
    dir: &str,
) -> Result<BTreeMap<String, String>, JournalError> {
    let (mut journal, record) = match Journal::reopen(&project.root, run) {
        Ok(both) => both,
        // It stops before its next step, and writes that down itself.
        Err(JournalError::Missing { .. } | JournalError::Busy { .. }) => {
            return Ok(BTreeMap::new());
        }
        Err(error) => return Err(error),
    };
    let closed = What::BundleClosed {
        path: dir.to_owned(),
        local: false,
        user: None,
    };
    journal.record(Some(node.into()), None, closed)?;
    journal.sync()?;
    Ok(Known::of(&record, node).of_users)
}
