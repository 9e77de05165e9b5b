//! The nodes for the book's script: their names in one file, and the values that the manual uses in
//! files of several nodes each, loaded on demand. Secrets appear only by name.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::interpolation::{Piece, pieces};
use crate::manual::Spanned;
use crate::nodes::{Node, Nodes, Text};
use crate::source::{Source, Span};

use super::blocks::{Blocks, call};

/// The values of names on nodes.
pub(super) type Meanings = BTreeMap<String, Vec<String>>;

/// A name with more different values identifies nodes.
const ALIKE: usize = 8;
/// The approximate number of bytes in a file.
const FILE: usize = 64 * 1024;

/// Writes the data for choosing a node into the folder of the book's assets. Returns the possible
/// values of each name, for the search.
pub(super) fn write(nodes: &Nodes, blocks: &Blocks, folder: &Path) -> Result<Meanings> {
    let mut meanings = Meanings::new();
    if nodes.names().len() == 0 || blocks.is_empty() {
        return Ok(meanings);
    }
    let folder = folder.join("nodes");
    std::fs::create_dir_all(&folder)?;
    let selected = selected(nodes, blocks);
    let mut all = Vec::with_capacity(nodes.names().len());
    let mut firsts = Vec::new();
    let mut file: Vec<Value> = Vec::new();
    let mut bytes = 0;
    for (number, name) in nodes.names().enumerate() {
        let node = nodes.evaluate(name, &[]).ok();
        let groups = node.as_ref().map(|node| node.groups.clone());
        all.push(json!([name, groups]));
        if let Some(node) = &node {
            learn(&mut meanings, node, blocks);
        }
        let values = node.map(|node| of_node(&node, blocks, &selected));
        let values = values.map_or(Value::Null, Value::Object);
        if bytes > FILE {
            write_file(&folder, firsts.len() - 1, &mut file)?;
            bytes = 0;
        }
        if file.is_empty() {
            firsts.push(number);
        }
        bytes += values.to_string().len();
        file.push(values);
    }
    write_file(&folder, firsts.len() - 1, &mut file)?;
    std::fs::write(
        folder.join("all.js"),
        call("nodes", &[json!(all), json!(firsts)]),
    )?;
    // A value that is different on each node is found by its name.
    meanings.retain(|_, values| values.len() <= ALIKE);
    Ok(meanings)
}

fn learn(meanings: &mut Meanings, node: &Node, blocks: &Blocks) {
    for name in &blocks.names {
        if let Ok(Text::Plain(value)) = node.text(name) {
            let known = meanings.entry(name.clone()).or_default();
            if known.len() <= ALIKE && !known.contains(&value) {
                known.push(value);
            }
        }
    }
}

fn write_file(folder: &Path, number: usize, values: &mut Vec<Value>) -> Result<()> {
    let values = std::mem::take(values);
    let text = call("values", &[json!(number), Value::Array(values)]);
    std::fs::write(folder.join(format!("{number}.js")), text)?;
    Ok(())
}

/// The selectors of the manual, each with its nodes.
fn selected<'a>(nodes: &'a Nodes, blocks: &'a Blocks) -> Vec<(&'a str, HashSet<&'a str>)> {
    let selectors = blocks.selectors.iter();
    selectors
        .map(|selector| {
            let source = Source::new("(selector)", selector.as_str());
            let spanned = Spanned {
                value: selector.clone(),
                span: Span::new(&source, 0..selector.len()),
            };
            // An invalid selector selects nothing; `lint` reports it.
            let found = nodes.select_at(&spanned).unwrap_or_default();
            (selector.as_str(), found.into_iter().collect())
        })
        .collect()
}

fn of_node(node: &Node, blocks: &Blocks, selected: &[(&str, HashSet<&str>)]) -> Map<String, Value> {
    let mut names = blocks.names.clone();
    let derived = derived(node, blocks, &mut names);
    let mut values = Map::new();
    let mut secrets = Vec::new();
    for name in names {
        match node.text(&name) {
            Ok(Text::Plain(value)) => drop(values.insert(name, json!(value))),
            Ok(Text::Secret(_)) => secrets.push(name),
            Err(_) => {}
        }
    }
    let here = selected
        .iter()
        .filter(|(_, nodes)| nodes.contains(node.name.as_str()));
    let here: Vec<&str> = here.map(|(selector, _)| *selector).collect();
    let mut all = Map::new();
    all.insert("values".into(), Value::Object(values));
    all.insert("secrets".into(), json!(secrets));
    if !derived.is_empty() {
        all.insert("derived".into(), Value::Object(derived));
    }
    all.insert("in".into(), json!(here));
    all
}

/// The values that depend on a parameter, as written; adds the names in them to `names`.
fn derived(node: &Node, blocks: &Blocks, names: &mut BTreeSet<String>) -> Map<String, Value> {
    let mut derived = Map::new();
    for name in &blocks.names {
        let mut behind = BTreeSet::new();
        gather(node, name, &mut behind);
        if behind.is_disjoint(&blocks.params) {
            continue;
        }
        behind.insert(name.clone());
        for name in &behind {
            let written = node.leaves.get(name).and_then(|leaf| leaf.written.as_ref());
            if let Some(written) = written {
                derived.insert(name.clone(), json!(written));
            }
        }
        names.extend(behind);
    }
    derived
}

/// Adds the names that a value depends on.
fn gather(node: &Node, name: &str, behind: &mut BTreeSet<String>) {
    let written = node
        .leaves
        .get(name)
        .and_then(|leaf| leaf.written.as_deref());
    for piece in pieces(written.unwrap_or_default()) {
        if let Piece::Name(inner, _) = piece
            && behind.insert(inner.to_owned())
        {
            gather(node, inner, behind);
        }
    }
}
