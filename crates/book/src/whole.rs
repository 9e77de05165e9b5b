//! A manual with its nodes and recorded results, for the generated chapters.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::manual::{Manual, Procedure, Spanned, Wanted};
use crate::nodes::Nodes;
use crate::source::{Source, Span};

use super::blocks::Blocks;
use super::recorded::Recorded;

/// The inputs of the generated chapters.
pub(super) struct Whole<'a> {
    pub(super) manual: &'a Manual,
    pub(super) nodes: &'a Nodes,
    pub(super) recorded: &'a Recorded,
    pub(super) blocks: &'a Blocks,
}

impl Whole<'_> {
    /// Whether the book has generated chapters: only if something in it runs.
    pub(super) fn has_chapters(&self) -> bool {
        !self.blocks.is_empty() && self.manual.settings.chapters == Wanted::Yes
    }

    /// The groups of nodes that a chapter describes.
    pub(super) fn groups_told(&self) -> HashSet<String> {
        let told = self.has_chapters() && self.nodes.names().len() > 0;
        let groups = self.nodes.group_names().filter(|_| told);
        groups.map(str::to_owned).collect()
    }
}

/// The nodes of each selector of the manual.
pub(super) fn selected(
    nodes: &Nodes,
    selectors: impl Iterator<Item = String>,
) -> HashMap<String, HashSet<&str>> {
    let distinct: BTreeSet<String> = selectors.collect();
    let of = |selector: String| {
        let source = Source::new("(selector)", selector.as_str());
        let spanned = Spanned {
            value: selector.clone(),
            span: Span::new(&source, 0..selector.len()),
        };
        // An invalid selector selects nothing; `lint` reports it.
        let found = nodes.select_at(&spanned).unwrap_or_default();
        (selector, found.into_iter().collect())
    };
    distinct.into_iter().map(of).collect()
}

/// The selectors of a procedure, or of its roles.
pub(super) fn selectors_of(procedure: &Procedure) -> Vec<&str> {
    let own = procedure.nodes.iter().map(|nodes| nodes.value.as_str());
    let roles = procedure.roles.values();
    own.chain(roles.map(|role| role.nodes.value.as_str()))
        .collect()
}
