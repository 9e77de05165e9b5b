//! Plans one step of a procedure for a node.

use std::collections::BTreeSet;

use crate::interpolation::Interpolated;
use crate::manual::{Delivery, DeliveryFrom, Procedure, Step, Work};
use crate::script::Scope;
use crate::source::Problem;
use crate::{Capture, Placed, PlannedStep, PlannedWork, STEP_LIMIT, Spread, place, record};

/// An entry of the saved variables: everything else that was exported.
pub const EXPORTED: &str = "@";

/// File names in the bundle that opsbook uses itself.
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

/// The steps of a procedure that capture a value.
pub(super) fn captures(procedure: &Procedure) -> Vec<Capture> {
    let steps = procedure.steps.iter();
    let captures = steps.filter_map(|step| {
        Some(Capture {
            number: step.number,
            label: label(step),
            name: step.capture.clone()?,
        })
    });
    captures.collect()
}

/// The name of a step within its procedure.
pub(super) fn label(step: &Step) -> String {
    step.id.clone().unwrap_or_else(|| step.number.to_string())
}

/// A step on a node, without its checks and what depends on them: see [`finished`].
pub(super) fn begun(
    procedure: &Procedure,
    step: &Step,
    scope: &mut Scope<'_>,
    problems: &mut Vec<Problem>,
) -> PlannedStep {
    let (work, sets, placed) = planned_work(step, scope, problems);
    let commands = match &work {
        PlannedWork::Script(script) => script.commands.as_slice(),
        PlannedWork::Deliver(_) | PlannedWork::Manual(_) => &[],
    };
    let expects = commands.iter().map(|command| &command.expect);
    for expect in std::iter::once(&step.expect).chain(expects).flatten() {
        scope.names_of(&expect.text, problems);
    }
    scope.captured.extend(step.capture.clone());
    let label = label(step);
    PlannedStep {
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
        placed,
        expect: step.expect.clone(),
        checks: Vec::new(),
        spread: Spread::One,
        saved: Vec::new(),
        sets,
        text: String::new(),
        sha256: String::new(),
    }
}

/// Adds the variables that may be saved by now, and the text that a resume compares.
pub(super) fn finished(mut step: PlannedStep, scope: &Scope<'_>, text: String) -> PlannedStep {
    step.saved = scope.kept.iter().cloned().collect();
    step.sha256 = record::sha256(&text);
    step.text = text;
    step
}

/// The work of a step, and the variables that it may set.
fn planned_work(
    step: &Step,
    scope: &mut Scope<'_>,
    problems: &mut Vec<Problem>,
) -> (PlannedWork, BTreeSet<String>, Option<Placed>) {
    let mut sets = BTreeSet::new();
    let mut placed = None;
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
        Work::Place(file) => {
            let (script, file) = place::planned(file, step, scope, problems);
            placed = Some(file);
            PlannedWork::Script(script)
        }
        Work::Manual(text) => {
            scope.names_of(text, problems);
            scope.no_secrets(text, problems);
            PlannedWork::Manual(Interpolated::read(text.text.trim()))
        }
    };
    (work, sets, placed)
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
        DeliveryFrom::Placed(body) => DeliveryFrom::Placed(body.clone()),
    };
    let to = fill(&file.to);
    let first = to.split('/').next().unwrap_or_default();
    let outside = to.is_empty()
        || to.starts_with('/')
        || to.split('/').any(|part| part == ".." || part == ".");
    // A name with an invalid value is not checked yet.
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
