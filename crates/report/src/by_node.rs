//! Shows nodes with the same plan once, with a table of the values that differ.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Write};

use indexmap::IndexMap;

use crate::nodes::Text;
use crate::plan::{NodePlan, Part, Plan, Value};
use crate::value::{assigned, origin};

/// Nodes whose plans differ only in values.
pub(super) struct Alike<'a> {
    pub nodes: Vec<&'a NodePlan>,
    /// Names whose values are not the same on all of them.
    pub differ: BTreeSet<String>,
}

/// Groups a plan's nodes by equal steps, in order.
pub(super) fn alike(plan: &Plan, part: Part) -> Vec<Alike<'_>> {
    type Key<'a> = (&'a str, Vec<(&'a str, usize)>);
    let mut groups: IndexMap<Key<'_>, Vec<&NodePlan>> = IndexMap::new();
    for node in &plan.nodes {
        let needs = node.needs.iter();
        let needs = needs.map(|need| (need.group.as_str(), need.cases.len()));
        let key = (node.sha256.as_str(), needs.collect());
        groups.entry(key).or_default().push(node);
    }
    let groups = groups.into_values();
    groups
        .map(|nodes| Alike {
            differ: differ(&nodes, part),
            nodes,
        })
        .collect()
}

/// One step on nodes that all have it.
pub(super) fn of_step(nodes: Vec<&NodePlan>, number: usize) -> Alike<'_> {
    let part = Part {
        start_at: Some(number),
        stop_after: Some(number),
    };
    Alike {
        differ: differ(&nodes, part),
        nodes,
    }
}

/// The name of a plan's node in the table, with the turn if it is another node's.
fn label(node: &NodePlan) -> String {
    let site = node.site();
    match site.turn_of() {
        Some(turn) if turn != site.node => format!("{} for {turn}", site.node),
        _ => site.node.to_owned(),
    }
}

fn differ(nodes: &[&NodePlan], part: Part) -> BTreeSet<String> {
    let names: BTreeSet<&str> = nodes.iter().flat_map(|node| names(node, part)).collect();
    let differs = |name: &&str| {
        let cells: HashSet<String> = nodes.iter().map(|node| cell(node, name)).collect();
        cells.len() > 1
    };
    names
        .into_iter()
        .filter(differs)
        .map(str::to_owned)
        .collect()
}

/// The names of values in this part's scripts and texts.
fn names(node: &NodePlan, part: Part) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for step in node.steps.iter().filter(|step| part.contains(step.number)) {
        names.extend(
            step.bindings()
                .filter(|binding| matches!(binding.value, Value::Text(_)))
                .map(|binding| binding.name.as_str()),
        );
        names.extend(step.names_in_texts());
    }
    let captured = |name: &&str| {
        let mut steps = node.steps.iter();
        steps.any(|step| step.capture.as_deref() == Some(name))
    };
    names.retain(|name| !captured(name));
    names
}

fn cell(node: &NodePlan, name: &str) -> String {
    match node.node.text(name) {
        Ok(Text::Plain(text)) => assigned(&text),
        Ok(Text::Secret(reference)) => format!("secret: {}", origin(&reference)),
        Err(_) => "-".to_owned(),
    }
}

impl Alike<'_> {
    /// One line for each node. Values of several lines follow the table.
    pub fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns: Vec<&str> = self.differ.iter().map(String::as_str).collect();
        // The first column contains the node's name.
        let columns: Vec<&str> = columns.into_iter().filter(|name| *name != "node").collect();
        if columns.is_empty() {
            return Ok(());
        }
        let mut rows = vec![vec!["node".to_owned()]];
        rows[0].extend(columns.iter().map(|name| (*name).to_owned()));
        let mut long = Vec::new();
        for node in &self.nodes {
            let mut row = vec![label(node)];
            for name in &columns {
                let cell = cell(node, name);
                if cell.contains('\n') {
                    long.push(format!("  {}: {name}={cell}", label(node)));
                    row.push("(below)".to_owned());
                } else {
                    row.push(cell);
                }
            }
            rows.push(row);
        }
        writeln!(out, "values by node:")?;
        padded(&rows, out)?;
        for line in long {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

fn padded(rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("  {cell:<width$}"))
            .collect();
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
