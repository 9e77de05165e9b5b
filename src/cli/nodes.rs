//! `opsbook nodes`: lists all nodes, or those of a selector.

use crate::cli::complete;
use crate::cli::form::Form;
use crate::nodes::{Nodes, explain, show};
use crate::source::Problem;

/// List the nodes, or those that a selector selects
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Selectors, the same in every command and contract:
  web1             one node
  web*             by name; `*` any characters, `?` one
  @web             the members of a group, and of the groups in it
  @web&@staging    members of both
  @web,db1         either
  *,!web3          all but one

A selector that selects nothing is an error.")]
pub struct List {
    /// All nodes unless given
    #[arg(value_name = "SELECTOR", add = complete::nodes())]
    pub selector: Option<String>,
    /// How to print them
    #[command(flatten)]
    pub form: Form,
}

/// The text for standard output, and the problems of nodes that are left out of it.
pub fn run(
    args: &List,
    nodes: &Nodes,
    paint: bool,
) -> Result<(String, Vec<Problem>), Vec<Problem>> {
    let (rows, left_out) = explain::table(nodes, args.selector.as_deref())?;
    let text = if args.form.is_json() {
        show::table_json(&rows)
    } else {
        show::table_text(&rows, paint)
    };
    Ok((text, left_out))
}
