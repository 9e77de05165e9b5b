//! Counts requests for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// The statuses of requests that were told to come later: too much at once; nothing can be stored.
const LATER: [u16; 2] = [429, 503];

/// Requests by the class of their status, 1xx to 5xx, and those that were told to come later.
#[derive(Debug, Default)]
pub struct Counters {
    classes: [AtomicU64; 6],
    later: [AtomicU64; LATER.len()],
}

impl Counters {
    /// Counts a request with this status.
    pub fn add(&self, status: u16) {
        if let Some(counter) = self.classes.get(usize::from(status / 100)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(which) = LATER.iter().position(|later| *later == status) {
            self.later[which].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each status whose requests must come again later, with its count.
    pub fn later(&self) -> impl Iterator<Item = (u16, u64)> {
        let all = LATER.iter().zip(&self.later);
        all.map(|(status, count)| (*status, count.load(Ordering::Relaxed)))
    }

    /// Each class with its count.
    pub fn classes(&self) -> impl Iterator<Item = (usize, u64)> {
        let all = self.classes.iter().enumerate().skip(1);
        all.map(|(class, count)| (class, count.load(Ordering::Relaxed)))
    }
}
