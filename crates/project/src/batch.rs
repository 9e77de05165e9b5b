//! Batch sizes: `1,5,25%`, from the command line and the nodes.

pub use crate::manual::Share;
use crate::plan::Plan;
pub use crate::plan::batch::{of_node, sizes};
use crate::source::Problem;

/// The smallest batch sizes of the plan's nodes. With roles, each section has its own sizes.
///
/// # Errors
/// If a node's value is invalid.
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
