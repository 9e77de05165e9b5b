//! The meaning of a name, in a few lines.

use std::collections::BTreeMap;
use std::path::Path;

use crate::fence;
use crate::manual::Procedure;
use crate::names::Name;
use crate::nodes::explain;
use crate::report::card;
use crate::snapshot::Snapshot;
use crate::vocabulary::reference;

/// The most values of nodes that are shown.
const MOST: usize = 10;

/// Markdown about the name at a place.
pub fn about(
    snapshot: &Snapshot,
    file: &Path,
    text: &str,
    byte: usize,
    name: &Name<'_>,
) -> Option<String> {
    let fence = fence::at(text, byte);
    if let (Some(fence), Name::Word(word)) = (&fence, name) {
        if fence.opening {
            let (key, _) = word.split_once('=').unwrap_or((word, ""));
            if let Some(about) = attribute(key) {
                return Some(format!("**{key}** {about}"));
            }
        } else if fence.kind() == "checks"
            && let Some(kind) = snapshot.project.vocabulary.get(word)
        {
            return Some(code(&reference::explain(kind)));
        }
    }
    match name {
        Name::Value(name) => value(snapshot, file, byte, name),
        Name::Group(name) => group(snapshot, name),
        Name::Word(name) => word(snapshot, name),
    }
}

fn value(snapshot: &Snapshot, file: &Path, byte: usize, name: &str) -> Option<String> {
    let procedure = snapshot.procedure_at(file, byte);
    if let Some(param) = procedure.and_then(|procedure| procedure.params.get(name)) {
        let mut about = format!("**{name}** parameter of `{}`", procedure?.id);
        if let Some(default) = &param.default {
            about += &format!(", `{default}` by default");
        } else if param.required {
            about += ", has to be given";
        }
        if let Some(pattern) = &param.pattern {
            about += &format!(", as `{pattern}`");
        }
        if let Some(help) = &param.help {
            about += &format!("\n\n{help}");
        }
        return Some(about);
    }
    if let Some(step) = procedure.and_then(|procedure| captured(procedure, name)) {
        return Some(format!("**{name}** captured by step {step}"));
    }
    of_nodes(snapshot, name)
}

fn captured(procedure: &Procedure, name: &str) -> Option<String> {
    let mut steps = procedure.steps.iter();
    let step = steps.find(|step| step.capture.as_deref() == Some(name))?;
    Some(format!("{} `{}`", step.number, procedure.name_of(step)))
}

/// Each value with its nodes, and where it is defined. Secrets are shown as references.
fn of_nodes(snapshot: &Snapshot, name: &str) -> Option<String> {
    let mut rows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for node in snapshot.nodes() {
        let Ok(found) = explain::explain(&node, &[name.to_owned()]) else {
            continue;
        };
        for value in found.into_iter().filter(|value| value.name == name) {
            let place = match (&value.origin.file, value.origin.line) {
                (Some(file), Some(line)) => format!("{} {file}:{line}", value.origin.layer),
                _ => value.origin.layer.clone(),
            };
            let nodes = rows.entry((value.shown, place)).or_default();
            nodes.push(node.name.clone());
        }
    }
    if rows.is_empty() {
        return None;
    }
    let mut text = format!("**{name}** value\n\n| nodes | value | from |\n|---|---|---|\n");
    for ((value, from), nodes) in rows.iter().take(MOST) {
        let value = value.replace('|', "\\|").replace('`', "'");
        text += &format!("| {} | `{value}` | {from} |\n", some(nodes));
    }
    if let more @ 1.. = rows.len().saturating_sub(MOST) {
        text += &format!("\nand {more} more values\n");
    }
    Some(text)
}

fn group(snapshot: &Snapshot, name: &str) -> Option<String> {
    let nodes = &snapshot.project.nodes;
    nodes.group_place(name)?;
    let members = nodes.select(&format!("@{name}")).unwrap_or_default();
    let members: Vec<String> = members.into_iter().map(str::to_owned).collect();
    Some(match members.len() {
        0 => format!("**@{name}** no node"),
        count => format!("**@{name}** {count}: {}", some(&members)),
    })
}

fn some(names: &[String]) -> String {
    let first = names
        .iter()
        .take(MOST)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn word(snapshot: &Snapshot, name: &str) -> Option<String> {
    let manual = &snapshot.project.manual;
    if let Some(procedure) = manual.procedures.get(name) {
        return Some(code(&card::procedure(procedure, false)));
    }
    if let Some(group) = manual.groups.get(name) {
        return Some(code(&card::group(group, false)));
    }
    let node = snapshot.project.nodes.evaluate(name, &[]).ok()?;
    let groups: Vec<String> = node
        .groups
        .iter()
        .map(|group| format!("@{group}"))
        .collect();
    Some(format!("**{name}** node {}", groups.join(" ")))
}

fn code(text: &str) -> String {
    format!("```text\n{}\n```", text.trim_end())
}

/// The meaning of a fence's words.
pub fn attribute(name: &str) -> Option<&'static str> {
    Some(match name {
        "procedure" => "the contract of the procedure that this section describes",
        "checks" => "a group of checks: its contract, and typed assertions",
        "step" => "one step of the procedure in whose section it stands",
        "check" => "one assertion that only looks; exit status 0 holds",
        "expect" => "what the block before it must print",
        "deliver" => "files and rendered templates to copy into the bundle",
        "file" => "the body is itself a file, copied into the bundle",
        "manual" => "something that a person does, and confirms",
        "each" => "the section is done for one node of a role after the other",
        "example" => "shown, never run",
        "id" => "the name of the block, which other pages, scripts and the journal refer to",
        "on" => "where it runs: `node` (the default), `local`, or a role",
        "sudo" => "runs it as root, or as the user that is named",
        "timeout" => "it is stopped after this time",
        "confirm" => "asks the operator before it",
        "capture" => "what it prints becomes a variable of this name",
        "exit" => "these exit statuses mean success; only 0 if absent",
        "reboot" => "the step restarts the node; the run goes on after the new boot",
        "setup" => "the step runs again on every resume; it must be safe to repeat",
        "eventually" => "tries again for so long, until it holds",
        "always" => "after a step: a test of its own as well",
        "nodes" => "where it must hold",
        "defined" => "names that the script gets in a way that cannot be seen",
        "allow" => "problems of this code are none here",
        "regex" => "one regular expression a line",
        "as" => "the name in the bundle",
        "mode" => "octal permissions, 0600 if absent",
        _ => return None,
    })
}
