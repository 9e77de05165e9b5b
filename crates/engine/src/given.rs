//! The inputs of a run on one node, and access to its journal.

use std::collections::BTreeSet;

use crate::bundle::Owner;
use crate::event::{BY_ADOPTION, BY_YES, Site, What};
use crate::halt::Halt;
use crate::journal::Line;
use crate::manual::On;
use crate::nodes::{SecretRef, Text};
use crate::plan::{NodePlan, PlannedStep, Value};
use crate::{Options, Recorder};

/// The question if the node has steps that the journal lacks.
pub(super) const TAKE_IN: &str = "accept the records of the node?";

#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub options: &'a Options,
    pub recorder: &'a Recorder,
    pub plan: &'a NodePlan,
    /// The number of the run's last step, on any node.
    pub last: usize,
    /// The run already holds this node's bundle: the turn's bundle is below it.
    pub below: bool,
}

impl<'a> Given<'a> {
    pub fn record(&self, step: Option<&PlannedStep>, what: What) -> Result<(), Halt> {
        self.record_line(step, what).map(drop)
    }

    /// The same; returns the written line.
    pub fn record_line(&self, step: Option<&PlannedStep>, what: What) -> Result<Line, Halt> {
        let number = step.map(|step| step.number);
        Ok(self.recorder.record(Some(self.site()), number, what)?)
    }

    /// The same for another node of the run that a step of this one checks.
    pub fn record_on(
        &self,
        node: &str,
        step: Option<&PlannedStep>,
        what: What,
    ) -> Result<(), Halt> {
        let site = Site {
            node,
            ..self.site()
        };
        let number = step.map(|step| step.number);
        self.recorder.record(Some(site), number, what)?;
        Ok(())
    }

    pub fn warn(&self, step: Option<&PlannedStep>, text: String) -> Result<(), Halt> {
        self.record(step, What::Warned { text: text.into() })
    }

    /// The node's name.
    pub fn node(&self) -> &'a str {
        &self.plan.node.name
    }

    /// The node in the main line or in a turn.
    pub fn site(&self) -> Site<'a> {
        self.plan.site()
    }

    /// The run's name.
    pub fn run(&self) -> String {
        self.recorder.run()
    }

    /// What this controller writes about itself into the bundle.
    pub fn owner(&self) -> Owner {
        let (line, epoch) = self.recorder.head();
        let mut reasons = pinned(self.plan);
        if self.options.pinned {
            reasons.push("it was requested".to_owned());
        }
        Owner {
            node: Some(self.node().to_owned()),
            epoch: Some(epoch),
            line: Some((line.seq, line.hash.into())),
            pinned: reasons.into_iter().map(Into::into).collect(),
            ..self.options.owner.clone()
        }
    }

    /// Journals that a part cannot move to another controller, before it begins.
    pub fn record_pinned(&self) -> Result<(), Halt> {
        let reasons = self.owner().pinned;
        if reasons.is_empty() {
            return Ok(());
        }
        let reasons = reasons.iter().map(|reason| reason.line().to_string());
        let reasons = reasons.collect();
        self.record(None, What::Pinned { reasons })
    }

    /// The supervisor that numbered this controller has decided to accept what the node has.
    pub fn agreed_before(&self, told: &str) -> Result<(), Halt> {
        self.answered_unasked(None, Some(told), TAKE_IN, BY_ADOPTION)
    }

    /// `--yes` answers a question that is then not asked; journals what a person would have been
    /// `told`.
    pub fn confirmed_by_yes(
        &self,
        step: Option<&PlannedStep>,
        told: Option<&str>,
    ) -> Result<(), Halt> {
        let question = match (step, told) {
            (None, None) => "go on with this node?",
            (None, Some(_)) => TAKE_IN,
            (Some(_), None) => "go on with this step?",
            (Some(_), Some(_)) => "is it done?",
        };
        self.answered_unasked(step, told, question, BY_YES)
    }

    fn answered_unasked(
        &self,
        step: Option<&PlannedStep>,
        told: Option<&str>,
        question: &str,
        by: &str,
    ) -> Result<(), Halt> {
        let asked = What::Asked {
            question: question.to_owned(),
            told: told.map(Into::into),
            choices: Vec::new(),
        };
        let asked = self.record_line(step, asked)?;
        let answered = What::Answered {
            answer: "yes".to_owned(),
            question: Some(asked.seq),
            note: Some(by.to_owned()),
        };
        self.record(step, answered)
    }
}

/// Why no other controller can continue a run of this plan.
#[must_use]
pub fn pinned(plan: &NodePlan) -> Vec<String> {
    let mut reasons = Vec::new();
    let local: Vec<&str> = plan
        .steps
        .iter()
        .filter(|step| step.on == On::Local)
        .map(PlannedStep::label)
        .collect();
    if !local.is_empty() {
        reasons.push(format!("steps run on the controller: {}", local.join(", ")));
    }
    let mut asked = BTreeSet::new();
    for script in plan.steps.iter().filter_map(PlannedStep::script) {
        for binding in script.bindings() {
            if let Value::Text(Text::Secret(SecretRef::Prompt(_))) = &binding.value {
                asked.insert(binding.name.as_str());
            }
        }
    }
    let asked: Vec<&str> = asked.into_iter().collect();
    if !asked.is_empty() {
        reasons.push(format!("secrets are asked for: {}", asked.join(", ")));
    }
    reasons
}
