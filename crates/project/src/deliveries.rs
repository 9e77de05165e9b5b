//! Checks that the files of procedures' deliveries exist and can be rendered, as far as possible
//! without arguments and without a node.

use std::collections::HashSet;
use std::path::Path;

use crate::files::Files;
use crate::interpolation::Interpolated;
use crate::manual::{Delivery, DeliveryFrom, On, Procedure, Work};
use crate::nodes::Text;
use crate::plan::{NodePlan, PlannedStep, RUN_NAMES};
use crate::source::Problem;
use crate::template::{self, Template, Values};

/// Checks the deliveries of one plan after the other.
pub(crate) struct Deliveries<'a> {
    files: &'a Files,
    /// Deliveries with the names of the values that were used: other nodes with the same names have
    /// the same undefined names.
    seen: HashSet<(String, String)>,
}

impl<'a> Deliveries<'a> {
    pub fn new(files: &'a Files) -> Deliveries<'a> {
        Deliveries {
            files,
            seen: HashSet::new(),
        }
    }

    pub fn look(&mut self, procedure: &Procedure, plan: &NodePlan) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (values, open) = values(procedure, plan);
        let names = values.names().collect::<Vec<_>>().join(" ");
        // A file that a local step may still create is looked for when it is due.
        let mut made_here = false;
        for written in &procedure.steps {
            let step = plan.step(written.number);
            let files = step.map_or(&[][..], PlannedStep::files);
            let written_files = match &written.work {
                Work::Deliver(files) => files.as_slice(),
                _ => &[],
            };
            for (index, file) in files.iter().enumerate() {
                let written = written_files.get(index).unwrap_or(file);
                let made_here = made_here || names_any(written, &values, &open);
                let key = (format!("{:?} {:?}", file.span, file.from), names.clone());
                if self.seen.insert(key) {
                    let problem = self.problem(file, made_here, &values, &open);
                    problems.extend(problem.map(|problem| on(problem, &plan.node.name)));
                }
            }
            made_here |= written.on == On::Local;
        }
        problems
    }

    fn problem(
        &self,
        file: &Delivery,
        made_here: bool,
        values: &Values,
        open: &[&str],
    ) -> Option<Problem> {
        let template = match &file.from {
            DeliveryFrom::File(path) | DeliveryFrom::Tree(path) => {
                let is_tree = matches!(file.from, DeliveryFrom::Tree(_));
                return (!made_here)
                    .then(|| missing(self.files, path, is_tree, file))
                    .flatten();
            }
            DeliveryFrom::Machine { .. } => return None,
            DeliveryFrom::Template(name) => Template::Named(name),
            DeliveryFrom::Inline(body) => Template::Inline(body),
            DeliveryFrom::Placed(body) => Template::Alone(body),
        };
        let mut problem = template::render(self.files, template, values).err()?;
        // An unknown value may be anything.
        let written = problem.span.as_ref().map(|span| span.text().to_owned());
        let is_open = written.is_some_and(|text| {
            let name = text.split(['.', '[', ' ', '|']).next().unwrap_or_default();
            open.contains(&name)
        });
        if is_open || problem.code == template::OTHER {
            return None;
        }
        if problem.span.is_some() {
            return Some(problem.note(file.span.clone(), "delivered here"));
        }
        problem.span = Some(file.span.clone());
        Some(problem)
    }
}

/// A name that is undefined here may be defined on another node.
fn on(problem: Problem, node: &str) -> Problem {
    if problem.code == template::UNDEFINED {
        return problem.for_node(node);
    }
    problem
}

/// The values of the node, with placeholders for values known only in a run, and their names.
fn values<'p>(procedure: &'p Procedure, plan: &'p NodePlan) -> (Values, Vec<&'p str>) {
    let mut values = plan.node.template_values();
    for (name, text) in plan.node.texts() {
        if let Text::Secret(_) = text {
            values.text(name, "");
        }
    }
    let captured = plan.captures.iter().map(|capture| capture.name.as_str());
    let given = procedure.params.iter();
    let given = given.filter(|(_, param)| param.default.is_none());
    let open: Vec<&str> = captured
        .chain(given.map(|(name, _)| name.as_str()))
        .chain(RUN_NAMES)
        .collect();
    for name in &open {
        values.text(*name, "");
    }
    (values, open)
}

/// Whether the file's name depends on values known only in a run, or never.
fn names_any(written: &Delivery, values: &Values, open: &[&str]) -> bool {
    let (DeliveryFrom::File(path) | DeliveryFrom::Tree(path)) = &written.from else {
        return false;
    };
    let path = Interpolated::read(path);
    path.names()
        .any(|name| open.contains(&name) || !values.names().any(|known| known == name))
}

fn missing(files: &Files, path: &str, is_tree: bool, file: &Delivery) -> Option<Problem> {
    let found = if is_tree {
        files.tree(Path::new(path)).map(drop)
    } else {
        files.open(Path::new(path)).map(drop)
    };
    let why = found.err()?;
    let message = format!("cannot deliver `{path}`: {why}");
    Some(Problem::error("missing-file", file.span.clone(), message))
}
