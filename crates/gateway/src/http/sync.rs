//! Runs that bypassed the gateway: reports of people, and traces on nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::guard::Caller;
use super::permit::permit;
use super::refusal::{Answer, Json, Refusal};
use super::runs::texts;
use crate::bell::Topic;
use crate::event::{Event, RunStarted, What};
use crate::gateway::Gateway;
use crate::manuals::Wish;
use crate::store::sync::{Believed, NewReport, Taken};
use crate::wire::sync::{FindingView, Sync, Synced};
use crate::wire::{Kind, Origin, RunView, Verb, limit};

/// The most lines of a request.
const LINES: usize = 20_000;

pub(super) async fn sync(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Json(sync): Json<Sync>,
) -> Answer<axum::Json<Synced>> {
    if !limit::is_run(&sync.run) || sync.lines.len() > LINES {
        let detail = "`run` is not a valid name for a run, or `lines` has too many";
        return Err(Refusal::new(Kind::Malformed, detail));
    }
    let about = match gateway.store.run(&sync.run).await? {
        Some(view) => About::known(&gateway, &caller, view).await?,
        None if sync.lines.is_empty() => return Ok(axum::Json(nothing(sync.run))),
        None => About::new(first(&gateway, &caller, &sync).await?),
    };
    if !sync.lines.is_empty() {
        // Read permission is not enough to report the state of nodes.
        let may_run = permit(&gateway, &about.manual, about.wish(&caller, Verb::Run)).await;
        let believed = match may_run {
            Ok(()) => Believed::Values,
            Err(_) => Believed::Lines,
        };
        let of = (sync.run.as_str(), about.node.as_str());
        let (new, lines) = (about.new.as_ref(), &sync.lines[..]);
        let store = &gateway.store;
        let taken = store
            .take_report(&gateway.blobs, of, new, (believed, lines))
            .await?;
        match taken {
            Taken::Upto(_) => gateway.bell.ring(&Topic::Run(sync.run.clone())),
            Taken::Refused(why) => return Err(Refusal::new(Kind::Wrong, why)),
            Taken::TooMany => {
                let detail = "you have reported the maximum number of runs in a day";
                return Err(Refusal::new(Kind::TooMuch, detail));
            }
        }
    }
    let acked = gateway.store.reported(&sync.run).await?;
    let view = gateway.store.run(&sync.run).await?;
    Ok(axum::Json(Synced {
        acked,
        state: view.as_ref().map(|view| view.summary.state),
        status: view.and_then(|view| view.summary.status),
        run: sync.run,
    }))
}

fn nothing(run: String) -> Synced {
    Synced {
        run,
        acked: 0,
        state: None,
        status: None,
    }
}

/// The run that a report is about.
struct About {
    manual: String,
    procedure: String,
    arguments: BTreeMap<String, String>,
    machines: Vec<String>,
    /// The node of the only part of a reported run.
    node: String,
    /// The run, if this is its first report.
    new: Option<NewReport>,
}

impl About {
    /// A known run, if this person has reported it.
    async fn known(gateway: &Gateway, caller: &Caller, view: RunView) -> Answer<About> {
        if view.summary.origin != Origin::Laptop {
            let detail = "the gateway already has the journal of this run from its runners";
            return Err(Refusal::new(Kind::State, detail));
        }
        if view.summary.asked_by != caller.person {
            let detail = format!("`{}` already reports this run", view.summary.asked_by);
            return Err(Refusal::new(Kind::NotAllowed, detail));
        }
        let part = view.parts.first();
        let part = part.ok_or_else(|| Refusal::new(Kind::Internal, "a run without a part"))?;
        Ok(About {
            node: part.node.clone(),
            machines: gateway.store.machines(&view.summary.run).await?,
            manual: view.summary.manual,
            procedure: view.summary.procedure,
            arguments: view.arguments,
            new: None,
        })
    }

    fn new(new: NewReport) -> About {
        About {
            manual: new.manual.clone(),
            procedure: new.started.procedure.clone(),
            arguments: new.started.arguments.clone(),
            machines: new.machines.clone(),
            node: new.node().to_owned(),
            new: Some(new),
        }
    }

    fn wish(&self, caller: &Caller, verb: Verb) -> Wish {
        Wish {
            person: caller.person.clone(),
            groups: caller.groups.clone(),
            verb,
            procedure: self.procedure.clone(),
            nodes: self.machines.clone(),
            arguments: self.arguments.clone(),
        }
    }
}

/// The first line of a journal, within limits; only if this person may read the run.
async fn first(gateway: &Arc<Gateway>, caller: &Caller, sync: &Sync) -> Answer<NewReport> {
    let wrong = |detail: &str| Refusal::new(Kind::Wrong, detail);
    let line = sync.lines.first().map_or("", String::as_str);
    if line.len() > limit::LINE {
        return Err(wrong("line 1 of the request: it is too long"));
    }
    let event: Event = serde_json::from_str(line)
        .map_err(|_| wrong("line 1 of the request: it is not an event"))?;
    let What::RunStarted(started) = event.what else {
        return Err(wrong(
            "the first line of a journal must say how the run was started",
        ));
    };
    let machines = bounded(&started)?;
    let manual = if sync.manual.is_some() {
        gateway.manuals.one(sync.manual.as_deref())?.id.clone()
    } else {
        let (here, procedure) = (Arc::clone(gateway), started.procedure.clone());
        let found = tokio::task::spawn_blocking(move || {
            let found = here.manuals.with(None, &procedure);
            found.map(|manual| manual.id.clone())
        });
        found.await??
    };
    let wish = Wish {
        person: caller.person.clone(),
        groups: caller.groups.clone(),
        verb: Verb::Read,
        procedure: started.procedure.clone(),
        nodes: machines.clone(),
        arguments: BTreeMap::new(),
    };
    permit(gateway, &manual, wish).await?;
    let at: Result<jiff::Timestamp, _> = event.at.parse();
    Ok(NewReport {
        run: sync.run.clone(),
        manual,
        at: at.map_or(i64::MAX, jiff::Timestamp::as_millisecond),
        machines,
        started: *started,
        by: caller.person.clone(),
    })
}

/// The nodes of a run; refused if there are too many.
fn bounded(started: &RunStarted) -> Answer<Vec<String>> {
    let wrong = |detail: &str| Refusal::new(Kind::Wrong, detail);
    let roles = started.roles.values().flatten();
    let machines: BTreeSet<&String> = started.nodes.iter().chain(roles).collect();
    if machines.is_empty() || machines.len() > limit::NODES {
        return Err(wrong("the run has no nodes, or too many"));
    }
    if started.arguments.len() > limit::ARGUMENTS {
        return Err(wrong("the run has too many arguments"));
    }
    let names = machines.iter().map(|name| name.as_str());
    if !names
        .chain([started.procedure.as_str()])
        .all(limit::is_name)
    {
        return Err(wrong("its procedure, or a node, has an invalid name"));
    }
    let given = started
        .arguments
        .iter()
        .flat_map(|(name, value)| [name, value]);
    let others = [&started.title, &started.operator, &started.controller];
    let all = given
        .chain(others)
        .chain(&started.break_glass)
        .chain(&started.revision);
    texts(all.map(String::as_str))?;
    Ok(machines.into_iter().cloned().collect())
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    manual: Option<String>,
    node: Option<String>,
}

/// Unknown runs on nodes where the person may read something.
pub(super) async fn findings(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Answer<axum::Json<Vec<FindingView>>> {
    texts(
        [&wanted.manual, &wanted.node]
            .into_iter()
            .flatten()
            .map(String::as_str),
    )?;
    let (manual, node) = (
        wanted.manual.unwrap_or_default(),
        wanted.node.unwrap_or_default(),
    );
    let all = gateway.store.findings(&manual, &node).await?;
    let who = caller.who();
    let seen = tokio::task::spawn_blocking(move || {
        let mut may: BTreeMap<(String, String), bool> = BTreeMap::new();
        let mut seen = Vec::new();
        for found in all {
            let of = (found.manual.clone(), found.node.clone());
            let sees = *may.entry(of).or_insert_with(|| {
                let manual = gateway.manuals.of(&found.manual);
                let read = manual.and_then(|manual| manual.read());
                read.is_ok_and(|read| read.reads_on(&who, &found.node))
            });
            if sees {
                seen.push(found);
            }
        }
        seen
    });
    Ok(axum::Json(seen.await?))
}
