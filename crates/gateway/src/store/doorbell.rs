//! Rings from one gateway to the next, by PostgreSQL's NOTIFY: gathered for a moment, and sent
//! beside the transactions, never in one, because commits with a NOTIFY wait for each other.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;

use super::Store;
use crate::bell::{Bell, GATHER, payloads};

const CHANNEL: &str = "opsbook";
const AGAIN: Duration = Duration::from_secs(1);

/// Tells the other gateways of rings, and rings where they do, until `stop`.
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
    // A ring that is lost costs its waiters some seconds.
    let _ = sqlx::query("select pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(payload.to_owned())
        .execute(store.pool())
        .await;
}

async fn hear(url: &str, bell: &Bell) {
    // As the store itself: an address that it cannot read has no store.
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
