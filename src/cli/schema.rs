//! `opsbook schema`: JSON Schemas of all output for programs, and of the files that people write.

use std::io::Write;

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::cli::Streams;
use crate::cli::error::Failure;
use crate::source::Problem;

macro_rules! schemas {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("schema/", $name, ".json")))),*]
    };
}

/// In alphabetical order.
const SCHEMAS: [(&str, &str); 17] = schemas![
    "event",
    "gateway",
    "history",
    "lint",
    "list",
    "lock",
    "nodes",
    "nodes.yaml",
    "opsbook.toml",
    "packages",
    "ping",
    "report",
    "settings",
    "show",
    "show-diff",
    "show-group",
    "show-procedure",
];

/// It is an `OpenAPI` document, whose own title is the server's.
const GATEWAY: &str = "the interface between a gateway and its clients, as an OpenAPI document";

/// Print the JSON Schema of a command's output, or of a file that people write
#[derive(Args, Debug)]
pub(crate) struct Schema {
    /// The name; all names are listed if absent
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates))]
    name: Option<String>,
}

pub(crate) fn run(args: &Schema, streams: &mut Streams) -> Result<u8, Failure> {
    let Some(name) = &args.name else {
        for (name, text) in SCHEMAS {
            writeln!(streams.people(), "{name:15}  {}", title(text))?;
        }
        return Ok(0);
    };
    if let Some((_, text)) = SCHEMAS.iter().find(|(known, _)| known == name) {
        streams.data().write_all(text.as_bytes())?;
        return Ok(0);
    }
    let problem = Problem::bare("unknown-schema", format!("there is no schema `{name}`"));
    let known = SCHEMAS.iter().map(|(name, _)| *name);
    Err(Failure::from(problem.did_you_mean(name, known)))
}

/// The title in the schema.
fn title(text: &str) -> String {
    let schema: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let title = schema["title"].as_str();
    title.unwrap_or(GATEWAY).to_owned()
}

fn candidates() -> Vec<CompletionCandidate> {
    let named = |(name, text): &(&str, &str)| {
        CompletionCandidate::new(*name).help(Some(title(text).into()))
    };
    SCHEMAS.iter().map(named).collect()
}
