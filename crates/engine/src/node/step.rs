//! One step: confirm, start, execute, verify with its checks, journal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;

use crate::bundle::{BundleError, StepState};
use crate::decide::{Decision, TakeUp};
use crate::event::{Outcome, Status, What};
use crate::halt::{Attention, Halt};
use crate::manual::On;
use crate::node::ask::Chosen;
use crate::node::script::Execution;
use crate::node::worked::Worked;
use crate::node::{AtHand, NodeRun};
use crate::nodes::Text;
use crate::plan::{Case, PlannedStep, PlannedWork, Script, Value};
use crate::session::{Secret, Values};

impl NodeRun<'_> {
    /// Executes one step; an error ends the run on this node.
    pub async fn do_step(&mut self, step: &PlannedStep, how: TakeUp) -> Result<(), Halt> {
        let chosen = match how.first_decision() {
            Decision::MarkByHand => Chosen::Done(self.note_of_done(step).unwrap_or_default()),
            _ if how.is_attached() => Chosen::Run,
            _ => self.ask_before(step).await?,
        };
        self.note_step_on_node(step).await?;
        self.announce(step, how)?;
        if let Chosen::ConfirmedByYes = chosen {
            self.given.confirmed_by_yes(Some(step), None)?;
        }
        let began = Instant::now();
        let mut worked = match chosen {
            Chosen::Run | Chosen::ConfirmedByYes => {
                let _gate = self.pass_gate().await;
                self.do_work(step, how).await.or_else(Worked::halted)?
            }
            Chosen::Skip(note) => Worked::passed(Status::Skipped, note),
            Chosen::ByHand(note) => Worked::by_hand(note),
            Chosen::Done(note) => self.done_by_hand(step, note).await?,
        };
        let by_hand = worked.status == Status::ByHand;
        if matches!(worked.status, Status::Ok | Status::ByHand) {
            self.ask_checks(step, &step.checks, &mut worked).await?;
        }
        if let Some(mut joint) = self.joint.take()
            && joint.meet(worked.status.goes_on()).await
        {
            self.ask_checks(step, joint.cases, &mut worked).await?;
        }
        // It ran in part with an unknown result: nobody may repeat it without looking.
        worked.outcome_unknown |= worked.status == Status::Error && self.at_hand.begun;
        // Failed checks do not say how it ended.
        worked.outcome_unknown |= by_hand && how.journal.lacks_its_end();
        worked.outcome_unknown &= !worked.status.goes_on();
        let (status, cause) = (worked.status, worked.cause.clone());
        let outcome_unknown = worked.outcome_unknown;
        let took = began.elapsed().saturating_sub(self.at_hand.waited);
        self.given
            .record(Some(step), What::StepEnded(worked.told(took)))?;
        self.passed.insert(step.number, status);
        if status.goes_on() {
            return Ok(());
        }
        let cause = cause.unwrap_or_else(|| status.to_string());
        Err(Halt::End {
            status,
            cause: format!("step {}: {cause}", step.label()),
            outcome_unknown,
        })
    }

    /// Waits until no other turn runs a step on this node.
    async fn pass_gate(&self) -> Option<OwnedMutexGuard<()>> {
        match &self.gate {
            Some(gate) => Some(Arc::clone(gate).lock_owned().await),
            None => None,
        }
    }

    /// Notes the current step on the node if it leaves no record there (local work, a person's
    /// work), for people who look at the lock. Fails if another controller has the run. A node that
    /// is lost now is noticed by the next step that needs it.
    async fn note_step_on_node(&self, step: &PlannedStep) -> Result<(), Halt> {
        let elsewhere = match step.work {
            PlannedWork::Script(_) => step.on == On::Local,
            PlannedWork::Manual(_) => true,
            PlannedWork::Deliver(_) => false,
        };
        if !elsewhere || !self.bundles.is_open() {
            return Ok(());
        }
        match self.bundles.own()?.at(step.number).await {
            Err(error @ (BundleError::Held(_) | BundleError::Taken)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Journals that a step is skipped, and why.
    pub fn mark_skipped(&mut self, step: &PlannedStep, note: String) -> Result<(), Halt> {
        self.announce(step, TakeUp::FRESH)?;
        let skipped = Worked::passed(Status::Skipped, Some(note));
        self.passed.insert(step.number, Status::Skipped);
        self.given
            .record(Some(step), What::StepEnded(skipped.told(Duration::ZERO)))
    }

    fn announce(&mut self, step: &PlannedStep, how: TakeUp) -> Result<(), Halt> {
        let (name, title) = (step.name.clone(), step.title.clone());
        let what = if how.is_attached() {
            What::StepAttached { name, title }
        } else {
            What::StepStarted {
                name,
                title,
                limit_seconds: match step.work {
                    PlannedWork::Manual(_) => 0,
                    _ => step.timeout.as_secs().max(1),
                },
                sha256: Some(step.sha256.clone()),
            }
        };
        self.at_hand = AtHand {
            line: self.given.record_line(Some(step), what)?,
            begun: false,
            waited: Duration::ZERO,
        };
        Ok(())
    }

    async fn do_work(&mut self, step: &PlannedStep, how: TakeUp) -> Result<Worked, Halt> {
        match &step.work {
            PlannedWork::Script(script) if script.commands().is_empty() => {
                self.run_script(step, script, how).await
            }
            PlannedWork::Script(script) => self.run_transcript(step, script, how).await,
            PlannedWork::Deliver(files) => self.deliver(step, files).await,
            PlannedWork::Manual(text) => {
                let text = self.scope.filled(&self.given.plan.node, text).to_string();
                let text = self.given.options.secrets.mask(&text);
                self.by_person(step, &text).await
            }
        }
    }

    async fn run_script(
        &mut self,
        step: &PlannedStep,
        script: &Script,
        how: TakeUp,
    ) -> Result<Worked, Halt> {
        let values = self.values(step, script).await?;
        let work = Execution {
            step,
            label: step.number.to_string(),
            interpreter: script.interpreter(),
            accepted: &step.exit,
            values: &values,
            script: script.text().as_bytes(),
            secret: secretive(script),
            shown: false,
        };
        let ended = self.run_to_end(&work, how).await?;
        let shown = match &step.placed {
            Some(placed) => format!("# places {}", placed.words()),
            None => script.text().to_owned(),
        };
        let worked = self
            .judge(&work, ended, &step.exit, step.expect.as_ref(), &shown)
            .await?;
        match &step.capture {
            Some(name) if worked.status == Status::Ok => self.capture(&work, name, worked).await,
            _ => Ok(worked),
        }
    }

    /// Runs each command separately: after a failed one, none runs.
    async fn run_transcript(
        &mut self,
        step: &PlannedStep,
        script: &Script,
        how: TakeUp,
    ) -> Result<Worked, Halt> {
        let values = self.values(step, script).await?;
        let mut worked = Worked::ok(Some(0));
        let mut step_how = how;
        for (index, command) in script.commands().iter().enumerate() {
            let accepted = [command.exit];
            // opsbook compares status and output; the shell must not exit because of a status.
            let text = format!("set +e\n{}", command.text);
            let work = Execution {
                step,
                label: format!("{}-{}", step.number, index + 1),
                interpreter: script.interpreter(),
                accepted: &accepted,
                values: &values,
                script: text.as_bytes(),
                secret: secretive(script),
                shown: true,
            };
            let is_last = index + 1 == script.commands().len();
            let mut how = step_how;
            if step_how.is_again() {
                // Earlier commands that succeeded do not run again; the failed one is the last that
                // was begun.
                let next = format!("{}-{}", step.number, index + 2);
                if is_last || !self.was_started(step, &next).await? {
                    step_how = TakeUp::FRESH;
                } else {
                    how = TakeUp::BEGUN;
                }
            }
            let ended = self.run_to_end(&work, how).await?;
            worked = self
                .judge(
                    &work,
                    ended,
                    &accepted,
                    command.expect.as_ref(),
                    &command.text,
                )
                .await?;
            if worked.status != Status::Ok {
                break;
            }
            if let (Some(name), true) = (&step.capture, is_last) {
                worked = self.capture(&work, name, worked).await?;
            }
        }
        Ok(worked)
    }

    async fn was_started(&mut self, step: &PlannedStep, label: &str) -> Result<bool, Halt> {
        Ok(self.state(step, label).await? != StepState::NotStarted)
    }

    /// Whether the step, or one of its commands, is running.
    pub async fn is_running(&mut self, step: &PlannedStep) -> Result<bool, Halt> {
        let PlannedWork::Script(script) = &step.work else {
            return Ok(false);
        };
        let mut labels = vec![step.number.to_string()];
        if !script.commands().is_empty() {
            let commands = 1..=script.commands().len();
            labels = commands.map(|k| format!("{}-{k}", step.number)).collect();
        }
        for label in labels {
            match self.state(step, &label).await? {
                StepState::Running(_) => return Ok(true),
                StepState::NotStarted => return Ok(false),
                _ => {}
            }
        }
        Ok(false)
    }

    async fn state(&mut self, step: &PlannedStep, label: &str) -> Result<StepState, Halt> {
        match self.bundle_of(step.on, step.sudo.as_ref()).await {
            Ok(bundle) => Ok(bundle.state(label).await?),
            Err(_) => Err(Halt::error("the record of the step cannot be read")),
        }
    }

    async fn values(&mut self, step: &PlannedStep, script: &Script) -> Result<Values, Halt> {
        let node = self.given.plan.node.name.clone();
        let mut scope = self.scope.clone();
        if step.on == On::Local {
            scope.set(
                "bundle",
                self.bundle_of(On::Local, None)
                    .await
                    .map_err(Attention::into_halt)?
                    .dir,
            );
        } else if let Some(user) = self.bundles.other_user(step)
            && let Some(dir) = self.bundles.dir_of(&user)
        {
            scope.set("bundle", dir);
        }
        let mut values = scope
            .values(&node, script.bindings(), &self.given.options.secrets)
            .await?;
        let mut bindings = script.bindings().iter();
        if let Some(late) = bindings.find(|binding| binding.value == Value::Rendered) {
            // It may contain a secret.
            let text = Secret::new(self.placed_text(step).await?);
            let inserted = values.insert_secret(&late.name, text);
            inserted.map_err(|error| Halt::error(error.to_string()))?;
        }
        for text in self.given.options.secrets.take_warnings() {
            self.given
                .record(Some(step), What::Warned { text: text.into() })?;
        }
        Ok(values)
    }

    /// Evaluates the checks after a step.
    async fn ask_checks(
        &mut self,
        step: &PlannedStep,
        cases: &[Case],
        worked: &mut Worked,
    ) -> Result<(), Halt> {
        for case in cases {
            let (status, cause) = match self.check(Some(step), case).await? {
                Outcome::Held | Outcome::Ignored(_) => continue,
                Outcome::Failed(_) => (Status::Failed, format!("`{}` does not hold", case.name)),
                Outcome::Unknown(why) => (
                    Status::Error,
                    format!("`{}` could not be evaluated: {}", case.name, why.exact()),
                ),
            };
            worked.status = status;
            worked.cause = Some(cause);
            break;
        }
        Ok(())
    }
}

fn secretive(script: &Script) -> bool {
    script.bindings().iter().any(|binding| {
        matches!(
            binding.value,
            Value::Text(Text::Secret(_)) | Value::Rendered
        )
    })
}
