//! How often a process may crash before a person has to look. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The number of crashes within [`WITHIN`] that stops it.
pub(crate) const MOST: usize = 5;
pub(crate) const WITHIN: Duration = Duration::from_mins(1);
/// The first delay before a restart; doubles each time.
const FIRST: Duration = Duration::from_millis(200);

/// The crashes of one part's processes.
#[derive(Debug, Default)]
pub(crate) struct Crashes(VecDeque<Instant>);

impl Crashes {
    /// Records a crash. Returns the delay before the next start, or `None` to stop.
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
        // An occasional crash does not stop it.
        let mut crashes = Crashes::default();
        for minute in 0..100 {
            assert_eq!(crashes.add(at(minute * 60)), Some(FIRST), "{minute}");
        }
    }
}
