//! Names across pages: ids are global, and everything a procedure refers to must exist.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use crate::model::section::Sections;
use crate::source::{Problem, Span};
use crate::{Doubles, Group, Procedure, Spanned, When};

/// Merges the sections of all pages and checks ids and references.
pub(crate) fn merge(
    pages: Vec<Sections>,
    problems: &mut Vec<Problem>,
) -> (
    IndexMap<String, Procedure>,
    IndexMap<String, Group>,
    Doubles,
) {
    let mut names = Names::default();
    for sections in &pages {
        for procedure in &sections.procedures {
            names.of_procedure(procedure, problems);
        }
        for group in &sections.groups {
            names.of_group(group, problems);
        }
    }
    let unread: HashSet<String> = pages
        .iter()
        .flat_map(|sections| sections.unread.iter().cloned())
        .collect();
    let mut procedures = IndexMap::with_capacity(pages.len());
    let mut groups = IndexMap::with_capacity(pages.len());
    // Of two with the same name, the first is used.
    let mut doubles = Doubles::default();
    for sections in pages {
        for procedure in sections.procedures {
            if procedures.contains_key(&procedure.id) {
                doubles.procedures.push(procedure);
            } else {
                procedures.insert(procedure.id.clone(), procedure);
            }
        }
        for group in sections.groups {
            if groups.contains_key(&group.id) {
                doubles.groups.push(group);
            } else {
                groups.insert(group.id.clone(), group);
            }
        }
    }
    let mut comparisons = 100_000;
    for procedure in procedures.values().chain(&doubles.procedures) {
        let known = |need: &str| groups.contains_key(need) || unread.contains(need);
        known_needs(procedure, &groups, known, &mut comparisons, problems);
    }
    for group in groups.values().filter(|group| group.when == When::Needed) {
        let asked =
            |procedure: &Procedure| procedure.all_needs().any(|need| need.value == group.id);
        if !procedures.values().any(asked) {
            let message = format!("`{}` is never evaluated: no procedure needs it", group.id);
            let problem = Problem::warning("never-asked", group.span.clone(), message);
            problems.push(problem.hint(
                "add it to the `needs` of a procedure, or remove `when: \
                 needed`",
            ));
        }
    }
    (procedures, groups, doubles)
}

/// Each name, split at its `/`.
#[derive(Default)]
struct Names<'a>(HashMap<(&'a str, &'a str), &'a Span>);

impl<'a> Names<'a> {
    fn of_procedure(&mut self, procedure: &'a Procedure, problems: &mut Vec<Problem>) {
        self.define((&procedure.id, ""), &procedure.span, problems);
        for step in &procedure.steps {
            if let Some(id) = &step.id {
                self.define((&procedure.id, id), &step.span, problems);
            }
            for check in &step.checks {
                self.define(parts(&check.name), &check.span, problems);
            }
        }
        let sections = procedure.sections.iter().flat_map(|each| &each.before);
        let after = procedure.after.iter().flat_map(|(_, checks)| checks);
        for check in procedure.before.iter().chain(sections).chain(after) {
            self.define(parts(&check.name), &check.span, problems);
        }
    }

    fn of_group(&mut self, group: &'a Group, problems: &mut Vec<Problem>) {
        self.define((&group.id, ""), &group.span, problems);
        for check in group.checks.iter().filter(|check| check.name != group.id) {
            self.define(parts(&check.name), &check.span, problems);
        }
    }

    fn define(&mut self, name: (&'a str, &'a str), span: &'a Span, problems: &mut Vec<Problem>) {
        let first = match self.0.entry(name) {
            Entry::Vacant(free) => {
                free.insert(span);
                return;
            }
            Entry::Occupied(taken) => (*taken.get()).clone(),
        };
        let slash = if name.1.is_empty() { "" } else { "/" };
        let message = format!("`{}{slash}{}` is defined twice", name.0, name.1);
        problems.push(
            Problem::error("duplicate-id", span.clone(), message).note(first, "first defined here"),
        );
    }
}

fn parts(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or((name, ""))
}

/// `comparisons` is the number of name comparisons left for hints. Without a limit, each unknown
/// name would be compared with each group.
fn known_needs(
    procedure: &Procedure,
    groups: &IndexMap<String, Group>,
    known: impl Fn(&str) -> bool,
    comparisons: &mut usize,
    problems: &mut Vec<Problem>,
) {
    for Spanned { value, span } in procedure.all_needs() {
        if known(value) {
            continue;
        }
        let problem = Problem::error(
            "unknown-group",
            span.clone(),
            format!("unknown group of checks `{value}`"),
        );
        if value.contains(',') {
            problems.push(problem.hint(format!("several groups are a list: `[{value}]`")));
            continue;
        }
        let left = comparisons.checked_sub(groups.len());
        *comparisons = left.unwrap_or(0);
        problems.push(match left {
            Some(_) => problem.did_you_mean(value, groups.keys().map(String::as_str)),
            None => problem,
        });
    }
}
