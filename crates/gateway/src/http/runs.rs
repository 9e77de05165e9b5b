//! Runs: lists, details, and actions of people.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::guard::Caller;
use super::permit::permit;
use super::refusal::{Answer, Json, Refusal};
use crate::bell::Topic;
use crate::gateway::Gateway;
use crate::manuals::{Person, Wish};
use crate::schedule;
use crate::store::questions::Won;
use crate::store::runs::Filter;
use crate::wire::ask::PlanView;
use crate::wire::{
    AnswerIn, Answered, Ask, HandOver, Kind, Origin, PartKey, PartState, Problem, Release, Resume,
    RunState, RunSummary, RunView, RunsPage, Stop, Verb, limit,
};

#[derive(Default, Deserialize)]
pub(super) struct Wanted {
    manual: Option<String>,
    node: Option<String>,
    procedure: Option<String>,
    state: Option<RunState>,
    by: Option<String>,
    after: Option<String>,
}

/// Checks texts for the store: limited length, and no characters that a database refuses.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Answer<()> {
    for text in texts {
        if text.len() > limit::TEXT || text.contains('\0') {
            let detail = "a text is too long, or has an invalid character";
            return Err(Refusal::new(Kind::Malformed, detail));
        }
    }
    Ok(())
}

pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Answer<axum::Json<RunsPage>> {
    let filter = Filter {
        manual: wanted.manual,
        node: wanted.node,
        procedure: wanted.procedure,
        state: wanted.state,
        by: wanted.by,
        after: wanted.after,
    };
    let all = [
        &filter.manual,
        &filter.node,
        &filter.procedure,
        &filter.by,
        &filter.after,
    ];
    texts(all.into_iter().flatten().map(String::as_str))?;
    let (all, more) = gateway.store.runs(&filter).await?;
    let last = all.last().map(|run| run.run.clone());
    let mut runs = Vec::new();
    for run in all {
        let wish = wish(&gateway, &caller, &run, Verb::Read).await?;
        match permit(&gateway, &run.manual, wish).await {
            Ok(()) => runs.push(run),
            // No rules apply to a run whose manual the gateway no longer has.
            Err(refusal) if matches!(refusal.0.kind, Kind::NotAllowed | Kind::NotFound) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(axum::Json(RunsPage {
        runs,
        after: last.filter(|_| more),
    }))
}

/// A run, if the caller may do this with it.
pub(super) async fn granted(
    gateway: &Gateway,
    caller: &Caller,
    run: &str,
    verb: Verb,
) -> Answer<RunView> {
    let view = view(gateway, run).await?;
    let wish = wish(gateway, caller, &view.summary, verb).await?;
    match permit(gateway, &view.summary.manual, wish).await {
        // A reported run is controlled where its journal is.
        Ok(()) if verb != Verb::Read && view.summary.origin == Origin::Laptop => {
            let detail = "this run started outside of the gateway and was reported later: resume \
                it there";
            Err(Refusal::new(Kind::State, detail))
        }
        Ok(()) => Ok(view),
        // Do not reveal a run to somebody who may not see it.
        Err(refusal) if verb == Verb::Read && refusal.0.kind == Kind::NotAllowed => Err(none(run)),
        Err(refusal) if refusal.0.kind == Kind::NotFound => Err(none(run)),
        Err(refusal) => Err(refusal),
    }
}

async fn wish(gateway: &Gateway, caller: &Caller, run: &RunSummary, verb: Verb) -> Answer<Wish> {
    let mut nodes = run.nodes.clone();
    if nodes.iter().any(|node| node == "*") || nodes.len() >= 100 {
        nodes = gateway.store.machines(&run.run).await?;
    }
    Ok(Wish {
        person: caller.person.clone(),
        groups: caller.groups.clone(),
        verb,
        procedure: run.procedure.clone(),
        nodes,
        arguments: std::collections::BTreeMap::new(),
    })
}

fn none(run: &str) -> Refusal {
    let run = crate::outside::line(run);
    Refusal::new(Kind::NotFound, format!("there is no run `{run}`"))
}

async fn view(gateway: &Gateway, run: &str) -> Answer<RunView> {
    let found = if limit::is_name(run) {
        gateway.store.run(run).await?
    } else {
        None
    };
    found.ok_or_else(|| none(run))
}

pub(super) async fn one(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Answer<axum::Json<RunView>> {
    granted(&gateway, &caller, &run, Verb::Read)
        .await
        .map(axum::Json)
}

#[derive(Deserialize)]
pub(super) struct OfNode {
    node: Option<String>,
}

pub(super) async fn plan(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    Query(OfNode { node }): Query<OfNode>,
) -> Answer<axum::Json<PlanView>> {
    let view = granted(&gateway, &caller, &run, Verb::Read).await?;
    let wanted = gateway.store.wanted(&run).await?;
    let manner = wanted.first().map(|part| part.manner.clone());
    let manners = { wanted.into_iter() }
        .filter(|part| node.as_ref().is_none_or(|node| *node == part.node))
        .map(|part| (part.node, part.manner))
        .collect();
    let mut documents = gateway.store.documents(&run).await?;
    documents.retain(|of, _| node.as_ref().is_none_or(|node| node == of));
    let mut plans = serde_json::Map::new();
    for (of, text) in gateway.store.plans(&run).await? {
        if node.as_ref().is_some_and(|node| *node != of) {
            continue;
        }
        let records: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)
            .map_err(|error| Refusal::new(Kind::Internal, error.to_string()))?;
        plans.extend(records);
    }
    Ok(axum::Json(PlanView {
        run,
        at: view.summary.asked,
        plans: plans.into(),
        documents,
        manner: manner.unwrap_or_default(),
        manners,
    }))
}

pub(super) async fn answer(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    Json(answer): Json<AnswerIn>,
) -> Answer<axum::Json<Answered>> {
    granted(&gateway, &caller, &run, Verb::Answer).await?;
    texts(
        [&answer.node, &answer.answer]
            .into_iter()
            .chain(&answer.note)
            .map(String::as_str),
    )?;
    match gateway.store.answer(&run, &answer, &caller.person).await? {
        Won::This => {
            if let Some(runner) = gateway.store.runner_of(&run, &answer.node).await? {
                gateway.bell.ring(&Topic::Runner(runner));
            }
            gateway.bell.ring(&Topic::Run(run));
            Ok(axum::Json(Answered {
                answer: answer.answer,
                by: caller.person,
            }))
        }
        Won::Other { answer, by } => {
            let detail = format!("`{by}` has already answered `{answer}`");
            Err(Refusal::from(Problem {
                answer: Some(answer),
                by: Some(by),
                ..Problem::new(Kind::AlreadyAnswered, detail)
            }))
        }
        Won::NoChoice(choices) => {
            let detail = format!("the possible answers are {}", choices.join(", "));
            Err(Refusal::new(Kind::Wrong, detail))
        }
        Won::Closed => {
            let detail = "nobody waits for an answer any more";
            Err(Refusal::new(Kind::State, detail))
        }
        Won::None => Err(Refusal::new(Kind::NotFound, "there is no such question")),
    }
}

pub(super) async fn stop(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    Json(stop): Json<Stop>,
) -> Answer<axum::Json<RunView>> {
    let before = granted(&gateway, &caller, &run, Verb::Stop).await?;
    nodes_are_there(&before, &stop.nodes)?;
    refuse_ended(&before, "nothing of it can be stopped")?;
    let want = stop.manner.into();
    let runners = gateway
        .store
        .stop(&run, &stop.nodes, want, &caller.person)
        .await?;
    for runner in runners {
        gateway.bell.ring(&Topic::Runner(runner));
    }
    changed(&gateway, &run, Vec::new()).await
}

pub(super) async fn resume(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    Json(resume): Json<Resume>,
) -> Answer<axum::Json<RunView>> {
    let before = granted(&gateway, &caller, &run, Verb::Resume).await?;
    nodes_are_there(&before, &resume.nodes)?;
    if resume.accept_changed.is_some() {
        let detail = "the change cannot be accepted here: `opsbook resume` in the folder of the \
            manual shows it and accepts it";
        return Err(Refusal::new(Kind::State, detail));
    }
    same_text(&gateway, &before, &resume.nodes).await?;
    let segments = gateway.store.resume(&run, &resume, &caller.person).await?;
    if segments.is_empty() {
        return Err(Refusal::new(Kind::State, "no part of it is halted"));
    }
    changed(&gateway, &run, segments).await
}

/// A run continues with the text that was ordered: a runner would refuse another one.
async fn same_text(gateway: &Gateway, run: &RunView, nodes: &[String]) -> Answer<()> {
    let halted = run
        .parts
        .iter()
        .filter(|part| part.state == PartState::Halted);
    for part in halted.filter(|part| nodes.is_empty() || nodes.contains(&part.node)) {
        let key = PartKey {
            run: run.summary.run.clone(),
            node: part.node.clone(),
            epoch: part.epoch,
        };
        let work = gateway.store.work(&key).await?;
        let ask = Ask {
            procedure: work.procedure,
            nodes: work.words,
            arguments: work.arguments,
            ..Ask::default()
        };
        // The approvals are settled; only the text is compared.
        let by = Person {
            person: work.asked_by,
            groups: Vec::new(),
        };
        let manual = Arc::clone(gateway.manuals.of(&run.summary.manual)?);
        let planned = tokio::task::spawn_blocking(move || manual.plan(&ask, &by)).await??;
        let now = planned.parts.first().map(|part| part.plan_sha256.as_str());
        if now != Some(&part.plan_sha256) {
            let detail = format!(
                "the plan for `{}` has changed since the run was requested: `opsbook resume` in \
                 the folder of the manual shows the difference; or release the run and request a \
                 new one",
                part.node
            );
            return Err(Refusal::new(Kind::Changed, detail));
        }
    }
    Ok(())
}

pub(super) async fn release(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    Json(release): Json<Release>,
) -> Answer<axum::Json<RunView>> {
    let before = granted(&gateway, &caller, &run, Verb::Resume).await?;
    nodes_are_there(&before, &release.nodes)?;
    texts(release.note.iter().map(String::as_str))?;
    let segments = gateway
        .store
        .release(&run, &release, &caller.person)
        .await?;
    if segments.is_empty() {
        return Err(Refusal::new(Kind::State, "no part of it is halted"));
    }
    changed(&gateway, &run, segments).await
}

pub(super) async fn hand_over(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    Json(hand_over): Json<HandOver>,
) -> Answer<axum::Json<RunView>> {
    let before = granted(&gateway, &caller, &run, Verb::Answer).await?;
    texts(hand_over.note.iter().map(String::as_str))?;
    if !limit::is_name(&hand_over.to) {
        return Err(Refusal::new(
            Kind::Malformed,
            "`to` is not a valid name for a person",
        ));
    }
    if schedule::is_kept(&hand_over.to) {
        let detail = "names that begin with `schedule.` are no people: nobody would answer";
        return Err(Refusal::new(Kind::Malformed, detail));
    }
    refuse_ended(&before, "it will ask no more questions")?;
    gateway
        .store
        .hand_over(&run, &hand_over, &caller.person)
        .await?;
    changed(&gateway, &run, Vec::new()).await
}

pub(super) async fn changed(
    gateway: &Gateway,
    run: &str,
    segments: Vec<String>,
) -> Answer<axum::Json<RunView>> {
    for segment in segments {
        gateway.bell.ring(&Topic::Segment(segment));
    }
    gateway.bell.ring(&Topic::Run(run.to_owned()));
    view(gateway, run).await.map(axum::Json)
}

fn refuse_ended(run: &RunView, so: &str) -> Answer<()> {
    if run.summary.state == RunState::Ended {
        return Err(Refusal::new(
            Kind::State,
            format!("the run has ended: {so}"),
        ));
    }
    Ok(())
}

fn nodes_are_there(run: &RunView, nodes: &[String]) -> Answer<()> {
    let known = |node: &&String| run.parts.iter().any(|part| part.node == **node);
    match nodes.iter().find(|node| !known(node)) {
        None => Ok(()),
        Some(node) => {
            let node = crate::outside::line(node);
            let detail = format!("the run has no part on `{node}`");
            Err(Refusal::new(Kind::NotFound, detail))
        }
    }
}
