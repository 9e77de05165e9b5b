//! Code lenses above contracts that offer commands: the editor types them into a terminal, and
//! nothing runs until a person presses Enter.

use std::collections::BTreeMap;
use std::path::Path;

use lsp_types::{CodeLens, Command};
use serde_json::json;

use crate::journal;
use crate::place::Columns;
use crate::snapshot::Snapshot;
use crate::source::Span;

/// How many of the latest runs are searched for the last result.
const NEWEST: usize = 40;

/// The editor command; its arguments are the words after `opsbook`.
pub const TYPE: &str = "opsbook.type";
/// The same as a line of text, for editors without our commands.
pub const LINE: &str = "opsbook.commandLine";

pub fn of(snapshot: &Snapshot, file: &Path, columns: Columns) -> Vec<CodeLens> {
    let manual = &snapshot.project.manual;
    let mut lenses = Vec::new();
    let mut add = |span: &Span, title: String, words: &[&str]| {
        lenses.push(CodeLens {
            range: columns.of_span(span),
            command: Some(Command {
                title,
                command: TYPE.to_owned(),
                arguments: Some(vec![json!(words)]),
            }),
            data: None,
        });
    };
    let procedures = || {
        manual
            .procedures
            .values()
            .filter(|own| own.span.path() == file)
    };
    let last = if procedures().next().is_some() {
        last_runs(snapshot)
    } else {
        BTreeMap::new()
    };
    for procedure in procedures() {
        let (span, id) = (&procedure.span, procedure.id.as_str());
        add(span, "run".to_owned(), &["run", id]);
        add(span, "dry run".to_owned(), &["run", id, "--dry-run"]);
        if let Some((run, how)) = last.get(id) {
            add(span, format!("last: {how}"), &["log", run]);
        }
        for step in procedure.steps.iter().filter(|step| step.number > 1) {
            let from = step.id.clone().unwrap_or_else(|| step.number.to_string());
            add(
                &step.span,
                "run from here".to_owned(),
                &["run", id, "--start-at", &from],
            );
        }
    }
    for group in manual.groups.values().filter(|own| own.span.path() == file) {
        add(
            &group.span,
            "check now".to_owned(),
            &["test", &format!("{}::", group.id)],
        );
    }
    lenses
}

/// By procedure: the latest run, and its results by node.
fn last_runs(snapshot: &Snapshot) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    let state = &snapshot.project.state;
    for run in journal::runs(state).into_iter().rev().take(NEWEST) {
        let Ok(record) = journal::read(state, &run) else {
            continue;
        };
        let Some(started) = record.started() else {
            continue;
        };
        let how = match record.status() {
            _ if record.is_halted() => "halted",
            Some(status) => status.word(),
            None => "no end",
        };
        let nodes = started
            .nodes
            .iter()
            .take(3)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        let day = run.get(..8).unwrap_or_default();
        let how = format!("{how} on {nodes}, {day}");
        found.entry(started.procedure.clone()).or_insert((run, how));
    }
    found
}

/// The words of a command as a shell command line; `None` if they are not one of our commands.
pub fn line(arguments: &[serde_json::Value], root: &Path) -> Option<String> {
    let words = arguments.first()?.as_array()?;
    let words: Option<Vec<&str>> = words.iter().map(|word| word.as_str()).collect();
    let words = words?;
    let known = ["run", "test", "show", "log"].contains(words.first()?);
    let quoted = |word: &str| crate::manual::shell_word(word);
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let root = quoted(&root.to_string_lossy());
    known.then(|| format!("opsbook -C {root} {}", words.join(" ")))
}
