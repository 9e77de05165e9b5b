//! Connecting to a node's shell: how many nodes connect at once, how long one may take, and who
//! waits for whom. Everything is measured while it happens.

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::channel::lock;
use super::connection::End;
use super::fair::FairTime;
use super::{OpenOptions, told};

/// After this wait, the other connections neither delay a node nor are delayed by it.
const NOT_OURS: Duration = Duration::from_secs(2);
/// Time for a person to touch a key or confirm at an agent.
const PERSON: Duration = Duration::from_secs(45);
/// A silent node may take this many times as long as the nodes that answered.
const SPREAD: u32 = 4;
/// However slow the others are, a node gets at most this many times the time limit.
const MOST_LONGER: u32 = 8;

/// Permission to connect.
pub(super) type Place = SemaphorePermit<'static>;

/// The main cost of a connection is the key exchange, which needs the processor: so many connect at
/// once as can make progress. A connection that this machine has no time for keeps its place, so a
/// busy machine does not start more than it can handle.
pub(super) async fn place() -> Option<Place> {
    static PLACES: LazyLock<Semaphore> = LazyLock::new(|| {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Semaphore::new((4 * cores).max(8))
    });
    // The semaphore is never closed.
    PLACES.acquire().await.ok()
}

/// How long the latest successful connections took.
static LATELY: Mutex<Duration> = Mutex::new(Duration::ZERO);

/// Records the time of a successful connection.
pub(super) fn took(time: Duration) {
    let mut lately = lock(&LATELY);
    *lately = lately_with(*lately, time);
}

/// A slow connection counts at once and is forgotten slowly.
fn lately_with(lately: Duration, time: Duration) -> Duration {
    if time > lately {
        (lately + time) / 2
    } else {
        lately.saturating_sub(lately.saturating_sub(time) / 8)
    }
}

/// How long a node may take if it should answer within `limit`: on a machine where answering nodes
/// take long, a silent one is not dead yet.
pub(super) fn chance(limit: Duration) -> Duration {
    chance_with(*lock(&LATELY), limit)
}

fn chance_with(lately: Duration, limit: Duration) -> Duration {
    limit.max((lately * SPREAD).min(limit * MOST_LONGER))
}

/// A node that is being connected.
pub(super) struct Waiting {
    pub(super) time: FairTime,
    pub(super) asked_person: bool,
    limit: Duration,
    place: Option<Place>,
    /// How many bytes of `ssh`'s messages were shown.
    shown: usize,
}

impl Waiting {
    pub(super) fn new(limit: Duration, place: Option<Place>) -> Waiting {
        Waiting {
            time: FairTime::start(),
            asked_person: false,
            limit,
            place,
            shown: 0,
        }
    }

    /// Passes on the connection's messages, and returns when the node's time is over.
    pub(super) async fn overdue(&mut self, end: &End, options: &OpenOptions) {
        let mut news = end.news();
        while !self.time.is_over(self.limit) {
            tokio::select! {
                biased;
                changed = news.changed() => match changed {
                    Ok(()) => self.tell(&end.said(), options),
                    Err(_) => std::future::pending().await,
                },
                () = self.time.tick(|| end.waits_for()) => {
                    if self.time.is_over(NOT_OURS) {
                        self.place = None;
                    }
                }
            }
        }
    }

    fn tell(&mut self, said: &str, options: &OpenOptions) {
        let new = said.get(self.shown..).unwrap_or_default();
        for line in new.lines().filter(|line| !line.trim().is_empty()) {
            let text = line.trim().into();
            if !line.contains("Confirm user presence") {
                told::done(&options.name, &text);
                continue;
            }
            told::person(&options.name, &text);
            if !self.asked_person {
                self.asked_person = true;
                self.limit += PERSON;
            }
        }
        self.shown = said.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_node_has_more_time_where_the_others_need_more() {
        for (lately, limit, chance) in [
            (0, 15, 15),
            (2, 15, 15),
            (10, 15, 40),
            (600, 15, 120),
            (10, 2, 16),
        ] {
            let given = chance_with(seconds(lately), seconds(limit));
            assert_eq!(given, seconds(chance), "{lately} {limit}");
        }
    }

    #[test]
    fn slowness_counts_at_once_and_is_forgotten_slowly() {
        let lately = lately_with(Duration::ZERO, seconds(16));
        assert_eq!(lately, seconds(8));
        assert_eq!(lately_with(lately, Duration::ZERO), seconds(7));
    }
}
