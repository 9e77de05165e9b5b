//! The time of a controller: that of its clock when it began, and what has passed since. So whoever
//! sets the clock changes neither the order of events nor the time between them.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Timestamp,
    since: Duration,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock {
            began: Timestamp::now(),
            since: up(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.at(up())
    }

    fn at(&self, up: Duration) -> Timestamp {
        let passed = up.saturating_sub(self.since);
        self.began.saturating_add(passed).unwrap_or(self.began)
    }
}

/// The time since this machine was started, with that in which it was asleep.
fn up() -> Duration {
    let up = clock_gettime(ClockId::Boottime);
    Duration::try_from(up).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_where_it_began_whatever_the_machine_says_later() {
        let began = "2026-11-21T09:14:03Z".parse().unwrap();
        let clock = Clock {
            began,
            since: Duration::from_secs(100),
        };
        let at = |up| clock.at(Duration::from_millis(up)).to_string();
        assert_eq!(at(100_000), "2026-11-21T09:14:03Z");
        assert_eq!(at(161_500), "2026-11-21T09:15:04.5Z");
        assert_eq!(at(99_000), "2026-11-21T09:14:03Z");
        assert!(up() > Duration::ZERO && up() <= up());
    }
}
