//! Turns checks into cases: one check on one node each.

use std::sync::Arc;
use std::time::Duration;

use crate::manual::{Check, Eventually, Group, Manual, Spanned, Subject, When, settle};
use crate::nodes::{Node, Nodes, Text};
use crate::script::{Known, Scope};
use crate::source::{Problem, Span};
use crate::vocabulary::{Assertion, Batch, Vocabulary};
use crate::{Ask, CHECK_LIMIT, Case, Need, Script, Skip, Value, Variable};

/// All cases of a manual on the selected nodes, in the order of the nodes and of the book: groups
/// of checks, and the checks after steps that are marked `always`. An invalid case is left out; its
/// problem is reported instead.
#[must_use]
pub fn cases(
    manual: &Manual,
    nodes: &Nodes,
    vocabulary: &Vocabulary,
    selected: &[&str],
    wanted: &dyn Fn(Subject<'_>) -> bool,
) -> (Vec<Case>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut cases = Vec::new();
    // The meaning of a check is the same on every node; only its values differ.
    let understood: Vec<Vec<Assertion>> = manual
        .groups
        .values()
        .map(|group| understand(vocabulary, group, &mut problems))
        .collect();
    for name in selected {
        let node = match nodes.evaluate(name, &[]) {
            Ok(node) => Arc::new(node),
            Err(more) => {
                problems.extend(more);
                continue;
            }
        };
        for (group, assertions) in manual.groups.values().zip(&understood) {
            let here = |selector: &Option<_>, problems: &mut Vec<Problem>| match selector {
                None => true,
                Some(selector) => match nodes.select_at(selector) {
                    Ok(able) => able.contains(name),
                    Err(problem) => {
                        problems.push(problem);
                        false
                    }
                },
            };
            if group.when != When::Needed && here(&group.nodes, &mut problems) {
                let asked = of_group(manual, group, assertions, &node, wanted, &mut problems);
                let state = group.when == When::State;
                cases.extend(asked.into_iter().map(|case| Case { state, ..case }));
            }
        }
        for procedure in manual.procedures.values() {
            let able = procedure.roles.is_empty()
                && procedure.nodes.as_ref().is_none_or(|selector| {
                    nodes
                        .select_at(selector)
                        .is_ok_and(|able| able.contains(name))
                });
            if !able || !wanted(Subject::Procedure(procedure)) {
                continue;
            }
            for check in procedure.checks().filter(|check| check.always) {
                let scope = Scope::new(&node);
                cases.extend(sound_script(manual, check, &node, &scope, &mut problems));
            }
        }
    }
    // A wrong selector or value on one node is often wrong on all nodes.
    let mut seen = std::collections::HashSet::new();
    problems.retain(|problem| seen.insert(problem.identity()));
    (cases, problems)
}

/// One script for several typed cases, and the means to read its output. Ignores cases of other
/// kinds.
#[must_use]
pub fn probe(cases: &[&Case]) -> (Script, Batch) {
    let asked = cases.iter().filter_map(|case| match &case.ask {
        Ask::Probe {
            assertion,
            bindings,
        } => Some((&**assertion, bindings)),
        Ask::Script { .. } => None,
    });
    let (assertions, known): (Vec<_>, Vec<_>) = asked.unzip();
    let batch = Batch::new(&assertions);
    let own = batch.variables.iter().map(|(name, value)| Variable {
        name: name.clone(),
        value: Value::Text(Text::Plain(value.clone())),
    });
    let mut bindings: Vec<Variable> = own.collect();
    for binding in known.into_iter().flatten() {
        if !bindings.contains(binding) {
            bindings.push(binding.clone());
        }
    }
    let text = Arc::clone(&batch.text);
    (
        Script {
            interpreter: "sh".to_owned(),
            text,
            bindings,
            commands: Vec::new(),
            inherits: Vec::new(),
        },
        batch,
    )
}

/// Groups of checks that must hold on a node before a run.
pub(super) fn needs(
    manual: &Manual,
    vocabulary: &Vocabulary,
    groups: &[Spanned<String>],
    node: &Arc<Node>,
    problems: &mut Vec<Problem>,
) -> Vec<Need> {
    let known = groups
        .iter()
        .filter_map(|need| Some((need, manual.groups.get(&need.value)?)));
    known
        .map(|(need, group)| {
            let assertions = understand(vocabulary, group, problems);
            Need {
                group: need.value.clone(),
                cases: of_group(manual, group, &assertions, node, &|_| true, problems),
            }
        })
        .collect()
}

/// The typed checks of a group that could be parsed.
pub(super) fn understand(
    vocabulary: &Vocabulary,
    group: &Group,
    problems: &mut Vec<Problem>,
) -> Vec<Assertion> {
    group
        .typed
        .iter()
        .filter_map(|typed| {
            let (assertion, more) =
                vocabulary.assertion(&typed.kind, &typed.resource, &typed.attributes);
            let sound = !more.iter().any(Problem::is_error);
            problems.extend(more);
            assertion.filter(|_| sound)
        })
        .collect()
}

/// Typed assertions first, then scripts: the reading order of a contract and the prose below it.
pub(super) fn of_group(
    manual: &Manual,
    group: &Group,
    assertions: &[Assertion],
    node: &Arc<Node>,
    wanted: &dyn Fn(Subject<'_>) -> bool,
    problems: &mut Vec<Problem>,
) -> Vec<Case> {
    let scope = Scope::new(node);
    let assertions = if wanted(Subject::Typed(group)) {
        assertions
    } else {
        &[]
    };
    let mut sound = Vec::with_capacity(assertions.len());
    let typed: Vec<Case> = assertions
        .iter()
        .cloned()
        .map(|mut assertion| {
            let span = assertion.resource.span.clone();
            let before = problems.len();
            assertion.fill_arguments(&mut |name| in_typed(name, true, &scope, &span, problems));
            if let (Some(why), true) = (assertion.ill_formed(), problems.len() == before) {
                let message = format!("{why}, on node `{}`", node.name);
                problems.push(Problem::error("wrong-form", span.clone(), message));
            }
            assertion.fill_expected(&mut |name| in_typed(name, false, &scope, &span, problems));
            let mut bindings = Vec::new();
            for command in assertion.commands() {
                scope.bindings(&command, &span, &mut bindings, problems);
            }
            for binding in &bindings {
                if let Value::Text(Text::Plain(value)) = &binding.value {
                    assertion.tell(&binding.name, value);
                }
            }
            sound.push(!has_error(manual, &problems[before..]));
            Case {
                name: format!("{}::{}", group.id, assertion.name()),
                node: Arc::clone(node),
                span,
                on: assertion.on(),
                sudo: assertion.sudo().cloned(),
                timeout: assertion.timeout().unwrap_or(CHECK_LIMIT),
                eventually: assertion
                    .eventually()
                    .map(|(limit, every)| Eventually { limit, every }),
                skip: assertion.skip().map(|waiver| Skip {
                    reason: waiver.reason.clone(),
                    until: waiver.until,
                }),
                ask: Ask::Probe {
                    assertion: Arc::new(assertion),
                    bindings,
                },
                state: false,
            }
        })
        .collect();
    let typed = typed.into_iter().zip(sound);
    let mut cases: Vec<Case> = typed
        .filter_map(|(case, sound)| sound.then_some(case))
        .collect();
    for check in &group.checks {
        if wanted(Subject::Check(group, check)) {
            cases.extend(sound_script(manual, check, node, &scope, problems));
        }
    }
    cases
}

/// A case of a script; `None` if its values have an error.
fn sound_script(
    manual: &Manual,
    check: &Check,
    node: &Arc<Node>,
    scope: &Scope<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Case> {
    let before = problems.len();
    let case = of_script(check, node, scope, problems);
    (!has_error(manual, &problems[before..])).then_some(case)
}

/// Whether one of these is an error that the manual does not accept.
fn has_error(manual: &Manual, problems: &[Problem]) -> bool {
    problems.iter().any(Problem::is_error)
        && settle(manual, problems.to_vec())
            .problems
            .iter()
            .any(Problem::is_error)
}

/// The value of a name in a typed check. Where secrets are possible, names stay names, and the
/// script gets them as variables.
fn in_typed(
    name: &str,
    secrets: bool,
    scope: &Scope<'_>,
    place: &Span,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    match scope.look_up(name) {
        Known::Bound(Value::Text(Text::Plain(value))) => Some(value),
        Known::Bound(Value::Text(Text::Secret(_))) if secrets => None,
        Known::Bound(_) | Known::Assigned => {
            let message = format!(
                "a typed check cannot expect `{name}`: it is a secret, or known only during a run"
            );
            problems.push(Problem::error("value-not-known", place.clone(), message));
            None
        }
        Known::Undefined => {
            problems.push(scope.undefined(name, &place.reference(name)));
            Some(String::new())
        }
        Known::Wrong(problem) => {
            problems.push(problem.note(place.clone(), "used here"));
            Some(String::new())
        }
    }
}

pub(super) fn of_script(
    check: &Check,
    node: &Arc<Node>,
    scope: &Scope<'_>,
    problems: &mut Vec<Problem>,
) -> Case {
    let (script, _) = scope.script(&check.script, problems);
    if let Some(expect) = &check.expect {
        scope.names_of(&expect.text, problems);
    }
    for expect in script
        .commands
        .iter()
        .filter_map(|command| command.expect.as_ref())
    {
        scope.names_of(&expect.text, problems);
    }
    Case {
        name: case_name(&check.name),
        node: Arc::clone(node),
        span: check.span.clone(),
        on: check.on,
        sudo: check.sudo.clone(),
        timeout: check
            .timeout
            .unwrap_or(CHECK_LIMIT)
            .max(Duration::from_secs(1)),
        eventually: check.eventually,
        ask: Ask::Script {
            script,
            exit: check.exit.clone(),
            expect: check.expect.clone(),
        },
        skip: None,
        state: false,
    }
}

/// The test names of `web.deploy/importable` and `web.xt-recent`: `group::check`.
#[must_use]
pub fn case_name(check: &str) -> String {
    let (group, name) = split(check);
    format!("{group}::{name}")
}

/// Splits `web.deploy/importable` into `web.deploy` and `importable`, `web.xt-recent` into `web`
/// and `xt-recent`.
fn split(name: &str) -> (&str, &str) {
    name.split_once('/')
        .or_else(|| name.rsplit_once('.'))
        .unwrap_or((name, name))
}
