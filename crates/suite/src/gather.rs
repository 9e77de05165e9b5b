//! Makes tests from cases, in the order of nodes and book. Pure.

use std::sync::Arc;

use jiff::civil::Date;

use crate::manual::{Manual, Procedure, Role};
use crate::nodes::{Node, Nodes};
use crate::plan::Case;
use crate::source::Problem;
use crate::{Test, Work};

/// Why a state is not evaluated.
const STATE: &str = "a state: it is evaluated where a role needs it";

/// One test for each case. A waiver that expired before `today` becomes a failing test.
#[must_use]
pub fn gather(cases: Vec<Case>, today: Date) -> Vec<Test> {
    cases.into_iter().map(|case| of_case(case, today)).collect()
}

/// One test for each procedure and selected node on which it may be rehearsed (`rehearse`).
///
/// # Errors
/// None for input that [`crate::plan::cases`] accepts.
pub fn procedures(
    manual: &Manual,
    nodes: &Nodes,
    selected: &[&str],
) -> Result<Vec<Test>, Vec<Problem>> {
    let mut tests = Vec::new();
    for name in selected {
        let node = Arc::new(nodes.evaluate(name, &[])?);
        let single = manual.procedures.values();
        let single = single.filter(|procedure| procedure.roles.is_empty());
        for procedure in single.filter(|_| node.rehearse) {
            let able = match &procedure.nodes {
                // The nodes of its roles are known only when it starts.
                None => procedure.roles.is_empty(),
                Some(selector) => {
                    let able = nodes.select_at(selector).map_err(|problem| vec![problem])?;
                    able.contains(name)
                }
            };
            if able {
                tests.push(Test {
                    check: format!("{}::run", procedure.id),
                    node: Arc::clone(&node),
                    span: procedure.span.clone(),
                    ignored: Some("a procedure: it changes the node".to_owned()),
                    by_name_only: false,
                    work: Work::Procedure(procedure.id.clone()),
                });
            }
        }
    }
    Ok(tests)
}

/// The rehearsals of procedures over several nodes, in the order of `nodes.yaml`, because one may
/// undo what another has done. Leaves out a rehearsal that binds a node which is not selected. An
/// invalid rehearsal becomes a test that reports the error.
#[must_use]
pub fn rehearsals(manual: &Manual, nodes: &Nodes, selected: &[&str]) -> Vec<Test> {
    let mut tests = Vec::new();
    let over_several = manual.procedures.values();
    for procedure in over_several.filter(|procedure| !procedure.roles.is_empty()) {
        let all = nodes.rehearsals(&procedure.id);
        if all.is_empty() {
            let why = "its roles are not bound by `rehearsals` in `nodes.yaml`";
            let node = who_may(procedure, nodes, selected);
            tests.extend(node.map(|node| of_roles(procedure, node, "", Vec::new(), why)));
        }
        for (number, rehearsal) in (1..).zip(all) {
            // The nodes of an invalid selector are unknown.
            let chosen = rehearsal.roles.values();
            let bound = chosen.flat_map(|nodes_of| nodes.select(nodes_of).unwrap_or_default());
            let bound: Vec<&str> = bound.collect();
            if !bound.iter().all(|name| selected.contains(name)) {
                continue;
            }
            let first = bound
                .first()
                .and_then(|name| nodes.evaluate(name, &[]).ok());
            let node = first.or_else(|| who_may(procedure, nodes, selected));
            let nth = match number {
                1 => String::new(),
                number => format!(".{number}"),
            };
            let why = "a procedure: it changes its nodes";
            tests.extend(node.map(|node| of_roles(procedure, node, &nth, rehearsal.words(), why)));
        }
    }
    tests
}

/// The first selected node that may have a role in a rehearsal.
fn who_may(procedure: &Procedure, nodes: &Nodes, selected: &[&str]) -> Option<Node> {
    let mut able = selected.iter().filter_map(|name| {
        let node = nodes.evaluate(name, &[]).ok()?;
        let may = |role: &Role| {
            let able = nodes.select_at(&role.nodes);
            able.is_ok_and(|able| able.contains(name))
        };
        (node.rehearse && procedure.roles.values().any(may)).then_some(node)
    });
    able.next()
}

fn of_roles(
    procedure: &Procedure,
    node: Node,
    nth: &str,
    words: Vec<String>,
    ignored: &str,
) -> Test {
    Test {
        check: format!("{}::run{nth}", procedure.id),
        node: Arc::new(node),
        span: procedure.span.clone(),
        ignored: Some(ignored.to_owned()),
        by_name_only: false,
        work: Work::Roles {
            procedure: procedure.id.clone(),
            words,
        },
    }
}

fn of_case(case: Case, today: Date) -> Test {
    let (check, node, span) = (case.name.clone(), case.node.clone(), case.span.clone());
    let by_name_only = case.state;
    let (ignored, work) = match &case.skip {
        None if case.state => (Some(STATE.to_owned()), Work::Check(Box::new(case))),
        None => (None, Work::Check(Box::new(case))),
        Some(skip) => match skip.until {
            Some(until) if until < today => {
                let (reason, until) = (skip.reason.clone(), until.to_string());
                (None, Work::Overdue { reason, until })
            }
            Some(until) => (
                Some(format!("{}, until {until}", skip.reason)),
                Work::Check(Box::new(case)),
            ),
            None => (Some(skip.reason.clone()), Work::Check(Box::new(case))),
        },
    };
    Test {
        check,
        node,
        span,
        ignored,
        by_name_only,
        work,
    }
}
