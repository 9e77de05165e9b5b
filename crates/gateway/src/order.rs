//! Turns an order into a run: planned, permitted, stored. People order over HTTP; schedules do
//! automatically.

use std::sync::Arc;

use serde_json::json;

use crate::bell::Topic;
use crate::config::HERE;
use crate::gateway::Gateway;
use crate::manuals::{Manual, Person, Wish};
use crate::store::StoreError;
use crate::store::runs::{NewPart, NewRun, Written};
use crate::token::sha256;
use crate::wire::{Ask, Kind, Origin, Problem, Source, Verb, header};

/// Digits of a run's name that only whoever has asked for it can say.
const OWN: usize = 16;

/// Why an order did not become a run.
#[derive(Debug)]
pub enum OrderError {
    /// It is wrong.
    Problem(Box<Problem>),
    /// It could not be stored.
    Store(StoreError),
}

impl From<Box<Problem>> for OrderError {
    fn from(problem: Box<Problem>) -> OrderError {
        OrderError::Problem(problem)
    }
}

impl From<StoreError> for OrderError {
    fn from(error: StoreError) -> OrderError {
        OrderError::Store(error)
    }
}

impl From<tokio::task::JoinError> for OrderError {
    fn from(_: tokio::task::JoinError) -> OrderError {
        let detail = "internal error of the gateway; see its log";
        OrderError::Problem(Box::new(Problem::new(Kind::Internal, detail)))
    }
}

impl std::fmt::Display for OrderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OrderError::Problem(problem) => problem.fmt(f),
            OrderError::Store(error) => error.fmt(f),
        }
    }
}

/// The result of an order.
pub struct Ordered {
    /// The run.
    pub run: String,
    /// `None` if the run is new; otherwise whether the earlier order was the same.
    pub known: Option<bool>,
}

/// The hash of an order.
#[must_use]
pub fn sum(ask: &Ask) -> String {
    sha256(serde_json::to_string(ask).unwrap_or_default())
}

/// The origin of an order, and its key.
#[derive(Clone, Debug)]
pub struct Named {
    /// The origin.
    pub origin: Origin,
    /// The caller's key: the same key again means the same run.
    pub key: Option<String>,
    /// The run's name before the store lost it.
    pub run: Option<String>,
}

/// Plans an order, checks the person's permission, and stores the run.
///
/// # Errors
/// If the order is wrong, not allowed, or cannot be stored.
pub async fn order(
    gateway: &Arc<Gateway>,
    ask: Ask,
    by: &Person,
    Named { origin, key, run }: Named,
) -> Result<Ordered, OrderError> {
    let ask_sha256 = sum(&ask);
    let (manual, wish, planned) = {
        let (here, ask, by) = (Arc::clone(gateway), ask.clone(), by.clone());
        let planning = tokio::task::spawn_blocking(move || {
            let manual = here.manuals.with(ask.manual.as_deref(), &ask.procedure)?;
            let planned = manual.plan(&ask, &by)?;
            let machines = planned.parts.iter();
            let wish = Wish {
                person: by.person,
                groups: by.groups,
                verb: Verb::Run,
                procedure: ask.procedure,
                nodes: machines.flat_map(|part| part.machines.clone()).collect(),
                arguments: ask.arguments,
            };
            manual.read()?.permit(&wish)?;
            Ok::<_, Box<Problem>>((Arc::clone(manual), wish, planned))
        });
        planning.await??
    };
    if let Some(ticket) = &gateway.ticket
        && origin != Origin::Schedule
    {
        ticket.check(&ask, &by.person, &gateway.name).await?;
    }
    let here = planned.parts.iter().all(|part| part.segment == HERE);
    let new = NewRun {
        run: name(gateway, (&wish.person, key.as_deref()), run).await?,
        manual: manual.id.clone(),
        revision: planned.revision,
        source: source(gateway, &manual, here).await?,
        procedure: wish.procedure,
        title: planned.title,
        page_sha256: planned.page_sha256,
        arguments: wish.arguments,
        asked_by: wish.person,
        reason: ask.reason,
        ticket: ask.ticket,
        origin,
        ask_key: key,
        ask_sha256,
        confirm: ask.confirm,
        max_fail: ask.max_fail,
        start_at: ask.start_at,
        stop_after: ask.stop_after,
        parts: { planned.parts.into_iter() }
            .map(|part| NewPart {
                node: part.node,
                segment: part.segment,
                batch: part.batch,
                machines: part.machines,
                words: part.words,
                plan_sha256: part.plan_sha256,
                plan: part.plan,
                consent: part.consent,
            })
            .collect(),
    };
    let known = match gateway.store.add_run(&new).await? {
        Written::New => {
            for part in &new.parts {
                gateway.bell.ring(&Topic::Segment(part.segment.clone()));
            }
            None
        }
        Written::Known { run, ask_sha256 } => Some((run, ask_sha256 == new.ask_sha256)),
    };
    Ok(match known {
        None => Ordered {
            run: new.run,
            known: None,
        },
        Some((run, same)) => Ordered {
            run,
            known: Some(same),
        },
    })
}

/// The run's name: the earlier one, if nobody else has it. Its last part is a hash of the person
/// and their key for the ask, so nobody else can ask for a run by this name.
async fn name(
    gateway: &Gateway,
    (person, key): (&str, Option<&str>),
    before: Option<String>,
) -> Result<String, OrderError> {
    let new = crate::gateway::new_run();
    let Some(key) = key else { return Ok(new) };
    let own = &sha256(json!([person, key]).to_string())[..OWN];
    let named = |run: &str| {
        run.rsplit_once('-')
            .map(|(time, _)| format!("{time}-{own}"))
    };
    match before {
        Some(run) if named(&run).as_ref() != Some(&run) => {
            let detail = format!(
                "the name in `{}` differs from the name of the run of this request",
                header::RUN
            );
            Err(Box::new(Problem::new(Kind::State, detail)).into())
        }
        Some(run) if !gateway.store.has_run(&run).await? => Ok(run),
        _ => Ok(named(&new).unwrap_or(new)),
    }
}

/// Where runners find the manual: those on other machines need an archive.
///
/// # Errors
/// If the archive cannot be made.
pub async fn source(
    gateway: &Arc<Gateway>,
    manual: &Arc<Manual>,
    here: bool,
) -> Result<Source, OrderError> {
    if let Some(path) = manual.folder().filter(|_| here) {
        return Ok(Source::Folder { path });
    }
    let (manual, folder) = (Arc::clone(manual), gateway.archives.clone());
    let archive = tokio::task::spawn_blocking(move || manual.archive(&folder));
    let sha256 = archive.await??;
    Ok(Source::Archive { sha256 })
}
