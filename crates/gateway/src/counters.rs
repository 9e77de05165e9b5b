//! Counts requests for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Requests by the class of their status: 1xx to 5xx.
#[derive(Debug, Default)]
pub struct Counters {
    classes: [AtomicU64; 6],
}

impl Counters {
    /// Counts a request with this status.
    pub fn add(&self, status: u16) {
        if let Some(counter) = self.classes.get(usize::from(status / 100)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each class with its count.
    pub fn classes(&self) -> impl Iterator<Item = (usize, u64)> {
        let all = self.classes.iter().enumerate().skip(1);
        all.map(|(class, count)| (class, count.load(Ordering::Relaxed)))
    }
}
