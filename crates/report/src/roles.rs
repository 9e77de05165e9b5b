//! The roles of nodes in a run, for lines that say where something happened.

use std::collections::BTreeMap;

use crate::event::{Event, RunStarted, Site};

/// The role of each node; empty in a run without roles.
#[derive(Debug, Default)]
pub struct Roles(BTreeMap<String, String>);

impl Roles {
    /// From the start of the run.
    #[must_use]
    pub fn of(started: &RunStarted) -> Roles {
        let roles = started.roles.iter();
        let pairs = roles.flat_map(|(role, nodes)| {
            let node = |node: &String| (node.clone(), role.clone());
            nodes.iter().map(node)
        });
        Roles(pairs.collect())
    }

    /// The role of a node.
    #[must_use]
    pub fn role(&self, node: &str) -> Option<&str> {
        self.0.get(node).map(String::as_str)
    }

    /// `db2 (new)`, or `db2` without a role.
    #[must_use]
    pub fn name(&self, node: &str) -> String {
        match self.role(node) {
            Some(role) => format!("{node} ({role})"),
            None => node.to_owned(),
        }
    }

    /// Each of these nodes with its role.
    #[must_use]
    pub fn named(&self, nodes: &[String]) -> Vec<String> {
        nodes.iter().map(|node| self.name(node)).collect()
    }

    /// Nodes that have a role and are not among these nodes.
    #[must_use]
    pub fn not_reached(&self, nodes: &[String]) -> Vec<String> {
        let others = self.0.keys().filter(|node| !nodes.contains(node));
        others.map(|node| self.name(node)).collect()
    }

    /// `lb1 (lb) for web2` for work on `lb1` in the turn of `web2`; `web2 (web)` for work on `web2`
    /// itself.
    #[must_use]
    pub fn site(&self, site: Site<'_>) -> String {
        let name = self.name(site.node);
        match site.turn_of() {
            Some(turn) if turn != site.node => format!("{name} for {turn}"),
            _ => name,
        }
    }

    /// The place of an event; empty if it concerns the whole run.
    #[must_use]
    pub fn place(&self, event: &Event) -> String {
        self.site(Site {
            node: event.node.as_deref().unwrap_or_default(),
            turn: event.turn.as_deref(),
        })
    }
}
