//! Sealed certificates, for the people who can open them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;

use super::guard::Caller;
use super::refusal::Answer;
use crate::gateway::Gateway;
use crate::sealed::of_person;
use crate::wire::sealed::Sealed;

pub(super) async fn sealed(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Answer<axum::Json<Vec<Sealed>>> {
    let found =
        tokio::task::spawn_blocking(move || of_person(&gateway, &gateway.sealed, &caller.person));
    Ok(axum::Json(found.await?))
}
