//! The hand-off sheets of a run, from its plan and its journal. A run over several nodes has one
//! sheet, with a part for each node with unfinished steps.

use std::io::Write;

use crate::cli::error::Failure;
use crate::engine::{by_hand_folder, make_by_hand, target};
use crate::event::{Event, Site, Status, What};
use crate::journal::Record;
use crate::manual::{On, shell_word};
use crate::outside;
use crate::plan::{NodePlan, Plan};
use crate::project::Project;
use crate::report::handoff::{self, Among, BY_HAND, OWNERS, Sheet, TO_CONTINUE, TO_SEE_WHY};
use crate::report::known::Known;
use crate::report::whole::{Whole, told};
use crate::session::shell_words;

/// Prints how to continue a run that did not end well. For many nodes, the sheets would hide the
/// events, so they are printed on request.
pub(crate) fn ways_on(
    project: &Project,
    plan: &Plan,
    record: &Record,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if let Some(package) = project.package_of(&plan.procedure) {
        let owners = outside::line(&package.owners.join(", ")).to_string();
        writeln!(out, "{OWNERS}{owners} ({})", package.label())?;
    }
    if plan.binding.is_some() {
        return whole(project, plan, None, record, out);
    }
    let names = plan.nodes.iter().map(|node| node.node.name.as_str());
    let bad = |name: &&str| {
        let status = record.node_status(*name);
        status.is_some_and(|status| status != Status::Ok)
    };
    let bad: Vec<&str> = names.filter(bad).collect();
    if plan.nodes.len() == 1 {
        for name in bad {
            if has_sheet(record, name) {
                sheet(project, plan, name, record, out)?;
            } else {
                not_begun(project, name, record, out)?;
            }
        }
        return Ok(());
    }
    let program = &project.program;
    let run = record.events.first().map_or("", |event| event.run.as_str());
    if bad.iter().any(|name| has_sheet(record, *name)) {
        writeln!(out, "{BY_HAND}{program} handoff {run} NODE")?;
    }
    writeln!(out, "{TO_CONTINUE}{program} resume {run}")?;
    Ok(())
}

/// Nothing was changed: prints what can be examined, and how to try again.
fn not_begun(
    project: &Project,
    name: &str,
    record: &Record,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let program = &project.program;
    let run = record.events.first().map_or("", |event| event.run.as_str());
    let reached = |event: &Event| matches!(event.what, What::NodeReached { .. });
    writeln!(out)?;
    if !record.of(name).any(reached) {
        writeln!(out, "{TO_SEE_WHY}{program} ping -v {}", shell_word(name))?;
    }
    writeln!(
        out,
        "{TO_CONTINUE}{program} resume {run}   (nothing was touched on {name})"
    )?;
    Ok(())
}

/// For a run with roles: the part about the whole run, then each node; or one node alone.
pub(crate) fn whole(
    project: &Project,
    plan: &Plan,
    only: Option<&str>,
    record: &Record,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(whole) = Whole::of(plan, record, &project.program) else {
        return Ok(());
    };
    writeln!(out)?;
    whole.write(out)?;
    for part in whole.parts() {
        if only.is_none_or(|name| part.node.node.name == name) {
            write(project, plan, part.node, Some(part.among), record, out)?;
        }
    }
    Ok(())
}

/// Whether there is anything to continue: only if something was begun.
pub(crate) fn has_sheet<'p>(record: &Record, site: impl Into<Site<'p>>) -> bool {
    let node = site.into();
    !record.steps(node).is_empty() || Known::of(record, node).bundle().is_some()
}

/// The sheet of one node.
pub(crate) fn sheet(
    project: &Project,
    plan: &Plan,
    node: &str,
    record: &Record,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match plan.nodes.iter().find(|planned| planned.node.name == node) {
        Some(node) => write(project, plan, node, None, record, out),
        None => Ok(()),
    }
}

fn write(
    project: &Project,
    plan: &Plan,
    node: &NodePlan,
    among: Option<Among>,
    record: &Record,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let site = node.site();
    let arguments = record
        .started()
        .map(|started| started.arguments.clone())
        .unwrap_or_default();
    let mut sheet = Sheet {
        procedure: &plan.procedure,
        node,
        steps: record.steps(site),
        doubtful: record.doubtful(site),
        earliest: record.earliest(site, |number| node.is_set_up(number)),
        arguments: &arguments,
        cause: cause(record, site),
        known: Known::of(record, site),
        prefix: match plan.nodes.len() {
            1 => String::new(),
            _ => format!("{}:", told(node)),
        },
        way: String::new(),
        program: &project.program,
        among,
    };
    sheet.way = way(&sheet);
    if !has_sheet(record, site) {
        return Ok(());
    }
    by_hand_here(project, &mut sheet);
    writeln!(out)?;
    handoff::write(&sheet, out)?;
    Ok(())
}

/// Local steps have a bundle once opsbook has run one of them. A person who does the first one by
/// hand gets a folder instead.
fn by_hand_here(project: &Project, sheet: &mut Sheet<'_>) {
    let node = sheet.node;
    let known = &mut sheet.known;
    let local = node.steps.iter().any(|step| step.on == On::Local);
    if !local || known.value("bundle", On::Local, None).is_some() {
        return;
    }
    let folder = by_hand_folder(&project.state, &known.run, &node.site().file_name());
    // If it cannot be created, the sheet itself contains the tools.
    if make_by_hand(&folder, &project.root).is_ok() {
        known.set_local_bundle(folder.display().to_string());
    }
}

/// The command that opens a shell on a node.
fn way(sheet: &Sheet<'_>) -> String {
    let node = &sheet.node.node;
    let words: Vec<String> = shell_words(&target(node))
        .iter()
        .map(|word| shell_word(word))
        .collect();
    let shell = match sheet.among {
        Some(_) => format!("{} --run {}", told(sheet.node), sheet.known.run),
        None => node.name.clone(),
    };
    format!(
        "{}   (or: {} shell {shell})",
        words.join(" "),
        sheet.program
    )
}

/// How it ended on a node, and why.
fn cause(record: &Record, site: Site<'_>) -> Option<String> {
    let mut events = record.of(site).rev();
    events.find_map(|event| match &event.what {
        What::NodeEnded { status, cause } => Some(match cause {
            Some(cause) => format!("{status}: {}", cause.block()),
            None => status.to_string(),
        }),
        _ => None,
    })
}
