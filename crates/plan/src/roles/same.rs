//! Compares values that must be equal on all nodes of a run.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::bind::Cast;
use crate::manual::Procedure;
use crate::nodes::{Node, Text};
use crate::source::Problem;

/// Reports each name whose values differ.
pub(super) fn compare(
    procedure: &Procedure,
    cast: &Cast,
    nodes: &HashMap<String, Arc<Node>>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for name in &procedure.same {
        let mut values: IndexMap<Option<String>, Vec<String>> = IndexMap::new();
        let mut secret = false;
        for (role, played) in cast {
            for node in played.iter().filter_map(|node| nodes.get(node)) {
                let value = match node.text(&name.value) {
                    Ok(Text::Plain(text)) => Some(text),
                    Ok(Text::Secret(_)) => {
                        secret = true;
                        None
                    }
                    Err(_) => None,
                };
                let who = format!("{} ({role})", node.name);
                values.entry(value).or_default().push(who);
            }
        }
        let problem = |message| Problem::error("not-the-same", name.span.clone(), message);
        let named = &name.value;
        if secret {
            let message = format!("`{named}` is a secret, and cannot be compared");
            problems.push(problem(message));
        } else if values.keys().all(Option::is_none) && !values.is_empty() {
            problems.push(problem(format!(
                "`{named}` is defined on no node of this run"
            )));
        } else if values.len() > 1 {
            let told = values.iter().map(|(value, who)| match value {
                Some(value) => format!("`{value}` on {}", who.join(", ")),
                None => format!("not defined on {}", who.join(", ")),
            });
            let told: Vec<String> = told.collect();
            let message = format!("`{named}` differs between nodes: {}", told.join("; "));
            problems.push(problem(message).hint("these nodes do not belong together"));
        }
    }
    problems
}
