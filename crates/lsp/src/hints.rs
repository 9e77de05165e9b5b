//! Inlay hints: behind the name of a node's value, what it is. An editor gets them only if its
//! settings ask for them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use lsp_types::{InlayHint, InlayHintKind, InlayHintLabel};

use crate::fence;
use crate::nodes::{Node, explain};
use crate::place::Columns;
use crate::snapshot::Snapshot;
use crate::tokens::{self, Owner};

/// The most hints of an answer: an editor asks for what is on its screen.
const AT_ONCE: usize = 1_000;
/// The most characters of a value.
const MOST: usize = 40;

/// The hints for the names within `range`, in bytes.
pub fn of(
    snapshot: &Snapshot,
    file: &Path,
    text: &str,
    range: &Range<usize>,
    columns: Columns,
) -> Vec<InlayHint> {
    let nodes: Vec<Node> = snapshot.nodes().collect();
    let mut known = BTreeMap::new();
    let mut hints = Vec::new();
    for fence in fence::all(text) {
        let apart = fence.body.end < range.start || range.end < fence.body.start;
        if fence.kind().is_empty() || apart {
            continue;
        }
        let procedure = snapshot.procedure_at(file, fence.body.start);
        let selector = procedure.and_then(|procedure| procedure.nodes.as_ref());
        let selector = selector.map_or("", |selector| selector.value.as_str());
        let body = &text[fence.body.clone()];
        for (at, name) in tokens::mentions(body) {
            let end = fence.body.start + at + name.len();
            if hints.len() == AT_ONCE
                || !range.contains(&end)
                || tokens::owner(procedure, name) == Owner::Procedure
            {
                continue;
            }
            let label = known
                .entry((selector, name))
                .or_insert_with(|| label(snapshot, &nodes, selector, name));
            let Some(label) = label else { continue };
            let end = end + usize::from(text[end..].starts_with('}'));
            hints.push(InlayHint {
                position: columns.position(text, end),
                label: InlayHintLabel::String(label.clone()),
                kind: Some(InlayHintKind::TYPE),
                text_edits: None,
                tooltip: None,
                padding_left: None,
                padding_right: None,
                data: None,
            });
        }
    }
    hints
}

/// `: 8000 (2 nodes: 8443)`: the value that most of the selected nodes have, and the others.
fn label(snapshot: &Snapshot, nodes: &[Node], selector: &str, name: &str) -> Option<String> {
    let selected = match selector {
        "" => None,
        selector => snapshot.project.nodes.select(selector).ok(),
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in nodes {
        let is_selected = selected
            .as_ref()
            .is_none_or(|selected| selected.contains(&node.name.as_str()));
        if !is_selected {
            continue;
        }
        let found = explain::explain(node, &[name.to_owned()]).unwrap_or_default();
        for value in found.into_iter().filter(|value| value.name == name) {
            *counts.entry(short(&value.shown)).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let (first, _) = counts.first()?;
    let of_others: usize = counts.iter().skip(1).map(|(_, count)| count).sum();
    let nodes = if of_others == 1 { "node" } else { "nodes" };
    Some(match &counts[1..] {
        [] => format!(": {first}"),
        [(second, _)] => format!(": {first} ({of_others} {nodes}: {second})"),
        others => format!(": {first} ({of_others} {nodes}: {} others)", others.len()),
    })
}

fn short(value: &str) -> String {
    if value.chars().count() <= MOST {
        return value.to_owned();
    }
    let start: String = value.chars().take(MOST).collect();
    format!("{start}…")
}
