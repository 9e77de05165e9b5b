//! Asks the operator before a run or a step, and journals the answers.

use std::time::Instant;

use crate::event::{Status, What};
use crate::halt::Halt;
use crate::node::NodeRun;
use crate::node::worked::Worked;
use crate::nodes::Confirm;
use crate::plan::{Plan, PlannedStep};
use crate::proof::captured_names;
use crate::question::{Answer, Asked};

/// The journal's text for a yes that also answers later questions.
const ONWARD: &str = "yes, and continue without asking";
const AS_BEFORE: &str = "not asked: an earlier answer was to continue without asking";

pub enum Chosen {
    Run,
    /// The step needs a confirmation, and `--yes` gives it.
    ConfirmedByYes,
    Skip(Option<String>),
    ByHand(Option<String>),
    /// `--done` says that a person has done it: who, and a note.
    Done(String),
}

impl NodeRun<'_> {
    /// `confirm: run` of a node: asks once, before its first step.
    pub async fn confirm_run(&mut self, plan: &Plan) -> Result<(), Halt> {
        if self.given.plan.node.confirm != Some(Confirm::Run) {
            return Ok(());
        }
        if self.given.options.yes {
            return self.given.confirmed_by_yes(None, None);
        }
        let ask = Asked::Confirm {
            step: plan.procedure.clone(),
            title: plan.title.clone(),
        };
        let asked = self.given.record_line(
            None,
            What::Asked {
                question: "go on with this node?".to_owned(),
                told: None,
                choices: ask.choices(),
            },
        )?;
        let answer = self
            .given
            .options
            .operator
            .ask(&self.given.site().to_string(), ask, Some(asked.seq))
            .await;
        let (word, result) = match answer {
            Answer::Yes => ("yes", Ok(())),
            Answer::Onward => (ONWARD, Ok(())),
            Answer::AsBefore => (AS_BEFORE, Ok(())),
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
        self.given.record(
            None,
            What::Answered {
                answer: word.to_owned(),
                question: Some(asked.seq),
                note: None,
            },
        )?;
        result
    }

    /// Asks the operator what to do with a step, if a question is due.
    pub async fn ask_before(&mut self, step: &PlannedStep) -> Result<Chosen, Halt> {
        let by_node = self.given.plan.node.confirm == Some(Confirm::Step);
        let confirm = step.confirm || by_node;
        let asked = Asked::Confirm {
            step: step.name.clone(),
            title: step.title.clone(),
        };
        if self.given.options.menu {
            // The menu's shell gets the run's variables.
            self.given.recorder.sync()?;
            self.bundles.leave_values(&self.scope).await?;
            let menu = Asked::Menu {
                step: step.name.clone(),
                title: step.title.clone(),
                bundle: self.bundles.own()?.dir,
            };
            let answer = self.ask(step, "run this step?", menu).await?;
            // Without the menu, a step with `confirm` still asks.
            if !matches!(answer, Answer::AsBefore) {
                return self.chosen(step, answer).await;
            }
        }
        if !confirm {
            return Ok(Chosen::Run);
        }
        if self.given.options.yes {
            return Ok(Chosen::ConfirmedByYes);
        }
        let answer = self.ask(step, "go on with this step?", asked).await?;
        self.chosen(step, answer).await
    }

    async fn chosen(&mut self, step: &PlannedStep, answer: Answer) -> Result<Chosen, Halt> {
        match answer {
            Answer::Yes | Answer::Onward | Answer::AsBefore => Ok(Chosen::Run),
            Answer::Skip => {
                let note = self.note(step).await?;
                self.value_of(step).await?;
                Ok(Chosen::Skip(note))
            }
            Answer::ByHand => {
                let note = self.note(step).await?;
                self.value_of(step).await?;
                Ok(Chosen::ByHand(note))
            }
            Answer::Nobody => Err(Halt::end(
                Status::Stopped,
                format!(
                    "step {} asks for a confirmation, and there is nobody to ask (`--yes` confirms)",
                    step.label()
                ),
            )),
            _ => Err(stopped_before(step)),
        }
    }

    async fn note(&mut self, step: &PlannedStep) -> Result<Option<String>, Halt> {
        let ask = Asked::Note {
            step: step.name.clone(),
        };
        match self.ask(step, "which note?", ask).await? {
            Answer::Note(note) => Ok(Some(note)),
            // Leaving here does not skip the step.
            Answer::Quit => Err(stopped_before(step)),
            _ => Ok(None),
        }
    }

    /// Asks for the value that a skipped step would have captured, if a later step needs it.
    async fn value_of(&mut self, step: &PlannedStep) -> Result<(), Halt> {
        let Some(name) = &step.capture else {
            return Ok(());
        };
        let needed = |later: &PlannedStep| {
            later.number > step.number
                && captured_names(&self.given.options.root, self.given.plan, later).contains(name)
        };
        if !self.given.plan.steps.iter().any(needed) {
            return Ok(());
        }
        let ask = Asked::Value {
            step: step.name.clone(),
            name: name.clone(),
        };
        let question = format!("which value should `{name}` have?");
        match self.ask(step, &question, ask).await? {
            Answer::Note(value) if !value.is_empty() => {
                self.scope.set(name, value.clone());
                let (name, value) = (name.clone(), value.into());
                self.given
                    .record(Some(step), What::ValueCaptured { name, value })
            }
            Answer::Quit => Err(stopped_before(step)),
            _ => Ok(()),
        }
    }

    async fn ask(
        &mut self,
        step: &PlannedStep,
        question: &str,
        ask: Asked,
    ) -> Result<Answer, Halt> {
        let asked = self.given.record_line(
            Some(step),
            What::Asked {
                question: question.to_owned(),
                told: ask.told().map(Into::into),
                choices: ask.choices(),
            },
        )?;
        let began = Instant::now();
        let answer = self
            .given
            .options
            .operator
            .ask(&self.given.site().to_string(), ask, Some(asked.seq))
            .await;
        self.at_hand.waited += began.elapsed();
        let (word, note) = match &answer {
            Answer::Yes => ("yes", None),
            Answer::Onward => (ONWARD, None),
            Answer::AsBefore => (AS_BEFORE, None),
            Answer::Skip => ("skip", None),
            Answer::ByHand => ("by hand", None),
            Answer::Note(note) => ("note", Some(note.clone())),
            Answer::Nobody => ("nobody to ask", None),
            _ => ("no", None),
        };
        self.given.record(
            Some(step),
            What::Answered {
                answer: word.to_owned(),
                question: Some(asked.seq),
                note,
            },
        )?;
        Ok(answer)
    }

    /// Asks whether to run a step again that may have succeeded. If nobody can answer, it runs,
    /// because the operator resumed the run; the journal notes that.
    pub async fn ask_to_run_again(
        &mut self,
        step: &PlannedStep,
        because: &str,
        outcome_unknown: bool,
    ) -> Result<bool, Halt> {
        let answer = if self.given.options.yes {
            Answer::Nobody
        } else {
            let ask = Asked::Again {
                step: step.name.clone(),
                because: because.to_owned(),
            };
            self.ask(step, "is it to be run again?", ask).await?
        };
        match answer {
            Answer::Yes => Ok(true),
            Answer::ByHand => Ok(false),
            Answer::Nobody => {
                let text = format!("it {because}: run it again");
                self.given
                    .record(Some(step), What::Warned { text: text.into() })?;
                Ok(true)
            }
            _ => Err(Halt::End {
                status: Status::Stopped,
                cause: format!("the operator stopped here; it {because}"),
                outcome_unknown,
            }),
        }
    }

    /// A step done by a person.
    pub async fn by_person(&mut self, step: &PlannedStep, text: &str) -> Result<Worked, Halt> {
        if self.given.options.yes {
            self.given.confirmed_by_yes(Some(step), Some(text))?;
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
}

fn stopped_before(step: &PlannedStep) -> Halt {
    let cause = format!("stopped before step {}", step.label());
    Halt::end(Status::Stopped, cause)
}
