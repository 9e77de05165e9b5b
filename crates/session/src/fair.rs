//! Counts time against a node. This machine may be stopped, or too busy to do its own part; then
//! the node waits for us. Such time counts little.

use std::fs;
use std::time::Duration;

use tokio::time::Instant;

/// Time is counted in ticks of this length. However late a tick ends, it counts as one.
const TICK: Duration = Duration::from_millis(250);
/// While this machine is the bottleneck, a tick counts this much less. It still counts, so that a
/// program that only spins is given up in the end.
const BUSY: u32 = 10;
/// How many child processes of a program are examined.
const MOST_PROGRAMS: usize = 16;

/// The time that was counted so far.
#[derive(Debug)]
pub struct FairTime {
    counted: Duration,
    last: Instant,
    late: bool,
}

/// Who waited for whom during a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// We wait for the node: it has everything that it needs.
    Node,
    /// The node waits for us: a program of ours wants to run and cannot, or has not ended.
    Us,
}

/// Runs `work` within a limit of fair time; `None` if it did not finish.
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

/// Waits for this much fair time.
pub async fn pass(time: Duration) {
    within(time, std::future::pending::<()>()).await;
}

impl FairTime {
    /// Starts counting.
    #[must_use]
    pub fn start() -> FairTime {
        FairTime {
            counted: Duration::ZERO,
            last: Instant::now(),
            late: false,
        }
    }

    /// The time counted against the node so far.
    #[must_use]
    pub fn counted(&self) -> Duration {
        self.counted + self.last.elapsed().min(TICK)
    }

    /// Whether the limit was reached. Input that arrived while we were stopped is handled first: a
    /// late tick alone does not end the wait.
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

    /// Waits for the end of a tick and counts it. Cancel safe.
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

/// Who waits for whom: examines a running program and its children.
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

/// The state as in `ps`; `None` without `/proc`.
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

    /// Stops everything in this runtime, like a stop of the whole process.
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
            // Together with its children.
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
        // The busy process is a child of another one, and ends with the pipe.
        let behind = "while echo x; do :; done | while read -r x; do :; done; :";
        until(&program(behind), WaitsFor::Us);
        let stopped = program("read x");
        until(&stopped, WaitsFor::Node);
        let pid = rustix::process::Pid::from_child(&stopped.0);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        until(&stopped, WaitsFor::Us);
    }
}
