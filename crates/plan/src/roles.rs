//! A run over several nodes: the nodes of each role, and the order of the page. A plan has a part
//! (`NodePlan`) for each node; this module says when which of them runs.

mod bind;
mod lint;
mod same;
mod stage;
mod walk;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::arguments::{arguments, node, unknown_argument};
use crate::event::Site;
use crate::manual::{Manual, Procedure, settle};
use crate::nodes::{Node, Nodes};
use crate::source::Problem;
use crate::vocabulary::Vocabulary;
use crate::{Case, NodePlan, Plan};

pub(crate) use bind::Cast;
pub(crate) use lint::lint;
use stage::Company;
use walk::Walk;

/// The nodes of each role, and the order of the page.
#[derive(Clone, Debug)]
pub struct Binding {
    /// In the order of the contract.
    pub roles: Vec<Bound>,
    /// Checks before the first step; each case names its node.
    pub before: Vec<Case>,
    /// The parts of the page, in order.
    pub order: Vec<Stretch>,
    /// SHA-256 over the binding and all steps, hexadecimal.
    pub sha256: String,
}

/// A role and its nodes in this run, in the order of their definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The name of the role.
    pub role: String,
    /// Its nodes in order.
    pub nodes: Vec<String>,
    /// One sentence for the person who runs the procedure.
    pub help: Option<String>,
    /// Groups of checks that must hold on its nodes before the run changes anything.
    pub needs: Vec<String>,
    /// Some block runs on its nodes. Otherwise they are only named: never reached, never locked.
    pub reached: bool,
}

/// A part of the page.
#[derive(Clone, Debug)]
pub enum Stretch {
    /// A step by its number, on each node that has it.
    Step(usize),
    /// A section that repeats for the nodes of a role.
    Section(Section),
    /// Checks after a section: they verify what is before them.
    Checks(Vec<Case>),
}

/// Steps that are repeated for each node of a role.
#[derive(Clone, Debug)]
pub struct Section {
    /// From 1, within the procedure.
    pub number: usize,
    /// The heading over it.
    pub title: String,
    /// The role whose nodes have the turns.
    pub role: String,
    /// How many turns run in parallel; the last size repeats. Empty without turns.
    pub batches: Vec<usize>,
    /// The pause between two batches.
    pub wait: Duration,
    /// How many turns may fail before no new turn begins.
    pub max_fail: usize,
    /// One for each node of the role.
    pub turns: Vec<Turn>,
}

/// The steps of a section for one node.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The node whose turn it is.
    pub node: String,
    /// Checks before the section's first step, evaluated at the beginning of the turn.
    pub before: Vec<Case>,
    /// The numbers of its steps.
    pub steps: Vec<usize>,
    /// Indexes into `Plan::nodes`; the turn's own node is first.
    pub plans: Vec<usize>,
}

impl Binding {
    /// A role by its name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Bound> {
        self.roles.iter().find(|bound| bound.role == name)
    }

    /// The name of a site for people: `db2 (new)`; in another node's turn `lb1 (lb) for web2`.
    #[must_use]
    pub fn place(&self, site: Site<'_>) -> String {
        let name = match self.role_of(site.node) {
            Some(bound) => format!("{} ({})", site.node, bound.role),
            None => site.node.to_owned(),
        };
        match site.turn_of() {
            Some(turn) if turn != site.node => format!("{name} for {turn}"),
            _ => name,
        }
    }

    /// The role of a node in this run.
    #[must_use]
    pub fn role_of(&self, node: &str) -> Option<&Bound> {
        let plays = |bound: &&Bound| bound.nodes.iter().any(|name| name == node);
        self.roles.iter().find(plays)
    }
}

/// Plans a run over several nodes.
pub(crate) fn plan(
    manual: &Manual,
    nodes: &Nodes,
    vocabulary: &Vocabulary,
    procedure: &Procedure,
    words: &[String],
    set: &[(String, String)],
) -> Result<Plan, Vec<Problem>> {
    let mut problems = arguments(procedure, set);
    let mut taken = set.to_vec();
    problems.extend(unknown_argument(nodes, procedure, &mut taken));
    let cast = bind::bind(nodes, procedure, words, &mut problems);
    let wrong = |problems: Vec<Problem>| {
        let mut seen = std::collections::HashSet::new();
        let mut problems = settle(manual, problems).problems;
        problems.retain(|problem| seen.insert(problem.identity()));
        problems
    };
    let mut known = HashMap::new();
    for name in cast.values().flatten() {
        if let Some(node) = node(nodes, procedure, name, &taken, &mut problems) {
            known.insert(name.clone(), Arc::new(node));
        }
    }
    problems.extend(same::compare(procedure, &cast, &known));
    let problems = wrong(problems);
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    let (plans, binding, problems) = walked(manual, nodes, vocabulary, procedure, &cast, &known);
    let problems = wrong(problems);
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    Ok(Plan {
        procedure: procedure.id.clone(),
        title: procedure.title.clone(),
        span: procedure.span.clone(),
        arguments: set.to_vec(),
        nodes: plans,
        binding: Some(binding),
    })
}

/// The parts of a run, their order, and the problems of its values.
pub(crate) fn walked(
    manual: &Manual,
    nodes: &Nodes,
    vocabulary: &Vocabulary,
    procedure: &Procedure,
    cast: &Cast,
    known: &HashMap<String, Arc<Node>>,
) -> (Vec<NodePlan>, Binding, Vec<Problem>) {
    let company = Company {
        procedure,
        cast,
        nodes: known,
        names: &names(nodes, procedure, cast),
    };
    let mut walk = Walk::new(manual, vocabulary, &company);
    let binding = walk.binding();
    (walk.plans, binding, walk.problems)
}

/// The value names of roles without nodes: scripts may still mention them.
fn names(nodes: &Nodes, procedure: &Procedure, cast: &Cast) -> HashMap<String, Vec<String>> {
    let empty = cast.iter().filter(|(_, nodes)| nodes.is_empty());
    let names = empty.filter_map(|(role, _)| {
        let able = nodes.select_at(&procedure.roles.get(role)?.nodes).ok()?;
        let mut names: Vec<String> = able
            .iter()
            .filter_map(|name| nodes.evaluate(name, &[]).ok())
            .flat_map(|node| node.leaves.into_keys())
            .collect();
        names.sort();
        names.dedup();
        Some((role.clone(), names))
    });
    names.collect()
}

#[cfg(test)]
mod tests;
