//! The current manual, as far as recorded results refer to it: each check on each node with the
//! hash of its text and values, and the plans of procedures. Only evaluated if something is
//! recorded.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::engine;
use crate::event::{RunStarted, StepRecord};
use crate::plan::{self, Ask, Case, case_name};

use crate::project::{Place, Project};
use crate::source::Span;

/// The current checks and procedures.
pub(super) struct Present {
    project: Project,
    /// In the order of the book, by their place on the page.
    pub(super) rows: IndexMap<Row, Vec<Asked>>,
}

/// An item on a page that is evaluated on some nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Row {
    /// A script, by the name of its test.
    Script(String),
    /// A typed check, by the place of its resource.
    Typed(String),
}

/// One check on one node.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) node: String,
    /// `group::check`, with values.
    pub(super) name: String,
    pub(super) sum: String,
}

impl Row {
    pub(super) fn script(check: &str) -> Row {
        Row::Script(case_name(check))
    }

    pub(super) fn typed(span: &Span) -> Row {
        Row::Typed(format!("{}:{}", span.path().display(), span.start))
    }

    fn of(case: &Case) -> Row {
        match &case.ask {
            Ask::Script { .. } => Row::Script(case.name.clone()),
            Ask::Probe { .. } => Row::typed(&case.span),
        }
    }
}

impl Present {
    pub(super) fn read(place: &Place) -> Present {
        let project = Project::read(place.clone());
        let (manual, nodes) = (&project.manual, &project.nodes);
        let names: Vec<&str> = nodes.names().collect();
        let (cases, _) = plan::cases(manual, nodes, &project.vocabulary, &names, &|_| true);
        let mut rows: IndexMap<Row, Vec<Asked>> = IndexMap::new();
        for case in &cases {
            rows.entry(Row::of(case)).or_default().push(Asked {
                node: case.node.name.clone(),
                name: case.name.clone(),
                sum: case.sum(),
            });
        }
        Present { project, rows }
    }

    /// The current steps of a run's procedure, by node and name; empty if it can no longer be
    /// planned.
    pub(super) fn steps(&self, started: &RunStarted) -> BTreeMap<(String, String), StepRecord> {
        let Ok(plan) = self.project.plan_again(started) else {
            return BTreeMap::new();
        };
        let mut steps = BTreeMap::new();
        for node in &plan.nodes {
            for step in engine::plan_record(&self.project.root, node).steps {
                steps.insert((node.site().to_string(), step.name.clone()), step);
            }
        }
        steps
    }
}
