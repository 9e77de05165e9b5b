//! Processes the parts of a large task on all cores, and passes on the results in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};

/// Processes the parts from 0 to `count`, and passes each result to `take` in order. Log messages
/// of the parts reach the calling thread's listener.
///
/// # Errors
/// The first error of a part or of `take`; a panic in a part counts as one.
pub(super) fn in_order<T: Send>(
    count: usize,
    part: impl Fn(usize) -> Result<T> + Sync,
    take: impl FnMut(T) -> Result<()> + Send,
) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let line = Mutex::new(Line {
        waiting: BTreeMap::new(),
        next: 0,
        take,
    });
    let heard = tracing::dispatcher::get_default(Clone::clone);
    let work = || {
        tracing::dispatcher::with_default(&heard, || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let done = part(number).and_then(|made| {
                    let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
                    line.put(number, made)
                });
                if done.is_err() {
                    // No further part begins.
                    next.store(count, Ordering::Relaxed);
                    return done;
                }
            }
        })
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores.min(count)).map(|_| scope.spawn(work)).collect();
        let ends = workers.into_iter().map(|worker| {
            let panicked = |_| Err(anyhow!("mdBook panicked while it rendered a page"));
            worker.join().unwrap_or_else(panicked)
        });
        ends.collect::<Vec<_>>().into_iter().collect()
    })
}

/// Finished results that are not taken yet.
struct Line<T, F> {
    waiting: BTreeMap<usize, T>,
    next: usize,
    take: F,
}

impl<T, F: FnMut(T) -> Result<()>> Line<T, F> {
    fn put(&mut self, number: usize, made: T) -> Result<()> {
        self.waiting.insert(number, made);
        while let Some(made) = self.waiting.remove(&self.next) {
            self.next += 1;
            (self.take)(made)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_in_their_order_up_to_the_first_error() {
        let mut taken = Vec::new();
        in_order(
            50,
            |number| Ok(number * 2),
            |made| {
                taken.push(made);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(taken, (0..50).map(|number| number * 2).collect::<Vec<_>>());
        let part = |number| match number {
            7 => Err(anyhow!("no seven")),
            _ => Ok(number),
        };
        let error = in_order(50, part, |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "no seven");
    }
}
