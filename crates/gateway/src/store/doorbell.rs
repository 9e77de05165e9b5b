//! Carries rings between gateways with PostgreSQL's NOTIFY: collected for a moment, and sent
//! outside of the transactions, because commits with a NOTIFY wait for each other.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;

use super::Store;
use crate::bell::{Bell, GATHER, payloads};

const CHANNEL: &str = "opsbook";
const AGAIN: Duration = Duration::from_secs(1);

/// Sends this gateway's rings to others and receives theirs, until `stop`.
pub(crate) async fn carry(
    store: Store,
    url: String,
    bell: Arc<Bell>,
    mut stop: watch::Receiver<()>,
) {
    tokio::select! {
        () = tell(&store, &bell) => {}
        () = hear(&url, &bell) => {}
        _ = stop.changed() => {}
    }
}

async fn tell(store: &Store, bell: &Bell) {
    loop {
        for payload in payloads(bell.for_others().await) {
            notify(store, &payload).await;
        }
        tokio::time::sleep(GATHER).await;
    }
}

async fn notify(store: &Store, payload: &str) {
    // A lost ring costs its waiters some seconds.
    let _ = sqlx::query("select pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(payload.to_owned())
        .execute(store.pool())
        .await;
}

async fn hear(url: &str, bell: &Bell) {
    // As in the store itself: an invalid address has no store.
    let Ok(url) = &super::verified(url) else {
        return std::future::pending().await;
    };
    loop {
        if let Ok(mut listener) = PgListener::connect(url).await
            && listener.listen(CHANNEL).await.is_ok()
        {
            while let Ok(heard) = listener.recv().await {
                bell.ring_all(heard.payload());
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
