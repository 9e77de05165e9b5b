//! The doorbell: wakes tasks that wait for a topic when something about it may have changed. A ring
//! carries no data, and a lost ring costs only time, because every waiter also looks by itself. If
//! several gateways share a store, `store::doorbell` or `nats` carries the rings between them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// Waiters look again after this time at the latest.
pub const AT_LATEST: Duration = Duration::from_secs(5);
/// How long rings are collected before other gateways are notified.
pub(crate) const GATHER: Duration = Duration::from_millis(50);
/// The most bytes of one message to others: a NOTIFY has 8,000.
const PAYLOAD: usize = 7_000;
/// The most rings that are kept while other gateways are unreachable.
const MOST: usize = 10_000;

/// A topic to wait for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A segment may have waiting parts.
    Segment(String),
    /// There is news for a runner.
    Runner(String),
    /// Something has happened in a run.
    Run(String),
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Topic::Segment(name) => write!(f, "segment {name}"),
            Topic::Runner(name) => write!(f, "runner {name}"),
            Topic::Run(name) => write!(f, "run {name}"),
        }
    }
}

impl std::str::FromStr for Topic {
    type Err = ();

    fn from_str(text: &str) -> Result<Topic, ()> {
        match text.split_once(' ') {
            Some(("segment", name)) => Ok(Topic::Segment(name.to_owned())),
            Some(("runner", name)) => Ok(Topic::Runner(name.to_owned())),
            Some(("run", name)) => Ok(Topic::Run(name.to_owned())),
            _ => Err(()),
        }
    }
}

/// The bell of this process.
#[derive(Debug, Default)]
pub struct Bell {
    topics: Mutex<HashMap<Topic, watch::Sender<()>>>,
    /// Rings for other gateways; `None` if there are none.
    others: Option<Others>,
}

#[derive(Debug, Default)]
struct Others {
    rung: Mutex<BTreeSet<Topic>>,
    any: Notify,
}

/// A waiter.
#[derive(Debug)]
pub struct Waiting(Vec<watch::Receiver<()>>);

impl Bell {
    /// A bell whose rings are also sent to other gateways.
    #[must_use]
    pub fn shared() -> Bell {
        Bell {
            others: Some(Others::default()),
            ..Bell::default()
        }
    }

    /// Waits from now on: later rings are noticed.
    pub fn listen(&self, topics: impl IntoIterator<Item = Topic>) -> Waiting {
        let mut all = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        // Drop topics without waiters.
        if all.len() > 1_000 {
            all.retain(|_, sender| sender.receiver_count() > 0);
        }
        let listen = |topic| {
            let sender = all.entry(topic).or_insert_with(|| watch::channel(()).0);
            sender.subscribe()
        };
        Waiting(topics.into_iter().map(listen).collect())
    }

    /// Wakes all waiters for this topic, in every gateway.
    pub fn ring(&self, topic: &Topic) {
        self.ring_here(topic);
        if let Some(others) = &self.others {
            let mut rung = others.rung.lock().unwrap_or_else(PoisonError::into_inner);
            if rung.len() < MOST {
                rung.insert(topic.clone());
            }
            others.any.notify_one();
        }
    }

    /// Wakes the waiters in this process.
    pub fn ring_here(&self, topic: &Topic) {
        let all = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = all.get(topic) {
            sender.send_replace(());
        }
    }

    /// Wakes the waiters for the topics in another gateway's message.
    pub(crate) fn ring_all(&self, payload: &str) {
        for topic in payload.lines().filter_map(|line| line.parse().ok()) {
            self.ring_here(&topic);
        }
    }

    /// The rings since the last message to others, once there are any.
    pub async fn for_others(&self) -> BTreeSet<Topic> {
        let Some(others) = &self.others else {
            return std::future::pending().await;
        };
        others.any.notified().await;
        std::mem::take(&mut *others.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The messages to other gateways, as many as necessary.
pub(crate) fn payloads(topics: BTreeSet<Topic>) -> Vec<String> {
    let mut payloads = vec![String::new()];
    for topic in topics {
        let line = format!("{topic}\n");
        match payloads.last_mut() {
            Some(last) if last.len() + line.len() <= PAYLOAD => *last += &line,
            _ => payloads.push(line),
        }
    }
    payloads.retain(|payload| !payload.is_empty());
    payloads
}

impl Waiting {
    /// Waits until it rings, or until it is time to look again.
    pub async fn ring(&mut self) {
        let rings = self.0.iter_mut().map(|ring| Box::pin(ring.changed()));
        let any = futures_util::future::select_all(rings);
        // If the bell is dropped, wait for the timeout.
        let _ = tokio::time::timeout(AT_LATEST, async {
            if any.await.0.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_comes_back_the_same() {
        for topic in [
            Topic::Segment("dmz".into()),
            Topic::Runner("here.local".into()),
            Topic::Run("20261129-1".into()),
        ] {
            assert_eq!(topic.to_string().parse(), Ok(topic));
        }
        assert_eq!("moon x".parse::<Topic>(), Err(()));
    }
}
