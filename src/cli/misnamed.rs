//! Options that a command does not have because it takes the same as arguments: the error says how.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

/// What people write before nodes, from the other commands here and from other tools.
const BEFORE_NODES: [&str; 7] = [
    "--nodes",
    "--node",
    "--hosts",
    "--host",
    "--limit",
    "--target",
    "--targets",
];

/// Adds the way to name nodes to an error about an unknown option, if the command of these words
/// takes nodes as arguments.
pub fn explained<'w>(
    mut error: Error,
    command: &Command,
    words: impl Iterator<Item = &'w str>,
) -> Error {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let is_known = BEFORE_NODES.contains(&option.as_str());
    if error.kind() != ErrorKind::UnknownArgument || !is_known {
        return error;
    }
    let mut whole = command.clone();
    whole.build();
    let mut command = &whole;
    for word in words {
        command = command.find_subcommand(word).unwrap_or(command);
    }
    let mut values = command
        .get_positionals()
        .filter_map(clap::Arg::get_value_names);
    if !values.any(|names| names.iter().any(is_of_nodes)) {
        return error;
    }
    let tip = format!("nodes are arguments, without `{option}`");
    error.remove(ContextKind::SuggestedArg);
    let tips = vec![StyledStr::from(tip)];
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    let usage = command.clone().render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    error
}

fn is_of_nodes(name: &clap::builder::Str) -> bool {
    name.starts_with("NODE") || name.starts_with("SELECTOR")
}

#[cfg(test)]
mod tests {
    use super::explained;

    #[test]
    fn nodes_without_an_option_are_explained_where_they_are_arguments() {
        for (words, is_explained) in [
            (&["run", "p", "--nodes", "web1"][..], true),
            (&["-C", "x", "run", "p", "--host=web1"], true),
            (&["lock", "status", "--node", "web1"], true),
            (&["ping", "--limit", "web1"], true),
            (&["run", "p", "--nonsense"], false),
            (&["lint", "--nodes", "web1"], false),
            (&["test", "--host", "web1"], false),
        ] {
            let command = crate::cli::command();
            let all = std::iter::once("opsbook").chain(words.iter().copied());
            let error = command.clone().try_get_matches_from(all).unwrap_err();
            let said = explained(error, &command, words.iter().copied()).to_string();
            let tip = "tip: nodes are arguments, without `--";
            assert_eq!(said.contains(tip), is_explained, "{said}");
            assert!(!(is_explained && said.contains("nodes-file")), "{said}");
        }
    }
}
