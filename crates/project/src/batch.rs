//! How many nodes go at a time: `1,5,25%`, as the command line and the nodes say it.

use crate::nodes::Node;
use crate::plan::Plan;
use crate::source::Problem;

/// A number, or a share of all nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// So many nodes.
    Count(usize),
    /// So many in a hundred of the nodes, at least one.
    Percent(usize),
}

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let wrong = || format!("`{text}` is neither a number nor a percentage");
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse() {
                Ok(percent) if percent <= 100 => Ok(Share::Percent(percent)),
                _ => Err(wrong()),
            },
            None => text.parse().map(Share::Count).map_err(|_| wrong()),
        }
    }
}

impl Share {
    /// Nodes, of so many.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        match self {
            Share::Count(count) => count,
            Share::Percent(percent) => all * percent / 100,
        }
    }
}

/// Sizes of batches; each has one node at least.
#[must_use]
pub fn sizes(shares: &[Share], all: usize) -> Vec<usize> {
    shares.iter().map(|share| share.of(all).max(1)).collect()
}

/// Sizes of batches: the most careful that a node's `batch` says.
///
/// # Errors
/// Where one says something else.
pub fn of_nodes(plan: &Plan) -> Result<Vec<usize>, Box<Problem>> {
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

/// What a node's `batch` says; nothing where it says nothing.
///
/// # Errors
/// Where that is no list of sizes.
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
