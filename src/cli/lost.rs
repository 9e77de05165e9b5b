//! Restores a lost journal: the nodes know the order of the run and what was done. The journal is
//! written again from that, if the nodes agree and the operator does.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cli::block_on;
use crate::cli::error::Failure;
use crate::cli::terminal;
use crate::cli::tty::is_anybody_there;
use crate::engine::{
    Answer, Bundle, BundleError, Operator, Owner, Passwords, Reach, Request, bundle_dir,
};
use crate::event::{BY_YES, RunStarted, What};
use crate::journal::{Journal, JournalError};
use crate::nodes::Node;
use crate::outside::line;
use crate::plan::{self, Plan};
use crate::project::{Project, Who, controller_name, words};
use crate::session::{OpenOptions, nodes_within, raise_limits};
use crate::source::Problem;

const ASKS: &str = "rebuild the journal from these records?";

/// A node's information about the run.
enum Said {
    /// The owner line, in its bundle or its history.
    Owner(Box<Owner>),
    Nothing,
    /// It could not be reached; the reason.
    Unknown(String),
}

/// Writes the first line of the journal; later events are caught up afterwards.
pub(crate) fn make_journal(project: &Project, run: &str, yes: bool) -> Result<(), Failure> {
    let nodes: Result<Vec<Arc<Node>>, _> = project
        .nodes
        .names()
        .map(|name| project.nodes.evaluate(name, &[]).map(Arc::new))
        .collect();
    let said = block_on(ask_all(nodes?, run))?;
    let (owner, request) = agreed(&said, run)?;
    movable(project, &said, run)?;
    let plan = plan(project, owner, request)?;
    // A node that appears only in a section has nothing of the run before its turn.
    let held = plan.nodes.iter().filter(|node| node.turn.is_none());
    let held: Vec<&str> = held.map(|node| node.node.name.as_str()).collect();
    let without: Vec<&str> = request
        .nodes
        .iter()
        .map(String::as_str)
        .filter(|node| held.contains(node) && !has_it(&said, node))
        .collect();
    if let Some(why) = said.iter().find_map(|(name, said)| match said {
        Said::Unknown(why) if without.contains(&name.as_str()) => Some(format!("`{name}` {why}")),
        _ => None,
    }) {
        return Err(Failure::Error(format!(
            "cannot rebuild the journal of run {run}: {why}, and it is one of its nodes"
        )));
    }
    let about = about(owner, request, run, &without);
    let answered = consent(&about, yes, &without)?;
    write(project, owner, request, &plan, run, &about, answered)
}

fn has_it(said: &[(String, Said)], node: &str) -> bool {
    let mut said = said.iter();
    said.any(|(name, said)| name == node && matches!(said, Said::Owner(_)))
}

async fn ask_all(nodes: Vec<Arc<Node>>, run: &str) -> Result<Vec<(String, Said)>, Failure> {
    let (operator, _) = Operator::new();
    let passwords = Passwords::new(operator, None);
    let places = Arc::new(Semaphore::new(nodes_within(raise_limits())));
    let mut tasks = JoinSet::new();
    for node in nodes {
        let (passwords, places) = (passwords.clone(), Arc::clone(&places));
        let run = run.to_owned();
        tasks.spawn(async move {
            // The semaphore is never closed.
            let _place = places.acquire().await;
            let said = ask(&node, &run, &passwords).await;
            (node.name.clone(), said.unwrap_or_else(Said::Unknown))
        });
    }
    let mut said = tasks.join_all().await;
    said.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(said)
}

async fn ask(node: &Arc<Node>, run: &str, passwords: &Passwords) -> Result<Said, String> {
    let reach = Reach::open(node, &OpenOptions::default(), passwords).await;
    let reach = reach.map_err(|error| format!("cannot be reached: {error}"))?;
    let dir = bundle_dir(node, reach.session().hello());
    let owner = owner_on(&reach, &dir, run).await;
    reach.close().await;
    let owner = owner.map_err(|error| format!("cannot be asked: {error}"))?;
    // One account may serve several nodes.
    let of_it = |owner: &Owner| owner.node.as_ref().is_none_or(|name| *name == node.name);
    Ok(match owner.filter(of_it) {
        Some(owner) => Said::Owner(Box::new(owner)),
        None => Said::Nothing,
    })
}

/// The owner line in the bundle if it belongs to this run, otherwise in the history.
async fn owner_on(reach: &Reach, dir: &str, run: &str) -> Result<Option<Owner>, BundleError> {
    let held = Bundle::look(reach.session(), dir).await?;
    let owner = held.and_then(|held| held.owner);
    if let Some(owner) = owner.filter(|owner| owner.run == run) {
        return Ok(Some(owner));
    }
    let wanted = Owner {
        run: run.into(),
        node: Some(reach.node.name.clone()),
        ..Owner::default()
    };
    let past = Bundle::past(reach.session(), dir, &wanted).await?;
    Ok(past
        .and_then(|past| past.owner)
        .filter(|owner| owner.run == run))
}

/// The order of the run, as all nodes that know it report it.
fn agreed<'a>(said: &'a [(String, Said)], run: &str) -> Result<(&'a Owner, &'a Request), Failure> {
    let cannot =
        |why: String| Failure::Error(format!("cannot rebuild the journal of run {run}: {why}"));
    let mut owners = said.iter().filter_map(|(name, said)| match said {
        Said::Owner(owner) => Some((name, &**owner)),
        _ => None,
    });
    let Some((first, owner)) = owners.next() else {
        let unknown = said.iter().filter_map(|(name, said)| match said {
            Said::Unknown(why) => Some(format!("; `{name}` {why}")),
            _ => None,
        });
        let unknown: String = unknown.collect();
        return Err(cannot(format!("no node has a record of it{unknown}")));
    };
    let Some(request) = &owner.request else {
        return Err(cannot(format!(
            "the record on `{first}` lacks the request of the run: it was too long, or an older \
             opsbook wrote the record"
        )));
    };
    for (other, its) in owners {
        let same = its.procedure == owner.procedure && its.request.as_ref() == Some(request);
        if !same {
            return Err(cannot(format!(
                "the records on `{first}` and `{other}` differ"
            )));
        }
    }
    let listed = |name: &String| request.nodes.contains(name);
    let stranger = said
        .iter()
        .find(|(name, said)| matches!(said, Said::Owner(_)) && !listed(name));
    if let Some((name, _)) = stranger {
        return Err(cannot(format!(
            "`{name}` has a record of the run, but that record does not list `{name}` among the \
             nodes"
        )));
    }
    Ok((owner, request))
}

/// A pinned run cannot be continued by another controller.
fn movable(project: &Project, said: &[(String, Said)], run: &str) -> Result<(), Failure> {
    let (controller, folder) = (controller_name(), project.root.display().to_string());
    for (name, said) in said {
        let Said::Owner(owner) = said else { continue };
        let here = owner.controller == controller
            && owner.folder.as_ref().is_some_and(|its| *its == folder);
        if owner.pinned.is_empty() || here {
            continue;
        }
        let reasons = owner.pinned.iter().map(|reason| reason.line().to_string());
        let reasons: Vec<String> = reasons.collect();
        return Err(Failure::Error(format!(
            "cannot rebuild the journal of run {run} here: on `{name}`, only its own controller \
             can continue it ({}): {}, the folder {}",
            reasons.join("; "),
            owner.controller.line(),
            owner.folder.clone().unwrap_or_default().line()
        )));
    }
    Ok(())
}

/// The same order with the current manual. Only names are taken from a node.
fn plan(project: &Project, owner: &Owner, request: &Request) -> Result<Plan, Failure> {
    let bound = request.roles.values().flatten();
    for node in request.nodes.iter().chain(bound) {
        if !project.nodes.contains(node) {
            let message = format!("the run used a node that is unknown here: `{}`", line(node));
            return Err(Failure::from(Problem::bare("unknown-node", message)));
        }
    }
    let set: Vec<_> = request
        .arguments
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Ok(project.plan(&plan::Request {
        procedure: owner.procedure.exact(),
        nodes: &words(&request.nodes, &request.roles),
        set: &set,
    })?)
}

fn about(owner: &Owner, request: &Request, run: &str, without: &[&str]) -> String {
    let mut text = format!(
        "run {run} has no journal here. Its nodes say: `{}` on {}, started by {}@{} at {}",
        owner.procedure.line(),
        words(&request.nodes, &request.roles).join(", "),
        owner.operator.line(),
        owner.controller.line(),
        owner.since.line(),
    );
    for (name, value) in &request.arguments {
        text += &format!(", {}={}", line(name), line(value));
    }
    if let Some(step) = request.start_at {
        text += &format!(", from step {step}");
    }
    if !without.is_empty() {
        text += &format!("; no record on {}", without.join(", "));
    }
    text
}

/// Whether `--yes` has answered. If some node has no record of the run, a person must answer: the
/// others could name that node without an order for it.
fn consent(about: &str, yes: bool, without: &[&str]) -> Result<Option<&'static str>, Failure> {
    if yes && without.is_empty() {
        return Ok(Some(BY_YES));
    }
    if !is_anybody_there() {
        let hint = if without.is_empty() {
            "`--yes` confirms"
        } else {
            "a person must confirm it, because not every node has a record of the run"
        };
        return Err(Failure::Stopped(format!(
            "{about}: {ASKS} There is nobody to ask ({hint})"
        )));
    }
    let text = format!("{about}\n");
    match block_on(async { Ok(terminal::sure(text.clone(), text, ASKS).await) })? {
        Answer::Yes => Ok(None),
        _ => Err(Failure::Stopped("no journal was made".to_owned())),
    }
}

fn write(
    project: &Project,
    owner: &Owner,
    request: &Request,
    plan: &Plan,
    run: &str,
    about: &str,
    by_yes: Option<&'static str>,
) -> Result<(), Failure> {
    let who = Who::of(project);
    let started = RunStarted {
        operator: owner.operator.line().to_string(),
        controller: owner.controller.line().to_string(),
        revision: owner.revision.as_ref().map(|text| text.line().to_string()),
        clean: None,
        start_at: request.start_at,
        manner: Some(request.manner.clone()),
        ..who.started(plan)
    };
    // One that has no whole line may be there.
    let mut journal = match Journal::reopen(&project.state, run) {
        Ok((journal, _)) => journal,
        Err(JournalError::Missing { .. }) => Journal::create(&project.state, run)?,
        Err(error) => return Err(error.into()),
    };
    journal.record(None, None, What::RunStarted(Box::new(started)))?;
    let asked = What::Asked {
        question: ASKS.to_owned(),
        told: Some(about.into()),
        choices: Vec::new(),
    };
    let asked = journal.record(None, None, asked)?;
    let answered = What::Answered {
        answer: "yes".to_owned(),
        question: Some(asked.seq),
        note: by_yes.map(str::to_owned),
    };
    journal.record(None, None, answered)?;
    Ok(())
}
