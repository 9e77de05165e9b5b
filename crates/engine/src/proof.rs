//! Verifies before any node is reached what can be verified there: values of skipped steps, files
//! to deliver, secrets, and that somebody will answer the questions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::delivery::{blank, readable};
use crate::due::first_due;
use crate::event::Status;
use crate::files::Files;
use crate::journal::Record;
use crate::manual::{DeliveryFrom, On};
use crate::nodes::{Confirm, SecretRef, Text, resolve};
use crate::plan::{
    Ask, Case, EXPORTED, NodePlan, Part, Plan, PlannedStep, PlannedWork, RUN_NAMES, Script,
    Stretch, Value, joined,
};
use crate::secrets::{SecretError, Secrets};
use crate::source::{Problem, Severity};

/// A plan, and the part of it that will run.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The folder of the manual.
    pub root: &'a Path,
    /// The folder for relative paths of secret files.
    pub secrets_in: &'a Path,
    /// The plan.
    pub plan: &'a Plan,
    /// The selected steps.
    pub part: Part,
    /// The run to resume.
    pub resume: Option<&'a Record>,
    /// Values for captured names, in addition to the run's first arguments.
    pub given: &'a [(String, String)],
}

impl<'a> Proof<'a> {
    /// What is missing, as far as the project shows it: runs nothing and asks nobody.
    #[must_use]
    pub fn missing(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let elsewhere = self.captured_elsewhere();
        for node in &self.plan.nodes {
            let due = self.due(node);
            let mut of_node = Vec::new();
            self.given(node, &due, &mut of_node);
            self.captured(node, &due, &elsewhere, &mut of_node);
            self.inherited(node, &due, &mut of_node);
            let of_node = of_node.into_iter();
            problems.extend(of_node.map(|problem| problem.for_node(&node.node.name)));
        }
        joined(problems)
    }

    /// Files and templates that cannot be delivered.
    #[must_use]
    pub fn undeliverable(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for node in &self.plan.nodes {
            let mut of_node = Vec::new();
            self.files(node, &self.due(node), &mut of_node);
            let of_node = of_node.into_iter();
            problems.extend(of_node.map(|problem| problem.for_node(&node.node.name)));
        }
        joined(problems)
    }

    /// Looks up every needed secret, and reports those that are unavailable.
    ///
    /// # Errors
    /// If the operator cancels.
    pub async fn secrets(&self, secrets: &Secrets) -> Result<Vec<Problem>, SecretError> {
        let mut problems = Vec::new();
        for node in &self.plan.nodes {
            for (name, reference) in self.references(node) {
                match secrets.resolve(&node.node.name, &reference).await {
                    Ok(_) => {}
                    Err(SecretError::Stopped) => return Err(SecretError::Stopped),
                    Err(error) => problems.push(no_secret(node, &name, &error)),
                }
            }
        }
        Ok(joined(problems))
    }

    /// Missing secrets, of those that can be looked up without running anything or asking anybody.
    #[must_use]
    pub fn secrets_not_here(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let waited_for = AtomicBool::new(false);
        let nobody = |_: &str| Err(std::io::ErrorKind::Unsupported.into());
        for node in &self.plan.nodes {
            for (name, reference) in self.references(node) {
                if matches!(reference, SecretRef::Env(_) | SecretRef::File(_))
                    && let Err(error) = resolve(&reference, self.secrets_in, &nobody, &waited_for)
                {
                    let problem = no_secret(node, &name, &error.into());
                    problems.push(Problem {
                        severity: Severity::Warning,
                        ..problem
                    });
                }
            }
        }
        joined(problems)
    }

    /// The first step that asks the operator, if another step runs before it. Steps that were done
    /// by hand, by node, ask nobody.
    #[must_use]
    pub fn asks_late(&self, done: &BTreeMap<String, BTreeSet<usize>>) -> Option<&'a PlannedStep> {
        let mut nodes = self.plan.nodes.iter();
        nodes.find_map(|node| {
            let done = done.get(&node.site().to_string());
            let mut due = self.due(node);
            due.retain(|step| !done.is_some_and(|done| done.contains(&step.number)));
            let by_node = node.node.confirm == Some(Confirm::Step);
            let asks = |step: &&PlannedStep| {
                by_node || step.confirm || matches!(step.work, PlannedWork::Manual(_))
            };
            let late = due.iter().position(asks).filter(|place| *place > 0);
            late.map(|place| due[place])
        })
    }

    /// The steps of a node that will run, in order.
    fn due(&self, node: &'a NodePlan) -> Vec<&'a PlannedStep> {
        let record = self.resume;
        if record.and_then(|record| record.node_status(node.site())) == Some(Status::Ok) {
            return Vec::new();
        }
        let first = match record {
            Some(record) => first_due(node, record, self.part.start_at),
            None => self.part.start_at.unwrap_or(1),
        };
        let steps = node.steps.iter();
        let steps = steps.filter(|step| {
            let repeated = record.is_some() && step.setup && first <= node.last_number();
            let last = self.part.stop_after.unwrap_or(usize::MAX);
            (step.number >= first && step.number <= last) || repeated
        });
        steps.collect()
    }

    /// Reports a given value for a captured name that its step would overwrite.
    fn given(&self, node: &NodePlan, due: &[&PlannedStep], problems: &mut Vec<Problem>) {
        if self.resume.is_some() {
            return;
        }
        for (name, _) in self.plan.given(node) {
            let mut steps = due.iter();
            let captures = |step: &&&PlannedStep| step.capture.as_deref() == Some(name);
            if let Some(step) = steps.find(captures) {
                let message = format!(
                    "`--set {name}=…`: step `{}` captures it, and will run",
                    step.label()
                );
                let problem = Problem::error("given-and-captured", step.span.clone(), message);
                problems.push(problem.hint("omit it, or start after that step"));
            }
        }
    }

    /// Names that steps on any node of a run over several capture: all nodes get them.
    fn captured_elsewhere(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        if self.plan.binding.is_none() {
            return names;
        }
        for node in &self.plan.nodes {
            let due = self.due(node);
            names.extend(due.iter().filter_map(|step| step.capture.clone()));
            if let Some(record) = self.resume {
                let captured = record.captured(node.site());
                names.extend(captured.into_iter().map(|(name, _)| name));
            }
        }
        names
    }

    fn captured(
        &self,
        node: &NodePlan,
        due: &[&PlannedStep],
        elsewhere: &BTreeSet<String>,
        problems: &mut Vec<Problem>,
    ) {
        let mut known = elsewhere.clone();
        known.extend(self.plan.given(node).map(|(name, _)| name.to_owned()));
        known.extend(self.given.iter().map(|(name, _)| name.clone()));
        if let Some(record) = self.resume {
            let captured = record.captured(node.site());
            known.extend(captured.into_iter().map(|(name, _)| name));
        }
        for step in due {
            for name in captured_names(self.root, node, step) {
                let own = step.capture.as_deref() == Some(name.as_str());
                if own || known.contains(&name) {
                    continue;
                }
                problems.push(left_out(node, step, &name));
            }
            known.extend(step.capture.clone());
        }
    }

    /// Checks variables that earlier scripts on the same side set without capturing.
    fn inherited(&self, node: &NodePlan, due: &[&PlannedStep], problems: &mut Vec<Problem>) {
        let done = self.resume.map(|record| record.steps(node.site()));
        let may_have_run = |step: &&PlannedStep| {
            let status = done.as_ref().and_then(|done| done.get(&step.number));
            // A step done by hand from the sheet has left its variables.
            !matches!(status, None | Some(Some(Status::Skipped)))
        };
        let mut set: [BTreeSet<&str>; 2] = Default::default();
        let side = |on: On| usize::from(on == On::Local);
        // A turn begins with the variables of the main line on this node.
        let first = node.steps.first().map_or(0, |step| step.number);
        let main = self.plan.nodes.iter().filter(|main| {
            node.turn.is_some() && main.turn.is_none() && main.node.name == node.node.name
        });
        let main = main.flat_map(|main| &main.steps);
        for step in main.filter(|step| step.number < first) {
            set[side(step.on)].extend(step.sets.iter().map(String::as_str));
        }
        for step in node.steps.iter().filter(may_have_run) {
            set[side(step.on)].extend(step.sets.iter().map(String::as_str));
        }
        for step in due {
            let mut missing = BTreeSet::new();
            let mut look = |on: On, script: &Script, set: &[BTreeSet<&str>; 2]| {
                let set = &set[side(on)];
                let inherits = script.inherits().iter();
                let inherits = inherits.filter(|name| !set.contains(name.as_str()));
                if !set.contains(EXPORTED) {
                    missing.extend(inherits.cloned());
                }
            };
            if let Some(script) = step.script() {
                look(step.on, script, &set);
            }
            set[side(step.on)].extend(step.sets.iter().map(String::as_str));
            for case in &step.checks {
                if let Ask::Script { script, .. } = &case.ask {
                    look(case.on, script, &set);
                }
            }
            problems.extend(missing.iter().map(|name| not_set(node, step, name)));
        }
    }

    fn files(&self, node: &NodePlan, due: &[&PlannedStep], problems: &mut Vec<Problem>) {
        let project = Files::of(self.root);
        let mut made_here = false;
        for step in due {
            made_here |= node.first_here.is_some_and(|first| first < step.number);
            for file in step.files() {
                let wrong =
                    match &file.from {
                        // Whether it exists is known only when the step is due.
                        DeliveryFrom::Machine { .. } => None,
                        DeliveryFrom::File(_) | DeliveryFrom::Tree(_) if made_here => None,
                        DeliveryFrom::File(path) | DeliveryFrom::Tree(path) => {
                            let path = Path::new(path);
                            readable(&project, path, file).err().map(|why| {
                                let message = format!("cannot deliver `{}`: {why}", path.display());
                                Problem::error("undeliverable", file.span.clone(), message)
                            })
                        }
                        DeliveryFrom::Template(_)
                        | DeliveryFrom::Inline(_)
                        | DeliveryFrom::Placed(_) => blank(self.root, node, file, &|_| None)
                            .err()
                            .map(|problem| {
                                let span = problem.span.clone();
                                let span = span.unwrap_or_else(|| file.span.clone());
                                Problem {
                                    span: Some(span),
                                    ..problem
                                }
                            }),
                    };
                problems.extend(wrong);
            }
            made_here |= step.on == On::Local;
        }
    }

    /// The secrets of the steps, of their checks and of the needs, by name.
    fn references(&self, node: &'a NodePlan) -> BTreeMap<String, SecretRef> {
        let mut found = BTreeMap::new();
        let due = self.due(node);
        let begun = self
            .resume
            .is_some_and(|record| record.has_begun(node.site()));
        let needs = node.needs.iter().flat_map(|need| &need.cases);
        let needs = needs.chain(&node.before);
        let needs = needs.filter(|_| !begun && !due.is_empty());
        let cases = needs.chain(self.beside_steps(node));
        let cases = cases.flat_map(|case| match &case.ask {
            Ask::Script { script, .. } => script.bindings(),
            Ask::Probe { bindings, .. } => bindings,
        });
        let steps = due.iter().flat_map(|step| step.bindings());
        for binding in cases.chain(steps) {
            if let Value::Text(Text::Secret(reference)) = &binding.value {
                found.insert(binding.name.clone(), reference.clone());
            }
        }
        for file in due.iter().flat_map(|step| step.files()) {
            if let Ok(Some(blank)) = blank(self.root, node, file, &|_| None) {
                found.extend(blank.secrets);
            }
        }
        found
    }

    /// Checks of a run over several nodes that belong to no step, and that this node evaluates.
    fn beside_steps(&self, node: &'a NodePlan) -> impl Iterator<Item = &'a Case> {
        let binding = self.plan.binding.iter();
        let all = binding.flat_map(|binding| {
            let order = binding.order.iter().flat_map(|stretch| match stretch {
                Stretch::Step(_) => Vec::new(),
                Stretch::Checks(cases) => cases.iter().collect(),
                Stretch::Section(section) => {
                    let turns = section.turns.iter();
                    turns.flat_map(|turn| &turn.before).collect()
                }
            });
            binding.before.iter().chain(order)
        });
        all.filter(|case| case.node.name == node.node.name)
    }
}

/// The names that a step needs and that only earlier steps capture.
pub(super) fn captured_names(root: &Path, node: &NodePlan, step: &PlannedStep) -> BTreeSet<String> {
    let bound = step.bindings();
    let bound = bound.filter(|binding| matches!(binding.value, Value::Captured));
    let bound = bound.map(|binding| binding.name.as_str());
    let mut names: BTreeSet<String> = bound
        .filter(|name| !RUN_NAMES.contains(name))
        .map(str::to_owned)
        .collect();
    let texts = step.names_in_texts().into_iter().map(str::to_owned);
    let files = step.files().iter();
    let files = files.filter_map(|file| blank(root, node, file, &|_| None).ok().flatten());
    let texts = texts.chain(files.flat_map(|blank| blank.open));
    let before = |name: &String| capturing(node, step, name).is_some();
    names.extend(texts.filter(before));
    names
}

/// The name of the last step before this one that captures `name`.
fn capturing<'n>(node: &'n NodePlan, step: &PlannedStep, name: &str) -> Option<&'n str> {
    let mut earlier = node.captures.iter().rev();
    let found = earlier.find(|other| other.number < step.number && other.name == name);
    found.map(|capture| capture.label.as_str())
}

fn left_out(node: &NodePlan, step: &PlannedStep, name: &str) -> Problem {
    let from = capturing(node, step, name).unwrap_or("another one");
    let message = format!(
        "step `{}` needs `{name}`, which step `{from}` captures, but that step is skipped",
        step.label()
    );
    let problem = Problem::error("left-out", step.span.clone(), message);
    problem.hint(format!(
        "give it with `--set {name}=…`, or start at `{from}`"
    ))
}

fn not_set(node: &NodePlan, step: &PlannedStep, name: &str) -> Problem {
    let mut earlier = node.steps.iter().rev();
    let from = earlier.find(|other| {
        other.number < step.number && other.on == step.on && other.sets.contains(name)
    });
    let from = from.map_or("another one", PlannedStep::label);
    let message = format!(
        "step `{}` uses `{name}`, which step `{from}` sets, but that step is skipped",
        step.label()
    );
    let problem = Problem::error("left-out", step.span.clone(), message);
    problem.hint(format!(
        "start at `{from}`; if the script gets it elsewhere, write `defined={name}` on the fence"
    ))
}

fn no_secret(node: &NodePlan, name: &str, error: &SecretError) -> Problem {
    let message = format!("cannot read the secret `{name}`: {error}");
    let value = node.node.leaves.get(name);
    let problem = match value.and_then(|value| value.origin.span.clone()) {
        Some(span) => Problem::error("no-secret", span, message),
        None => Problem::bare("no-secret", message),
    };
    problem.for_node(&node.node.name)
}
