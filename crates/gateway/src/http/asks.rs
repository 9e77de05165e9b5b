//! What may run where, and orders of runs.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::guard::Caller;
use super::refusal::{Answer, Json, Refusal};
use crate::gateway::Gateway;
use crate::manuals::{Manual, Person, Read, Wish, segment_of};
use crate::order::{Named, order, sum};
use crate::wire::ask::Explained;
use crate::wire::{
    Ask, Asked, AskedPart, HostView, Kind, Origin, ProcedureView, Verb, header, limit,
};

#[derive(Deserialize)]
pub(super) struct Select {
    manual: Option<String>,
    select: Option<String>,
}

/// The selected manuals: the one with this name, or all.
pub(super) fn meant(gateway: &Gateway, manual: Option<&str>) -> Answer<Vec<Arc<Manual>>> {
    match manual {
        Some(_) => Ok(vec![Arc::clone(gateway.manuals.one(manual)?)]),
        None => Ok(gateway.manuals.all().cloned().collect()),
    }
}

pub(super) async fn hosts(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Query(Select { manual, select }): Query<Select>,
) -> Answer<axum::Json<Vec<HostView>>> {
    let (manuals, who) = (meant(&gateway, manual.as_deref())?, caller.who());
    let alone = manuals.len() == 1;
    let mut hosts = Vec::new();
    for manual in manuals {
        let (of, select, who) = (Arc::clone(&manual), select.clone(), who.clone());
        let nodes = tokio::task::spawn_blocking(move || {
            let read = of.read()?;
            let nodes = match read.hosts(select.as_deref()) {
                // The selector may be valid in another manual.
                Err(_) if !alone => Vec::new(),
                nodes => nodes?,
            };
            let may = nodes.iter().map(|node| may(&read, &who, &node.name));
            Ok::<_, Refusal>((may.collect::<Vec<_>>(), nodes))
        });
        let (may, nodes) = nodes.await??;
        let holders = gateway.store.holders(&manual.id).await?;
        hosts.extend(nodes.iter().zip(may).map(|(node, may)| HostView {
            may,
            manual: manual.id.clone(),
            id: node.name.clone(),
            segment: segment_of(node),
            groups: node.groups.clone(),
            held_by: holders.get(&node.name).cloned(),
        }));
    }
    Ok(axum::Json(hosts))
}

/// `run web.deploy`, for each procedure that the person may run there.
fn may(read: &Read, who: &Person, node: &str) -> Vec<String> {
    let all = read.project.manual.procedures.values();
    let nodes = [node.to_owned()];
    all.filter(|procedure| read.verbs(who, &procedure.id, &nodes).contains(&Verb::Run))
        .map(|procedure| format!("run {}", procedure.id))
        .collect()
}

pub(super) async fn procedures(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Query(Select { manual, .. }): Query<Select>,
) -> Answer<axum::Json<Vec<ProcedureView>>> {
    let manuals = meant(&gateway, manual.as_deref())?;
    let all = tokio::task::spawn_blocking(move || {
        let (mut views, who) = (Vec::new(), caller.who());
        for manual in manuals {
            let read = manual.read()?;
            let all = read.project.manual.procedures.values();
            views.extend(all.map(|one| read.view(&manual.id, one, &who)));
        }
        Ok::<_, Refusal>(views)
    });
    Ok(axum::Json(all.await??))
}

pub(super) async fn procedure(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(Select { manual, .. }): Query<Select>,
) -> Answer<axum::Json<ProcedureView>> {
    let view = tokio::task::spawn_blocking(move || {
        let manual = gateway.manuals.with(manual.as_deref(), &id)?;
        let read = manual.read()?;
        let procedure = read.procedure(&id)?;
        Ok::<_, Refusal>(read.view(&manual.id, procedure, &caller.who()))
    });
    Ok(axum::Json(view.await??))
}

#[derive(Deserialize)]
pub(super) struct Whose {
    manual: Option<String>,
    person: Option<String>,
    verb: Verb,
    procedure: String,
    node: String,
}

pub(super) async fn explain(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Whose>,
) -> Answer<axum::Json<Explained>> {
    let wish = Wish {
        // The provider's groups of another person are unknown.
        groups: match &asked.person {
            Some(person) if *person != caller.person => Vec::new(),
            _ => caller.groups,
        },
        person: asked.person.unwrap_or(caller.person),
        verb: asked.verb,
        procedure: asked.procedure,
        nodes: vec![asked.node],
        arguments: std::collections::BTreeMap::new(),
    };
    let explained = tokio::task::spawn_blocking(move || {
        let manual = gateway
            .manuals
            .with(asked.manual.as_deref(), &wish.procedure)?;
        manual.read()?.explain(&wish)
    });
    Ok(axum::Json(explained.await??))
}

pub(super) async fn ask(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(ask): Json<Ask>,
) -> Answer<Response> {
    bounded(&gateway, &ask)?;
    let key = key(&headers)?;
    let ask_sha256 = sum(&ask);
    // A repeated order, perhaps because the answer was lost: return the same run, whatever the
    // manual says now.
    let before = gateway.store.known(&caller.person, key.as_deref()).await?;
    if let Some((run, sum)) = before {
        return known(&gateway, &run, sum == ask_sha256).await;
    }
    let run = run(&headers)?;
    // A repeated order must have the same key.
    if run.is_some() && key.is_none() {
        let (run, key) = (header::RUN, header::IDEMPOTENCY_KEY);
        let detail = format!("the header `{run}` goes with `{key}`");
        return Err(Refusal::new(Kind::Malformed, detail));
    }
    let named = Named {
        origin: Origin::Gateway,
        key,
        run,
    };
    let ordered = order(&gateway, ask, &caller.who(), named).await?;
    match ordered.known {
        None => {
            let asked = asked(&gateway, &ordered.run).await?;
            Ok((StatusCode::CREATED, axum::Json(asked)).into_response())
        }
        Some(same) => known(&gateway, &ordered.run, same).await,
    }
}

/// The answer to a repeated order.
async fn known(gateway: &Gateway, run: &str, same: bool) -> Answer<Response> {
    if !same {
        let detail = format!(
            "the `{}` was used for another request",
            header::IDEMPOTENCY_KEY
        );
        return Err(Refusal::new(Kind::State, detail));
    }
    let asked = asked(gateway, run).await?;
    Ok((StatusCode::OK, axum::Json(asked)).into_response())
}

/// The state of an ordered run.
async fn asked(gateway: &Gateway, run: &str) -> Answer<Asked> {
    let view = gateway.store.run(run).await?;
    let view = view.ok_or_else(|| Refusal::new(Kind::Internal, "a run without a row"))?;
    let parts = view.parts.into_iter().map(|part| AskedPart {
        node: part.node,
        segment: part.segment,
        plan_sha256: part.plan_sha256,
    });
    Ok(Asked {
        run: view.summary.run,
        state: view.summary.state,
        parts: parts.collect(),
        wants: view.wants,
    })
}

fn key(headers: &HeaderMap) -> Answer<Option<String>> {
    let Some(key) = headers.get(header::IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if limit::is_name(key) => Ok(Some(key.to_owned())),
        _ => {
            let detail = format!(
                "the header `{}` is not a valid name",
                header::IDEMPOTENCY_KEY
            );
            Err(Refusal::new(Kind::Malformed, detail))
        }
    }
}

/// The run's earlier name, in a repeated order.
fn run(headers: &HeaderMap) -> Answer<Option<String>> {
    let Some(run) = headers.get(header::RUN) else {
        return Ok(None);
    };
    match run.to_str() {
        Ok(run) if limit::is_run(run) => Ok(Some(run.to_owned())),
        _ => {
            let detail = format!("the header `{}` is not a valid name for a run", header::RUN);
            Err(Refusal::new(Kind::Malformed, detail))
        }
    }
}

fn bounded(gateway: &Gateway, ask: &Ask) -> Answer<()> {
    let wrong = |detail: String| Err(Refusal::new(Kind::Malformed, detail));
    if ask.manual.is_some() {
        gateway.manuals.one(ask.manual.as_deref())?;
    }
    if ask.nodes.is_empty() {
        return wrong("name the nodes on which it should run: `nodes` is empty".to_owned());
    }
    if ask.nodes.len() > limit::NODES || ask.arguments.len() > limit::ARGUMENTS {
        return wrong("`nodes` or `arguments` has too many".to_owned());
    }
    let texts = ask.arguments.iter().flat_map(|(name, value)| [name, value]);
    let texts = texts
        .chain(&ask.nodes)
        .chain(&ask.reason)
        .chain(&ask.ticket);
    let texts = texts.chain(&ask.batch).chain([&ask.procedure]);
    super::runs::texts(texts.map(String::as_str))
}
