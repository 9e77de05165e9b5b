//! A run on one node, from reaching it to closing its bundle: what can end it, and how it is
//! found again after a cut.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::engine::bundle::{Bundle, BundleError};
use crate::engine::check::{Checked, Outcome, check};
use crate::engine::deliver::Prepared;
use crate::engine::question::{Answer, Asked};
use crate::engine::reach::{Reach, ReachError};
use crate::engine::recorder::Recorder;
use crate::engine::scope::{Scope, ScopeError};
use crate::engine::{Options, random_mark};
use crate::event::{Status, What};
use crate::journal::{JournalError, Record};
use crate::manual::On;
use crate::nodes::Node;
use crate::plan::{Case, NodePlan, Plan, PlannedStep};
use crate::session::{Hello, Session};

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
    /// Stop before the next step.
    pub hold: bool,
    /// Steps that were given a secret: what they print is not kept on the node.
    pub secretive: Vec<String>,
    bundle: Option<Bundle>,
    local: Option<Bundle>,
    /// Of the local bundle of an earlier controller.
    old_local: Option<String>,
    touched: bool,
}

/// How long the shell of a controller that died may take to notice.
const OLD_SHELL: Duration = Duration::from_secs(15);

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
            BundleError::Held(_) => Status::Blocked,
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
    let reach = Reach::open(&node.node, &options.open, &options.passwords).await;
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

fn token_of(record: &Record, node: &str, of_local: bool) -> Option<String> {
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
        self.prove_sudo().await?;
        let first = match resume {
            None => {
                self.needs().await?;
                self.options.start_at.unwrap_or(1)
            }
            Some(record) => self.first_of(record),
        };
        self.prepared = Prepared::new(self, first).await?;
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
            self.scope.set(&name, value);
        }
        let statuses = record.steps(node);
        let done =
            |number: usize| matches!(statuses.get(&number), Some(Some(status)) if status.goes_on());
        let first = self
            .plan
            .steps
            .iter()
            .map(|step| step.number)
            .find(|number| {
                // What lies before an explicit start was left out on purpose.
                !done(*number) && *number >= statuses.keys().min().copied().unwrap_or(1)
            });
        self.options
            .start_at
            .or(first)
            .unwrap_or(self.plan.steps.len() + 1)
    }

    /// Opens the node's bundle, or the one of this run that is there.
    async fn take_up(
        &mut self,
        dir: &str,
        first: usize,
        resume: Option<&Record>,
    ) -> Result<(), Halt> {
        let node = self.plan.node.name.as_str();
        let old = resume.and_then(|record| token_of(record, node, false));
        let begun = resume.is_some_and(|record| !record.steps(node).is_empty());
        let finished = first > self.plan.steps.len();
        let session = self.reach.session().clone();
        let taken = match &old {
            Some(old) => self.reopened(&session, dir, old).await?,
            None => None,
        };
        let (bundle, again) = match taken {
            Some(bundle) => (bundle, true),
            // It was closed, and its closing not written down.
            None if old.is_some() && finished => return Ok(()),
            None if old.is_some() && begun => {
                let cause = "the bundle of this run is gone from the node: what its steps left there cannot be gone on with";
                return Err(Halt::error(cause));
            }
            None => self.opened(&session, dir, None).await?,
        };
        self.bundle = Some(bundle);
        self.scope.set_state(On::Node, dir);
        let (path, token) = (dir.to_owned(), self.token.clone());
        self.record(
            None,
            if again {
                What::BundleReopened {
                    path,
                    local: false,
                    token,
                }
            } else {
                What::BundleOpened {
                    path,
                    local: false,
                    token,
                }
            },
        )?;
        if self.old_local.is_some() {
            // It is closed at the end, whether or not a step needs it again.
            self.local_bundle().await?;
        }
        Ok(())
    }

    /// A bundle that this run's last controller had; nothing where it is gone.
    async fn reopened(
        &self,
        session: &Session,
        dir: &str,
        old: &str,
    ) -> Result<Option<Bundle>, Halt> {
        match Bundle::reopen(session, dir, &self.recorder.run(), &self.token, old).await {
            Ok(bundle) => Ok(Some(bundle)),
            Err(BundleError::Gone) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A new bundle; or one of this run of which the journal knows nothing, because its
    /// controller died between opening it and writing so. True for the latter.
    async fn opened(
        &self,
        session: &Session,
        dir: &str,
        start_in: Option<&str>,
    ) -> Result<(Bundle, bool), Halt> {
        let run = self.recorder.run();
        let deadline = Instant::now() + OLD_SHELL;
        // A record for each step, made at once; local steps are few.
        let steps = if start_in.is_none() {
            self.plan.steps.len()
        } else {
            0
        };
        loop {
            let held = match Bundle::open(
                session,
                dir,
                &self.options.owner,
                &self.token,
                start_in,
                steps,
            )
            .await
            {
                Ok(bundle) => return Ok((bundle, false)),
                Err(BundleError::Held(held)) => held,
                Err(error) => return Err(error.into()),
            };
            if held.owner.as_ref().is_none_or(|owner| owner.run != run) {
                return Err(BundleError::Held(held).into());
            }
            match Bundle::reopen(session, dir, &run, &self.token, "").await {
                Ok(bundle) => return Ok((bundle, true)),
                // The dead controller's shell on the node ends in a moment.
                Err(BundleError::Held(_) | BundleError::Gone) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn steps(&mut self, first: usize, resume: Option<&Record>) -> Result<(), Halt> {
        let plan = self.plan;
        let statuses = resume
            .map(|record| record.steps(&plan.node.name))
            .unwrap_or_default();
        let unknown = resume
            .map(|record| record.unknown(&plan.node.name))
            .unwrap_or_default();
        for step in &plan.steps {
            let before = statuses.get(&step.number);
            if step.number < first {
                // Set-up is idempotent, and what comes after may need it again.
                if !(resume.is_some() && step.setup && first <= plan.steps.len()) {
                    continue;
                }
            }
            // A step with no end in the journal may be under way, or done, on the node.
            self.resuming = before.is_some();
            self.rerun = step.number < first || matches!(before, Some(Some(_)));
            self.unknown = step.number >= first && unknown.contains(&step.number);
            let interrupted = *self.options.interrupts.borrow() > 0;
            if self.hold || interrupted {
                return Err(Halt::end(
                    Status::Stopped,
                    format!("stopped before step {}", step.label()),
                ));
            }
            self.touched = true;
            if step.number < first {
                // It must not forget what the steps after it have set.
                let mut again = step.clone();
                again.saved.clone_from(&plan.steps[first - 2].saved);
                self.step(&again).await?;
            } else {
                self.step(step).await?;
            }
            if self.options.stop_after == Some(step.number) && step.number < plan.steps.len() {
                return Err(Halt::end(
                    Status::Stopped,
                    format!("stopped after step {}, as asked", step.label()),
                ));
            }
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<(), Halt> {
        self.tidy().await?;
        let left_of_root = match self.users.get("root") {
            Some(root) => root.left().await?,
            None => Vec::new(),
        };
        if self.old_local.is_some() {
            self.local_bundle().await?;
        }
        if let Some(local) = self.local.take() {
            let path = local.dir.clone();
            local.close().await?;
            self.record(None, What::BundleClosed { path, local: true })?;
        }
        for (user, bundle) in std::mem::take(&mut self.users) {
            if user != "root" && bundle.dir == crate::engine::users::dir_of(&user) {
                let path = bundle.dir.clone();
                bundle.close().await?;
                self.record(None, What::BundleClosed { path, local: true })?;
            }
        }
        if let Some(bundle) = self.bundle.take() {
            let path = bundle.dir.clone();
            let mut left = bundle.close().await?;
            left.extend(
                left_of_root
                    .into_iter()
                    .filter(|process| !left.contains(process))
                    .collect::<Vec<_>>(),
            );
            if !left.is_empty() {
                self.record(None, What::LeftBehind { processes: left })?;
            }
            self.record(None, What::BundleClosed { path, local: false })?;
        }
        Ok(())
    }

    /// A bundle in which nothing was done is no use to anybody.
    async fn keep(&mut self, halt: &Halt) -> Result<(), Halt> {
        if matches!(halt, Halt::Journal(_)) {
            return Ok(());
        }
        if !self.touched {
            return self.close().await;
        }
        // Best effort: the halt itself is what has to be told.
        let _ = self.tidy().await;
        let _ = self.leave_values().await;
        let kept = [(&self.local, true), (&self.bundle, false)];
        let kept: Vec<_> = kept
            .into_iter()
            .filter_map(|(bundle, local)| Some((bundle.as_ref()?.dir.clone(), local)))
            .collect();
        for (path, local) in kept {
            self.record(None, What::BundleKept { path, local })?;
        }
        Ok(())
    }

    /// Takes from the bundle what must not stay: secrets that were printed, and what belongs
    /// to root.
    async fn tidy(&mut self) -> Result<(), Halt> {
        if let Some(root) = self.users.get("root") {
            root.disown().await?;
        }
        for label in std::mem::take(&mut self.secretive) {
            self.bundle()?.forget(&label).await?;
        }
        Ok(())
    }

    /// The plain values, for a person who goes on by hand in the bundle.
    pub(super) async fn leave_values(&self) -> Result<(), Halt> {
        let mut values = crate::session::Values::new();
        let texts = self.plan.node.texts();
        for (name, text) in &texts {
            if let crate::nodes::Text::Plain(text) = text {
                values
                    .insert(name, text.clone())
                    .map_err(ScopeError::from)?;
            }
        }
        for (name, text) in self.scope.iter() {
            values.insert(name, text).map_err(ScopeError::from)?;
        }
        let bundle = self.bundle()?;
        let path = format!("{}/values", bundle.dir);
        let content = crate::session::Content::Bytes(&values.assignments());
        let delivered = bundle.session().deliver(&path, content, 0o600).await;
        delivered
            .map(drop)
            .map_err(|error| Halt::error(error.to_string()))
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

    pub fn bundle(&self) -> Result<Bundle, Halt> {
        self.bundle
            .clone()
            .ok_or_else(|| Halt::error("the bundle is not open"))
    }

    /// The bundle of local steps: beside the manual, one for each node.
    pub async fn local_bundle(&mut self) -> Result<Bundle, Halt> {
        if let Some(bundle) = &self.local {
            return Ok(bundle.clone());
        }
        let session = self.here().await?;
        let root = self.options.root.display();
        let dir = format!("{root}/.opsbook/bundles/{}", self.plan.node.name);
        let start_in = root.to_string();
        let taken = match &self.old_local {
            Some(old) => self.reopened(&session, &dir, old).await?,
            None => None,
        };
        let bundle = match taken {
            Some(bundle) => bundle,
            None => self.opened(&session, &dir, Some(&start_in)).await?.0,
        };
        self.local = Some(bundle.clone());
        self.old_local = None;
        self.scope.set_state(On::Local, &dir);
        let token = self.token.clone();
        self.record(
            None,
            What::BundleOpened {
                path: dir,
                local: true,
                token,
            },
        )?;
        Ok(bundle)
    }

    async fn here(&self) -> Result<Session, Halt> {
        match self.reach.to(On::Local, None).await {
            Ok(session) => Ok(session),
            Err(ReachError::Open(error)) => Err(Halt::error(sentence(&error))),
            Err(error) => Err(Halt::error(error.to_string())),
        }
    }

    /// Finds the node again, and the bundle on it. `reboot` waits for another boot.
    pub async fn reattach(&mut self, reboot: bool) -> Result<(), String> {
        let lost = Instant::now();
        let old = self.reach.session().hello().clone();
        let mut pause = Duration::from_millis(250);
        let mut last = String::from("it did not answer");
        let mut interrupts = self.options.interrupts.clone();
        interrupts.mark_unchanged();
        while lost.elapsed() < self.options.reconnect {
            match Reach::open(&self.plan.node, &self.options.open, &self.options.passwords).await {
                Ok(reach) => {
                    let hello = reach.session().hello();
                    let rebooted = hello.boot_id != old.boot_id;
                    if reboot && !rebooted && !old.boot_id.is_empty() {
                        "it has not restarted yet".clone_into(&mut last);
                        reach.close().await;
                    } else {
                        let token = random_mark();
                        let dir = bundle_dir(&self.plan.node, hello);
                        let run = self.recorder.run();
                        match Bundle::reopen(reach.session(), &dir, &run, &token, &self.token).await
                        {
                            Ok(bundle) => {
                                return self
                                    .reattached(reach, bundle, token, lost, rebooted, reboot);
                            }
                            Err(BundleError::Lost(error)) => last = error.to_string(),
                            Err(error) => return Err(error.to_string()),
                        }
                    }
                }
                Err(error) => last = sentence(&error),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Ok(()) = interrupts.changed() => return Err(format!("the operator stopped waiting for the node ({last})")),
            }
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        let waited = crate::engine::human(self.options.reconnect);
        Err(format!(
            "the node was not found again within {waited} ({last})"
        ))
    }

    fn reattached(
        &mut self,
        reach: Reach,
        bundle: Bundle,
        token: String,
        lost: Instant,
        rebooted: bool,
        expected: bool,
    ) -> Result<(), String> {
        let path = bundle.dir.clone();
        self.reach = reach;
        self.bundle = Some(bundle);
        // The local session went with the old reach; its bundle is opened again when needed,
        // at the latest to close it.
        if self.local.take().is_some() {
            self.old_local = Some(self.token.clone());
        }
        self.token.clone_from(&token);
        self.users.clear();
        let milliseconds = u64::try_from(lost.elapsed().as_millis()).unwrap_or(u64::MAX);
        let write = || -> Result<(), Halt> {
            if rebooted {
                self.record(None, What::NodeRebooted { expected })?;
            }
            self.record(
                None,
                What::BundleReopened {
                    path,
                    local: false,
                    token: token.clone(),
                },
            )?;
            self.record(None, What::Reattached { milliseconds })
        };
        write().map_err(|halt| match halt {
            Halt::Journal(error) => error.to_string(),
            Halt::End { cause, .. } => cause,
        })
    }
}
