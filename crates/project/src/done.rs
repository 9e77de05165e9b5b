//! Parses `resume --done`: the steps that a person has done, by node.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{first_left, out_of_turn};
use crate::event::{Status, What};
use crate::journal::Record;
use crate::plan::{NodePlan, Plan};
use crate::source::Problem;

/// The steps by node. Each must be unfinished there, and no earlier step may be unfinished.
///
/// # Errors
/// The first one that violates this.
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
        let label = left.label();
        let word = match plan.nodes.as_slice() {
            [_] => label.to_owned(),
            _ => word(node, left.number),
        };
        return Err(too_early(early.label(), label, &word));
    }
    if plan.binding.is_some() {
        in_order(plan, record, &steps)?;
    }
    Ok(steps)
}

/// Steps that a person has done and that no event after line `since` records: the run did not come
/// to their nodes. Each as in `--done`.
#[must_use]
pub fn not_recorded(
    plan: &Plan,
    record: &Record,
    told: &BTreeMap<String, BTreeSet<usize>>,
    since: usize,
) -> Vec<String> {
    let mut all = Vec::new();
    for node in &plan.nodes {
        let ended: BTreeSet<usize> = record
            .of(node.site())
            .filter(|event| usize::try_from(event.seq).is_ok_and(|seq| seq > since))
            .filter(|event| matches!(event.what, What::StepEnded(_)))
            .filter_map(|event| event.step)
            .collect();
        let told = told.get(&node.site().to_string());
        let missing = told
            .into_iter()
            .flatten()
            .filter(|step| !ended.contains(step));
        all.extend(missing.map(|step| word(node, *step)));
    }
    all
}

/// A step of a node as `--done` takes it. A node in its own turn needs no turn before it.
fn word(node: &NodePlan, step: usize) -> String {
    let name = &node.node.name;
    let label = node.label(step);
    match &node.turn {
        Some(turn) if turn == name => format!("{name}:{label}"),
        _ => format!("{}:{label}", node.site()),
    }
}

fn too_early(early: &str, left: &str, word: &str) -> Box<Problem> {
    let message =
        format!("step `{early}` cannot be done by hand before step `{left}`, which is still to do");
    let hint = format!("if that is done, too, add `--done {word}`");
    Box::new(Problem::bare("done-out-of-turn", message).hint(hint))
}

/// In a run over several nodes the order of the page counts, on whichever node a step runs.
fn in_order(
    plan: &Plan,
    record: &Record,
    told: &BTreeMap<String, BTreeSet<usize>>,
) -> Result<(), Box<Problem>> {
    let of = |node: &NodePlan| told.get(&node.site().to_string());
    for node in &plan.nodes {
        let Some(last) = of(node).and_then(|told| told.last()) else {
            continue;
        };
        for other in &plan.nodes {
            let beside = other.turn.is_some() && node.turn.is_some() && other.turn != node.turn;
            let is_over = record.node_status(other.site()) == Some(Status::Ok);
            if beside || is_over {
                continue;
            }
            let statuses = record.steps(other.site());
            let earliest = record.earliest(other.site(), |number| other.is_set_up(number));
            let left = other.steps.iter().find(|step| {
                let done = statuses.get(&step.number).copied().flatten();
                let told = of(other).is_some_and(|told| told.contains(&step.number));
                (earliest..*last).contains(&step.number)
                    && !told
                    && done.is_none_or(|status| !status.goes_on())
            });
            if let Some(left) = left {
                let word = word(other, left.number);
                return Err(too_early(&node.label(*last), &word, &word));
            }
        }
    }
    Ok(())
}

/// `NODE:STEP`, `TURN/NODE:STEP` on a node that serves another node's turn, or `STEP` if the run is
/// halted in one place only.
fn node_of<'a, 'w>(
    plan: &'a Plan,
    record: &Record,
    wanted: &'w str,
) -> Result<(&'a NodePlan, &'w str), Box<Problem>> {
    let (name, step) = match wanted.split_once(':') {
        Some((name, step)) if named(plan, name).next().is_some() => (Some(name), step),
        Some((name, step)) if number(plan, wanted).is_err() && number(plan, step).is_ok() => {
            let message = format!("the run has no node `{name}`");
            let problem = Problem::bare("unknown-node", message);
            return Err(problem.did_you_mean(name, plan.machines()).into());
        }
        _ => (None, wanted),
    };
    let step_number = number(plan, step)?;
    let mut able: Vec<&NodePlan> = match name {
        Some(name) => named(plan, name).collect(),
        None => plan.nodes.iter().collect(),
    };
    if plan.binding.is_some() {
        // Of several parts of a run, the one that has the step is meant.
        able.retain(|node| node.step(step_number).is_some());
        if able.is_empty() {
            let name = name.unwrap_or_default();
            let message = format!("step `{step}` is not done on `{name}`");
            let problem = Problem::bare("step-done", message);
            let mut doing = plan.nodes.iter();
            let doing = doing.find(|node| {
                node.turn.as_deref() == Some(name) && node.step(step_number).is_some()
            });
            return Err(Box::new(match doing {
                Some(node) => problem.hint(format!("`--done {}`", word(node, step_number))),
                None => problem,
            }));
        }
        // If some turn has begun, a turn that has not is not meant.
        if able.iter().any(|node| has_bundle(node, record)) {
            able.retain(|node| has_bundle(node, record));
        }
    }
    if let (Some(_), [node]) = (name, able.as_slice()) {
        return Ok((node, step));
    }
    let left = able.into_iter();
    let left: Vec<_> = left
        .filter(|node| first_left(node, record).is_some())
        .collect();
    match left.as_slice() {
        [node] => Ok((node, step)),
        [] => Err(Problem::bare("step-done", "no step is left to do").into()),
        [first, ..] => {
            let names: Vec<String> = left.iter().map(|node| node.site().to_string()).collect();
            let message = format!(
                "`{wanted}` is left to do on several nodes: {}",
                names.join(", ")
            );
            let hint = format!("name the node: `--done {}:{step}`", first.site());
            Err(Problem::bare("done-where", message).hint(hint).into())
        }
    }
}

/// Whether the run has had a bundle there.
fn has_bundle(node: &NodePlan, record: &Record) -> bool {
    let mut events = record.of(node.site());
    events.any(|event| {
        matches!(
            event.what,
            What::BundleOpened { .. } | What::BundleReopened { .. } | What::StepFound { .. }
        )
    })
}

/// The parts of a run that a name may mean: a site by its text; otherwise a node in its own turn or
/// in the main line; otherwise everything on a node.
fn named<'a>(plan: &'a Plan, name: &str) -> impl Iterator<Item = &'a NodePlan> + use<'a> {
    let nodes = || plan.nodes.iter();
    let by_text: Vec<&NodePlan> = nodes()
        .filter(|node| node.turn.is_some() && node.site().to_string() == name)
        .collect();
    let of_machine: Vec<&NodePlan> = nodes().filter(|node| node.node.name == name).collect();
    let found = if by_text.is_empty() {
        of_machine
    } else {
        by_text
    };
    found.into_iter()
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
            format!("step `{label}` is not left to do on `{name}`: the run continues after it")
        }
        _ => return Ok(()),
    };
    Err(Problem::bare("step-done", message).into())
}

/// Finds a step by its id, its number, its name or its title.
///
/// # Errors
/// If there is no such step; suggests a similar one.
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
