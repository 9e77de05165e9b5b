//! What each block is given, before a node is chosen: for the book, which is read with the
//! values of any node. With a node it is exactly what a plan binds (a test holds the two
//! together); without one it is a list of what the block needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::manual::{self, Check, On, Procedure, Variables, Work, variables};
use crate::{RUN_NAMES, heading};

/// A name that a script mentions and does not make up by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// As the script mentions it.
    pub name: String,
    /// Where its value comes from.
    pub from: From,
}

/// Where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A parameter or a value of the node; without one the script cannot run.
    Value,
    /// The same, where there is one; else the script does without.
    Optional,
    /// The same, where there is one; else the script of an earlier step sets it. The text is
    /// that step's heading.
    Earlier(String),
    /// What an earlier step prints. The text is its heading.
    Captured(String),
    /// Known when a run is under way.
    Run,
}

/// A step's script, and the scripts of its checks.
#[derive(Clone, Debug, Default)]
pub struct StepUses {
    /// What its script is given.
    pub work: Vec<Use>,
    /// What the script of each of its checks is given.
    pub checks: Vec<Vec<Use>>,
}

/// Of each step, in order.
#[must_use]
pub fn of_procedure(procedure: &Procedure) -> Vec<StepUses> {
    let mut known = Known::default();
    let steps = procedure.steps.iter();
    steps
        .map(|step| {
            let label = step.id.clone().unwrap_or_else(|| step.number.to_string());
            let title = heading(step.number, &label);
            let work = match &step.work {
                Work::Script(script) => known.script(script, step.on, Some(&title)),
                Work::Deliver(_) | Work::Manual(_) => Vec::new(),
            };
            if let Some(name) = &step.capture {
                known.captured.insert(name.clone(), title);
            }
            let checks = step.checks.iter();
            let checks = checks.map(|check| known.script(&check.script, check.on, None));
            let checks = checks.collect();
            StepUses { work, checks }
        })
        .collect()
}

/// Of a check that belongs to no step.
#[must_use]
pub fn of_check(check: &Check) -> Vec<Use> {
    Known::default().script(&check.script, check.on, None)
}

/// What earlier steps have made known.
#[derive(Default)]
struct Known {
    /// Name, and the heading of the step.
    captured: BTreeMap<String, String>,
    /// What scripts set, on the node and on the operator's machine.
    assigned: [BTreeMap<String, String>; 2],
    /// A script there may have set names that cannot be seen.
    opaque: [bool; 2],
}

impl Known {
    /// `step` is set for what later scripts see the variables of.
    fn script(&mut self, script: &manual::Script, on: On, step: Option<&str>) -> Vec<Use> {
        let side = usize::from(on == On::Local);
        let used = variables(&script.text.text, &script.interpreter);
        let names: BTreeSet<&String> = used.mentioned.keys().collect();
        let uses = names.into_iter().map(|name| Use {
            name: name.clone(),
            from: self.from(name, side, script, &used),
        });
        let uses = uses.collect();
        if let Some(step) = step {
            for name in &used.assigned {
                self.assigned[side].insert(name.clone(), step.to_owned());
            }
            self.opaque[side] |= used.opaque;
        }
        uses
    }

    fn from(&self, name: &str, side: usize, script: &manual::Script, used: &Variables) -> From {
        if let Some(step) = self.captured.get(name) {
            return From::Captured(step.clone());
        }
        if RUN_NAMES.contains(&name) {
            return From::Run;
        }
        let own = used.assigned.contains(name) || script.defined.iter().any(|own| own == name);
        let absent = self.opaque[side] || used.opaque || used.lenient;
        if own || absent || used.guarded.contains(name) {
            return From::Optional;
        }
        match self.assigned[side].get(name) {
            Some(step) => From::Earlier(step.clone()),
            None => From::Value,
        }
    }
}
