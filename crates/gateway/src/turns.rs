//! Runners take turns at the store. When a whole fleet connects at once, its requests wait in a line
//! of their own: none fails because the others were first, and people's requests do not wait behind
//! them. A runner has a share of the line, so that one that floods the gateway takes nobody's place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many runners use the store at a time: fewer than it has connections (PostgreSQL), and enough
/// to keep its only one busy (SQLite).
const AT_ONCE: usize = 12;
/// How long a request waits at most. Its sender would give it up soon after.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most requests of one runner at a time. `opsbook runner` has about eight: for news, lines, a
/// manual, a certificate, and results of its rounds of checks.
const OF_ONE: usize = 32;

/// The line.
pub struct Turns {
    line: Semaphore,
    patience: Duration,
    /// How many requests each runner has now.
    shares: Shares,
}

type Shares = Arc<Mutex<BTreeMap<String, usize>>>;

/// A request of a runner, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Shares,
    runner: String,
}

/// A turn, until it is dropped.
pub(crate) type Turn<'a> = SemaphorePermit<'a>;

/// The request may come again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The line does not move.
    Line,
    /// This runner has its share of requests already.
    Runner,
}

impl Default for Turns {
    fn default() -> Turns {
        Turns {
            line: Semaphore::new(AT_ONCE),
            patience: PATIENCE,
            shares: Shares::default(),
        }
    }
}

impl Turns {
    /// Waits for a turn, in the order of the calls. Whoever has one must not wait for a second one.
    pub(crate) async fn one(&self) -> Result<Turn<'_>, Busy> {
        let turn = tokio::time::timeout(self.patience, self.line.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(Busy::Line)
    }

    /// Counts a request of this runner.
    pub(crate) fn share(&self, runner: &str) -> Result<Share, Busy> {
        let mut shares = lock(&self.shares);
        let count = shares.entry(runner.to_owned()).or_default();
        if *count >= OF_ONE {
            return Err(Busy::Runner);
        }
        *count += 1;
        drop(shares);
        Ok(Share {
            shares: Arc::clone(&self.shares),
            runner: runner.to_owned(),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = lock(&self.shares);
        if let Some(count) = shares.get_mut(&self.runner) {
            *count -= 1;
            if *count == 0 {
                shares.remove(&self.runner);
            }
        }
    }
}

fn lock(shares: &Shares) -> MutexGuard<'_, BTreeMap<String, usize>> {
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fleet_waits_in_line_and_is_refused_only_if_nothing_moves() {
        let turns = Turns::default();
        let one = async || {
            let _turn = turns.one().await.ok()?;
            tokio::task::yield_now().await;
            Some(())
        };
        let all = futures_util::future::join_all((0..4_000).map(|_| one())).await;
        assert!(all.iter().all(Option::is_some));
        let full = Turns {
            line: Semaphore::new(1),
            patience: Duration::ZERO,
            shares: Shares::default(),
        };
        let held = full.one().await.ok();
        assert!(held.is_some());
        assert!(full.one().await.is_err());
        drop(held);
        assert!(full.one().await.is_ok());
    }

    #[test]
    fn a_runner_that_floods_the_gateway_takes_nobodys_place() {
        let turns = Turns::default();
        let mut held: Vec<Share> = (0..OF_ONE)
            .map(|_| turns.share("here.a").unwrap())
            .collect();
        assert_eq!(turns.share("here.a").unwrap_err(), Busy::Runner);
        assert!(turns.share("here.b").is_ok());
        held.pop();
        held.push(turns.share("here.a").unwrap());
        drop(held);
        assert!(lock(&turns.shares).is_empty());
    }
}
