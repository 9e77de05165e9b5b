//! A run on one node, from reaching it to closing its bundle.
//!
//! `steps` chooses the next step, also in a resumed run; `step` executes one; `script` starts one
//! of its scripts and follows it to its end; `judge` decides the outcome.

pub(super) mod ask;
pub(super) mod by_hand;
pub(super) mod deliver;
mod durable;
mod fetch;
mod follow;
pub(super) mod judge;
mod programs;
mod reattach;
pub(super) mod script;
pub(super) mod step;
pub(super) mod steps;
#[cfg(test)]
mod tests;
mod worked;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::Options;
use crate::bundle::{Bundle, BundleError, Claim};
use crate::bundles::{Bundles, CaughtUp, bundle_dir, dir_of};
use crate::check::check;
use crate::event::{Checked, Outcome, Status, What};
use crate::given::Given;
use crate::halt::{Attention, Halt};
use crate::joint::Joint;
use crate::journal::{JournalError, Line, Record};
use crate::manual::{On, SudoUser};
use crate::peers::{Peer, Peers};
use crate::plan::{Case, NodePlan, Plan, PlannedStep};
use crate::proof::captured_names;
use crate::reach::Reach;
use crate::recorder::Recorder;
use crate::scope::Scope;
use crate::session::Lost;

use deliver::Prepared;

/// A run on one node.
pub struct NodeRun<'a> {
    pub given: Given<'a>,
    pub bundles: Bundles<'a>,
    pub scope: Scope,
    pub prepared: Prepared,
    /// How each step ended, as far as this controller knows.
    pub passed: BTreeMap<usize, Status>,
    /// The current step.
    pub at_hand: AtHand,
    /// The operator wants to halt before the next step.
    pub hold: bool,
    /// The other nodes of the run, for checks there.
    pub peers: Peers,
    /// For a step that runs on several nodes: its joint checks.
    pub joint: Option<Joint<'a>>,
    /// On a node that serves several turns, one step runs at a time.
    pub gate: Option<Arc<Mutex<()>>>,
    /// Counts the operator's Ctrl-C; those that this node has handled are marked as seen.
    pub interrupts: watch::Receiver<u32>,
}

/// The current step.
pub struct AtHand {
    /// The journal line that begins it.
    pub line: Line,
    /// Some of it ran, as far as anybody knows.
    pub begun: bool,
    /// How long it has waited for answers.
    pub waited: Duration,
}

/// How a run ended on a node.
pub struct Ended {
    pub status: Status,
    /// As intended: other nodes may follow.
    pub well: bool,
    /// Its sessions, while they are being closed.
    pub closing: Option<JoinHandle<()>>,
}

impl Ended {
    /// Waits until nothing of ours is left on the node.
    pub async fn closed(&mut self) {
        if let Some(closing) = self.closing.take() {
            let _ = closing.await;
        }
    }
}

/// Runs or continues a plan on its node, and returns how that ended.
pub async fn run_node(
    options: &Options,
    recorder: &Recorder,
    plan: &Plan,
    node: &NodePlan,
    resume: Option<&Record>,
) -> Result<Ended, JournalError> {
    let mut closing = None;
    let ended = Box::pin(attempt(options, recorder, plan, node, resume, &mut closing)).await;
    let (status, cause, well) = match ended {
        Ok(()) => (Status::Ok, None, true),
        Err(Halt::Journal(error)) => return Err(error),
        Err(Halt::AsAsked(cause)) => (Status::Stopped, Some(cause), true),
        Err(Halt::End { status, cause, .. }) => (status, Some(cause), false),
    };
    let cause = cause.map(Into::into);
    recorder.record(Some(node.site()), None, What::NodeEnded { status, cause })?;
    Ok(Ended {
        status,
        well,
        closing,
    })
}

async fn attempt(
    options: &Options,
    recorder: &Recorder,
    plan: &Plan,
    node: &NodePlan,
    resume: Option<&Record>,
    closing: &mut Option<JoinHandle<()>>,
) -> Result<(), Halt> {
    let reach = Reach::open(&node.node, &options.open, &options.passwords);
    let reach = async { tokio::join!(reach, recorder.synced()) };
    let (reach, synced) = Box::pin(uninterrupted(options, reach)).await?;
    synced?;
    let reach = reach.map_err(|error| Halt::error(error.sentence()))?;
    let given = Given {
        options,
        recorder,
        plan: node,
        last: node.last_number(),
        below: false,
    };
    let mut run = NodeRun::new(given, reach, resume);
    let result = match run.run_all(plan, resume).await {
        Ok(()) => run.close_bundles().await,
        Err(halt) => run.keep_bundles(&halt).await.and(Err(halt)),
    };
    let reach = run.bundles.reach.clone();
    if result.is_ok() {
        reach.let_go().await;
    }
    *closing = Some(tokio::spawn(async move { reach.close().await }));
    result
}

/// Runs `work` until the operator interrupts. Only for work that can be dropped without leaving
/// anything behind.
pub async fn uninterrupted<T>(options: &Options, work: impl Future<Output = T>) -> Result<T, Halt> {
    let mut interrupts = options.interrupts.clone();
    tokio::select! {
        biased;
        Ok(_) = interrupts.wait_for(|count| *count > 0) => {
            let cause = "stopped before the first step";
            Err(Halt::end(Status::Stopped, cause))
        }
        done = work => Ok(done),
    }
}

impl<'a> NodeRun<'a> {
    /// A run on a node that was reached.
    pub fn new(given: Given<'a>, reach: Reach, resume: Option<&Record>) -> NodeRun<'a> {
        NodeRun {
            given,
            bundles: Bundles::new(given, reach, resume),
            scope: Scope::default(),
            prepared: Prepared::default(),
            passed: BTreeMap::new(),
            at_hand: AtHand {
                line: given.recorder.head().0,
                begun: false,
                waited: Duration::ZERO,
            },
            hold: false,
            peers: Peers::default(),
            joint: None,
            gate: None,
            interrupts: given.options.interrupts.clone(),
        }
    }

    async fn run_all(&mut self, plan: &Plan, resume: Option<&Record>) -> Result<(), Halt> {
        let dir = self.begin(plan, resume).await?;
        let caught_up = match resume {
            Some(record) if self.given.options.on_lag.catches_up() => {
                match self.bundles.catch_up(&dir, record).await? {
                    CaughtUp::Ended => return Ok(()),
                    CaughtUp::GoesOn(record) => Some(record),
                }
            }
            _ => None,
        };
        let resume = caught_up.as_deref().or(resume);
        self.know_before(resume);
        // A part that has not begun is verified as in a new run.
        if !resume.is_some_and(|record| record.has_begun(self.given.site())) {
            self.prove_needs().await?;
        }
        let first = self.first_due_step(resume);
        let elsewhere = BTreeSet::new();
        self.prove_ready(&dir, first, resume, &elsewhere).await?;
        self.open_bundles(&dir, first, resume).await?;
        self.compare_bundles(&dir, first, resume).await?;
        self.confirm_run(plan).await?;
        self.run_steps(first, resume).await
    }

    /// Journals that the node was reached, and tests `sudo`. Returns the bundle's folder.
    pub async fn begin(&mut self, plan: &Plan, resume: Option<&Record>) -> Result<String, Halt> {
        let hello = self.bundles.reach.session().hello().clone();
        let milliseconds = u64::try_from(hello.connect.as_millis()).unwrap_or(u64::MAX);
        self.given.record(
            None,
            What::NodeReached {
                user: hello.user.clone(),
                shell: hello.shell.clone(),
                milliseconds,
            },
        )?;
        self.scope.set("procedure", &plan.procedure);
        self.scope.set("run_id", self.given.run());
        self.take_given(plan, resume)?;
        uninterrupted(self.given.options, self.prove_sudo()).await??;
        let dir = dir_of(&self.given, &hello);
        self.scope.set("bundle", &dir);
        if resume.is_none() {
            self.given.record_pinned()?;
        }
        Ok(dir)
    }

    /// Reads the journal's results of finished steps.
    pub fn know_before(&mut self, resume: Option<&Record>) {
        self.bundles.know_others(resume);
        let Some(record) = resume else { return };
        let site = self.given.site();
        let steps = record.steps(site).into_iter();
        let ended = steps.filter_map(|(number, status)| Some((number, status?)));
        self.passed.extend(ended);
        for (name, value) in record.captured(site) {
            self.scope.set_again(&name, value);
        }
    }

    /// Finds obstacles of steps before anything changes.
    pub async fn prove_ready(
        &mut self,
        dir: &str,
        first: usize,
        resume: Option<&Record>,
        elsewhere: &BTreeSet<String>,
    ) -> Result<(), Halt> {
        self.prove_captured(first, resume.is_some(), elsewhere)?;
        self.prepared = uninterrupted(self.given.options, Prepared::new(self, first)).await??;
        self.prove_programs(first).await?;
        self.prove_durable(&[dir.to_owned()], first).await
    }

    /// Opens the bundles of all users: from then on no other controller can start anything there.
    pub async fn open_bundles(
        &mut self,
        dir: &str,
        first: usize,
        resume: Option<&Record>,
    ) -> Result<(), Halt> {
        self.bundles.open_or_reopen(dir, first, resume).await?;
        self.bundles.open_others().await?;
        self.bundles.warn_of_mortal_steps().await
    }

    /// Compares the bundles with the journal.
    pub async fn compare_bundles(
        &mut self,
        dir: &str,
        first: usize,
        resume: Option<&Record>,
    ) -> Result<(), Halt> {
        if let Some(record) = resume.filter(|_| self.bundles.was_taken_over()) {
            self.bundles.agree(record).await?;
        }
        if self.bundles.is_open() {
            self.scope.set_state(On::Node, dir);
        }
        self.see_local_state();
        let others = self.bundles.dirs_of_others();
        self.prove_durable(&others, first).await
    }

    /// The bundle with the records of steps on this side and of this user.
    pub async fn bundle_of(
        &mut self,
        on: On,
        sudo: Option<&SudoUser>,
    ) -> Result<Bundle, Attention> {
        let bundle = self.bundles.of(on, sudo).await;
        self.see_local_state();
        bundle
    }

    /// Lets checks on this machine see the variables of local steps.
    fn see_local_state(&mut self) {
        if let Some(dir) = self.bundles.open_local_dir() {
            self.scope.set_state(On::Local, dir);
        }
    }

    pub async fn close_bundles(&mut self) -> Result<(), Halt> {
        // Leave no last claim if nothing was done.
        let end = self.bundles.were_used().then(|| self.last_claim());
        self.bundles.close(end.as_ref()).await
    }

    /// Closes the bundles even if the connection was cut since the last step here.
    pub async fn close_found_again(&mut self) -> Result<(), Halt> {
        let own = self.bundles.own();
        if let Ok(own) = own
            && let Err(BundleError::Lost(lost)) = own.mine().await
        {
            let cause = lost.to_string().into();
            self.given.record(None, What::ConnectionLost { cause })?;
            self.reattach(false).await.map_err(Halt::error)?;
        }
        self.close_bundles().await
    }

    /// In a turn on a node with a main-line bundle: takes over the delivered files and the
    /// variables of earlier steps.
    pub async fn take_from_main_line(&mut self) -> Result<(), Halt> {
        let hello = self.bundles.reach.session().hello();
        let held = bundle_dir(&self.given.plan.node, hello);
        let taken = self.bundles.take_from(&held).await;
        taken.map_err(Attention::into_halt)
    }

    /// The names that steps of the procedure capture.
    pub fn captured_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let captures = self.given.plan.captures.iter();
        captures.map(|capture| capture.name.as_str())
    }

    /// Evaluates a check that belongs to no step, about the work before it.
    pub async fn ask_alone(&mut self, case: &Case) -> Result<(), Halt> {
        match self.check(None, case).await? {
            Outcome::Held | Outcome::Ignored(_) => Ok(()),
            Outcome::Failed(_) => {
                let cause = format!("`{}` does not hold", case.name);
                Err(Halt::end(Status::Failed, cause))
            }
            Outcome::Unknown(why) => {
                let cause = format!("`{}` could not be evaluated: {}", case.name, why.exact());
                Err(Halt::error(cause))
            }
        }
    }

    /// Keeps the bundles, unless nothing was done in them.
    pub async fn keep_bundles(&mut self, halt: &Halt) -> Result<(), Halt> {
        match halt {
            Halt::Journal(_) => Ok(()),
            _ if self.bundles.were_used() => self.bundles.keep(&self.scope).await,
            _ => self.close_bundles().await,
        }
    }

    /// The claim about the current step, for the node.
    pub fn claim(&self, step: &PlannedStep) -> Claim {
        Claim {
            sha256: step.sha256.clone(),
            epoch: self.given.recorder.head().1,
            seq: self.at_hand.line.seq,
            hash: self.at_hand.line.hash.clone(),
            passed: self.letters(step.number - 1),
        }
    }

    /// The claim about the end of the run, for the node: how all steps ended, also those of other
    /// nodes, so that a node with a leftover bundle is known to be finished.
    pub fn last_claim(&self) -> Claim {
        let known = self.passed.keys().max().copied().unwrap_or_default();
        let (line, epoch) = self.given.recorder.head();
        Claim {
            sha256: self.given.plan.sha256.clone(),
            epoch,
            seq: line.seq,
            hash: line.hash,
            passed: self.letters(known.max(self.given.plan.last_number())),
        }
    }

    fn letters(&self, upto: usize) -> String {
        let letter = |number| match self.passed.get(&number) {
            Some(Status::Ok) => 'o',
            Some(Status::ByHand) => 'h',
            Some(Status::Skipped) => 's',
            _ => '-',
        };
        (1..=upto).map(letter).collect()
    }

    /// Takes the operator's values for captured names; a later capture has priority.
    fn take_given(&mut self, plan: &Plan, resume: Option<&Record>) -> Result<(), Halt> {
        let captured = resume.map(|record| record.captured(self.given.site()));
        let captured = captured.unwrap_or_default();
        for (name, value) in plan.given(self.given.plan) {
            if captured.iter().any(|(known, _)| known == name) {
                continue;
            }
            self.scope.set(name, value);
            let (name, value) = (name.to_owned(), value.into());
            self.given
                .record(None, What::ValueCaptured { name, value })?;
        }
        Ok(())
    }

    /// Checks that all captured values needed by the due steps are still known.
    fn prove_captured(
        &self,
        first: usize,
        resuming: bool,
        elsewhere: &BTreeSet<String>,
    ) -> Result<(), Halt> {
        let steps = self.given.plan.steps.iter();
        let due = steps.filter(|step| step.number >= first || (resuming && step.setup));
        let mut captured = Vec::new();
        for step in due {
            captured.extend(step.capture.as_deref());
            for name in captured_names(&self.given.options.root, self.given.plan, step) {
                if !captured.contains(&name.as_str()) && !elsewhere.contains(&name) {
                    self.scope.captured(&name)?;
                }
            }
            if self.given.options.stop_after == Some(step.number) {
                break;
            }
        }
        Ok(())
    }

    /// Tests `sudo` before anything changes.
    async fn prove_sudo(&mut self) -> Result<(), Halt> {
        for user in self.given.plan.sudo_users() {
            let user = SudoUser(user.to_owned());
            self.bundles.reach.to(On::Node, Some(&user)).await?;
            self.given.record(None, What::SudoProven { user: user.0 })?;
        }
        Ok(())
    }

    /// Evaluates the checks that must hold before anything changes.
    pub async fn prove_needs(&mut self) -> Result<(), Halt> {
        let plan = self.given.plan;
        let needs = plan.needs.iter().flat_map(|need| &need.cases);
        for case in needs.chain(&plan.before) {
            self.prove(case).await?;
        }
        Ok(())
    }

    /// Evaluates one case that must hold before anything changes.
    pub async fn prove(&mut self, case: &Case) -> Result<(), Halt> {
        let does_not_hold = match self.check(None, case).await? {
            Outcome::Held | Outcome::Ignored(_) => return Ok(()),
            Outcome::Failed(_) => format!("`{}` does not hold", case.name),
            Outcome::Unknown(why) => {
                let cause = format!("`{}` could not be evaluated: {}", case.name, why.exact());
                return Err(Halt::error(cause));
            }
        };
        Err(Halt::end(Status::Blocked, does_not_hold))
    }

    /// Evaluates a case and journals the outcome. Reconnects once after a lost connection: a check
    /// changes nothing.
    pub async fn check(
        &mut self,
        step: Option<&PlannedStep>,
        case: &Case,
    ) -> Result<Outcome, Halt> {
        let mut checked = self.look(case).await?;
        if let Err(lost) = &checked
            && !matches!(lost, Lost::Endless { .. })
        {
            let cause = lost.to_string().into();
            if let Some(peer) = self.peer(case) {
                self.given
                    .record_on(&case.node.name, step, What::ConnectionLost { cause })?;
                let node = &peer.reach.node;
                let again = Reach::open(
                    node,
                    &self.given.options.open,
                    &self.given.options.passwords,
                );
                let reach = again.await.map_err(|error| Halt::error(error.sentence()))?;
                self.peers.put(
                    &node.name,
                    Peer {
                        reach,
                        ..peer.clone()
                    },
                );
                checked = self.look(case).await?;
            } else if self.bundles.is_open() {
                self.given.record(step, What::ConnectionLost { cause })?;
                self.reattach(false).await.map_err(Halt::error)?;
                checked = self.look(case).await?;
            }
        }
        let checked = checked
            .unwrap_or_else(|lost| Checked::at_once(Outcome::Unknown(lost.to_string().into())));
        let outcome = checked.outcome.clone();
        let written = checked.written(case.name.clone(), case.span.place());
        self.given.record_on(&case.node.name, step, written)?;
        Ok(outcome)
    }

    /// The node that a case is about, if it is another one.
    fn peer(&self, case: &Case) -> Option<Peer> {
        let elsewhere = case.on == On::Node && case.node.name != self.given.node();
        elsewhere.then(|| self.peers.get(&case.node.name)).flatten()
    }

    /// Evaluates a case unless somebody presses Ctrl-C.
    async fn look(&self, case: &Case) -> Result<Result<Checked, Lost>, Halt> {
        let mut interrupts = self.interrupts.clone();
        let secrets = &self.given.options.secrets;
        let peer = self.peer(case);
        let (reach, scope) = match &peer {
            Some(peer) => (&peer.reach, &peer.scope(&self.scope)),
            None => (&self.bundles.reach, &self.scope),
        };
        tokio::select! {
            biased;
            Ok(()) = interrupts.changed() => {
                let cause = format!("stopped while evaluating `{}`", case.name);
                Err(Halt::end(Status::Stopped, cause))
            }
            checked = check(reach, case, scope, secrets) => Ok(checked),
        }
    }
}
