//! Procedures as tests: real runs in which every question is answered with yes, with ordinary
//! journals.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cli::error::Failure;
use crate::engine::{self, OnLag, Operator, Options, Owner, Proof, Recorder};
use crate::event::{Event, Evidence, Manner, Outcome, RunStarted, Status, What};
use crate::journal::{self, Journal, JournalError, State};
use crate::plan::{Part, Plan, Request};
use crate::project::Project;
use crate::project::Who;
use crate::random;
use crate::source::Problem;
use crate::suite::{Access, Rehearse, Test, Work};

/// A procedure on one node, ready to run.
struct Ready {
    plan: Arc<Plan>,
    started: RunStarted,
    owner: Owner,
}

/// How the procedures among these tests are run, each with the arguments that it accepts. A
/// procedure that cannot be planned is found here, and reported when its test is due.
///
/// # Errors
/// If none of them accepts an argument.
pub(crate) fn rehearse(
    project: &Project,
    tests: &[Test],
    set: &[(String, String)],
    access: &Access,
    operator: Operator,
) -> Result<Rehearse, Failure> {
    if let Some((name, _)) = set.iter().find(|(name, _)| !taken(project, tests, name)) {
        let message = format!("`--set {name}=…`: no rehearsed procedure has this parameter");
        let problem = Problem::bare("unknown-argument", message);
        return Err(Failure::from(problem.hint(
            "procedures are rehearsed with `--include-ignored`, on nodes with `rehearse: true`",
        )));
    }
    let ready = tests.iter().filter_map(|test| match &test.work {
        Work::Procedure(procedure) => {
            let node = [test.node.name.clone()];
            Some((test.name(), ready(project, test, (procedure, &node), set)))
        }
        Work::Roles { procedure, words } => {
            let ready = ready(project, test, (procedure, words), set);
            let ready = ready.and_then(may_be_rehearsed);
            Some((test.name(), ready))
        }
        _ => None,
    });
    let ready: HashMap<String, Result<Ready, String>> = ready.collect();
    let place = (project.root.clone(), project.state.clone());
    let shared = Arc::new((ready, place, access.clone(), operator));
    Ok(Arc::new(move |test: &Test| {
        let (shared, name) = (Arc::clone(&shared), test.name());
        Box::pin(async move {
            let (ready, place, access, operator) = &*shared;
            let ready = match ready.get(&name) {
                Some(Ok(ready)) => ready,
                Some(Err(why)) => return Outcome::Unknown(why.as_str().into()),
                None => return Outcome::Unknown("it was not planned".into()),
            };
            match run(ready, place, access, operator.clone()).await {
                Ok(outcome) => outcome,
                Err(error) => Outcome::Unknown(error.to_string().into()),
            }
        })
    }))
}

fn taken(project: &Project, tests: &[Test], name: &str) -> bool {
    tests.iter().any(|test| match &test.work {
        Work::Procedure(procedure) | Work::Roles { procedure, .. } => {
            takes(project, procedure, test, name)
        }
        _ => false,
    })
}

/// Whether the procedure has this parameter, or its node this value.
fn takes(project: &Project, procedure: &str, test: &Test, name: &str) -> bool {
    let procedure = project.manual.procedures.get(procedure);
    procedure.is_some_and(|procedure| procedure.params.contains_key(name))
        || test.node.leaves.contains_key(name)
}

fn ready(
    project: &Project,
    test: &Test,
    (procedure, nodes): (&str, &[String]),
    set: &[(String, String)],
) -> Result<Ready, String> {
    let taken = set
        .iter()
        .filter(|(name, _)| takes(project, procedure, test, name));
    let set: Vec<_> = taken.cloned().collect();
    let request = Request {
        procedure,
        nodes,
        set: &set,
    };
    let plan = project.plan(&request).map_err(|problems| {
        let messages: Vec<String> = problems.iter().map(Problem::sentence).collect();
        format!("it cannot be planned: {}", messages.join("; "))
    })?;
    let identity = Who::of(project);
    Ok(Ready {
        started: identity.started(&plan),
        owner: identity.owner(&plan, String::new(), None, &Manner::default()),
        plan: Arc::new(plan),
    })
}

/// Every node of the run must allow procedures as tests.
fn may_be_rehearsed(ready: Ready) -> Result<Ready, String> {
    let mut nodes = ready.plan.nodes.iter().map(|plan| &plan.node);
    match nodes.find(|node| !node.rehearse) {
        Some(node) => Err(format!(
            "`{}` is bound, but does not have `rehearse: true`",
            node.name
        )),
        None => Ok(ready),
    }
}

async fn run(
    ready: &Ready,
    (root, state): &(PathBuf, State),
    access: &Access,
    operator: Operator,
) -> Result<Outcome, JournalError> {
    let proof = Proof {
        root,
        // The suite's secrets are used.
        secrets_in: root,
        plan: &ready.plan,
        part: Part::default(),
        resume: None,
        given: &[],
    };
    let mut missing = proof.missing();
    missing.extend(proof.undeliverable());
    match proof.secrets(&access.secrets).await {
        Ok(more) => missing.extend(more),
        Err(why) => return Ok(Outcome::Unknown(why.to_string().into())),
    }
    if let Some(first) = missing.first() {
        return Ok(Outcome::Unknown(first.sentence().into()));
    }
    let chance = u16::from_ne_bytes(random::bytes());
    let run = journal::new_run(Timestamp::now(), chance);
    let mut journal = Journal::create(state, &run)?;
    journal.record(
        None,
        None,
        What::RunStarted(Box::new(ready.started.clone())),
    )?;
    // Nobody counts signals: Ctrl-C ends opsbook, and the steps on the node continue.
    let (_, interrupts) = tokio::sync::watch::channel(0);
    let options = Options {
        root: root.clone(),
        state: state.clone(),
        menu: false,
        yes: true,
        start_at: None,
        anew: std::collections::BTreeMap::new(),
        told: engine::DoneByHand::default(),
        on_lag: OnLag::Refuse,
        pinned: false,
        without: Vec::new(),
        stop_after: None,
        parallel: 1,
        turn: engine::Turn::untold(),
        batches: Vec::new(),
        wait: Duration::ZERO,
        max_fail: 0,
        reconnect: Duration::from_mins(2),
        open: access.open.clone(),
        owner: Owner {
            run: run.as_str().into(),
            ..ready.owner.clone()
        },
        operator,
        passwords: access.passwords.clone(),
        secrets: access.secrets.clone(),
        interrupts,
    };
    let recorder = Recorder::new(journal, Vec::new());
    let status = engine::run(Arc::clone(&ready.plan), Arc::new(options), recorder, None).await?;
    let record = journal::read(state, &run)?;
    Ok(outcome(status, &run, &record.events))
}

fn outcome(status: Status, run: &str, events: &[Event]) -> Outcome {
    let cause = events.iter().rev().find_map(|event| match &event.what {
        What::NodeEnded { cause, .. } => cause.clone(),
        _ => None,
    });
    let cause = cause.unwrap_or_else(|| "it gave no reason".into());
    match status {
        Status::Ok | Status::Skipped | Status::ByHand => Outcome::Held,
        Status::Failed | Status::TimedOut => {
            let mut evidence = vec![Evidence {
                attribute: "run".to_owned(),
                expected: "OK".into(),
                found: format!("{status}: {}", cause.block()).into(),
                how: Some(format!("opsbook log {run}; opsbook handoff {run}")),
                hint: None,
            }];
            evidence.extend(seen(events));
            Outcome::Failed(evidence)
        }
        Status::Error | Status::Blocked | Status::Stopped => Outcome::Unknown(
            format!(
                "{status}: {}\nopsbook log {run}; opsbook handoff {run}",
                cause.block()
            )
            .into(),
        ),
    }
}

/// The evidence of the step or check that ended it.
fn seen(events: &[Event]) -> Vec<Evidence> {
    let found = events.iter().rev().find_map(|event| match &event.what {
        What::CheckFailed { evidence, .. } => Some(evidence.clone()),
        What::StepEnded(ended) if !ended.evidence.is_empty() => Some(ended.evidence.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}
