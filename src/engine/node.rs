//! A run on one node, from reaching it to closing its bundle: what can end it, and how it is
//! found again after a cut.

use std::collections::HashMap;

use crate::engine::bundle::{Bundle, BundleError};
use crate::engine::check::{Checked, Outcome, check};
use crate::engine::deliver::Prepared;
use crate::engine::question::{Answer, Asked};
use crate::engine::reach::Reach;
use crate::engine::recorder::Recorder;
use crate::engine::scope::{Scope, ScopeError};
use crate::engine::{Options, random_mark};
use crate::event::{Status, What};
use crate::journal::{JournalError, Record};
use crate::manual::On;
use crate::nodes::Node;
use crate::plan::{Case, NodePlan, Plan, PlannedStep};
use crate::session::Hello;

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
    pub prepared: Prepared,
    /// The step at hand may have been started by an earlier controller.
    pub resuming: bool,
    /// It ended badly before, and is to be run again.
    pub rerun: bool,
    /// How it ended before is not known: what the node says of it by now counts.
    pub unknown: bool,
    /// Nobody knew whether it had finished.
    pub doubtful: bool,
    /// The operator has said that it is to be run.
    pub named: bool,
    /// Stop before the next step.
    pub hold: bool,
    /// Steps that were given a secret: what they print is not kept on the node.
    pub secretive: Vec<String>,
    pub bundle: Option<Bundle>,
    pub local: Option<Bundle>,
    /// Of the local bundle of an earlier controller.
    pub old_local: Option<String>,
    pub touched: bool,
}

/// The run on a node ends here.
#[derive(Debug)]
pub(super) enum Halt {
    /// Nothing can be written down any more.
    Journal(JournalError),
    End {
        status: Status,
        cause: String,
        outcome_unknown: bool,
    },
}

impl Halt {
    pub fn end(status: Status, cause: impl Into<String>) -> Halt {
        Halt::End {
            status,
            cause: cause.into(),
            outcome_unknown: false,
        }
    }

    pub fn error(cause: impl Into<String>) -> Halt {
        Halt::end(Status::Error, cause)
    }
}

impl From<JournalError> for Halt {
    fn from(error: JournalError) -> Halt {
        Halt::Journal(error)
    }
}

impl From<BundleError> for Halt {
    fn from(error: BundleError) -> Halt {
        let status = match error {
            BundleError::Held(_) | BundleError::Taken => Status::Blocked,
            _ => Status::Error,
        };
        Halt::end(status, error.to_string())
    }
}

impl From<ScopeError> for Halt {
    fn from(error: ScopeError) -> Halt {
        Halt::error(error.to_string())
    }
}

/// What the journal of a run that goes on says of its steps.
struct Before {
    /// The latest status of each that was started; none where it has no end.
    statuses: std::collections::BTreeMap<usize, Option<Status>>,
    unknown: std::collections::BTreeSet<usize>,
    doubtful: std::collections::BTreeSet<usize>,
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

/// Runs a plan on its node, or goes on with it, and says how that ended.
pub(super) async fn run_node(
    options: &Options,
    recorder: &Recorder,
    plan: &Plan,
    node: &NodePlan,
    resume: Option<&Record>,
) -> Result<Status, JournalError> {
    let name = node.node.name.as_str();
    let (status, cause) = match attempt(options, recorder, plan, node, resume).await {
        Ok(()) => (Status::Ok, None),
        Err(Halt::Journal(error)) => return Err(error),
        Err(Halt::End { status, cause, .. }) => (status, Some(cause)),
    };
    recorder.record(Some(name), None, What::NodeEnded { status, cause })?;
    Ok(status)
}

async fn attempt(
    options: &Options,
    recorder: &Recorder,
    plan: &Plan,
    node: &NodePlan,
    resume: Option<&Record>,
) -> Result<(), Halt> {
    let reach = Reach::open(&node.node, &options.open, &options.passwords);
    let reach = uninterrupted(options, reach).await?;
    let reach = reach.map_err(|error| Halt::error(sentence(&error)))?;
    let mut run = NodeRun {
        options,
        recorder,
        plan: node,
        scope: Scope::default(),
        token: random_mark(),
        users: HashMap::new(),
        prepared: Prepared::default(),
        resuming: false,
        rerun: false,
        unknown: false,
        doubtful: false,
        named: false,
        hold: false,
        secretive: Vec::new(),
        bundle: None,
        local: None,
        old_local: resume.and_then(|record| token_of(record, &node.node.name, true)),
        touched: resume.is_some(),
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
    run.reach.close().await;
    result
}

/// What comes of something that leaves nothing behind where it is given up, as it is where the
/// operator interrupts.
async fn uninterrupted<T>(options: &Options, work: impl Future<Output = T>) -> Result<T, Halt> {
    let mut interrupts = options.interrupts.clone();
    tokio::select! {
        done = work => Ok(done),
        Ok(_) = interrupts.wait_for(|count| *count > 0) => {
            let cause = "stopped before the first step";
            Err(Halt::end(Status::Stopped, cause))
        }
    }
}

/// Ssh's own words after the cause, where they say more.
pub(super) fn sentence(error: &crate::session::OpenError) -> String {
    match error
        .said
        .lines()
        .last()
        .map(str::trim)
        .filter(|said| !said.is_empty())
    {
        Some(said) => format!("{error}: {said}"),
        None => error.to_string(),
    }
}

pub(super) fn token_of(record: &Record, node: &str, of_local: bool) -> Option<String> {
    let events = record
        .events
        .iter()
        .filter(|event| event.node.as_deref() == Some(node));
    events.rev().find_map(|event| match &event.what {
        What::BundleOpened { local, token, .. } | What::BundleReopened { local, token, .. }
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
        uninterrupted(self.options, self.prove_sudo()).await??;
        let first = match resume {
            None => {
                self.needs().await?;
                self.options.start_at.unwrap_or(1)
            }
            Some(record) => self.first_of(record),
        };
        self.prepared = uninterrupted(self.options, Prepared::new(self, first)).await??;
        let dir = bundle_dir(&self.plan.node, &hello);
        self.scope.set("bundle", &dir);
        self.take_up(&dir, first, resume).await?;
        self.confirm_run(plan).await?;
        self.steps(first, resume).await
    }

    /// `confirm: run` of a node: asked once, before its first step.
    async fn confirm_run(&mut self, plan: &Plan) -> Result<(), Halt> {
        if self.options.yes || self.plan.node.confirm != Some(crate::nodes::Confirm::Run) {
            return Ok(());
        }
        self.record(
            None,
            What::Asked {
                question: "go on with this node?".to_owned(),
            },
        )?;
        let ask = Asked::Confirm {
            step: plan.procedure.clone(),
            title: plan.title.clone(),
        };
        let answer = self.options.operator.ask(&self.plan.node.name, ask).await;
        let (word, result) = match answer {
            Answer::Yes => ("yes", Ok(())),
            Answer::Nobody => (
                "nobody to ask",
                Err(Halt::end(
                    Status::Stopped,
                    "this node asks for a confirmation, and there is nobody to ask (`--yes` confirms)",
                )),
            ),
            _ => (
                "no",
                Err(Halt::end(Status::Stopped, "stopped before the first step")),
            ),
        };
        self.record(
            None,
            What::Answered {
                answer: word.to_owned(),
                note: None,
            },
        )?;
        result
    }

    /// A refusal is found before anything is touched.
    async fn prove_sudo(&mut self) -> Result<(), Halt> {
        for user in self.plan.sudo_users() {
            let user = crate::manual::SudoUser(user.to_owned());
            self.reach
                .to(On::Node, Some(&user))
                .await
                .map_err(|error| Halt::error(error.to_string()))?;
            self.record(None, What::SudoProven { user: user.0 })?;
        }
        Ok(())
    }

    async fn needs(&mut self) -> Result<(), Halt> {
        for need in &self.plan.needs {
            for case in &need.cases {
                match self.check(None, case).await? {
                    Outcome::Held => {}
                    Outcome::Failed(_) => {
                        return Err(Halt::end(
                            Status::Blocked,
                            format!("`{}` does not hold", case.name),
                        ));
                    }
                    Outcome::Unknown(why) => {
                        return Err(Halt::error(format!(
                            "`{}` could not be asked: {why}",
                            case.name
                        )));
                    }
                    Outcome::Lost(lost) => return Err(Halt::error(lost.to_string())),
                }
            }
        }
        Ok(())
    }

    /// The first step that is not done, and what the steps before it captured.
    fn first_of(&mut self, record: &Record) -> usize {
        let node = self.plan.node.name.as_str();
        for (name, value) in record.captured(node) {
            self.scope.set_again(&name, value);
        }
        let statuses = record.steps(node);
        let ended =
            |number: usize| matches!(statuses.get(&number), Some(Some(status)) if status.goes_on());
        let latest = statuses.keys().max().copied().unwrap_or(0);
        // What lies before an explicit start was left out on purpose.
        let earliest = statuses.keys().min().copied().unwrap_or(1);
        // A set-up runs again on each resume. One that is cut short then leaves what came
        // after it done all the same.
        let first = self
            .plan
            .steps
            .iter()
            .find(|step| {
                let again = step.setup && step.number < latest;
                step.number >= earliest && !ended(step.number) && !again
            })
            .map(|step| step.number);
        self.options
            .start_at
            .or(first)
            .unwrap_or(self.plan.steps.len() + 1)
    }

    async fn steps(&mut self, first: usize, resume: Option<&Record>) -> Result<(), Halt> {
        let plan = self.plan;
        let Some(record) = resume else {
            for step in plan.steps.iter().filter(|step| step.number >= first) {
                self.turn(step).await?;
            }
            return Ok(());
        };
        let before = Before {
            statuses: record.steps(&plan.node.name),
            unknown: record.unknown(&plan.node.name),
            doubtful: record.doubtful(&plan.node.name),
        };
        let mut first = first;
        let under_way = self.under_way(&before).await?;
        for number in &under_way {
            if self.options.start_at.is_some_and(|start| start != *number) {
                let label = self.plan.steps[number - 1].label();
                let cause =
                    format!("step {label} still runs: without `--start-at` its end is waited for");
                return Err(Halt::end(Status::Blocked, cause));
            }
            self.again(&plan.steps[number - 1], first, &before).await?;
            if *number == first {
                first += 1;
            }
        }
        // Set-up is idempotent, and what comes after may need it again.
        let set_up_for = if first <= plan.steps.len() { first } else { 0 };
        for step in &plan.steps {
            let due = step.number >= first || (step.setup && step.number < set_up_for);
            if due && !under_way.contains(&step.number) {
                self.again(step, first, &before).await?;
            }
        }
        Ok(())
    }

    /// The steps that an earlier controller started and that run on by themselves. They come
    /// to their end before anything else is started beside them.
    async fn under_way(&mut self, before: &Before) -> Result<Vec<usize>, Halt> {
        let mut under_way = Vec::new();
        for step in &self.plan.steps {
            let open = before.statuses.get(&step.number) == Some(&None)
                || before.unknown.contains(&step.number);
            if open && self.runs(step).await? {
                under_way.push(step.number);
            }
        }
        Ok(under_way)
    }

    /// A step in a run that goes on.
    async fn again(
        &mut self,
        step: &PlannedStep,
        first: usize,
        before: &Before,
    ) -> Result<(), Halt> {
        let status = before.statuses.get(&step.number);
        // A step with no end in the journal may be under way, or done, on the node.
        self.resuming = status.is_some();
        self.rerun = step.number < first || matches!(status, Some(Some(_)));
        self.unknown = step.number >= first && before.unknown.contains(&step.number);
        self.named = self.options.menu || self.options.start_at == Some(step.number);
        self.doubtful = before.doubtful.contains(&step.number);
        if step.number >= first {
            return self.turn(step).await;
        }
        // It must not forget what the steps after it have set.
        let mut again = step.clone();
        again.saved.clone_from(&self.plan.steps[first - 2].saved);
        self.turn(&again).await
    }

    /// A step, where nobody has asked to stop before it.
    async fn turn(&mut self, step: &PlannedStep) -> Result<(), Halt> {
        let interrupted = *self.options.interrupts.borrow() > 0;
        if self.hold || interrupted {
            return Err(Halt::end(
                Status::Stopped,
                format!("stopped before step {}", step.label()),
            ));
        }
        self.touched = true;
        self.step(step).await?;
        if self.options.stop_after == Some(step.number) && step.number < self.plan.steps.len() {
            return Err(Halt::end(
                Status::Stopped,
                format!("stopped after step {}, as asked", step.label()),
            ));
        }
        Ok(())
    }

    pub fn record(&self, step: Option<&PlannedStep>, what: What) -> Result<(), Halt> {
        let number = step.map(|step| step.number);
        Ok(self
            .recorder
            .record(Some(&self.plan.node.name), number, what)?)
    }

    /// Asks a case and writes its outcome down. A lost connection is looked for once: a check
    /// changes nothing.
    pub async fn check(
        &mut self,
        step: Option<&PlannedStep>,
        case: &Case,
    ) -> Result<Outcome, Halt> {
        let mut interrupts = self.options.interrupts.clone();
        interrupts.mark_unchanged();
        let mut checked = tokio::select! {
            checked = check(&self.reach, case, &self.scope, &self.options.secrets) => checked,
            Ok(()) = interrupts.changed() => {
                return Err(Halt::end(Status::Stopped, format!("stopped while `{}` was asked", case.name)));
            }
        };
        if let (Outcome::Lost(lost), true) = (&checked.outcome, self.bundle.is_some()) {
            self.record(
                step,
                What::ConnectionLost {
                    cause: lost.to_string(),
                },
            )?;
            self.reattach(false).await.map_err(Halt::error)?;
            checked = check(&self.reach, case, &self.scope, &self.options.secrets).await;
        }
        let Checked {
            outcome,
            tries,
            took,
        } = checked;
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (check, place) = (case.name.clone(), case.span.place());
        let what = match &outcome {
            Outcome::Held => What::CheckHeld {
                check,
                tries,
                milliseconds,
            },
            Outcome::Failed(evidence) => What::CheckFailed {
                check,
                place,
                evidence: evidence.clone(),
                tries,
            },
            Outcome::Unknown(cause) => What::CheckUnknown {
                check,
                place,
                cause: cause.clone(),
            },
            Outcome::Lost(lost) => What::CheckUnknown {
                check,
                place,
                cause: lost.to_string(),
            },
        };
        self.record(step, what)?;
        Ok(outcome)
    }
}
