//! `opsbook checks`: the kinds of checks, from the headers of their probes.

use std::io::Write as _;

use clap::Args;

use crate::cli::Streams;
use crate::cli::complete;
use crate::cli::context::{Chosen, place};
use crate::cli::error::Failure;
use crate::source::Problem;
use crate::vocabulary::{Vocabulary, reference};

/// List the kinds of checks, or explain some of them
///
/// Includes the kinds in the manual's own `checks/` folder, if there is a manual.
#[derive(Args, Debug)]
pub(crate) struct Checks {
    /// Kinds to explain
    #[arg(value_name = "TYPE", add = complete::types())]
    types: Vec<String>,
    /// Print the whole reference, in Markdown
    #[arg(long, conflicts_with = "types")]
    markdown: bool,
}

pub(crate) fn run(args: &Checks, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let vocabulary = vocabulary(dir)?;
    let text = if args.markdown {
        reference::chapter(&vocabulary)
    } else if args.types.is_empty() {
        reference::list(&vocabulary)
    } else {
        explain(&vocabulary, &args.types)?
    };
    streams.people().write_all(text.as_bytes())?;
    Ok(0)
}

/// The manual's kinds, or only opsbook's own without a manual.
fn vocabulary(dir: &Chosen) -> Result<Vocabulary, Failure> {
    let place = match place(dir) {
        Ok(place) => place,
        Err(failure) if dir.is_named() => return Err(failure),
        Err(_) => return Ok(Vocabulary::builtin().clone()),
    };
    let (vocabulary, problems) = Vocabulary::with_project(&place.files);
    if problems.iter().any(Problem::is_error) {
        return Err(Failure::Problems(problems));
    }
    Ok(vocabulary)
}

fn explain(vocabulary: &Vocabulary, names: &[String]) -> Result<String, Failure> {
    let explained: Result<Vec<String>, Problem> = names
        .iter()
        .map(|name| match vocabulary.get(name) {
            Some(kind) => Ok(reference::explain(kind)),
            None => Err(vocabulary.unknown(name)),
        })
        .collect();
    Ok(explained?.join("\n"))
}
