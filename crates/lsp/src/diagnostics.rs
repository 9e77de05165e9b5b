//! Converts the problems of `opsbook lint` into diagnostics of the protocol.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lsp_types::{Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, NumberOrString};
use serde_json::json;

use crate::place::Columns;
use crate::snapshot::Snapshot;
use crate::source::{Problem, Severity};

/// The most diagnostics of one file: a malicious page has as many errors as letters.
const MOST: usize = 500;

/// The problems of each file. Those without a place are shown at the beginning of `book.toml`.
pub fn of(snapshot: &Snapshot, columns: Columns) -> BTreeMap<PathBuf, Vec<Diagnostic>> {
    let mut all: BTreeMap<PathBuf, Vec<Diagnostic>> = BTreeMap::new();
    for problem in &snapshot.problems {
        let file = match &problem.span {
            Some(span) => snapshot.edited(span.path()),
            None => snapshot.root().join("book.toml"),
        };
        let own = all.entry(file).or_default();
        if own.len() < MOST {
            own.push(one(snapshot, columns, problem));
        }
    }
    all
}

fn one(snapshot: &Snapshot, columns: Columns, problem: &Problem) -> Diagnostic {
    let range = problem.span.as_ref().map(|span| columns.of_span(span));
    let related = problem.notes.iter().filter_map(|(span, text)| {
        Some(DiagnosticRelatedInformation {
            location: snapshot.location(columns, span)?,
            message: text.clone(),
        })
    });
    let related: Vec<_> = related.collect();
    let message = match &problem.hint {
        Some(hint) => format!("{}\nhint: {hint}", problem.sentence()),
        None => problem.sentence(),
    };
    Diagnostic {
        range: range.unwrap_or_default(),
        severity: Some(match problem.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(problem.code.to_owned())),
        source: Some("opsbook".to_owned()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        data: problem.hint.as_ref().map(|hint| json!({"hint": hint})),
        ..Diagnostic::default()
    }
}
