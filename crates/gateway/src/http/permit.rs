//! Whether a person may do something, according to the current manual.

use std::sync::Arc;

use super::refusal::Answer;
use crate::gateway::Gateway;
use crate::manuals::Wish;

/// Checks that the manual's rules grant it.
pub(super) async fn permit(gateway: &Gateway, manual: &str, wish: Wish) -> Answer<()> {
    let manual = Arc::clone(gateway.manuals.of(manual)?);
    let permitted = tokio::task::spawn_blocking(move || manual.read()?.permit(&wish));
    Ok(permitted.await??)
}
