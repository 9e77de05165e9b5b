//! Names across pages: ids are global, and what a procedure refers to must be there.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::manual::section::Sections;
use crate::manual::{Group, Procedure, Spanned, Step};
use crate::source::{Problem, Span};

/// Puts the sections of all pages together: ids are global, references must be known.
pub(crate) fn merge(
    pages: Vec<Sections>,
    problems: &mut Vec<Problem>,
) -> (IndexMap<String, Procedure>, IndexMap<String, Group>) {
    let mut names = Names::default();
    let mut procedures = IndexMap::new();
    let mut groups = IndexMap::new();
    for sections in pages {
        for procedure in sections.procedures {
            let new = names.define(&procedure.id, &procedure.span, problems);
            for step in &procedure.steps {
                names.step(&procedure.id, step, problems);
            }
            if new {
                procedures.insert(procedure.id.clone(), procedure);
            }
        }
        for group in sections.groups {
            let new = names.define(&group.id, &group.span, problems);
            for check in group.checks.iter().filter(|check| check.name != group.id) {
                names.define(&check.name, &check.span, problems);
            }
            if new {
                groups.insert(group.id.clone(), group);
            }
        }
    }
    let mut comparisons = 100_000;
    for procedure in procedures.values() {
        known_needs(procedure, &groups, &mut comparisons, problems);
    }
    (procedures, groups)
}

#[derive(Default)]
struct Names(HashMap<String, Span>);

impl Names {
    /// Notes a name; false where it was there before.
    fn define(&mut self, name: &str, span: &Span, problems: &mut Vec<Problem>) -> bool {
        if let Some(first) = self.0.get(name) {
            problems.push(
                Problem::error(
                    "duplicate-id",
                    span.clone(),
                    format!("`{name}` is defined twice"),
                )
                .note(first.clone(), "first defined here"),
            );
            return false;
        }
        self.0.insert(name.to_owned(), span.clone());
        true
    }

    fn step(&mut self, procedure: &str, step: &Step, problems: &mut Vec<Problem>) {
        if let Some(id) = &step.id {
            self.define(&format!("{procedure}/{id}"), &step.span, problems);
        }
        for check in &step.checks {
            self.define(&check.name, &check.span, problems);
        }
    }
}

/// `comparisons` is how many names may still be compared for hints: each unknown name would
/// be compared with each group.
fn known_needs(
    procedure: &Procedure,
    groups: &IndexMap<String, Group>,
    comparisons: &mut usize,
    problems: &mut Vec<Problem>,
) {
    for Spanned { value, span } in &procedure.needs {
        if groups.contains_key(value) {
            continue;
        }
        let problem = Problem::error(
            "unknown-group",
            span.clone(),
            format!("unknown group of checks `{value}`"),
        );
        let left = comparisons.checked_sub(groups.len());
        *comparisons = left.unwrap_or(0);
        problems.push(match left {
            Some(_) => problem.did_you_mean(value, groups.keys().map(String::as_str)),
            None => problem,
        });
    }
}
