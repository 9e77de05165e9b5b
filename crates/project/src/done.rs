//! What `resume --done` says: which steps a person has done, on which node.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{first_left, out_of_turn};
use crate::journal::Record;
use crate::plan::{NodePlan, Plan};
use crate::source::Problem;

/// Steps by node. Each must be left to do there, and none before it.
///
/// # Errors
/// The first one that is not.
pub fn done(
    plan: &Plan,
    record: &Record,
    wanted: &[String],
) -> Result<BTreeMap<String, BTreeSet<usize>>, Box<Problem>> {
    let mut steps: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for wanted in wanted {
        let (node, step) = node_of(plan, record, wanted)?;
        let step = number(plan, step)?;
        refuse_done(node, record, step)?;
        let of_node = steps.entry(node.site().to_string()).or_default();
        of_node.insert(step);
    }
    for node in &plan.nodes {
        let told = steps.get(&node.site().to_string());
        let Some((early, left)) = told.and_then(|told| out_of_turn(node, record, told)) else {
            continue;
        };
        let message = format!(
            "step `{}` cannot be done by hand before step `{}`, which is left to do",
            early.label(),
            left.label()
        );
        let hint = format!("where that was done, too: `--done {}`", left.label());
        return Err(Problem::bare("done-out-of-turn", message).hint(hint).into());
    }
    Ok(steps)
}

/// `NODE:STEP`, or `STEP` where the run is left on one node only.
fn node_of<'a, 'w>(
    plan: &'a Plan,
    record: &Record,
    wanted: &'w str,
) -> Result<(&'a NodePlan, &'w str), Box<Problem>> {
    if let Some((name, step)) = wanted.split_once(':')
        && let Some(node) = plan.nodes.iter().find(|node| node.node.name == name)
    {
        return Ok((node, step));
    }
    let left = plan.nodes.iter();
    let left: Vec<_> = left
        .filter(|node| first_left(node, record).is_some())
        .collect();
    match left.as_slice() {
        [node] => Ok((node, wanted)),
        [] => Err(Problem::bare("step-done", "no step is left to do").into()),
        [first, ..] => {
            let names: Vec<&str> = left.iter().map(|node| node.node.name.as_str()).collect();
            let message = format!(
                "`{wanted}` is left to do on several nodes: {}",
                names.join(", ")
            );
            let hint = format!(
                "say where it was done: `--done {}:{wanted}`",
                first.node.name
            );
            Err(Problem::bare("done-where", message).hint(hint).into())
        }
    }
}

fn refuse_done(node: &NodePlan, record: &Record, step: usize) -> Result<(), Box<Problem>> {
    let statuses = record.steps(node.site());
    let label = node.label(step);
    let name = &node.node.name;
    let message = match statuses.get(&step) {
        Some(Some(status)) if status.goes_on() => {
            format!("step `{label}` is not left to do on `{name}`: it ended {status}")
        }
        _ if first_left(node, record).is_none_or(|first| step < first) => {
            format!("step `{label}` is not left to do on `{name}`: the run goes on after it")
        }
        _ => return Ok(()),
    };
    Err(Problem::bare("step-done", message).into())
}

/// A step by its id, its number, its name or its title.
///
/// # Errors
/// Where there is no such step: with the one that may be meant.
pub fn number(plan: &Plan, wanted: &str) -> Result<usize, Box<Problem>> {
    let steps = plan.steps();
    let found = steps.iter().find(|step| {
        step.label() == wanted || step.name == wanted || step.number.to_string() == wanted
    });
    let mut titled = steps.iter().filter(|step| step.title == wanted);
    let titled = titled.next().filter(|_| titled.next().is_none());
    found.or(titled).map(|step| step.number).ok_or_else(|| {
        let message = format!("`{}` has no step `{wanted}`", plan.procedure);
        let labels: Vec<&str> = steps.iter().map(|step| step.label()).collect();
        let problem = Problem::bare("unknown-step", message);
        Box::new(
            match crate::source::nearest(wanted, labels.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("its steps are: {}", labels.join(", "))),
            },
        )
    })
}
