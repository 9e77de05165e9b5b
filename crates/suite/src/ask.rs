//! Evaluates the tests of many nodes in parallel. Each node has one session, opened for its first
//! test and shared by all its tests.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::emitter::Emitter;
use crate::engine::{
    Passwords, Reach, Scope, Secrets, bundle_dir, check, check_together, human, traces,
};
use crate::event::{Checked, Outcome, What};
use crate::nodes::Node;
use crate::outside::Outside;
use crate::plan::Case;
use crate::schedule::{Job, jobs};
use crate::session::{Cause, Lost, OpenError, OpenOptions};
use crate::{Options, Test, Traces};

/// Everything needed to reach nodes.
#[derive(Clone, Debug)]
pub struct Access {
    /// Options for opening sessions.
    pub open: OpenOptions,
    /// Passwords for `sudo`.
    pub passwords: Passwords,
    /// Secrets, which are also masked.
    pub secrets: Secrets,
}

/// Runs the procedure of a test.
pub type Rehearse =
    Arc<dyn Fn(&Test) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// The tests of one node.
pub(super) struct OfNode {
    pub node: Arc<Node>,
    pub checks: Vec<Pending>,
    /// Procedures with their test numbers. They run after all checks, one after the other: each
    /// locks the node.
    pub procedures: Vec<(usize, Test)>,
}

/// A case that has not ended.
#[derive(Debug)]
pub(super) struct Pending {
    /// Its index in the suite.
    pub number: usize,
    pub case: Box<Case>,
}

/// Shared by all nodes of a suite.
pub(super) struct Asking {
    access: Access,
    options: Options,
    rehearse: Rehearse,
    told: Emitter,
    nodes: Semaphore,
    threads: Option<Arc<Semaphore>>,
    stop: watch::Sender<Option<Stop>>,
}

/// The pause between two tries to reach a node.
const PAUSE: Duration = Duration::from_secs(1);

/// Why no more tests are evaluated.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// `--fail-fast`
    AnotherFailed,
    /// `--time-limit`
    TimeIsUp(Duration),
}

impl Stop {
    /// The outcome of a case that was not evaluated by then: it did not pass.
    fn outcome(self) -> Outcome {
        match self {
            Stop::AnotherFailed => Outcome::Ignored(
                "not evaluated: another one failed, and --fail-fast was given".to_owned(),
            ),
            Stop::TimeIsUp(limit) => {
                let limit = human(limit);
                let why = format!(
                    "the time limit of the suite ({limit}) passed before there was an answer"
                );
                Outcome::Unknown(why.into())
            }
        }
    }
}

impl Asking {
    pub fn new(access: Access, rehearse: Rehearse, options: Options, told: Emitter) -> Asking {
        let threads = options.threads.map(|threads| threads.max(1));
        Asking {
            access,
            rehearse,
            told,
            nodes: Semaphore::new(options.parallel.max(1)),
            threads: threads.map(|threads| Arc::new(Semaphore::new(threads))),
            options,
            stop: watch::Sender::new(None),
        }
    }

    pub fn told(&self) -> &Emitter {
        &self.told
    }

    /// Reports the outcome of a case, unless it has one. With `--fail-fast`, stops after the first
    /// one that does not pass.
    pub fn ended(&self, number: usize, checked: Checked) {
        let bad = matches!(checked.outcome, Outcome::Failed(_) | Outcome::Unknown(_));
        if self.told.ended(number, checked) && bad && self.options.fail_fast {
            self.stop(Stop::AnotherFailed);
        }
    }

    /// The same for several cases.
    fn all_ended(&self, numbers: &[usize], outcome: &Outcome) {
        for number in numbers {
            self.ended(*number, Checked::at_once(outcome.clone()));
        }
    }

    /// Stops evaluating. A running procedure continues to its end: a half-finished one has no
    /// meaning.
    pub fn time_is_up(&self, limit: Duration) {
        self.stop(Stop::TimeIsUp(limit));
    }

    /// The first reason counts.
    fn stop(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(why);
            first
        });
    }

    /// The outcome of cases without one after a stop.
    fn stopped(&self) -> Option<Outcome> {
        self.stop.borrow().map(Stop::outcome)
    }

    fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    async fn until_stopped(&self) {
        // The sender is in `self`, so waiting cannot fail.
        let _ = self.stop.subscribe().wait_for(Option::is_some).await;
    }

    /// A permit to evaluate, if their number is limited.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let threads = self.threads.as_ref()?;
        Arc::clone(threads).acquire_owned().await.ok()
    }
}

/// Evaluates all tests of one node.
pub(super) async fn node(asking: Arc<Asking>, of: OfNode) {
    // The semaphore is never closed.
    let _place = asking.nodes.acquire().await;
    if !of.checks.is_empty() {
        checks(&asking, &of.node, of.checks).await;
    }
    procedures(&asking, of.procedures).await;
}

/// Runs procedures one after the other.
pub(super) async fn procedures(asking: &Asking, procedures: Vec<(usize, Test)>) {
    for (number, test) in procedures {
        let begin = Instant::now();
        let outcome = if let Some(outcome) = asking.stopped() {
            outcome
        } else {
            asking.told.started(number);
            (asking.rehearse)(&test).await
        };
        let milliseconds = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let checked = Checked {
            outcome,
            tries: 1,
            milliseconds,
        };
        asking.ended(number, checked);
    }
}

/// Evaluates all cases; uses another session if the first one breaks and another try may help.
async fn checks(asking: &Arc<Asking>, node: &Arc<Node>, mut left: Vec<Pending>) {
    let numbers: Vec<usize> = left.iter().map(|pending| pending.number).collect();
    let mut again = asking.options.retries;
    while !asking.is_stopped() {
        let Err(fault) = session(asking, node, &numbers, &mut left).await else {
            break;
        };
        match fault {
            Fault::Passing(_) if again > 0 => again -= 1,
            Fault::Passing(why) | Fault::Lasting(why) => {
                return asking.all_ended(&numbers, &Outcome::Unknown(why));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    if let Some(outcome) = asking.stopped() {
        asking.all_ended(&numbers, &outcome);
    }
}

/// Why cases could not be evaluated.
enum Fault {
    /// It may disappear at the next try.
    Passing(Outside),
    Lasting(Outside),
}

/// Opens one session, evaluates the remaining cases in it, and closes it. Cases that then still
/// remain could not be evaluated.
async fn session(
    asking: &Arc<Asking>,
    node: &Arc<Node>,
    numbers: &[usize],
    left: &mut Vec<Pending>,
) -> Result<(), Fault> {
    let tell = |what| asking.told.tell(Some(&node.name), what);
    tell(What::NodeTried);
    let reach = tokio::select! {
        opened = Reach::open(node, &asking.access.open, &asking.access.passwords) => {
            opened.map_err(|error| {
                let cause = error.to_string().into();
                tell(What::NodeUnreachable { cause });
                unreachable(node, &error)
            })?
        }
        () = asking.until_stopped() => return Ok(()),
    };
    let hello = reach.session().hello();
    tell(What::NodeReached {
        user: hello.user.clone(),
        shell: hello.shell.clone(),
        milliseconds: u64::try_from(hello.connect.as_millis()).unwrap_or(u64::MAX),
    });
    let cases = std::mem::take(left);
    let lost = tokio::select! {
        ((unanswered, lost), ()) = async {
            tokio::join!(all(asking, &reach, cases), traced(asking, node, &reach))
        } => {
            *left = unanswered;
            lost
        }
        () = asking.until_stopped() => None,
    };
    if let Some(outcome) = asking.stopped() {
        asking.all_ended(numbers, &outcome);
    }
    reach.close().await;
    let Some(lost) = lost else { return Ok(()) };
    let cause: Outside = lost.to_string().into();
    tell(What::ConnectionLost {
        cause: cause.clone(),
    });
    Err(Fault::Passing(cause))
}

/// Reads which runs left a trace on the node, if requested. This happens in parallel with the
/// checks and delays nothing; a node that does not answer reports nothing.
async fn traced(asking: &Asking, node: &Node, reach: &Reach) {
    if asking.options.traces == Traces::Left {
        return;
    }
    let dir = bundle_dir(node, reach.session().hello());
    if let Ok(runs) = traces(reach.session(), &dir).await {
        asking
            .told
            .tell(Some(&node.name), What::NodeTraced { runs });
    }
}

/// Evaluates cases; returns those without an answer before the connection ended, and why it ended.
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
        // Only a few run at once, so sort by the order of the book.
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
        // The first case without an answer delayed the others.
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

/// The result of a job, without what was already reported.
#[derive(Default)]
struct Part {
    /// To be evaluated in another way.
    again: Vec<Pending>,
    /// The connection ended first.
    unanswered: Vec<Pending>,
    lost: Option<Lost>,
}

/// One job: a single case, or several together.
async fn one(
    asking: Arc<Asking>,
    reach: Reach,
    cases: Vec<Pending>,
    _place: Option<OwnedSemaphorePermit>,
) -> Part {
    if asking.is_stopped() {
        return Part::default();
    }
    for pending in &cases {
        asking.told.started(pending.number);
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
                    Some(checked) => asking.ended(pending.number, shown(checked)),
                }
            }
        }
    }
    part
}

/// Reports have their own words for a case that could not be evaluated.
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

fn unreachable(node: &Node, error: &OpenError) -> Fault {
    let said = error.said.trimmed();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!("\n{}", said.block())
    };
    let text = format!("`{}` cannot be reached: {error}{said}", node.name);
    if is_passing(&error.cause) {
        Fault::Passing(text.into())
    } else {
        Fault::Lasting(text.into())
    }
}

/// Whether a fault may disappear at the next try.
fn is_passing(cause: &Cause) -> bool {
    match cause {
        Cause::Jump(inner) => is_passing(inner),
        Cause::Auth
        | Cause::HostKeyUnknown { .. }
        | Cause::HostKeyChanged { .. }
        | Cause::HostKeyRevoked { .. }
        | Cause::Config
        | Cause::Algorithms
        | Cause::NoDirectory
        | Cause::NotAllowed
        | Cause::Program { .. } => false,
        _ => true,
    }
}
