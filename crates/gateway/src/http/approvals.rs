//! Approvals: a person's signature over everything that will be done. The gateway verifies it
//! before storing it; a runner verifies it again and does not trust the gateway.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use jiff::Timestamp;

use super::guard::Caller;
use super::refusal::{Answer, Json, Refusal};
use super::runs::{changed, granted};
use crate::gateway::Gateway;
use crate::package::sign::is_signed_by;
use crate::store::approvals::{Given, Wanted};
use crate::wire::approve::{LONGEST, Statement, namespace};
use crate::wire::{Approve, Kind, RunState, RunView, Verb, limit};

/// The most parts that are approved at a time.
const MOST: usize = 500;

pub(super) async fn approve(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    Json(approve): Json<Approve>,
) -> Answer<axum::Json<RunView>> {
    let view = granted(&gateway, &caller, &run, Verb::Read).await?;
    let ends = end(&approve)?;
    if matches!(view.summary.state, RunState::Ended | RunState::Refused) {
        return Err(Refusal::new(Kind::State, "the run has ended"));
    }
    if view.summary.asked_by == caller.person {
        let detail = "you requested this run: somebody else must approve it";
        return Err(Refusal::new(Kind::NotAllowed, detail));
    }
    let signers = gateway.approvers.clone().ok_or_else(|| {
        let detail = "this gateway has no keys of approvers: set `[approval] allowed_signers`";
        Refusal::new(Kind::State, detail)
    })?;
    let wanted = gateway.store.wanted(&run).await?;
    let mut given = Vec::new();
    let mut texts = Vec::new();
    for part in &approve.parts {
        let of = wanted.iter().find(|of| of.node == part.node);
        let of = of.ok_or_else(|| {
            let node = crate::outside::line(&part.node);
            Refusal::new(
                Kind::NotFound,
                format!("nothing on `{node}` needs an approval"),
            )
        })?;
        if of.sha256 != part.sha256 {
            let detail = format!("the plan for `{}` differs from the signed one", part.node);
            return Err(Refusal::new(Kind::Changed, detail));
        }
        given.push(Given {
            node: part.node.clone(),
            signature: part.signature.clone(),
            counts: counts(&gateway, &view, of, &caller).await?,
        });
        let statement = Statement {
            run: &run,
            node: &of.node,
            sha256: &of.sha256,
            asked_by: &view.summary.asked_by,
            manner: &of.manner,
            not_after: &approve.not_after,
        };
        texts.push((statement.text(), part.signature.clone()));
    }
    verified(&gateway, &caller.person, signers, texts).await?;
    let until = (approve.not_after.as_str(), ends);
    let segments = gateway
        .store
        .approve(&run, (&caller.person, &caller.groups), until, &given)
        .await?;
    changed(&gateway, &run, segments).await
}

/// When the approval expires, in milliseconds.
fn end(approve: &Approve) -> Answer<i64> {
    let wrong = |detail: &str| Refusal::new(Kind::Malformed, detail);
    if approve.parts.is_empty() || approve.parts.len() > MOST {
        return Err(wrong("`parts` has none, or more than 500"));
    }
    let long = |text: &String| text.len() > limit::TEXT || text.contains('\0');
    let mut parts = approve.parts.iter();
    if parts.any(|part| long(&part.node) || long(&part.sha256) || long(&part.signature)) {
        return Err(wrong("a text is too long, or has an invalid character"));
    }
    let end: Timestamp = { approve.not_after.parse() }
        .map_err(|_| wrong("`not_after` is not a time like `2026-11-29T18:00:00Z`"))?;
    if approve.not_after.len() > 40 {
        return Err(wrong("`not_after` is too long"));
    }
    let seconds = end.as_second() - Timestamp::now().as_second();
    if !(1..=LONGEST).contains(&seconds) {
        return Err(Refusal::new(
            Kind::Wrong,
            "`not_after` has passed, or is more than 31 days away",
        ));
    }
    Ok(end.as_millisecond())
}

/// What the person's approval counts for; refused if nothing.
async fn counts(
    gateway: &Gateway,
    view: &RunView,
    of: &Wanted,
    caller: &Caller,
) -> Answer<Vec<String>> {
    let manual = Arc::clone(gateway.manuals.of(&view.summary.manual)?);
    let (needs, machines) = (of.needs.clone(), of.machines.clone());
    let (procedure, asked_by) = (
        view.summary.procedure.clone(),
        view.summary.asked_by.clone(),
    );
    let by = caller.who();
    let counts = tokio::task::spawn_blocking(move || {
        let about = (procedure.as_str(), asked_by.as_str(), machines.as_slice());
        manual.read()?.counts_for(&needs, about, &by)
    });
    let counts = counts.await??;
    if counts.is_empty() {
        let whose: Vec<String> = { of.needs.iter() }
            .map(|need| match need.by.as_slice() {
                [] => "whoever may `approve` it".to_owned(),
                by => by.join(", "),
            })
            .collect();
        let detail = format!(
            "the run on `{}` needs approval by {}, not by `{}`",
            of.node,
            whose.join("; "),
            caller.person
        );
        return Err(Refusal::new(Kind::NotAllowed, detail));
    }
    Ok(counts)
}

async fn verified(
    gateway: &Gateway,
    person: &str,
    signers: PathBuf,
    texts: Vec<(String, String)>,
) -> Answer<()> {
    let (namespace, person) = (namespace(&gateway.name), person.to_owned());
    let all = tokio::task::spawn_blocking(move || {
        for (text, signature) in texts {
            is_signed_by(&person, (&namespace, &text), &signature, &signers)
                .map_err(|why| format!("the signature is not by `{person}`: {why}"))?;
        }
        Ok(())
    });
    all.await?
        .map_err(|why: String| Refusal::new(Kind::NotAllowed, why))
}
