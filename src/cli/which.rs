//! Finds the run that a name, a node or nothing means.

use jiff::{SignedDuration, Timestamp};

use crate::cli::error::Failure;
use crate::event::Status;
use crate::journal::{self, Record};
use crate::plan::Plan;
use crate::project::Project;
use crate::source::Problem;

/// The clocks of two machines that share journals may differ by this much.
const A_MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A run by its name, the latest run of a node, or the latest run: of the halted ones, if it is to
/// be resumed. For a resume, a run that changed nothing on the node does not hide the one before
/// it.
pub(crate) fn which(
    project: &Project,
    wanted: Option<&str>,
    to_go_on: bool,
) -> Result<String, Failure> {
    journal::readable(&project.state)?;
    let runs = journal::runs(&project.state);
    if let Some(wanted) = wanted
        && (runs.iter().any(|run| run == wanted) || !project.nodes.contains(wanted))
    {
        return Ok(wanted.to_owned());
    }
    let fits = |record: &Record| match (record.started(), wanted) {
        (Some(started), Some(node)) => started.nodes.iter().any(|name| name == node),
        (Some(_), None) => !to_go_on || record.is_halted(),
        (None, _) => false,
    };
    let mut untouched = None;
    for run in runs.iter().rev() {
        // An unreadable journal may belong to the run that is meant.
        let record = journal::read(&project.state, run)?;
        if !fits(&record) {
            continue;
        }
        if !to_go_on || wanted.is_none_or(|node| !record.is_untouched(node)) {
            return if to_go_on {
                latest(&record, run)
            } else {
                Ok(run.clone())
            };
        }
        untouched.get_or_insert(run);
    }
    if let Some(run) = untouched {
        return Ok(run.clone());
    }
    if let (None, true, Some(last)) = (wanted, to_go_on, runs.last()) {
        // Nothing is halted. The last run may have nodes that it has not reached.
        let record = journal::read(&project.state, last)?;
        let started = record.started();
        let nodes = started.iter().flat_map(|started| &started.nodes);
        if nodes.into_iter().any(|node| is_left(&record, node)) {
            return Ok(last.clone());
        }
    }
    let what = match wanted {
        Some(node) => format!("no run on `{node}`"),
        None if to_go_on => "no halted run".to_owned(),
        None => "no run".to_owned(),
    };
    let problem = Problem::bare("no-run", format!("{what} in this manual's journals"));
    Err(Failure::from(
        problem.hint("`opsbook history` shows all runs"),
    ))
}

/// Runs are in the order of their times. If this machine's clock was put back, a later run comes
/// before the apparently latest one: only the operator knows which is the latest.
fn latest(record: &Record, run: &str) -> Result<String, Failure> {
    let began = record.events.first().map(|event| event.at.as_str());
    let began: Option<Timestamp> = began.and_then(|at| at.parse().ok());
    let Some(began) = began.filter(|began| *began > Timestamp::now() + A_MINUTE) else {
        return Ok(run.to_owned());
    };
    let began = began.strftime("%Y-%m-%d %H:%MZ");
    let message = format!(
        "run {run} began at {began}, which is in the future: the clock was set back, so opsbook \
         cannot tell which run is the latest"
    );
    let problem = Problem::bare("clock", message);
    Err(Failure::from(
        problem.hint("name the run: `opsbook history` shows all runs"),
    ))
}

/// Whether a node was left out without having begun, and not because nothing was to be done.
fn is_left(record: &Record, node: &str) -> bool {
    record.is_untouched(node) && record.node_status(node) != Some(Status::Ok)
}

/// The operator's own halted run of the same procedure on one of the nodes.
pub(crate) fn own_open_run(project: &Project, plan: &Plan) -> Option<String> {
    for run in journal::runs(&project.state).into_iter().rev() {
        let record = journal::read(&project.state, &run).ok()?;
        let Some(started) = record.started() else {
            continue;
        };
        if started.nodes.iter().all(|node| record.is_untouched(node)) {
            continue;
        }
        let same = started.procedure == plan.procedure
            && plan
                .nodes
                .iter()
                .any(|node| started.nodes.contains(&node.node.name));
        let halted = same && record.is_halted() && !journal::under_way(&project.state, &run);
        return halted.then_some(run);
    }
    None
}
