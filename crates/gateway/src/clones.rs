//! Updates the clones of the manuals' repositories, at the start and then regularly.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::gateway::{Gateway, Tell};

/// How often to fetch.
const LOOK: Duration = Duration::from_secs(30);

/// Fetches at the start. Failures are retried; the other manuals are served.
pub(crate) async fn first(gateway: &Arc<Gateway>, tell: &Tell) {
    for manual in gateway.manuals.all() {
        let (of, id) = (Arc::clone(manual), manual.id.clone());
        let brought = tokio::task::spawn_blocking(move || of.bring()).await;
        if let Ok(Err(why)) = brought {
            tell(&format!("manual `{id}`: {why}"));
        }
    }
}

/// Updates the clones until `stop`.
pub(crate) async fn keep(gateway: Arc<Gateway>, mut stop: watch::Receiver<()>, tell: Tell) {
    let mut said = String::new();
    while tokio::time::timeout(LOOK, stop.changed()).await.is_err() {
        let mut wrong = Vec::new();
        for manual in gateway.manuals.all() {
            let (of, id) = (Arc::clone(manual), manual.id.clone());
            let brought = tokio::task::spawn_blocking(move || of.bring());
            match brought.await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => wrong.push(format!("manual `{id}`: {why}")),
                Err(error) => wrong.push(format!("manual `{id}`: {error}")),
            }
        }
        let wrong = wrong.join("; ");
        if wrong != said && !wrong.is_empty() {
            tell(&wrong);
        }
        said = wrong;
    }
}
