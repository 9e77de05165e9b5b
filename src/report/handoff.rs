//! The sheet with which a person goes on by hand: what is done, what is left with this node's
//! values, and how to go on with opsbook.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::event::Status;
use crate::plan::NodePlan;
use crate::report::dry_run;

/// One node of a halted run.
#[derive(Debug)]
pub struct Sheet<'a> {
    pub run: &'a str,
    pub procedure: &'a str,
    pub node: &'a NodePlan,
    /// Each step's latest status; `None` for one without an end.
    pub steps: BTreeMap<usize, Option<Status>>,
    /// Where it halted, and why.
    pub cause: Option<String>,
    /// The bundle that is kept, on the node.
    pub bundle: Option<String>,
    /// Options that make the commands below work from anywhere.
    pub program: &'a str,
}

/// # Errors
/// Where nobody reads any more.
pub fn write(sheet: &Sheet<'_>, out: &mut dyn Write) -> io::Result<()> {
    let node = &sheet.node.node.name;
    let (done, left): (Vec<_>, Vec<_>) = sheet.node.steps.iter().partition(
        |step| matches!(sheet.steps.get(&step.number), Some(Some(status)) if status.goes_on()),
    );
    writeln!(
        out,
        "--- hand-off: {} on {node}, run {}",
        sheet.procedure, sheet.run
    )?;
    if let Some(cause) = &sheet.cause {
        writeln!(out, "halted: {cause}")?;
    }
    if !done.is_empty() {
        writeln!(out, "\ndone:")?;
        for step in done {
            let status = sheet
                .steps
                .get(&step.number)
                .copied()
                .flatten()
                .unwrap_or(Status::Ok);
            writeln!(out, "  {} {}  {status}", step.number, step.label())?;
        }
    }
    if left.is_empty() {
        writeln!(out, "\nnothing is left to do")?;
    } else {
        writeln!(out, "\nleft, with the values of {node}:")?;
        if let Some(bundle) = &sheet.bundle {
            writeln!(out, "\nbundle={bundle}; cd \"$bundle\"")?;
        }
        for step in &left {
            writeln!(out)?;
            let status = match sheet.steps.get(&step.number) {
                Some(Some(status)) => Some(status.word()),
                Some(None) => Some("started, no end known"),
                None => None,
            };
            if let Some(status) = status {
                writeln!(out, "# {status}")?;
            }
            dry_run::step(sheet.node, step, out)?;
        }
    }
    let program = sheet.program;
    writeln!(out, "\ngo on:    {program} resume {}", sheet.run)?;
    if sheet.bundle.is_some() {
        writeln!(
            out,
            "give up:  {program} lock release {node} --run {}",
            sheet.run
        )?;
    }
    writeln!(out, "---")
}
