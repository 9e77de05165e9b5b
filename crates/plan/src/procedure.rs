//! Makes a [`Plan`] from a procedure, the selected nodes and the arguments.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::arguments::{arguments, node};
use crate::cases::{self, needs};
use crate::manual::{Manual, Procedure, Step, settle};
use crate::nodes::{Node, Nodes};
use crate::script::Scope;
use crate::source::Problem;
use crate::vocabulary::Vocabulary;
use crate::{Case, NodePlan, Plan, PlannedStep, record, roles, step};

/// What a person ordered.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The id of the procedure.
    pub procedure: &'a str,
    /// The words after the procedure: selectors, whose results are joined in the order of the
    /// nodes' definition. For a procedure with roles, `ROLE=SELECTOR`.
    pub nodes: &'a [String],
    /// `--set name=value`.
    pub set: &'a [(String, String)],
}

/// Plans a run. Finds all problems before any node is reached.
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
    if !procedure.roles.is_empty() {
        let (words, set) = (request.nodes, request.set);
        return roles::plan(manual, nodes, vocabulary, procedure, words, set);
    }
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
        let same_end = |known: &&str| known.rsplit('.').next() == Some(id);
        let near = known.clone().find(same_end);
        if let Some(hint) = not_a_procedure(manual, id) {
            return problem.hint(hint);
        }
        match near.or_else(|| crate::source::nearest(id, known)) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => match unlisted(manual) {
                Some(page) => problem.hint(format!(
                    "`opsbook list` shows all; `SUMMARY.md` does not list `{}`",
                    page.display()
                )),
                None => problem.hint("`opsbook list` shows all procedures"),
            },
        }
    })
}

/// What somebody named instead of a procedure: a group of checks, or a page.
fn not_a_procedure(manual: &Manual, name: &str) -> Option<String> {
    if manual.groups.contains_key(name) {
        return Some(format!(
            "`{name}` is a group of checks: `opsbook test {name}::`"
        ));
    }
    let on_it = |procedure: &&Procedure| procedure.span.path().ends_with(name);
    let mut on_it = manual.procedures.values().filter(on_it).peekable();
    let is_page = Path::new(name).extension().is_some_and(|end| end == "md");
    let first = on_it.peek().filter(|_| is_page)?;
    let first = format!("`{}`", first.id);
    on_it.next();
    let others = on_it.map(|procedure| format!(", `{}`", procedure.id));
    Some(format!(
        "a run needs the name of a procedure; that page has {first}{}",
        others.collect::<String>()
    ))
}

/// The page of the procedure, if the list of pages leaves it out, so that nobody reads it.
fn unlisted(manual: &Manual) -> Option<&Path> {
    let pages = manual.pages.iter();
    let pages: HashSet<&Path> = pages.map(|page| page.path.as_path()).collect();
    let known = |path: &&PathBuf| {
        manual.listed
            && path.extension().is_some_and(|end| end == "md")
            && !path.ends_with("SUMMARY.md")
            && !pages.contains(path.as_path())
    };
    manual.files.iter().find(known).map(PathBuf::as_path)
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

pub(super) fn node_plan(
    manual: &Manual,
    vocabulary: &Vocabulary,
    procedure: &Procedure,
    node: &Arc<Node>,
    problems: &mut Vec<Problem>,
) -> NodePlan {
    let needs = needs(manual, vocabulary, &procedure.needs, node, problems);
    let mut scope = Scope::new(node);
    let before: Vec<Case> = procedure
        .before
        .iter()
        .map(|check| {
            scope.turn(check.on);
            cases::of_script(check, node, &scope, problems)
        })
        .collect();
    let steps: Vec<PlannedStep> = procedure
        .steps
        .iter()
        .map(|step| planned_step(procedure, step, &mut scope, node, problems))
        .collect();
    let text: String = before.iter().map(record::of_check).collect();
    let first = (!text.is_empty()).then(|| record::sha256(&text));
    let all: String = first
        .iter()
        .map(String::as_str)
        .chain(steps.iter().map(|step| step.sha256.as_str()))
        .collect();
    NodePlan {
        node: Arc::clone(node),
        role: None,
        turn: None,
        needs,
        before,
        steps,
        captures: step::captures(procedure),
        first_here: None,
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
    let mut planned = step::begun(procedure, step, scope, problems);
    let checks = step.checks.iter().map(|check| {
        scope.turn(check.on);
        cases::of_script(check, node, scope, problems)
    });
    planned.checks = checks.collect();
    scope.turn(step.on);
    let text = record::text(&planned, record::side(step.on), &planned.checks);
    step::finished(planned, scope, text)
}
