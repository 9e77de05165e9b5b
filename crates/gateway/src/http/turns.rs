//! Runners take turns at the store. When a whole fleet connects at once, its requests wait in a line
//! of their own: none fails because the others were first, and people's requests do not wait behind
//! them.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::refusal::{Answer, Refusal};
use crate::wire::Kind;

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
pub(super) type Turn<'a> = SemaphorePermit<'a>;

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
    pub(super) async fn one(&self) -> Answer<Turn<'_>> {
        let turn = tokio::time::timeout(self.patience, self.line.acquire()).await;
        if let Ok(Ok(turn)) = turn {
            return Ok(turn);
        }
        let detail = "too many runners ask at once: ask again later";
        Err(Refusal::new(Kind::TooMuch, detail))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::http::header::RETRY_AFTER;
    use axum::response::IntoResponse as _;

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
        let refused = full.one().await.err().unwrap().into_response();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.headers().contains_key(RETRY_AFTER));
        drop(held);
        assert!(full.one().await.is_ok());
    }
}
