//! Completion: kinds and attributes of a fence, values in a script, names of groups, nodes and
//! procedures, the keys of a contract.

use std::collections::BTreeMap;
use std::path::Path;

use lsp_types::{CompletionItem, CompletionItemKind};

use crate::fence::{self, Fence};
use crate::hover::attribute;
use crate::manual::{Kind, attributes_of};
use crate::nodes::explain;
use crate::snapshot::Snapshot;

const KINDS: [(&str, Kind); 10] = [
    ("step", Kind::Step),
    ("check", Kind::Check),
    ("example", Kind::Example),
    ("expect", Kind::Expect),
    ("procedure", Kind::Procedure),
    ("checks", Kind::Checks),
    ("deliver", Kind::Deliver),
    ("file", Kind::File),
    ("manual", Kind::Manual),
    ("each", Kind::Each),
];
const SHELLS: [&str; 6] = ["sh", "bash", "python3", "zsh", "ksh", "python"];
const PROCEDURE: [&str; 10] = [
    "id", "nodes", "needs", "timeout", "params", "replace", "roles", "same", "defined", "allow",
];
const CHECKS: [&str; 6] = ["id", "nodes", "when", "state", "defined", "allow"];
/// Attributes that need no value.
const BARE: [&str; 6] = ["confirm", "reboot", "setup", "always", "sudo", "regex"];

pub fn at(snapshot: &Snapshot, file: &Path, text: &str, byte: usize) -> Vec<CompletionItem> {
    let line = text[..byte].rsplit('\n').next().unwrap_or_default();
    let typed = line
        .rsplit([' ', ',', '[', '"', '\'', '&', '!', '(', '{'])
        .next();
    let typed = typed.unwrap_or_default();
    if let Some(fence) = fence::at(text, byte) {
        if fence.opening {
            return of_fence(&fence, byte);
        }
        let value = line.rfind('$').map(|at| &line[at + 1..]);
        let value = value.map(|rest| rest.strip_prefix('{').unwrap_or(rest));
        let name = |rest: &str| {
            rest.chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        };
        if value.is_some_and(name) {
            return values(snapshot, file, byte);
        }
        if let ("procedure" | "checks", true) = (
            fence.kind(),
            typed == line.trim_start() && !line.starts_with(' '),
        ) {
            return keys(snapshot, fence.kind());
        }
        if line.trim_start().starts_with("needs:") {
            return groups(snapshot);
        }
    }
    if typed.starts_with('@') {
        return node_groups(snapshot);
    }
    if line.contains("opsbook run ") || line.contains("opsbook show ") {
        return procedures(snapshot);
    }
    Vec::new()
}

fn item(label: &str, kind: CompletionItemKind, detail: impl Into<String>) -> CompletionItem {
    let detail = Some(detail.into()).filter(|detail| !detail.is_empty());
    CompletionItem {
        label: label.to_owned(),
        kind: Some(kind),
        detail,
        ..CompletionItem::default()
    }
}

fn of_fence(fence: &Fence<'_>, byte: usize) -> Vec<CompletionItem> {
    let typed = fence
        .info
        .get(..byte.saturating_sub(fence.at))
        .unwrap_or(fence.info);
    let before: Vec<&str> = typed.split(' ').collect();
    let kind = |name: &str| KINDS.iter().find(|(known, _)| *known == name);
    match before[..] {
        [] | [_] => {
            let languages = SHELLS
                .into_iter()
                .chain(["yaml", "text", "json", "console"]);
            let language = |name| item(name, CompletionItemKind::KEYWORD, "");
            languages.map(language).collect()
        }
        [language, _] => {
            let shell = SHELLS.contains(&language) || language == "console";
            let fits = |kind: &Kind| match kind {
                Kind::Step | Kind::Check => shell,
                Kind::Procedure | Kind::Checks | Kind::Deliver | Kind::Each => language == "yaml",
                Kind::Expect => ["text", "json"].contains(&language),
                Kind::Manual => ["text", "markdown"].contains(&language),
                Kind::File | Kind::Example => true,
            };
            let kinds = KINDS.iter().filter(|(_, kind)| fits(kind));
            let kind = |(name, _): &(&str, Kind)| {
                item(
                    name,
                    CompletionItemKind::KEYWORD,
                    attribute(name).unwrap_or_default(),
                )
            };
            kinds.map(kind).collect()
        }
        [_, word, ref given @ ..] => {
            let Some((_, kind)) = kind(word) else {
                return Vec::new();
            };
            let there = |name: &str| {
                given
                    .iter()
                    .any(|word| word.split('=').next() == Some(name))
            };
            let names = attributes_of(*kind).iter().filter(|name| !there(name));
            let attribute = |name: &&str| {
                let mut item = item(
                    name,
                    CompletionItemKind::PROPERTY,
                    attribute(name).unwrap_or_default(),
                );
                if !BARE.contains(name) {
                    item.insert_text = Some(format!("{name}="));
                }
                item
            };
            names.map(attribute).collect()
        }
    }
}

/// Names that a script knows at this place: parameters, captures of earlier steps, values.
fn values(snapshot: &Snapshot, file: &Path, byte: usize) -> Vec<CompletionItem> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for node in snapshot.nodes() {
        for value in explain::explain(&node, &[]).unwrap_or_default() {
            let detail = format!("{}  {}", value.shown, value.origin.layer);
            known.entry(value.name).or_insert(detail);
        }
    }
    for name in ["node", "bundle"] {
        known
            .entry(name.to_owned())
            .or_insert_with(|| "built in".to_owned());
    }
    if let Some(procedure) = snapshot.procedure_at(file, byte) {
        let before = procedure.steps.iter();
        let before = before.filter(|step| (step.span.start as usize) < byte);
        for step in before {
            if let Some(name) = &step.capture {
                let detail = format!("captured by `{}`", procedure.name_of(step));
                known.insert(name.clone(), detail);
            }
        }
        for (name, param) in &procedure.params {
            let detail = param.help.clone().unwrap_or_default();
            known.insert(name.clone(), format!("parameter  {detail}"));
        }
        for role in procedure.roles.keys() {
            known.insert(role.clone(), "role".to_owned());
        }
    }
    let value =
        |(name, detail): (String, String)| item(&name, CompletionItemKind::VARIABLE, detail);
    known.into_iter().map(value).collect()
}

fn keys(snapshot: &Snapshot, kind: &str) -> Vec<CompletionItem> {
    let mut items: Vec<CompletionItem> = Vec::new();
    let own: &[&str] = if kind == "procedure" {
        &PROCEDURE
    } else {
        &CHECKS
    };
    let key = |name: &&str| item(name, CompletionItemKind::FIELD, "");
    items.extend(own.iter().map(key));
    if kind == "checks" {
        let types = snapshot.project.vocabulary.types();
        items.extend(
            types.map(|kind| item(&kind.name, CompletionItemKind::CLASS, kind.title.clone())),
        );
    }
    for item in &mut items {
        item.insert_text = Some(format!("{}: ", item.label));
    }
    items
}

fn groups(snapshot: &Snapshot) -> Vec<CompletionItem> {
    let groups = snapshot.project.manual.groups.values();
    let group = |group: &crate::manual::Group| {
        item(
            &group.id,
            CompletionItemKind::REFERENCE,
            group.title.clone(),
        )
    };
    groups.map(group).collect()
}

fn node_groups(snapshot: &Snapshot) -> Vec<CompletionItem> {
    let nodes = &snapshot.project.nodes;
    let group = |name: &str| {
        let members = nodes.select(&format!("@{name}")).unwrap_or_default();
        let mut item = item(
            &format!("@{name}"),
            CompletionItemKind::REFERENCE,
            members.join(", "),
        );
        // The `@` is already in the text.
        item.insert_text = Some(name.to_owned());
        item.filter_text = Some(name.to_owned());
        item
    };
    nodes.group_names().map(group).collect()
}

fn procedures(snapshot: &Snapshot) -> Vec<CompletionItem> {
    let procedures = snapshot.project.manual.procedures.values();
    let procedure = |procedure: &crate::manual::Procedure| {
        item(
            &procedure.id,
            CompletionItemKind::FUNCTION,
            procedure.title.clone(),
        )
    };
    procedures.map(procedure).collect()
}
