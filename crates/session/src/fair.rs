//! Time that counts against a node. This machine may be stopped, or too busy to do its own
//! part; then the node waits for us, and not we for it. Such time counts little. Knows no node.

use std::fs;
use std::time::Duration;

use tokio::time::Instant;

/// Time is counted in pieces of this length. However late a piece ends, it counts as one.
const TICK: Duration = Duration::from_millis(250);
/// Where this machine has not done its part, a tick counts this much less. It counts at all
/// so that a program that only spins is given up in the end.
const BUSY: u32 = 10;
/// Of the programs that a program has started, this many are looked at.
const MOST_PROGRAMS: usize = 16;

/// The time that somebody has had by now.
#[derive(Debug)]
pub struct FairTime {
    counted: Duration,
    last: Instant,
    late: bool,
}

/// Who was waited for during a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// The other side has everything that it needs to go on.
    Node,
    /// A program of ours wants to run, and cannot or has not ended.
    Us,
}

/// Waits for `work`, for as long as the limit of fair time; `None` where it was not done.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut time = FairTime::start();
    while !time.is_over(limit) {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = time.tick_within(limit, || WaitsFor::Node) => {}
        }
    }
    None
}

/// Waits until so much fair time has passed.
pub async fn pass(time: Duration) {
    within(time, std::future::pending::<()>()).await;
}

impl FairTime {
    /// Begins to count.
    #[must_use]
    pub fn start() -> FairTime {
        FairTime {
            counted: Duration::ZERO,
            last: Instant::now(),
            late: false,
        }
    }

    /// The time that has counted against the node by now.
    #[must_use]
    pub fn counted(&self) -> Duration {
        self.counted + self.last.elapsed().min(TICK)
    }

    /// Whether the limit was reached. What came in while we were stopped is looked at first:
    /// a tick that came late does not end it.
    #[must_use]
    pub fn is_over(&self, limit: Duration) -> bool {
        self.counted >= limit && (!self.late || self.counted >= limit + TICK)
    }

    /// Waits for `work`, however long it takes, and counts.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.tick(|| WaitsFor::Node) => {}
            }
        }
    }

    /// Waits for the end of a tick, and counts it. May be given up and called again.
    pub(super) async fn tick(&mut self, who: impl FnOnce() -> WaitsFor) {
        self.tick_of(TICK, who).await;
    }

    async fn tick_within(&mut self, limit: Duration, who: impl FnOnce() -> WaitsFor) {
        let left = limit.saturating_sub(self.counted);
        let tick = if left.is_zero() { TICK } else { left.min(TICK) };
        self.tick_of(tick, who).await;
    }

    async fn tick_of(&mut self, tick: Duration, who: impl FnOnce() -> WaitsFor) {
        tokio::time::sleep_until(self.last + tick).await;
        let now = Instant::now();
        self.late = now.duration_since(self.last) > tick + TICK;
        self.last = now;
        self.counted += match who() {
            WaitsFor::Node => tick,
            WaitsFor::Us => tick / BUSY,
        };
    }
}

/// Whom a running program waits for at this moment, with the programs that it has started.
pub(super) fn waits_for(pid: u32) -> WaitsFor {
    let mut programs = vec![pid];
    let mut at = 0;
    while let Some(&program) = programs.get(at) {
        if let Some('R' | 'D' | 'T' | 't') = state(program) {
            return WaitsFor::Us;
        }
        let started = fs::read_to_string(format!("/proc/{program}/task/{program}/children"));
        let started = started.unwrap_or_default();
        let started = started
            .split_ascii_whitespace()
            .filter_map(|pid| pid.parse::<u32>().ok());
        programs.extend(started.take(MOST_PROGRAMS.saturating_sub(programs.len())));
        at += 1;
    }
    WaitsFor::Node
}

/// As `ps` shows it; nothing where there is no `/proc`.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    /// Stops everything in this runtime, as a stop of the whole process does.
    fn stall(time: Duration) {
        std::thread::sleep(time);
    }

    #[tokio::test]
    async fn a_stall_counts_as_one_tick() {
        let mut time = FairTime::start();
        let work = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            stall(Duration::from_secs(2));
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        time.during(work).await;
        assert!(time.counted <= 2 * TICK, "{time:?}");
    }

    #[tokio::test]
    async fn what_came_in_during_a_stall_was_in_time() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let other = std::thread::spawn(move || {
            stall(Duration::from_millis(300));
            tell.send(())
        });
        let work = async {
            // The limit passes in here.
            stall(Duration::from_millis(1500));
            told.await.is_ok()
        };
        assert_eq!(within(LIMIT, work).await, Some(true));
        other.join().unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_never_answers_is_given_up_on_time() {
        for limit in [10, 250, 600].map(Duration::from_millis) {
            let begin = Instant::now();
            assert_eq!(within(limit, std::future::pending::<()>()).await, None);
            let took = begin.elapsed();
            assert!(took >= limit, "{limit:?} {took:?}");
            assert!(took < Duration::from_secs(10), "{limit:?} {took:?}");
        }
    }

    #[tokio::test]
    async fn time_that_we_need_ourselves_counts_little() {
        let mut time = FairTime::start();
        for who in [WaitsFor::Us, WaitsFor::Node, WaitsFor::Us] {
            time.tick(|| who).await;
        }
        assert_eq!(time.counted, TICK + 2 * (TICK / BUSY));
    }

    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            // With all that it has started.
            let group = rustix::process::Pid::from_child(&self.0);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = self.0.wait();
        }
    }

    fn program(script: &str) -> Killed {
        let sh = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn();
        Killed(sh.unwrap())
    }

    fn until(program: &Killed, who: WaitsFor) {
        let begin = std::time::Instant::now();
        while waits_for(program.0.id()) != who {
            assert!(begin.elapsed() < Duration::from_mins(1), "never {who:?}");
            stall(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_program_waits_for_the_node_where_it_sleeps_with_all_that_it_started() {
        until(&program("read x"), WaitsFor::Node);
        until(&program("read x; :"), WaitsFor::Node);
        until(&program("while :; do :; done"), WaitsFor::Us);
        // The one that computes is another's child, and ends with the pipe.
        let behind = "while echo x; do :; done | while read -r x; do :; done; :";
        until(&program(behind), WaitsFor::Us);
        let stopped = program("read x");
        until(&stopped, WaitsFor::Node);
        let pid = rustix::process::Pid::from_child(&stopped.0);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        until(&stopped, WaitsFor::Us);
    }
}
