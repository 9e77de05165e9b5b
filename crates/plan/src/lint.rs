//! Finds errors in the values that procedures and checks use, on each node where they may run, as
//! far as possible without arguments.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::arguments::any;
use crate::manual::{Group, Manual, Procedure};
use crate::nodes::{Node, Nodes};
use crate::procedure::node_plan;
use crate::source::Problem;
use crate::vocabulary::Vocabulary;
use crate::{NodePlan, cases, roles};

/// Plans every procedure on every node where it may run, and passes each plan to `look`.
#[must_use]
pub fn lint(
    manual: &Manual,
    nodes: &Nodes,
    vocabulary: &Vocabulary,
    look: &mut dyn FnMut(&Procedure, &NodePlan) -> Vec<Problem>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let all = manual.procedures.values().chain(&manual.doubles.procedures);
    for procedure in all {
        if !procedure.roles.is_empty() {
            problems.extend(roles::lint(manual, nodes, vocabulary, procedure, look));
            continue;
        }
        let given = any(procedure);
        let mut on = |name: &str| {
            // A node that cannot be evaluated is reported once, as its own problem.
            let node = Arc::new(nodes.evaluate_with(name, &given, &[]).ok()?);
            let mut found = Vec::new();
            let plan = node_plan(manual, vocabulary, procedure, &node, &mut found);
            found.extend(look(procedure, &plan));
            Some(found)
        };
        let able = procedure
            .nodes
            .as_ref()
            .map(|nodes_of| nodes.select_at(nodes_of));
        match able {
            None => problems.extend(nodes.names().filter_map(on).flatten()),
            Some(Ok(able)) => problems.extend(able.into_iter().filter_map(on).flatten()),
            Some(Err(problem)) => {
                problems.push(problem);
                problems.extend(common(nodes.names().filter_map(&mut on)));
            }
        }
    }
    problems.extend(groups_of_nobody(manual, nodes, vocabulary));
    let tested = manual.settings.test_nodes.as_ref();
    problems.extend(tested.and_then(|tested| nodes.select_at(tested).err()));
    problems
}

/// Merges problems: one undefined name at one place on several nodes is one mistake.
#[must_use]
pub fn joined(problems: Vec<Problem>) -> Vec<Problem> {
    let mut kept: Vec<Problem> = Vec::with_capacity(problems.len());
    let mut known: HashMap<_, usize> = HashMap::new();
    for problem in problems {
        if problem.only_for.is_none() {
            kept.push(problem);
            continue;
        }
        let (_, place, _) = problem.identity();
        match known.entry((place, problem.message.clone())) {
            Entry::Occupied(first) => kept[*first.get()].join(&problem),
            Entry::Vacant(first) => {
                first.insert(kept.len());
                kept.push(problem);
            }
        }
    }
    kept
}

/// Lints groups of checks whose selector is invalid. Reports only problems that every node has;
/// whoever evaluates the group reports the selector.
fn groups_of_nobody(manual: &Manual, nodes: &Nodes, vocabulary: &Vocabulary) -> Vec<Problem> {
    let doubles = manual.doubles.groups.iter();
    let selector = |group: &Group| nodes.select_at(group.nodes.as_ref()?).err();
    let mut problems: Vec<Problem> = doubles.clone().filter_map(selector).collect();
    let wrong = manual.groups.values();
    let wrong = wrong.filter(|group| selector(group).is_some());
    let found = wrong
        .map(|group| (group, false))
        .chain(doubles.map(|group| (group, true)))
        .flat_map(|(group, double)| {
            let mut found = Vec::new();
            let assertions = cases::understand(vocabulary, group, &mut found);
            let on = |name: &str| -> Option<Vec<Problem>> {
                let node: Arc<Node> = Arc::new(nodes.evaluate(name, &[]).ok()?);
                let mut found = Vec::new();
                cases::of_group(manual, group, &assertions, &node, &|_| true, &mut found);
                Some(found)
            };
            // Whoever evaluates a group reports its problems.
            found.retain(|_| double);
            found.extend(common(nodes.names().filter_map(on)));
            found
        });
    problems.extend(found);
    problems
}

/// The problems that occur on every node.
fn common(mut each: impl Iterator<Item = Vec<Problem>>) -> Vec<Problem> {
    let mut common = each.next().unwrap_or_default();
    for found in each {
        if common.is_empty() {
            break;
        }
        let place = |problem: &Problem| {
            let (code, place, _) = problem.identity();
            (code, place)
        };
        let found: HashSet<_> = found.iter().map(place).collect();
        common.retain(|problem| found.contains(&place(problem)));
    }
    common
}
