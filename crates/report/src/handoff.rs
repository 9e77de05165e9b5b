//! The sheet with which a person goes on by hand: what is done, what is left with this node's
//! values, and how to go on with opsbook.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use crate::by_hand::{self, Unit};
use crate::event::Status;
use crate::known::Known;
use crate::manual::{On, shell_word};
use crate::paste::note;
use crate::plan::{NodePlan, PlannedStep};

/// One node of a halted run.
#[derive(Debug)]
pub struct Sheet<'a> {
    /// The id of the procedure.
    pub procedure: &'a str,
    /// The node, with its whole plan.
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
    /// What the run knows by now.
    pub known: Known,
    /// Before a step's name where opsbook is told of it: the node, in a run on several.
    pub prefix: String,
    /// The command that gives a shell on the node.
    pub way: String,
    /// Options that make the commands below work from anywhere.
    pub program: &'a str,
    /// Where the node is one of several machines of a run with roles.
    pub among: Option<Among>,
}

/// What the sheet of one machine says of a run over several.
#[derive(Clone, Debug)]
pub struct Among {
    /// What the machine is called: `lb1 (lb) for web2`.
    pub place: String,
    /// Who plays which role: `web=web1,web2`.
    pub words: Vec<String>,
    /// By the number of a step of this machine, what must have been done elsewhere before it.
    pub gates: BTreeMap<usize, Vec<String>>,
}

impl Sheet<'_> {
    /// What the node is called in front of a person.
    fn place(&self) -> &str {
        match &self.among {
            Some(among) => &among.place,
            None => &self.node.node.name,
        }
    }

    /// What `opsbook run` is given for the nodes.
    fn words(&self) -> String {
        let Some(among) = &self.among else {
            return self.node.node.name.clone();
        };
        let words = among.words.iter().map(|word| shell_word(word));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Writes the sheet. What is no command is a comment, so that all of it can be pasted.
///
/// # Errors
/// Where nobody reads any more.
pub fn write(sheet: &Sheet<'_>, out: &mut dyn Write) -> io::Result<()> {
    let node = sheet.place();
    let (done, left): (Vec<_>, Vec<_>) = sheet.node.steps.iter().partition(
        |step| matches!(sheet.steps.get(&step.number), Some(Some(status)) if status.goes_on()),
    );
    // What lies before an explicit start is not to be done, by nobody.
    let (left_out, left): (Vec<_>, Vec<_>) = left
        .into_iter()
        .partition(|step| step.number < sheet.earliest);
    let run = &sheet.known.run;
    let head = format!("--- hand-off: {} on {node}, run {run}", sheet.procedure);
    note(&head, out)?;
    if !left.is_empty() {
        writeln!(out, "{}", by_hand::READY)?;
    }
    note(
        &match &sheet.cause {
            Some(cause) if left.is_empty() => format!("ended: {cause}"),
            Some(cause) => format!("halted: {cause}"),
            None => "no end is written down: its opsbook was ended, or runs still".to_owned(),
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
    // It may ask: nothing stands behind it that would be taken for an answer.
    if left.is_empty() {
        return Ok(());
    }
    writeln!(out, "ob_go")
}

/// How to get to where the steps are done, and each of them.
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
            "for steps on local: sh on the operator's machine, in the folder of the manual; there `at=local` first",
            out,
        )?;
        places.push(On::Local);
    }
    note(
        "\npaste all of this, or the lines from here to the first step and then the steps that you want\n\
         and `ob_go`. Nothing runs before `ob_go`; a step stops at its first error, and nothing below\n\
         one that failed is run. Tell opsbook what is done (`then:`): it goes on after that step.\n",
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
                "\nthe bundle of this run is gone from {node}; a new run goes on without what is lost with it:\n\
                 go on:    {line} --start-at {label}"
            );
            note(&text, out)
        }
        next => {
            note(&format!("\ngo on:    {program} resume {run}"), out)?;
            if let Some(step) = next.filter(|step| sheet.doubtful.contains(&step.number)) {
                let text = format!(
                    "          it runs {} again, unless the node knows by now how it ended;\n          \
                     on a terminal it asks first: `d` where you have seen that it is done",
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
                    &format!("give up:  {program} lock release{node} --run {run}"),
                    out,
                )?;
            }
            Ok(())
        }
    }
}
