//! A procedure, the nodes chosen, the arguments -> a [`Plan`].

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::interpolation::Interpolated;
use crate::manual::{Delivery, DeliveryFrom, Manual, Procedure, Step, Work, settle};
use crate::nodes::{Node, Nodes};
use crate::script::Scope;
use crate::source::Problem;
use crate::vocabulary::Vocabulary;
use crate::{NodePlan, Plan, PlannedStep, PlannedWork, STEP_LIMIT, Spread, cases, record};

/// What a person asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The id of the procedure.
    pub procedure: &'a str,
    /// Selectors; what they select is joined, in the order of the nodes' definition.
    pub nodes: &'a [String],
    /// `--set name=value`.
    pub set: &'a [(String, String)],
}

/// Among the variables kept for the next step: whatever else was exported.
pub const EXPORTED: &str = "@";

/// Names of files in the bundle that are its own.
const RESERVED: [&str; 11] = [
    "owner",
    "lock",
    "live",
    "token",
    "token.n",
    "token.turn",
    "recorder",
    "run",
    "state",
    "steps",
    "values",
];

/// Plans a run; everything wrong is found before anything is reached.
///
/// # Errors
/// All problems of the procedure, the selection, the arguments and the values.
pub fn plan(
    manual: &Manual,
    nodes: &Nodes,
    vocabulary: &Vocabulary,
    request: &Request<'_>,
) -> Result<Plan, Vec<Problem>> {
    let procedure = find(manual, request.procedure).map_err(|problem| vec![problem])?;
    let selected = select(nodes, procedure, request.nodes).map_err(|problem| vec![problem])?;
    let mut problems = arguments(procedure, request.set);
    let mut planned = Vec::new();
    for name in selected {
        if let Some(node) = node(nodes, procedure, name, request.set, &mut problems) {
            planned.push(node_plan(
                manual,
                vocabulary,
                procedure,
                &Arc::new(node),
                &mut problems,
            ));
        }
    }
    let problems = settle(manual, problems).problems;
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    Ok(Plan {
        procedure: procedure.id.clone(),
        title: procedure.title.clone(),
        span: procedure.span.clone(),
        arguments: request.set.to_vec(),
        nodes: planned,
        binding: None,
    })
}

fn find<'a>(manual: &'a Manual, id: &str) -> Result<&'a Procedure, Problem> {
    manual.procedures.get(id).ok_or_else(|| {
        let problem = Problem::bare(
            "unknown-procedure",
            format!("no procedure `{id}` in this manual"),
        );
        let known = manual.procedures.keys().map(String::as_str);
        match crate::source::nearest(id, known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("`opsbook list` shows all procedures"),
        }
    })
}

fn select<'a>(
    nodes: &'a Nodes,
    procedure: &Procedure,
    selectors: &[String],
) -> Result<Vec<&'a str>, Problem> {
    let selected = nodes.select(&selectors.join(","))?;
    let Some(allowed) = &procedure.nodes else {
        return Ok(selected);
    };
    let able = nodes.select_at(allowed)?;
    match selected.iter().find(|name| !able.contains(name)) {
        None => Ok(selected),
        Some(name) => {
            let message = format!("`{}` may not be run on node `{name}`", procedure.id);
            Err(
                Problem::error("node-not-allowed", allowed.span.clone(), message)
                    .hint(format!("it may be run on: {}", able.join(", "))),
            )
        }
    }
}

/// Arguments that no parameter takes are values of the node: overriding one is meant, a
/// name that nothing defines is a mistake, found where the node is evaluated.
fn arguments(procedure: &Procedure, set: &[(String, String)]) -> Vec<Problem> {
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
            // The contract was read with this pattern: it compiles.
            let whole = regex::Regex::new(&format!("^(?:{pattern})$"));
            if whole.is_ok_and(|whole| !whole.is_match(value)) {
                let message = format!("`{name}` is `{value}`, which does not match `{pattern}`");
                problems.push(Problem::error(
                    "parameter-pattern",
                    param.span.clone(),
                    message,
                ));
            }
        }
    }
    problems
}

fn node(
    nodes: &Nodes,
    procedure: &Procedure,
    name: &str,
    set: &[(String, String)],
    problems: &mut Vec<Problem>,
) -> Option<Node> {
    // That one is missing is a problem already: what follows from it is none.
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
                "`--set {given}=…`: neither a parameter of `{}`, nor captured by a step of it, nor a value of node `{name}`",
                procedure.id
            );
            problems.push(Problem::bare("unknown-argument", message).did_you_mean(given, known));
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

pub(super) fn node_plan(
    manual: &Manual,
    vocabulary: &Vocabulary,
    procedure: &Procedure,
    node: &Arc<Node>,
    problems: &mut Vec<Problem>,
) -> NodePlan {
    let needs = procedure
        .needs
        .iter()
        .filter_map(|need| Some((need, manual.groups.get(&need.value)?)))
        .map(|(need, group)| {
            let assertions = cases::understand(vocabulary, group, problems);
            crate::Need {
                group: need.value.clone(),
                cases: cases::of_group(manual, group, &assertions, node, &|_| true, problems),
            }
        })
        .collect();
    let mut scope = Scope::new(node);
    let steps: Vec<PlannedStep> = procedure
        .steps
        .iter()
        .map(|step| planned_step(procedure, step, &mut scope, node, problems))
        .collect();
    let all: String = steps.iter().map(|step| step.sha256.as_str()).collect();
    NodePlan {
        node: Arc::clone(node),
        role: None,
        turn: None,
        needs,
        before: Vec::new(),
        steps,
        sha256: record::sha256(&all),
    }
}

fn planned_step(
    procedure: &Procedure,
    step: &Step,
    scope: &mut Scope<'_>,
    node: &Arc<Node>,
    problems: &mut Vec<Problem>,
) -> PlannedStep {
    scope.turn(step.on);
    let (work, sets) = planned_work(step, scope, problems);
    let commands = match &work {
        PlannedWork::Script(script) => script.commands.as_slice(),
        PlannedWork::Deliver(_) | PlannedWork::Manual(_) => &[],
    };
    let expects = commands.iter().map(|command| &command.expect);
    for expect in std::iter::once(&step.expect).chain(expects).flatten() {
        scope.names_of(&expect.text, problems);
    }
    scope.captured.extend(step.capture.clone());
    let checks = step
        .checks
        .iter()
        .map(|check| {
            scope.turn(check.on);
            cases::of_script(check, node, scope, problems)
        })
        .collect();
    scope.turn(step.on);
    let label = step.id.clone().unwrap_or_else(|| step.number.to_string());
    let mut planned = PlannedStep {
        number: step.number,
        name: format!("{}/{label}", procedure.id),
        title: step.title.clone(),
        span: step.span.clone(),
        on: step.on,
        sudo: step.sudo.clone(),
        timeout: step.timeout.or(procedure.timeout).unwrap_or(STEP_LIMIT),
        confirm: step.confirm,
        capture: step.capture.clone(),
        exit: step.exit.clone(),
        reboot: step.reboot,
        setup: step.setup,
        work,
        expect: step.expect.clone(),
        checks,
        spread: Spread::One,
        saved: scope.kept.iter().cloned().collect(),
        sets,
        text: String::new(),
        sha256: String::new(),
    };
    planned.text = record::text(&planned);
    planned.sha256 = record::sha256(&planned.text);
    planned
}

/// What a step does, and the variables that it may set.
fn planned_work(
    step: &Step,
    scope: &mut Scope<'_>,
    problems: &mut Vec<Problem>,
) -> (PlannedWork, BTreeSet<String>) {
    let mut sets = BTreeSet::new();
    let work = match &step.work {
        Work::Script(script) => {
            let (script, used) = scope.script(script, problems);
            // Only a shell's variables reach the next step, and only on the same side.
            scope.assigned.extend(used.assigned);
            sets = used.kept;
            if used.opaque {
                scope.opaque = true;
                sets.insert(EXPORTED.to_owned());
            }
            scope.kept.extend(sets.iter().cloned());
            PlannedWork::Script(script)
        }
        Work::Deliver(files) => {
            let files = files.iter().map(|file| delivery(file, scope, problems));
            PlannedWork::Deliver(files.collect())
        }
        Work::Manual(text) => {
            scope.names_of(text, problems);
            scope.no_secrets(text, problems);
            PlannedWork::Manual(Interpolated::read(text.text.trim()))
        }
    };
    (work, sets)
}

fn delivery(file: &Delivery, scope: &Scope<'_>, problems: &mut Vec<Problem>) -> Delivery {
    let before = problems.len();
    let mut fill = |text: &str| scope.filled(text, &file.span, problems);
    let from = match &file.from {
        DeliveryFrom::File(path) => DeliveryFrom::File(fill(path)),
        DeliveryFrom::Tree(path) => DeliveryFrom::Tree(fill(path)),
        DeliveryFrom::Template(path) => DeliveryFrom::Template(fill(path)),
        DeliveryFrom::Machine { role, node, path } => DeliveryFrom::Machine {
            role: role.clone(),
            node: node.clone(),
            path: fill(path),
        },
        DeliveryFrom::Inline(body) => DeliveryFrom::Inline(body.clone()),
    };
    let to = fill(&file.to);
    let first = to.split('/').next().unwrap_or_default();
    let outside = to.is_empty()
        || to.starts_with('/')
        || to.split('/').any(|part| part == ".." || part == ".");
    // A name with a value that is wrong is no name yet.
    if problems.len() == before && (outside || RESERVED.contains(&first)) {
        let why = if outside {
            "must be a name inside the bundle"
        } else {
            "is a name that the bundle itself uses"
        };
        problems.push(Problem::error(
            "delivery-name",
            file.span.clone(),
            format!("`{to}` {why}"),
        ));
    }
    Delivery {
        span: file.span.clone(),
        from,
        to,
        mode: file.mode,
    }
}
