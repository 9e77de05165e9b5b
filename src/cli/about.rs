//! Background for a person who must answer a question: the step with its values, the output so far,
//! a shell next to it.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::cli::screen::Screen;
use crate::cli::tty::show;
use crate::event::What;
use crate::journal::{self, State};
use crate::plan::{NodePlan, Plan, PlannedStep};
use crate::report::dry_run;
use crate::report::known::Known;

/// The run that asks.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub state: State,
    pub run: String,
    /// `None` if there are no steps to ask about.
    pub plan: Option<Arc<Plan>>,
    pub screen: Screen,
}

impl About {
    /// For questions outside of a run.
    pub fn nothing() -> About {
        About {
            state: State::beside(Path::new("")),
            run: String::new(),
            plan: None,
            screen: Screen::of_questions(),
        }
    }

    pub fn nodes(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.nodes.len())
    }

    /// By the text of its site.
    fn planned(&self, node: &str) -> Option<&NodePlan> {
        let mut nodes = self.plan.as_ref()?.nodes.iter();
        nodes.find(|planned| planned.site().to_string() == node)
    }

    /// The name of a site for people, with its role if it has one.
    pub fn place(&self, node: &str) -> String {
        let binding = self.plan.as_ref().and_then(|plan| plan.binding.as_ref());
        match (binding, self.planned(node)) {
            (Some(binding), Some(planned)) => binding.place(planned.site()),
            _ => node.to_owned(),
        }
    }

    fn step(&self, node: &str, step: &str) -> Option<(&NodePlan, &PlannedStep)> {
        let planned = self.planned(node)?;
        let mut steps = planned.steps.iter();
        Some((planned, steps.find(|planned| planned.name == step)?))
    }

    /// A step with this node's values, secrets only by name; for a whole procedure, all its steps.
    pub fn text(&self, node: &str, step: &str) -> String {
        let mut text = String::new();
        match (self.step(node, step), self.planned(node)) {
            (Some((planned, step)), _) => {
                for line in self.exactly(planned, step).lines() {
                    let _ = writeln!(text, "  {line}");
                }
            }
            (None, Some(planned)) => {
                for step in &planned.steps {
                    let _ = writeln!(text, "  {}  {}", step.heading(), step.title);
                }
            }
            (None, None) => {}
        }
        text
    }

    /// For a question about no single step: everything that will be done on its node.
    pub fn whole_of(&self, node: &str, step: &str) -> Option<String> {
        if self.step(node, step).is_some() {
            return None;
        }
        let planned = self.planned(node)?;
        let steps = planned.steps.iter();
        Some(
            steps
                .map(|step| format!("\n{}", self.exactly(planned, step)))
                .collect(),
        )
    }

    fn exactly(&self, planned: &NodePlan, step: &PlannedStep) -> String {
        let record = journal::read(&self.state, &self.run);
        let known = record.map_or_else(
            |_| Known::default(),
            |record| Known::of(&record, planned.site()),
        );
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        let _ = dry_run::step(planned, step, &known, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Shows the steps' output from the journal.
    pub fn output(&self, node: &str) {
        let Ok(record) = journal::read(&self.state, &self.run) else {
            return;
        };
        let mut text = String::new();
        let site = self.planned(node).map_or(node.into(), NodePlan::site);
        for event in record.of(site) {
            if let What::Output { text: piece, .. } = &event.what {
                text.extend(piece.lines().map(|line| format!("{line}\n")));
            }
        }
        show(if text.is_empty() {
            "  nothing yet\n"
        } else {
            &text
        });
    }

    pub async fn shell(&self, node: &str, bundle: &str) {
        let Some(planned) = self.planned(node) else {
            return;
        };
        let mut command = crate::cli::bridge::shell_in(&planned.node, bundle);
        let ended = tokio::task::spawn_blocking(move || command.status()).await;
        if let Ok(Err(error)) = ended {
            show(&format!("  no shell: {error}\n"));
        }
    }
}
