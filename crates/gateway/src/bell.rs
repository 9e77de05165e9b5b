//! The doorbell: wakes tasks that wait for a topic when something about it may have changed. A ring
//! carries no data, and a lost ring costs only time: a person's request looks again by itself, and
//! for runners, which are many, the gateway looks (`Store::calls`). If several gateways share a
//! store, `store::doorbell` or `nats` carries the rings between them.
//!
//! A ring for a segment wakes one runner, the one that has waited longest: whoever takes as many
//! parts as it has room for rings for the next. So an order costs the same in a segment of a
//! thousand runners as in one of two.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
/// Topics without waiters are dropped when there are more than this, and twice as many as before.
const TOPICS: usize = 1_000;

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
    heard: Mutex<Heard>,
    /// Rings for other gateways; `None` if there are none.
    others: Option<Others>,
}

/// Who waits for what.
#[derive(Debug, Default)]
struct Heard {
    topics: HashMap<Topic, watch::Sender<()>>,
    /// The runners of each segment.
    segments: HashMap<String, Arc<Notify>>,
    /// How many topics there were after the last clean-up.
    kept: usize,
}

#[derive(Debug, Default)]
struct Others {
    rung: Mutex<BTreeSet<Topic>>,
    any: Notify,
}

/// Waits for a topic.
#[derive(Debug)]
pub struct Waiting(watch::Receiver<()>);

/// A runner that waits for news of its own, and for its turn in its segment.
#[derive(Debug)]
pub struct RunnerWaiting {
    own: watch::Receiver<()>,
    segment: Option<Arc<Notify>>,
}

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
    pub fn listen(&self, topic: Topic) -> Waiting {
        Waiting(self.heard().subscribe(topic))
    }

    /// The same for a runner, and for the rings of its segment if it has room.
    pub fn listen_as(&self, runner: &str, segment: Option<&str>) -> RunnerWaiting {
        let mut heard = self.heard();
        RunnerWaiting {
            own: heard.subscribe(Topic::Runner(runner.to_owned())),
            segment: segment.map(|segment| heard.segment(segment)),
        }
    }

    /// Wakes the waiters for this topic, in every gateway.
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

    /// Wakes the waiters in this process: all of a run or a runner, one of a segment.
    pub fn ring_here(&self, topic: &Topic) {
        let heard = self.heard();
        if let Topic::Segment(segment) = topic {
            if let Some(waiters) = heard.segments.get(segment) {
                waiters.notify_one();
            }
        } else if let Some(sender) = heard.topics.get(topic) {
            sender.send_replace(());
        }
    }

    /// How many runners of a segment wait for their turn.
    #[must_use]
    pub fn waiting(&self, segment: &str) -> usize {
        let heard = self.heard();
        let waiters = heard.segments.get(segment);
        waiters.map_or(0, |waiters| Arc::strong_count(waiters) - 1)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Heard {
    fn subscribe(&mut self, topic: Topic) -> watch::Receiver<()> {
        if self.topics.len() > TOPICS.max(2 * self.kept) {
            self.topics.retain(|_, sender| sender.receiver_count() > 0);
            self.kept = self.topics.len();
        }
        let sender = self.topics.entry(topic);
        sender.or_insert_with(|| watch::channel(()).0).subscribe()
    }

    fn segment(&mut self, segment: &str) -> Arc<Notify> {
        let waiters = self.segments.entry(segment.to_owned());
        Arc::clone(waiters.or_default())
    }
}

impl Waiting {
    /// Waits until it rings, or until it is time to look again.
    pub async fn ring(&mut self) {
        let _ = tokio::time::timeout(AT_LATEST, changed(&mut self.0)).await;
    }
}

impl RunnerWaiting {
    /// Waits until it rings. If this is dropped when it is its turn, the next one is woken.
    pub async fn ring(&mut self) {
        let Some(segment) = &self.segment else {
            return changed(&mut self.own).await;
        };
        tokio::select! {
            () = changed(&mut self.own) => {}
            () = segment.notified() => {}
        }
    }
}

/// If the bell is gone, nobody rings any more.
async fn changed(ring: &mut watch::Receiver<()>) {
    if ring.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

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

    fn is_woken(waiting: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        waiting.now_or_never().is_some()
    }

    #[tokio::test]
    async fn a_segment_wakes_one_runner_at_a_time_and_loses_no_ring() {
        let bell = Bell::default();
        let ring = || bell.ring(&Topic::Segment("dmz".into()));
        let mut all = ["a", "b", "c"].map(|name| bell.listen_as(name, Some("dmz")));
        let mut full = bell.listen_as("d", None);
        let [first, second, third] = all.each_mut().map(|waiting| Box::pin(waiting.ring()));
        let (mut first, mut second, mut third) = (first, second, third);
        let mut full = Box::pin(full.ring());
        assert!(!is_woken(&mut first) && !is_woken(&mut second));
        ring();
        assert!(!is_woken(&mut second) && !is_woken(&mut full));
        // One that was woken and has gone before it could look passes the ring on.
        drop(first);
        assert!(is_woken(&mut second));
        // If nobody waits right now, the next one does not wait.
        ring();
        ring();
        assert!(is_woken(&mut third));
        drop((second, third));
        assert!(!is_woken(&mut Box::pin(all[0].ring())));
    }

    #[test]
    fn a_runner_is_woken_for_itself_alone() {
        let bell = Bell::default();
        let [mut a, mut b] = ["a", "b"].map(|name| bell.listen_as(name, None));
        bell.ring(&Topic::Runner("a".into()));
        assert!(is_woken(&mut Box::pin(a.ring())));
        assert!(!is_woken(&mut Box::pin(b.ring())));
    }
}
