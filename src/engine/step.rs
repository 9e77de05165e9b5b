//! One step: asked about, started, executed, verified by its checks, written down.

use std::time::{Duration, Instant};

use crate::engine::bundle::{How, StepDone, StepState};
use crate::engine::check::{Outcome, wrong_display, wrong_status};
use crate::engine::execute::{Ended, Execution, left_over};
use crate::engine::node::{Halt, NodeRun};
use crate::engine::question::{Answer, Asked};
use crate::event::{Evidence, Status, StepEnded, What};
use crate::manual::{Expect, On, is_shell};
use crate::nodes::Text;
use crate::plan::{Bound, PlannedStep, PlannedWork, Script};
use crate::session::{Value, Values};

/// The largest output that is compared or captured whole.
const COMPARED: u64 = 4 << 20;

/// How a step's work ended, before its checks.
struct Worked {
    status: Status,
    exit: Option<i32>,
    cause: Option<String>,
    outcome_unknown: bool,
    evidence: Vec<Evidence>,
    note: Option<String>,
}

impl Worked {
    fn ok(exit: Option<i32>) -> Worked {
        Worked {
            status: Status::Ok,
            exit,
            cause: None,
            outcome_unknown: false,
            evidence: Vec::new(),
            note: None,
        }
    }

    fn ended(status: Status, cause: impl Into<String>) -> Worked {
        Worked {
            status,
            cause: Some(cause.into()),
            ..Worked::ok(None)
        }
    }

    fn failed(exit: i32, evidence: Evidence) -> Worked {
        let cause = format!(
            "{}: expected {}, found {}",
            evidence.attribute,
            evidence.expected,
            first_line(&evidence.found)
        );
        Worked {
            status: Status::Failed,
            exit: Some(exit),
            cause: Some(cause),
            evidence: vec![evidence],
            ..Worked::ok(None)
        }
    }
}

impl NodeRun<'_> {
    /// Does one step; an error ends the run on this node.
    pub(super) async fn step(&mut self, step: &PlannedStep) -> Result<(), Halt> {
        let began = Instant::now();
        let attached = self.resuming && !self.rerun;
        let chosen = if attached {
            Chosen::Run
        } else {
            self.choose(step).await?
        };
        if attached {
            let (name, title) = (step.name.clone(), step.title.clone());
            self.record(Some(step), What::StepAttached { name, title })?;
        } else {
            let (name, title) = (step.name.clone(), step.title.clone());
            self.record(
                Some(step),
                What::StepStarted {
                    name,
                    title,
                    limit_seconds: step.timeout.as_secs(),
                },
            )?;
        }
        let mut worked = match chosen {
            Chosen::Run => match self.work(step).await {
                Ok(worked) => worked,
                // The step has a place in the journal: it gets its end there, too.
                Err(Halt::End {
                    status,
                    cause,
                    outcome_unknown,
                }) => Worked {
                    outcome_unknown,
                    ..Worked::ended(status, cause)
                },
                Err(halt) => return Err(halt),
            },
            Chosen::Skip(note) => Worked {
                note,
                ..Worked::ended(Status::Skipped, "")
            },
            Chosen::ByHand(note) => Worked {
                note,
                ..Worked::ended(Status::ByHand, "")
            },
        };
        if matches!(worked.status, Status::Ok | Status::ByHand) {
            self.verify(step, &mut worked).await?;
        }
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let ended = StepEnded {
            status: worked.status,
            exit: worked.exit,
            outcome_unknown: worked.outcome_unknown,
            cause: worked.cause.clone().filter(|cause| !cause.is_empty()),
            note: worked.note,
            evidence: worked.evidence,
            milliseconds,
        };
        self.record(Some(step), What::StepEnded(ended))?;
        if worked.status.goes_on() {
            return Ok(());
        }
        let cause = worked.cause.unwrap_or_else(|| worked.status.to_string());
        let cause = format!("step {}: {cause}", step.label());
        Err(Halt::End {
            status: worked.status,
            cause,
            outcome_unknown: worked.outcome_unknown,
        })
    }

    /// What the operator wants of a step, where they are to be asked.
    async fn choose(&mut self, step: &PlannedStep) -> Result<Chosen, Halt> {
        let by_node = self.plan.node.confirm == Some(crate::nodes::Confirm::Step);
        let ask = if self.options.menu {
            // The shell of the menu has the run's variables.
            self.recorder.sync()?;
            self.leave_values().await?;
            Asked::Menu {
                step: step.name.clone(),
                title: step.title.clone(),
                bundle: self.bundle()?.dir,
            }
        } else if (step.confirm || by_node) && !self.options.yes {
            Asked::Confirm {
                step: step.name.clone(),
                title: step.title.clone(),
            }
        } else {
            return Ok(Chosen::Run);
        };
        let question = if self.options.menu {
            "run this step?"
        } else {
            "go on with this step?"
        };
        match self.ask(step, question, ask).await? {
            Answer::Yes => Ok(Chosen::Run),
            Answer::Skip => Ok(Chosen::Skip(self.note(step).await?)),
            Answer::ByHand => Ok(Chosen::ByHand(self.note(step).await?)),
            Answer::Nobody => Err(Halt::end(
                Status::Stopped,
                format!(
                    "step {} asks for a confirmation, and there is nobody to ask (`--yes` confirms)",
                    step.label()
                ),
            )),
            _ => Err(Halt::end(
                Status::Stopped,
                format!("stopped before step {}", step.label()),
            )),
        }
    }

    async fn note(&mut self, step: &PlannedStep) -> Result<Option<String>, Halt> {
        let ask = Asked::Note {
            step: step.name.clone(),
        };
        match self.ask(step, "what is to be noted?", ask).await? {
            Answer::Note(note) => Ok(Some(note)),
            _ => Ok(None),
        }
    }

    async fn ask(
        &mut self,
        step: &PlannedStep,
        question: &str,
        ask: Asked,
    ) -> Result<Answer, Halt> {
        self.record(
            Some(step),
            What::Asked {
                question: question.to_owned(),
            },
        )?;
        let answer = self.options.operator.ask(&self.plan.node.name, ask).await;
        let (word, note) = match &answer {
            Answer::Yes => ("yes", None),
            Answer::Skip => ("skip", None),
            Answer::ByHand => ("by hand", None),
            Answer::Note(note) => ("note", Some(note.clone())),
            Answer::Nobody => ("nobody to ask", None),
            _ => ("no", None),
        };
        self.record(
            Some(step),
            What::Answered {
                answer: word.to_owned(),
                note,
            },
        )?;
        Ok(answer)
    }

    async fn work(&mut self, step: &PlannedStep) -> Result<Worked, Halt> {
        match &step.work {
            PlannedWork::Script(script) if script.commands().is_empty() => {
                self.script(step, script).await
            }
            PlannedWork::Script(script) => self.transcript(step, script).await,
            PlannedWork::Deliver(files) => {
                self.deliver(step, files).await?;
                Ok(Worked::ok(None))
            }
            PlannedWork::Manual(text) => self.by_person(step, text).await,
        }
    }

    async fn by_person(&mut self, step: &PlannedStep, text: &str) -> Result<Worked, Halt> {
        if self.options.yes {
            self.record(
                Some(step),
                What::Asked {
                    question: "is it done?".to_owned(),
                },
            )?;
            self.record(
                Some(step),
                What::Answered {
                    answer: "yes".to_owned(),
                    note: Some("by --yes".to_owned()),
                },
            )?;
            return Ok(Worked::ok(None));
        }
        let ask = Asked::Manual {
            step: step.name.clone(),
            text: text.to_owned(),
        };
        match self.ask(step, "is it done?", ask).await? {
            Answer::Yes => Ok(Worked::ok(None)),
            Answer::Note(note) => Ok(Worked {
                note: Some(note),
                ..Worked::ok(None)
            }),
            Answer::Nobody => Ok(Worked::ended(
                Status::Stopped,
                "a person must do this, and there is nobody to ask (`--yes` confirms)",
            )),
            _ => Ok(Worked::ended(Status::Stopped, "the operator stopped here")),
        }
    }

    async fn script(&mut self, step: &PlannedStep, script: &Script) -> Result<Worked, Halt> {
        let values = self.assignments(step, script).await?;
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
        let ended = self.execute(&work).await?;
        let worked = self
            .judge(
                &work,
                ended,
                &step.exit,
                step.expect.as_ref(),
                script.text(),
            )
            .await?;
        match &step.capture {
            Some(name) if worked.status == Status::Ok => self.capture(&work, name, worked).await,
            _ => Ok(worked),
        }
    }

    /// Each command is a start of its own: what follows one that went wrong never runs.
    async fn transcript(&mut self, step: &PlannedStep, script: &Script) -> Result<Worked, Halt> {
        let values = self.assignments(step, script).await?;
        let mut worked = Worked::ok(Some(0));
        // Commands that went well before are not run again; the one that did not is the last.
        let (resuming, rerun) = (self.resuming, self.rerun);
        for (index, command) in script.commands().iter().enumerate() {
            let accepted = [command.exit];
            // Status and output are compared here; the shell must not end over a status.
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
            if rerun {
                let next = format!("{}-{}", step.number, index + 2);
                let last =
                    index + 1 == script.commands().len() || !self.was_started(step, &next).await?;
                (self.resuming, self.rerun) = (resuming || !last, last);
            }
            let ended = self.execute(&work).await?;
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
            if let (Some(name), true) = (&step.capture, index + 1 == script.commands().len()) {
                worked = self.capture(&work, name, worked).await?;
            }
        }
        Ok(worked)
    }

    async fn was_started(&mut self, step: &PlannedStep, label: &str) -> Result<bool, Halt> {
        match self.bundle_of(step.on, step.sudo.as_ref()).await {
            Ok(bundle) => Ok(bundle.state(label).await? != StepState::NotStarted),
            Err(_) => Err(Halt::error("the record of the step cannot be read")),
        }
    }

    async fn assignments(&mut self, step: &PlannedStep, script: &Script) -> Result<Vec<u8>, Halt> {
        let node = self.plan.node.name.clone();
        let mut scope = self.scope.clone();
        if step.on == On::Local {
            scope.set("bundle", self.local_bundle().await?.dir);
        } else if let Some(user) = self.stranger(step) {
            scope.set("bundle", crate::engine::users::dir_of(&user));
        }
        let values = scope
            .values(&node, script.bindings(), &self.options.secrets)
            .await?;
        for text in self.options.secrets.take_warnings() {
            self.record(Some(step), What::Warned { text })?;
        }
        Ok(assignments(&values, is_shell(script.interpreter())))
    }

    async fn judge(
        &mut self,
        work: &Execution<'_>,
        ended: Ended,
        accepted: &[i32],
        expect: Option<&Expect>,
        text: &str,
    ) -> Result<Worked, Halt> {
        let done = match ended {
            Ended::Done(done) => done,
            Ended::Left => {
                return Err(Halt::End {
                    status: Status::Stopped,
                    cause: format!("step {} was left running", work.step.label()),
                    outcome_unknown: true,
                });
            }
            Ended::Rebooted if work.step.reboot => return Ok(Worked::ok(None)),
            Ended::Rebooted => {
                let cause = format!("the node rebooted during step {}", work.step.label());
                return Ok(Worked {
                    outcome_unknown: true,
                    ..Worked::ended(Status::Error, cause)
                });
            }
            Ended::Unknown(cause) => {
                return Ok(Worked {
                    outcome_unknown: true,
                    ..Worked::ended(Status::Error, cause)
                });
            }
        };
        if let Some(left) = left_over(&done) {
            let cause = match done.how {
                How::TimedOut => format!(
                    "not done within {}, and ",
                    crate::engine::human(work.step.timeout)
                ),
                How::Stopped | How::Exited | How::DiskFull => String::new(),
            };
            return Ok(Worked::ended(Status::Error, format!("{cause}{left}")));
        }
        match done.how {
            How::Exited => {}
            How::DiskFull => {
                let cause = format!(
                    "it ended with exit status {}, but the node's disk is full: what it printed or set was not kept",
                    done.status
                );
                return Ok(Worked::ended(Status::Error, cause));
            }
            How::TimedOut => {
                let limit = crate::engine::human(work.step.timeout);
                return Ok(Worked::ended(
                    Status::TimedOut,
                    format!("not done within {limit}; its processes are gone"),
                ));
            }
            How::Stopped => {
                return Ok(Worked::ended(
                    Status::Stopped,
                    "the operator stopped it; its processes are gone",
                ));
            }
        }
        if !done.left.is_empty() {
            let step = work.step.label();
            let processes = done
                .left
                .iter()
                .map(|process| format!("{step} {process}"))
                .collect();
            self.record(Some(work.step), What::LeftBehind { processes })?;
        }
        if work.step.reboot {
            self.await_reboot(work.step).await?;
        }
        if !accepted.contains(&done.status) {
            let (out, err) = self.outputs(work, &done, 64 << 10).await?;
            return Ok(Worked::failed(
                done.status,
                self.mask(wrong_status(accepted, done.status, &out, &err, text)),
            ));
        }
        let Some(expect) = expect else {
            return Ok(Worked::ok(Some(done.status)));
        };
        if done.sizes.0 > COMPARED {
            return Ok(Worked::ended(
                Status::Failed,
                "it printed more than 4 MiB, which is not compared",
            ));
        }
        let (out, err) = self.outputs(work, &done, COMPARED).await?;
        let err = if work.shown { err } else { Vec::new() };
        let expected = self.scope.filled(&self.plan.node, &expect.text.text);
        match wrong_display(expect, &expected, &out, &err, text) {
            None => Ok(Worked::ok(Some(done.status))),
            Some(evidence) => Ok(Worked::failed(done.status, self.mask(evidence))),
        }
    }

    fn mask(&self, evidence: Evidence) -> Evidence {
        let secrets = &self.options.secrets;
        Evidence {
            expected: secrets.mask(&evidence.expected),
            found: secrets.mask(&evidence.found),
            ..evidence
        }
    }

    /// The node goes down by itself; it is waited for until it answers from another boot.
    async fn await_reboot(&mut self, step: &PlannedStep) -> Result<(), Halt> {
        let lost = self.reach.session().lost();
        let gone = tokio::time::timeout(step.timeout.max(Duration::from_mins(1)), lost).await;
        let cause = match gone {
            Ok(lost) => lost.to_string(),
            Err(_) => return Err(Halt::error("the node did not go down")),
        };
        self.record(Some(step), What::ConnectionLost { cause })?;
        self.reattach(true).await.map_err(Halt::error)
    }

    /// Both outputs whole, or their ends.
    async fn outputs(
        &mut self,
        work: &Execution<'_>,
        done: &StepDone,
        most: u64,
    ) -> Result<(Vec<u8>, Vec<u8>), Halt> {
        if let Some((out, err)) = &done.output {
            return Ok((out.clone(), err.clone()));
        }
        let user = work.step.sudo.as_ref();
        let Ok(bundle) = self.bundle_of(work.step.on, user).await else {
            return Err(Halt::error("the output cannot be read back"));
        };
        let from = |size: u64| size.saturating_sub(most);
        let out = bundle
            .tail(&work.label, "out", from(done.sizes.0), most)
            .await?;
        let err = bundle
            .tail(&work.label, "err", from(done.sizes.1), most)
            .await?;
        Ok((out, err))
    }

    async fn capture(
        &mut self,
        work: &Execution<'_>,
        name: &str,
        worked: Worked,
    ) -> Result<Worked, Halt> {
        let user = work.step.sudo.as_ref();
        let Ok(bundle) = self.bundle_of(work.step.on, user).await else {
            return Err(Halt::error("the output cannot be read back"));
        };
        let out = bundle.tail(&work.label, "out", 0, COMPARED).await?;
        let text = String::from_utf8(out)
            .ok()
            .filter(|text| !text.contains('\0'));
        let Some(text) = text else {
            return Ok(Worked::ended(
                Status::Failed,
                format!("what it printed cannot become `{name}`: it is not text"),
            ));
        };
        let value = text.trim().to_owned();
        // A secret that a step prints is no value to pass on in the clear.
        self.record(
            Some(work.step),
            What::ValueCaptured {
                name: name.to_owned(),
                value: self.options.secrets.mask(&value),
            },
        )?;
        self.scope.set(name, value);
        Ok(worked)
    }

    /// The checks that stand after a step.
    async fn verify(&mut self, step: &PlannedStep, worked: &mut Worked) -> Result<(), Halt> {
        for case in &step.checks {
            let (status, cause) = match self.check(Some(step), case).await? {
                Outcome::Held => continue,
                Outcome::Failed(_) => (Status::Failed, format!("`{}` does not hold", case.name)),
                Outcome::Unknown(why) => (
                    Status::Error,
                    format!("`{}` could not be asked: {why}", case.name),
                ),
                Outcome::Lost(lost) => (
                    Status::Error,
                    format!("`{}` could not be asked: {lost}", case.name),
                ),
            };
            worked.status = status;
            worked.cause = Some(cause);
            break;
        }
        Ok(())
    }
}

enum Chosen {
    Run,
    Skip(Option<String>),
    ByHand(Option<String>),
}

/// Shell assignments; for another language they go into its environment.
fn assignments(values: &Values, shell: bool) -> Vec<u8> {
    let mut text = values.assignments().to_vec();
    if !shell {
        for (name, value) in values.iter() {
            debug_assert!(
                matches!(value, Value::Plain(_)),
                "the plan gives no secret to `{name}`"
            );
            text.extend_from_slice(format!("export {name}\n").as_bytes());
        }
    }
    text
}

fn secretive(script: &Script) -> bool {
    script
        .bindings()
        .iter()
        .any(|binding| matches!(binding.value, Bound::Text(Text::Secret(_))))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
