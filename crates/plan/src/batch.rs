//! Batch sizes: `1,5,25%`, from a section, the command line and the nodes.

use std::sync::Arc;

use crate::manual::Share;
use crate::nodes::Node;
use crate::source::Problem;

/// The sizes of batches as numbers of nodes, each at least one.
#[must_use]
pub fn sizes(shares: &[Share], all: usize) -> Vec<usize> {
    shares.iter().map(|share| share.of(all).max(1)).collect()
}

/// Splits items into batches of these sizes; the last size repeats. Without sizes there is one
/// batch.
#[must_use]
pub fn in_batches<'a, T>(mut rest: &'a [T], sizes: &[usize]) -> Vec<&'a [T]> {
    let mut sizes = sizes.iter().copied();
    let (mut size, mut batches) = (rest.len(), Vec::new());
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size).clamp(1, rest.len());
        let (batch, later) = rest.split_at(size);
        batches.push(batch);
        rest = later;
    }
    batches
}

/// The smaller size of each batch; the last size of a list repeats. An empty list sets no limit.
#[must_use]
pub fn smaller(sizes: &[usize], others: &[usize]) -> Vec<usize> {
    let at = |sizes: &[usize], index: usize| sizes.get(index).or(sizes.last()).copied();
    let length = sizes.len().max(others.len());
    let both = (0..length).filter_map(|index| match (at(sizes, index), at(others, index)) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    });
    both.collect()
}

/// The sizes of a section's batches: those of the page, limited by those of its nodes.
pub(crate) fn of_section<'n>(
    shares: &[Share],
    nodes: impl Iterator<Item = &'n Arc<Node>> + Clone,
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    let all = nodes.clone().count();
    if all == 0 {
        return Vec::new();
    }
    let mut batches = sizes(shares, all);
    for node in nodes {
        match of_node(node) {
            Ok(Some(shares)) => batches = smaller(&batches, &sizes(&shares, all)),
            Ok(None) => {}
            Err(problem) => problems.push(*problem),
        }
    }
    batches
}

/// The `batch` value of a node; `None` if it has none.
///
/// # Errors
/// If the value is not a list of sizes.
pub fn of_node(node: &Node) -> Result<Option<Vec<Share>>, Box<Problem>> {
    let Some(evaluated) = node.values.get("batch") else {
        return Ok(None);
    };
    let value = &evaluated.value;
    let text = value.text().unwrap_or_default();
    let shares: Result<Vec<Share>, String> =
        text.split(',').map(|share| share.trim().parse()).collect();
    shares.map(Some).map_err(|why| {
        let problem = Problem::error("batch", value.span.clone(), format!("`batch`: {why}"));
        Box::new(problem.hint("write sizes as in `1,5,25%`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_batch_counts_and_the_last_repeats() {
        for (page, node, expected) in [
            (&[1, 4][..], &[2][..], &[1, 2][..]),
            (&[2, 3], &[1, 5], &[1, 3]),
            (&[5], &[1, 2, 9], &[1, 2, 5]),
            (&[3], &[], &[3]),
            (&[], &[2], &[2]),
        ] {
            assert_eq!(smaller(page, node), expected, "{page:?} {node:?}");
        }
    }
}
