//! Which version of each application runs where.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::asks::meant;
use super::guard::Caller;
use super::refusal::{Answer, Refusal};
use crate::gateway::Gateway;
use crate::manuals::{Manual, Person, Place};
use crate::store::applications::Seen;
use crate::wildcard;
use crate::wire::Kind;
use crate::wire::application::{ApplicationHost, ApplicationView};

#[derive(Deserialize)]
pub(super) struct Of {
    manual: Option<String>,
}

pub(super) async fn applications(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Query(Of { manual }): Query<Of>,
) -> Answer<axum::Json<Vec<ApplicationView>>> {
    let mut all = Vec::new();
    for manual in meant(&gateway, manual.as_deref())? {
        all.extend(of_manual(&gateway, manual, caller.who()).await?);
    }
    Ok(axum::Json(all))
}

pub(super) async fn application(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(Of { manual }): Query<Of>,
) -> Answer<axum::Json<ApplicationView>> {
    for manual in meant(&gateway, manual.as_deref())? {
        let all = of_manual(&gateway, manual, caller.who()).await?;
        if let Some(found) = all.into_iter().find(|one| one.id == id) {
            return Ok(axum::Json(found));
        }
    }
    let id = crate::outside::line(&id);
    Err(Refusal::new(
        Kind::NotFound,
        format!("there is no application `{id}`"),
    ))
}

/// The applications of a manual that a person may see, each on the nodes where the person may read
/// one of its procedures.
async fn of_manual(
    gateway: &Gateway,
    manual: Arc<Manual>,
    who: Person,
) -> Answer<Vec<ApplicationView>> {
    let of = Arc::clone(&manual);
    let places = tokio::task::spawn_blocking(move || Ok::<_, Refusal>(of.read()?.places(&who)));
    let places: Vec<Place> = places.await??;
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let last = gateway.store.not_ok(&manual.id).await?;
    let mut views = Vec::new();
    for place in places {
        let seen = match &place.version {
            Some(name) => gateway.store.seen_values(&manual.id, name).await?,
            None => Vec::new(),
        };
        let fits =
            |procedure: &str| wildcard::fits(place.procedures.as_bytes(), procedure.as_bytes());
        let mut newest: BTreeMap<&str, &Seen> = BTreeMap::new();
        for value in seen.iter().filter(|value| fits(&value.procedure)) {
            newest.entry(&value.machine).or_insert(value);
        }
        let hosts = place.nodes.iter().map(|node| {
            let value = newest.get(node.as_str());
            let run = value.map(|value| value.run.clone());
            // The store's time format sorts chronologically.
            let bad = last.iter().filter(|bad| {
                bad.node == *node
                    && fits(&bad.procedure)
                    && value.is_none_or(|value| bad.at > value.at)
            });
            ApplicationHost {
                id: node.clone(),
                version: value.map(|value| value.value.clone()),
                seen: value.map(|value| value.at.clone()),
                since: { bad.max_by_key(|bad| &bad.at) }.map(|bad| bad.run.clone()),
                run,
            }
        });
        views.push(ApplicationView {
            manual: manual.id.clone(),
            hosts: hosts.collect(),
            id: place.id,
            procedures: place.procedures,
        });
    }
    Ok(views)
}
