//! Nodes side by side: one session for each, opened when its first test is due and shared by
//! all of them. Knows nothing of libtest.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::engine::{self, Checked, Passwords, Reach, Scope, Secrets, check, check_together};
use crate::nodes::Node;
use crate::plan::Case;
use crate::report::tested::Outcome;
use crate::session::{Cause, Lost, OpenError, OpenOptions};
use crate::suite::schedule::{Job, jobs};
use crate::suite::{Options, Progress};

/// What it takes to reach nodes.
#[derive(Clone, Debug)]
pub struct Access {
    pub open: OpenOptions,
    pub passwords: Passwords,
    pub secrets: Secrets,
}

/// A case, and who waits for its answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub case: Box<Case>,
    pub tell: mpsc::Sender<Answer>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub outcome: Outcome,
    pub tries: u32,
    pub took: Duration,
}

/// Shared by all nodes of a suite.
pub(super) struct Asking {
    pub access: Access,
    pub options: Options,
    pub progress: Arc<Progress>,
    nodes: Semaphore,
    threads: Option<Semaphore>,
    stop: watch::Sender<bool>,
}

/// Between two tries to reach a node.
const PAUSE: Duration = Duration::from_secs(1);
pub(super) const STOPPED: &str = "not asked: another one failed, and --fail-fast was given";

impl Asking {
    pub fn new(access: Access, options: Options, progress: Arc<Progress>) -> Asking {
        Asking {
            access,
            nodes: Semaphore::new(options.parallel.max(1)),
            threads: options
                .threads
                .map(|threads| Semaphore::new(threads.max(1))),
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

    fn tell(&self, pending: Pending, outcome: Outcome, tries: u32, took: Duration) {
        if matches!(outcome, Outcome::Failed(_) | Outcome::Error(_)) {
            self.failed();
        }
        self.progress.ended();
        // Nobody waits any more where the suite has been given up.
        let _ = pending.tell.send(Answer {
            outcome,
            tries,
            took,
        });
    }

    fn tell_all(&self, all: Vec<Pending>, outcome: &Outcome) {
        for pending in all {
            self.tell(pending, outcome.clone(), 1, Duration::ZERO);
        }
    }
}

/// Asks all cases of one node, and closes its session.
pub(super) async fn node(asking: Arc<Asking>, node: Arc<Node>, mut left: Vec<Pending>) {
    // The semaphore is never closed.
    let _place = asking.nodes.acquire().await;
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
                    asked = all(&asking, &reach, left) => asked,
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
            return asking.tell_all(left, &Outcome::Error(cause));
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
    let jobs = jobs(&known, cores);
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
        tasks.spawn(one(Arc::clone(asking), reach.clone(), part.collect()));
    }
    let (mut unanswered, mut lost) = (Vec::new(), None);
    while let Some(ended) = tasks.join_next().await {
        if let Ok((more, Some(cause))) = ended {
            unanswered.extend(more);
            lost = lost.or(Some(cause));
        }
    }
    (unanswered, lost)
}

/// One job: a case alone, or several together.
async fn one(
    asking: Arc<Asking>,
    reach: Reach,
    part: Vec<Pending>,
) -> (Vec<Pending>, Option<Lost>) {
    let _place = match &asking.threads {
        Some(threads) => threads.acquire().await.ok(),
        None => None,
    };
    if asking.is_stopped() {
        asking.tell_all(part, &Outcome::Ignored(STOPPED.to_owned()));
        return (Vec::new(), None);
    }
    let (scope, secrets) = (Scope::default(), &asking.access.secrets);
    let checked = match &part[..] {
        [alone] => vec![check(&reach, &alone.case, &scope, secrets).await],
        many => {
            let cases: Vec<&Case> = many.iter().map(|pending| &*pending.case).collect();
            check_together(&reach, &cases, &scope, secrets).await
        }
    };
    let (mut unanswered, mut lost) = (Vec::new(), None);
    for (
        pending,
        Checked {
            outcome,
            tries,
            took,
        },
    ) in part.into_iter().zip(checked)
    {
        let outcome = match outcome {
            engine::Outcome::Held => Outcome::Passed,
            engine::Outcome::Failed(evidence) => Outcome::Failed(evidence),
            engine::Outcome::Unknown(why) => {
                let why = why.strip_prefix("cannot look: ").unwrap_or(&why);
                Outcome::Error(why.to_owned())
            }
            // A fault of this case, not of the connection.
            engine::Outcome::Lost(Lost::Refused { reason }) => Outcome::Error(reason),
            engine::Outcome::Lost(cause) => {
                lost = Some(cause);
                unanswered.push(pending);
                continue;
            }
        };
        asking.tell(pending, outcome, tries, took);
    }
    (unanswered, lost)
}

fn unreachable(node: &Node, error: &OpenError) -> Outcome {
    let said = error.said.trim();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!("\n{said}")
    };
    Outcome::Error(format!(
        "`{}` cannot be reached: {}{said}",
        node.name, error.cause
    ))
}

/// A fault that may be gone at the next try.
fn is_passing(cause: &Cause) -> bool {
    match cause {
        Cause::Refused
        | Cause::TimedOut
        | Cause::NoRoute
        | Cause::Name
        | Cause::Dropped
        | Cause::Other => true,
        Cause::Jump(inner) => is_passing(inner),
        _ => false,
    }
}
