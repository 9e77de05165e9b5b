//! Arguments (`--set`), and a node with their values.

use crate::manual::Procedure;
use crate::nodes::{Node, Nodes};
use crate::source::Problem;

/// Checks the arguments. An argument without a parameter overrides a value of the node. A name that
/// nothing defines is an error, found where the node is evaluated.
pub(super) fn arguments(procedure: &Procedure, set: &[(String, String)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, param) in &procedure.params {
        let given = set
            .iter()
            .rev()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value);
        let Some(value) = given.or(param.default.as_ref()) else {
            if param.required {
                let message = format!("`{}` needs the parameter `{name}`", procedure.id);
                let help = param
                    .help
                    .as_ref()
                    .map(|help| format!(" ({help})"))
                    .unwrap_or_default();
                problems.push(
                    Problem::error("missing-parameter", param.span.clone(), message)
                        .hint(format!("give it with `--set {name}=…`{help}")),
                );
            }
            continue;
        };
        if let Some(pattern) = &param.pattern {
            // The contract parser has validated this pattern.
            let whole = regex::Regex::new(&format!("^(?:{pattern})$"));
            if whole.is_ok_and(|whole| !whole.is_match(value)) {
                let of = match given {
                    Some(_) => format!("`--set {name}={value}`"),
                    None => format!("the default of `{name}`, `{value}`,"),
                };
                let message =
                    format!("{of} does not match the pattern `{pattern}` of the contract");
                let problem = Problem::error("parameter-pattern", param.span.clone(), message);
                problems.push(match &param.help {
                    Some(help) => problem.hint(format!("`{name}` is {help}")),
                    None => problem,
                });
            }
        }
    }
    problems
}

pub(super) fn node(
    nodes: &Nodes,
    procedure: &Procedure,
    name: &str,
    set: &[(String, String)],
    problems: &mut Vec<Problem>,
) -> Option<Node> {
    // A missing argument is already a problem: report nothing that follows from it.
    let missing = |name: &String, required: bool| required.then(|| name.clone());
    let params: Vec<_> = procedure
        .params
        .iter()
        .filter_map(|(name, param)| {
            let value = param.default.clone();
            let value = value.or_else(|| missing(name, param.required))?;
            Some((name.clone(), value, param.span.clone()))
        })
        .collect();
    let plain = match nodes.evaluate(name, &[]) {
        Ok(node) => node,
        Err(more) => {
            problems.extend(more);
            return None;
        }
    };
    for (given, _) in set {
        let known = procedure
            .params
            .keys()
            .chain(plain.leaves.keys())
            .chain(
                procedure
                    .steps
                    .iter()
                    .filter_map(|step| step.capture.as_ref()),
            )
            .map(String::as_str);
        if !known.clone().any(|known| known == given) {
            let message = format!(
                "`--set {given}=…`: `{}` has no such parameter or captured value, and node \
                 `{name}` no such value",
                procedure.id
            );
            let problem = Problem::bare("unknown-argument", message)
                .hint(takes(procedure))
                .did_you_mean(given, known.filter(|known| *known != "node"));
            problems.push(problem);
        }
    }
    match nodes.evaluate_with(name, &params, set) {
        Ok(node) => Some(node),
        Err(more) => {
            problems.extend(more);
            None
        }
    }
}

/// In a run over several nodes, an argument must be a parameter or a value for a capture: it would
/// change a node's value on all nodes. Removes the unknown ones.
pub(super) fn unknown_argument(
    nodes: &Nodes,
    procedure: &Procedure,
    set: &mut Vec<(String, String)>,
) -> Vec<Problem> {
    let captured = procedure.steps.iter();
    let captured = captured.filter_map(|step| step.capture.as_ref());
    let known: Vec<&str> = procedure
        .params
        .keys()
        .chain(captured)
        .map(String::as_str)
        .collect();
    let (taken, unknown): (Vec<_>, Vec<_>) = std::mem::take(set)
        .into_iter()
        .partition(|(name, _)| known.contains(&name.as_str()));
    *set = taken;
    let unknown = unknown.iter().map(|(name, _)| {
        let message = format!(
            "`--set {name}=…`: `{}` has no such parameter or captured value",
            procedure.id
        );
        let problem = Problem::bare("unknown-argument", message);
        let mut values = nodes
            .names()
            .filter_map(|node| nodes.evaluate(node, &[]).ok());
        if procedure.roles.contains_key(name) {
            problem.hint(format!("to bind a role, write `{name}=NODE`"))
        } else if values.any(|node| node.leaves.contains_key(name)) {
            problem.hint("values of nodes differ by machine: change them in `nodes.yaml`")
        } else {
            problem
                .hint(takes(procedure))
                .did_you_mean(name, known.iter().copied())
        }
    });
    unknown.collect()
}

/// The hint at what a procedure takes.
fn takes(procedure: &Procedure) -> String {
    format!("`opsbook show {}` shows what it takes", procedure.id)
}

/// Values for the parameters without a default, for a lint without arguments.
pub(super) fn any(procedure: &Procedure) -> Vec<(String, String, crate::source::Span)> {
    let params = procedure.params.iter();
    params
        .map(|(name, param)| {
            let value = param.default.as_ref().unwrap_or(name);
            (name.clone(), value.clone(), param.span.clone())
        })
        .collect()
}
