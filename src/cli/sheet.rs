//! The hand-off sheets of a run, from its plan and its journal.

use std::io::Write;

use crate::cli::error::Failure;
use crate::event::{Status, What};
use crate::journal::Record;
use crate::plan::Plan;
use crate::report::handoff::{self, Sheet};
use crate::report::known::Known;

/// Of each node on which the run did not end well.
pub(crate) fn sheets(plan: &Plan, record: &Record, out: &mut dyn Write) -> Result<(), Failure> {
    for node in &plan.nodes {
        let name = &node.node.name;
        if record
            .node_status(name)
            .is_some_and(|status| status != Status::Ok)
        {
            sheet(plan, name, record, out)?;
        }
    }
    Ok(())
}

/// Of one node.
pub(crate) fn sheet(
    plan: &Plan,
    node: &str,
    record: &Record,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(node) = plan.nodes.iter().find(|planned| planned.node.name == node) else {
        return Ok(());
    };
    let name = node.node.name.as_str();
    let arguments = record
        .started()
        .map(|started| started.arguments.clone())
        .unwrap_or_default();
    let sheet = Sheet {
        procedure: &plan.procedure,
        node,
        steps: record.steps(name),
        doubtful: record.doubtful(name),
        earliest: record.earliest(name, |number| node.is_set_up(number)),
        arguments: &arguments,
        cause: cause(record, name),
        known: Known::of(record, name),
        program: "opsbook",
    };
    // Where nothing was begun, nothing has to be gone on with.
    if sheet.steps.is_empty() && sheet.known.bundle().is_none() {
        return Ok(());
    }
    writeln!(out)?;
    handoff::write(&sheet, out)?;
    Ok(())
}

/// How it ended on a node, and why.
fn cause(record: &Record, node: &str) -> Option<String> {
    let mut events = record.of_node(node).rev();
    events.find_map(|event| match &event.what {
        What::NodeEnded { status, cause } => Some(match cause {
            Some(cause) => format!("{status}: {}", cause.block()),
            None => status.to_string(),
        }),
        _ => None,
    })
}
