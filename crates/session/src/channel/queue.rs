//! What is queued for a runner and what it has not answered yet: how much of it is written at
//! a time, when it must be watched, and how many workers it is worth.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use zeroize::Zeroizing;

use super::{Done, Writer, lock};

/// A job that has taken this long is watched: its time limit is counted on the node.
const SLOW: Duration = Duration::from_secs(1);
/// Scripts of this size are work for a worker.
const LONG: usize = 16 << 10;

pub(super) type Text = Zeroizing<Vec<u8>>;

/// One line for the runner.
#[derive(Debug, Default)]
pub(super) struct Command {
    pub(super) text: Text,
    /// Whether it is a job for a worker.
    pub(super) worker: bool,
}

/// By their ids, in the order in which they were sent.
pub(super) type Jobs = BTreeMap<u64, Waiting>;

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) tell: oneshot::Sender<Done>,
    pub(super) place: Place,
    pub(super) since: Instant,
    /// Of the text, in bytes.
    pub(super) size: usize,
    /// Bytes kept of each stream.
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

/// Writes what is queued, as much as there is at a time, and says first how many jobs that
/// is. Asks for the watchdog where one of them takes its time. An empty command ends it.
pub(super) async fn write(
    mut writer: Writer,
    mut queue: mpsc::UnboundedReceiver<Command>,
    jobs: &Mutex<Jobs>,
) -> io::Result<()> {
    let mut look: Option<Instant> = None;
    loop {
        let command = tokio::select! {
            command = queue.recv() => command,
            () = at(look) => {
                look = due(&lock(jobs));
                if look.is_some_and(|due| due <= Instant::now()) {
                    look = None;
                    writer.write_all(b"ob_watch\n").await?;
                    writer.flush().await?;
                }
                continue;
            }
        };
        let Some(command) = command else { break };
        look = look.or_else(|| Some(Instant::now() + SLOW));
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

/// When the oldest of the jobs that have a limit has taken long enough to be watched.
fn due(jobs: &Jobs) -> Option<Instant> {
    let limited = |job: &&Waiting| job.place != Place::Shell;
    Some(jobs.values().find(limited)?.since + SLOW)
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
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
        let workers = worth(&lock(waiting));
        text.extend_from_slice(format!("ob_more {jobs} {workers}\n").as_bytes());
    }
    for command in commands {
        text.extend_from_slice(&command.text);
    }
    writer.write_all(&text).await?;
    writer.flush().await
}

/// How many workers the jobs at hand are worth: to start one costs as much as a quick job.
fn worth(jobs: &Jobs) -> usize {
    let jobs = jobs.values().filter(|job| job.place == Place::Worker);
    let (count, size) = jobs.fold((0_usize, 0_usize), |(count, size), job| {
        (count + 1, size + job.size)
    });
    count.div_ceil(2).max(size.div_ceil(LONG)).max(1)
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
        for (jobs, workers) in [
            (vec![(Worker, 1)], 1),
            (vec![(Worker, 2_000); 2], 1),
            (vec![(Worker, 2_000); 3], 2),
            (vec![(Worker, 12_000); 2], 2),
            (vec![(Worker, 100); 100], 50),
            (
                vec![(Worker, 100), (Background, 90_000), (Shell, 90_000)],
                1,
            ),
        ] {
            assert_eq!(worth(&waiting(&jobs)), workers, "{jobs:?}");
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
