//! Who executes a run.

use clap::ValueEnum;

/// Who executes a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Via {
    /// This program, which reaches the nodes itself
    #[default]
    Ssh,
    /// A runner of the gateway
    Gateway,
}
