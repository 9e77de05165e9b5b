//! Whether a person may do something, by the manual as it is now.

use std::sync::Arc;

use super::refusal::Answer;
use crate::gateway::Gateway;
use crate::manuals::Wish;

/// Whether the manual's rules grant it.
pub(super) async fn permit(gateway: &Gateway, wish: Wish) -> Answer<()> {
    let manual = Arc::clone(&gateway.manual);
    let permitted = tokio::task::spawn_blocking(move || manual.read()?.permit(&wish));
    Ok(permitted.await??)
}
