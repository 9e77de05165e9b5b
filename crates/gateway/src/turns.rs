//! Runners take turns at the store. When a whole fleet connects at once, its requests wait in a line
//! of their own: none fails because the others were first, and people's requests do not wait behind
//! them.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many runners use the store at a time: fewer than it has connections (PostgreSQL), and enough
/// to keep its only one busy (SQLite).
const AT_ONCE: usize = 12;
/// How long a request waits at most. Its sender would give it up soon after.
const PATIENCE: Duration = Duration::from_secs(20);

/// The line.
pub struct Turns {
    line: Semaphore,
    patience: Duration,
}

/// A turn, until it is dropped.
pub(crate) type Turn<'a> = SemaphorePermit<'a>;

/// The line does not move: the request may come again later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy;

impl Default for Turns {
    fn default() -> Turns {
        Turns {
            line: Semaphore::new(AT_ONCE),
            patience: PATIENCE,
        }
    }
}

impl Turns {
    /// Waits for a turn, in the order of the calls. Whoever has one must not wait for a second one.
    pub(crate) async fn one(&self) -> Result<Turn<'_>, Busy> {
        let turn = tokio::time::timeout(self.patience, self.line.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(Busy)
    }
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
        };
        let held = full.one().await.ok();
        assert!(held.is_some());
        assert!(full.one().await.is_err());
        drop(held);
        assert!(full.one().await.is_ok());
    }
}
