//! Finds errors in a procedure with roles, on each node that may have one. Examines each role on
//! each of its nodes, with arbitrary nodes in the other roles: the effort is a sum over the roles,
//! not a product.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::bind::Cast;
use super::walked;
use crate::NodePlan;
use crate::arguments::any;
use crate::manual::{Count, Manual, Procedure};
use crate::nodes::{Node, Nodes};
use crate::source::Problem;
use crate::vocabulary::Vocabulary;

/// The nodes that may have each role.
type Able<'a> = IndexMap<&'a str, Vec<&'a str>>;

pub(crate) fn lint(
    manual: &Manual,
    nodes: &Nodes,
    vocabulary: &Vocabulary,
    procedure: &Procedure,
    look: &mut dyn FnMut(&Procedure, &NodePlan) -> Vec<Problem>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut able = Able::new();
    for (name, role) in &procedure.roles {
        match nodes.select_at(&role.nodes) {
            Ok(names) => {
                able.insert(name, names);
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(too_few(procedure, &able));
    problems.extend(needs_of_others(manual, nodes, procedure, &able));
    if able.len() < procedure.roles.len() {
        return problems;
    }
    let known = evaluated(nodes, procedure, &able);
    problems.extend(not_comparable(procedure, &able, &known));
    for cast in casts(&able, &known) {
        let (plans, _, found) = walked(manual, nodes, vocabulary, procedure, &cast, &known);
        problems.extend(found);
        problems.extend(plans.iter().flat_map(|plan| look(procedure, plan)));
    }
    problems
}

/// Bindings that cover each role with each of its nodes.
fn casts(able: &Able<'_>, known: &HashMap<String, Arc<Node>>) -> Vec<Cast> {
    let mut casts = Vec::new();
    let usable = |name: &&&str| known.contains_key(**name);
    for (role, names) in able {
        for name in names.iter().filter(usable) {
            let mut taken = HashSet::from([*name]);
            let cast = able.iter().map(|(other, names)| {
                if other == role {
                    return ((*other).to_owned(), vec![(*name).to_owned()]);
                }
                let mut free = names.iter().filter(usable);
                let free = free
                    .clone()
                    .find(|name| !taken.contains(**name))
                    .or_else(|| free.next());
                taken.extend(free.copied());
                let free = free.map(|name| (*name).to_owned());
                ((*other).to_owned(), free.into_iter().collect())
            });
            casts.push(cast.collect());
        }
    }
    casts
}

/// A node that cannot be evaluated is reported once, as its own problem.
fn evaluated(nodes: &Nodes, procedure: &Procedure, able: &Able<'_>) -> HashMap<String, Arc<Node>> {
    let given = any(procedure);
    let names: HashSet<&str> = able.values().flatten().copied().collect();
    let known = names.into_iter().filter_map(|name| {
        let node = nodes.evaluate_with(name, &given, &[]).ok()?;
        Some((name.to_owned(), Arc::new(node)))
    });
    known.collect()
}

/// Reports values of `same` that a node lacks.
fn not_comparable(
    procedure: &Procedure,
    able: &Able<'_>,
    known: &HashMap<String, Arc<Node>>,
) -> Vec<Problem> {
    let mut seen = HashSet::new();
    let names = able.values().flatten().filter(|name| seen.insert(**name));
    let nodes: Vec<&Arc<Node>> = names.filter_map(|name| known.get(*name)).collect();
    let missing = procedure.same.iter().flat_map(|same| {
        let nodes = nodes.iter().filter(|node| node.text(&same.value).is_err());
        nodes.map(|node| {
            let message = format!("`{}` is not defined", same.value);
            let problem = Problem::error("undefined-variable", same.span.clone(), message);
            problem
                .for_node(&node.name)
                .hint("`same` compares a value of all nodes of a run")
        })
    });
    missing.collect()
}

/// Reports a needed group that applies to none of the role's possible nodes.
fn needs_of_others(
    manual: &Manual,
    nodes: &Nodes,
    procedure: &Procedure,
    able: &Able<'_>,
) -> Vec<Problem> {
    let needs = procedure.roles.iter().flat_map(|(name, role)| {
        let able = able.get(name.as_str());
        role.needs.iter().filter_map(move |need| {
            let group = manual.groups.get(&need.value)?;
            let of_group = nodes.select_at(group.nodes.as_ref()?).ok()?;
            if able?.iter().any(|name| of_group.contains(name)) {
                return None;
            }
            let message = format!("`{}` applies to no node that may play `{name}`", need.value);
            let problem = Problem::error("need-of-other-nodes", need.span.clone(), message);
            Some(problem.note(group.span.clone(), "the group"))
        })
    });
    needs.collect()
}

/// A node has only one role: roles with the same few possible nodes may not all find one.
fn too_few(procedure: &Procedure, able: &Able<'_>) -> Option<Problem> {
    let mut plays: HashMap<&str, &str> = HashMap::new();
    for (name, role) in &procedure.roles {
        if role.count == Count::Any || !able.contains_key(name.as_str()) {
            continue;
        }
        let mut asked = HashSet::new();
        if place(name, able, &mut plays, &mut asked) {
            continue;
        }
        let mut roles: Vec<String> = asked
            .iter()
            .filter_map(|node| plays.get(node))
            .map(|role| format!("`{role}`"))
            .collect();
        roles.push(format!("`{name}`"));
        roles.sort();
        let mut nodes: Vec<&str> = asked.into_iter().collect();
        nodes.sort_unstable();
        let message = format!(
            "{} need a node each, and may be only {}",
            roles.join(", "),
            nodes.join(", ")
        );
        return Some(Problem::error(
            "too-few-nodes",
            role.nodes.span.clone(),
            message,
        ));
    }
    None
}

/// Finds a node for a role; may move roles that already have one.
fn place<'a>(
    role: &'a str,
    able: &Able<'a>,
    plays: &mut HashMap<&'a str, &'a str>,
    asked: &mut HashSet<&'a str>,
) -> bool {
    for node in able.get(role).into_iter().flatten() {
        if !asked.insert(node) {
            continue;
        }
        let free = match plays.get(node).copied() {
            None => true,
            Some(other) => place(other, able, plays, asked),
        };
        if free {
            plays.insert(node, role);
            return true;
        }
    }
    false
}
