//! The output format of results, text or JSON; the same options for every command.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::Streams;

#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Form {
    /// How to print the results
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Words::Human)]
    format: Words,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Words {
    /// Text for people
    #[default]
    Human,
    /// JSON for programs; `opsbook schema` describes it
    Json,
}

impl Form {
    /// The format of `--format json`.
    pub fn json() -> Form {
        Form {
            json: true,
            ..Form::default()
        }
    }

    pub fn is_json(self) -> bool {
        self.json || self.format == Words::Json
    }
}

/// Prints a line of JSON with its format version.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn line(value: &impl Serialize, streams: &mut Streams) -> std::io::Result<()> {
    let mut value = serde_json::to_value(value)?;
    value["v"] = 1.into();
    writeln!(streams.data(), "{value}")
}
