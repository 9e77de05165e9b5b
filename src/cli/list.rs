//! `opsbook list`: procedures, groups of checks, nodes.

use std::io::Write;

use clap::Args;

use crate::cli::Streams;
use crate::cli::error::Failure;
use crate::cli::form::Form;
use crate::manual::Procedure;
use crate::project::Project;
use crate::report::table::{self, Cell};
use crate::source::counted;

/// List procedures, groups of checks and nodes
///
/// Each with its title and its place in the manual.
#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    form: Form,
}

pub(crate) fn run(args: &List, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    if args.form.is_json() {
        let text = serde_json::to_string_pretty(&json(project)).map_err(std::io::Error::from)?;
        writeln!(streams.data(), "{text}")?;
        return Ok(0);
    }
    let procedures = project.manual.procedures.values().map(|procedure| {
        let steps = counted(procedure.steps.len(), "step");
        [
            procedure.id.clone(),
            steps,
            titled(procedure),
            procedure.span.place(),
        ]
    });
    table(
        "procedures",
        &procedures.collect::<Vec<_>>(),
        &mut streams.people(),
    )?;
    let groups = project.manual.groups.values().map(|group| {
        let checks = counted(group.typed.len() + group.checks.len(), "check");
        [
            group.id.clone(),
            checks,
            group.title.clone(),
            group.span.place(),
        ]
    });
    table(
        "groups of checks",
        &groups.collect::<Vec<_>>(),
        &mut streams.people(),
    )?;
    let nodes = project.nodes.names().map(|name| {
        let groups = project
            .nodes
            .evaluate(name, &[])
            .map(|node| node.groups.join(", "))
            .unwrap_or_default();
        let place = project
            .nodes
            .place(name)
            .map(|span| match span.path().to_str() {
                // There is no line to open.
                Some(BUILT_IN) => BUILT_IN.to_owned(),
                _ => span.place(),
            })
            .unwrap_or_default();
        [name.to_owned(), String::new(), groups, place]
    });
    table("nodes", &nodes.collect::<Vec<_>>(), &mut streams.people())?;
    let errors = project.errors().count();
    if errors > 0 {
        let many = if errors == 1 { "mistake" } else { "mistakes" };
        writeln!(
            streams.talk,
            "{errors} {many} in this manual, which may hide parts of it: opsbook lint"
        )?;
    }
    Ok(0)
}

/// The place of a node that exists without a `nodes.yaml`.
const BUILT_IN: &str = "(built in)";

/// The title, and the roles of a procedure over several nodes.
fn titled(procedure: &Procedure) -> String {
    if procedure.roles.is_empty() {
        return procedure.title.clone();
    }
    format!("{} ({})", procedure.title, procedure.words())
}

fn table(title: &str, rows: &[[String; 4]], out: &mut dyn Write) -> std::io::Result<()> {
    let bold = anstyle::Style::new().bold();
    let dim = anstyle::Style::new().dimmed();
    writeln!(out, "{bold}{title}{bold:#}")?;
    if rows.is_empty() {
        writeln!(out, "  {dim}none{dim:#}")?;
    }
    let row = |[name, count, title, place]: &[String; 4]| {
        let name = format!("  {name}").into();
        let place = Cell::new(place, dim);
        vec![name, count.clone().into(), title.clone().into(), place]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    table::rows(&rows, out)
}

fn json(project: &Project) -> serde_json::Value {
    let procedures = project.manual.procedures.values().map(|procedure| {
        serde_json::json!({
            "id": procedure.id, "title": procedure.title, "place": procedure.span.place(),
            "nodes": procedure.nodes.as_ref().map(|nodes| &nodes.value),
            "roles": procedure.roles.keys().collect::<Vec<_>>(),
            "params": procedure.params.keys().collect::<Vec<_>>(),
            "steps": procedure.steps.iter().map(|step| serde_json::json!({
                "number": step.number, "id": step.id, "title": step.title, "place": step.span.place(),
            })).collect::<Vec<_>>(),
        })
    });
    let groups = project.manual.groups.values().map(|group| {
        serde_json::json!({
            "id": group.id, "title": group.title, "place": group.span.place(),
            "nodes": group.nodes.as_ref().map(|nodes| &nodes.value),
            "checks": group.typed.len() + group.checks.len(),
        })
    });
    serde_json::json!({
        "v": 1,
        "procedures": procedures.collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(),
        "nodes": project.nodes.names().collect::<Vec<_>>(),
    })
}
