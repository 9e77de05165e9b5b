//! `opsbook lock release --run R`: releases a run on all its nodes. The bundles of its turns are
//! released first, then the top-level ones, so that a free node has nothing left of the run. Each
//! node is reported, and an unreachable one makes the exit status 3: the command can be repeated.

use std::io::Write;

use tokio::task::JoinSet;

use crate::cli::error::{Failure, exit};
use crate::cli::locks::{self, cannot_be_reached};
use crate::cli::release::{give_up_all_the_same, write_down};
use crate::cli::{Streams, block_on};
use crate::engine::{
    Alive, Bundle, BundleError, Held, Operator, Passwords, Reach, below, bundle_dir,
};
use crate::event::{Site, Status, What};
use crate::journal::{self, JournalError, Record};
use crate::project::Project;
use crate::session::OpenOptions;
use crate::source::Problem;

/// A node in the main line, or in a turn, as in [`Site`].
type Owned = (String, Option<String>);

/// A bundle that the run holds.
struct Ours {
    node: String,
    turn: Option<String>,
    dir: String,
    held: Held,
}

/// A node of the run.
struct Machine {
    name: String,
    reach: Result<Reach, String>,
}

pub(super) fn release(
    project: &Project,
    run: &str,
    yes: bool,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let record = match journal::read(&project.state, run) {
        Ok(record) => record,
        Err(JournalError::Missing { .. }) => return Err(not_here(project, run)),
        Err(error) => return Err(error.into()),
    };
    let (names, sites) = sites(&record);
    block_on(async {
        let machines = reach_all(project, &names).await;
        let result = give_up(project, &record, run, yes, &machines, &sites, streams).await;
        for machine in machines {
            if let Ok(reach) = machine.reach {
                reach.close().await;
            }
        }
        result
    })
}

/// The nodes of a run, and the sites where it may have a bundle: turns first.
fn sites(record: &Record) -> (Vec<String>, Vec<Owned>) {
    let started = record.started();
    let names = started.map(|started| started.nodes.clone());
    let names = names.unwrap_or_default();
    let plans = started.into_iter().flat_map(|started| started.plans.keys());
    let mut sites: Vec<Owned> = plans
        .map(|site| match site.split_once('/') {
            Some((turn, node)) => (node.to_owned(), Some(turn.to_owned())),
            None => (site.clone(), None),
        })
        .collect();
    for name in &names {
        // The top-level bundle exists wherever any part of the run is.
        let top = (name.clone(), None);
        if !sites.contains(&top) {
            sites.push(top);
        }
    }
    sites.sort_by_key(|(_, turn)| turn.is_none());
    (names, sites)
}

async fn reach_all(project: &Project, names: &[String]) -> Vec<Machine> {
    let (operator, _) = Operator::new();
    let passwords = Passwords::new(operator, None);
    let mut tasks = JoinSet::new();
    for (index, name) in names.iter().cloned().enumerate() {
        let node = crate::cli::bridge::one(project, &name);
        let passwords = passwords.clone();
        tasks.spawn(async move {
            let reach = match node {
                Err(_) => Err("`nodes.yaml` no longer says how to reach it".to_owned()),
                Ok(node) => Reach::open(&node, &OpenOptions::default(), &passwords)
                    .await
                    .map_err(|error| cannot_be_reached(&error)),
            };
            (index, Machine { name, reach })
        });
    }
    let mut machines = tasks.join_all().await;
    machines.sort_by_key(|(index, _)| *index);
    machines.into_iter().map(|(_, machine)| machine).collect()
}

async fn give_up(
    project: &Project,
    record: &Record,
    run: &str,
    yes: bool,
    machines: &[Machine],
    sites: &[Owned],
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let (ours, mut status) = look_everywhere(run, machines, sites, streams).await?;
    if !yes && !agreed(&ours, streams).await? {
        return Ok(exit(Status::Blocked));
    }
    for ours in &ours {
        if let Err(error) = release_one(project, record, run, ours, machines, streams).await {
            writeln!(streams.talk, "error: {}: {error}", ours.site())?;
            status = exit(Status::Error);
        }
    }
    for machine in machines {
        let mut released = ours.iter();
        if machine.reach.is_ok() && !released.any(|ours| ours.node == machine.name) {
            let name = &machine.name;
            writeln!(streams.people(), "{name}: the run holds nothing there")?;
        }
    }
    if status != 0 {
        writeln!(
            streams.talk,
            "\nhint: `opsbook lock release --run {run}` can be repeated"
        )?;
    }
    Ok(status)
}

/// The bundles of the run, and the exit status so far; unreachable nodes are reported.
async fn look_everywhere(
    run: &str,
    machines: &[Machine],
    sites: &[Owned],
    streams: &mut Streams,
) -> Result<(Vec<Ours>, u8), Failure> {
    let mut status = 0;
    for machine in machines {
        if let Err(why) = &machine.reach {
            writeln!(
                streams.talk,
                "error: {}: {why}; what the run holds there was not released",
                machine.name
            )?;
            status = exit(Status::Error);
        }
    }
    let mut ours = Vec::new();
    for (node, turn) in sites {
        let Some(reach) = reach_of(machines, node) else {
            continue;
        };
        match look(reach, node, turn.as_deref(), run).await {
            Ok(Looked::Ours(found)) => ours.push(*found),
            Ok(Looked::Theirs(held)) if turn.is_none() => {
                writeln!(streams.people(), "{node}: {}", held.sentence())?;
            }
            Ok(Looked::Free | Looked::Theirs(_)) => {}
            Err(error) => {
                writeln!(streams.talk, "error: {node}: {error}")?;
                status = exit(Status::Error);
            }
        }
    }
    Ok((ours, status))
}

/// A live run loses its bundle: a person must agree.
async fn agreed(ours: &[Ours], streams: &mut Streams) -> Result<bool, Failure> {
    let live = ours.iter().filter(|ours| ours.held.alive == Alive::Live);
    let about: String = live
        .map(|ours| format!("{}: {}\n", ours.site(), ours.held.sentence()))
        .collect();
    if about.is_empty() {
        return Ok(true);
    }
    give_up_all_the_same(about, streams).await
}

fn reach_of<'m>(machines: &'m [Machine], name: &str) -> Option<&'m Reach> {
    let machine = machines.iter().find(|machine| machine.name == name)?;
    machine.reach.as_ref().ok()
}

enum Looked {
    Free,
    Ours(Box<Ours>),
    Theirs(Box<Held>),
}

async fn look(
    reach: &Reach,
    node: &str,
    turn: Option<&str>,
    run: &str,
) -> Result<Looked, BundleError> {
    let top = bundle_dir(&reach.node, reach.session().hello());
    let dir = match turn {
        Some(turn) => below(&top, turn),
        None => top,
    };
    Ok(match Bundle::look(reach.session(), &dir).await? {
        None => Looked::Free,
        Some(held) => {
            let owner = held.owner.as_ref().map(|owner| owner.run.exact());
            if owner == Some(run) {
                Looked::Ours(Box::new(Ours {
                    node: node.to_owned(),
                    turn: turn.map(str::to_owned),
                    dir,
                    held,
                }))
            } else {
                Looked::Theirs(Box::new(held))
            }
        }
    })
}

async fn release_one(
    project: &Project,
    record: &Record,
    run: &str,
    ours: &Ours,
    machines: &[Machine],
    streams: &mut Streams,
) -> Result<(), Failure> {
    let Some(reach) = reach_of(machines, &ours.node) else {
        return Ok(());
    };
    let site = ours.site();
    match Bundle::release(reach.session(), &ours.dir, run).await {
        Ok(()) => {}
        // Somebody else has already released it.
        Err(BundleError::Gone) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    writeln!(
        streams.people(),
        "{site}: released; its record is in the node's history"
    )?;
    // A top-level bundle may belong to the node's own turn.
    let own = Site {
        node: &ours.node,
        turn: ours.turn.as_deref(),
    };
    let at = opened_at(record, &ours.dir, &ours.node).unwrap_or(own);
    write_down(project, run, at, &ours.dir, streams)
}

/// The site where a bundle was opened according to the journal.
fn opened_at<'r>(record: &'r Record, dir: &str, node: &str) -> Option<Site<'r>> {
    let mut events = record.of_node(node).collect::<Vec<_>>().into_iter().rev();
    let event = events.find(|event| match &event.what {
        What::BundleOpened { path, .. }
        | What::BundleReopened { path, .. }
        | What::BundleKept { path, .. } => path == dir,
        _ => false,
    })?;
    Some(Site {
        node: event.node.as_deref()?,
        turn: event.turn.as_deref(),
    })
}

impl Ours {
    fn site(&self) -> Site<'_> {
        Site {
            node: &self.node,
            turn: self.turn.as_deref(),
        }
    }
}

/// Without the journal the nodes of the run are unknown: all nodes are asked.
fn not_here(project: &Project, run: &str) -> Failure {
    let message = format!(
        "the journal of run {run} is not here, and only the journal names all \
         machines of a run"
    );
    let problem = Problem::bare("no-journal", message);
    let (held, unknown) = match locks::held_by(project, run) {
        Ok(found) => found,
        Err(failure) => return failure,
    };
    let mut hints = Vec::new();
    for name in held {
        hints.push(format!(
            "`opsbook lock release {name} --run {run}` releases it on `{name}`"
        ));
    }
    if hints.is_empty() {
        hints.push("it holds no node of `nodes.yaml` that answers".to_owned());
    }
    for name in unknown {
        hints.push(format!(
            "`{name}` did not answer: if the run holds it, use `opsbook lock release {name} --run \
             {run}`"
        ));
    }
    Failure::from(problem.hint(hints.join("\n      ")))
}
