//! The tests for the selected nodes, and remarks about the selection.

use std::collections::{BTreeMap, HashSet};

use crate::cli::error::Failure;
use crate::cli::test::arguments::Choice;
use crate::manual::{self, Subject};
use crate::plan;
use crate::project::Project;
use crate::source::{Concern, Problem};
use crate::suite::{self, Selected};

/// The valid tests, and the problems.
pub(super) fn tests(
    choice: &Choice,
    project: &Project,
) -> Result<(Vec<suite::Test>, Vec<Problem>), Failure> {
    let nodes: Vec<&str> = match (&choice.nodes, &project.manual.settings.test_nodes) {
        (Some(selector), _) => project.nodes.select(selector)?,
        (None, Some(selector)) => project.nodes.select_at(selector)?,
        (None, None) => project.nodes.names().collect(),
    };
    // The plan reports a node's problems where the node is used.
    let errors = project.errors();
    let mut wrong: Vec<Problem> = errors
        .filter(|problem| problem.concern != Concern::Node)
        .cloned()
        .collect();
    let sound = |subject: Subject<'_>| {
        let stops = |problem: &Problem| manual::concerns(&project.manual, problem, subject);
        !wrong.iter().any(stops)
    };
    let (cases, problems) = plan::cases(
        &project.manual,
        &project.nodes,
        &project.vocabulary,
        &nodes,
        &sound,
    );
    wrong.extend(manual::settle(&project.manual, problems).problems);
    let mut seen = HashSet::new();
    wrong.retain(|problem| problem.is_error() && seen.insert(problem.to_string()));
    let mut tests = suite::gather(cases, jiff::Zoned::now().date());
    tests.extend(suite::procedures(&project.manual, &project.nodes, &nodes)?);
    // By node, checks first.
    let place = |test: &suite::Test| nodes.iter().position(|node| *node == test.node.name);
    tests.sort_by_cached_key(place);
    // Rehearsals over several nodes come last, in order.
    tests.extend(suite::rehearsals(&project.manual, &project.nodes, &nodes));
    Ok((tests, wrong))
}

/// Remarks about unexpected effects of the selection, one per line.
pub(super) fn notes(choice: &Choice, project: &Project, selected: &Selected) -> String {
    left_out(choice, project) + &for_every_node(choice, project, &selected.tests)
}

/// Reports that `book.toml` leaves nodes out, so that they do not seem tested.
fn left_out(choice: &Choice, project: &Project) -> String {
    let asked = project.manual.settings.test_nodes.as_ref();
    match asked.filter(|_| choice.nodes.is_none()) {
        Some(asked) => format!(
            "nodes: `{}`, as `test-nodes` in book.toml says; `--nodes '*'` for all\n",
            asked.value
        ),
        None => String::new(),
    }
}

/// If nodes were selected because of a part of the manual: reports that other groups are evaluated
/// there as well, and why.
fn for_every_node(choice: &Choice, project: &Project, tests: &[suite::Test]) -> String {
    if choice.nodes.is_none() {
        return String::new();
    }
    let (mut of_nodes, mut of_all) = (false, BTreeMap::new());
    for test in tests {
        let id = test.check.split("::").next().unwrap_or_default();
        match project.manual.groups.get(id) {
            Some(group) if group.nodes.is_some() => of_nodes = true,
            Some(_) => *of_all.entry(id).or_insert(0) += 1,
            None => {}
        }
    }
    if !of_nodes || of_all.is_empty() {
        return String::new();
    }
    let groups: Vec<String> = of_all
        .iter()
        .map(|(id, checks)| format!("`{id}` ({checks})"))
        .collect();
    format!(
        "note: checks of groups without `nodes` are for every node: {}\n",
        groups.join(", ")
    )
}

pub(super) fn nothing(choice: &Choice, project: &Project, selected: &Selected) -> Problem {
    let problem = Problem::bare("nothing-selected", "no test is selected, so nothing passed");
    if choice.nodes.is_none()
        && let Some(asked) = &project.manual.settings.test_nodes
    {
        return problem.hint(format!(
            "`test-nodes` in book.toml is `{}`; `--nodes '*'` asks all nodes",
            asked.value
        ));
    }
    let known = project.manual.groups.keys().map(String::as_str);
    let near = |filter: &String| {
        crate::source::misspelt(filter, known.clone()).filter(|near| near != filter)
    };
    if let Some(near) = choice.filters.iter().find_map(near) {
        return problem.hint(format!("did you mean `{near}`?"));
    }
    // A page has the id `group.check`, and the test of it is `group::check`.
    let name = |filter: &String| {
        let (group, check) = filter.rsplit_once('.')?;
        let name = format!("{group}::{check}");
        let mut left_out = selected.left_out.iter();
        let known = left_out.any(|test| test.check.contains(&name));
        known.then(|| format!("the test of `{filter}` is called `{name}`"))
    };
    if let Some(hint) = choice.filters.iter().find_map(name) {
        return problem.hint(hint);
    }
    match selected.left_out.len() {
        0 => problem
            .hint("the manual has no checks for these nodes; `opsbook list` shows what it has"),
        _ if choice.exact => {
            problem.hint("with `--exact` a name is `node::group::check`; `--list` prints them")
        }
        n => problem.hint(format!(
            "{n} tests do not match; `--list` without a filter prints their names"
        )),
    }
}
