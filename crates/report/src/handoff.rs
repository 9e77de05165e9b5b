//! The hand-off sheet for continuing by hand: what is done, what is left with this node's values,
//! and how to continue with opsbook.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use crate::by_hand::{self, Unit};
use crate::event::Status;
use crate::known::Known;
use crate::manual::{On, shell_word};
use crate::paste::note;
use crate::plan::{NodePlan, PlannedStep};

// The labels of what an operator can do now. All have one width.
/// Before the command that continues the run.
pub const TO_CONTINUE: &str = "to continue:  ";
/// Before the command that gives the run up and releases its nodes.
pub const TO_GIVE_UP: &str = "to give up:   ";
/// Before the command that shows why a node was not reached.
pub const TO_SEE_WHY: &str = "to see why:   ";
/// Before the command that prints the sheet of one node.
pub const BY_HAND: &str = "by hand:      ";
/// Before the owners of the procedure's package.
pub const OWNERS: &str = "owners:       ";

/// One node of a halted run.
#[derive(Debug)]
pub struct Sheet<'a> {
    /// The id of the procedure.
    pub procedure: &'a str,
    /// The node with its whole plan.
    pub node: &'a NodePlan,
    /// Each step's latest status; `None` without an end.
    pub steps: BTreeMap<usize, Option<Status>>,
    /// The first step that this run is to do.
    pub earliest: usize,
    /// Steps that may or may not have finished.
    pub doubtful: BTreeSet<usize>,
    /// The arguments of the run.
    pub arguments: &'a BTreeMap<String, String>,
    /// Where and why it halted.
    pub cause: Option<String>,
    /// What the run knows so far.
    pub known: Known,
    /// Prefix of a step's name in commands for opsbook: the node, in a run on several.
    pub prefix: String,
    /// The command that opens a shell on the node.
    pub way: String,
    /// Options that make the commands below work from any folder.
    pub program: &'a str,
    /// For a node of a run with roles.
    pub among: Option<Among>,
}

/// What the sheet of one node says about the others.
#[derive(Clone, Debug)]
pub struct Among {
    /// The node's name: `lb1 (lb) for web2`.
    pub place: String,
    /// The nodes of each role: `web=web1,web2`.
    pub words: Vec<String>,
    /// For each step number of this node, what must have been done elsewhere before it.
    pub gates: BTreeMap<usize, Vec<String>>,
}

impl Sheet<'_> {
    /// The node's name for people.
    fn place(&self) -> &str {
        match &self.among {
            Some(among) => &among.place,
            None => &self.node.node.name,
        }
    }

    /// The words for the nodes in `opsbook run`.
    fn words(&self) -> String {
        let Some(among) = &self.among else {
            return self.node.node.name.clone();
        };
        let words = among.words.iter().map(|word| shell_word(word));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Writes the sheet. Everything except commands is a comment, so that the whole sheet can be
/// pasted.
///
/// # Errors
/// If the output is closed.
pub fn write(sheet: &Sheet<'_>, out: &mut dyn Write) -> io::Result<()> {
    let node = sheet.place();
    let (done, left): (Vec<_>, Vec<_>) = sheet.node.steps.iter().partition(
        |step| matches!(sheet.steps.get(&step.number), Some(Some(status)) if status.goes_on()),
    );
    // Steps before an explicit start are to be done by nobody.
    let (left_out, left): (Vec<_>, Vec<_>) = left
        .into_iter()
        .partition(|step| step.number < sheet.earliest);
    let run = &sheet.known.run;
    let head = format!("--- hand-off: {} on {node}, run {run}", sheet.procedure);
    note(&head, out)?;
    if !left.is_empty() {
        writeln!(out, "{}", by_hand::READY)?;
        note(by_hand::POSIX, out)?;
    }
    note(
        &match &sheet.cause {
            Some(cause) if left.is_empty() => format!("ended: {cause}"),
            Some(cause) => format!("halted: {cause}"),
            None => "it has no recorded end: its opsbook was killed, or still runs".to_owned(),
        },
        out,
    )?;
    if !left_out.is_empty() {
        note("\nleft out, as asked:", out)?;
    }
    for step in left_out {
        note(&format!("  {}", step.heading()), out)?;
    }
    if !done.is_empty() {
        note("\ndone:", out)?;
    }
    for step in done {
        let status = sheet.steps.get(&step.number).copied().flatten();
        let status = status.unwrap_or(Status::Ok);
        note(&format!("  {}  {status}", step.heading()), out)?;
    }
    if left.is_empty() {
        note("\nnothing is left to do", out)?;
    } else {
        steps(sheet, &left, out)?;
    }
    go_on(sheet, left.first().copied(), out)?;
    note("---", out)?;
    // It may ask: nothing may follow that could be taken as an answer.
    if left.is_empty() {
        return Ok(());
    }
    writeln!(out, "ob_go")
}

/// How to reach the places of the steps, and the steps.
fn steps(sheet: &Sheet<'_>, left: &[&PlannedStep], out: &mut dyn Write) -> io::Result<()> {
    let node = &sheet.node.node.name;
    let there = left.iter().any(|step| step.on == On::Node);
    let here = left.iter().any(|step| step.on == On::Local);
    note(
        &format!("\nleft, with the values of {node}; how to get there:\n"),
        out,
    )?;
    if there {
        note(&sheet.way, out)?;
    }
    let mut places = Vec::from_iter(there.then_some(On::Node));
    if here {
        note(
            "for steps on local: sh on the operator's machine, in the folder of the manual; enter \
             `at=local` first",
            out,
        )?;
        places.push(On::Local);
    }
    note(
        "\npaste all of this. To run only some steps, paste the lines from here to the first step, the\n\
         steps that you want, and `ob_go`. Nothing runs before `ob_go`. A step stops at its first\n\
         error, and no step after a failed one runs. Below each step, `then:` is the command that\n\
         tells opsbook that the step is done.\n",
        out,
    )?;
    by_hand::begin(sheet.node, &sheet.known, &places, out)?;
    let mut before = Vec::new();
    for step in left {
        writeln!(out)?;
        let gates = sheet
            .among
            .as_ref()
            .and_then(|among| among.gates.get(&step.number));
        if let Some(gates) = gates {
            by_hand::gate(sheet.node, step, gates, out)?;
        }
        let doubtful = sheet.doubtful.contains(&step.number);
        let status = match sheet.steps.get(&step.number) {
            Some(Some(status)) if doubtful => {
                format!("{status}: it may or may not have finished; look at the node first")
            }
            Some(Some(status)) => status.word().to_owned(),
            Some(None) => "started, no end known".to_owned(),
            None => String::new(),
        };
        if !status.is_empty() {
            note(&status, out)?;
        }
        let open = matches!(sheet.steps.get(&step.number), Some(None));
        let unit = Unit {
            node: sheet.node,
            step,
            known: &sheet.known,
            doubtful: doubtful || open,
            prefix: &sheet.prefix,
            before: &before,
            program: sheet.program,
        };
        by_hand::step(&unit, out)?;
        before.push(step.label());
    }
    Ok(())
}

fn go_on(sheet: &Sheet<'_>, next: Option<&PlannedStep>, out: &mut dyn Write) -> io::Result<()> {
    let (program, run, node) = (sheet.program, &sheet.known.run, &sheet.node.node.name);
    match next {
        Some(step) if sheet.known.bundle().is_none() => {
            let mut line = format!("{program} run {} {}", sheet.procedure, sheet.words());
            let captured = sheet.known.captured();
            let captured = captured.filter(|(name, _)| !sheet.arguments.contains_key(*name));
            let arguments = sheet.arguments.iter();
            let arguments = arguments.map(|(name, value)| (name.as_str(), value.as_str()));
            for (name, value) in arguments.chain(captured) {
                line += &format!(" --set {}", shell_word(&format!("{name}={value}")));
            }
            let label = step.label();
            let text = format!(
                "\nthe bundle of this run is gone from {node}; a new run continues without it:\n\
                 {TO_CONTINUE}{line} --start-at {label}"
            );
            note(&text, out)
        }
        None if sheet.known.bundle().is_none() => Ok(()),
        next => {
            note(&format!("\n{TO_CONTINUE}{program} resume {run}"), out)?;
            if let Some(step) = next.filter(|step| sheet.doubtful.contains(&step.number)) {
                let text = format!(
                    "  it runs {} again, unless the node has its result by now;\n  \
                     on a terminal it asks first: answer `d` if you saw that it is done",
                    step.label()
                );
                note(&text, out)?;
            }
            if sheet.known.bundle().is_some() {
                let node = match sheet.among {
                    Some(_) => String::new(),
                    None => format!(" {node}"),
                };
                note(
                    &format!("{TO_GIVE_UP}{program} lock release{node} --run {run}"),
                    out,
                )?;
            }
            Ok(())
        }
    }
}
