//! The dry run of a procedure with roles, in the order of the page, each step with its node. Nodes
//! that differ only in values are shown together.

use std::io::{self, Write};

use super::View;
use crate::by_node::{Alike, of_step};
use crate::known::Known;
use crate::plan::{Binding, Case, NodePlan, Part, Plan, PlannedStep, Section, Stretch, Turn};

/// The shown plan, and the nodes of its roles.
struct Roles<'a> {
    plan: &'a Plan,
    binding: &'a Binding,
    part: Part,
    /// The mark before each step and check.
    mark: &'a str,
    known: &'a Known,
}

/// Writes the part of a plan that would run, in the order of the page.
///
/// # Errors
/// If the output is closed.
pub(super) fn write(
    plan: &Plan,
    binding: &Binding,
    (part, mark): (Part, &str),
    known: &Known,
    out: &mut dyn Write,
) -> io::Result<()> {
    let roles = Roles {
        plan,
        binding,
        part,
        mark,
        known,
    };
    roles.cast(out)?;
    roles.needs(out)?;
    roles.checks("first check", &binding.before, out)?;
    roles.left_out(out)?;
    for stretch in &binding.order {
        match stretch {
            Stretch::Step(number) => {
                let main = plan.nodes.iter().filter(|node| node.turn.is_none());
                roles.step(*number, main.collect(), out)?;
            }
            Stretch::Section(section) => roles.section(section, out)?,
            Stretch::Checks(cases) => roles.checks("then check", cases, out)?,
        }
    }
    Ok(())
}

impl<'a> Roles<'a> {
    /// The nodes of each role.
    fn cast(&self, out: &mut dyn Write) -> io::Result<()> {
        for bound in &self.binding.roles {
            let nodes = match bound.nodes.as_slice() {
                [] => "no node".to_owned(),
                nodes => nodes.join(", "),
            };
            let only = match (bound.reached, bound.nodes.is_empty()) {
                (false, false) => "  only named",
                _ => "",
            };
            writeln!(out, "  {}: {nodes}{only}", bound.role)?;
        }
        let sum = &self.binding.sha256;
        writeln!(out, "  plan {}", sum.get(..12).unwrap_or(sum))
    }

    fn needs(&self, out: &mut dyn Write) -> io::Result<()> {
        for node in &self.plan.nodes {
            for need in &node.needs {
                let place = self.binding.place(node.site());
                let (group, cases) = (&need.group, need.cases.len());
                let cases = crate::source::counted(cases, "check");
                writeln!(out, "needs {group} on {place}: {cases}")?;
            }
        }
        Ok(())
    }

    fn left_out(&self, out: &mut dyn Write) -> io::Result<()> {
        let steps = self.plan.steps();
        let left_out = steps.iter().filter(|step| !self.part.contains(step.number));
        let left_out: Vec<String> = left_out.map(|step| step.heading()).collect();
        if left_out.is_empty() {
            return Ok(());
        }
        writeln!(out, "left out, as asked: {}", left_out.join(", "))
    }

    fn section(&self, section: &'a Section, out: &mut dyn Write) -> io::Result<()> {
        let (role, title) = (&section.role, &section.title);
        if section.turns.is_empty() {
            return writeln!(out, "{}\n== for each {role}: no node  {title}", self.mark);
        }
        let batches = batches(&section.turns, &section.batches).join("; ");
        writeln!(out, "{}\n== for each {role}: {batches}  {title}", self.mark)?;
        for turn in &section.turns {
            self.checks("first check", &turn.before, out)?;
        }
        let steps = section.turns.first().map(|turn| turn.steps.as_slice());
        for number in steps.unwrap_or_default() {
            let plans = section.turns.iter().flat_map(|turn| &turn.plans);
            let plans = plans.filter_map(|index| self.plan.nodes.get(*index));
            self.step(*number, plans.collect(), out)?;
        }
        writeln!(out, "{}\n== end of \"for each {role}\"", self.mark)
    }

    /// A step on its nodes: shown once if they differ only in values.
    fn step(&self, number: usize, nodes: Vec<&'a NodePlan>, out: &mut dyn Write) -> io::Result<()> {
        let nodes: Vec<&NodePlan> = { nodes.into_iter() }
            .filter(|node| node.step(number).is_some())
            .collect();
        if !self.part.contains(number) {
            return Ok(());
        }
        // A check on another node has that node's values: one table cannot show both.
        let at_home = nodes.iter().all(|node| {
            let mut checks = node
                .step(number)
                .into_iter()
                .flat_map(PlannedStep::all_checks);
            checks.all(|case| case.node.name == node.node.name)
        });
        if at_home {
            return self.together(number, nodes, out);
        }
        for node in nodes {
            self.together(number, vec![node], out)?;
        }
        Ok(())
    }

    fn together(
        &self,
        number: usize,
        nodes: Vec<&'a NodePlan>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let alike: Alike<'_> = of_step(nodes, number);
        let Some(first) = alike.nodes.first() else {
            return Ok(());
        };
        let Some(step) = first.step(number) else {
            return Ok(());
        };
        writeln!(out, "{}", self.mark)?;
        alike.table(out)?;
        let places = alike
            .nodes
            .iter()
            .map(|node| self.binding.place(node.site()));
        let view = View {
            node: first,
            several: alike.nodes.len() > 1,
            known: self.known,
            by_node: &alike.differ,
            places: Some(places.collect::<Vec<_>>().join(", ")),
        };
        view.step(step, out)
    }

    fn checks(&self, word: &str, cases: &[Case], out: &mut dyn Write) -> io::Result<()> {
        for case in cases {
            let mut nodes = self.plan.nodes.iter();
            let Some(node) = nodes.find(|node| node.node.name == case.node.name) else {
                continue;
            };
            let view = View {
                node,
                several: false,
                known: self.known,
                by_node: &std::collections::BTreeSet::new(),
                places: None,
            };
            writeln!(out, "{}", self.mark)?;
            let place = self.binding.place(case.node.name.as_str().into());
            view.check(word, Some(&place), case, out)?;
        }
        Ok(())
    }
}

/// The nodes of each batch; the last size repeats.
fn batches(turns: &[Turn], sizes: &[usize]) -> Vec<String> {
    let (mut batches, mut rest) = (Vec::new(), turns);
    let mut sizes = sizes.iter().copied();
    let mut size = turns.len().max(1);
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size).clamp(1, rest.len());
        let (batch, after) = rest.split_at(size);
        let names: Vec<&str> = batch.iter().map(|turn| turn.node.as_str()).collect();
        batches.push(names.join(", "));
        rest = after;
    }
    batches
}
