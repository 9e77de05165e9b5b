//! A run on one node, from reaching it to closing its bundle.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::bundle::Bundle;
use crate::engine::check::check;
use crate::engine::deliver::Prepared;
use crate::engine::halt::Halt;
use crate::engine::proof::captured_names;
use crate::engine::reach::Reach;
use crate::engine::recorder::Recorder;
use crate::engine::scope::Scope;
use crate::engine::users::Place;
use crate::engine::{Options, random_mark};
use crate::event::{Checked, Outcome, Status, What};
use crate::journal::{JournalError, Line, Record};
use crate::manual::On;
use crate::nodes::Node;
use crate::plan::{Case, NodePlan, Plan, PlannedStep};
use crate::session::{Hello, Lost};

/// A run on one node.
pub(super) struct NodeRun<'a> {
    pub options: &'a Options,
    pub recorder: &'a Recorder,
    pub plan: &'a NodePlan,
    pub reach: Reach,
    pub scope: Scope,
    /// Of this controller; a new one for each connection.
    pub token: String,
    /// The bundle through other users' sessions.
    pub users: HashMap<String, Bundle>,
    /// Where the bundles of users are who have one of their own.
    pub places: HashMap<String, Place>,
    pub prepared: Prepared,
    /// Of the step that is being done.
    pub at_hand: AtHand,
    /// The operator wants to stop before the next step.
    pub hold: bool,
    /// Counts the operator's Ctrl-C; what this node has dealt with is marked as seen.
    pub interrupts: watch::Receiver<u32>,
    /// Steps that were given a secret: what they print is not kept on the node.
    pub secretive: Vec<String>,
    pub bundle: Option<Bundle>,
    pub local: Option<Bundle>,
    /// Of the local bundle of an earlier controller.
    pub old_local: Option<String>,
    pub local_origin: Origin,
    pub touched: bool,
    /// How each step ended, as far as this controller knows.
    pub passed: BTreeMap<usize, Status>,
    /// An earlier controller had the bundle.
    pub taken_over: bool,
    /// The run has ended on the node, as its history says.
    pub ended: bool,
}

/// The step that is being done.
pub(super) struct AtHand {
    /// The line of the journal that begins it.
    pub line: Line,
    /// Something of it was run, as far as anybody knows.
    pub begun: bool,
    /// How long it has waited for answers.
    pub waited: Duration,
}

/// Where the local bundle comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// This controller has made it.
    New,
    /// An earlier controller of the run had it.
    Found,
    /// The one that an earlier controller had was gone, and this controller has made another.
    Replaced,
}

/// Where a node's bundle is, absolute.
#[must_use]
pub fn bundle_dir(node: &Node, hello: &Hello) -> String {
    match &node.bundle_dir {
        Some(dir) if dir.starts_with('/') => dir.clone(),
        Some(dir) => format!("{}/{dir}", hello.home),
        None => format!("{}/.opsbook/bundle", hello.home),
    }
}

/// How a run ended on a node.
pub(super) struct Ended {
    pub status: Status,
    /// As the operator wanted it: other nodes may follow.
    pub well: bool,
    /// Its sessions, while they are closed.
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

/// Runs a plan on its node, or goes on with it, and says how that ended.
pub(super) async fn run_node(
    options: &Options,
    recorder: &Recorder,
    plan: &Plan,
    node: &NodePlan,
    resume: Option<&Record>,
) -> Result<Ended, JournalError> {
    let name = node.node.name.as_str();
    let mut closing = None;
    let ended = attempt(options, recorder, plan, node, resume, &mut closing).await;
    let (status, cause, well) = match ended {
        Ok(()) => (Status::Ok, None, true),
        Err(Halt::Journal(error)) => return Err(error),
        Err(Halt::AsAsked(cause)) => (Status::Stopped, Some(cause), true),
        Err(Halt::End { status, cause, .. }) => (status, Some(cause), false),
    };
    let cause = cause.map(Into::into);
    recorder.record(Some(name), None, What::NodeEnded { status, cause })?;
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
    let (reach, synced) = uninterrupted(options, reach).await?;
    synced?;
    let reach = reach.map_err(|error| Halt::error(sentence(&error)))?;
    let mut run = NodeRun {
        options,
        recorder,
        plan: node,
        scope: Scope::default(),
        token: random_mark(),
        users: HashMap::new(),
        places: HashMap::new(),
        prepared: Prepared::default(),
        at_hand: AtHand {
            line: recorder.head().0,
            begun: false,
            waited: Duration::ZERO,
        },
        hold: false,
        interrupts: options.interrupts.clone(),
        secretive: Vec::new(),
        bundle: None,
        local: None,
        local_origin: Origin::New,
        old_local: resume.and_then(|record| token_of(record, &node.node.name, true)),
        touched: resume.is_some_and(|record| begun(record, node)),
        passed: BTreeMap::new(),
        taken_over: false,
        ended: false,
        reach: reach.clone(),
    };
    let result = run.all(plan, resume).await;
    let result = match result {
        Ok(()) => run.close().await,
        Err(halt) => {
            run.keep(&halt).await?;
            Err(halt)
        }
    };
    let reach = run.reach.clone();
    *closing = Some(tokio::spawn(async move { reach.close().await }));
    result
}

/// What comes of something that leaves nothing behind where it is given up, as it is where the
/// operator interrupts.
async fn uninterrupted<T>(options: &Options, work: impl Future<Output = T>) -> Result<T, Halt> {
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

/// Ssh's own words after the cause, where they say more.
pub(super) fn sentence(error: &crate::session::OpenError) -> String {
    match error.said.last_line() {
        Some(said) => format!("{error}: {said}"),
        None => error.to_string(),
    }
}

/// Has a step begun on a node? Before that, nothing was touched there.
pub(super) fn begun(record: &Record, node: &NodePlan) -> bool {
    !record.steps(&node.node.name).is_empty()
}

pub(super) fn token_of(record: &Record, node: &str, of_local: bool) -> Option<String> {
    let mut events = record.of_node(node).rev();
    events.find_map(|event| match &event.what {
        What::BundleOpened {
            local,
            token,
            user: None,
            ..
        }
        | What::BundleReopened { local, token, .. }
            if *local == of_local =>
        {
            Some(token.clone())
        }
        _ => None,
    })
}

impl NodeRun<'_> {
    async fn all(&mut self, plan: &Plan, resume: Option<&Record>) -> Result<(), Halt> {
        let hello = self.reach.session().hello().clone();
        let milliseconds = u64::try_from(hello.connect.as_millis()).unwrap_or(u64::MAX);
        self.record(
            None,
            What::NodeReached {
                user: hello.user.clone(),
                shell: hello.shell.clone(),
                milliseconds,
            },
        )?;
        self.scope.set("procedure", &plan.procedure);
        self.scope.set("run_id", self.recorder.run());
        self.take_given(plan, resume)?;
        uninterrupted(self.options, self.prove_sudo()).await??;
        let dir = bundle_dir(&self.plan.node, &hello);
        self.scope.set("bundle", &dir);
        let caught_up = match resume {
            Some(record) if self.options.catch_up => Some(self.catch_up(&dir, record).await?),
            _ => None,
        };
        let resume = caught_up.as_ref().or(resume);
        self.know(resume)?;
        if self.ended {
            return Ok(());
        }
        // What has not begun is proven as if it were the first time.
        if !resume.is_some_and(|record| begun(record, self.plan)) {
            self.needs().await?;
        }
        let first = match resume {
            None => self.options.start_at.unwrap_or(1),
            Some(record) => self.first_due_step(record),
        };
        self.prove_captured(first, resume.is_some())?;
        self.prepared = uninterrupted(self.options, Prepared::new(self, first)).await??;
        self.prove_durable(std::slice::from_ref(&dir), first)
            .await?;
        self.take_up(&dir, first, resume).await?;
        self.open_places().await?;
        self.warn_of_mortal_steps().await?;
        if let Some(record) = resume.filter(|_| self.taken_over) {
            self.agree(record).await?;
        }
        let places = self.places.values();
        let places: Vec<String> = places.filter_map(|place| place.dir.clone()).collect();
        self.prove_durable(&places, first).await?;
        self.confirm_run(plan).await?;
        self.run_steps(first, resume).await
    }

    /// What an earlier controller has done, from its journal.
    fn know(&mut self, resume: Option<&Record>) -> Result<(), Halt> {
        self.know_places(resume);
        let Some(record) = resume else {
            return self.record_pinned();
        };
        let steps = record.steps(&self.plan.node.name).into_iter();
        self.passed = steps
            .filter_map(|(number, status)| Some((number, status?)))
            .collect();
        Ok(())
    }

    /// Values that the operator gave for captured names; what was captured since counts more.
    fn take_given(&mut self, plan: &Plan, resume: Option<&Record>) -> Result<(), Halt> {
        let captured = resume.map(|record| record.captured(&self.plan.node.name));
        let captured = captured.unwrap_or_default();
        for (name, value) in plan.given(self.plan) {
            if captured.iter().any(|(known, _)| known == name) {
                continue;
            }
            self.scope.set(name, value);
            let (name, value) = (name.to_owned(), value.into());
            self.record(None, What::ValueCaptured { name, value })?;
        }
        Ok(())
    }

    /// No step that is due needs a value that was captured and is not known any more.
    fn prove_captured(&self, first: usize, resuming: bool) -> Result<(), Halt> {
        let steps = self.plan.steps.iter();
        let due = steps.filter(|step| step.number >= first || (resuming && step.setup));
        let mut captured = Vec::new();
        for step in due {
            captured.extend(step.capture.as_deref());
            for name in captured_names(&self.options.root, self.plan, step) {
                if !captured.contains(&name.as_str()) {
                    self.scope.captured(&name)?;
                }
            }
            if self.options.stop_after == Some(step.number) {
                break;
            }
        }
        Ok(())
    }

    /// A refusal is found before anything is touched.
    async fn prove_sudo(&mut self) -> Result<(), Halt> {
        for user in self.plan.sudo_users() {
            let user = crate::manual::SudoUser(user.to_owned());
            self.reach.to(On::Node, Some(&user)).await?;
            self.record(None, What::SudoProven { user: user.0 })?;
        }
        Ok(())
    }

    async fn needs(&mut self) -> Result<(), Halt> {
        for need in &self.plan.needs {
            for case in &need.cases {
                match self.check(None, case).await? {
                    Outcome::Held | Outcome::Ignored(_) => {}
                    Outcome::Failed(_) => {
                        return Err(Halt::end(
                            Status::Blocked,
                            format!("`{}` does not hold", case.name),
                        ));
                    }
                    Outcome::Unknown(why) => {
                        return Err(Halt::error(format!(
                            "`{}` could not be asked: {}",
                            case.name,
                            why.exact()
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    pub fn record(&self, step: Option<&PlannedStep>, what: What) -> Result<(), Halt> {
        self.record_line(step, what).map(drop)
    }

    /// The same, for who needs the line that was written.
    pub fn record_line(&self, step: Option<&PlannedStep>, what: What) -> Result<Line, Halt> {
        let number = step.map(|step| step.number);
        let name = &self.plan.node.name;
        Ok(self.recorder.record(Some(name), number, what)?)
    }

    /// Asks a case and writes its outcome down. A lost connection is looked for once: a check
    /// changes nothing.
    pub async fn check(
        &mut self,
        step: Option<&PlannedStep>,
        case: &Case,
    ) -> Result<Outcome, Halt> {
        let mut checked = self.look(case).await?;
        if let (Err(lost), true) = (&checked, self.bundle.is_some())
            && !matches!(lost, Lost::Endless { .. })
        {
            self.record(
                step,
                What::ConnectionLost {
                    cause: lost.to_string().into(),
                },
            )?;
            self.reattach(false).await.map_err(Halt::error)?;
            checked = self.look(case).await?;
        }
        let checked = checked
            .unwrap_or_else(|lost| Checked::at_once(Outcome::Unknown(lost.to_string().into())));
        let outcome = checked.outcome.clone();
        self.record(step, checked.written(case.name.clone(), case.span.place()))?;
        Ok(outcome)
    }

    /// Asks a case for as long as nobody presses Ctrl-C.
    async fn look(&self, case: &Case) -> Result<Result<Checked, Lost>, Halt> {
        let mut interrupts = self.interrupts.clone();
        tokio::select! {
            biased;
            Ok(()) = interrupts.changed() => {
                let cause = format!("stopped while `{}` was asked", case.name);
                Err(Halt::end(Status::Stopped, cause))
            }
            checked = check(&self.reach, case, &self.scope, &self.options.secrets) => Ok(checked),
        }
    }
}
