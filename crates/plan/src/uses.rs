//! The names that each block uses before a node is chosen, for the book, which can show the values
//! of any node. For a chosen node this is exactly what a plan binds (a test compares the two);
//! otherwise it is a list of what the block needs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::manual::{self, Check, Machine, On, Procedure, Step, Variables, Work, variables};
use crate::{RUN_NAMES, heading};

/// A name that a script mentions and does not set itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The name in the script.
    pub name: String,
    /// Where its value comes from.
    pub from: From,
}

/// Where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A parameter or a value of the node; the script cannot run without it.
    Value,
    /// The same, but the script can do without it.
    Optional,
    /// A parameter or a value of the node; without one, an earlier step's script sets it. The text
    /// is that step's heading.
    Earlier(String),
    /// The output of an earlier step. The text is its heading.
    Captured(String),
    /// Known during a run.
    Run,
    /// The node of this role (`$old`), or a value of it (`$old_address`).
    Role(String),
}

/// The names that the blocks of a procedure use.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// For each step's script, in order; empty for other steps.
    pub steps: Vec<Vec<Use>>,
    /// For each check's script, by its page and block.
    pub checks: HashMap<(usize, usize), Vec<Use>>,
}

/// The names of all blocks of a procedure.
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
            // Names that a turn sets and captures are gone after it.
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

/// The names of a check that belongs to no procedure.
#[must_use]
pub fn of_check(check: &Check) -> Vec<Use> {
    Known::default().script(&check.script, Seat::of(check.on, None), None)
}

/// Where a script runs; each place has its own shell variables.
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

/// Names known from earlier steps.
#[derive(Clone, Default)]
struct Known<'a> {
    procedure: Option<&'a Procedure>,
    /// Each captured name with the heading of its step.
    captured: BTreeMap<String, String>,
    /// Names that scripts set, by where they run.
    assigned: BTreeMap<Seat, BTreeMap<String, String>>,
    /// Where a script may have set unknown names.
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

    /// `step` is set for scripts whose variables later scripts see.
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

    /// The role `old` of `old` and of `old_address`: role names have no underscore.
    fn role_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let role = name.split('_').next().unwrap_or(name);
        let known = |procedure: &Procedure| procedure.roles.contains_key(role);
        self.procedure.is_some_and(known).then_some(role)
    }
}
