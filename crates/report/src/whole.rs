//! One sheet for a halted run over several nodes: what is done, and what is left where, in the
//! order of the page. The parts to paste on each node follow, formatted by `handoff`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::event::{Status, What};
use crate::handoff::{Among, TO_CONTINUE, TO_GIVE_UP};
use crate::journal::Record;
use crate::paste::note;
use crate::plan::{Binding, NodePlan, Plan, PlannedStep, Section, Stretch, Turn};

/// The column of the command that opens a shell.
const COMMANDS: usize = 48;

/// A run with roles: its plan and its journal.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    plan: &'a Plan,
    binding: &'a Binding,
    record: &'a Record,
    /// `opsbook`, with the options that make its commands work from any folder.
    program: &'a str,
}

/// A node, in the main line or in a turn, with unfinished steps.
#[derive(Debug)]
pub struct Part<'a> {
    /// Its plan.
    pub node: &'a NodePlan,
    /// What it must know of the others.
    pub among: Among,
}

/// An unfinished step at one site.
#[derive(Clone, Copy)]
struct Left<'a> {
    node: &'a NodePlan,
    step: &'a PlannedStep,
}

/// Unfinished work, in the order of the page.
enum Due<'a> {
    /// A step, on the nodes where it is unfinished.
    Step(Vec<Left<'a>>),
    /// Turns that have not begun.
    Turns(&'a Section, Vec<&'a Turn>),
}

impl<'a> Whole<'a> {
    /// `None` if the procedure has no roles.
    #[must_use]
    pub fn of(plan: &'a Plan, record: &'a Record, program: &'a str) -> Option<Whole<'a>> {
        let binding = plan.binding.as_ref()?;
        Some(Whole {
            plan,
            binding,
            record,
            program,
        })
    }

    /// Writes the part about the whole run, entirely as comments.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let run = self.run();
        let words = self.words().join(" ");
        let head = format!("--- hand-off: {}, run {run}: {words}", self.plan.procedure);
        note(&head, out)?;
        for cause in self.causes() {
            note(&cause, out)?;
        }
        let done = self.done();
        if !done.is_empty() {
            note("\ndone:", out)?;
        }
        for line in done {
            note(&format!("  {line}"), out)?;
        }
        self.changed_elsewhere(out)?;
        let due = self.due();
        if due.is_empty() {
            note("\nnothing is left to do", out)?;
        }
        self.left(&due, out)?;
        self.go_on(out)?;
        note("---", out)
    }

    /// The parts to paste, in the order in which they are due.
    #[must_use]
    pub fn parts(&self) -> Vec<Part<'a>> {
        let due = self.due();
        let mut parts: Vec<Part<'a>> = Vec::new();
        for (index, item) in due.iter().enumerate() {
            let Due::Step(lefts) = item else { continue };
            for left in lefts {
                let site = left.node.site();
                let known = parts.iter().position(|part| part.node.site() == site);
                let at = known.unwrap_or(parts.len());
                if known.is_none() {
                    parts.push(Part {
                        node: left.node,
                        among: self.among(left.node),
                    });
                }
                let before = Self::before(&due[..index], left);
                if !before.is_empty() {
                    parts[at].among.gates.insert(left.step.number, before);
                }
            }
        }
        parts
    }

    /// What a part without unfinished steps must know.
    #[must_use]
    pub fn among(&self, node: &NodePlan) -> Among {
        Among {
            place: self.binding.place(node.site()),
            words: self.words(),
            gates: BTreeMap::new(),
        }
    }

    /// What must have been done elsewhere since this site's previous step.
    fn before(due: &[Due<'a>], left: &Left<'a>) -> Vec<String> {
        let site = left.node.site();
        let mut before = Vec::new();
        for item in due.iter().rev() {
            match item {
                Due::Step(others) => {
                    if others.iter().any(|other| other.node.site() == site) {
                        break;
                    }
                    let line = |other: &&Left<'_>| {
                        let (turn, own) = (other.node.turn.as_deref(), site.turn);
                        turn.is_none() || own.is_none() || turn == own
                    };
                    let others: Vec<&Left<'_>> = others.iter().filter(line).collect();
                    if let Some(first) = others.first() {
                        let places = Self::places(others.iter().map(|other| other.node));
                        let heading = first.step.heading();
                        before.push(format!("step {heading}, on {places}"));
                    }
                }
                Due::Turns(section, turns) if site.turn.is_none() => {
                    let turns: Vec<&str> = turns.iter().map(|turn| turn.node.as_str()).collect();
                    let (title, turns) = (&section.title, turns.join(", "));
                    before.push(format!("all steps of \"{title}\" for {turns}"));
                }
                Due::Turns(..) => {}
            }
        }
        before.reverse();
        before
    }

    fn run(&self) -> &'a str {
        let first = self.record.events.first();
        first.map_or("", |event| event.run.as_str())
    }

    /// `web=web1,web2`, in the order of the contract.
    fn words(&self) -> Vec<String> {
        let roles = self.binding.roles.iter();
        let bound = roles.filter(|bound| !bound.nodes.is_empty());
        bound
            .map(|bound| format!("{}={}", bound.role, bound.nodes.join(",")))
            .collect()
    }

    /// `lb1, then lb2 (lb)`.
    fn places<'n>(nodes: impl Iterator<Item = &'n NodePlan>) -> String {
        let nodes: Vec<&NodePlan> = nodes.collect();
        let names: Vec<&str> = nodes.iter().map(|node| node.node.name.as_str()).collect();
        let role = nodes.first().and_then(|node| node.role.as_deref());
        let role = role.map_or_else(String::new, |role| format!(" ({role})"));
        format!("{}{role}", names.join(", then "))
    }

    fn main_line(&self) -> impl Iterator<Item = &'a NodePlan> + use<'a> {
        let plan = self.plan;
        plan.nodes.iter().filter(|node| node.turn.is_none())
    }

    fn plans(&self, turn: &'a Turn) -> impl Iterator<Item = &'a NodePlan> + use<'a> {
        let plan = self.plan;
        turn.plans.iter().filter_map(|index| plan.nodes.get(*index))
    }

    /// How a step ended last at one site; `None` without an end.
    fn end(&self, node: &NodePlan, number: usize) -> Option<Status> {
        let steps = self.record.steps(node.site());
        steps.get(&number).copied().flatten()
    }

    fn is_done(&self, node: &NodePlan, number: usize) -> bool {
        self.end(node, number).is_some_and(Status::goes_on)
    }

    /// Steps before an explicit start are to be done by nobody.
    fn is_left(&self, node: &NodePlan, number: usize) -> bool {
        let earliest = self.record.earliest(node.site(), |n| node.is_set_up(n));
        number >= earliest && !self.is_done(node, number)
    }

    fn lefts(&self, plans: impl Iterator<Item = &'a NodePlan>, number: usize) -> Vec<Left<'a>> {
        let steps = plans.filter_map(|node| Some((node, node.step(number)?)));
        steps
            .filter(|(node, step)| self.is_left(node, step.number))
            .map(|(node, step)| Left { node, step })
            .collect()
    }

    /// How a turn ended last; `None` if it has not ended or began again.
    fn turn_status(&self, turn: &'a Turn) -> Option<(Status, String)> {
        let own = self.plans(turn).next()?;
        let mut events = self.record.of(own.site()).rev();
        events.find_map(|event| match &event.what {
            What::TurnEnded { status, cause } => {
                let cause = cause.as_ref().map(|cause| format!(": {}", cause.block()));
                Some((*status, cause.unwrap_or_default()))
            }
            _ => None,
        })
    }

    fn turn_is_ok(&self, turn: &'a Turn) -> bool {
        matches!(self.turn_status(turn), Some((Status::Ok, _)))
    }

    /// Whether something was done in it, or a lock was taken for it.
    fn has_begun(&self, turn: &'a Turn) -> bool {
        let touched = |node: &NodePlan| {
            let mut events = self.record.of(node.site());
            events.any(|event| {
                matches!(
                    event.what,
                    What::BundleOpened { .. }
                        | What::BundleReopened { .. }
                        | What::StepFound { .. }
                        | What::StepStarted { .. }
                )
            })
        };
        self.plans(turn).any(touched)
    }

    fn sections(&self) -> impl Iterator<Item = &'a Section> + use<'a> {
        self.binding
            .order
            .iter()
            .filter_map(|stretch| match stretch {
                Stretch::Section(section) => Some(section),
                Stretch::Step(_) | Stretch::Checks(_) => None,
            })
    }

    fn halted(&self) -> Vec<&'a Turn> {
        let turns = self.sections().flat_map(|section| &section.turns);
        turns
            .filter(|turn| self.has_begun(turn) && !self.turn_is_ok(turn))
            .collect()
    }

    /// Where and why it halted: turns first, then nodes with a separate cause.
    fn causes(&self) -> Vec<String> {
        let open = "it has no recorded end: its opsbook was killed, or still runs";
        let mut events = self.record.events.iter().rev();
        let last = events.find(|event| {
            matches!(
                event.what,
                What::RunStarted(_) | What::RunResumed { .. } | What::RunEnded { .. }
            )
        });
        if !last.is_some_and(|event| matches!(event.what, What::RunEnded { .. })) {
            return vec![open.to_owned()];
        }
        let mut causes = Vec::new();
        let turns: Vec<&Turn> = self.halted();
        for turn in &turns {
            if let Some((status, cause)) = self.turn_status(turn) {
                causes.push(format!("halted: {}: {status}{cause}", turn.node));
            }
        }
        let mut others = Vec::new();
        for node in self.main_line() {
            let name = node.node.name.as_str();
            if turns.iter().any(|turn| turn.node == name) {
                continue;
            }
            let mut events = self.record.of(node.site()).rev();
            let end = events.find_map(|event| match &event.what {
                What::NodeEnded { status, cause } => Some((*status, cause.as_ref())),
                _ => None,
            });
            let Some((status, cause)) = end.filter(|(status, _)| *status != Status::Ok) else {
                continue;
            };
            let cause = cause.map_or_else(String::new, |cause| format!(": {}", cause.block()));
            let line = format!("halted: {name}: {status}{cause}");
            if status == Status::Stopped {
                others.push(line);
            } else {
                causes.push(line);
            }
        }
        if causes.is_empty() {
            causes.extend(others.into_iter().take(1));
        }
        causes
    }

    fn done(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for stretch in &self.binding.order {
            match stretch {
                Stretch::Step(number) => lines.extend(self.done_step(self.main_line(), *number)),
                Stretch::Section(section) => {
                    let turns = section.turns.iter();
                    let ok = turns.filter(|turn| self.turn_is_ok(turn));
                    let ok: Vec<&str> = ok.map(|turn| turn.node.as_str()).collect();
                    if !ok.is_empty() {
                        lines.push(format!("for {}: all steps", ok.join(", ")));
                    }
                    let turns = section.turns.iter();
                    for turn in turns.filter(|turn| !self.turn_is_ok(turn)) {
                        let steps = turn.steps.iter();
                        let steps =
                            steps.filter_map(|step| self.done_step(self.plans(turn), *step));
                        lines.extend(steps.map(|step| format!("of {}: {step}", turn.node)));
                    }
                }
                Stretch::Checks(_) => {}
            }
        }
        lines
    }

    /// `2 drain, on lb1, lb2 (lb)  OK`.
    fn done_step(
        &self,
        plans: impl Iterator<Item = &'a NodePlan>,
        number: usize,
    ) -> Option<String> {
        let done: Vec<&NodePlan> = plans.filter(|node| self.is_done(node, number)).collect();
        let step = done.first()?.step(number)?;
        let mut ends: Vec<&str> = Vec::new();
        for node in &done {
            let status = self.end(node, number).unwrap_or(Status::Ok);
            if !ends.contains(&status.word()) {
                ends.push(status.word());
            }
        }
        let names: Vec<&str> = done.iter().map(|node| node.node.name.as_str()).collect();
        let role = done.first().and_then(|node| node.role.as_deref());
        let role = role.map_or_else(String::new, |role| format!(" ({role})"));
        Some(format!(
            "{}, on {}{role}  {}",
            step.heading(),
            names.join(", "),
            ends.join(", ")
        ))
    }

    /// Nodes that a halted turn has changed, and that one of its later steps must change back.
    fn changed_elsewhere(&self, out: &mut dyn Write) -> io::Result<()> {
        for turn in self.halted() {
            let others = self.plans(turn).filter(|node| node.node.name != turn.node);
            let changed: Vec<&str> = others
                .filter(|node| {
                    let begun = self.record.steps(node.site());
                    let later = |step: &PlannedStep| {
                        begun.keys().any(|number| *number < step.number)
                            && self.is_left(node, step.number)
                    };
                    node.steps.iter().any(later)
                })
                .map(|node| node.node.name.as_str())
                .collect();
            if !changed.is_empty() {
                let (turn, changed) = (&turn.node, changed.join(", "));
                let text = format!(
                    "\nchanged elsewhere for {turn}, not yet taken back by a later step: {changed}"
                );
                note(&text, out)?;
            }
        }
        Ok(())
    }

    fn due(&self) -> Vec<Due<'a>> {
        let mut due = Vec::new();
        for stretch in &self.binding.order {
            match stretch {
                Stretch::Step(number) => due.push(Due::Step(self.lefts(self.main_line(), *number))),
                Stretch::Section(section) => {
                    for turn in &section.turns {
                        if self.has_begun(turn) && !self.turn_is_ok(turn) {
                            let steps = turn.steps.iter();
                            due.extend(
                                steps.map(|step| Due::Step(self.lefts(self.plans(turn), *step))),
                            );
                        }
                    }
                    let turns = section.turns.iter();
                    let not_begun =
                        turns.filter(|turn| !self.has_begun(turn) && !self.turn_is_ok(turn));
                    due.push(Due::Turns(section, not_begun.collect()));
                }
                Stretch::Checks(_) => {}
            }
        }
        due.retain(|item| match item {
            Due::Step(lefts) => !lefts.is_empty(),
            Due::Turns(_, turns) => !turns.is_empty(),
        });
        due
    }

    fn left(&self, due: &[Due<'a>], out: &mut dyn Write) -> io::Result<()> {
        let mut of = String::new();
        for item in due {
            match item {
                Due::Step(lefts) => {
                    let turn = lefts.first().and_then(|left| left.node.site().turn_of());
                    let turn = turn.map_or_else(String::new, |turn| format!(" for {turn}"));
                    let head = format!("\nleft{turn}:");
                    if of != head {
                        note(&head, out)?;
                        of = head;
                    }
                    note(&self.left_step(lefts), out)?;
                }
                Due::Turns(section, turns) => {
                    let turns: Vec<&str> = turns.iter().map(|turn| turn.node.as_str()).collect();
                    let title = &section.title;
                    note(
                        &format!("\nnot begun: {}  ({title})", turns.join(", ")),
                        out,
                    )?;
                    of.clear();
                }
            }
        }
        Ok(())
    }

    fn left_step(&self, lefts: &[Left<'a>]) -> String {
        let Some(first) = lefts.first() else {
            return String::new();
        };
        let places = Self::places(lefts.iter().map(|left| left.node));
        let mut line = format!("  {}, on {places}", first.step.heading());
        let mut said = Vec::new();
        for left in lefts {
            let number = left.step.number;
            let doubtful = self.record.doubtful(left.node.site()).contains(&number);
            let begun = self.record.steps(left.node.site()).contains_key(&number);
            let word = match self.end(left.node, number) {
                Some(status) if doubtful => format!("{status}: it may or may not have finished"),
                Some(status) => status.word().to_owned(),
                None if begun => "started, no end known".to_owned(),
                None => continue,
            };
            match lefts.len() {
                1 => said.push(word),
                _ => said.push(format!("{}: {word}", left.node.node.name)),
            }
        }
        if !said.is_empty() {
            line += &format!("  {}", said.join(", "));
        }
        let shell = format!(
            "{} shell {} --run {}",
            self.program,
            told(first.node),
            self.run()
        );
        format!("{line:<COMMANDS$}  {shell}")
    }

    fn go_on(&self, out: &mut dyn Write) -> io::Result<()> {
        let (program, run) = (self.program, self.run());
        note(&format!("\n{TO_CONTINUE}{program} resume {run}"), out)?;
        let held = self.held();
        if held.is_empty() {
            return Ok(());
        }
        let held = held.join(", ");
        note(
            &format!("{TO_GIVE_UP}{program} lock release --run {run}   ({held})"),
            out,
        )
    }

    /// The nodes on which the run has a bundle.
    fn held(&self) -> Vec<&'a str> {
        let mut held: Vec<&str> = Vec::new();
        for node in &self.plan.nodes {
            let name = node.node.name.as_str();
            let mut events = self.record.of(node.site()).rev();
            let open = events.find_map(|event| match &event.what {
                What::BundleOpened {
                    local: false,
                    user: None,
                    ..
                }
                | What::BundleReopened { local: false, .. }
                | What::BundleKept { local: false, .. } => Some(true),
                What::BundleClosed {
                    local: false,
                    user: None,
                    ..
                } => Some(false),
                _ => None,
            });
            if open == Some(true) && !held.contains(&name) {
                held.push(name);
            }
        }
        held
    }
}

/// A place in commands for opsbook: `web3`; another node in its turn `web3/lb1`.
#[must_use]
pub fn told(node: &NodePlan) -> String {
    let site = node.site();
    match site.turn_of() {
        Some(turn) if turn == site.node => turn.to_owned(),
        _ => site.to_string(),
    }
}
