//! How often a process may die before a person has to look. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// As many deaths within [`WITHIN`] are enough.
pub(crate) const MOST: usize = 5;
pub(crate) const WITHIN: Duration = Duration::from_mins(1);
/// Before it is started once more; twice as long each time.
const FIRST: Duration = Duration::from_millis(200);

/// The deaths of the processes of one part.
#[derive(Debug, Default)]
pub(crate) struct Crashes(VecDeque<Instant>);

impl Crashes {
    /// One more. How long to wait until the next start; nothing where there is none.
    pub fn add(&mut self, now: Instant) -> Option<Duration> {
        self.0.push_back(now);
        self.0.retain(|at| now.duration_since(*at) < WITHIN);
        if self.0.len() >= MOST {
            return None;
        }
        let doublings = u32::try_from(self.0.len() - 1).unwrap_or(0);
        Some(FIRST * 2_u32.pow(doublings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_deaths_within_a_minute_are_enough() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut crashes = Crashes::default();
        let waits: Vec<_> = (0..5).map(|second| crashes.add(at(second))).collect();
        let milliseconds = |wait: &Option<Duration>| wait.map(|wait| wait.as_millis());
        let waits: Vec<_> = waits.iter().map(milliseconds).collect();
        assert_eq!(waits, [Some(200), Some(400), Some(800), Some(1600), None]);
        // Now and then one is nothing to stop for.
        let mut crashes = Crashes::default();
        for minute in 0..100 {
            assert_eq!(crashes.add(at(minute * 60)), Some(FIRST), "{minute}");
        }
    }
}
