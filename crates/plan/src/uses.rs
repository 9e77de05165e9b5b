//! What each block is given, before a node is chosen: for the book, which is read with the
//! values of any node. With a node it is exactly what a plan binds (a test holds the two
//! together); without one it is a list of what the block needs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::manual::{self, Check, Machine, On, Procedure, Step, Variables, Work, variables};
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
    /// The node that plays this role (`$old`), or a value of it (`$old_address`).
    Role(String),
}

/// What the blocks of a procedure are given.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// Of each step's script, in order; a step that is no script is given nothing.
    pub steps: Vec<Vec<Use>>,
    /// Of each check's script, by its page and block.
    pub checks: HashMap<(usize, usize), Vec<Use>>,
}

/// Of all blocks of a procedure.
#[must_use]
pub fn of_procedure(procedure: &Procedure) -> Uses {
    let mut known = Known {
        procedure: Some(procedure),
        ..Known::default()
    };
    let mut uses = Uses::default();
    known.checks(&procedure.before, &mut uses);
    for step in &procedure.steps {
        let mut sections = procedure.sections.iter();
        let opens = sections.find(|each| each.steps.start == step.number);
        if let Some(each) = opens {
            // What a turn sets and captures is gone after it.
            known.outside = Some(Box::new(known.clone()));
            known.checks(&each.before, &mut uses);
        }
        let work = known.step(step);
        uses.steps.push(work);
        known.checks(&step.checks, &mut uses);
        let closes = |each: &manual::Each| each.steps.end == step.number + 1;
        if procedure.sections.iter().any(closes)
            && let Some(outside) = known.outside.take()
        {
            known = *outside;
        }
        let after = procedure.after.iter();
        for (_, checks) in after.filter(|(last, _)| *last == step.number) {
            known.checks(checks, &mut uses);
        }
    }
    uses
}

/// Of a check that belongs to no procedure.
#[must_use]
pub fn of_check(check: &Check) -> Vec<Use> {
    Known::default().script(&check.script, Seat::of(check.on, None), None)
}

/// Where a script runs, as far as variables of the shell go: each has its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seat {
    Node,
    Local,
    Role(String),
}

impl Seat {
    fn of(on: On, machine: Option<&Machine>) -> Seat {
        match (on, machine) {
            (On::Local, _) => Seat::Local,
            (On::Node, Some(machine)) => Seat::Role(machine.role().to_owned()),
            (On::Node, None) => Seat::Node,
        }
    }
}

/// What earlier steps have made known.
#[derive(Clone, Default)]
struct Known<'a> {
    procedure: Option<&'a Procedure>,
    /// Name, and the heading of the step.
    captured: BTreeMap<String, String>,
    /// What scripts set, by where they run.
    assigned: BTreeMap<Seat, BTreeMap<String, String>>,
    /// Where a script may have set names that cannot be seen.
    opaque: BTreeSet<Seat>,
    /// Within a section: what was known before it.
    outside: Option<Box<Known<'a>>>,
}

impl Known<'_> {
    fn step(&mut self, step: &Step) -> Vec<Use> {
        let label = step.id.clone().unwrap_or_else(|| step.number.to_string());
        let title = heading(step.number, &label);
        let work = match &step.work {
            Work::Script(script) => {
                let seat = Seat::of(step.on, step.machine.as_ref());
                self.script(script, seat, Some(&title))
            }
            Work::Deliver(_) | Work::Manual(_) | Work::Place(_) => Vec::new(),
        };
        if let Some(name) = &step.capture {
            self.captured.insert(name.clone(), title);
        }
        work
    }

    fn checks(&mut self, checks: &[Check], uses: &mut Uses) {
        for check in checks {
            let seat = Seat::of(check.on, check.machine.as_ref());
            let own = self.script(&check.script, seat, None);
            uses.checks.insert((check.page, check.block), own);
        }
    }

    /// `step` is set for what later scripts see the variables of.
    fn script(&mut self, script: &manual::Script, seat: Seat, step: Option<&str>) -> Vec<Use> {
        let used = variables(&script.text.text, &script.interpreter);
        let names: BTreeSet<&String> = used.mentioned.keys().collect();
        let uses = names.into_iter().map(|name| Use {
            name: name.clone(),
            from: self.from(name, &seat, script, &used),
        });
        let uses = uses.collect();
        if let Some(step) = step {
            let assigned = self.assigned.entry(seat.clone()).or_default();
            for name in &used.assigned {
                assigned.insert(name.clone(), step.to_owned());
            }
            if used.opaque {
                self.opaque.insert(seat);
            }
        }
        uses
    }

    fn from(&self, name: &str, seat: &Seat, script: &manual::Script, used: &Variables) -> From {
        if let Some(step) = self.captured.get(name) {
            return From::Captured(step.clone());
        }
        if RUN_NAMES.contains(&name) {
            return From::Run;
        }
        let own = used.assigned.contains(name) || script.defined.iter().any(|own| own == name);
        if let Some(role) = self.role_of(name).filter(|_| !own) {
            return From::Role(role.to_owned());
        }
        let absent = self.opaque.contains(seat) || used.opaque || used.lenient;
        if own || absent || used.guarded.contains(name) {
            return From::Optional;
        }
        let earlier = self.assigned.get(seat).and_then(|set| set.get(name));
        match earlier {
            Some(step) => From::Earlier(step.clone()),
            None => From::Value,
        }
    }

    /// `old` of `old` and of `old_address`: no name of a role has an underscore.
    fn role_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let role = name.split('_').next().unwrap_or(name);
        let known = |procedure: &Procedure| procedure.roles.contains_key(role);
        self.procedure.is_some_and(known).then_some(role)
    }
}
