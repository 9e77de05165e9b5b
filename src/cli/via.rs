//! Who does a run.

use clap::ValueEnum;

/// Who does a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Via {
    /// This program, which reaches the nodes itself
    #[default]
    Ssh,
    /// A runner of the gateway
    Gateway,
}
