//! `opsbook lock status`: who holds the bundles of nodes, and the progress of the run if its
//! journal is here.

use std::io::Write;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cli::error::{Failure, exit};
use crate::cli::form::Form;
use crate::cli::{Streams, block_on};
use crate::engine::{Alive, Bundle, Held, Operator, Passwords, Reach, bundle_dir};
use crate::event::{Status, What};
use crate::journal::{self, Record};
use crate::nodes::Node;
use crate::outside::Outside;
use crate::project::Project;
use crate::report::style::status_style;
use crate::report::table::{self, Cell};
use crate::session::{OpenError, OpenOptions, nodes_within, raise_limits};

/// The state of a node's bundle.
enum Found {
    Free,
    Held(Box<Held>),
    /// Unknown; the reason.
    Unknown(String),
}

pub(super) fn status(
    selectors: &[String],
    form: Form,
    project: &Project,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let names: Vec<&str> = if selectors.is_empty() {
        project.nodes.names().collect()
    } else {
        project.nodes.select(&selectors.join(","))?
    };
    let nodes: Result<Vec<Arc<Node>>, _> = names
        .iter()
        .map(|name| project.nodes.evaluate(name, &[]).map(Arc::new))
        .collect();
    let found = block_on(look_at_all(nodes?))?;
    if form.is_json() {
        for (name, found) in names.iter().zip(&found) {
            writeln!(streams.data(), "{}", json(name, found, project))?;
        }
    } else if let ([name], [found]) = (&names[..], &found[..]) {
        alone(name, found, project, streams)?;
    } else {
        let rows = names.iter().zip(&found);
        let rows: Vec<_> = rows
            .map(|(name, found)| row(name, found, project))
            .collect();
        let heading = ["NODE", "LOCK", "SINCE", "BY", "PROCEDURE", "RUN", ""];
        table::write(&heading, rows, &mut streams.people())?;
    }
    Ok(worst(&found))
}

/// The exit status: an unknown state is worse than a held lock.
fn worst(found: &[Found]) -> u8 {
    let any = |wanted: fn(&Found) -> bool| found.iter().any(wanted);
    if any(|found| matches!(found, Found::Unknown(_))) {
        exit(Status::Error)
    } else if any(|found| matches!(found, Found::Held(_))) {
        exit(Status::Blocked)
    } else {
        0
    }
}

/// In the order of the nodes.
async fn look_at_all(nodes: Vec<Arc<Node>>) -> Result<Vec<Found>, Failure> {
    let (operator, _) = Operator::new();
    let passwords = Passwords::new(operator, None);
    let places = Arc::new(Semaphore::new(nodes_within(raise_limits())));
    let mut tasks = JoinSet::new();
    for (index, node) in nodes.into_iter().enumerate() {
        let (passwords, places) = (passwords.clone(), Arc::clone(&places));
        tasks.spawn(async move {
            // The semaphore is never closed.
            let _place = places.acquire().await;
            (index, look(&node, &passwords).await)
        });
    }
    let mut found = tasks.join_all().await;
    found.sort_by_key(|(index, _)| *index);
    Ok(found.into_iter().map(|(_, found)| found).collect())
}

async fn look(node: &Arc<Node>, passwords: &Passwords) -> Found {
    let reach = match Reach::open(node, &OpenOptions::default(), passwords).await {
        Ok(reach) => reach,
        Err(error) => return Found::Unknown(cannot_be_reached(&error)),
    };
    let dir = bundle_dir(node, reach.session().hello());
    let found = match Bundle::look(reach.session(), &dir).await {
        Ok(None) => Found::Free,
        Ok(Some(held)) => Found::Held(Box::new(held)),
        Err(error) => Found::Unknown(error.to_string()),
    };
    reach.close().await;
    found
}

pub(super) fn cannot_be_reached(error: &OpenError) -> String {
    format!("cannot be reached: {}", error.sentence())
}

/// All nodes that a run holds, and those whose state is unknown.
pub(super) fn held_by(project: &Project, run: &str) -> Result<(Vec<String>, Vec<String>), Failure> {
    let names: Vec<&str> = project.nodes.names().collect();
    let nodes: Result<Vec<Arc<Node>>, _> = names
        .iter()
        .map(|name| project.nodes.evaluate(name, &[]).map(Arc::new))
        .collect();
    let found = block_on(look_at_all(nodes?))?;
    let (mut held, mut unknown) = (Vec::new(), Vec::new());
    for (name, found) in names.into_iter().zip(found) {
        match found {
            Found::Free => {}
            Found::Held(by) => {
                let owner = by.owner.as_ref().map(|owner| owner.run.exact());
                if owner == Some(run) {
                    held.push(name.to_owned());
                }
            }
            Found::Unknown(_) => unknown.push(name.to_owned()),
        }
    }
    Ok((held, unknown))
}

fn alone(
    name: &str,
    found: &Found,
    project: &Project,
    streams: &mut Streams,
) -> Result<(), Failure> {
    match found {
        Found::Free => writeln!(streams.people(), "{name}: free")?,
        Found::Held(held) => {
            let sentence = match position(project, held, name) {
                Some(at) => held.sentence_at(&at),
                None => held.sentence(),
            };
            writeln!(streams.people(), "{name}: {sentence}\n{name}: {}", held.dir)?;
        }
        Found::Unknown(why) => return Err(Failure::Error(format!("`{name}`: {why}"))),
    }
    Ok(())
}

fn row(name: &str, found: &Found, project: &Project) -> Vec<Cell> {
    let cell = |text: &str, status| Cell::new(text, status_style(status));
    let held = match found {
        Found::Free => return vec![name.into(), cell("free", Status::Ok)],
        Found::Unknown(why) => {
            let mut row = vec![name.into(), cell("not known", Status::Error)];
            row.extend(["", "", "", ""].map(Cell::from));
            row.push(why.as_str().into());
            return row;
        }
        Found::Held(held) => held,
    };
    let mut row = vec![name.into(), cell("held", Status::Blocked)];
    let Some(owner) = &held.owner else {
        row.push("owner unknown".into());
        return row;
    };
    let mut last = match &owner.message {
        Some(message) => message.line().to_string(),
        None => position(project, held, name).unwrap_or_else(|| held.position()),
    };
    if owner.message.is_none() && held.alive != Alive::Unknown {
        last = format!("{last}; {}", held.alive);
    }
    row.extend([
        owner.since.line().to_string().into(),
        format!("{}@{}", owner.operator.line(), owner.controller.line()).into(),
        owner.procedure.line().to_string().into(),
        owner.run.line().to_string().into(),
        last.into(),
    ]);
    row
}

fn json(name: &str, found: &Found, project: &Project) -> serde_json::Value {
    let held = match found {
        Found::Free => return serde_json::json!({"v": 1, "node": name, "lock": "free"}),
        Found::Unknown(why) => {
            return serde_json::json!({"v": 1, "node": name, "lock": "unknown", "cause": why});
        }
        Found::Held(held) => held,
    };
    let mut line = serde_json::json!({"v": 1, "node": name, "lock": "held"});
    if let Some(owner) = &held.owner {
        line["operator"] = owner.operator.exact().into();
        line["controller"] = owner.controller.exact().into();
        line["since"] = owner.since.exact().into();
        line["procedure"] = owner.procedure.exact().into();
        line["run"] = owner.run.exact().into();
        line["message"] = owner.message.as_ref().map(Outside::exact).into();
        let position = position(project, held, name);
        line["position"] = position.unwrap_or_else(|| held.position()).into();
    }
    line
}

/// The progress of the run, if its journal is here: the bundle on the node does not know steps that
/// were done elsewhere or by a person.
fn position(project: &Project, held: &Held, node: &str) -> Option<String> {
    let run = held.owner.as_ref()?.run.exact();
    // Only a run's name that exists here, never a path that the node has chosen.
    let run = journal::runs(&project.state)
        .into_iter()
        .find(|own| own == run)?;
    let record = journal::read(&project.state, &run).ok()?;
    let started = record.started()?;
    let (all, last) = if started.roles.is_empty() {
        let all = record.plan(node).map(|plan| plan.steps.len())?;
        (all, record.steps(node).pop_last())
    } else {
        let plans = started.plans.values();
        let numbers = plans.flat_map(|plan| plan.numbered().map(|(number, _)| number));
        (numbers.max()?, latest(&record, node))
    };
    Some(match last {
        None => format!("before step 1 of {all}"),
        Some((step, None)) => format!("in step {step} of {all}"),
        Some((step, Some(status))) if status.goes_on() => format!("after step {step} of {all}"),
        Some((step, Some(status))) => format!("halted at step {step} of {all}, {status}"),
    })
}

/// The last step on a node, in the main line or in a turn, and how it ended.
fn latest(record: &Record, node: &str) -> Option<(usize, Option<Status>)> {
    let mut last = None;
    for event in record.of_node(node) {
        match (&event.what, event.step) {
            (What::StepStarted { .. } | What::StepFound { .. }, Some(step)) => {
                last = Some((step, None));
            }
            (What::StepEnded(ended), Some(step)) => last = Some((step, Some(ended.status))),
            _ => {}
        }
    }
    last
}
