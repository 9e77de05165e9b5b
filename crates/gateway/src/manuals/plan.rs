//! Plans an order: its parts, and what each will run. Pure, apart from reading the manual's files.

use crate::event::PlanRecord;
use crate::manual::Procedure;
use crate::nodes::{Node, Text};
use crate::plan::{Plan, Request, batch::in_batches};
use crate::project::batch::{Share, of_nodes, sizes};
use crate::project::{Project, Who, approval};
use crate::source::nearest;
use crate::store::approvals::NewConsent;
use crate::wire::{Ask, Kind, Parameter, Problem, ProcedureView, StepView, Verb, limit};

use super::may::Person;
use super::{Manual, Read, wrong};

/// The result of planning.
#[derive(Debug)]
pub struct Planned {
    /// The heading over the contract.
    pub title: String,
    /// The manual's revision.
    pub revision: Option<String>,
    /// SHA-256 of the page.
    pub page_sha256: String,
    /// Its parts.
    pub parts: Vec<PlannedPart>,
}

/// A part of an order.
#[derive(Debug)]
pub struct PlannedPart {
    /// The node, or `*`.
    pub node: String,
    /// Its segment.
    pub segment: String,
    /// Its batch, from 1.
    pub batch: usize,
    /// Its nodes.
    pub machines: Vec<String>,
    /// Its words on a command line.
    pub words: Vec<String>,
    /// The hash of its plan.
    pub plan_sha256: String,
    /// The plan of each node, as JSON.
    pub plan: String,
    /// What must be approved before it begins.
    pub consent: Option<NewConsent>,
}

impl Manual {
    /// Plans this person's order.
    ///
    /// # Errors
    /// If the page is not the one that was read, or the manual, nodes or arguments are wrong.
    pub fn plan(&self, ask: &Ask, by: &Person) -> Result<Planned, Box<Problem>> {
        let read = self.read()?;
        let procedure = read.procedure(&ask.procedure)?;
        let page_sha256 = read.page_of(procedure).to_owned();
        if ask
            .page_sha256
            .as_ref()
            .is_some_and(|shown| *shown != page_sha256)
        {
            let detail = format!(
                "the page of `{}` has changed since it was shown: read it again before you run it",
                ask.procedure
            );
            return Err(problem(Kind::Changed, detail));
        }
        let set: Vec<(String, String)> = ask.arguments.clone().into_iter().collect();
        let request = Request {
            procedure: &ask.procedure,
            nodes: &ask.nodes,
            set: &set,
        };
        let plan = read.project.plan(&request).map_err(|all| wrong(&all))?;
        steps_are_there(ask, procedure)?;
        let started = Who::of(&read.project).started(&plan);
        let mut parts = if plan.binding.is_some() {
            vec![whole(ask, &plan, &started.plans)?]
        } else {
            each(ask, &plan, &started.plans)?
        };
        for part in &mut parts {
            let mut needs = read.needs(ask, by, &part.machines)?;
            needs.extend(self.always());
            if needs.is_empty() {
                continue;
            }
            let document = match part.node.as_str() {
                "*" => approval::document(&plan, &started),
                node => approval::document_of(&plan, &started, node),
            };
            part.consent = Some(NewConsent {
                sha256: approval::sha256(&document),
                document,
                needs,
            });
        }
        Ok(Planned {
            title: plan.title.clone(),
            revision: read.revision.clone(),
            page_sha256,
            parts,
        })
    }
}

fn problem(kind: Kind, detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(kind, detail))
}

/// By the text of the site.
type Records = std::collections::BTreeMap<String, PlanRecord>;

fn each(ask: &Ask, plan: &Plan, records: &Records) -> Result<Vec<PlannedPart>, Box<Problem>> {
    if plan.nodes.is_empty() || plan.nodes.len() > limit::NODES {
        let count = plan.nodes.len();
        let detail = format!(
            "{count} nodes are selected; a run has from 1 to {}",
            limit::NODES
        );
        return Err(problem(Kind::Wrong, detail));
    }
    let sizes = match &ask.batch {
        Some(text) => sizes(&shares(text)?, plan.nodes.len()),
        None => of_nodes(plan).map_err(|problem| wrong(&[*problem]))?,
    };
    let mut parts = Vec::new();
    for (batch, nodes) in (1..).zip(in_batches(&plan.nodes, &sizes)) {
        for node in nodes {
            let name = &node.node.name;
            let record = records.get(name);
            parts.push(PlannedPart {
                node: name.clone(),
                segment: segment(&node.node)?,
                batch,
                machines: vec![name.clone()],
                words: vec![name.clone()],
                plan_sha256: node.sha256.clone(),
                plan: json(&[(name, record)]),
                consent: None,
            });
        }
    }
    Ok(parts)
}

/// A procedure with roles: all its nodes are one part.
fn whole(ask: &Ask, plan: &Plan, records: &Records) -> Result<PlannedPart, Box<Problem>> {
    let mut segments = Vec::new();
    for node in &plan.nodes {
        segments.push(segment(&node.node)?);
    }
    segments.sort();
    segments.dedup();
    let [segment] = segments.as_slice() else {
        let detail = format!(
            "its machines are in the segments {}: a runner reaches only one segment",
            segments.join(", ")
        );
        return Err(problem(Kind::Wrong, detail));
    };
    if ask.batch.is_some() {
        let detail = "a procedure with roles has its own batches";
        return Err(problem(Kind::Wrong, detail));
    }
    Ok(PlannedPart {
        node: "*".to_owned(),
        segment: segment.clone(),
        batch: 1,
        machines: approval::machines(plan),
        words: ask.nodes.clone(),
        plan_sha256: plan.sha256(),
        plan: json(
            &records
                .iter()
                .map(|(site, record)| (site, Some(record)))
                .collect::<Vec<_>>(),
        ),
        consent: None,
    })
}

fn json(records: &[(&String, Option<&PlanRecord>)]) -> String {
    let all: std::collections::BTreeMap<_, _> = records.iter().copied().collect();
    serde_json::to_string(&all).unwrap_or_default()
}

fn segment(node: &Node) -> Result<String, Box<Problem>> {
    match node.text("segment") {
        Ok(Text::Plain(segment)) if limit::is_name(&segment) => Ok(segment),
        Err(None) => Ok(crate::config::HERE.to_owned()),
        _ => {
            let detail = format!("the `segment` of node `{}` is not a valid name", node.name);
            Err(problem(Kind::Wrong, detail))
        }
    }
}

fn shares(text: &str) -> Result<Vec<Share>, Box<Problem>> {
    let shares: Result<Vec<Share>, _> = text.split(',').map(|share| share.trim().parse()).collect();
    shares.map_err(|_| {
        let detail = format!("`batch`: `{text}` is not like `1,5,25%`");
        problem(Kind::Wrong, detail)
    })
}

fn steps_are_there(ask: &Ask, procedure: &Procedure) -> Result<(), Box<Problem>> {
    let all = procedure.steps.len();
    for (word, number) in [("start_at", ask.start_at), ("stop_after", ask.stop_after)] {
        if let Some(number) = number.filter(|number| !(1..=all).contains(number)) {
            let detail = format!("`{word}`: `{}` has no step {number}", procedure.id);
            return Err(problem(Kind::Wrong, detail));
        }
    }
    Ok(())
}

impl Read {
    /// A procedure by its id.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn procedure(&self, id: &str) -> Result<&Procedure, Box<Problem>> {
        let all = &self.project.manual.procedures;
        all.get(id).ok_or_else(|| {
            let near = nearest(id, all.keys().map(String::as_str));
            let near = near.map(|near| format!("; did you mean `{near}`?"));
            let detail = format!("there is no procedure `{}`", text(id));
            problem(Kind::NotFound, detail + &near.unwrap_or_default())
        })
    }

    /// The data for a procedure's card.
    #[must_use]
    pub fn view(&self, manual: &str, procedure: &Procedure, who: &Person) -> ProcedureView {
        let able = able(&self.project, procedure);
        let everywhere: Vec<String> = self.project.nodes.names().map(str::to_owned).collect();
        let some = if procedure.roles.is_empty() {
            &able
        } else {
            &everywhere
        };
        let may = self.verbs(who, &procedure.id, some);
        let runs = |node: &String| {
            self.verbs(who, &procedure.id, std::slice::from_ref(node))
                .contains(&Verb::Run)
        };
        let nodes = able.iter().filter(|node| runs(node)).cloned().collect();
        let page = self.project.manual.pages.get(procedure.page);
        let parameters = procedure.params.iter().map(|(name, param)| Parameter {
            name: name.clone(),
            about: param.help.clone(),
            default: match (&param.default, param.required) {
                (Some(default), _) => Some(default.clone()),
                (None, true) => None,
                (None, false) => Some(String::new()),
            },
        });
        let steps = procedure.steps.iter().map(|step| StepView {
            number: step.number,
            name: procedure.name_of(step),
            title: step.title.clone(),
        });
        ProcedureView {
            manual: manual.to_owned(),
            id: procedure.id.clone(),
            title: procedure.title.clone(),
            page: page
                .map(|page| page.path.display().to_string())
                .unwrap_or_default(),
            page_sha256: self.page_of(procedure).to_owned(),
            revision: self.revision.clone(),
            parameters: parameters.collect(),
            roles: procedure.roles.keys().cloned().collect(),
            steps: steps.collect(),
            nodes,
            may,
        }
    }

    /// The nodes with their segments and groups.
    ///
    /// # Errors
    /// If the selector is invalid.
    pub fn hosts(&self, select: Option<&str>) -> Result<Vec<Node>, Box<Problem>> {
        let nodes = &self.project.nodes;
        let names = match select {
            Some(selector) => nodes
                .select(selector)
                .map_err(|problem| wrong(&[problem]))?,
            None => nodes.names().collect(),
        };
        Ok(names
            .into_iter()
            .filter_map(|name| nodes.evaluate(name, &[]).ok())
            .collect())
    }
}

/// The segment of a node.
#[must_use]
pub fn segment_of(node: &Node) -> String {
    segment(node).unwrap_or_default()
}

/// The nodes where a procedure may run; empty if it has roles.
fn able(project: &Project, procedure: &Procedure) -> Vec<String> {
    if !procedure.roles.is_empty() {
        return Vec::new();
    }
    let names = match &procedure.nodes {
        Some(selector) => project.nodes.select_at(selector).unwrap_or_default(),
        None => project.nodes.names().collect(),
    };
    names.into_iter().map(str::to_owned).collect()
}

/// A name from outside, for use in a sentence.
fn text(name: &str) -> String {
    let cut = name.floor_char_boundary(limit::NAME);
    crate::outside::line(&name[..cut]).to_string()
}
