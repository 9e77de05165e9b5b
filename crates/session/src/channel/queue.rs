//! The commands that are queued for a runner or not answered yet: how much to write at once, when
//! to watch it, and how many workers to start.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use zeroize::Zeroizing;

use super::{Done, Writer, lock};

/// A job that takes this long is watched: the node then enforces its time limit.
const SLOW: Duration = Duration::from_secs(1);
/// The limits of the time within which jobs count as quick.
const QUICK: (Duration, Duration) = (Duration::from_millis(100), SLOW);

pub(super) type Text = Zeroizing<Vec<u8>>;

/// One line for the runner.
#[derive(Debug, Default)]
pub(super) struct Command {
    pub(super) text: Text,
    /// Whether it is a job for a worker.
    pub(super) worker: bool,
}

/// By id, in the order in which they were sent.
pub(super) type Jobs = BTreeMap<u64, Waiting>;

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) tell: oneshot::Sender<Done>,
    pub(super) place: Place,
    pub(super) since: Instant,
    /// Size of the text, in bytes.
    pub(super) size: usize,
    /// The most bytes to keep of each stream.
    pub(super) most: u64,
    pub(super) _within: OwnedSemaphorePermit,
}

/// Where something runs on the node. In the main shell itself no limit is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Worker,
    Background,
    Shell,
}

/// When to look at the jobs again, and why.
#[derive(Clone, Copy, Debug)]
enum Look {
    /// Nothing was queued since the last look.
    None,
    /// To see whether they are quick.
    ForHelp(Instant),
    /// To see whether one of them is slow.
    ForWatch(Instant),
}

/// How long quick jobs may take on a node that was reached in this time, which reflects the
/// distance and the load of both machines.
pub(super) fn quick(reached: Duration) -> Duration {
    (reached / 2).clamp(QUICK.0, QUICK.1)
}

/// Writes the queued commands in batches, each preceded by the number of jobs. Requests more
/// workers if jobs are not `quick`, and the watchdog if one of them is slow. An empty command ends
/// the loop.
pub(super) async fn write(
    mut writer: Writer,
    mut queue: mpsc::UnboundedReceiver<Command>,
    jobs: &Mutex<Jobs>,
    quick: Duration,
) -> io::Result<()> {
    let mut look = Look::None;
    loop {
        let command = tokio::select! {
            command = queue.recv() => command,
            () = at(look) => {
                let asked;
                (look, asked) = look.taken(&lock(jobs));
                if !asked.is_empty() {
                    writer.write_all(asked.as_bytes()).await?;
                    writer.flush().await?;
                }
                continue;
            }
        };
        let Some(command) = command else { break };
        if let Look::None = look {
            look = Look::ForHelp(Instant::now() + quick);
        }
        let mut last = command.text.is_empty();
        let (mut size, mut commands) = (command.text.len(), vec![command]);
        while !last && size < (64 << 10) {
            let Ok(more) = queue.try_recv() else { break };
            last = more.text.is_empty();
            size += more.text.len();
            commands.push(more);
        }
        write_all(&mut writer, &commands, jobs).await?;
        if last {
            break;
        }
    }
    let _ = writer.shutdown().await;
    Ok(())
}

impl Look {
    /// The look after this one, and the request to send to the node now.
    fn taken(self, jobs: &Jobs) -> (Look, String) {
        let next = due(jobs).map_or(Look::None, Look::ForWatch);
        match (self, next) {
            (Look::ForHelp(_), _) => match worth(jobs, OF_OTHERS) {
                0 => (next, String::new()),
                workers => (next, format!("ob_help {workers}\n")),
            },
            (_, Look::ForWatch(due)) if due <= Instant::now() => {
                (Look::None, "ob_watch\n".to_owned())
            }
            _ => (next, String::new()),
        }
    }
}

/// When the oldest limited job must be watched.
fn due(jobs: &Jobs) -> Option<Instant> {
    let limited = |job: &&Waiting| job.place != Place::Shell;
    Some(jobs.values().find(limited)?.since + SLOW)
}

async fn at(look: Look) {
    match look {
        Look::ForHelp(time) | Look::ForWatch(time) => {
            tokio::time::sleep_until(time.into()).await;
        }
        Look::None => std::future::pending().await,
    }
}

async fn write_all(
    writer: &mut Writer,
    commands: &[Command],
    waiting: &Mutex<Jobs>,
) -> io::Result<()> {
    let jobs = commands.iter().filter(|command| command.worker).count();
    let size: usize = commands.iter().map(|command| command.text.len()).sum();
    let mut text = Text::new(Vec::with_capacity(size + 32));
    if jobs > 0 {
        let workers = worth(&lock(waiting), OF_QUICK);
        text.extend_from_slice(format!("ob_more {jobs} {workers}\n").as_bytes());
    }
    for command in commands {
        text.extend_from_slice(&command.text);
    }
    writer.write_all(&text).await?;
    writer.flush().await
}

/// The load of one worker: a number of jobs, or a number of bytes of scripts.
#[derive(Clone, Copy, Debug)]
struct Load {
    jobs: usize,
    bytes: usize,
}

/// Starting a worker costs as much as several quick jobs.
const OF_QUICK: Load = Load {
    jobs: 8,
    bytes: 64 << 10,
};
const OF_OTHERS: Load = Load {
    jobs: 2,
    bytes: 16 << 10,
};

/// How many workers the current jobs justify.
fn worth(jobs: &Jobs, load: Load) -> usize {
    let jobs = jobs.values().filter(|job| job.place == Place::Worker);
    let (count, size) = jobs.fold((0_usize, 0_usize), |(count, size), job| {
        (count + 1, size + job.size)
    });
    count.div_ceil(load.jobs).max(size.div_ceil(load.bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn waiting(jobs: &[(Place, usize)]) -> Jobs {
        let place = Arc::new(Semaphore::new(jobs.len()));
        let waiting = |(place, size), within| Waiting {
            tell: oneshot::channel().0,
            place,
            since: Instant::now(),
            size,
            most: 0,
            _within: within,
        };
        let permit = || Arc::clone(&place).try_acquire_owned().unwrap();
        let jobs = jobs.iter().map(|job| waiting(*job, permit()));
        (1..).zip(jobs).collect()
    }

    #[test]
    fn few_quick_jobs_are_worth_one_worker() {
        use Place::{Background, Shell, Worker};
        for (jobs, quick, slow) in [
            (vec![], 0, 0),
            (vec![(Worker, 1)], 1, 1),
            (vec![(Worker, 1_000); 8], 1, 4),
            (vec![(Worker, 1_000); 9], 2, 5),
            (vec![(Worker, 12_000); 2], 1, 2),
            (vec![(Worker, 40_000); 2], 2, 5),
            (vec![(Worker, 100); 100], 13, 50),
            (
                vec![(Worker, 100), (Background, 90_000), (Shell, 90_000)],
                1,
                1,
            ),
        ] {
            let jobs = waiting(&jobs);
            assert_eq!(worth(&jobs, OF_QUICK), quick, "{jobs:?}");
            assert_eq!(worth(&jobs, OF_OTHERS), slow, "{jobs:?}");
        }
    }

    #[test]
    fn a_look_for_help_comes_before_one_for_the_watchdog() {
        use Place::{Shell, Worker};
        let now = Instant::now();
        let mut jobs = waiting(&[(Worker, 1); 5]);
        let (next, asked) = Look::ForHelp(now).taken(&jobs);
        assert_eq!(asked, "ob_help 3\n");
        assert!(matches!(next, Look::ForWatch(_)));
        // None of them is slow yet.
        let (next, asked) = next.taken(&jobs);
        assert_eq!(asked, "");
        for job in jobs.values_mut() {
            job.since = now.checked_sub(SLOW).unwrap();
        }
        let (next, asked) = next.taken(&jobs);
        assert_eq!(asked, "ob_watch\n");
        assert!(matches!(next, Look::None));
        let (next, asked) = Look::ForHelp(now).taken(&waiting(&[(Shell, 1)]));
        assert_eq!(asked, "");
        assert!(matches!(next, Look::None));
    }

    #[test]
    fn a_node_that_is_far_away_has_more_time_to_be_quick() {
        for (reached, time) in [(10, 100), (600, 300), (60_000, 1_000)] {
            let time = Duration::from_millis(time);
            assert_eq!(quick(Duration::from_millis(reached)), time);
        }
    }

    #[test]
    fn what_has_a_limit_is_watched() {
        use Place::{Background, Shell, Worker};
        for (jobs, watched) in [
            (vec![], false),
            (vec![Shell], false),
            (vec![Shell, Worker], true),
            (vec![Background], true),
        ] {
            let jobs: Vec<_> = jobs.into_iter().map(|place| (place, 1)).collect();
            assert_eq!(due(&waiting(&jobs)).is_some(), watched, "{jobs:?}");
        }
    }
}
