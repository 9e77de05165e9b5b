//! The doorbell: who waits for a topic is woken where something about it may have changed. It
//! carries nothing, and a ring that is lost costs only time: every waiter looks by itself, too.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Who waits looks again after this time at the latest.
pub const AT_LATEST: Duration = Duration::from_secs(5);

/// What one can wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Parts of a segment may be waiting.
    Segment(String),
    /// A runner is to know something.
    Runner(String),
    /// Something has happened in a run.
    Run(String),
}

/// Of this process.
#[derive(Debug, Default)]
pub struct Bell {
    topics: Mutex<HashMap<Topic, watch::Sender<()>>>,
}

/// Somebody who waits.
#[derive(Debug)]
pub struct Waiting(Vec<watch::Receiver<()>>);

impl Bell {
    /// Waits from now on: what rings later is noticed.
    pub fn listen(&self, topics: impl IntoIterator<Item = Topic>) -> Waiting {
        let mut all = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        // Topics that nobody waits for any more go.
        if all.len() > 1_000 {
            all.retain(|_, sender| sender.receiver_count() > 0);
        }
        let listen = |topic| {
            all.entry(topic)
                .or_insert_with(|| watch::channel(()).0)
                .subscribe()
        };
        Waiting(topics.into_iter().map(listen).collect())
    }

    /// Wakes who waits for this.
    pub fn ring(&self, topic: &Topic) {
        let all = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = all.get(topic) {
            sender.send_replace(());
        }
    }
}

impl Waiting {
    /// Until it rings, or it is time to look again.
    pub async fn ring(&mut self) {
        let rings = self.0.iter_mut().map(|ring| Box::pin(ring.changed()));
        let any = futures_util::future::select_all(rings);
        // A bell that is gone does not ring: the time does.
        let _ = tokio::time::timeout(AT_LATEST, async {
            if any.await.0.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await;
    }
}
