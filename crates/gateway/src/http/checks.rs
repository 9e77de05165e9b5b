//! Scheduled checks: their outcomes and since when; and the results that runners send.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::guard::Caller;
use super::refusal::{Answer, Json, Refusal};
use super::runs::texts;
use crate::config::Task;
use crate::gateway::Gateway;
use crate::manuals::Wish;
use crate::store::checks::ChecksFilter;
use crate::store::people::Runner;
use crate::store::written;
use crate::wire::check::{CheckView, Checked, Outcome, RESULTS, ScheduleView, TRACES, Taken};
use crate::wire::{Kind, Verb, limit};

#[derive(Deserialize)]
pub(super) struct Wanted {
    node: Option<String>,
    check: Option<String>,
    outcome: Option<Outcome>,
    #[serde(default)]
    history: bool,
}

pub(super) async fn checks(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Answer<axum::Json<Vec<CheckView>>> {
    let filter = ChecksFilter {
        node: wanted.node,
        check: wanted.check,
        outcome: wanted.outcome,
        history: wanted.history,
    };
    texts(
        [&filter.node, &filter.check]
            .into_iter()
            .flatten()
            .map(String::as_str),
    )?;
    let all = gateway.store.checks(&filter).await?;
    let here = Arc::clone(&gateway);
    let seen = tokio::task::spawn_blocking(move || {
        let mut read = BTreeMap::new();
        for manual in here.manuals.all() {
            match manual.read() {
                Ok(of) => drop(read.insert(manual.id.clone(), of)),
                // Other manuals have readable rules.
                Err(_) if here.manuals.alone().is_none() => {}
                Err(problem) => return Err(problem.into()),
            }
        }
        // Whoever may read something on a node sees its failing checks; a rule's `procedures` are
        // compared with `GROUP::CHECK`.
        let may = |check: &CheckView| {
            let wish = Wish {
                person: caller.person.clone(),
                groups: caller.groups.clone(),
                verb: Verb::Read,
                procedure: check.check.clone(),
                nodes: vec![check.node.clone()],
                arguments: BTreeMap::new(),
            };
            let of = match here.manuals.of(&check.manual) {
                Ok(manual) => read.get(&manual.id),
                Err(_) => None,
            };
            of.is_some_and(|read| read.permit(&wish).is_ok())
        };
        Ok::<_, Refusal>(all.into_iter().filter(may).collect())
    });
    Ok(axum::Json(seen.await??))
}

/// Schedules of which a person may read the procedure, or one of the checks, on one of the nodes.
async fn seen_by(gateway: &Arc<Gateway>, caller: &Caller) -> Answer<Vec<String>> {
    let (here, who) = (Arc::clone(gateway), caller.who());
    let seen = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        for (name, schedule) in &here.schedules {
            let read = here.manuals.one(schedule.manual.as_deref())?.read()?;
            // An invalid selector selects nothing; whoever may read anything sees that error.
            let nodes = read.hosts(Some(&schedule.nodes)).unwrap_or_default();
            let nodes: Vec<String> = nodes.into_iter().map(|node| node.name).collect();
            let names = match &schedule.task {
                Task::Checks { checks } => read.checks_like(checks),
                Task::Procedure { procedure, .. } => vec![procedure.clone()],
            };
            let nothing = nodes.is_empty() || names.is_empty();
            if read.reads_one(&who, &names, &nodes) || nothing && read.reads_something(&who) {
                seen.push(name.clone());
            }
        }
        Ok::<_, Refusal>(seen)
    });
    seen.await?
}

pub(super) async fn schedules(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Answer<axum::Json<Vec<ScheduleView>>> {
    let now = gateway.store.now().await?;
    let visible = seen_by(&gateway, &caller).await?;
    let mut all = Vec::new();
    for (name, schedule) in &gateway.schedules {
        if !visible.contains(name) {
            continue;
        }
        let seen = gateway.store.schedule(name).await?;
        all.push(ScheduleView {
            name: name.clone(),
            what: schedule.task.to_string(),
            nodes: schedule.nodes.clone(),
            every: schedule.every.as_secs(),
            last: seen.last.map(written),
            next: written(schedule.due(now) + schedule.every_milliseconds()),
            error: seen.error,
        });
    }
    Ok(axum::Json(all))
}

pub(super) async fn checked(
    State(gateway): State<Arc<Gateway>>,
    Extension(runner): Extension<Runner>,
    Json(checked): Json<Checked>,
) -> Answer<axum::Json<Taken>> {
    let named = |name: &String| name.len() <= limit::NAME && !name.is_empty();
    let mut count = 0;
    for node in &checked.nodes {
        count += node.held.len() + node.others.len();
        if node.runs.len() > TRACES || !node.runs.iter().all(|trace| limit::is_run(&trace.run)) {
            let detail = "the runs of a node are not a list of names";
            return Err(Refusal::new(Kind::Malformed, detail));
        }
        let others = node.others.iter().map(|other| &other.check);
        let mut names = node.held.iter().chain(others).chain([&node.node]);
        if !names.all(named) {
            return Err(Refusal::new(
                Kind::Malformed,
                "a check or a node has no name",
            ));
        }
        let other = node
            .others
            .iter()
            .flat_map(|other| [&other.check, &other.evidence, &other.place]);
        texts(node.held.iter().chain(other).map(String::as_str))?;
    }
    texts(
        checked
            .error
            .iter()
            .chain([&checked.id])
            .map(String::as_str),
    )?;
    if count > RESULTS {
        return Err(Refusal::new(
            Kind::TooLarge,
            "too many results in one round",
        ));
    }
    let _turn = gateway.turns.one().await?;
    let taken = gateway.store.take_checked(&runner, &checked).await?;
    Ok(axum::Json(Taken { taken }))
}
