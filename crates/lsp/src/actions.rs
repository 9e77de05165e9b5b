//! Quick fixes.

use std::collections::HashMap;

use lsp_types::{
    CodeAction, CodeActionKind, Diagnostic, NumberOrString, TextEdit, Uri, WorkspaceEdit,
};

use crate::place::Columns;

/// The fixes for these diagnostics of a text.
#[allow(
    clippy::mutable_key_type,
    reason = "the protocol's type has addresses as keys"
)]
pub fn of(text: &str, uri: &Uri, diagnostics: &[Diagnostic], columns: Columns) -> Vec<CodeAction> {
    let mut actions = Vec::new();
    for diagnostic in diagnostics {
        let fix = |title: String, edit: TextEdit, preferred: bool| CodeAction {
            title,
            kind: Some(CodeActionKind::QUICKFIX),
            diagnostics: Some(vec![diagnostic.clone()]),
            edit: Some(WorkspaceEdit {
                changes: Some(HashMap::from([(uri.clone(), vec![edit])])),
                ..WorkspaceEdit::default()
            }),
            is_preferred: Some(preferred),
            ..CodeAction::default()
        };
        let meant = diagnostic
            .data
            .as_ref()
            .and_then(|data| data["hint"].as_str());
        let meant = meant.and_then(|hint| hint.strip_prefix("did you mean `")?.strip_suffix("`?"));
        if let Some(meant) = meant {
            let edit = TextEdit::new(diagnostic.range, meant.to_owned());
            actions.push(fix(format!("write `{meant}`"), edit, true));
        }
        let code = match &diagnostic.code {
            Some(NumberOrString::String(code)) => code.as_str(),
            _ => "",
        };
        if code == "undeclared-block" {
            // At the end of the opening line.
            let start = columns.byte(text, diagnostic.range.start);
            let line = text[start..]
                .split('\n')
                .next()
                .unwrap_or_default()
                .trim_end();
            let end = columns.position(text, start + line.len());
            for kind in ["step", "check", "example"] {
                let range = lsp_types::Range::new(end, end);
                let edit = TextEdit::new(range, format!(" {kind}"));
                actions.push(fix(format!("tag as {kind}"), edit, false));
            }
        }
    }
    actions
}
