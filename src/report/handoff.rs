//! The sheet with which a person goes on by hand: what is done, what is left with this node's
//! values, and how to go on with opsbook.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use crate::event::Status;
use crate::manual::shell_word;
use crate::plan::{NodePlan, PlannedStep};
use crate::report::dry_run;
use crate::report::known::Known;

/// One node of a halted run.
#[derive(Debug)]
pub struct Sheet<'a> {
    pub procedure: &'a str,
    pub node: &'a NodePlan,
    /// Each step's latest status; `None` for one without an end.
    pub steps: BTreeMap<usize, Option<Status>>,
    /// The first that belongs to the run.
    pub earliest: usize,
    /// Of them, those that may or may not have finished.
    pub doubtful: BTreeSet<usize>,
    /// The arguments of the run.
    pub arguments: &'a BTreeMap<String, String>,
    /// Where it halted, and why.
    pub cause: Option<String>,
    pub known: Known,
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
    // What lies before an explicit start is not to be done, by nobody.
    let (left_out, left): (Vec<_>, Vec<_>) = left
        .into_iter()
        .partition(|step| step.number < sheet.earliest);
    writeln!(
        out,
        "--- hand-off: {} on {node}, run {}",
        sheet.procedure, sheet.known.run
    )?;
    if let Some(cause) = &sheet.cause {
        let word = if left.is_empty() { "ended" } else { "halted" };
        writeln!(out, "{word}: {cause}")?;
    } else {
        writeln!(
            out,
            "no end is written down: its opsbook was ended, or runs still"
        )?;
    }
    if !left_out.is_empty() {
        writeln!(out, "\nleft out, as asked:")?;
    }
    for step in left_out {
        writeln!(out, "  {} {}", step.number, step.label())?;
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
        if let Some(bundle) = sheet.known.bundle() {
            writeln!(out, "\nbundle={}; cd \"$bundle\"", shell_word(bundle))?;
        }
        for step in &left {
            writeln!(out)?;
            let status = match sheet.steps.get(&step.number) {
                Some(Some(status)) if sheet.doubtful.contains(&step.number) => {
                    writeln!(
                        out,
                        "# {status}: it may or may not have finished; look at the node first"
                    )?;
                    None
                }
                Some(Some(status)) => Some(status.word()),
                Some(None) => Some("started, no end known"),
                None => None,
            };
            if let Some(status) = status {
                writeln!(out, "# {status}")?;
            }
            dry_run::step(sheet.node, step, &sheet.known, out)?;
        }
    }
    go_on(sheet, left.first().copied(), out)?;
    writeln!(out, "---")
}

fn go_on(sheet: &Sheet<'_>, next: Option<&PlannedStep>, out: &mut dyn Write) -> io::Result<()> {
    let (program, run, node) = (sheet.program, &sheet.known.run, &sheet.node.node.name);
    match next {
        Some(step) if sheet.known.bundle().is_none() => {
            let mut line = format!("{program} run {} {node}", sheet.procedure);
            let captured = sheet.known.captured();
            let captured = captured.filter(|(name, _)| !sheet.arguments.contains_key(*name));
            let arguments = sheet.arguments.iter();
            let arguments = arguments.map(|(name, value)| (name.as_str(), value.as_str()));
            for (name, value) in arguments.chain(captured) {
                line += &format!(" --set {}", shell_word(&format!("{name}={value}")));
            }
            writeln!(
                out,
                "\nthe bundle of this run is gone from {node}; a new run goes on without what is lost with it:\n\
                 go on:    {line} --start-at {}",
                step.label()
            )
        }
        next => {
            writeln!(out, "\ngo on:    {program} resume {run}")?;
            if let Some(step) = next.filter(|step| sheet.doubtful.contains(&step.number)) {
                writeln!(
                    out,
                    "          it runs {} again, unless the node knows by now how it ended;\n          \
                     on a terminal it asks first: `d` where you have seen that it is done",
                    step.label()
                )?;
            }
            if sheet.known.bundle().is_some() {
                writeln!(out, "give up:  {program} lock release {node} --run {run}")?;
            }
            Ok(())
        }
    }
}
