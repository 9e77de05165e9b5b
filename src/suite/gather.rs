//! Cases -> tests in the order of nodes and book. Pure.

use jiff::civil::Date;

use crate::plan::Case;
use crate::suite::{Test, Work};

/// One test for each case. A waiver that has run out by `today` is a test that fails.
#[must_use]
pub fn gather(cases: Vec<Case>, today: Date) -> Vec<Test> {
    cases.into_iter().map(|case| of_case(case, today)).collect()
}

fn of_case(case: Case, today: Date) -> Test {
    let (name, node, span) = (
        format!("{}::{}", case.node.name, case.name),
        case.node.clone(),
        case.span.clone(),
    );
    let (ignored, work) = match &case.skip {
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
        name,
        node,
        span,
        ignored,
        work,
    }
}
