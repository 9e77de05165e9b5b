//! Certificates with which runners log in to nodes: only for work that a runner holds.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;

use super::refusal::{Answer, Json, Refusal};
use crate::gateway::Gateway;
use crate::segments::certificates;
use crate::segments::sign::PublicKey;
use crate::store::holds::Holds;
use crate::store::people::Runner;
use crate::wire::{CertificateIn, CertificateOut, Held, Kind, limit};

pub(super) async fn certify(
    State(gateway): State<Arc<Gateway>>,
    Extension(runner): Extension<Runner>,
    Json(asked): Json<CertificateIn>,
) -> Answer<axum::Json<CertificateOut>> {
    let Some(settings) = certificates(&gateway.segments, &runner.segment) else {
        let detail = "runners of this segment log in to nodes with the keys of their machine";
        return Err(Refusal::new(Kind::State, detail));
    };
    let Ok(key) = asked.public_key.parse::<PublicKey>() else {
        let detail = "`public_key` is not a key of the kind `ssh-ed25519`, on one line";
        return Err(Refusal::new(Kind::Malformed, detail));
    };
    let named = match &asked.held {
        Held::Part(key) => limit::is_name(&key.run) && limit::is_name(&key.node),
        Held::Round(round) => limit::is_name(round),
    };
    if !named {
        return Err(Refusal::new(Kind::Malformed, "`held` has an invalid name"));
    }
    let what = match gateway.store.holds(&runner, &asked.held).await? {
        Holds::Now(what) => what,
        Holds::Unseen => {
            let detail = "the lease has expired: renew it first";
            return Err(Refusal::new(Kind::Unavailable, detail));
        }
        Holds::Not => {
            let detail = "this runner does not hold that part";
            return Err(Refusal::new(Kind::State, detail));
        }
    };
    let signed = settings.sign(&key, &what).await;
    let signed = signed.map_err(|why| Refusal::new(Kind::Unavailable, why))?;
    Ok(axum::Json(signed))
}
