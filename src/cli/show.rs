//! `opsbook show`: a node's values, each with where it came from. Knows nothing of files
//! and of the terminal but whether to paint.

use crate::nodes::{Node, Nodes, explain, show};
use crate::source::Problem;

/// Explain the values of a node: each with the layer, file and line that it came from,
/// and what it overrode
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  opsbook show web1                     every value of web1
  opsbook show web1 address app_port    these two only
  opsbook show web1 --set app_port=80   with an argument, as `opsbook run` would see it
  opsbook show --diff web1 web2         what the two do not have alike

Layers, later wins: defaults, groups from left to right (each after the groups that it is
`in`), the node, --set. Then `${name}` is replaced, once. Secrets are never looked up here.")]
pub struct Show {
    /// The node; with --diff, two of them
    #[arg(value_name = "NODE")]
    pub node: String,
    /// Only these values; the name of a map stands for all values in it
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Compare two nodes
    #[arg(long)]
    pub diff: bool,
    /// An argument, over everything that the files say
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub set: Vec<(String, String)>,
    /// For machines: values with their origins
    #[arg(long, conflicts_with = "yaml")]
    pub json: bool,
    /// The values alone, nested as in nodes.yaml
    #[arg(long, conflicts_with = "diff")]
    pub yaml: bool,
}

/// What goes to standard output.
pub fn run(args: &Show, nodes: &Nodes, paint: bool) -> Result<String, Vec<Problem>> {
    let node = nodes.evaluate(&args.node, &args.set)?;
    if args.diff {
        return diff(args, &node, nodes, paint);
    }
    let values = explain::explain(&node, &args.names).map_err(|problem| vec![problem])?;
    Ok(match (args.json, args.yaml) {
        (true, _) => show::json(&node, &values),
        (_, true) => show::yaml(&node, &args.names),
        _ => show::text(&node, &values, paint),
    })
}

fn diff(args: &Show, left: &Node, nodes: &Nodes, paint: bool) -> Result<String, Vec<Problem>> {
    let [right] = &args.names[..] else {
        let problem = Problem::bare("usage", "`--diff` compares two nodes")
            .hint("opsbook show --diff NODE1 NODE2");
        return Err(vec![problem]);
    };
    let right = nodes.evaluate(right, &args.set)?;
    let differences = explain::diff(left, &right);
    Ok(if args.json {
        show::diff_json(left, &right, &differences)
    } else {
        show::diff_text(left, &right, &differences, paint)
    })
}

/// `NAME=VALUE`, split at the first `=`.
pub fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
