//! Processes many items in several threads if there are enough of them.

use std::thread;

/// Applies `all` to the items and keeps their order. Each thread gets at least `least` items.
pub(super) fn side_by_side<T: Send, U: Send>(
    things: Vec<T>,
    least: usize,
    all: impl Fn(Vec<T>) -> Vec<U> + Sync,
) -> Vec<U> {
    let worth = things.len() / least;
    if worth < 2 {
        // Asking for the number of cores reads files, and takes as long as parsing some pages.
        return all(things);
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let size = things.len().div_ceil(threads.min(worth));
    let mut rest = things.into_iter();
    let mut next =
        || Some(rest.by_ref().take(size).collect()).filter(|some: &Vec<T>| !some.is_empty());
    let all = &all;
    thread::scope(|scope| {
        let first = next();
        let others: Vec<_> = std::iter::from_fn(next)
            .map(|some| scope.spawn(move || all(some)))
            .collect();
        let mut made = first.map(all).unwrap_or_default();
        for other in others {
            match other.join() {
                Ok(more) => made.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        made
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_things() {
        for count in [0, 1, 3, 4, 5, 63, 64, 65] {
            let things: Vec<usize> = (0..count).collect();
            let made = side_by_side(things.clone(), 2, |some| {
                some.into_iter().map(|thing| thing * 2).collect()
            });
            let expected: Vec<usize> = things.iter().map(|thing| thing * 2).collect();
            assert_eq!(made, expected);
        }
    }
}
