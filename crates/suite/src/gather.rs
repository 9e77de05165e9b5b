//! Cases -> tests in the order of nodes and book. Pure.

use std::sync::Arc;

use jiff::civil::Date;

use crate::manual::Manual;
use crate::nodes::Nodes;
use crate::plan::Case;
use crate::source::Problem;
use crate::{Test, Work};

/// Why a state is not asked.
const STATE: &str = "a state: it is asked where a role needs it";

/// One test for each case. A waiver that has run out by `today` is a test that fails.
#[must_use]
pub fn gather(cases: Vec<Case>, today: Date) -> Vec<Test> {
    cases.into_iter().map(|case| of_case(case, today)).collect()
}

/// Where each procedure may be rehearsed: on nodes that say `rehearse`, among the selected.
///
/// # Errors
/// Never for what [`crate::plan::cases`] found nothing wrong with.
pub fn procedures(
    manual: &Manual,
    nodes: &Nodes,
    selected: &[&str],
) -> Result<Vec<Test>, Vec<Problem>> {
    let mut tests = Vec::new();
    for name in selected {
        let node = Arc::new(nodes.evaluate(name, &[])?);
        for procedure in manual.procedures.values().filter(|_| node.rehearse) {
            let able = match &procedure.nodes {
                // Which machines they run on, only who starts them knows.
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
