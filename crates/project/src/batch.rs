//! How many nodes go at a time: `1,5,25%`, as the command line and the nodes say it.

pub use crate::manual::Share;
use crate::plan::Plan;
pub use crate::plan::batch::{of_node, sizes};
use crate::source::Problem;

/// Sizes of batches: the most careful that a node's `batch` says. With roles each section has
/// sizes of its own.
///
/// # Errors
/// Where one says something else.
pub fn of_nodes(plan: &Plan) -> Result<Vec<usize>, Box<Problem>> {
    if plan.binding.is_some() {
        return Ok(Vec::new());
    }
    let mut careful: Option<Vec<usize>> = None;
    for node in &plan.nodes {
        let Some(shares) = of_node(&node.node)? else {
            continue;
        };
        let said = sizes(&shares, plan.nodes.len());
        if careful.as_ref().is_none_or(|least| said < *least) {
            careful = Some(said);
        }
    }
    Ok(careful.unwrap_or_default())
}
