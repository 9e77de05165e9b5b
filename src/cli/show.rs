//! `opsbook show`: a node's values with their origins; the card of a procedure or of a group of
//! checks. Knows no files, and of the terminal only whether to use colours.

use crate::cli::complete;
use crate::cli::form::Form;
use crate::manual::Manual;
use crate::nodes::{Node, Nodes, explain, show};
use crate::report::card;
use crate::source::Problem;

/// Explain the values of a node, or what a procedure or a group of checks does
///
/// For a node: each value with its layer, file and line, and what it overrides. For a procedure:
/// where it may run, its needs, its parameters and steps.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  opsbook show web1                     every value of web1
  opsbook show web1 address app_port    these two only
  opsbook show web1 --set app_port=80   with an argument, as `opsbook run` would see it
  opsbook show --diff web1 web2         the values in which they differ
  opsbook show web.deploy               what this procedure takes, needs and does

Layers, later wins: defaults, groups from left to right (each after the groups that it is
`in`), the node, --set. Then `${name}` is replaced, once. Secrets are never looked up here.")]
pub struct Show {
    /// The node (with --diff, two of them), the procedure, or the group of checks
    #[arg(value_name = "NODE|PROCEDURE|GROUP", add = complete::shown())]
    pub node: String,
    /// Only these values; the name of a map means all values in it
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Compare two nodes
    #[arg(long)]
    pub diff: bool,
    /// An argument, which overrides everything in the files
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub set: Vec<(String, String)>,
    /// How to print it
    #[command(flatten)]
    pub form: Form,
    /// Only the values, nested as in nodes.yaml
    #[arg(long, conflicts_with_all = ["diff", "json"])]
    pub yaml: bool,
}

/// The text for standard output.
pub fn run(args: &Show, nodes: &Nodes, paint: bool) -> Result<String, Vec<Problem>> {
    let node = nodes.evaluate(&args.node, &args.set)?;
    if args.diff {
        return diff(args, &node, nodes, paint);
    }
    let values = explain::explain(&node, &args.names).map_err(|problem| vec![problem])?;
    Ok(match (args.form.is_json(), args.yaml) {
        (true, _) => show::json(&node, &values),
        (_, true) => show::yaml(&node, &args.names),
        _ => show::text(&node, &values, paint),
    })
}

/// The card of a procedure or group with this name; `None` if it does not exist.
#[must_use]
pub fn card(args: &Show, manual: &Manual, paint: bool) -> Option<String> {
    let name = args.node.as_str();
    let (text, json) = match (manual.procedures.get(name), manual.groups.get(name)) {
        (Some(own), _) => (card::procedure(own, paint), card::procedure_json(own)),
        (None, Some(own)) => (card::group(own, paint), card::group_json(own)),
        (None, None) => return None,
    };
    Some(if args.form.is_json() {
        format!("{json:#}\n")
    } else {
        text
    })
}

/// The problem of an unknown node, with the names of everything that can be shown.
#[must_use]
pub fn unknown(args: &Show, nodes: &Nodes, manual: &Manual) -> Problem {
    let name = args.node.as_str();
    let names = nodes
        .names()
        .chain(manual.procedures.keys().map(String::as_str));
    let names = names.chain(manual.groups.keys().map(String::as_str));
    Problem::bare(
        "unknown-name",
        format!("there is no node, procedure or group of checks `{name}`"),
    )
    .hint("`opsbook list` shows all names")
    .did_you_mean(name, names)
}

fn diff(args: &Show, left: &Node, nodes: &Nodes, paint: bool) -> Result<String, Vec<Problem>> {
    let [right] = &args.names[..] else {
        let problem = Problem::bare("usage", "`--diff` compares two nodes")
            .hint("opsbook show --diff NODE1 NODE2");
        return Err(vec![problem]);
    };
    let right = nodes.evaluate(right, &args.set)?;
    let differences = explain::diff(left, &right);
    Ok(if args.form.is_json() {
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
