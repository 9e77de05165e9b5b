//! Scheduled work: each tick causes one run or one round of checks, however many gateways there
//! are. Missed ticks are not repeated: only the latest is executed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::bell::Topic;
use crate::config::{HERE, Schedule, Task};
use crate::gateway::{Gateway, Tell};
use crate::manuals::{Person, segment_of};
use crate::order::{Named, OrderError, order, source};
use crate::store::checks::NewRound;
use crate::wire::check::{NODES, Round, Traces};
use crate::wire::{Ask, Confirm, NodeLogin, Origin};

/// How often to look at the time.
const LOOK: Duration = Duration::from_secs(1);

/// The prefix of names that the rules use for schedules.
const NAMES: &str = "schedule.";

/// The name of a schedule in the rules.
#[must_use]
pub fn person(schedule: &str) -> String {
    format!("{NAMES}{schedule}")
}

/// Whether a name is reserved for schedules: nobody who logs in may have it.
#[must_use]
pub fn is_kept(person: &str) -> bool {
    person.starts_with(NAMES)
}

/// Executes due ticks until `stop`.
pub(crate) async fn keep(gateway: Arc<Gateway>, mut stop: watch::Receiver<()>, tell: Tell) {
    let mut done: BTreeMap<String, i64> = BTreeMap::new();
    let mut said = String::new();
    while tokio::time::timeout(LOOK, stop.changed()).await.is_err() {
        for (name, schedule) in &gateway.schedules {
            match one(&gateway, name, schedule, &mut done).await {
                Ok(()) => {}
                Err(error) => {
                    let error = format!("schedule `{name}`: {error}");
                    if error != said {
                        tell(&error);
                        said = error;
                    }
                }
            }
        }
    }
}

async fn one(
    gateway: &Arc<Gateway>,
    name: &str,
    schedule: &Schedule,
    done: &mut BTreeMap<String, i64>,
) -> Result<(), OrderError> {
    let due = schedule.due(gateway.store.now().await?);
    if done.get(name).is_some_and(|done| *done >= due) {
        return Ok(());
    }
    let seen = gateway.store.schedule(name).await?;
    if due >= seen.since && seen.last.is_none_or(|last| last < due) {
        match tick(gateway, name, schedule, due).await {
            Ok(()) => {}
            // The store may soon be back, and the tick is still due.
            Err(error @ OrderError::Store(_)) => return Err(error),
            Err(error) => {
                gateway
                    .store
                    .ticked((name, due), Some(&error.to_string()))
                    .await?;
                done.insert(name.to_owned(), due);
                return Err(error);
            }
        }
    }
    done.insert(name.to_owned(), due);
    Ok(())
}

async fn tick(
    gateway: &Arc<Gateway>,
    name: &str,
    schedule: &Schedule,
    due: i64,
) -> Result<(), OrderError> {
    let (procedure, arguments) = match &schedule.task {
        Task::Checks { checks } => return rounds(gateway, (name, schedule, due), checks).await,
        Task::Procedure {
            procedure,
            arguments,
        } => (procedure, arguments),
    };
    let person = person(name);
    let key = format!("{name}.{due}");
    if let Some(open) = gateway.store.open_run_of(&person).await? {
        if gateway.store.known(&person, Some(&key)).await?.is_none() {
            let why = format!("run {open} of the schedule has not ended");
            gateway.store.ticked((name, due), Some(&why)).await?;
        }
        return Ok(());
    }
    let ask = Ask {
        manual: schedule.manual.clone(),
        procedure: procedure.clone(),
        nodes: vec![schedule.nodes.clone()],
        arguments: arguments.clone(),
        reason: Some(format!("schedule `{name}`")),
        confirm: Confirm::Yes,
        ..Ask::default()
    };
    let by = Person {
        person,
        groups: Vec::new(),
    };
    let named = Named {
        origin: Origin::Schedule,
        key: Some(key),
        run: None,
    };
    order(gateway, ask, &by, named).await?;
    gateway.store.ticked((name, due), None).await?;
    Ok(())
}

/// The nodes of a schedule by segment, in rounds for one runner each.
async fn rounds(
    gateway: &Arc<Gateway>,
    (name, schedule, due): (&str, &Schedule, i64),
    checks: &[String],
) -> Result<(), OrderError> {
    let manual = gateway.manuals.one(schedule.manual.as_deref())?;
    let (of, selector) = (Arc::clone(manual), schedule.nodes.clone());
    let nodes = tokio::task::spawn_blocking(move || of.read()?.hosts(Some(&selector)));
    let mut segments: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in nodes.await?? {
        segments
            .entry(segment_of(&node))
            .or_default()
            .push(node.name);
    }
    let mut rounds = Vec::new();
    for (segment, nodes) in &segments {
        let source = source(gateway, manual, segment == HERE).await?;
        for (slice, nodes) in (0..).zip(nodes.chunks(NODES)) {
            rounds.push(NewRound {
                segment: segment.clone(),
                slice,
                round: Round {
                    id: String::new(),
                    manual: manual.id.clone(),
                    source: source.clone(),
                    nodes: nodes.to_vec(),
                    checks: checks.to_vec(),
                    login: NodeLogin::Own,
                    traces: Traces::Told,
                },
            });
        }
    }
    if gateway.store.add_rounds((name, due), &rounds).await? {
        for segment in segments.into_keys() {
            gateway.bell.ring(&Topic::Segment(segment));
        }
    }
    Ok(())
}
