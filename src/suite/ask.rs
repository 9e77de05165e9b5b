//! Nodes side by side: one session for each, opened when its first test is due and shared by
//! all of them. Knows nothing of libtest.

use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::engine::{Passwords, Reach, Scope, Secrets, check, check_together};
use crate::event::{Checked, Outcome};
use crate::nodes::Node;
use crate::plan::Case;
use crate::session::{Cause, Lost, OpenError, OpenOptions};
use crate::suite::schedule::{Job, jobs};
use crate::suite::{Options, Progress, Test};

/// What it takes to reach nodes.
#[derive(Clone, Debug)]
pub struct Access {
    pub open: OpenOptions,
    pub passwords: Passwords,
    pub secrets: Secrets,
}

/// Runs the procedure of a test.
pub type Rehearse =
    Arc<dyn Fn(&Test) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// What is asked of one node.
pub(super) struct OfNode {
    pub node: Arc<Node>,
    pub checks: Vec<Pending>,
    /// After all checks, one after the other: each of them holds the node.
    pub procedures: Vec<(Test, mpsc::Sender<Checked>)>,
}

/// A case, and who waits for its answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub case: Box<Case>,
    pub tell: mpsc::Sender<Checked>,
}

/// Shared by all nodes of a suite.
pub(super) struct Asking {
    pub access: Access,
    pub options: Options,
    pub progress: Arc<Progress>,
    rehearse: Rehearse,
    nodes: Semaphore,
    threads: Option<Arc<Semaphore>>,
    stop: watch::Sender<bool>,
}

/// Between two tries to reach a node.
const PAUSE: Duration = Duration::from_secs(1);
pub(super) const STOPPED: &str = "not asked: another one failed, and --fail-fast was given";

impl Asking {
    pub fn new(
        access: Access,
        rehearse: Rehearse,
        options: Options,
        progress: Arc<Progress>,
    ) -> Asking {
        Asking {
            access,
            rehearse,
            nodes: Semaphore::new(options.parallel.max(1)),
            threads: options
                .threads
                .map(|threads| Arc::new(Semaphore::new(threads.max(1)))),
            options,
            progress,
            stop: watch::Sender::new(false),
        }
    }

    /// Asks no more, where that is wanted after the first that fails.
    pub fn failed(&self) {
        if self.options.fail_fast {
            self.stop.send_replace(true);
        }
    }

    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    async fn stopped(&self) {
        // The sender lives in `self`: waiting cannot fail.
        let _ = self.stop.subscribe().wait_for(|stopped| *stopped).await;
    }

    fn tell(&self, tell: &mpsc::Sender<Checked>, checked: Checked) {
        if matches!(checked.outcome, Outcome::Failed(_) | Outcome::Unknown(_)) {
            self.failed();
        }
        self.progress.ended();
        // Nobody waits any more where the suite has been given up.
        let _ = tell.send(checked);
    }

    fn tell_all(&self, all: Vec<Pending>, outcome: &Outcome) {
        for pending in all {
            self.tell(&pending.tell, Checked::at_once(outcome.clone()));
        }
    }
}

/// Asks all of one node.
pub(super) async fn node(asking: Arc<Asking>, of: OfNode) {
    // The semaphore is never closed.
    let _place = asking.nodes.acquire().await;
    if !of.checks.is_empty() {
        checks(&asking, of.node, of.checks).await;
    }
    for (test, tell) in of.procedures {
        let begin = Instant::now();
        let outcome = if asking.is_stopped() {
            Outcome::Ignored(STOPPED.to_owned())
        } else {
            (asking.rehearse)(&test).await
        };
        let milliseconds = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        asking.tell(
            &tell,
            Checked {
                outcome,
                tries: 1,
                milliseconds,
            },
        );
    }
}

/// Asks all cases, and closes the session.
async fn checks(asking: &Arc<Asking>, node: Arc<Node>, mut left: Vec<Pending>) {
    let mut again = asking.options.retries;
    loop {
        if asking.is_stopped() {
            return asking.tell_all(left, &Outcome::Ignored(STOPPED.to_owned()));
        }
        asking.progress.connecting(&node.name);
        let opened = tokio::select! {
            opened = Reach::open(&node, &asking.access.open, &asking.access.passwords) => opened,
            () = asking.stopped() => return,
        };
        asking.progress.connected(&node.name);
        let cause = match opened {
            Ok(reach) => {
                let asked = tokio::select! {
                    asked = all(asking, &reach, left) => asked,
                    () = asking.stopped() => (Vec::new(), None),
                };
                reach.close().await;
                let (unanswered, lost) = asked;
                let Some(lost) = lost else { return };
                left = unanswered;
                lost.to_string()
            }
            Err(error) if !is_passing(&error.cause) => {
                return asking.tell_all(left, &unreachable(&node, &error));
            }
            Err(error) if again == 0 => return asking.tell_all(left, &unreachable(&node, &error)),
            Err(error) => error.to_string(),
        };
        if again == 0 {
            return asking.tell_all(left, &Outcome::Unknown(cause.into()));
        }
        again -= 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// The cases that the connection did not last for, and what ended it.
async fn all(
    asking: &Arc<Asking>,
    reach: &Reach,
    cases: Vec<Pending>,
) -> (Vec<Pending>, Option<Lost>) {
    let known: Vec<&Case> = cases.iter().map(|pending| &*pending.case).collect();
    let cores = match asking.options.threads {
        Some(1) => 1,
        _ => reach.session().hello().cores as usize,
    };
    let mut jobs = jobs(&known, cores);
    if asking.threads.is_some() {
        // A few at a time: in the order of the book, then.
        jobs.sort_by_key(Job::first);
    }
    let mut cases: Vec<Option<Pending>> = cases.into_iter().map(Some).collect();
    let mut tasks = JoinSet::new();
    for job in jobs {
        let positions = match job {
            Job::Together(positions) => positions,
            Job::Alone(position) => vec![position],
        };
        let part = positions
            .iter()
            .filter_map(|position| cases.get_mut(*position)?.take());
        let part = part.collect();
        let place = asking.place().await;
        tasks.spawn(one(Arc::clone(asking), reach.clone(), part, place));
    }
    let (mut unanswered, mut lost) = (Vec::new(), None);
    while let Some(ended) = tasks.join_next().await {
        let Ok(mut part) = ended else { continue };
        // The first one without an answer held up the others.
        if !part.again.is_empty() {
            let others = part.again.split_off(1);
            for cases in [part.again, others] {
                if !cases.is_empty() {
                    let place = asking.place().await;
                    tasks.spawn(one(Arc::clone(asking), reach.clone(), cases, place));
                }
            }
        }
        unanswered.extend(part.unanswered);
        lost = lost.or(part.lost);
    }
    (unanswered, lost)
}

/// What came of a job, but for what has been told.
#[derive(Default)]
struct Part {
    /// To be asked in another way.
    again: Vec<Pending>,
    /// The connection went first.
    unanswered: Vec<Pending>,
    lost: Option<Lost>,
}

/// One job: a case alone, or several together.
async fn one(
    asking: Arc<Asking>,
    reach: Reach,
    cases: Vec<Pending>,
    _place: Option<OwnedSemaphorePermit>,
) -> Part {
    if asking.is_stopped() {
        asking.tell_all(cases, &Outcome::Ignored(STOPPED.to_owned()));
        return Part::default();
    }
    let (scope, secrets) = (Scope::default(), &asking.access.secrets);
    let checked = match &cases[..] {
        [alone] => match check(&reach, &alone.case, &scope, secrets).await {
            // A fault of this case, not of the connection.
            Err(Lost::Refused { reason }) => Ok(Checked::at_once(Outcome::Unknown(reason))),
            checked => checked,
        }
        .map(|checked| vec![Some(checked)]),
        many => {
            let cases: Vec<&Case> = many.iter().map(|pending| &*pending.case).collect();
            check_together(&reach, &cases, &scope, secrets).await
        }
    };
    let mut part = Part::default();
    match checked {
        Err(lost) => {
            part.lost = Some(lost);
            part.unanswered = cases;
        }
        Ok(checked) => {
            for (pending, checked) in cases.into_iter().zip(checked) {
                match checked {
                    None => part.again.push(pending),
                    Some(checked) => asking.tell(&pending.tell, shown(checked)),
                }
            }
        }
    }
    part
}

impl Asking {
    /// Leave to ask, where only so many may ask at a time.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let threads = self.threads.as_ref()?;
        Arc::clone(threads).acquire_owned().await.ok()
    }
}

/// Reports say in words of their own that nobody could look.
fn shown(checked: Checked) -> Checked {
    let outcome = match checked.outcome {
        Outcome::Unknown(why) => {
            let why = why.exact();
            Outcome::Unknown(why.strip_prefix("cannot look: ").unwrap_or(why).into())
        }
        other => other,
    };
    Checked { outcome, ..checked }
}

fn unreachable(node: &Node, error: &OpenError) -> Outcome {
    let said = error.said.trimmed();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!("\n{}", said.block())
    };
    let text = format!("`{}` cannot be reached: {error}{said}", node.name);
    Outcome::Unknown(text.into())
}

/// A fault that may be gone at the next try.
fn is_passing(cause: &Cause) -> bool {
    match cause {
        Cause::Jump(inner) => is_passing(inner),
        Cause::Auth
        | Cause::HostKeyUnknown { .. }
        | Cause::HostKeyChanged { .. }
        | Cause::Config
        | Cause::Algorithms
        | Cause::NoDirectory
        | Cause::Program { .. } => false,
        _ => true,
    }
}
