//! The doorbell: who waits for a topic is woken where something about it may have changed. It
//! carries nothing, and a ring that is lost costs only time: every waiter looks by itself, too.
//! Where several gateways share a store, `store::doorbell` or `nats` carries the rings from one to
//! the next.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// Who waits looks again after this time at the latest.
pub const AT_LATEST: Duration = Duration::from_secs(5);
/// So long rings are gathered before others are told.
pub(crate) const GATHER: Duration = Duration::from_millis(50);
/// What one message to others may carry: a NOTIFY has 8,000 bytes.
const PAYLOAD: usize = 7_000;
/// Rings for other gateways that are kept while they cannot be told.
const MOST: usize = 10_000;

/// What one can wait for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Parts of a segment may be waiting.
    Segment(String),
    /// A runner is to know something.
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

/// Of this process.
#[derive(Debug, Default)]
pub struct Bell {
    topics: Mutex<HashMap<Topic, watch::Sender<()>>>,
    /// For other gateways; nothing is kept where there are none.
    others: Option<Others>,
}

#[derive(Debug, Default)]
struct Others {
    rung: Mutex<BTreeSet<Topic>>,
    any: Notify,
}

/// Somebody who waits.
#[derive(Debug)]
pub struct Waiting(Vec<watch::Receiver<()>>);

impl Bell {
    /// One whose rings others are told, too.
    #[must_use]
    pub fn shared() -> Bell {
        Bell {
            others: Some(Others::default()),
            ..Bell::default()
        }
    }

    /// Waits from now on: what rings later is noticed.
    pub fn listen(&self, topics: impl IntoIterator<Item = Topic>) -> Waiting {
        let mut all = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        // Topics that nobody waits for any more go.
        if all.len() > 1_000 {
            all.retain(|_, sender| sender.receiver_count() > 0);
        }
        let listen = |topic| {
            let sender = all.entry(topic).or_insert_with(|| watch::channel(()).0);
            sender.subscribe()
        };
        Waiting(topics.into_iter().map(listen).collect())
    }

    /// Wakes who waits for this, wherever they are.
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

    /// Wakes who waits for this in this process.
    pub fn ring_here(&self, topic: &Topic) {
        let all = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = all.get(topic) {
            sender.send_replace(());
        }
    }

    /// Wakes who waits for what another gateway has said.
    pub(crate) fn ring_all(&self, payload: &str) {
        for topic in payload.lines().filter_map(|line| line.parse().ok()) {
            self.ring_here(&topic);
        }
    }

    /// What rang since others were told last, once there is something.
    pub async fn for_others(&self) -> BTreeSet<Topic> {
        let Some(others) = &self.others else {
            return std::future::pending().await;
        };
        others.any.notified().await;
        std::mem::take(&mut *others.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What others are told, in as many messages as it takes.
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
